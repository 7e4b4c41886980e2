//! Hold a person's money: pay and be paid, survive crashes, back up and restore.
//!
//! A [`Wallet`] is the native outside of one [`tally_agent`]: it stores the agent's turns, signs and
//! proves with the seal, carries packets, and asks the network. Everything blocks; only settling starts
//! threads, one for each address that it asks. `docs/wallet.md` has the recovery table.

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
mod recover;
mod sealed;
mod settle;
mod store;
#[cfg(test)]
mod tests;
mod wallet;

pub use tally_agent::PeerError;

pub use backup::{BackupError, restore};
pub use check::Finding;
pub use error::{Class, RandomError, WalletError};
pub use live::{Visit, farewell};
pub use locks::{CoinLock, LockStanding};
pub use own::Moved;
pub use sealed::LOCK_SECONDS;
pub use settle::{Progress, Settling, Sight, Spent, Watch};
pub use store::StoreError;
pub use wallet::{Setup, Wallet};
