//! Which part of all state ids a tree holds, and the path from its round to the partition's root.

use alloc::vec::Vec;
use core::fmt;

use super::super::state::StateId;
use super::super::version;
use crate::cbor::{Blob, Decode, DecodeError, Encode, List, Reader, Writer};
use crate::hash::sha256;
use crate::id::Digest;

/// Longest shard id, in bits: as long as a state id.
pub const MAX_SHARD_BITS: usize = 256;

/// Bytes of the longest shard id with its marker.
const MAX_SHARD_BYTES: usize = MAX_SHARD_BITS / 8 + 1;

const TAG: u64 = 39003;
const VERSION: u64 = 1;

/// The first bits of every state id in a shard (`WIRE-7`).
///
/// On the wire the bits are followed by a marker bit 1 and by zeros up to a whole byte: `80` is the empty id,
/// which covers everything, and `c0` the bit 1.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardId(Blob<MAX_SHARD_BYTES>);

impl ShardId {
    /// The shard that is the whole tree.
    pub fn whole() -> Self {
        Self(Blob::new([0x80].into()).expect("one byte"))
    }

    /// Takes the form that is on the wire.
    ///
    /// # Errors
    /// [`DecodeError`] when there is no marker bit, or more than [`MAX_SHARD_BITS`] bits before it.
    pub fn from_wire(bytes: &[u8]) -> Result<Self, DecodeError> {
        let id = Self(Blob::new(bytes.into())?);
        if bytes.last().is_none_or(|last| *last == 0) {
            return Err(DecodeError::OutOfRange);
        }
        if id.len() > MAX_SHARD_BITS {
            return Err(DecodeError::TooLarge);
        }
        Ok(id)
    }

    /// How many bits it has.
    pub fn len(&self) -> usize {
        let marker = self.0.as_slice().last().map_or(0, |last| last.trailing_zeros() as usize);
        8 * self.0.as_slice().len() - 1 - marker
    }

    /// Whether it is the whole tree.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the state is in this shard.
    pub fn covers(&self, state: &StateId) -> bool {
        (0..self.len()).all(|i| bit(self.0.as_slice(), i) == bit(state.as_bytes(), i))
    }

    /// The bits, last first.
    fn bits_up(&self) -> impl Iterator<Item = bool> {
        (0..self.len()).rev().map(|i| bit(self.0.as_slice(), i))
    }
}

fn bit(bytes: &[u8], i: usize) -> bool {
    bytes[i / 8] >> (7 - i % 8) & 1 == 1
}

impl fmt::Debug for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShardId(")?;
        (0..self.len())
            .try_for_each(|i| f.write_str(if bit(self.0.as_slice(), i) { "1" } else { "0" }))?;
        f.write_str(")")
    }
}

impl Encode for ShardId {
    fn encode(&self, w: &mut Writer) {
        self.0.encode(w);
    }
}

impl Decode for ShardId {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::from_wire(r.bytes(MAX_SHARD_BYTES)?)
    }
}

/// The path from a shard's leaf to its partition's root: `39003([1, shard, [sibling…]])`, one sibling a bit.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ShardTreeCertificate {
    id: ShardId,
    siblings: List<Digest, MAX_SHARD_BITS>,
}

impl ShardTreeCertificate {
    /// The path of `id`, siblings from the leaf up.
    ///
    /// # Errors
    /// [`DecodeError::WrongLength`] when there is not one sibling for each bit.
    pub fn new(id: ShardId, siblings: Vec<Digest>) -> Result<Self, DecodeError> {
        if siblings.len() != id.len() {
            return Err(DecodeError::WrongLength);
        }
        Ok(Self { id, siblings: List::new(siblings)? })
    }

    /// The shard.
    pub fn id(&self) -> &ShardId {
        &self.id
    }

    /// Root of the partition that has this leaf at the end of this path.
    pub fn root(&self, leaf: Digest) -> Digest {
        self.id.bits_up().zip(self.siblings.iter()).fold(leaf, |hash, (right, sibling)| {
            let mut w = Writer::new();
            let (left, right) = if right { (sibling, &hash) } else { (&hash, sibling) };
            left.encode(&mut w);
            right.encode(&mut w);
            Digest::new(sha256(&w.into_bytes()))
        })
    }
}

impl Encode for ShardTreeCertificate {
    fn encode(&self, w: &mut Writer) {
        w.tag(TAG);
        w.array(3);
        w.uint(VERSION);
        self.id.encode(w);
        self.siblings.encode(w);
    }
}

impl Decode for ShardTreeCertificate {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.tagged(TAG, |r| {
            r.record(3, |r| {
                version(r, VERSION)?;
                let id = ShardId::decode(r)?;
                Self::new(id, List::<_, MAX_SHARD_BITS>::decode(r)?.into_vec())
            })
        })
    }
}
