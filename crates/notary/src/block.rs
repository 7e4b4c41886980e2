//! Name what the validators agree on: a block, and the batches in it.

mod entry;

pub use entry::{BatchId, Entry, EntryError, MAX_ENTRY_BYTES};

use std::fmt;
use std::sync::Arc;

use tally_core::cbor::{Decode, DecodeError, Encode, Reader, Writer};
use tally_core::hash::sha256;
use tally_core::id::Digest;
use tally_core::time::Time;

/// Most bytes of an encoded block.
pub const MAX_BLOCK_BYTES: usize = 1 << 20;

/// Most requests of a block.
pub const MAX_BLOCK_REQUESTS: usize = 4_096;

/// Bytes that a block has beside its batches, at most.
pub const MAX_HEADER_BYTES: usize = 256;

const VERSION: u64 = 1;

/// A block's name: the hash of its header.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockHash(Digest);

impl BlockHash {
    /// Takes 32 bytes as they are.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(Digest::new(bytes))
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The hash as a record names it.
    pub const fn digest(self) -> Digest {
        self.0
    }
}

impl fmt::Debug for BlockHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes()[..6].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What a block states of itself (`BLOCK-1`): at most [`MAX_HEADER_BYTES`] bytes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Header {
    /// Its number: one more than its parent's. The genesis is 0.
    pub height: u64,
    /// The block that it follows.
    pub parent: BlockHash,
    /// Root of the tree before it.
    pub previous: Digest,
    /// Root of the tree after it.
    pub root: Digest,
    /// Its reference time, not before its parent's.
    pub time: Time,
    /// How many requests it has.
    pub count: u64,
    /// Hash of the names of its batches, in order.
    pub body: Digest,
}

impl Header {
    fn write(&self, w: &mut Writer) {
        w.array(8);
        w.uint(VERSION);
        w.uint(self.height);
        self.parent.0.encode(w);
        self.previous.encode(w);
        self.root.encode(w);
        self.time.encode(w);
        w.uint(self.count);
        self.body.encode(w);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.record(8, |r| {
            if r.uint()? != VERSION {
                return Err(DecodeError::Unknown);
            }
            Ok(Self {
                height: r.uint()?,
                parent: BlockHash(Digest::decode(r)?),
                previous: Digest::decode(r)?,
                root: Digest::decode(r)?,
                time: Time::decode(r)?,
                count: r.uint()?,
                body: Digest::decode(r)?,
            })
        })
    }

    fn hash(&self) -> BlockHash {
        let mut w = Writer::new();
        self.write(&mut w);
        BlockHash(Digest::new(sha256(&w.into_bytes())))
    }
}

/// Batches of spends in the order of their execution. A clone shares them.
///
/// A value of this type is *structurally* valid: its header names exactly its batches, and limits are
/// kept. Whether the root is right is for [`ledger`](crate::ledger) to say.
#[derive(Clone)]
pub struct Block(Arc<Parts>);

struct Parts {
    hash: BlockHash,
    header: Header,
    entries: Vec<Entry>,
    size: usize,
}

impl Block {
    /// A block of these batches after `parent`, with the roots that the caller computed.
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`] above [`MAX_BLOCK_REQUESTS`] or [`MAX_BLOCK_BYTES`].
    pub fn new(
        parent: &Header,
        parent_hash: BlockHash,
        root: Digest,
        time: Time,
        entries: Vec<Entry>,
    ) -> Result<Self, DecodeError> {
        let header = Header {
            height: parent.height.checked_add(1).ok_or(DecodeError::OutOfRange)?,
            parent: parent_hash,
            previous: parent.root,
            root,
            time,
            count: count(&entries)?,
            body: body(&entries),
        };
        Self::from_parts(header, entries)
    }

    /// The block of a network from which all others follow. `configuration` is the hash of what its
    /// validators are, so that no two networks share a chain.
    pub fn genesis(configuration: Digest, time: Time) -> Self {
        let empty = Digest::new(*tally_tree::Digest::EMPTY.as_bytes());
        let header = Header {
            height: 0,
            parent: BlockHash::new([0; 32]),
            previous: empty,
            root: empty,
            time,
            count: 0,
            body: configuration,
        };
        let size = encoded_size(&header, &[]);
        Self(Arc::new(Parts { hash: header.hash(), header, entries: Vec::new(), size }))
    }

    /// Reads exactly one block, as [`encode`](Self::encode) writes it.
    ///
    /// # Errors
    /// [`DecodeError`]; [`DecodeError::OutOfRange`] also when the header does not name the batches.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > MAX_BLOCK_BYTES {
            return Err(DecodeError::TooLarge);
        }
        let mut r = Reader::new(bytes);
        let (header, entries) = r.record(2, |r| {
            let header = Header::read(r)?;
            let entries =
                r.list(MAX_BLOCK_REQUESTS, |r| Entry::decode(r.bytes(MAX_ENTRY_BYTES)?))?;
            Ok((header, entries))
        })?;
        r.finish()?;
        // The body of a genesis is not that of batches.
        let named = header.height == 0 || header.body == body(&entries);
        let empty = header.height > 0 || entries.is_empty();
        if !named || !empty || header.count != count(&entries)? {
            return Err(DecodeError::OutOfRange);
        }
        Self::from_parts(header, entries)
    }

    /// The block's one encoding: `[header, [batch…]]`.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.array(2);
        self.0.header.write(&mut w);
        w.array(self.0.entries.len() as u64);
        for entry in &self.0.entries {
            w.bytes(entry.as_bytes());
        }
        w.into_bytes()
    }

    /// Where in [`encode`](Self::encode)'s bytes the encoding of each batch begins.
    pub fn offsets(&self) -> Vec<usize> {
        let entries = &self.0.entries;
        let mut at = encoded_size(&self.0.header, &[]) - head(0) + head(entries.len());
        let starts = entries.iter().map(|entry| {
            let size = entry.as_bytes().len();
            let start = at + head(size);
            at = start + size;
            start
        });
        starts.collect()
    }

    /// How many bytes [`encode`](Self::encode) gives.
    pub fn size(&self) -> usize {
        self.0.size
    }

    /// The block's name.
    pub fn hash(&self) -> BlockHash {
        self.0.hash
    }

    /// What it states of itself.
    pub fn header(&self) -> &Header {
        &self.0.header
    }

    /// Its batches, in the order of their execution.
    pub fn entries(&self) -> &[Entry] {
        &self.0.entries
    }

    /// Its number.
    pub fn height(&self) -> u64 {
        self.0.header.height
    }

    fn from_parts(header: Header, entries: Vec<Entry>) -> Result<Self, DecodeError> {
        let size = encoded_size(&header, &entries);
        if size > MAX_BLOCK_BYTES {
            return Err(DecodeError::TooLarge);
        }
        Ok(Self(Arc::new(Parts { hash: header.hash(), header, entries, size })))
    }
}

impl PartialEq for Block {
    fn eq(&self, other: &Self) -> bool {
        self.0.hash == other.0.hash
    }
}

impl Eq for Block {}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Block({} {:?}, {} requests)", self.height(), self.hash(), self.0.header.count)
    }
}

fn count(entries: &[Entry]) -> Result<u64, DecodeError> {
    let count: usize = entries.iter().map(|entry| entry.requests().len()).sum();
    if count > MAX_BLOCK_REQUESTS { Err(DecodeError::TooLarge) } else { Ok(count as u64) }
}

fn body(entries: &[Entry]) -> Digest {
    let mut w = Writer::new();
    w.array(entries.len() as u64);
    for entry in entries {
        w.bytes(entry.id().as_bytes());
    }
    Digest::new(sha256(&w.into_bytes()))
}

fn encoded_size(header: &Header, entries: &[Entry]) -> usize {
    let mut w = Writer::new();
    header.write(&mut w);
    let parts = entries.iter().map(|entry| head(entry.as_bytes().len()) + entry.as_bytes().len());
    1 + w.into_bytes().len() + head(entries.len()) + parts.sum::<usize>()
}

/// Bytes of the head that states a length.
fn head(length: usize) -> usize {
    match length {
        0..=23 => 1,
        24..=0xff => 2,
        0x100..=0xffff => 3,
        _ => 5,
    }
}

#[cfg(test)]
mod tests;
