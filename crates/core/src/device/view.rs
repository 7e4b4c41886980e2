//! What can be read of a device.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use super::{
    Contact, Device, Incoming, Ledger, Me, Mode, Outgoing, OutgoingState, Sightings, Terms,
};
use crate::accept::AcceptPolicy;
use crate::fork::ForkProof;
use crate::id::{AssetId, DeviceId, Head, Nonce, TxId};
use crate::keys::PublicKey;
use crate::message::Payment;
use crate::policy::Policy;

impl Device {
    /// Who the device is.
    pub fn me(&self) -> &Me {
        &self.me
    }

    /// The device's identity.
    pub fn id(&self) -> DeviceId {
        self.id
    }

    /// The number of its last step.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Its head: the chain of everything that it signed.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Its pockets, under their root.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Its contacts.
    pub fn contacts(&self) -> &BTreeMap<DeviceId, Contact> {
        &self.contacts
    }

    /// The assets that it knows.
    pub fn policies(&self) -> &BTreeMap<AssetId, Policy> {
        &self.policies
    }

    /// What its owner accepts.
    pub fn accept_policy(&self) -> &AcceptPolicy {
        &self.accept
    }

    /// Its payments to others.
    pub fn outgoing(&self) -> &BTreeMap<TxId, Arc<Outgoing>> {
        self.outgoing.all()
    }

    /// Its payment that this message makes, if it is one of its own that still stands.
    pub fn payment_made_by(&self, payee: &DeviceId, payment: &Payment) -> Option<&Outgoing> {
        self.outgoing.after(*payee, payment.offer.link).filter(|o| o.payment == *payment)
    }

    /// Its payments to a payee that are signed and not receipted, in the order of their steps.
    pub fn unreceipted(&self, payee: DeviceId) -> impl Iterator<Item = &Outgoing> {
        self.outgoing.waiting(payee).filter(|o| o.state == OutgoingState::Signed)
    }

    /// Payments and mints that it received.
    pub fn incoming(&self) -> &BTreeMap<TxId, Arc<Incoming>> {
        self.incoming.all()
    }

    /// The terms that it gave and that are open.
    pub fn terms(&self) -> &BTreeMap<Nonce, Terms> {
        &self.terms
    }

    /// The steps of others that it has seen.
    pub fn sightings(&self) -> &Sightings {
        &self.sightings
    }

    /// The forks that it can prove, by the key that is convicted.
    pub fn forks(&self) -> &BTreeMap<PublicKey, ForkProof> {
        &self.forks
    }

    /// Whether it may sign.
    pub fn mode(&self) -> &Mode {
        &self.mode
    }
}
