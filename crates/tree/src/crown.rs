//! The top four levels of a tree, above its shards.

use crate::hash::node_hash;
use crate::types::{Digest, Key};

pub(crate) const SHARD_BITS: u8 = 4;
/// How many parts a tree has, by the first four bits of the keys.
pub const SHARDS: usize = 1 << SHARD_BITS;

/// A place in the crown: 1 is the root, `2i` and `2i + 1` are below `i`, and the shards are
/// `SHARDS..2 * SHARDS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(usize);

impl Place {
    pub(crate) const ROOT: Self = Self(1);

    pub(crate) fn of_shard(shard: usize) -> Self {
        Self(SHARDS + shard)
    }

    pub(crate) fn shard(self) -> Option<usize> {
        self.0.checked_sub(SHARDS)
    }

    pub(crate) fn child(self, side: usize) -> Self {
        Self(self.0 * 2 + side)
    }

    pub(crate) fn depth(self) -> u8 {
        self.0.ilog2() as u8
    }

    /// The region of a node here: the path from the root, as the first bits of a key.
    pub(crate) fn region(self) -> Key {
        let mut bytes = [0; 32];
        bytes[0] = (self.0 << (8 - self.depth())) as u8;
        Key::from(bytes)
    }

    /// The shards at or below this place.
    pub(crate) fn shards(self) -> core::ops::Range<usize> {
        let below = SHARD_BITS - self.depth();
        (self.0 << below) - SHARDS..((self.0 + 1) << below) - SHARDS
    }
}

/// The hash at each place; nothing where there are no leaves. A place with leaves on one side only
/// has that side's hash, since nodes exist only where keys part.
#[derive(Clone, Default)]
pub(crate) struct Crown([[Option<Digest>; 2]; SHARDS]);

impl Crown {
    pub(crate) fn get(&self, place: Place) -> Option<Digest> {
        self.0[place.0 / 2][place.0 % 2]
    }

    pub(crate) fn root(&self) -> Digest {
        self.get(Place::ROOT).unwrap_or(Digest::EMPTY)
    }

    pub(crate) fn below(&self, place: Place) -> [Option<Digest>; 2] {
        self.0[place.0]
    }

    /// Sets a shard's root hash, and rehashes the places above it.
    pub(crate) fn set(&mut self, shard: usize, hash: Digest) {
        let mut place = Place::of_shard(shard);
        let mut hash = Some(hash);
        loop {
            self.0[place.0 / 2][place.0 % 2] = hash;
            if place == Place::ROOT {
                return;
            }
            place = Place(place.0 / 2);
            hash = match self.below(place) {
                [Some(left), Some(right)] => {
                    Some(node_hash(place.depth(), &place.region(), &left, &right))
                }
                [left, right] => left.or(right),
            };
        }
    }
}
