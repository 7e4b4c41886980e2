//! Look at the network: who is there, whether they agree, and which states are spent.

use std::collections::BTreeMap;

use tally_agent::settle::{Errand, SplitView, Standing};
use tally_core::device::Event;
use tally_core::id::CoinId;
use tally_core::notary::{CertifiedRoot, NodeId, StateId};
use tally_transport::http::Url;

use crate::notary::NotaryError;
use crate::{Wallet, WalletError};

/// What one validator showed.
#[derive(Clone, Debug)]
pub struct Sight {
    /// Where it was asked.
    pub url: Url,
    /// The validator as which it answered; none if it did not show to be one.
    pub validator: Option<NodeId>,
    /// Its latest certificate, checked; or why it has none that is believed.
    pub latest: Result<CertifiedRoot, NotaryError>,
}

/// What a look at all validators has shown.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    /// Each validator.
    pub sights: Vec<Sight>,
    /// Contradictions.
    pub splits: Vec<SplitView>,
}

/// Whether a coin is spent, as the notary shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spent {
    /// The state that was looked up.
    pub state: StateId,
    /// Whether it is spent.
    pub spent: bool,
    /// The round under whose root that was shown.
    pub round: u64,
}

impl Wallet {
    /// Asks each validator for its latest certificate, and compares. What contradicts is kept.
    ///
    /// # Errors
    /// [`NotaryError::None`]; the first validator's error when none gives a certificate that is believed.
    pub fn watch(&mut self) -> Result<Watch, WalletError> {
        let errand = Errand { watch: true, ..self.errand()? };
        let brought = self.send(errand, &mut |_| {}, &mut |_| {})?;
        let watch = Watch { sights: brought.sights, splits: brought.splits };
        let believed = watch.sights.iter().any(|sight| sight.latest.is_ok());
        let first = watch.sights.first().and_then(|sight| sight.latest.clone().err());
        match first.filter(|_| !believed && watch.splits.is_empty()) {
            Some(error) => Err(error.into()),
            None => Ok(watch),
        }
    }

    /// Whether the notary has seen a spend of this coin of this wallet's, with the proof checked.
    ///
    /// # Errors
    /// [`WalletError::NotFound`] when the wallet has no such coin; [`WalletError::Notary`].
    pub fn look_up(&mut self, coin: &CoinId) -> Result<Spent, WalletError> {
        let unknown = || WalletError::NotFound { what: "coin", name: coin.to_string() };
        let state = self.state_of(coin).ok_or_else(unknown)?;
        self.look_up_state(state)
    }

    /// Whether the notary has seen a spend of this state, with the proof checked.
    ///
    /// # Errors
    /// [`WalletError::Notary`], also when what was shown does not count as the present state.
    pub fn look_up_state(&mut self, state: StateId) -> Result<Spent, WalletError> {
        match self.standings(vec![state])?.remove(&state) {
            Some(Standing::Spent(round)) => Ok(Spent { state, spent: true, round }),
            Some(Standing::Unspent(round)) => Ok(Spent { state, spent: false, round }),
            Some(Standing::Unknown(whose, trouble)) => Err(self.blame(whose, trouble).into()),
            None => Err(NotaryError::None.into()),
        }
    }

    /// What the network shows of these states: spent for ever, or unspent now, or neither, with the
    /// reason (spec `SETTLE-15`).
    ///
    /// # Errors
    /// [`NotaryError::None`], [`WalletError::Store`].
    pub fn standings(
        &mut self,
        states: Vec<StateId>,
    ) -> Result<BTreeMap<StateId, Standing>, WalletError> {
        let errand = Errand { states, ..self.errand()? };
        Ok(self.send(errand, &mut |_| {}, &mut |_| {})?.standings)
    }

    /// The state that a coin of this wallet's is for a notary: of a coin that is here, or that was
    /// paid away.
    pub fn state_of(&self, coin: &CoinId) -> Option<StateId> {
        let of = |owner: &tally_core::predicate::Predicate| {
            StateId::of(&owner.to_wire(), &(*coin).into())
        };
        let here = self.device().ledger().holding(coin).and_then(|pocket| pocket.coin.as_ref());
        if let Some((_, coin)) = here {
            return Some(of(&coin.owner));
        }
        let spent = self.device().outgoing().values().flat_map(|outgoing| outgoing.sources.iter());
        spent.clone().find(|source| source.id == *coin).map(|source| of(&source.coin.owner))
    }

    /// Fork proofs that are published come here, and those that are known here are published.
    ///
    /// # Errors
    /// [`NotaryError::None`], [`WalletError::Store`]. A validator that is not reached is passed over.
    pub fn exchange_forks(&mut self, show: &mut dyn FnMut(&Event)) -> Result<(), WalletError> {
        let errand = Errand { forks: Some(self.known_forks()), ..self.errand()? };
        self.send(errand, &mut |_| {}, show).map(|_| ())
    }
}
