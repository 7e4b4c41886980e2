//! Hold value as coins: an amount of one asset, and who may move it.

use crate::amount::Amount;
use crate::cbor::{Encode, record};
use crate::hash::{Tag, hash};
use crate::id::{AssetId, CoinId};
use crate::predicate::Predicate;

/// An amount of one asset under one predicate. It exists once a mint or a transaction made it, and
/// until a transaction spends it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Coin {
    /// Which asset.
    pub asset: AssetId,
    /// How much; never zero.
    pub amount: Amount,
    /// Who may move it.
    pub owner: Predicate,
}

record!(Coin { asset, amount, owner });

impl CoinId {
    /// The coin at `index` of what `maker` made: `H("coin", maker, index)` (spec `COIN-2`).
    pub fn of(maker: &dyn Encode, index: u8) -> Self {
        Self::new(hash(Tag::Coin, &[maker, &index]))
    }
}
