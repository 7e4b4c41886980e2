//! The two hashes of the tree (TREE-2, TREE-3).
//!
//! Both messages have a fixed length that pads to exactly two SHA-256 blocks, so the padding is laid out here once and
//! the compression function runs over both blocks in one call. A test holds this against the ordinary hasher.

use crate::types::{Digest, Key, Value};
use sha2::block_api::compress256;

/// FIPS 180-4, 5.3.3: the first 32 bits of the fractional parts of the square roots of the first eight primes.
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
const LEAF_LEN: usize = 65;
const NODE_LEN: usize = 98;

/// `SHA-256(00 ‖ key ‖ value)`: the hash of a leaf.
pub fn leaf_hash(key: &Key, value: &Value) -> Digest {
    let mut message = [0; 128];
    message[1..33].copy_from_slice(key.as_bytes());
    message[33..65].copy_from_slice(value.as_bytes());
    finish::<LEAF_LEN>(message)
}

/// `SHA-256(01 ‖ depth ‖ region ‖ left ‖ right)`: the hash of the node that parts `left` from `right` at bit `depth`.
///
/// `region` is the first `depth` bits of any key below the node, the rest zero.
pub fn node_hash(depth: u8, region: &Key, left: &Digest, right: &Digest) -> Digest {
    let mut message = [0; 128];
    message[0] = 1;
    message[1] = depth;
    message[2..34].copy_from_slice(region.as_bytes());
    message[34..66].copy_from_slice(left.as_bytes());
    message[66..98].copy_from_slice(right.as_bytes());
    finish::<NODE_LEN>(message)
}

/// Pads a message of `LEN` bytes (at most 119, the rest zero) as FIPS 180-4, 5.1.1 says, and hashes it.
fn finish<const LEN: usize>(mut message: [u8; 128]) -> Digest {
    const { assert!(LEN >= 56 && LEN < 120) };
    message[LEN] = 0x80;
    message[126..].copy_from_slice(&(LEN as u16 * 8).to_be_bytes());
    let mut state = INITIAL;
    compress256(&mut state, message.as_chunks().0);
    let mut digest = [0; 32];
    for (bytes, word) in digest.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    Digest::from(digest)
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
            let node = Sha256::new().chain_update([1, depth]).chain_update(a).chain_update(b).chain_update(c);
            prop_assert_eq!(
                node_hash(depth, &a.into(), &b.into(), &c.into()),
                Digest::from(<[u8; 32]>::from(node.finalize()))
            );
        }
    }
}
