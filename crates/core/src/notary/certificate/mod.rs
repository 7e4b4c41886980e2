//! Read and check the validators' word for a root.

mod record;
mod seal;
mod shard;
mod tree;
mod verify;

pub use record::{InputRecord, MAX_SUMMARY};
pub use seal::{MAX_SIGNATURES, UnicitySeal};
pub use shard::{MAX_SHARD_BITS, ShardId, ShardTreeCertificate};
pub use tree::{MAX_STEPS, TreeStep, UnicityTreeCertificate};
pub(super) use verify::Claims;
pub use verify::{CertificateError, CertifiedRoot};

use super::tagged_record;
use crate::id::Digest;

/// That a quorum of validators vouches for a round of a shard of a partition:
/// `39001([1, record, technical, configuration, shard, partition, seal])`.
///
/// With one validator, one partition and one shard it has 359 bytes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct UnicityCertificate {
    /// The round and its root.
    pub record: InputRecord,
    /// Hash of what the validators tell the shard for its next round.
    pub technical: Option<Digest>,
    /// Hash of the shard's configuration.
    pub configuration: Digest,
    /// From the record up to the partition's root.
    pub shard: ShardTreeCertificate,
    /// From the partition's root up to the sealed one.
    pub partition: UnicityTreeCertificate,
    /// The validators' signatures.
    pub seal: UnicitySeal,
}

tagged_record!(UnicityCertificate, 39001, version 1 {
    record, technical, configuration, shard, partition, seal
});

impl UnicityCertificate {
    /// The hash that the seal must have, from everything else (`WIRE-10`).
    ///
    /// A validator makes it from the parts: [`InputRecord::leaf`], [`ShardTreeCertificate::root`],
    /// [`UnicityTreeCertificate::root`].
    pub fn root(&self) -> Digest {
        let leaf = self.record.leaf(self.technical.as_ref(), &self.configuration);
        self.partition.root(&self.shard.root(leaf))
    }
}
