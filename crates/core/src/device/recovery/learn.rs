//! Learn the steps of one's own from contacts, and do here what they did.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::apart::Apart;
use super::steps::OwnStep;
use crate::coin::Coin;
use crate::device::{
    Change, Contact, Device, DeviceError, Event, Meeting, Mode, Output, Pocket, World,
};
use crate::evidence::{Evidence, Hop, Witness};
use crate::id::{CoinId, DeviceId, TxId};
use crate::message::{History, Seen, Told};
use crate::predicate::{Unlock, spend_digest};
use crate::seal::SealIdentity;
use crate::trade::Source;

/// How far a meeting with a contact has come. It does not survive a restart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(in crate::device) struct Talk {
    /// The number of the last step that it told, signed by this device.
    told: u64,
    /// The highest number of a step of this device's that it says to have seen.
    claimed: u64,
}

impl Device {
    /// A contact was met and has given back what it holds of this device's own steps.
    ///
    /// What this device did not sign is passed over.
    pub(in crate::device) fn recover(
        &mut self,
        world: &World<'_>,
        from: &DeviceId,
        history: Option<History>,
    ) -> Result<Output, DeviceError> {
        let Some(History { steps, more }) = history else { return Ok(self.hear_out(from)) };
        let mine = steps.iter().filter(|told| self.is_news(told.seq()) && self.i_signed(told));
        let mine: Vec<Told> = mine.cloned().collect();
        let mut output = match self.mode {
            // This device signed steps that it does not know: it was set back without noticing.
            Mode::Normal if mine.iter().any(|told| self.is_set_back_by(told)) => {
                self.restored(world)
            }
            Mode::Normal | Mode::ReceiveOnly => Output::default(),
        };
        for told in &mine {
            self.learn_step(&mut output, told);
        }
        let before = self.seq;
        self.follow_steps(world, &mut output);
        let last = steps.last().filter(|told| self.i_signed(told)).map(Told::seq);
        let goes_on = more && last.is_some_and(|last| last > self.talk(from).told);
        if self.mode == Mode::ReceiveOnly {
            let contact = self.contact(from)?.clone().told(!mine.is_empty(), !more);
            self.add(&mut output, [Change::Contact(Box::new(contact))]);
        }
        if goes_on {
            let told = last.unwrap_or_default();
            self.talks
                .entry(*from)
                .and_modify(|talk| talk.told = told)
                .or_insert(Talk { told, claimed: 0 });
        }
        if goes_on || self.seq > before {
            let again = self.open_meeting(*from).ok();
            output.send.extend(again.map(|message| (*from, message)));
        }
        if !goes_on {
            output.extend(self.hear_out(from));
        }
        Ok(output)
    }

    fn talk(&self, contact: &DeviceId) -> Talk {
        self.talks.get(contact).copied().unwrap_or_default()
    }

    /// A contact says which steps it has seen; those of this device that are not known here it is
    /// asked for. Its word alone is none.
    pub(in crate::device) fn hear_claims(&mut self, from: DeviceId, seen: &[Seen]) {
        let me = Seen::key(&self.me.owner);
        let mine = seen.iter().filter(|seen| seen.key == me).map(|seen| seen.seq).max();
        if let Some(claimed) = mine.filter(|seq| *seq > self.latest().0) {
            let talk = self.talks.entry(from).or_default();
            talk.claimed = talk.claimed.max(claimed);
        }
    }

    /// A contact has told all that it tells. What it claims beyond what it gave is shown, and blocks
    /// nothing.
    fn hear_out(&mut self, from: &DeviceId) -> Output {
        let talk = self.talks.remove(from).unwrap_or_default();
        let mut output = Output::default();
        if talk.claimed > self.latest().0 {
            output.events.push(Event::Claimed { contact: *from, seq: talk.claimed });
        }
        output
    }

    /// A new meeting begins: its contact is asked for all that is missing.
    pub(in crate::device) fn begin_talk(&mut self, contact: &DeviceId) {
        self.talks.remove(contact);
    }

    /// The number up to which this device knows its own steps, as it says it to a contact.
    pub(in crate::device) fn known_up_to(&self, contact: &DeviceId) -> u64 {
        let before = |seq: u64| seq.saturating_sub(1);
        let missing = self.recovered.missing.first().map(before);
        let known = missing.into_iter().fold(self.before_unsigned(), u64::min);
        known.max(self.talk(contact).told)
    }

    /// Whether something is to be learnt of a step.
    fn is_news(&self, seq: u64) -> bool {
        seq > self.seq
            || self.recovered.missing.contains(seq)
            || self.steps.is_open(seq)
            || self.is_pending(seq)
            || self.unsigned_tail().iter().any(|o| o.transaction.step.seq == seq)
    }

    /// Whether this device signed the step: nobody else can make it believe so, nor give the step
    /// another form than it was signed in.
    fn i_signed(&self, told: &Told) -> bool {
        match told {
            Told::Whole(hop) => self.is_my_hop(hop),
            Told::Branch(branch) => branch.signed_by(&self.me.owner),
        }
    }

    pub(super) fn is_my_hop(&self, hop: &Hop) -> bool {
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

    /// Keeps a step that this device signed. The first that is told of a number stays: an honest device
    /// signs no other.
    fn learn_step(&mut self, output: &mut Output, told: &Told) {
        let told = match told {
            Told::Whole(hop) => Told::Whole(hop.bare()),
            Told::Branch(branch) => Told::Branch(branch.clone()),
        };
        let known = self.steps.get(told.seq()).cloned();
        let mut step = known.unwrap_or_else(|| OwnStep::new(&told));
        if step.tx != told.tx_id() || !step.learn(&told) {
            return;
        }
        self.add(output, [Change::OwnStep(Arc::new(step.clone()))]);
        self.follow_link(output, &step);
    }

    /// The chain of payments to a step's payee has come at least as far as this step.
    fn follow_link(&mut self, output: &mut Output, step: &OwnStep) {
        let payee = step.forms.first().and_then(|hop| hop.tx.body.outputs.first());
        let Some(key) = payee.map(|coin| coin.owner.key()) else { return };
        let contact = self.contacts.values().find(|contact| contact.owner == *key).cloned();
        let Some(contact) = contact else { return };
        let (link, _) = self.relation(&contact.device, key);
        let contact = Contact { link, stranger: None, ..contact };
        self.add(output, [Change::Contact(Box::new(contact))]);
    }

    /// A coin came in; a step that is known may have spent it.
    pub(in crate::device) fn take_waiting(
        &mut self,
        world: &World<'_>,
        output: &mut Output,
        coin: &CoinId,
        from: Option<&DeviceId>,
    ) {
        if self.steps.spending(coin).is_none() {
            return;
        }
        let before = self.seq;
        self.follow_steps(world, output);
        if let Some(from) = from.filter(|_| self.seq > before) {
            let again = self.open_meeting(*from).ok();
            output.send.extend(again.map(|message| (*from, message)));
        }
    }

    /// Does here what the steps did that are known, as far as their coins are here.
    fn follow_steps(&mut self, world: &World<'_>, output: &mut Output) {
        let before = (self.seq, self.recovered.missing.clone());
        for step in self.steps.open().cloned().collect::<Vec<_>>() {
            self.make_way(output, &step);
            if !self.sign_as_told(world, output, &step) {
                self.follow_step(world, output, &step);
            }
        }
        self.advance(output);
        let mut missing = self.recovered.missing.clone();
        for seq in self.steps.whole_among(&missing) {
            missing.found(seq);
        }
        self.keep_missing(output, missing);
        if self.mode == Mode::Normal {
            self.review(output);
        }
        if (self.seq, &self.recovered.missing) != (before.0, &before.1) {
            output.events.push(Event::Recovered { seq: self.seq });
        }
    }

    /// Moves the coins of a step, if all of them are here and it unlocks them. Those that are here are
    /// spent in any case.
    fn follow_step(&mut self, world: &World<'_>, output: &mut Output, step: &OwnStep) {
        let fits = |hop: &Hop| Some((hop.clone(), self.pockets_of(world, hop)?));
        if let Some((hop, pockets)) = step.forms.iter().find_map(fits) {
            self.take_step(output, &hop, &pockets);
            self.step_done(output, step, Some(&hop));
            return;
        }
        let spent = Some(Apart::Spent(step.tx));
        let here = step.spends().into_iter().filter_map(|coin| self.ledger.holding(&coin));
        let here = here.map(|pocket| pocket.id).filter(|id| self.ledger.apart(id) != spent);
        let here: Vec<CoinId> = here.collect();
        self.add(output, here.into_iter().map(|pocket| Change::Apart(pocket, spent)));
    }

    pub(super) fn step_done(&mut self, output: &mut Output, step: &OwnStep, form: Option<&Hop>) {
        let forms = crate::cbor::List::truncated(form.into_iter().cloned().collect());
        let step = OwnStep { forms, done: true, ..step.clone() };
        self.add(output, [Change::OwnStep(Arc::new(step))]);
    }

    /// The pockets with the coins of a step, if all are here and it unlocks them.
    fn pockets_of(&self, world: &World<'_>, hop: &Hop) -> Option<Vec<Pocket>> {
        let tx = hop.tx.id();
        let pocket = |(id, witness): (&CoinId, &Witness)| {
            let pocket = self.ledger.holding(id)?;
            let (_, coin) = pocket.coin.as_ref()?;
            self.unlocks(world, coin, id, &tx, witness).then(|| pocket.clone())
        };
        hop.tx.body.inputs.iter().zip(hop.witnesses.iter()).map(pocket).collect()
    }

    /// Whether a witness unlocks a coin for one of this device's own steps.
    pub(super) fn unlocks(
        &self,
        world: &World<'_>,
        coin: &Coin,
        id: &CoinId,
        tx: &TxId,
        w: &Witness,
    ) -> bool {
        // Its own proofs need nobody's word.
        let judge = self.decided(world, &[]);
        coin.owner.check(id, tx, &w.unlock, world.now, &judge).is_ok()
    }

    fn take_step(&mut self, output: &mut Output, hop: &Hop, pockets: &[Pocket]) {
        let link = hop.tx.link;
        let sources: Vec<Source> = pockets.iter().filter_map(Pocket::source).collect();
        let mine = |(_, coin): &(CoinId, &Coin)| coin.owner.key() == &self.me.owner;
        let owned = |(id, coin): (CoinId, &Coin)| (id, coin.clone());
        let paid = hop.tx.made().next().filter(mine).map(owned);
        let change = hop.tx.made().skip(1).find(mine).map(owned);
        self.move_pockets(output, &sources, link, change.clone());
        self.open_pocket(output, link, paid.clone());
        let marked = sources.iter().map(|source| source.pocket);
        let marked: Vec<CoinId> = marked.filter(|id| self.ledger.apart(id).is_some()).collect();
        self.add(output, marked.into_iter().map(|id| Change::Apart(id, None)));
        for (id, _) in paid.iter().chain(&change) {
            let merged = pockets
                .iter()
                .try_fold(Evidence::default(), |all, pocket| all.merge(&pocket.evidence));
            let evidence = merged.and_then(|all| all.with(hop.clone())).map(|all| all.behind(id));
            let pocket = self.ledger.holding(id).cloned().zip(evidence.ok());
            let pocket = pocket.map(|(pocket, evidence)| Pocket { evidence, ..pocket });
            let place = pocket.as_ref().map(|pocket| pocket.id);
            self.add(output, pocket.map(|p| Change::Pocket(Arc::new(p))));
            // A step after this one, which is not known, may have spent it.
            self.question(output, place);
        }
        // What was given up here for want of this very step was paid after all.
        let found = self.found_signed(hop);
        self.add(output, found);
    }

    /// Takes the steps that follow one another from where this device stands.
    fn advance(&mut self, output: &mut Output) {
        let (mut seq, mut head) = (self.seq, self.head);
        let next = |seq: u64, head| {
            let step = self.steps.get(seq.checked_add(1)?)?;
            (step.is_whole() && step.step.head == head)
                .then_some((step.step.seq, step.head_after()))
        };
        while let Some((next_seq, next_head)) = next(seq, head) {
            (seq, head) = (next_seq, next_head);
        }
        if seq > self.seq {
            self.add(output, [Change::Step { seq, head }]);
        }
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
