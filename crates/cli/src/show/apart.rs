//! Show what is set apart after a restore: how much, why, and what to do.

use std::collections::BTreeMap;

use serde::Serialize;
use tally_core::amount::Amount;
use tally_core::device::{Apart, Device, Mode};
use tally_core::id::{AssetId, CoinId};

use super::{Money, Names};

/// Why coins are not paid with.
#[derive(Serialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// A payment that this wallet does not know may have spent them.
    InQuestion,
    /// The owner's word has freed them, and that is not certified yet.
    Freed,
    /// They are spent by a payment that this wallet does not know whole.
    Spent,
}

impl From<Apart> for Why {
    fn from(apart: Apart) -> Self {
        match apart {
            Apart::Question => Self::InQuestion,
            Apart::Freed => Self::Freed,
            Apart::Spent(_) => Self::Spent,
        }
    }
}

impl Why {
    /// What is the state of a coin that is set apart, if it is.
    pub fn of(device: &Device, pocket: &CoinId) -> Option<Self> {
        let apart = device.set_apart().find(|(apart, _)| apart.id == *pocket);
        apart.map(|(_, why)| why.into())
    }

    /// The state of a coin, in words.
    pub const fn state(self) -> &'static str {
        match self {
            Self::InQuestion => "set apart",
            Self::Freed => "freed, not certified yet",
            Self::Spent => "spent by an unknown payment",
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::InQuestion => {
                "set apart: a payment of this wallet's that it does not know may have spent it"
            }
            Self::Freed => "set apart: freed by your word, and not certified yet",
            Self::Spent => {
                "not there any more: a payment of this wallet's that it does not know whole has spent it"
            }
        }
    }
}

/// Coins of an asset that are not paid with, for one reason.
#[derive(Serialize)]
pub struct SetApart {
    /// How much.
    #[serde(flatten)]
    pub money: Money,
    coins: u64,
    why: Why,
    /// What to do.
    pub next: String,
}

impl SetApart {
    /// All that is set apart, by asset and reason.
    pub fn all(device: &Device, names: &Names) -> Vec<Self> {
        let mut sums: BTreeMap<(AssetId, Why), (Amount, u64)> = BTreeMap::new();
        for (pocket, apart) in device.set_apart() {
            let Some((_, coin)) = &pocket.coin else { continue };
            let (sum, coins) = sums.entry((coin.asset, apart.into())).or_default();
            *sum = sum.checked_add(coin.amount).unwrap_or(Amount::new(u64::MAX));
            *coins += 1;
        }
        let shown = |((asset, why), (sum, coins)): ((AssetId, Why), (Amount, u64))| {
            let money = Money::of(names, &asset, sum);
            let next = next(device.mode(), &money, why);
            Self { money, coins, why, next }
        };
        sums.into_iter().map(shown).collect()
    }

    /// What the owner's word could free of an asset.
    pub fn in_question(device: &Device, names: &Names, asset: &AssetId) -> Option<Self> {
        let asset = asset.to_string();
        let wanted = |apart: &Self| apart.why == Why::InQuestion && apart.money.asset == asset;
        Self::all(device, names).into_iter().find(wanted)
    }

    /// What is set apart, in a line.
    pub fn what(&self) -> String {
        format!("{} {}", self.money.text(), self.why.text())
    }

    /// The same with what to do.
    pub fn text(&self) -> String {
        format!("{}\n  next: {}\n", self.what(), self.next)
    }
}

fn next(mode: &Mode, money: &Money, why: Why) -> String {
    match (why, mode) {
        (Why::Freed, _) => "have it certified: tally settle".into(),
        (Why::Spent, _) => {
            "meet whoever was paid, for the rest of that payment (tally sync)".into()
        }
        (Why::InQuestion, Mode::ReceiveOnly) => {
            "meet your contacts (tally sync), then confirm: tally recover".into()
        }
        (Why::InQuestion, Mode::Normal) => format!(
            "meet whoever was paid (tally sync), or free it by your word that nobody was paid with it: tally recover --free {}",
            money.name()
        ),
    }
}
