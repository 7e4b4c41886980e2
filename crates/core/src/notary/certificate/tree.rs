//! The path from a partition's root to the root of all partitions.

use super::super::tagged_record;
use crate::cbor::{Encode, List, Writer, record};
use crate::hash::sha256;
use crate::id::Digest;

/// Longest path to a partition: its number has 32 bits.
pub const MAX_STEPS: usize = 32;

/// First byte string in the hash of a leaf of the tree of partitions.
const LEAF: [u8; 1] = [1];

/// First byte string in the hash of a node of the tree of partitions.
const NODE: [u8; 1] = [0];

/// The path from a partition's root to the sealed hash: `39004([1, partition, [[key, hash]…]])`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct UnicityTreeCertificate {
    /// Number of the partition.
    pub id: u32,
    /// The nodes above the leaf, from the leaf up.
    pub steps: List<TreeStep, MAX_STEPS>,
}

tagged_record!(UnicityTreeCertificate, 39004, version 1 { id, steps });

/// A node above a partition's leaf.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TreeStep {
    /// Partitions with a number above this one are on the right.
    pub key: u32,
    /// Hash of the other side.
    pub hash: Digest,
}

record!(TreeStep { key, hash });

impl UnicityTreeCertificate {
    /// Root of all partitions when this one's is `partition`.
    pub fn root(&self, partition: &Digest) -> Digest {
        let inner = digest(&[partition]);
        let leaf = digest(&[&LEAF, &self.id.to_be_bytes(), &inner]);
        self.steps.iter().fold(leaf, |hash, step| {
            let (left, right) =
                if self.id > step.key { (&step.hash, &hash) } else { (&hash, &step.hash) };
            digest(&[&NODE, &step.key.to_be_bytes(), left, right])
        })
    }
}

/// SHA-256 over the encodings one after another.
fn digest(parts: &[&dyn Encode]) -> Digest {
    let mut w = Writer::new();
    for part in parts {
        part.encode(&mut w);
    }
    Digest::new(sha256(&w.into_bytes()))
}
