//! Hold a person's money: pay and be paid, survive crashes, back up and restore.
//!
//! A [`Wallet`] drives one [`tally_core::device::Device`]: it makes every change durable before
//! anything is signed, sent or shown, asks the seal to sign, and encrypts what leaves for a contact.
//! Everything blocks; there is no background thread. `docs/wallet.md` has the recovery table.

mod assets;
mod backup;
mod check;
mod driver;
mod enroll;
mod error;
mod find;
mod live;
mod locks;
mod marks;
pub mod notary;
mod own;
mod packets;
mod peer;
mod sealed;
mod settle;
mod store;
#[cfg(test)]
mod tests;
mod wallet;

pub use backup::{BackupError, restore};
pub use check::Finding;
pub use error::{Class, WalletError};
pub use live::{Visit, farewell};
pub use locks::{CoinLock, LockStanding};
pub use own::Moved;
pub use peer::PeerError;
pub use sealed::LOCK_SECONDS;
pub use settle::{Progress, Settling, Spent};
pub use store::StoreError;
pub use wallet::{Setup, Wallet};
