//! Know what became of the payments that wait for the seal in a backup.
//!
//! Each was signed since, or given up; and the numbers of the last ones that were given up are free, so
//! that other steps may have taken them. Nothing is signed while that is open.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::steps::{Missing, OwnStep, Recovered};
use crate::device::{Change, Contact, Device, Outgoing, OutgoingState, Output, World};
use crate::evidence::Hop;
use crate::id::{CoinId, TxId};
use crate::message::Told;

impl Device {
    /// The last steps as far as none of them is known to be signed, given up ones too; the latest first.
    pub(in crate::device) fn unsigned_tail(&self) -> Vec<&Outgoing> {
        let mut tail = Vec::new();
        let mut at = self.head;
        while let Some(outgoing) = self.outgoing.unsigned(&at) {
            at = outgoing.transaction.step.head;
            tail.push(outgoing);
        }
        tail
    }

    /// Whether this device knows of no step with this number that it has signed: others can know one only if it
    /// was set back. What waits for a signature, and what was given up last, is none.
    pub(in crate::device) fn is_unknown(&self, seq: u64) -> bool {
        let is_it = |o: &&Outgoing| o.transaction.step.seq == seq;
        seq > self.seq || self.is_pending(seq) || self.unsigned_tail().iter().any(is_it)
    }

    /// Whether a step that this device signed can be known to others only if it was set back.
    pub(super) fn is_set_back_by(&self, told: &Told) -> bool {
        let seq = told.seq();
        self.is_unknown(seq) || !self.replaced_by(&OwnStep::new(told)).is_empty()
    }

    /// The numbers and transactions of the last steps in whose place this one was signed: those that it
    /// contradicts, and all that stand on them.
    fn replaced_by(&self, step: &OwnStep) -> Vec<(u64, TxId)> {
        let tail = self.unsigned_tail();
        let other = |o: &&Outgoing| o.tx != step.tx && step.contradicts(&o.transaction);
        let count = tail.iter().rposition(other).map_or(0, |at| at.saturating_add(1));
        tail.iter().take(count).map(|o| (o.transaction.step.seq, o.tx)).collect()
    }

    /// A device signs one transaction a number, and one a coin: what waits for the seal here, and has
    /// another step in its place, was given up after the backup.
    pub(super) fn make_way(&mut self, output: &mut Output, step: &OwnStep) {
        let (replaced, spends) = (self.replaced_by(step), step.spends());
        let in_the_way = |intent: &&Outgoing| {
            let replaced = || replaced.iter().any(|(_, tx)| *tx == intent.tx);
            let spent = || intent.sources.iter().any(|source| spends.contains(&source.id));
            intent.tx != step.tx && (replaced() || spent())
        };
        let undone: Vec<Outgoing> = self.pending().rev().filter(in_the_way).cloned().collect();
        // None of these was signed: what is missing is counted anew from before them.
        let mut missing = self.recovered.missing.clone();
        replaced.iter().for_each(|(seq, _)| missing.found(*seq));
        self.keep_missing(output, missing);
        undone.iter().for_each(|intent| self.undo_intent(output, intent));
        if !replaced.is_empty() {
            self.step_back(output);
        }
    }

    /// Steps are missing, which may have taken the numbers and the coins of what waits for the seal: that
    /// is undone, unless it is known to be signed. Its numbers are missing too, and stay taken.
    pub(super) fn undo_intents(&mut self, output: &mut Output, missing: &mut Missing) {
        let intents = self.pending().rev().filter(|intent| !self.is_known_signed(intent));
        let undone: Vec<Outgoing> = intents.cloned().collect();
        let tail = self.unsigned_tail().into_iter().take_while(|o| !self.is_known_signed(o));
        for outgoing in undone.iter().chain(tail) {
            let seq = outgoing.transaction.step.seq;
            missing.add(seq, seq);
        }
        self.keep_missing(output, missing.clone());
        undone.iter().for_each(|intent| self.undo_intent(output, intent));
    }

    pub(super) fn keep_missing(&mut self, output: &mut Output, missing: Missing) {
        if missing != self.recovered.missing {
            let recovered = Recovered { missing, ..self.recovered.clone() };
            self.add(output, [Change::Recovered(Box::new(recovered))]);
        }
    }

    /// What waits for the seal is as if it had never been; its coins are back, and may be spent.
    fn undo_intent(&mut self, output: &mut Output, intent: &Outgoing) {
        self.give_up_payment(output, intent);
        if let Some(contact) = self.contacts.get(&intent.payee).cloned() {
            let (link, _) = self.relation(&contact.device, &contact.owner);
            self.add(output, [Change::Contact(Box::new(Contact { link, ..contact }))]);
        }
        self.question(output, intent.sources.iter().map(|source| source.pocket));
    }

    /// Whether a step that is known spends what waits for the seal here would make: then that was signed.
    fn is_known_signed(&self, intent: &Outgoing) -> bool {
        let made: Vec<CoinId> = intent.transaction.made().map(|(id, _)| id).collect();
        let spends = |step: &OwnStep| step.spends().iter().any(|coin| made.contains(coin));
        self.steps.all().any(spends)
    }

    /// A step that is told is the one that waits here for the seal: it was signed before. It is sent
    /// again like everything that has no receipt.
    pub(super) fn sign_as_told(
        &mut self,
        world: &World<'_>,
        output: &mut Output,
        step: &OwnStep,
    ) -> bool {
        let Some(intent) = self.outgoing.all().get(&step.tx).cloned() else { return false };
        match intent.state {
            OutgoingState::Proving | OutgoingState::Intent => {}
            OutgoingState::Signed | OutgoingState::Receipted => {
                self.step_done(output, step, step.forms.first());
                return true;
            }
            OutgoingState::GivenUp => return false,
        }
        let unlocks = |hop: &&Hop| {
            let mut spends = intent.sources.iter().zip(hop.witnesses.iter());
            spends.all(|(source, w)| self.unlocks(world, &source.coin, &source.id, &step.tx, w))
        };
        let Some(hop) = step.forms.iter().find(unlocks).cloned() else { return true };
        let unlocks = hop.witnesses.iter().map(|witness| witness.unlock.clone()).collect();
        if let Ok(mut signed) = self.signed(world.now, step.tx, unlocks) {
            signed.send.clear();
            output.extend(signed);
            self.step_done(output, step, Some(&hop));
        }
        true
    }
}
