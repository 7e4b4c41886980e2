//! Run a whole device as one state machine: pay, be paid, meet, recover.
//!
//! [`Device::handle`] takes an [`Input`] and gives an [`Output`]; it has no clock, no randomness and
//! no I/O. The driver makes [`Output::changes`] durable **before** it does anything else with the
//! output: signs, sends or shows. If it cannot, it forgets this `Device` and makes one anew from
//! what is durable, exactly as after a crash ([`Device::apply`] on every stored change).
//!
//! What is durable of a payment, and what a restart does (spec `TRADE-1` to `TRADE-12`):
//!
//! | side | durable | then | after a restart |
//! |---|---|---|---|
//! | payer | nothing | an offer is out | abandon: nothing happened |
//! | payer | [`Outgoing`] `Proving` | the seal proves each slot | ask again; other payments go on |
//! | payer | [`Outgoing`] `Intent` | the seal signs | ask the seal again: the same bytes |
//! | payer | [`Outgoing`] `Signed` | the payment is sent | send it again, for as long as it takes |
//! | payer | the same, of what is reserved | the change waits for the payee's consent | send it again; once the lock has ended, the change is free |
//! | payer | [`Outgoing`] `Receipted` | done | nothing |
//! | payer | [`Outgoing`] to oneself, `Intent` | the seal signs | ask the seal again: the same bytes |
//! | payer | [`Outgoing`] to oneself, `Signed` | whom it was reserved for is asked | ask again, or wait for the lock's end |
//! | payer | [`Outgoing`] `GivenUp` | the seal gave no proof, nothing was signed | nothing: its coins are back |
//! | payee | [`Terms`] | accept or invoice is out | wait, until they expire |
//! | payee | nothing | its consent is signed, and stays here | the payment comes again |
//! | payee | [`Incoming`] | FINAL is shown, a receipt is sent | receipt again when the payment comes again |

mod accused;
mod change;
mod check;
mod consent;
mod contacts;
mod error;
mod forget;
mod io;
mod ledger;
mod meeting;
mod mints;
mod own;
mod payee;
mod payer;
mod payments;
mod recovery;
mod seals;
mod settle;
mod sightings;
mod sync;
#[cfg(test)]
pub(crate) mod tests;
mod view;
mod waiting;

use alloc::collections::{BTreeMap, BTreeSet};

pub use accused::Concern;
pub use change::{Change, Incoming, Mode, Outgoing, OutgoingState, Pocket, Terms};
pub use check::Standing;
pub use contacts::{Contact, ContactError, Forgotten, MAX_CONTACTS, MAX_STRANGERS, Meeting, Rests};
pub use error::DeviceError;
pub use forget::{MAX_REFUSED_STEPS, MAX_STRANGE_FORKS, MAX_STRANGE_STEPS};
pub use io::{
    Direction, Entry, Event, Input, Learnt, Output, Position, RejectReason, Sign, SpendToSign,
    World,
};
pub use ledger::Ledger;
pub use own::{MAX_RESERVATION, OwnError};
use payee::MAX_ALL_TERMS;
pub use recovery::{Apart, Basis, Missing, OwnStep, Recovered, RecoveryError};
pub use seals::Burned;
pub use settle::{Lost, Unsettled};
pub use sightings::Sightings;
pub use waiting::OnTerms;

use crate::accept::AcceptPolicy;
use crate::amount::Amount;
use crate::evidence::Trust;
use crate::fork::ForkProof;
use crate::id::{AssetId, DeviceId, Head, NetworkId, Nonce, TxId};
use crate::keys::PublicKey;
use crate::policy::Policy;
use crate::seal::{KnownSeals, SealIdentity};
use crate::time::Time;

/// Who a device is.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Me {
    /// The device's key.
    pub owner: PublicKey,
    /// The device's seal.
    pub seal: SealIdentity,
    /// The network that it is on.
    pub network: NetworkId,
}

impl Me {
    /// The device's identity.
    pub fn device(&self) -> DeviceId {
        DeviceId::of(&self.owner, &self.seal)
    }
}

/// A person's device: everything that it knows.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Device {
    me: Me,
    id: DeviceId,
    seq: u64,
    head: Head,
    ledger: Ledger,
    contacts: BTreeMap<DeviceId, Contact>,
    strangers: BTreeSet<(Time, DeviceId)>,
    policies: BTreeMap<AssetId, Policy>,
    accept: AcceptPolicy,
    outgoing: payments::Sent,
    incoming: payments::Received,
    terms: BTreeMap<Nonce, Terms>,
    sightings: Sightings,
    mints: mints::Mints,
    forks: BTreeMap<PublicKey, ForkProof>,
    accusation: Option<ForkProof>,
    mode: Mode,
    drafts: BTreeMap<DeviceId, payer::Draft>,
    outcomes: settle::Outcomes,
    enrolled: seals::Enrolled,
    live: BTreeSet<TxId>,
    offers: BTreeMap<DeviceId, payee::Open>,
    limits: forget::Limits,
    asked: BTreeMap<DeviceId, consent::Asked>,
    meetings: BTreeMap<DeviceId, u32>,
    steps: recovery::OwnSteps,
    recovered: Recovered,
    talks: BTreeMap<DeviceId, recovery::Talk>,
}

impl Device {
    /// A device that has done nothing.
    pub fn new(me: Me) -> Self {
        let id = me.device();
        Self {
            head: Head::genesis(&id),
            me,
            id,
            seq: 0,
            ledger: Ledger::default(),
            contacts: BTreeMap::new(),
            strangers: BTreeSet::new(),
            policies: BTreeMap::new(),
            accept: AcceptPolicy::default(),
            outgoing: payments::Sent::default(),
            incoming: payments::Received::default(),
            terms: BTreeMap::new(),
            sightings: Sightings::default(),
            mints: mints::Mints::default(),
            forks: BTreeMap::new(),
            accusation: None,
            mode: Mode::Normal,
            drafts: BTreeMap::new(),
            outcomes: settle::Outcomes::default(),
            enrolled: seals::Enrolled::default(),
            live: BTreeSet::new(),
            offers: BTreeMap::new(),
            limits: forget::Limits::default(),
            asked: BTreeMap::new(),
            meetings: BTreeMap::new(),
            steps: recovery::OwnSteps::default(),
            recovered: Recovered::default(),
            talks: BTreeMap::new(),
        }
    }

    /// Takes one input, and says what follows from it.
    ///
    /// On an error nothing has changed. A message that breaks a rule is no error: the answer to its
    /// sender is a refusal, and an event tells the owner.
    ///
    /// # Errors
    /// [`DeviceError`] when the owner's wish cannot be met.
    pub fn handle(&mut self, world: &World<'_>, input: Input) -> Result<Output, DeviceError> {
        match input {
            Input::Contact(card) => self.add_contact(card),
            Input::Stranger(card) => self.add_stranger(world, card),
            Input::RemoveContact(device) => self.remove_contact(device),
            Input::Policy(policy) => self.add_policy(policy),
            Input::AcceptPolicy(accept) => Ok(self.record([Change::Accept(accept)])),
            Input::Mint(minted) => self.receive_mint(world, minted),
            Input::Ask { nonce, terms } => self.ask(world, nonce, terms),
            Input::Pay { payee, asset, amount } => self.offer(world, payee, asset, amount),
            Input::PayInvoice { payee, invoice } => self.pay_invoice(world, payee, &invoice),
            Input::Refresh { asset } => self.refresh(world, asset),
            Input::Reserve { payee, asset, amount, until } => {
                self.reserve(world, payee, asset, amount, until)
            }
            Input::Release { payee, asset } => self.release(world, payee, asset),
            Input::Agree { tx } => self.agree(tx),
            Input::Consented { tx, signatures } => self.consented(world, tx, signatures),
            Input::Consents { tx, consents } => self.learn_consents(tx, &consents),
            Input::Locks => Ok(self.look_at_locks(world.now)),
            Input::Signed { tx, unlocks } => self.signed(world.now, tx, unlocks),
            Input::Retry { payee } => Ok(self.retry(world.now, payee)),
            Input::ReceiptSigned { tx, signature } => self.receipt_signed(tx, signature),
            Input::Message { from, message, nonce } => self.message(world, from, *message, nonce),
            Input::Fork(proof) => self.add_fork(world, *proof),
            Input::Meet { contact } => self.meet(world.now, contact),
            Input::Restored => Ok(self.restored(world)),
            Input::GiveUp { contact } => self.give_up(contact),
            Input::ConfirmRecovery(basis) => self.confirm_recovery(basis),
            Input::Free { asset, unspent } => self.free(world, asset, &unspent),
            Input::Spent { coin, proof } => self.spent(world, coin, &proof),
            Input::Certified(settlement) => self.certified(world, &settlement),
            Input::Lost { source, proof } => self.lose(world, source, &proof),
            Input::Enrolled(certificate) => self.enroll(*certificate),
            Input::Revoked(list) => self.revoked(*list),
            Input::Lock(lock) => {
                self.lock(lock);
                Ok(Output::default())
            }
            Input::Away(away) => {
                self.set_away(away);
                Ok(Output::default())
            }
            Input::Proved { tx } => self.proved(world.now, tx),
            Input::Unsigned { tx } => self.unsign(tx),
            Input::SlotsLost { tx, slots } => self.burn(world, tx, &slots),
        }
    }

    /// Takes over one durable change: how a device is made anew from what was stored.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Step { seq, head } => (self.seq, self.head) = (seq, head),
            Change::Contact(contact) => self.put_contact(*contact),
            Change::Forgotten(forgotten) => self.forget(forgotten),
            Change::Policy(policy) => {
                self.policies.insert(policy.id(), policy);
            }
            Change::Accept(accept) => self.accept = accept,
            Change::Pocket(pocket) => {
                self.incoming.left(pocket.id, self.at_stake(&pocket));
                self.ledger.put(pocket);
            }
            Change::Outgoing(outgoing) => self.outgoing.put(outgoing),
            Change::Incoming(incoming) => {
                let pocket = self.ledger.pocket(&payments::Received::pocket(&incoming));
                let left = pocket.map_or(Amount::ZERO, |pocket| self.at_stake(pocket));
                self.incoming.put(incoming, left);
            }
            Change::Terms(nonce, Some(terms)) => {
                self.terms.insert(nonce, terms);
            }
            Change::Terms(nonce, None) => {
                self.terms.remove(&nonce);
            }
            Change::Sighting(sighting) => self.sightings.put(sighting),
            Change::Fork(proof) if proof.key == self.me.owner => self.accusation = Some(*proof),
            Change::Fork(proof) => {
                self.forks.insert(proof.key.clone(), *proof);
            }
            Change::Mode(mode) => self.mode = mode,
            Change::Waiting(steps) => {
                self.mode = Mode::ReceiveOnly;
                self.steps.take_over(&steps);
            }
            Change::OwnStep(step) => self.steps.put(step),
            Change::Recovered(recovered) => self.recovered = *recovered,
            Change::Foreign(pocket) => self.ledger.set_foreign(pocket),
            Change::Apart(pocket, apart) => {
                self.ledger.set(pocket, apart);
                let left = self.ledger.pocket(&pocket).map(|pocket| self.at_stake(pocket));
                self.incoming.left(pocket, left.unwrap_or(Amount::ZERO));
            }
            Change::Minted { asset, serial, mint } => self.mints.put(asset, serial, mint),
            Change::Enrollment(certificate) => self.enrolled.add(*certificate),
            Change::Revocation(list) => self.enrolled.revoke(*list),
            Change::Burned(burned) => self.enrolled.burn(burned),
            Change::Settled { tx, at } => self.outcomes.settle(tx, at),
            Change::Lost(lost) => {
                self.outcomes.lose(*lost);
                for pocket in self.struck() {
                    self.incoming.left(pocket, Amount::ZERO);
                }
            }
        }
    }

    /// Applies changes and puts them out, to be made durable.
    fn record(&mut self, changes: impl IntoIterator<Item = Change>) -> Output {
        let mut output = Output::default();
        self.add(&mut output, changes);
        output
    }

    fn add(&mut self, output: &mut Output, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            self.apply(change.clone());
            output.changes.push(change);
        }
    }

    fn trusting<'a>(
        &'a self,
        world: &World<'a>,
        seals: KnownSeals<'a>,
        bricked: &'a dyn Fn(&PublicKey) -> bool,
    ) -> Trust<'a> {
        Trust {
            network: self.me.network,
            policies: &self.policies,
            notary: world.notary,
            seals,
            bricked,
            viewer: Some(&self.me.owner),
        }
    }

    fn contact(&self, device: &DeviceId) -> Result<&Contact, DeviceError> {
        Ok(self.contacts.get(device).ok_or(ContactError::Unknown)?)
    }
}
