//! Ask for signatures and proofs, and take them whenever they come.
//!
//! A payment that waits for the seal goes through three stations: every slot of its coins is proved,
//! the journal knows its step, and only then is anything signed. Each payment goes by itself.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use tally_core::card::Signed;
use tally_core::device::{self, Entry, Sign, SpendToSign};
use tally_core::hash::Tag;
use tally_core::id::{DeviceId, Digest, Nonce, TxId};
use tally_core::keys::Signature;
use tally_core::message::Receipt;
use tally_core::predicate::{Unlock, spend_digest};
use tally_core::seal::{Slot, SlotProof};

use crate::answers::{Asked, Asker};
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
    /// A hello to a contact, by what is signed of it.
    Hello(DeviceId, Digest),
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

/// A step for the journal. These are carried out in the order in which they come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StepOrder {
    /// The payment.
    pub tx: TxId,
    /// What the journal is to hold.
    pub entry: Entry,
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

/// A payment on its way through the seal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spend {
    /// The slots that are to be left for it.
    slots: Vec<Slot>,
    proofs: BTreeMap<Slot, SlotProof>,
    /// What is to be signed, once the device says so.
    inputs: Vec<SpendToSign>,
    /// Where what it makes is to go.
    pub(crate) way: Option<Way>,
}

impl Spend {
    /// The first slot that is not proved yet.
    fn unproved(&self) -> Option<Slot> {
        self.slots.iter().find(|slot| !self.proofs.contains_key(slot)).copied()
    }

    /// What is asked for next, unless the device is to say what is signed.
    fn next(&self, tx: TxId) -> Option<Effect> {
        if let Some(slot) = self.unproved() {
            return Some(Effect::Prove(ProveOrder { tx, slot, all: self.slots.clone() }));
        }
        let digest = |input: &SpendToSign| spend_digest(&input.coin, &tx);
        let digests: Vec<Digest> = self.inputs.iter().map(digest).collect();
        let order = SignOrder { order: OrderId::Spend(tx), digests };
        (!self.inputs.is_empty()).then_some(Effect::Sign(order))
    }
}

impl Engine {
    /// Asks for what a device wants signed.
    pub(crate) fn order(&mut self, step: &mut Step<'_>, sign: Sign, via: Option<&Via>) {
        let Some(sign) = self.sign_inside(step, sign, via) else { return };
        let (order, digests) = match sign {
            Sign::Receipt { tx, digest } => (OrderId::Receipt(tx), alloc::vec![digest]),
            Sign::Consent { tx, digests } => (OrderId::Consent(tx), digests),
            Sign::Prove { tx, slots } => return self.order_proofs(step, tx, slots),
            Sign::Spend { tx, inputs, .. } => {
                return self.order_spend(step, StepOrder { tx, entry: self.entry() }, inputs);
            }
        };
        let asker = match via {
            None => Asker::Owner,
            Some(via) if self.is_stranger(&via.contact) => Asker::Stranger,
            Some(via) => Asker::Contact(via.contact),
        };
        self.answers.insert(order, asker, Asked { way: step.way, via: via.copied() });
        step.effects.push(Effect::Sign(SignOrder { order, digests }));
    }

    /// Has slots left for a payment. Asked for again, it goes on where it was.
    fn order_proofs(&mut self, step: &mut Step<'_>, tx: TxId, slots: Vec<Slot>) {
        let known = self.spends.remove(&tx).unwrap_or_default();
        let way = step.way.or(known.way);
        self.spends.insert(tx, Spend { slots, inputs: Vec::new(), way, ..known });
        // What waits for nothing any more is there to be told so.
        let _ = self.go_on(step, tx);
    }

    fn order_spend(&mut self, step: &mut Step<'_>, order: StepOrder, inputs: Vec<SpendToSign>) {
        let known = self.spends.remove(&order.tx).unwrap_or_default();
        let way = step.way.or(known.way);
        let slots = inputs.iter().filter_map(|input| input.slot).collect();
        self.spends.insert(order.tx, Spend { slots, inputs, way, ..known });
        step.effects.push(Effect::Observe(order));
    }

    /// Asks for what a payment needs next; when all is proved, the device says what is signed.
    fn go_on(&mut self, step: &mut Step<'_>, tx: TxId) -> Result<(), AgentError> {
        let Some(spend) = self.spends.get(&tx) else { return Ok(()) };
        step.way = spend.way;
        match spend.next(tx) {
            Some(effect) => {
                step.effects.push(effect);
                Ok(())
            }
            None => self.tell(step, device::Input::Proved { tx }, None),
        }
    }

    /// The journal has answered.
    pub(crate) fn observed(
        &mut self,
        step: &mut Step<'_>,
        tx: TxId,
        fits: bool,
    ) -> Result<(), AgentError> {
        if self.unobserved == Some(tx) {
            return self.release_held(step, fits);
        }
        // What was asked before a restart is answered anew.
        if !self.spends.contains_key(&tx) {
            return Ok(());
        }
        if fits { self.go_on(step, tx) } else { self.set_back(step) }
    }

    /// The hardware has answered. A proof for a payment that waits is kept although nobody has asked for
    /// it since a restart: the hardware may give it once only. Other answers that nothing waits for are
    /// dropped.
    pub(crate) fn proved(
        &mut self,
        step: &mut Step<'_>,
        tx: TxId,
        slot: Slot,
        proved: Proved,
    ) -> Result<(), AgentError> {
        let Some(spend) = self.spends.get_mut(&tx) else {
            let waits = self.device.pending().any(|outgoing| outgoing.tx == tx);
            if let (Proved::Proof(proof), true) = (proved, waits) {
                self.spends.entry(tx).or_default().proofs.insert(slot, *proof);
            }
            return Ok(());
        };
        step.way = spend.way;
        match proved {
            Proved::Proof(proof) => {
                let asked = spend.slots.contains(&slot);
                spend.proofs.insert(slot, *proof);
                if asked { self.go_on(step, tx) } else { Ok(()) }
            }
            Proved::Never { lost, set_back } => {
                self.tell(step, device::Input::SlotsLost { tx: Some(tx), slots: lost }, None)?;
                self.spends.remove(&tx);
                if set_back { self.set_back(step) } else { Ok(()) }
            }
        }
    }

    /// Signatures have come. Those that nobody waits for are dropped.
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
                let Some(asked) = self.answers.take(&order) else { return Ok(()) };
                step.way = asked.way;
                let signed = device::Input::ReceiptSigned { tx, signature };
                self.tell(step, signed, asked.via.as_ref())
            }
            OrderId::Consent(tx) => {
                let Some(asked) = self.answers.take(&order) else { return Ok(()) };
                step.way = asked.way;
                let signed = device::Input::Consented { tx, signatures };
                self.tell(step, signed, asked.via.as_ref())
            }
            OrderId::Hello(contact, _) => {
                if let Some(signature) = one() {
                    self.hello_signed(step, contact, signature);
                }
                Ok(())
            }
            OrderId::Invoice(nonce) => {
                let Some(signature) = one() else { return Ok(()) };
                self.invoice_signed(step, nonce, signature)
            }
        }
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
        let unlock = |(signature, input): (Signature, &SpendToSign)| match input
            .slot
            .and_then(|slot| spend.proofs.get(&slot))
        {
            Some(proof) => Unlock::Sealed(signature, proof.clone()),
            None => Unlock::Signature(signature),
        };
        let unlocks = signatures.into_iter().zip(&spend.inputs).map(unlock).collect();
        step.way = spend.way;
        self.tell(step, device::Input::Signed { tx, unlocks }, None)?;
        self.spends.remove(&tx);
        Ok(())
    }

    /// Makes all orders anew: of what waits for a signature or a counter, and of all payments that wait
    /// for the seal, and whose locks let them go.
    pub(crate) fn remind(&mut self, step: &mut Step<'_>) -> Result<(), AgentError> {
        self.unsaid.retain(|contact, _| self.outbox.waits_for(contact));
        self.ask_for_counters(step);
        self.ask_for_signatures(step);
        self.spends.retain(|tx, _| self.device.pending().any(|outgoing| outgoing.tx == *tx));
        if !self.is_normal() {
            return Ok(());
        }
        self.observe_again(step);
        if self.device.has_moved_locks(step.cx.now) {
            self.tell(step, device::Input::Locks, None)?;
        }
        let now = step.cx.now;
        let ready = self.device.pending().filter(|o| self.device.can_sign(o, now));
        let signs: Vec<Sign> = ready.map(|o| self.device.to_sign(o, now)).collect();
        for sign in signs {
            self.order(step, sign, None);
        }
        Ok(())
    }

    /// Asks again for the signatures of receipts, hellos and invoices. Whoever waits for a consent asks
    /// again.
    fn ask_for_signatures(&self, step: &mut Step<'_>) {
        let me = self.device.id();
        let receipts = self.answers.orders().into_iter().filter_map(|order| match order {
            OrderId::Receipt(tx) => Some((order, Receipt::digest(&tx, &me))),
            _ => None,
        });
        let hellos = self.unsaid.iter();
        let hellos = hellos.map(|(to, unsaid)| {
            let digest = unsaid.digest(to);
            (OrderId::Hello(*to, digest), digest)
        });
        let invoices = self.invoices.iter();
        let invoices = invoices
            .map(|(nonce, text)| (OrderId::Invoice(*nonce), Signed::digest(Tag::Invoice, text)));
        let sign =
            |(order, digest)| Effect::Sign(SignOrder { order, digests: alloc::vec![digest] });
        step.effects.extend(receipts.chain(hellos).chain(invoices).map(sign));
    }
}
