//! Agree on the order of blocks: commonware's simplex, its marshal, and the links between validators.
//!
//! This is the only room that knows commonware (`docs/decisions/0020-engine.md`). It runs the same code
//! under tokio with sockets and files, and under a seed with simulated links.
//!
//! A final block goes through one task, in order: execute, store with one sync, tell marshal, sign,
//! share. A certificate comes back to the same task, which adds the leaves to the tree.

mod app;
mod executor;
mod gossip;
mod keys;
mod settings;
mod start;
mod tuning;
mod wire;

pub mod network;

pub use keys::{VoteId, VoteKey};
pub use start::{Links, Parts, channel_quotas, max_message, start};
pub use tuning::Tuning;

/// Separates this application's signatures and connections from all others'.
pub const NAMESPACE: &[u8] = b"tally/v1/notary";

/// Numbers of the channels between validators.
pub mod channel {
    /// Votes on blocks.
    pub const VOTES: u64 = 0;
    /// Proofs that a quorum voted.
    pub const CERTIFICATES: u64 = 1;
    /// Questions for such proofs.
    pub const RESOLVER: u64 = 2;
    /// Questions for blocks.
    pub const BACKFILL: u64 = 3;
    /// Proposed blocks.
    pub const BLOCKS: u64 = 4;
    /// Requests of clients.
    pub const REQUESTS: u64 = 5;
    /// Signatures on seals.
    pub const SEALS: u64 = 6;
    /// Fork proofs.
    pub const FORKS: u64 = 7;
    /// How many there are.
    pub const COUNT: usize = 8;
}
