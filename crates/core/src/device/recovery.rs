//! Come back from a backup without ever signing from an old step.
//!
//! A restored device receives only. At each meeting its contacts give back the steps of its own
//! that they hold, signed by itself; it takes them over in order. The owner confirms once everyone
//! was met. What remains is the assumption that nobody was paid since the backup whom the backup
//! does not know (spec `RECOVER-1` to `RECOVER-5`).

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::change::MAX_WAITING;
use super::{Change, Contact, Device, DeviceError, Event, Mode, Output, World};
use crate::cbor::List;
use crate::evidence::{Evidence, Hop, Witness};
use crate::id::{CoinId, DeviceId};
use crate::message::{MAX_HISTORY, Message, Sync};
use crate::predicate::spend_digest;
use crate::trade::Source;

impl Device {
    /// The device may be behind: it receives only from now on.
    pub(super) fn restored(&mut self) -> Output {
        let contacts: Vec<Contact> = self.contacts.values().cloned().collect();
        let mut output = self.record([Change::Mode(Mode::ReceiveOnly(Vec::new()))]);
        let unmet = |contact: Contact| Change::Contact(Box::new(Contact { met: false, ..contact }));
        self.add(&mut output, contacts.into_iter().map(unmet));
        output
    }

    /// Payments that a restored contact made to this device, and that it may not remember.
    pub(super) fn history_for(
        &self,
        contact: &Contact,
        theirs: &Sync,
    ) -> Option<List<Hop, MAX_HISTORY>> {
        let next = theirs.seq.checked_add(1).filter(|_| theirs.restored)?;
        let later = self.incoming.steps(contact.device, next, u64::MAX);
        let hops = later.filter_map(|incoming| incoming.hop.clone());
        Some(List::truncated(hops.take(MAX_HISTORY).collect()))
    }

    /// A contact was met and has given back what it holds of this device's own steps.
    pub(super) fn recover(
        &mut self,
        world: &World<'_>,
        from: &DeviceId,
        told: Option<List<Hop, MAX_HISTORY>>,
    ) -> Result<Output, DeviceError> {
        let (Mode::ReceiveOnly(waiting), Some(told)) = (&self.mode, told) else {
            return Ok(Output::default());
        };
        let mut waiting = waiting.clone();
        let complete = told.len() < MAX_HISTORY;
        // Whatever else is said of a step than what this device signed is not taken over.
        let mine = told.iter().filter(|hop| self.is_my_step(hop)).map(Hop::bare);
        for hop in mine {
            if waiting.len() < MAX_WAITING && !waiting.contains(&hop) {
                waiting.push(hop);
            }
        }
        let contact = Contact { met: complete, ..self.contact(from)?.clone() };
        let mut output = self.record([Change::Contact(Box::new(contact))]);
        self.take_steps(world, &mut output, waiting, from);
        Ok(output)
    }

    /// A coin came in; steps that wait may spend it.
    pub(super) fn take_waiting(&mut self, world: &World<'_>, output: &mut Output, from: &DeviceId) {
        if let Mode::ReceiveOnly(waiting) = &self.mode {
            let waiting = waiting.clone();
            self.take_steps(world, output, waiting, from);
        }
    }

    /// Whether this device signed the step: nobody else can make it believe so.
    fn is_my_step(&self, hop: &Hop) -> bool {
        let tx = hop.tx.id();
        let inputs = hop.tx.body.inputs.iter().zip(hop.witnesses.iter());
        let mut signed = inputs.map(|(coin, witness)| {
            self.me.owner.verify(&spend_digest(coin, &tx), witness.unlock.owner_signature())
        });
        !hop.tx.body.inputs.is_empty()
            && hop.witnesses.len() == hop.tx.body.inputs.len()
            && signed.all(|ok| ok)
    }

    /// Takes over the steps that follow from where this device stands.
    ///
    /// There may be more than was told at once, and payments to this device that it lost: then it
    /// asks again.
    fn take_steps(
        &mut self,
        world: &World<'_>,
        output: &mut Output,
        mut waiting: Vec<Hop>,
        from: &DeviceId,
    ) {
        let before = self.seq;
        while let Some((at, pockets)) = self.next_step(world, &waiting) {
            let hop = waiting.swap_remove(at);
            let sources: Vec<Source> = pockets.iter().filter_map(super::Pocket::source).collect();
            self.take_step(output, &hop, &sources, &pockets, from);
        }
        waiting.retain(|hop| hop.tx.step.seq > self.seq);
        waiting.sort_by_key(|hop| hop.tx.step.seq);
        self.add(output, [Change::Mode(Mode::ReceiveOnly(waiting))]);
        if self.seq > before {
            output.events.push(Event::Recovered { seq: self.seq });
            let again = self.contacts.get(from).map(|contact| self.sync_with(contact));
            output.send.extend(again.map(|sync| (*from, Message::Sync(sync))));
        }
    }

    /// The step that waits and that is next: its coins are here, and it unlocks them.
    fn next_step(&self, world: &World<'_>, waiting: &[Hop]) -> Option<(usize, Vec<super::Pocket>)> {
        let next = self.seq.checked_add(1)?;
        let pockets = |hop: &Hop| -> Option<Vec<super::Pocket>> {
            let tx = hop.tx.id();
            let inputs = hop.tx.body.inputs.iter().zip(hop.witnesses.iter());
            let pocket = |(id, witness): (&CoinId, &Witness)| {
                let pocket = self.ledger.holding(id)?;
                let (_, coin) = pocket.coin.as_ref()?;
                let unlocked = coin.owner.check(id, &tx, &witness.unlock, world.now, world.seals);
                unlocked.ok().map(|()| pocket.clone())
            };
            inputs.map(pocket).collect()
        };
        let fits = |hop: &Hop| hop.tx.step.seq == next && hop.tx.step.head == self.head;
        (0..)
            .zip(waiting)
            .filter(|(_, hop)| fits(hop))
            .find_map(|(i, hop)| Some((i, pockets(hop)?)))
    }

    fn take_step(
        &mut self,
        output: &mut Output,
        hop: &Hop,
        sources: &[Source],
        pockets: &[super::Pocket],
        from: &DeviceId,
    ) {
        let (step, link) = (hop.tx.step, hop.tx.link);
        let change = hop.tx.made().find(|(_, coin)| coin.owner.key() == &self.me.owner);
        let change = change.map(|(id, coin)| (id, coin.clone()));
        self.move_pockets(output, sources, link, change.clone());
        if let Some((id, _)) = &change {
            let merged = pockets
                .iter()
                .try_fold(Evidence::default(), |all, pocket| all.merge(&pocket.evidence));
            let evidence = merged.and_then(|all| all.with(hop.clone())).map(|all| all.behind(id));
            let pocket = self.ledger.holding(id).cloned().zip(evidence.ok());
            let pocket = pocket.map(|(pocket, evidence)| super::Pocket { evidence, ..pocket });
            self.add(output, pocket.map(|p| Change::Pocket(Box::new(p))));
        }
        let paid = |c: &&Contact| hop.tx.body.outputs.iter().any(|o| o.owner.key() == &c.owner);
        let payee = self.contacts.values().find(paid).cloned();
        let payee = payee.or_else(|| self.contacts.get(from).cloned());
        let contact = payee.map(|c| Change::Contact(Box::new(Contact { link, ..c })));
        self.add(output, contact);
        self.add(output, [Change::Step { seq: step.seq, head: step.head_after(&link) }]);
    }

    /// The owner says that everyone who was paid since the backup has been met.
    pub(super) fn confirm_recovery(&mut self) -> Result<Output, DeviceError> {
        let Mode::ReceiveOnly(waiting) = &self.mode else {
            return Ok(Output::default());
        };
        let unmet = self.contacts.values().filter(|c| !c.met).count();
        if unmet > 0 || !waiting.is_empty() {
            let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            return Err(DeviceError::NotRecovered(count(unmet), count(waiting.len())));
        }
        Ok(self.record([Change::Mode(Mode::Normal)]))
    }
}
