//! A batch as blocks carry it, with its encoding and its name.

use std::fmt;
use std::sync::Arc;

use tally_core::cbor::{Decode, DecodeError, Encode, Reader, Writer};
use tally_core::hash::sha256;
use tally_core::id::Digest;
use tally_core::notary::{CertificationRequest, TransactionHash};

use crate::backend::{Batch, BatchError, MAX_BATCH};

/// Most bytes of an encoded batch.
pub const MAX_ENTRY_BYTES: usize = 1 << 16;

/// A batch's name: the hash of its encoding, signatures included.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchId(Digest);

impl BatchId {
    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes()[..6].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A batch with its encoding and its name, which are computed once. A clone shares them.
#[derive(Clone)]
pub struct Entry(Arc<Parts>);

struct Parts {
    id: BatchId,
    batch: Batch,
    bytes: Vec<u8>,
}

/// Why bytes or requests are no batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// The requests do not belong together.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// It is longer than [`MAX_ENTRY_BYTES`].
    #[error("the batch has more than {MAX_ENTRY_BYTES} bytes: send shorter proofs, or one by one")]
    TooLong,
}

impl EntryError {
    /// Stable code of this error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Batch(error) => error.code(),
            Self::TooLong => "BATCH_TOO_LONG",
        }
    }
}

impl Entry {
    /// Encodes and names a batch.
    ///
    /// # Errors
    /// [`EntryError::TooLong`].
    pub fn new(batch: Batch) -> Result<Self, EntryError> {
        let mut w = Writer::new();
        batch.requests().encode(&mut w);
        let bytes = w.into_bytes();
        if bytes.len() > MAX_ENTRY_BYTES {
            return Err(EntryError::TooLong);
        }
        Ok(Self::from_parts(batch, bytes))
    }

    /// Reads exactly one batch: a list of requests.
    ///
    /// # Errors
    /// [`DecodeError`]; [`DecodeError::OutOfRange`] when the requests do not belong together.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > MAX_ENTRY_BYTES {
            return Err(DecodeError::TooLarge);
        }
        let mut r = Reader::new(bytes);
        let requests = r.list(MAX_BATCH, CertificationRequest::decode)?;
        r.finish()?;
        let batch = Batch::new(requests).map_err(|_| DecodeError::OutOfRange)?;
        Ok(Self::from_parts(batch, bytes.to_vec()))
    }

    /// Its name.
    pub fn id(&self) -> BatchId {
        self.0.id
    }

    /// Its encoding.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    /// Its requests.
    pub fn requests(&self) -> &[CertificationRequest] {
        self.0.batch.requests()
    }

    /// The transaction that all its requests are for.
    pub fn transaction(&self) -> TransactionHash {
        self.0.batch.transaction()
    }

    fn from_parts(batch: Batch, bytes: Vec<u8>) -> Self {
        Self(Arc::new(Parts { id: BatchId(Digest::new(sha256(&bytes))), batch, bytes }))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for Entry {}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({:?}, {} requests)", self.id(), self.requests().len())
    }
}
