//! Show what is locked to counters that give no proof any more: how much, and until when.

use serde::Serialize;
use tally_core::device::Device;
use tally_core::predicate::Predicate;
use tally_core::time::Time;
use tally_wallet::{CoinLock, LockStanding};

use super::{Money, Names, date};

/// A coin that pays nobody until its lock has ended.
#[derive(Serialize, Clone, PartialEq, Eq, Debug)]
pub struct Locked {
    #[serde(flatten)]
    money: Money,
    until: String,
}

impl Locked {
    /// The coins whose counters were given up or are gone. The hardware is not asked.
    pub fn all(device: &Device, names: &Names, now: Time) -> Vec<Self> {
        let ready = device.ledger().pockets().filter(|pocket| pocket.is_ready());
        let locked = ready.filter_map(|pocket| {
            let coin = &pocket.coin.as_ref()?.1;
            let until = match &coin.owner {
                Predicate::Sealed(sealed) => sealed.until,
                _ => return None,
            };
            device.locked_until(&pocket.id, &coin.owner, now)?;
            let money = Money::of(names, &coin.asset, coin.amount);
            (now < until).then(|| Self { money, until: date(until) })
        });
        locked.collect()
    }

    /// The coins that giving the hardware up would lock.
    pub fn by_giving_up(names: &Names, locks: &[CoinLock]) -> Vec<Self> {
        let away = locks.iter().filter(|lock| lock.standing == LockStanding::Away);
        let locked = away.map(|lock| Self {
            money: Money::of(names, &lock.asset, lock.amount),
            until: date(lock.until),
        });
        locked.collect()
    }

    /// Such as `100.00 COIN until 2026-12-31T00:00:00Z`.
    pub fn what(&self) -> String {
        format!("{} until {}", self.money.text(), self.until)
    }

    /// The same as a line.
    pub fn text(&self) -> String {
        format!(
            "locked: {}; it pays nobody before, whether or not its TPM comes back\n",
            self.what()
        )
    }
}
