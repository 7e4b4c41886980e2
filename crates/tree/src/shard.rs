//! One sixteenth of a tree: the leaves that share their first four bits, and the nodes above them.
//!
//! Everything lives in three arenas and refers to each other by 32-bit index. A node keeps the
//! hashes of its two *children*, not its own: rehashing a path and proving a leaf then never touch
//! a sibling, one cache line a level. The 12 bytes that steer a descent are apart from the 64 bytes
//! that are hashed, so that five nodes share a line.

use crate::hash::{leaf_hash, node_hash};
use crate::types::{Digest, KEY_BITS, Key, Value};
use alloc::vec::Vec;
use core::cmp::min;

/// The most leaves that may share their first four bits: about a thousand million.
pub const MAX_SHARD_LEAVES: usize = 1 << 30;

/// A leaf or a node of a shard, by its place in the arena; or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ref(u32);

pub(crate) enum Target {
    Nothing,
    Leaf(usize),
    Node(usize),
}

impl Ref {
    pub(crate) const NOTHING: Self = Self(u32::MAX);
    const LEAF: u32 = 1 << 31;

    pub(crate) fn node(index: usize) -> Self {
        Self(index as u32)
    }

    pub(crate) fn leaf(index: usize) -> Self {
        Self(index as u32 | Self::LEAF)
    }

    pub(crate) fn target(self) -> Target {
        if self == Self::NOTHING {
            Target::Nothing
        } else if self.0 & Self::LEAF != 0 {
            Target::Leaf((self.0 & !Self::LEAF) as usize)
        } else {
            Target::Node(self.0 as usize)
        }
    }
}

/// What steers a descent at a node: its depth, the 24 bits of its region just before that depth,
/// and its children.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fork {
    label: u32,
    pub(crate) children: [Ref; 2],
}

impl Fork {
    /// How many bits a node remembers of its region; longer gaps are looked up in a leaf.
    const REMEMBERED: u16 = 24;

    pub(crate) fn new(depth: u8, below: &Key) -> Self {
        Self {
            label: below.bits_before(depth) << 8 | u32::from(depth),
            children: [Ref::NOTHING; 2],
        }
    }

    pub(crate) fn depth(&self) -> u8 {
        self.label as u8
    }

    fn bits_before(&self) -> u32 {
        self.label >> 8
    }
}

/// The hashes of a node's children, left then right.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
pub(crate) struct Pair(pub(crate) [Digest; 2]);

#[derive(Clone, Default)]
pub(crate) struct Shard {
    pub(crate) forks: Vec<Fork>,
    pub(crate) pairs: Vec<Pair>,
    pub(crate) leaves: Vec<(Key, Value)>,
    pub(crate) top: Option<(Ref, Digest)>,
}

impl Shard {
    /// The leaf where the bits of `key` lead, whether or not it is the key's own; `visit` sees
    /// every node on the way.
    pub(crate) fn descend(
        &self,
        key: &Key,
        mut visit: impl FnMut(usize, u8, usize),
    ) -> Option<usize> {
        let (mut at, _) = self.top?;
        loop {
            match at.target() {
                Target::Nothing => return None,
                Target::Leaf(leaf) => return Some(leaf),
                Target::Node(node) => {
                    let fork = &self.forks[node];
                    let side = key.side(fork.depth());
                    visit(node, fork.depth(), side);
                    at = fork.children[side];
                }
            }
        }
    }

    /// Gives the leaf of `key` another value and rehashes its path; returns the old value, or
    /// nothing if there is no such leaf.
    pub(crate) fn replace(&mut self, key: &Key, value: Value) -> Option<Value> {
        let mut path = Vec::with_capacity(32);
        let leaf = self.descend(key, |node, depth, side| path.push((node, depth, side)))?;
        let (found, held) = &mut self.leaves[leaf];
        if found != key {
            return None;
        }
        let old = core::mem::replace(held, value);
        let mut hash = leaf_hash(key, &value);
        for (node, depth, side) in path.into_iter().rev() {
            let pair = &mut self.pairs[node].0;
            pair[side] = hash;
            hash = node_hash(depth, key, &pair[0], &pair[1]);
        }
        self.top = self.top.map(|(at, _)| (at, hash));
        Some(old)
    }

    /// The first bit in which `key` leaves the way to `node`, given that bits before `from` agree;
    /// the node's depth if none.
    pub(crate) fn parting(&self, node: usize, from: u16, key: &Key) -> u16 {
        let fork = &self.forks[node];
        let depth = u16::from(fork.depth());
        let gap = depth.saturating_sub(from);
        if gap <= Fork::REMEMBERED {
            let differing = (key.bits_before(fork.depth()) ^ fork.bits_before()) & ((1 << gap) - 1);
            return depth - (u32::BITS - differing.leading_zeros()) as u16;
        }
        min(depth, key.shared_bits(&self.some_key(node)))
    }

    /// The key of a leaf below `node`: which one does not matter to whoever asks for a region.
    pub(crate) fn some_key(&self, mut node: usize) -> Key {
        loop {
            match self.forks[node].children[0].target() {
                Target::Node(below) => node = below,
                Target::Leaf(leaf) => return self.leaves[leaf].0,
                Target::Nothing => return Key::default(),
            }
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.forks.capacity() * size_of::<Fork>()
            + self.pairs.capacity() * size_of::<Pair>()
            + self.leaves.capacity() * size_of::<(Key, Value)>()
    }
}

/// What a group of new keys meets at the end of an edge.
pub(crate) enum Meeting {
    /// Nothing is there and the group is one key: it becomes a leaf.
    Leaf,
    /// A node is there that all of them pass through.
    Through { node: usize },
    /// They part from each other, or from what is there (which then goes to the side `old`), at
    /// this depth.
    Part { depth: u8, old: Option<usize> },
    /// A key of the group is there already.
    Present,
}

impl Shard {
    /// Looks at what new keys meet at `at`, given that they all agree with it before bit `from`.
    ///
    /// `keys` is not empty, sorted, and has no key twice.
    pub(crate) fn meet(&self, at: Ref, from: u16, keys: &[(Key, Value)]) -> Meeting {
        let (first, last) = (&keys[0].0, &keys[keys.len() - 1].0);
        let (parting, end) = match at.target() {
            Target::Nothing if keys.len() == 1 => return Meeting::Leaf,
            Target::Nothing => (first.shared_bits(last), KEY_BITS),
            Target::Leaf(leaf) => {
                let there = &self.leaves[leaf].0;
                (earliest(keys, |key| key.shared_bits(there)), KEY_BITS)
            }
            Target::Node(node) => (
                earliest(keys, |key| self.parting(node, from, key)),
                u16::from(self.forks[node].depth()),
            ),
        };
        match (at.target(), u8::try_from(parting)) {
            (Target::Node(node), _) if parting == end => Meeting::Through { node },
            (_, Err(_)) => Meeting::Present,
            (Target::Nothing, Ok(depth)) => Meeting::Part { depth, old: None },
            (Target::Leaf(leaf), Ok(depth)) => {
                Meeting::Part { depth, old: Some(self.leaves[leaf].0.side(depth)) }
            }
            (Target::Node(node), Ok(depth)) => {
                Meeting::Part { depth, old: Some(self.side_of(node, from, first, depth)) }
            }
        }
    }

    fn side_of(&self, node: usize, from: u16, key: &Key, depth: u8) -> usize {
        // `key` agrees with the node up to `depth`, or beyond it when another key of its group
        // parts first.
        let differs = self.parting(node, from, key) == u16::from(depth);
        key.side(depth) ^ usize::from(differs)
    }
}

/// The least of `parting` over a sorted group: it is found at one of the two ends.
fn earliest(keys: &[(Key, Value)], parting: impl Fn(&Key) -> u16) -> u16 {
    match keys {
        [(only, _)] => parting(only),
        [(first, _), .., (last, _)] => min(parting(first), parting(last)),
        [] => KEY_BITS,
    }
}

/// Where a sorted group of keys splits into those left and those right at this depth; they agree on
/// all bits before it.
pub(crate) fn split_at(keys: &[(Key, Value)], depth: u8) -> usize {
    match keys {
        [(only, _)] => 1 - only.side(depth),
        _ => keys.partition_point(|(key, _)| key.side(depth) == 0),
    }
}
