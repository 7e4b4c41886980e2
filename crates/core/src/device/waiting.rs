//! Have a payment proved, then signed; give up what gets no proof, as if it had never been.
//!
//! A payment takes its step at once, and later ones stand on it. Until all its slots are proved it is
//! [`OutgoingState::Proving`]: no order to sign anything of it has left, so it can be given up at any
//! time, by itself, whatever was signed after it. Others then see a number that nobody signed, which
//! contradicts nothing (spec `SEAL-22`, `SEAL-30` to `SEAL-33`).

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{
    Burned, Change, Contact, Device, DeviceError, Entry, Event, Incoming, Mode, Outgoing,
    OutgoingState, Output, Pocket, Position, Sign, SpendToSign, World,
};
use crate::evidence::{Evidence, Hop};
use crate::id::{DeviceId, Nonce, TxId};
use crate::predicate::{Predicate, spend_digest};
use crate::seal::Slot;
use crate::time::Time;
use crate::trade::{Source, TradeError};

/// What became of the payment on terms that a payee gave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnTerms<'a> {
    /// There is none, or it was given up: the terms can be paid.
    Nothing,
    /// It is not signed yet, so it is not made.
    Waits(&'a Outgoing),
    /// It is made.
    Paid(&'a Outgoing),
}

impl Outgoing {
    /// Whether it is made: it was signed, and counts whether or not the payee has it.
    pub fn is_signed(&self) -> bool {
        match self.state {
            OutgoingState::Proving | OutgoingState::Intent | OutgoingState::GivenUp => false,
            OutgoingState::Signed | OutgoingState::Receipted => true,
        }
    }

    /// Where the device stood before its step.
    fn before(&self) -> Position {
        let step = self.transaction.step;
        Position { seq: step.seq.saturating_sub(1), head: step.head }
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = Slot> {
        self.sources.iter().filter_map(|source| match &source.coin.owner {
            Predicate::Sealed(sealed) => Some(sealed.slot),
            Predicate::Signature(_) | Predicate::Reserved(_) => None,
        })
    }
}

impl Device {
    /// What became of the payment on these terms of a payee: the one answer for every way to pay.
    pub fn on_terms(&self, payee: DeviceId, nonce: Nonce) -> OnTerms<'_> {
        let Some(outgoing) = self.outgoing.on_terms(payee, nonce) else { return OnTerms::Nothing };
        if outgoing.is_signed() { OnTerms::Paid(outgoing) } else { OnTerms::Waits(outgoing) }
    }

    /// The payments that wait for proofs or signatures, in the order of their steps.
    pub fn pending(&self) -> impl DoubleEndedIterator<Item = &Outgoing> {
        self.outgoing.pending()
    }

    /// Whether a payment to this payee that this device's hardware has to prove is not signed yet. What stands
    /// on its link could not be taken if it is given up, or before its locks end.
    pub(super) fn proves_for(&self, payee: DeviceId) -> bool {
        let rests_on_seal = |o: &Outgoing| !o.is_signed() && o.slots().next().is_some();
        self.outgoing.waiting(payee).any(rests_on_seal)
    }

    /// The slots that a payment has to leave before anything of it is signed.
    pub(super) fn slots_to_leave(&self, sources: &[Source], now: Time) -> Vec<Slot> {
        let slot = |source: &Source| self.slot_to_leave(&source.pocket, &source.coin.owner, now);
        sources.iter().filter_map(slot).collect()
    }

    /// What the seal is asked for a payment that waits for it, the same each time.
    pub fn to_sign(&self, outgoing: &Outgoing, now: Time) -> Sign {
        let tx = outgoing.tx;
        if outgoing.state == OutgoingState::Proving {
            return Sign::Prove { tx, slots: self.slots_to_leave(&outgoing.sources, now) };
        }
        let input = |source: &Source| SpendToSign {
            coin: source.id,
            digest: spend_digest(&source.id, &tx),
            slot: self.slot_to_leave(&source.pocket, &source.coin.owner, now),
        };
        let inputs = outgoing.sources.iter().map(input).collect();
        Sign::Spend { tx, seq: outgoing.transaction.step.seq, entry: self.entry(), inputs }
    }

    /// What the owner's payments wait for can be had now: nothing is signed while the device only
    /// receives, and coins whose slots give no proof move by the key alone, once their locks ended.
    pub fn can_sign(&self, outgoing: &Outgoing, now: Time) -> bool {
        let locked = |s: &Source| self.locked_until(&s.pocket, &s.coin.owner, now).is_some();
        self.mode == Mode::Normal && !outgoing.sources.iter().any(locked)
    }

    /// Every slot is proved: from now on the payment counts as signed, and is never given up.
    pub(super) fn proved(&mut self, now: Time, tx: TxId) -> Result<Output, DeviceError> {
        let waiting = self.outgoing.all().get(&tx).filter(|o| o.state == OutgoingState::Proving);
        let waiting = Outgoing::clone(waiting.ok_or(DeviceError::NotWaiting)?);
        let handed = Arc::new(Outgoing { state: OutgoingState::Intent, ..waiting });
        let mut output = self.record([Change::Outgoing(Arc::clone(&handed))]);
        output.sign.push(self.to_sign(&handed, now));
        Ok(output)
    }

    /// Where the device stands, and where it stood before each step that may not be in the seal's
    /// journal yet. Steps that wait for proofs, or were given up, are in no journal.
    fn positions(&self) -> Vec<Position> {
        let mut positions = Vec::new();
        let mut at = Position { seq: self.seq, head: self.head };
        while let Some(outgoing) = self.unsigned_at(&at) {
            if outgoing.state == OutgoingState::Intent {
                positions.push(at);
            }
            at = outgoing.before();
        }
        positions.push(at);
        positions
    }

    /// The payment whose step ends here, if it is not signed. What recovery undid because steps are
    /// missing may have been signed: its number stays taken.
    fn unsigned_at(&self, at: &Position) -> Option<&Outgoing> {
        let taken = |outgoing: &Outgoing| {
            outgoing.state == OutgoingState::GivenUp && self.recovered.missing.contains(at.seq)
        };
        self.outgoing.unsigned(&at.head).filter(|outgoing| !taken(outgoing))
    }

    /// What the seal's journal holds, if nothing was set back.
    pub fn entry(&self) -> Entry {
        let mut positions = self.positions().into_iter();
        let here = Position { seq: self.seq, head: self.head };
        Entry { to: positions.next().unwrap_or(here), from: positions.collect() }
    }

    /// The number of the last step before anything that is not signed: contacts are asked for what
    /// comes after it, for there they may hold other steps of this device.
    pub(super) fn before_unsigned(&self) -> u64 {
        let (pending, tail) = (self.outgoing.pending().next(), self.unsigned_tail());
        let first = pending.into_iter().chain(tail.last().copied());
        first.map(|outgoing| outgoing.before().seq).fold(self.seq, u64::min)
    }

    /// Whether this device has a step with this number that is not signed.
    pub(super) fn is_pending(&self, seq: u64) -> bool {
        self.outgoing.pending().any(|outgoing| outgoing.transaction.step.seq == seq)
    }

    /// The seal gives no proof from these slots. What was to leave one of them, and nothing of which
    /// can have been signed, is given up: its coins are back where they were, and those whose slots are
    /// spent wait for their locks to end.
    pub(super) fn burn(
        &mut self,
        world: &World<'_>,
        tx: Option<TxId>,
        slots: &[Slot],
    ) -> Result<Output, DeviceError> {
        if tx.is_some_and(|tx| !self.outgoing.all().contains_key(&tx)) {
            return Err(DeviceError::NotWaiting);
        }
        let lost = |outgoing: &&Outgoing| {
            outgoing.state == OutgoingState::Proving
                && (tx == Some(outgoing.tx) || outgoing.slots().any(|slot| slots.contains(&slot)))
        };
        let lost: Vec<Outgoing> = self.outgoing.pending().rev().filter(lost).cloned().collect();
        let burned = slots.iter().map(|slot| Burned { slot: *slot, at: world.now });
        let mut output = self.record(burned.map(Change::Burned));
        lost.iter().for_each(|outgoing| self.give_up_payment(&mut output, outgoing));
        Ok(output)
    }

    /// What waits for the seal may have been signed before this device was set back: it is completed by
    /// the key alone, once its locks have ended, and never given up, unless it turns out that another
    /// step was taken in its place.
    pub(super) fn doubt(&mut self, world: &World<'_>, output: &mut Output) {
        let pending: Vec<Outgoing> = self.outgoing.pending().cloned().collect();
        for outgoing in pending {
            let slots: Vec<Slot> = outgoing.slots().collect();
            let at = world.now;
            self.add(output, slots.into_iter().map(|slot| Change::Burned(Burned { slot, at })));
            let doubtful = Outgoing { state: OutgoingState::Intent, ..outgoing };
            self.add(output, [Change::Outgoing(Arc::new(doubtful))]);
        }
    }

    /// A payment that was signed, and has not left, is as if its seal had not answered: it waits, is signed
    /// by nobody while this device only receives, and makes way for another step that was signed in its
    /// place.
    pub(super) fn unsign(&mut self, tx: TxId) -> Result<Output, DeviceError> {
        // What was receipted has left, but for what this device paid itself.
        let may_wait = |outgoing: &&Arc<Outgoing>| match outgoing.state {
            OutgoingState::Signed => true,
            OutgoingState::Receipted => outgoing.payee == self.id,
            OutgoingState::Proving | OutgoingState::Intent | OutgoingState::GivenUp => false,
        };
        let signed = self.outgoing.all().get(&tx).filter(may_wait);
        let signed = signed.filter(|_| self.mode != Mode::Normal);
        let mut outgoing = Outgoing::clone(signed.ok_or(DeviceError::NotWaiting)?);
        let left = self.left_by(&outgoing);
        let left = left.map(|pocket| Pocket { evidence: Evidence::default(), ..pocket.clone() });
        let left: Vec<Pocket> = left.collect();
        outgoing.state = OutgoingState::Intent;
        outgoing.payment.commit.unlocks = crate::cbor::List::default();
        let mut output = self.record([Change::Outgoing(Arc::new(outgoing))]);
        self.add(&mut output, left.into_iter().map(|pocket| Change::Pocket(Arc::new(pocket))));
        Ok(output)
    }

    /// Puts back what a payment took: its coins, the payee's link, and the step if it is the last.
    pub(super) fn give_up_payment(&mut self, output: &mut Output, outgoing: &Outgoing) {
        let offer = &outgoing.payment.offer;
        let pockets = outgoing.sources.iter().map(|source| Pocket {
            id: source.pocket,
            link: source.link,
            coin: Some((source.id, source.coin.clone())),
            evidence: offer.evidence.behind(&source.id),
        });
        let mut changes: Vec<Change> = pockets.map(|p| Change::Pocket(Arc::new(p))).collect();
        let contact = self.contacts.get(&outgoing.payee).cloned();
        let contact = contact.map(|c| Contact { link: offer.link, ..c });
        changes.extend(contact.map(|contact| Change::Contact(Box::new(contact))));
        // What this device paid itself never came to be: its pocket stays, with nothing in it.
        let opened = outgoing.transaction.made().next().filter(|_| outgoing.payee == self.id);
        let opened = opened.and_then(|(id, _)| self.ledger.holding(&id));
        let emptied = opened.map(|p| Pocket { coin: None, ..p.clone() });
        changes.extend(emptied.map(|pocket| Change::Pocket(Arc::new(pocket))));
        self.live.remove(&outgoing.tx);
        self.add(output, changes);
        self.mark_given_up(output, outgoing);
        self.step_back(output);
        let until = |source: &Source| {
            self.locked_until(&source.pocket, &source.coin.owner, Time::from_unix(0))
        };
        output.events.push(Event::GivenUp {
            tx: outgoing.tx,
            payee: outgoing.payee,
            asset: offer.asset,
            amount: offer.amount,
            until: outgoing.sources.iter().filter_map(until).max(),
        });
    }

    fn mark_given_up(&mut self, output: &mut Output, outgoing: &Outgoing) {
        let (state, given_up) = (OutgoingState::GivenUp, Some(self.head));
        let outgoing = Outgoing { state, given_up, ..outgoing.clone() };
        self.add(output, [Change::Outgoing(Arc::new(outgoing))]);
    }

    /// Undoes the last steps as far as they were given up: their numbers are free again, since nobody
    /// can have seen them.
    pub(super) fn step_back(&mut self, output: &mut Output) {
        let mut undone = Vec::new();
        let mut at = Position { seq: self.seq, head: self.head };
        let given_up = |o: &&Outgoing| o.state == OutgoingState::GivenUp;
        while let Some(outgoing) = self.unsigned_at(&at).filter(given_up) {
            at = outgoing.before();
            undone.push(outgoing.clone());
        }
        if undone.is_empty() {
            return;
        }
        self.add(output, [Change::Step { seq: at.seq, head: at.head }]);
        undone.iter().for_each(|outgoing| self.mark_given_up(output, outgoing));
        let came = self.incoming.all().values().filter(|incoming| incoming.after > at.seq);
        let came: Vec<Incoming> = came.map(|i| Incoming::clone(i)).collect();
        let came = came.into_iter().map(|i| Incoming { after: at.seq, ..i });
        self.add(output, came.map(|incoming| Change::Incoming(Arc::new(incoming))));
    }

    /// The record of a step that this device was told of, if it is a payment that it knows unsigned.
    pub(super) fn found_signed(&self, hop: &Hop) -> Option<Change> {
        let outgoing = self.outgoing.all().get(&hop.tx.id()).filter(|o| !o.is_signed())?;
        let mut found = Outgoing::clone(outgoing);
        let unlocks = hop.witnesses.iter().map(|witness| witness.unlock.clone()).collect();
        found.payment.commit.unlocks = crate::cbor::List::truncated(unlocks);
        (found.state, found.given_up) = (OutgoingState::Signed, None);
        Some(Change::Outgoing(Arc::new(found)))
    }

    /// Whether the payment that these terms are for can be begun.
    pub(super) fn may_begin(&self, payee: DeviceId, nonce: Nonce) -> Result<(), TradeError> {
        match self.on_terms(payee, nonce) {
            OnTerms::Nothing => Ok(()),
            OnTerms::Waits(_) => Err(TradeError::Waiting),
            OnTerms::Paid(_) => Err(TradeError::Terms),
        }
    }
}
