//! Ask the network about coins, and take its answers for those that they are about.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use tally_core::device::{Apart, Device, Pocket};
use tally_core::id::{AssetId, CoinId};
use tally_core::notary::StateId;

use crate::settle::Standing;

/// Coins that the network can be asked about, by the states that they are for it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Coins(BTreeMap<StateId, CoinId>);

impl Coins {
    /// All that are here: what the network shows of them to be spent, steps that are not known here have
    /// spent.
    pub fn held(device: &Device) -> Self {
        Self::of(device.ledger().pockets().filter(|pocket| pocket.is_ready()))
    }

    /// Those of an asset that the owner's word may free, if the network shows them to be unspent.
    pub fn in_question(device: &Device, asset: &AssetId) -> Self {
        let apart = device.set_apart().filter(|(_, why)| *why == Apart::Question);
        let is_of_asset =
            |pocket: &&Pocket| pocket.coin.as_ref().is_some_and(|(_, coin)| coin.asset == *asset);
        Self::of(apart.map(|(pocket, _)| pocket).filter(is_of_asset))
    }

    fn of<'a>(pockets: impl Iterator<Item = &'a Pocket>) -> Self {
        let coins = pockets.filter_map(|pocket| pocket.coin.as_ref());
        let by_state =
            coins.map(|(id, coin)| (StateId::of(&coin.owner.to_wire(), &(*id).into()), *id));
        Self(by_state.collect())
    }

    /// The states to ask for.
    pub fn states(&self) -> Vec<StateId> {
        self.0.keys().copied().collect()
    }

    /// The coin whose state this is.
    pub fn coin(&self, state: &StateId) -> Option<CoinId> {
        self.0.get(state).copied()
    }

    /// Those that the network shows to be unspent now. What it says nothing of that counts is not among
    /// them.
    pub fn unspent(&self, standings: &BTreeMap<StateId, Standing>) -> Vec<CoinId> {
        let is_unspent =
            |state: &StateId| matches!(standings.get(state), Some(Standing::Unspent(_)));
        self.0.iter().filter(|(state, _)| is_unspent(state)).map(|(_, coin)| *coin).collect()
    }
}
