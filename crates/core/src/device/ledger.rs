//! Hold a device's pockets, and the tree that commits to them in 32 bytes.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use tally_tree::{Tree, Value};

use super::Pocket;
use crate::amount::Amount;
use crate::id::{AssetId, CoinId, Root};
use crate::trade::held;

/// A device's pockets under their root.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Ledger {
    pockets: BTreeMap<CoinId, Pocket>,
    tree: Tree,
}

impl Pocket {
    /// What is left in the pocket.
    pub fn amount(&self) -> Amount {
        self.coin.as_ref().map_or(Amount::ZERO, |(_, coin)| coin.amount)
    }

    fn leaf(&self) -> Value {
        held(&self.link, self.amount())
    }

    /// Whether the pocket's coin can be spent: it is there, and so is what lies behind it.
    pub fn is_ready(&self) -> bool {
        self.coin.is_some() && !self.evidence.mints.is_empty()
    }
}

impl Ledger {
    /// The root of the tree.
    pub fn root(&self) -> Root {
        self.tree.root().into()
    }

    /// Every pocket, spent-out ones too.
    pub fn pockets(&self) -> impl Iterator<Item = &Pocket> {
        self.pockets.values()
    }

    /// The pocket with this key.
    pub fn pocket(&self, id: &CoinId) -> Option<&Pocket> {
        self.pockets.get(id)
    }

    /// The pocket whose coin this is.
    pub fn holding(&self, coin: &CoinId) -> Option<&Pocket> {
        self.pockets.values().find(|p| p.coin.as_ref().is_some_and(|(id, _)| id == coin))
    }

    /// Sums of what is in the pockets, by asset. A sum that cannot be counted is left out.
    pub fn balances(&self) -> BTreeMap<AssetId, Amount> {
        let mut sums = BTreeMap::<AssetId, Amount>::new();
        for (_, coin) in self.pockets.values().filter_map(|p| p.coin.as_ref()) {
            let sum = sums.entry(coin.asset).or_default();
            *sum = sum.checked_add(coin.amount).unwrap_or(*sum);
        }
        sums
    }

    /// Puts in a pocket, or replaces what is known of it.
    pub(super) fn put(&mut self, pocket: Pocket) {
        let (key, value) = (pocket.id.into(), pocket.leaf());
        if self.tree.replace(&key, value).is_err() {
            // A key that is absent can be inserted: the tree refuses only what is present.
            let inserted = self.tree.insert(key, value);
            debug_assert!(inserted.is_ok(), "the key was absent");
        }
        self.pockets.insert(pocket.id, pocket);
    }

    /// The pocket's place in the tree.
    pub(super) fn prove(&self, id: &CoinId) -> Option<tally_tree::InclusionCertificate> {
        self.tree.prove(&(*id).into())
    }

    /// Pockets of `asset` from which `amount` can be paid, the last of which keeps the change: the
    /// smallest that suffices alone, or else the largest first.
    pub(super) fn pick(
        &self,
        asset: &AssetId,
        amount: Amount,
        most: usize,
    ) -> Option<Vec<&Pocket>> {
        let of_asset = |p: &&Pocket| p.coin.as_ref().is_some_and(|(_, c)| c.asset == *asset);
        let mut ready: Vec<&Pocket> =
            self.pockets.values().filter(of_asset).filter(|p| p.is_ready()).collect();
        ready.sort_by_key(|p| p.amount());
        if let Some(alone) = ready.iter().find(|p| p.amount() >= amount) {
            return Some(alloc::vec![*alone]);
        }
        let mut sum = Amount::ZERO;
        let mut picked = Vec::new();
        for pocket in ready.into_iter().rev().take(most) {
            sum = sum.checked_add(pocket.amount())?;
            picked.push(pocket);
            if sum >= amount {
                return Some(picked);
            }
        }
        None
    }
}
