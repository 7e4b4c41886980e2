//! Consent to what is reserved for this device: to a payment, or to its payer's taking it back.
//!
//! A consent is given to what the owner has signed, and to one transaction of a coin only: who
//! consented to two could be paid the smaller. So a payment is consented to when it is taken, and a
//! consent leaves this device once what it is for is durable (spec `OWN-4`, `OWN-5`).

use alloc::vec::Vec;

use super::payee::{Checked, sources_of};
use super::{Change, Device, DeviceError, Event, Mode, Output, RecoveryError, Sign, World};
use crate::amount::Amount;
use crate::cbor::List;
use crate::evidence::{Hop, Sighting};
use crate::id::{DeviceId, Digest, TxId};
use crate::keys::{PublicKey, Signature};
use crate::message::{Message, Payment, Receipt};
use crate::predicate::{Unlock, UnlockError, consent_digest, spend_digest};
use crate::trade::{self, Source, TradeError};

/// What a contact has signed and needs this device's consent for. It does not survive a restart.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Asked {
    tx: TxId,
    payment: Payment,
    sources: Vec<Source>,
    what: What,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum What {
    /// A payment to this device.
    Payment(Checked),
    /// A payment by the contact to itself, and the steps that it shows.
    Release(Vec<Sighting>),
}

impl Device {
    /// What has to be signed before a payment of what is reserved for this device can be taken, if
    /// something has to.
    pub(super) fn ask_consent(
        &mut self,
        world: &World<'_>,
        from: DeviceId,
        payment: &Payment,
        checked: &Checked,
    ) -> Result<Option<Output>, DeviceError> {
        let mine = Some(&self.me.owner);
        let spends = checked.sources.iter().zip(payment.commit.unlocks.iter());
        let mut locked = spends.filter(|(source, unlock)| {
            source.coin.owner.reserved_for(world.now) == mine
                && matches!(unlock, Unlock::Signature(_))
        });
        if locked.next().is_none() {
            return Ok(None);
        }
        let amount = payment.offer.amount;
        if !trade::keeps_aside(&checked.sources, amount, &self.me.owner, world.now) {
            return Err(TradeError::Change.into());
        }
        let (hop, sightings) = self.signed_by_payer(from, &self.id, payment, &checked.sources)?;
        let mut steps = self.new_sightings(&checked.behind(&payment.offer.evidence));
        steps.extend(sightings);
        if let Some(output) = self.convict_from(&steps) {
            return Ok(Some(self.refusing(output, from, TradeError::Fork.into())));
        }
        let (tx, sources) = (hop.tx.id(), checked.sources.clone());
        let digests = self.consents_to(&tx, &sources);
        let (payment, what) = (payment.clone(), What::Payment(checked.clone()));
        self.ask_for_consent(from, Asked { tx, payment, sources, what });
        let sign = alloc::vec![Sign::Consent { tx, digests }];
        Ok(Some(Output { sign, ..Output::default() }))
    }

    fn ask_for_consent(&mut self, from: DeviceId, asked: Asked) {
        if let Some(other) = self.makes_room(&self.asked, &from) {
            self.asked.remove(&other);
        }
        self.asked.insert(from, asked);
    }

    /// A contact asks to take back what is reserved for this device: its owner is asked.
    pub(super) fn asked_release(
        &mut self,
        world: &World<'_>,
        from: DeviceId,
        payment: Payment,
    ) -> Result<Output, DeviceError> {
        let payer = self.contact(&from)?;
        if self.is_bricked(&payer.owner) {
            return Err(TradeError::Fork.into());
        }
        let (offer, owner) = (&payment.offer, payer.owner.clone());
        let holdings = self.verify_incoming(world, &offer.evidence)?;
        let sources = sources_of(offer, &holdings, payer)?;
        let mine = |source: &Source| is_reserved_for(source, &self.me.owner);
        if !sources.iter().all(mine) || payment.accept.owner.key() != &owner {
            return Err(TradeError::Coins.into());
        }
        let (hop, signed) = self.signed_by_payer(from, &from, &payment, &sources)?;
        let mut steps = self.new_sightings(&offer.evidence);
        steps.extend(signed);
        if let Some(output) = self.convict_from(&steps) {
            return Ok(self.refusing(output, from, TradeError::Fork.into()));
        }
        // All that is set aside is free afterwards, whatever the payment to oneself says.
        let amount = Amount::checked_sum(sources.iter().map(|source| source.coin.amount));
        let (tx, asset, amount) = (hop.tx.id(), offer.asset, amount.ok_or(TradeError::Amount)?);
        self.ask_for_consent(from, Asked { tx, payment, sources, what: What::Release(steps) });
        let events = alloc::vec![Event::ReleaseAsked { tx, from, asset, amount }];
        Ok(Output { events, ..Output::default() })
    }

    /// The owner consents to a release. What it spends is seen from then on, so that no payment of it
    /// is taken any more.
    pub(super) fn agree(&mut self, tx: TxId) -> Result<Output, DeviceError> {
        let asked = self.asked.iter().find(|(_, asked)| asked.tx == tx);
        let (_, Asked { sources, what: What::Release(steps), .. }) =
            asked.ok_or(DeviceError::NotWaiting)?
        else {
            return Err(DeviceError::NotWaiting);
        };
        let (sources, steps) = (sources.clone(), steps.clone());
        let mut digests = self.consents_to(&tx, &sources);
        digests.push(Receipt::digest(&tx, &self.id));
        let mut output = self.record(steps.into_iter().map(Change::Sighting));
        output.sign.push(Sign::Consent { tx, digests });
        Ok(output)
    }

    /// The consents are signed: the payment is taken with them, or they answer who asked.
    pub(super) fn consented(
        &mut self,
        world: &World<'_>,
        tx: TxId,
        mut signatures: Vec<Signature>,
    ) -> Result<Output, DeviceError> {
        let from = self.asked.iter().find(|(_, asked)| asked.tx == tx).map(|(from, _)| *from);
        let from = from.ok_or(DeviceError::NotWaiting)?;
        let asked = self.asked.remove(&from).ok_or(DeviceError::NotWaiting)?;
        // Who lost its memory since may have consented to another payment of the same coins.
        if self.mode != Mode::Normal {
            let why = RecoveryError::ReceiveOnly.into();
            return Ok(self.refusing(Output::default(), from, why));
        }
        let Asked { mut payment, sources, what, .. } = asked;
        let checked = match what {
            What::Payment(checked) => checked,
            What::Release(_) => {
                let signature = signatures.pop().ok_or(DeviceError::NotWaiting)?;
                let consents = List::truncated(signatures);
                let message = Message::Receipt(Receipt { tx, signature, consents });
                return Ok(Output { send: alloc::vec![(from, message)], ..Output::default() });
            }
        };
        let (unlocks, mine) = (&payment.commit.unlocks, &self.me.owner);
        let unlocks = consented(&sources, unlocks, &tx, mine, &signatures)?;
        payment.commit.unlocks = List::truncated(unlocks);
        match self.paid(world, from, &payment, Some(checked)) {
            Ok(output) => Ok(output),
            Err(error) => Ok(self.refusing(Output::default(), from, error)),
        }
    }

    /// This device's consents in a payment that it took, to be sent with the receipt.
    pub(super) fn consents_in(
        &self,
        hop: &Hop,
    ) -> List<Signature, { crate::transaction::MAX_INPUTS }> {
        let tx = hop.tx.id();
        let inputs = hop.tx.body.inputs.iter().zip(hop.witnesses.iter());
        let mine = inputs.filter_map(|(coin, witness)| match &witness.unlock {
            Unlock::Reserved(_, consent) => {
                let digest = consent_digest(coin, &tx);
                self.me.owner.verify(&digest, consent).then(|| consent.clone())
            }
            Unlock::Signature(_) | Unlock::Sealed(..) => None,
        });
        List::truncated(mine.collect())
    }

    /// The transaction that a payer has signed, and the steps that it shows. Who lost its memory may
    /// have consented to another one: it consents to none.
    fn signed_by_payer(
        &self,
        from: DeviceId,
        payee: &DeviceId,
        payment: &Payment,
        sources: &[Source],
    ) -> Result<(Hop, Vec<Sighting>), DeviceError> {
        if self.mode != Mode::Normal {
            return Err(RecoveryError::ReceiveOnly.into());
        }
        let Payment { offer, accept, commit } = payment;
        let network = self.me.network;
        let transaction = trade::transaction(offer, accept, sources, payee, network)?;
        if transaction.step.root != commit.root {
            return Err(TradeError::Root.into());
        }
        let key = self.contact(&from)?.owner.clone();
        let hop = payment.hop(&transaction);
        let tx = transaction.id();
        let signed = |(source, unlock): (&Source, &Unlock)| {
            key.verify(&spend_digest(&source.id, &tx), unlock.owner_signature())
        };
        let complete = sources.len() == commit.unlocks.len();
        if !complete || !sources.iter().zip(commit.unlocks.iter()).all(signed) {
            let error = crate::evidence::EvidenceError::Unlock(UnlockError::OwnerSignature);
            return Err(error.into());
        }
        let sighting = |branch| Sighting { key: key.clone(), branch };
        let sightings = hop.branches().map(sighting).collect();
        Ok((hop, sightings))
    }

    fn consents_to(&self, tx: &TxId, sources: &[Source]) -> Vec<Digest> {
        let mine = sources.iter().filter(|source| is_reserved_for(source, &self.me.owner));
        mine.map(|source| consent_digest(&source.id, tx)).collect()
    }
}

fn is_reserved_for(source: &Source, key: &PublicKey) -> bool {
    source.coin.owner.reservation().is_some_and(|reserved| reserved.payee == *key)
}

/// The unlocks of a payment with the consents of whoever has `key`: one for each input that is
/// reserved for it, in order.
pub(super) fn consented(
    sources: &[Source],
    unlocks: &[Unlock],
    tx: &TxId,
    key: &PublicKey,
    consents: &[Signature],
) -> Result<Vec<Unlock>, TradeError> {
    let mut consents = consents.iter();
    let unlock = |(source, unlock): (&Source, &Unlock)| {
        if !is_reserved_for(source, key) {
            return Ok(unlock.clone());
        }
        let consent = consents.next().ok_or(TradeError::Receipt)?;
        if !key.verify(&consent_digest(&source.id, tx), consent) {
            return Err(TradeError::Receipt);
        }
        Ok(Unlock::Reserved(unlock.owner_signature().clone(), consent.clone()))
    };
    let all = sources.iter().zip(unlocks.iter()).map(unlock).collect::<Result<Vec<_>, _>>()?;
    if consents.next().is_some() { Err(TradeError::Receipt) } else { Ok(all) }
}
