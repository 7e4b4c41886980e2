//! The two hashes of the tree (TREE-2, TREE-3).
//!
//! Both messages have a fixed length that pads to exactly two SHA-256 blocks, so the padding is
//! laid out here once, and the compression function runs over both blocks in one call. A test holds
//! this against the ordinary hasher. Whoever hashes many nodes writes their [`Message`]s well
//! before hashing them: a message that was just put together from unaligned pieces makes the
//! processor wait until all of them have left its store buffer.

use crate::types::{Digest, Key, Value};
use sha2::block_api::compress256;

/// FIPS 180-4, 5.3.3: the first 32 bits of the fractional parts of the square roots of the first
/// eight primes.
const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// What is hashed for a leaf or a node, padded: the second block ends with the length in bits.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Message([u8; 128]);

impl Message {
    const LEAF_LEN: usize = 65;
    const NODE_LEN: usize = 98;
    /// Where the two children's hashes are in a node's message.
    const CHILDREN: usize = 34;

    pub(crate) fn leaf(key: &Key, value: &Value) -> Self {
        let mut message = const { Self::padding(0, Self::LEAF_LEN) };
        message.0[1..33].copy_from_slice(key.as_bytes());
        message.0[33..65].copy_from_slice(value.as_bytes());
        message
    }

    /// The node of this depth above `below`, one of the keys below it.
    pub(crate) fn node(depth: u8, below: &Key, children: &[Digest; 2]) -> Self {
        let mut message = const { Self::padding(1, Self::NODE_LEN) };
        message.0[1] = depth;
        message.0[2..34].copy_from_slice(below.region(depth).as_bytes());
        message.0[34..66].copy_from_slice(children[0].as_bytes());
        message.0[66..98].copy_from_slice(children[1].as_bytes());
        message
    }

    pub(crate) fn set_child(&mut self, side: usize, hash: &Digest) {
        let at = Self::CHILDREN + 32 * side;
        self.0[at..at + 32].copy_from_slice(hash.as_bytes());
    }

    pub(crate) fn children(&self) -> [Digest; 2] {
        [0, 1].map(|side| {
            let at = Self::CHILDREN + 32 * side;
            let mut hash = [0; 32];
            hash.copy_from_slice(&self.0[at..at + 32]);
            Digest::from(hash)
        })
    }

    pub(crate) fn digest(&self) -> Digest {
        let mut state = INITIAL;
        compress256(&mut state, self.0.as_chunks().0);
        let mut digest = [0; 32];
        for (bytes, word) in digest.as_chunks_mut::<4>().0.iter_mut().zip(state) {
            *bytes = word.to_be_bytes();
        }
        Digest::from(digest)
    }

    /// FIPS 180-4, 5.1.1, for a message of `len` bytes, at least 56 and below 120, that starts with
    /// `tag`.
    const fn padding(tag: u8, len: usize) -> Self {
        assert!(len >= 56 && len < 120);
        let mut bytes = [0; 128];
        bytes[0] = tag;
        bytes[len] = 0x80;
        [bytes[126], bytes[127]] = (len as u16 * 8).to_be_bytes();
        Self(bytes)
    }
}

/// `SHA-256(00 ‖ key ‖ value)`: the hash of a leaf.
pub fn leaf_hash(key: &Key, value: &Value) -> Digest {
    Message::leaf(key, value).digest()
}

/// `SHA-256(01 ‖ depth ‖ region ‖ left ‖ right)`: the hash of the node that parts `left` from
/// `right` at bit `depth`.
///
/// `below` is any key below the node: the region is its first `depth` bits, the rest zero.
pub fn node_hash(depth: u8, below: &Key, left: &Digest, right: &Digest) -> Digest {
    Message::node(depth, below, &[*left, *right]).digest()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sha2::{Digest as _, Sha256};

    proptest! {
        #[test]
        fn hashes_are_plain_sha256_of_the_concatenation(a: [u8; 32], b: [u8; 32], c: [u8; 32], depth: u8) {
            let leaf = Sha256::new().chain_update([0]).chain_update(a).chain_update(b);
            prop_assert_eq!(
                leaf_hash(&a.into(), &b.into()),
                Digest::from(<[u8; 32]>::from(leaf.finalize()))
            );
            let region = *Key::from(a).region(depth).as_bytes();
            let node = Sha256::new().chain_update([1, depth]).chain_update(region).chain_update(b).chain_update(c);
            prop_assert_eq!(
                node_hash(depth, &a.into(), &b.into(), &c.into()),
                Digest::from(<[u8; 32]>::from(node.finalize()))
            );
        }
    }
}
