//! Why a change to a tree was refused.

use crate::types::Key;

/// Why a change to a tree was refused; the tree is as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// The batch names a key twice.
    #[error("the batch has the key {0} twice; keep one of the two and send the batch again")]
    DuplicateKey(Key),
    /// The key has a leaf already; insertion never changes one.
    #[error(
        "the tree already holds the key {0}; leave it out, or replace its value if this tree allows that"
    )]
    KeyPresent(Key),
    /// The key has no leaf to replace.
    #[error("the tree does not hold the key {0}; insert it first")]
    KeyAbsent(Key),
    /// Of the leaves that share their first four bits there would be more than
    /// [`MAX_SHARD_LEAVES`](crate::MAX_SHARD_LEAVES), or more than 2^21 in this batch.
    #[error(
        "the batch is too large for one step, or the tree is full; send smaller batches, then use several trees"
    )]
    Full,
    /// The proof would be longer than [`MAX_CONSISTENCY_BYTES`](crate::MAX_CONSISTENCY_BYTES).
    #[error("the proof for this batch is too long; prove it in several smaller batches")]
    ProofTooLong,
}

impl TreeError {
    /// A stable name for programs and logs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::DuplicateKey(_) => "TREE_DUPLICATE_KEY",
            Self::KeyPresent(_) => "TREE_KEY_PRESENT",
            Self::KeyAbsent(_) => "TREE_KEY_ABSENT",
            Self::Full => "TREE_FULL",
            Self::ProofTooLong => "TREE_PROOF_TOO_LONG",
        }
    }
}
