//! Say of every coin that is locked to this wallet's hardware what its lock does.

use std::fmt;

use tally_core::amount::Amount;
use tally_core::id::{AssetId, CoinId, TxId};
use tally_core::predicate::Predicate;
use tally_core::seal::{SealIdentity, Slot};
use tally_core::time::Time;
use tally_seal::SlotFate;

use crate::Wallet;
use crate::wallet::now;

/// What becomes of a coin's lock.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LockStanding {
    /// The hardware can prove its payment now.
    Ready,
    /// It is over: the key alone moves the coin.
    Ended,
    /// The slot gives no proof any more: the coin waits for the end, and then its key alone moves it.
    Burned,
    /// The hardware does not answer: the coin waits for it, or for the end.
    Away,
}

impl LockStanding {
    /// One word, for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Ended => "ended",
            Self::Burned => "burned",
            Self::Away => "away",
        }
    }
}

impl fmt::Display for LockStanding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ready => "the hardware proves its payment at any time before",
            Self::Ended => "the lock has ended, so a signature alone moves it, at tier Signed",
            Self::Burned => {
                "nothing is lost: its slot gives no proof any more, and after that a signature alone moves it"
            }
            Self::Away => {
                "nothing is lost: the hardware does not answer; with it the coin pays at once, after that a signature alone moves it"
            }
        })
    }
}

/// A coin under one of this wallet's own counters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CoinLock {
    /// The coin.
    pub coin: CoinId,
    /// Which asset.
    pub asset: AssetId,
    /// How much.
    pub amount: Amount,
    /// The counter, and the value that it leaves for this coin.
    pub slot: Slot,
    /// When the lock ends.
    pub until: Time,
    /// What becomes of it.
    pub standing: LockStanding,
}

impl Wallet {
    /// Every coin under this wallet's own hardware, as the hardware says now.
    pub fn locks(&mut self) -> Vec<CoinLock> {
        let mine = self.device().me().seal;
        let coins = self.device().ledger().pockets().filter(|pocket| pocket.is_ready());
        let coins = coins.filter_map(|pocket| Some((pocket.id, pocket.coin.as_ref()?)));
        let locked = coins.filter_map(|(pocket, (id, coin))| match &coin.owner {
            Predicate::Sealed(sealed) if mine == SealIdentity::Hardware(sealed.slot.seal) => {
                let stuck = self.device().locked_until(&pocket, &coin.owner, now()).is_some();
                let standing = if stuck { LockStanding::Burned } else { LockStanding::Ready };
                let (asset, amount) = (coin.asset, coin.amount);
                Some(CoinLock {
                    coin: *id,
                    asset,
                    amount,
                    slot: sealed.slot,
                    until: sealed.until,
                    standing,
                })
            }
            _ => None,
        });
        let mut locks: Vec<CoinLock> = locked.collect();
        for lock in &mut locks {
            if now() >= lock.until {
                lock.standing = LockStanding::Ended;
            } else if lock.standing == LockStanding::Ready {
                // No transaction has this number, so that no earlier proof counts for it.
                lock.standing = match self.seal.fate(&lock.slot, &TxId::new([0; 32])) {
                    Ok(SlotFate::Open) => LockStanding::Ready,
                    Ok(_) => LockStanding::Burned,
                    Err(_) => LockStanding::Away,
                };
            }
        }
        locks
    }
}
