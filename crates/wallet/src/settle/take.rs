//! Take over what an errand has learnt.

use std::collections::{BTreeMap, BTreeSet};

use tally_agent::settle::{EndpointId, Learned, Trouble};
use tally_core::device::{Event, Input, Lost};
use tally_core::evidence::{Proof, Settlement};
use tally_core::fork::ForkProof;
use tally_core::id::{CoinId, TxId};
use tally_core::keys::{PublicKey, Signature};
use tally_core::notary::{InclusionProof, StateId};

use crate::notary::Endpoint;
use crate::{Wallet, WalletError};

/// What an errand has brought so far.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// The races that were lost.
    pub(super) lost: Vec<Lost>,
    /// What the device does not take over though it was shown.
    pub(super) refused: BTreeMap<TxId, Trouble>,
    /// What is known of the endpoints.
    pub(super) endpoints: Vec<Endpoint>,
}

impl Taken {
    fn endpoint(&mut self, at: EndpointId, note: impl FnOnce(&mut Endpoint)) {
        if let Some(known) = self.endpoints.get_mut(at) {
            note(known);
        }
    }
}

impl Wallet {
    /// Takes over one thing, and says which fork proofs are known here by that.
    pub(super) fn take(
        &mut self,
        learned: Learned,
        taken: &mut Taken,
        show: &mut dyn FnMut(&Event),
    ) -> Result<Vec<ForkProof>, WalletError> {
        match learned {
            Learned::Consents { tx, consents } => self.take_consents(tx, consents, show)?,
            Learned::Certified(settlement) => self.take_certified(settlement, taken, show)?,
            Learned::Lost { source, proof } => {
                let before: BTreeSet<PublicKey> = self.device().forks().keys().cloned().collect();
                self.take_lost(source, proof, taken, show)?;
                let forks = self.device().forks().iter();
                let new = forks.filter(|(key, _)| !before.contains(*key));
                return Ok(new.map(|(_, proof)| proof.clone()).collect());
            }
            Learned::Spent { state, proof } => self.take_spent(state, proof, show)?,
            Learned::Forks { endpoint, proofs, next } => {
                let keys: Vec<PublicKey> = proofs.iter().map(|proof| proof.key.clone()).collect();
                self.take_forks(proofs, show)?;
                let known = keys.iter().filter_map(|key| self.device().forks().get(key)).cloned();
                let known = known.collect();
                taken.endpoint(endpoint, |endpoint| {
                    keys.into_iter().for_each(|key| endpoint.note_told(key));
                    endpoint.forks = next;
                });
                return Ok(known);
            }
            Learned::Told { endpoint, key } => {
                taken.endpoint(endpoint, |known| known.note_told(key));
            }
        }
        Ok(Vec::new())
    }

    /// The fork proofs that are known here, to be published: those about contacts, about who is in the
    /// history of what is held here, and about who took what is lost come before those that a stranger
    /// may have made by the thousand.
    pub(crate) fn known_forks(&self) -> Vec<ForkProof> {
        let device = self.device();
        let contacts = device.contacts().values().filter(|contact| contact.stranger.is_none());
        let held = device.ledger().pockets().filter(|pocket| !pocket.amount().is_zero());
        let near: BTreeSet<PublicKey> = contacts
            .map(|contact| contact.owner.clone())
            .chain(held.flat_map(|pocket| pocket.evidence.uncertified_keys()))
            .chain(device.lost().values().map(|lost| lost.key.clone()))
            .collect();
        let (first, then): (Vec<&ForkProof>, Vec<&ForkProof>) =
            device.forks().values().partition(|proof| near.contains(&proof.key));
        first.into_iter().chain(then).cloned().collect()
    }

    /// What is no consent is passed over, and what was certified with it refused.
    fn take_consents(
        &mut self,
        tx: TxId,
        consents: Vec<Signature>,
        show: &mut dyn FnMut(&Event),
    ) -> Result<(), WalletError> {
        if !self.device().outgoing().contains_key(&tx) {
            return Ok(());
        }
        self.tell(Input::Consents { tx, consents }, show).map(|_| ())
    }

    /// Certified spends, all together; if the device refuses something of it, those of each transaction
    /// alone, so that one does not keep the others from being settled.
    fn take_certified(
        &mut self,
        settlement: Box<Settlement>,
        taken: &mut Taken,
        show: &mut dyn FnMut(&Event),
    ) -> Result<(), WalletError> {
        if self.tell(Input::Certified(settlement.clone()), show)?.is_none() {
            return Ok(());
        }
        let mut each: BTreeMap<TxId, Vec<Proof>> = BTreeMap::new();
        for proof in settlement.proofs {
            each.entry(proof.tx).or_default().push(proof);
        }
        for (tx, proofs) in each {
            let certificate = settlement.certificate.clone();
            let alone = Settlement { certificate, proofs };
            if let Some(refused) = self.tell(Input::Certified(Box::new(alone)), show)? {
                taken.refused.insert(tx, refused);
            }
        }
        Ok(())
    }

    /// Another transaction spent a state first: whoever signed both is convicted.
    fn take_lost(
        &mut self,
        source: CoinId,
        proof: Box<InclusionProof>,
        taken: &mut Taken,
        show: &mut dyn FnMut(&Event),
    ) -> Result<(), WalletError> {
        self.tell(Input::Lost { source, proof }, show)?;
        taken.lost.extend(self.device().lost().get(&source).cloned());
        Ok(())
    }

    /// A coin that is here is spent for the network: a step of this wallet's that it does not know.
    fn take_spent(
        &mut self,
        state: StateId,
        proof: Box<InclusionProof>,
        show: &mut dyn FnMut(&Event),
    ) -> Result<(), WalletError> {
        let held = self.device().ledger().pockets().filter_map(|p| Some(p.coin.as_ref()?.0));
        let spent = held.filter(|coin| self.state_of(coin) == Some(state)).last();
        match spent {
            Some(coin) => self.tell(Input::Spent { coin, proof }, show).map(|_| ()),
            _ => Ok(()),
        }
    }

    /// A page of fork proofs, as one change; if the device refuses one of them, each alone.
    fn take_forks(
        &mut self,
        proofs: Vec<ForkProof>,
        show: &mut dyn FnMut(&Event),
    ) -> Result<(), WalletError> {
        let input = |proof: &ForkProof| Input::Fork(Box::new(proof.clone()));
        let all: Vec<Input> = proofs.iter().map(input).collect();
        if self.tell_all(all.clone(), show)?.is_some() {
            for one in all {
                self.tell(one, show)?;
            }
        }
        Ok(())
    }

    fn tell(
        &mut self,
        input: Input,
        show: &mut dyn FnMut(&Event),
    ) -> Result<Option<Trouble>, WalletError> {
        self.tell_all(vec![input], show)
    }

    /// Tells the device; says why it refuses, if it does. What it refuses stops nothing else.
    fn tell_all(
        &mut self,
        inputs: Vec<Input>,
        show: &mut dyn FnMut(&Event),
    ) -> Result<Option<Trouble>, WalletError> {
        match self.run(inputs, show) {
            Ok(_) => Ok(None),
            Err(WalletError::Device(error)) => {
                self.ready()?;
                let (word, message) = (error.code().to_owned(), error.to_string());
                Ok(Some(Trouble::Fault { word, message, later: false }))
            }
            Err(other) => Err(other),
        }
    }
}
