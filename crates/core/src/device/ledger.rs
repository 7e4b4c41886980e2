//! Hold a device's pockets, and the tree that commits to them in 32 bytes.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use tally_tree::{Tree, Value};

use super::{Apart, Pocket};
use crate::amount::Amount;
use crate::id::{AssetId, CoinId, Root};
use crate::keys::PublicKey;
use crate::time::Time;
use crate::trade::held;

/// A device's pockets under their root.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Ledger {
    pockets: BTreeMap<CoinId, Arc<Pocket>>,
    /// The pocket that each coin is in.
    places: BTreeMap<CoinId, CoinId>,
    /// The pockets that can be spent from, by asset and amount.
    ready: BTreeSet<(AssetId, Amount, CoinId)>,
    /// The pockets whose coins are set aside for somebody, or were until their lock ended.
    reserved: BTreeSet<CoinId>,
    /// The pockets whose coins are set apart after a restore.
    apart: BTreeMap<CoinId, Apart>,
    /// The pockets whose coins came under a lock of this device's hardware that it did not give.
    foreign: BTreeSet<CoinId>,
    tree: Tree,
}

impl Pocket {
    /// What is left in the pocket.
    pub fn amount(&self) -> Amount {
        self.coin.as_ref().map_or(Amount::ZERO, |(_, coin)| coin.amount)
    }

    fn coin_id(&self) -> Option<CoinId> {
        self.coin.as_ref().map(|(id, _)| *id)
    }

    fn leaf(&self) -> Value {
        held(&self.link, self.amount())
    }

    /// The pocket's place among those that can be spent from, if it is one.
    fn ready(&self) -> Option<(AssetId, Amount, CoinId)> {
        let (_, coin) = self.coin.as_ref().filter(|_| self.is_ready())?;
        Some((coin.asset, coin.amount, self.id))
    }

    /// For whom the pocket's coin is set aside at `now`, if it is.
    pub fn reserved_for(&self, now: Time) -> Option<&PublicKey> {
        self.coin.as_ref().and_then(|(_, coin)| coin.owner.reserved_for(now))
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
        self.pockets.values().map(Arc::as_ref)
    }

    /// The pocket with this key.
    pub fn pocket(&self, id: &CoinId) -> Option<&Pocket> {
        self.pockets.get(id).map(Arc::as_ref)
    }

    /// The pocket whose coin this is.
    pub fn holding(&self, coin: &CoinId) -> Option<&Pocket> {
        self.places.get(coin).and_then(|pocket| self.pocket(pocket))
    }

    /// Sums of what is in the pockets, by asset: what is in question too, and not what is known to be
    /// spent. A sum that cannot be counted is left out.
    pub fn balances(&self) -> BTreeMap<AssetId, Amount> {
        let mut sums = BTreeMap::<AssetId, Amount>::new();
        let held = self.pockets.values().filter(|pocket| !self.is_spent(&pocket.id));
        for (_, coin) in held.filter_map(|p| p.coin.as_ref()) {
            let sum = sums.entry(coin.asset).or_default();
            *sum = sum.checked_add(coin.amount).unwrap_or(*sum);
        }
        sums
    }

    /// The pockets whose coins are set apart, and why.
    pub(super) fn set_apart(&self) -> impl Iterator<Item = (&Pocket, Apart)> {
        let apart = self.apart.iter().filter_map(|(id, apart)| Some((self.pocket(id)?, *apart)));
        apart.filter(|(pocket, _)| pocket.coin.is_some())
    }

    /// Why a pocket's coin is set apart, if it is.
    pub(super) fn apart(&self, pocket: &CoinId) -> Option<Apart> {
        self.apart.get(pocket).copied()
    }

    /// Whether a pocket's coin came under a lock that this device did not give.
    pub(super) fn is_foreign(&self, pocket: &CoinId) -> bool {
        self.foreign.contains(pocket)
    }

    /// A pocket's coin came under a lock that this device did not give.
    pub(super) fn set_foreign(&mut self, pocket: CoinId) {
        self.foreign.insert(pocket);
    }

    /// Whether a pocket's coin is known to be spent.
    pub(super) fn is_spent(&self, pocket: &CoinId) -> bool {
        matches!(self.apart(pocket), Some(Apart::Spent(_)))
    }

    /// Sets a pocket's coin apart, or frees it.
    pub(super) fn set(&mut self, pocket: CoinId, apart: Option<Apart>) {
        match apart {
            Some(apart) => self.apart.insert(pocket, apart),
            None => self.apart.remove(&pocket),
        };
        let place = self.pocket(&pocket).and_then(Pocket::ready);
        match (place, apart) {
            (Some(place), None) => drop(self.ready.insert(place)),
            (Some(place), Some(_)) => drop(self.ready.remove(&place)),
            (None, _) => {}
        }
    }

    /// The pockets whose coins are set aside for somebody, or were until their lock ended.
    pub fn reserved(&self) -> impl Iterator<Item = &Pocket> {
        self.reserved.iter().filter_map(|id| self.pocket(id))
    }

    /// Whether anything was set aside for whoever has `key`, even if its lock has ended.
    pub(super) fn reserves_for(&self, key: &PublicKey) -> bool {
        let aside = |pocket: &Pocket| {
            let reserved = pocket.coin.as_ref().and_then(|(_, coin)| coin.owner.reservation());
            reserved.is_some_and(|reserved| reserved.payee == *key)
        };
        self.reserved().any(aside)
    }

    /// Puts in a pocket, or replaces what is known of it.
    pub(super) fn put(&mut self, pocket: Arc<Pocket>) {
        let (key, value) = (pocket.id.into(), pocket.leaf());
        if self.tree.replace(&key, value).is_err() {
            // A key that is absent can be inserted: the tree refuses only what is present.
            let inserted = self.tree.insert(key, value);
            debug_assert!(inserted.is_ok(), "the key was absent");
        }
        let old = self.pockets.insert(pocket.id, Arc::clone(&pocket));
        let (was, is) = (old.as_ref().and_then(|old| old.coin_id()), pocket.coin_id());
        if was != is {
            was.map(|coin| self.places.remove(&coin));
            is.map(|coin| self.places.insert(coin, pocket.id));
        }
        let (was, is) = (old.and_then(|old| old.ready()), pocket.ready());
        if was != is {
            was.map(|place| self.ready.remove(&place));
            self.ready.extend(is.filter(|(_, _, id)| !self.apart.contains_key(id)));
        }
        let reserved = pocket.coin.as_ref().and_then(|(_, coin)| coin.owner.reservation());
        if reserved.is_some() {
            self.reserved.insert(pocket.id);
        } else {
            self.reserved.remove(&pocket.id);
        }
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
        usable: impl Fn(&Pocket) -> bool,
    ) -> Option<Vec<&Pocket>> {
        let first = |amount| (*asset, amount, CoinId::new([0; 32]));
        let last = (*asset, Amount::new(u64::MAX), CoinId::new([0xff; 32]));
        let pocket = |(_, _, id): &(AssetId, Amount, CoinId)| {
            self.pocket(id).filter(|pocket| usable(pocket))
        };
        if let Some(alone) = self.ready.range(first(amount)..=last).find_map(pocket) {
            return Some(alloc::vec![alone]);
        }
        let mut sum = Amount::ZERO;
        let mut picked = Vec::new();
        let largest_first = self.ready.range(first(Amount::ZERO)..=last).rev();
        for pocket in largest_first.filter_map(pocket).take(most) {
            sum = sum.checked_add(pocket.amount())?;
            picked.push(pocket);
            if sum >= amount {
                return Some(picked);
            }
        }
        None
    }
}
