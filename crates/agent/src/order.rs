//! Ask for signatures and proofs, and take them whenever they come.
//!
//! A payment that waits for the seal goes through three stations: the journal knows its step, every
//! slot of its coins is proved, and only then is anything signed. Each payment goes by itself.

use alloc::vec::Vec;

use tally_core::device::{self, Sign, SpendToSign};
use tally_core::id::{DeviceId, Digest, Head, Nonce, TxId};
use tally_core::keys::Signature;
use tally_core::predicate::{Unlock, spend_digest};
use tally_core::seal::{Slot, SlotProof};

use crate::engine::{Engine, Step};
use crate::packet::Via;
use crate::{AgentError, Effect, Proved, Way};

/// What a signature is for: the same thing has the same name whenever it is asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum OrderId {
    /// A payment.
    Spend(TxId),
    /// A receipt.
    Receipt(TxId),
    /// Consents to a payment or a release.
    Consent(TxId),
    /// The hello to a contact.
    Hello(DeviceId),
    /// An invoice.
    Invoice(Nonce),
}

/// Digests to be signed with the owner's key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignOrder {
    /// What for.
    pub order: OrderId,
    /// Each is signed by itself.
    pub digests: Vec<Digest>,
}

/// A step for the journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StepOrder {
    /// The payment.
    pub tx: TxId,
    /// The number of the step.
    pub seq: u64,
    /// The head after it.
    pub head: Head,
}

/// A slot to be left for a payment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProveOrder {
    /// The payment.
    pub tx: TxId,
    /// The slot.
    pub slot: Slot,
    /// All slots of the payment, of which the shell says which are lost if this one is.
    pub all: Vec<Slot>,
}

/// Who asked for a signature, so that what it makes goes there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    way: Option<Way>,
    via: Option<Via>,
}

/// A payment on its way through the seal.
#[derive(Clone, Debug)]
pub(crate) struct Spend {
    step: StepOrder,
    inputs: Vec<SpendToSign>,
    proofs: Vec<Option<SlotProof>>,
    /// Where what it makes is to go.
    pub(crate) way: Option<Way>,
}

impl Spend {
    fn slots(&self) -> Vec<Slot> {
        self.inputs.iter().filter_map(|input| input.slot).collect()
    }

    /// The first slot that is not proved yet.
    fn unproved(&self) -> Option<Slot> {
        let mut inputs = self.inputs.iter().zip(&self.proofs);
        inputs.find_map(|(input, proof)| input.slot.filter(|_| proof.is_none()))
    }

    /// What is asked for next.
    fn next(&self) -> Effect {
        match self.unproved() {
            Some(slot) => Effect::Prove(ProveOrder { tx: self.step.tx, slot, all: self.slots() }),
            None => {
                let digest = |input: &SpendToSign| spend_digest(&input.coin, &self.step.tx);
                let digests = self.inputs.iter().map(digest).collect();
                Effect::Sign(SignOrder { order: OrderId::Spend(self.step.tx), digests })
            }
        }
    }
}

impl Engine {
    /// Asks for what a device wants signed.
    pub(crate) fn order(&mut self, step: &mut Step<'_>, sign: Sign, via: Option<&Via>) {
        let (order, digests) = match sign {
            Sign::Receipt { tx, digest } => (OrderId::Receipt(tx), alloc::vec![digest]),
            Sign::Consent { tx, digests } => (OrderId::Consent(tx), digests),
            Sign::Spend { tx, seq, head, inputs } => {
                return self.order_spend(step, StepOrder { tx, seq, head }, inputs);
            }
        };
        self.answers.insert(order, Asked { way: step.way, via: via.copied() });
        step.effects.push(Effect::Sign(SignOrder { order, digests }));
    }

    fn order_spend(&mut self, step: &mut Step<'_>, order: StepOrder, inputs: Vec<SpendToSign>) {
        // Asked for again, it goes on where it was.
        let known = self.spends.get(&order.tx).filter(|spend| spend.inputs == inputs);
        let proofs = known.map_or_else(|| alloc::vec![None; inputs.len()], |s| s.proofs.clone());
        let way = step.way.or_else(|| known.and_then(|spend| spend.way));
        let spend = Spend { step: order, inputs, proofs, way };
        // An older step, of a restored device, is behind steps that the journal holds.
        let newest = order.seq == self.device.seq() && self.is_normal();
        let next = if newest { Effect::Observe(order) } else { spend.next() };
        self.spends.insert(order.tx, spend);
        step.effects.push(next);
    }

    /// The journal has answered.
    pub(crate) fn observed(
        &mut self,
        step: &mut Step<'_>,
        tx: TxId,
        fits: bool,
    ) -> Result<(), AgentError> {
        if !fits {
            return self.set_back(step);
        }
        if let Some(spend) = self.spends.get(&tx) {
            step.effects.push(spend.next());
        }
        Ok(())
    }

    /// The hardware has answered. An answer that nothing waits for is dropped: the hardware gives
    /// the same proof again.
    pub(crate) fn proved(
        &mut self,
        step: &mut Step<'_>,
        tx: TxId,
        slot: Slot,
        proved: Proved,
    ) -> Result<(), AgentError> {
        let Some(spend) = self.spends.get_mut(&tx) else { return Ok(()) };
        step.way = spend.way;
        match proved {
            Proved::Proof(proof) => {
                let place = spend.inputs.iter().position(|input| input.slot == Some(slot));
                if let Some(kept) = place.and_then(|place| spend.proofs.get_mut(place)) {
                    *kept = Some(*proof);
                }
                step.effects.push(spend.next());
                Ok(())
            }
            Proved::Never { lost, set_back } => {
                self.spends.remove(&tx);
                self.tell(step, device::Input::SlotsLost { tx: Some(tx), slots: lost }, None)?;
                if set_back { self.set_back(step) } else { Ok(()) }
            }
        }
    }

    /// Signatures have come.
    pub(crate) fn signed(
        &mut self,
        step: &mut Step<'_>,
        order: OrderId,
        signatures: Vec<Signature>,
    ) -> Result<(), AgentError> {
        let one = || signatures.first().cloned();
        match order {
            OrderId::Spend(tx) => self.spend_signed(step, tx, signatures),
            OrderId::Receipt(tx) => {
                let Some(signature) = one() else { return Ok(()) };
                let via = self.answered(step, &order);
                self.tell(step, device::Input::ReceiptSigned { tx, signature }, via.as_ref())
            }
            OrderId::Consent(tx) => {
                let via = self.answered(step, &order);
                self.tell(step, device::Input::Consented { tx, signatures }, via.as_ref())
            }
            OrderId::Hello(contact) => {
                let Some(signature) = one() else { return Ok(()) };
                self.hello_signed(step, contact, signature);
                Ok(())
            }
            OrderId::Invoice(nonce) => {
                let Some(signature) = one() else { return Ok(()) };
                self.invoice_signed(step, nonce, signature)
            }
        }
    }

    /// Where the answer to an order goes.
    fn answered(&mut self, step: &mut Step<'_>, order: &OrderId) -> Option<Via> {
        let asked = self.answers.remove(order)?;
        step.way = asked.way;
        asked.via
    }

    fn spend_signed(
        &mut self,
        step: &mut Step<'_>,
        tx: TxId,
        signatures: Vec<Signature>,
    ) -> Result<(), AgentError> {
        // An order that nobody waits for any more may still be answered.
        let Some(spend) = self.spends.get(&tx) else { return Ok(()) };
        if spend.unproved().is_some() || signatures.len() != spend.inputs.len() {
            return Ok(());
        }
        let unlock = |(signature, proof): (Signature, &Option<SlotProof>)| match proof {
            Some(proof) => Unlock::Sealed(signature, proof.clone()),
            None => Unlock::Signature(signature),
        };
        let unlocks = signatures.into_iter().zip(&spend.proofs).map(unlock).collect();
        step.way = spend.way;
        self.tell(step, device::Input::Signed { tx, unlocks }, None)?;
        self.spends.remove(&tx);
        Ok(())
    }

    /// Makes the orders anew of all payments that wait for the seal, and whose locks let them go.
    pub(crate) fn remind(&mut self, step: &mut Step<'_>) -> Result<(), AgentError> {
        if !self.is_normal() {
            return Ok(());
        }
        if self.device.has_ended_locks(step.cx.now) {
            self.tell(step, device::Input::LocksEnded, None)?;
        }
        let now = step.cx.now;
        let waiting = self.device.outgoing().values();
        let ready = waiting
            .filter(|o| o.state == device::OutgoingState::Intent && self.device.can_sign(o, now));
        let mut signs: Vec<(u64, Sign)> =
            ready.map(|o| (o.transaction.step.seq, self.device.to_sign(o))).collect();
        signs.sort_by_key(|(seq, _)| *seq);
        for (_, sign) in signs {
            self.order(step, sign, None);
        }
        Ok(())
    }
}
