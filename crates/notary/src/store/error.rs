//! Why the store failed.

use std::io;
use std::sync::Arc;

/// Why the store failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no more room.
    #[error("the disk is full: make room, then start the validator again")]
    Full,
    /// The disk failed.
    #[error("the disk failed ({0}): check it, then start the validator again")]
    Disk(Arc<io::Error>),
    /// A file does not hold what was written.
    #[error(
        "the store is damaged: move it away, start, and the validator gets all blocks from others"
    )]
    Damaged,
    /// The files are of another network.
    #[error("the store belongs to another network: give this validator a folder of its own")]
    Network,
    /// A block does not follow the last one.
    #[error("a block does not follow the last one that was stored: start the validator again")]
    Order,
}

impl StoreError {
    /// Stable code of this error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Full => "STORE_FULL",
            Self::Disk(_) => "STORE_DISK",
            Self::Damaged => "STORE_DAMAGED",
            Self::Network => "STORE_NETWORK",
            Self::Order => "STORE_ORDER",
        }
    }
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            io::ErrorKind::UnexpectedEof => Self::Damaged,
            _ => Self::Disk(Arc::new(error)),
        }
    }
}
