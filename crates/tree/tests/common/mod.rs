//! A tree as the specification states it, without any thought of speed, and keys that are hard on a
//! radix tree.
#![allow(dead_code, reason = "each test binary uses its own part")]

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use tally_tree::{Digest, Key, Tree, Value};

pub type Leaves = BTreeMap<Key, Value>;

pub fn bit(key: &Key, depth: u16) -> u8 {
    key.as_bytes()[usize::from(depth / 8)] >> (7 - depth % 8) & 1
}

pub fn sha256(parts: &[&[u8]]) -> Digest {
    let hash = parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part));
    Digest::from(<[u8; 32]>::from(hash.finalize()))
}

/// The root of these leaves, straight from the definition.
pub fn model_root(leaves: &Leaves) -> Digest {
    let leaves: Vec<_> = leaves.iter().map(|(k, v)| (*k, *v)).collect();
    subtree(&leaves, 0)
}

fn subtree(leaves: &[(Key, Value)], depth: u16) -> Digest {
    match leaves {
        [] => Digest::from([0; 32]),
        [(key, value)] => sha256(&[&[0], key.as_bytes(), value.as_bytes()]),
        _ => {
            let (left, right): (Vec<_>, Vec<_>) =
                leaves.iter().partition(|(key, _)| bit(key, depth) == 0);
            if left.is_empty() || right.is_empty() {
                return subtree(leaves, depth + 1);
            }
            let mut region = [0; 32];
            for d in (0..depth).filter(|&d| bit(&leaves[0].0, d) == 1) {
                region[usize::from(d / 8)] |= 0x80 >> (d % 8);
            }
            let (left, right) = (subtree(&left, depth + 1), subtree(&right, depth + 1));
            sha256(&[&[1, depth as u8], &region, left.as_bytes(), right.as_bytes()])
        }
    }
}

/// Keys at random, and keys that share all but a few bits, near the start, the end, or anywhere.
pub fn key() -> impl Strategy<Value = Key> {
    let near = |base: [u8; 32]| {
        vec(any::<u8>(), 0..4).prop_map(move |flips| {
            let mut bytes = base;
            for bit in flips {
                bytes[usize::from(bit / 8)] ^= 0x80 >> (bit % 8);
            }
            Key::from(bytes)
        })
    };
    prop_oneof![
        2 => any::<[u8; 32]>().prop_map(Key::from),
        2 => near([0; 32]),
        1 => near([0xa7; 32]),
        1 => (0u8..8).prop_map(|last| { let mut k = [0x5c; 32]; k[31] = last; Key::from(k) }),
        1 => any::<u8>().prop_map(|first| { let mut k = [0; 32]; k[0] = first; Key::from(k) }),
    ]
}

pub fn value() -> impl Strategy<Value = Value> {
    any::<[u8; 32]>().prop_map(Value::from)
}

pub fn leaves(size: impl Into<proptest::collection::SizeRange>) -> impl Strategy<Value = Leaves> {
    btree_map(key(), value(), size)
}

pub fn pairs(leaves: &Leaves) -> Vec<(Key, Value)> {
    leaves.iter().map(|(key, value)| (*key, *value)).collect()
}

pub fn tree_of(leaves: &Leaves) -> Tree {
    let mut tree = Tree::new();
    tree.insert_batch(&pairs(leaves)).expect("the keys differ");
    tree
}

pub fn flip(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut flipped = bytes.to_vec();
    flipped[bit / 8] ^= 0x80 >> (bit % 8);
    flipped
}

pub fn flip32(bytes: &[u8; 32], bit: u8) -> [u8; 32] {
    let mut flipped = *bytes;
    flipped[usize::from(bit / 8)] ^= 0x80 >> (bit % 8);
    flipped
}
