//! One round of one shard.

use super::super::tagged_record;
use crate::cbor::{Blob, Encode, Writer};
use crate::hash::sha256;
use crate::id::Digest;
use crate::time::Time;

/// Longest summary value of a round, in bytes.
pub const MAX_SUMMARY: usize = 256;

/// A round of a shard, as the validators certify it:
/// `39002([1, round, epoch, previous, hash, summary, timestamp, block, fees, executed])`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct InputRecord {
    /// Number of the round.
    pub round: u64,
    /// Epoch of the shard.
    pub epoch: u64,
    /// Root of the tree before the round; none in the first.
    pub previous: Option<Digest>,
    /// Root of the tree after the round.
    pub hash: Digest,
    /// Sum of what the shard holds, where it counts anything. Tally's counts nothing.
    pub summary: Blob<MAX_SUMMARY>,
    /// Reference time of the round.
    pub timestamp: Time,
    /// Hash of the round's block: none exactly when the round changed nothing.
    pub block: Option<Digest>,
    /// Fees earned. Tally's notary takes none.
    pub fees: u64,
    /// Hash of the executed transactions, where the shard states one.
    pub executed: Option<Digest>,
}

tagged_record!(InputRecord, 39002, version 1 {
    round, epoch, previous, hash, summary, timestamp, block, fees, executed
});

impl InputRecord {
    /// The shard's leaf in the tree of shards.
    pub fn leaf(&self, technical: Option<&Digest>, configuration: &Digest) -> Digest {
        let mut w = Writer::new();
        self.encode(&mut w);
        technical.copied().encode(&mut w);
        configuration.encode(&mut w);
        Digest::new(sha256(&w.into_bytes()))
    }

    /// Whether the record is what a validator may certify: a numbered round at a known time, that names a
    /// block exactly when it changed the root (`WIRE-13`).
    pub(super) fn is_sound(&self) -> bool {
        let changed = self.previous != Some(self.hash);
        self.round != 0 && self.timestamp.unix() != 0 && self.block.is_some() == changed
    }
}
