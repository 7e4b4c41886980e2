//! Why a block was not taken.

use tally_tree::TreeError;

/// Why a block was not taken; the ledger is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The block's parent is not known here, or is older than the tree.
    #[error("the block follows one that this validator does not have: fetch its ancestors first")]
    UnknownParent,
    /// Its number is not one more than its parent's.
    #[error("the block's height is wrong: its proposer is faulty")]
    Height,
    /// It states another root before than its parent has after.
    #[error("the block does not start from its parent's root: its proposer is faulty")]
    PreviousRoot,
    /// Its time is before its parent's.
    #[error("the block is older than its parent: its proposer is faulty")]
    Time,
    /// Its root does not follow from its batches.
    #[error("the block's root does not follow from its requests: its proposer is faulty")]
    Root,
    /// Too many requests or bytes.
    #[error("the block is too large: propose fewer requests")]
    TooLarge,
    /// It does not follow the last final block.
    #[error("a final block does not follow the one before: too many validators are faulty, stop")]
    NotNext,
    /// Too many blocks are kept beside the tree.
    #[error("too many blocks wait to become final: wait for the network")]
    Full,
    /// The tree refused the leaves.
    #[error("the tree refused a block's leaves: {0}")]
    Tree(#[from] TreeError),
}

impl LedgerError {
    /// Stable code of this error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::UnknownParent => "LEDGER_UNKNOWN_PARENT",
            Self::Height => "LEDGER_HEIGHT",
            Self::PreviousRoot => "LEDGER_PREVIOUS_ROOT",
            Self::Time => "LEDGER_TIME",
            Self::Root => "LEDGER_ROOT",
            Self::TooLarge => "LEDGER_TOO_LARGE",
            Self::NotNext => "LEDGER_NOT_NEXT",
            Self::Full => "LEDGER_FULL",
            Self::Tree(error) => error.code(),
        }
    }
}
