//! Come back from a backup without ever signing from an old step.
//!
//! A restored device receives only. At each meeting its contacts give back the steps of its own
//! that they hold, signed by itself; it takes them over in order. The owner confirms once everyone
//! was met. What remains are assumptions: that nobody was paid since the backup whom the backup does
//! not know, and that every contact gave back all that it holds (spec `RECOVER-1` to `RECOVER-5`).

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::change::MAX_WAITING;
use super::{Change, Contact, Device, DeviceError, Event, Meeting, Mode, Output, World};
use crate::coin::Coin;
use crate::evidence::{Evidence, Hop, Witness};
use crate::id::{CoinId, DeviceId, TxId};
use crate::message::{History, MAX_HISTORY, Sync};
use crate::predicate::{Unlock, spend_digest};
use crate::seal::SealIdentity;
use crate::trade::Source;

/// What says that a restored device knows its latest step.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Basis {
    /// A journal that was not set back ends at this very step.
    Journal,
    /// At least one contact was met, and nobody is left to be met.
    Contacts,
    /// The owner's word alone that nothing was paid since the backup. If it is wrong, the next
    /// payment is a fork.
    OwnersWord,
}

/// Why a restored device does not pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryError {
    /// It does not know its latest step yet.
    #[error(
        "this wallet was restored and receives only until it knows its latest step: meet everyone whom you paid since the backup (tally sync), then confirm (tally recover)"
    )]
    ReceiveOnly,
    /// Contacts are still to be met, or steps are missing.
    #[error(
        "recovery is not complete, {0} contacts are still to be met and {1} steps do not fit yet: meet them (tally sync), or give up on whom you cannot meet (tally recover --give-up CONTACT)"
    )]
    Open(u32, u32),
    /// Nobody was met, and no journal tells the latest step.
    #[error(
        "nothing confirms this wallet's latest step, since no contact was met and its journal is not here: meet somebody whom you may have paid since the backup (tally contact add, tally sync), or, only if you are sure that you paid nobody since, give your word (tally recover --nothing-paid-since-backup)"
    )]
    Unconfirmed,
}

impl RecoveryError {
    /// Stable code of this error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::ReceiveOnly => "RECEIVE_ONLY",
            Self::Open(..) => "NOT_RECOVERED",
            Self::Unconfirmed => "RECOVERY_UNCONFIRMED",
        }
    }
}

impl Device {
    /// The device may be behind: it receives only from now on.
    ///
    /// What waits for the seal may have been signed and sent since.
    pub(super) fn restored(&mut self, world: &World<'_>) -> Output {
        let contacts: Vec<Contact> = self.contacts.values().cloned().collect();
        let mut output = self.record([Change::Mode(Mode::ReceiveOnly(Vec::new()))]);
        self.doubt(world, &mut output);
        let unmet = |contact: Contact| {
            // A stranger was never paid as far as this device knows.
            let met = if contact.stranger.is_some() { Meeting::New } else { Meeting::Due };
            Change::Contact(Box::new(Contact { met, ..contact }))
        };
        self.add(&mut output, contacts.into_iter().map(unmet));
        output
    }

    /// Payments that a restored contact made to this device, and that it may not remember.
    pub(super) fn history_for(&self, contact: &Contact, theirs: &Sync) -> Option<Vec<Hop>> {
        let next = theirs.seq.checked_add(1)?;
        let later = self.incoming.steps(contact.device, next, u64::MAX);
        // One more than is told at once: then it is known that there are more.
        let told = later.filter_map(|i| i.hop.clone()).take(MAX_HISTORY + 1);
        let mut hops: Vec<Hop> = told.collect();
        if theirs.restored || !hops.is_empty() {
            hops.extend(self.steps_behind(contact, next));
            hops.sort_by_key(|hop| hop.tx.step.seq);
            hops.dedup_by(|a, b| a.tx == b.tx);
        }
        // Whoever stands behind what it once signed is told, whether or not it knows that it does.
        let behind = theirs.restored || !hops.is_empty();
        behind.then_some(hops)
    }

    /// What a contact paid itself, as far as it lies behind coins that are here: nobody else was told.
    fn steps_behind(&self, contact: &Contact, next: u64) -> Vec<Hop> {
        let pockets = self.ledger.pockets().filter(|pocket| pocket.is_ready());
        let hops = pockets.flat_map(|pocket| pocket.evidence.hops.iter());
        let later = hops.filter(|hop| hop.tx.step.seq >= next);
        let theirs = |hop: &&Hop| {
            let first = hop.tx.body.outputs.first();
            let mut branches = hop.branches();
            first.is_some_and(|coin| coin.owner.key() == &contact.owner)
                && branches.all(|branch| branch.signed_by(&contact.owner))
        };
        later.filter(theirs).map(Hop::bare).collect()
    }

    /// A contact was met and has given back what it holds of this device's own steps.
    pub(super) fn recover(
        &mut self,
        world: &World<'_>,
        from: &DeviceId,
        told: Option<History>,
    ) -> Result<Output, DeviceError> {
        let Some(History { steps: told, more }) = told else { return Ok(Output::default()) };
        let complete = !more;
        // Whatever else is said of a step than what this device signed is not taken over.
        let mine = told.iter().filter(|hop| self.is_my_step(hop)).map(Hop::bare);
        // What is not signed here may have been, or another step in its place.
        let news = |seq: u64| seq > self.seq || self.is_pending(seq);
        let mine: Vec<Hop> = mine.filter(|hop| news(hop.tx.step.seq)).collect();
        let mut output = match (&self.mode, mine.is_empty()) {
            (Mode::Normal, true) => return Ok(Output::default()),
            // This device signed steps that it does not know: it was set back without noticing.
            (Mode::Normal, false) => self.restored(world),
            (Mode::ReceiveOnly(_), _) => Output::default(),
        };
        let Mode::ReceiveOnly(waiting) = &self.mode else { return Ok(output) };
        let mut waiting = waiting.clone();
        let knows_more = !mine.is_empty();
        for hop in mine {
            // Of two forms of one step the one fits that unlocks its coins.
            if !waiting.contains(&hop) {
                waiting.push(hop);
            }
        }
        waiting.sort_by_key(|hop| hop.tx.step.seq);
        // The steps that come first are the ones that fit first; later ones are told again.
        let complete = complete && waiting.len() <= MAX_WAITING;
        waiting.truncate(MAX_WAITING);
        let contact = self.contact(from)?.clone().told(knows_more, complete);
        self.add(&mut output, [Change::Contact(Box::new(contact))]);
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

    /// Whether this device signed the step: nobody else can make it believe so, nor give the step
    /// another form than it was signed in.
    fn is_my_step(&self, hop: &Hop) -> bool {
        let tx = hop.tx.id();
        let inputs = hop.tx.body.inputs.iter().zip(hop.witnesses.iter());
        let software = self.me.seal == SealIdentity::Software;
        let mut signed = inputs.map(|(coin, witness)| {
            let plain = matches!(witness.unlock, Unlock::Signature(_) | Unlock::Reserved(..));
            let signature = witness.unlock.owner_signature();
            (plain || !software) && self.me.owner.verify(&spend_digest(coin, &tx), signature)
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
        self.make_way(world, output, &waiting);
        let before = self.seq;
        while let Some((at, pockets)) = self.next_step(world, &waiting) {
            let hop = waiting.swap_remove(at);
            let sources: Vec<Source> = pockets.iter().filter_map(super::Pocket::source).collect();
            self.take_step(output, &hop, &sources, &pockets);
        }
        waiting.retain(|hop| hop.tx.step.seq > self.seq);
        waiting.sort_by_key(|hop| hop.tx.step.seq);
        self.add(output, [Change::Mode(Mode::ReceiveOnly(waiting))]);
        if self.seq > before {
            output.events.push(Event::Recovered { seq: self.seq });
            let again = self.open_meeting(*from).ok();
            output.send.extend(again.map(|message| (*from, message)));
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
                self.unlocks(world, id, coin, &tx, witness).then(|| pocket.clone())
            };
            inputs.map(pocket).collect()
        };
        let fits = |hop: &Hop| hop.tx.step.seq == next && hop.tx.step.head == self.head;
        (0..)
            .zip(waiting)
            .filter(|(_, hop)| fits(hop))
            .find_map(|(i, hop)| Some((i, pockets(hop)?)))
    }

    /// Whether a witness unlocks a coin for one of this device's own steps.
    pub(super) fn unlocks(
        &self,
        world: &World<'_>,
        id: &CoinId,
        coin: &Coin,
        tx: &TxId,
        witness: &Witness,
    ) -> bool {
        // Its own proofs need nobody's word.
        let judge = self.decided(world, &[]);
        coin.owner.check(id, tx, &witness.unlock, world.now, &judge).is_ok()
    }

    fn take_step(
        &mut self,
        output: &mut Output,
        hop: &Hop,
        sources: &[Source],
        pockets: &[super::Pocket],
    ) {
        let (step, link) = (hop.tx.step, hop.tx.link);
        let mine = |(_, coin): &(CoinId, &Coin)| coin.owner.key() == &self.me.owner;
        let owned = |(id, coin): (CoinId, &Coin)| (id, coin.clone());
        let paid = hop.tx.made().next().filter(mine).map(owned);
        let change = hop.tx.made().skip(1).find(mine).map(owned);
        self.move_pockets(output, sources, link, change.clone());
        self.open_pocket(output, link, paid.clone());
        for (id, _) in paid.iter().chain(&change) {
            let merged = pockets
                .iter()
                .try_fold(Evidence::default(), |all, pocket| all.merge(&pocket.evidence));
            let evidence = merged.and_then(|all| all.with(hop.clone())).map(|all| all.behind(id));
            let pocket = self.ledger.holding(id).cloned().zip(evidence.ok());
            let pocket = pocket.map(|(pocket, evidence)| super::Pocket { evidence, ..pocket });
            self.add(output, pocket.map(|p| Change::Pocket(Arc::new(p))));
        }
        let paid = |c: &&Contact| hop.tx.body.outputs.iter().any(|o| o.owner.key() == &c.owner);
        let payee = self.contacts.values().find(paid).cloned();
        let paid = |c| Contact { link, stranger: None, ..c };
        let contact = payee.map(|c| Change::Contact(Box::new(paid(c))));
        self.add(output, contact);
        let found = self.found_signed(hop);
        self.add(output, found);
        self.add(output, [Change::Step { seq: step.seq, head: step.head_after(&link) }]);
    }

    /// The owner gives up on a contact who cannot be met.
    pub(super) fn give_up(&mut self, contact: DeviceId) -> Result<Output, DeviceError> {
        let contact = self.contact(&contact)?;
        if contact.met != Meeting::Due {
            return Ok(Output::default());
        }
        let contact = Contact { met: Meeting::GivenUp, ..contact.clone() };
        Ok(self.record([Change::Contact(Box::new(contact))]))
    }

    /// The owner says that everyone who was paid since the backup has been met.
    pub(super) fn confirm_recovery(&mut self, basis: Basis) -> Result<Output, DeviceError> {
        let Mode::ReceiveOnly(waiting) = &self.mode else {
            return Ok(Output::default());
        };
        let of = |met: Meeting| self.contacts.values().filter(move |c| c.met == met).count();
        let unmet = of(Meeting::Due);
        if unmet > 0 || !waiting.is_empty() {
            let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            return Err(RecoveryError::Open(count(unmet), count(waiting.len())).into());
        }
        if basis == Basis::Contacts && of(Meeting::Met) == 0 {
            return Err(RecoveryError::Unconfirmed.into());
        }
        Ok(self.record([Change::Mode(Mode::Normal)]))
    }
}

impl Contact {
    /// The contact after it has given back what it holds: `knows_more` steps than this device did,
    /// and whether that is all.
    fn told(self, knows_more: bool, complete: bool) -> Self {
        let met = match (complete, self.met) {
            // Whoever was not waited for vouches by what it holds.
            (_, Meeting::New) if !knows_more => Meeting::New,
            (true, _) => Meeting::Met,
            (false, _) => Meeting::Due,
        };
        let stranger = self.stranger.filter(|_| !knows_more);
        Self { met, stranger, ..self }
    }
}
