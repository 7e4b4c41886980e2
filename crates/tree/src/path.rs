//! What inclusion and exclusion certificates share: the siblings on one path, and the depths at
//! which they hang.

use crate::hash::node_hash;
use crate::types::{Digest, KEY_BITS, Key};
use alloc::vec::Vec;

/// The most bytes an encoded path takes.
pub(crate) const MAX_PATH_BYTES: usize = 32 + 32 * KEY_BITS as usize;

/// Siblings from the root to a leaf. Bit `d` of the bitmap, most significant first, is set if there
/// is a node of depth `d`; there are as many siblings as bits set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Path {
    bitmap: [u8; 32],
    siblings: Vec<Digest>,
}

impl Path {
    pub(crate) fn encoded_len(&self) -> usize {
        32 + 32 * self.siblings.len()
    }

    pub(crate) fn encode_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.bitmap);
        for sibling in &self.siblings {
            out.extend_from_slice(sibling.as_bytes());
        }
    }

    /// Reads exactly these bytes; nothing unless the number of siblings is the number of bits set.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (bitmap, rest) = bytes.split_first_chunk::<32>()?;
        let (siblings, []) = rest.as_chunks::<32>() else {
            return None;
        };
        let expected: u32 = bitmap.iter().map(|byte| byte.count_ones()).sum();
        (siblings.len() == expected as usize).then(|| Self {
            bitmap: *bitmap,
            siblings: siblings.iter().copied().map(Digest::from).collect(),
        })
    }

    /// Whether the bits of both keys lead the same way at every node of this path.
    pub(crate) fn is_common_to(&self, a: &Key, b: &Key) -> bool {
        let differing = a.as_bytes().iter().zip(b.as_bytes()).map(|(a, b)| a ^ b);
        differing.zip(self.bitmap).all(|(differing, nodes)| differing & nodes == 0)
    }

    pub(crate) fn siblings(&self) -> &[Digest] {
        &self.siblings
    }

    /// The root of a tree in which `leaf` is the hash at the end of this path and `key` is that
    /// leaf's key.
    pub(crate) fn root(&self, key: &Key, leaf: Digest) -> Digest {
        self.depths_upwards().zip(self.siblings.iter().rev()).fold(
            leaf,
            |hash, (depth, sibling)| {
                let region = key.region(depth);
                match key.side(depth) {
                    0 => node_hash(depth, &region, &hash, sibling),
                    _ => node_hash(depth, &region, sibling, &hash),
                }
            },
        )
    }

    /// The depths of the nodes on the path, from the root down.
    pub(crate) fn depths(&self) -> Vec<u8> {
        let mut depths: Vec<u8> = self.depths_upwards().collect();
        depths.reverse();
        depths
    }

    /// The depths of the nodes on the path, from the leaf up.
    fn depths_upwards(&self) -> impl Iterator<Item = u8> + '_ {
        (0..32).rev().filter(|&byte| self.bitmap[usize::from(byte)] != 0).flat_map(|byte| {
            let nodes = self.bitmap[usize::from(byte)];
            (0..8)
                .rev()
                .filter(move |bit| nodes & (0x80 >> bit) != 0)
                .map(move |bit| byte * 8 + bit)
        })
    }
}

/// Collects a path from the root down.
pub(crate) struct PathBuilder {
    bitmap: [u8; 32],
    siblings: Vec<Digest>,
}

impl PathBuilder {
    pub(crate) fn new() -> Self {
        Self { bitmap: [0; 32], siblings: Vec::with_capacity(32) }
    }

    pub(crate) fn push(&mut self, depth: u8, sibling: Digest) {
        self.bitmap[usize::from(depth >> 3)] |= 0x80 >> (depth & 7);
        self.siblings.push(sibling);
    }

    pub(crate) fn finish(self) -> Path {
        Path { bitmap: self.bitmap, siblings: self.siblings }
    }
}
