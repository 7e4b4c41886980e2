//! Hold a person's money: pay and be paid, survive crashes, back up and restore.
mod check;
mod error;
mod wallet;

pub use check::Finding;
pub use error::{Class, WalletError};
pub use wallet::{BackupError, PeerError, Setup, StoreError, Wallet, restore};
