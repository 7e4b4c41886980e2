//! Keep what a validator must not forget: final blocks, certificates and fork proofs.
//!
//! | file | holds | after a crash |
//! |---|---|---|
//! | `blocks-H` | final blocks from height `H` on, each with what it did and its seal's hash | the truth; a torn end is cut off |
//! | `leaves` | for each leaf its state, value, round, and where its request is | rebuilt from the last `blocks-H` |
//! | `heights` | for each height where its block is | rebuilt from the last `blocks-H` |
//! | `certificates`, `certificates-index` | certificates by height | what is missing comes from peers |
//! | `forks` | fork proofs in the order of their numbers | a torn end is cut off |
//!
//! A block is written with one append and one sync: it is there as a whole or not at all. `leaves` and
//! `heights` are synced only when a new `blocks-H` begins, so recovery reads one file of blocks.

mod certificates;
pub mod disk;
mod error;
mod forks;
mod frame;
mod recover;

pub use error::StoreError;
pub use forks::{ForkLog, MAX_FORK_PROOFS};
pub use frame::Stored;
pub use recover::Recovered;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use tally_core::id::Digest;
use tally_core::notary::{CertificationRequest, StateId, UnicityCertificate};
use tally_core::time::Time;
use tally_tree::{Key, Value};

use crate::block::{Block, Entry};
use crate::ledger::{Executed, Round};
use disk::{Disk, DiskFile};
use frame::{FRAME_HEAD, Frame};

/// How long a file of blocks becomes before the next one begins.
pub const SEGMENT_BYTES: u64 = 64 << 20;

/// Bytes of a record in `heights`.
const HEIGHT_RECORD: u64 = 32;

/// Bytes of a record in `leaves`.
const LEAF_RECORD: u64 = 88;

/// Writes final blocks. There is one of it, beside any number of [`Reader`]s.
pub struct Store {
    shared: Arc<Shared>,
    disk: Arc<dyn Disk>,
    genesis: [u8; 32],
    segment: u64,
    segment_file: Arc<dyn DiskFile>,
    height: u64,
    leaves: u32,
    limit: u64,
}

/// Reads what a [`Store`] has written.
#[derive(Clone)]
pub struct Reader(Arc<Shared>);

struct Shared {
    segments: RwLock<BTreeMap<u64, Arc<dyn DiskFile>>>,
    heights: Arc<dyn DiskFile>,
    leaves: Arc<dyn DiskFile>,
    certificates: certificates::Certificates,
}

/// A leaf as it is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leaf {
    /// The state that is spent.
    pub key: Key,
    /// The tree's value.
    pub value: Value,
    /// Height of the block that added it.
    pub height: u64,
    /// That block's time.
    pub time: Time,
    offset: u32,
    size: u32,
    request: u8,
}

impl Store {
    /// Opens or makes a store for the network that begins with `genesis`, and gives back what it holds.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Network`] if the files are of another network.
    pub fn open(disk: Arc<dyn Disk>, genesis: &Block) -> Result<(Self, Recovered), StoreError> {
        Self::open_with(disk, genesis, SEGMENT_BYTES)
    }

    /// Like [`open`](Self::open), with files of blocks of another length.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(
        disk: Arc<dyn Disk>,
        genesis: &Block,
        limit: u64,
    ) -> Result<(Self, Recovered), StoreError> {
        recover::open(disk, genesis, limit)
    }

    /// A reader of this store.
    pub fn reader(&self) -> Reader {
        Reader(Arc::clone(&self.shared))
    }

    /// The last block that is durable.
    pub fn height(&self) -> u64 {
        self.height
    }

    /// Makes blocks durable, each with the hash of its seal. When this returns, they survive a crash.
    ///
    /// # Errors
    /// [`StoreError::Order`] if the blocks do not follow the last one. After [`StoreError::Full`] nothing
    /// has changed, and it can be tried again; after any other the store must be opened again.
    pub fn commit(&mut self, blocks: &[(Arc<Executed>, Digest)]) -> Result<(), StoreError> {
        let (height, leaves) = (self.height, self.leaves);
        let (segment, file) = (self.segment, Arc::clone(&self.segment_file));
        let end = file.len()?;
        let written = self.write(blocks);
        if !matches!(written, Err(StoreError::Full)) {
            return written;
        }
        if self.segment != segment {
            let mut segments = self.shared.segments.write().unwrap_or_else(PoisonError::into_inner);
            segments.remove(&self.segment);
            self.disk.remove(&frame::segment_name(self.segment))?;
            (self.segment, self.segment_file) = (segment, Arc::clone(&file));
        }
        file.truncate(end)?;
        self.shared.heights.truncate(height * HEIGHT_RECORD)?;
        self.shared.leaves.truncate(u64::from(leaves) * LEAF_RECORD)?;
        (self.height, self.leaves) = (height, leaves);
        written
    }

    fn write(&mut self, blocks: &[(Arc<Executed>, Digest)]) -> Result<(), StoreError> {
        for (executed, seal) in blocks {
            if Some(executed.block.height()) != self.height.checked_add(1) {
                return Err(StoreError::Order);
            }
            if self.segment_file.len()? >= self.limit {
                self.segment_file.sync()?;
                self.roll()?;
            }
            let stored = Stored::of(executed, *seal);
            let at = self.segment_file.append(&Frame::encode(&stored.encode()))?;
            self.index(&stored, at)?;
        }
        self.segment_file.sync()?;
        Ok(())
    }

    /// Keeps a certificate. It need not survive a crash: others have it too.
    ///
    /// # Errors
    /// [`StoreError::Full`] and [`StoreError::Disk`].
    pub fn put_certificate(&self, certificate: &UnicityCertificate) -> Result<(), StoreError> {
        self.shared.certificates.put(certificate)
    }

    /// Writes where a block and its leaves are.
    fn index(&mut self, stored: &Stored, at: u64) -> Result<(), StoreError> {
        let header = stored.block.header();
        let leaves = stored.leaves();
        let mut records = Vec::with_capacity(leaves.len() * LEAF_RECORD as usize);
        leaves.iter().for_each(|leaf| leaf.write(&mut records));
        self.shared.leaves.append(&records)?;
        self.leaves = u32::try_from(leaves.len())
            .ok()
            .and_then(|added| self.leaves.checked_add(added))
            .ok_or(StoreError::Damaged)?;
        let mut record = [0; HEIGHT_RECORD as usize];
        record[..8].copy_from_slice(&self.segment.to_be_bytes());
        record[8..16].copy_from_slice(&at.to_be_bytes());
        record[16..24].copy_from_slice(&header.time.unix().to_be_bytes());
        record[24..28].copy_from_slice(&self.leaves.to_be_bytes());
        self.shared.heights.append(&record)?;
        self.height = header.height;
        Ok(())
    }

    /// Begins the next file of blocks.
    fn roll(&mut self) -> Result<(), StoreError> {
        self.shared.leaves.sync()?;
        self.shared.heights.sync()?;
        self.shared.certificates.sync()?;
        let first = self.height + 1;
        let file = frame::begin_segment(&*self.disk, first, self.leaves, &self.genesis)?;
        self.shared
            .segments
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(first, Arc::clone(&file));
        (self.segment, self.segment_file) = (first, file);
        Ok(())
    }
}

/// Where a block's frame is.
struct Located {
    file: Arc<dyn DiskFile>,
    at: u64,
}

impl Reader {
    /// The block of this height, if it is there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn block(&self, height: u64) -> Result<Option<Stored>, StoreError> {
        let Some(Located { file, at }) = self.locate(height)? else { return Ok(None) };
        let payload = Frame::read(&*file, at)?.ok_or(StoreError::Damaged)?;
        Stored::decode(&payload).map(Some)
    }

    /// How many leaves there were after the block of this height, and its time.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn leaves_after(&self, height: u64) -> Result<Option<(u32, Time)>, StoreError> {
        if height == 0 {
            return Ok(Some((0, Time::from_unix(0))));
        }
        let Some(record) = self.height_record(height)? else { return Ok(None) };
        Ok(Some((u32_at(&record, 24), Time::from_unix(u64_at(&record, 16)))))
    }

    /// Leaves by number: up to `count` of them, from `first` on.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn leaves(&self, first: u32, count: usize) -> Result<Vec<Leaf>, StoreError> {
        let all = self.0.leaves.len()? / LEAF_RECORD;
        let count = (count as u64).min(all.saturating_sub(u64::from(first)));
        let size = usize::try_from(count * LEAF_RECORD).map_err(|_| StoreError::Damaged)?;
        let mut bytes = vec![0; size];
        self.0.leaves.read_at(u64::from(first) * LEAF_RECORD, &mut bytes)?;
        Ok(bytes.chunks_exact(LEAF_RECORD as usize).map(Leaf::read).collect())
    }

    /// The request that the leaf of this number answers, with its round.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Damaged`] also if there is no such leaf.
    pub fn request(&self, number: u32) -> Result<(CertificationRequest, Time), StoreError> {
        let leaf = *self.leaves(number, 1)?.first().ok_or(StoreError::Damaged)?;
        let Located { file, at } = self.locate(leaf.height)?.ok_or(StoreError::Damaged)?;
        let mut bytes = vec![0; leaf.size as usize];
        file.read_at(at + FRAME_HEAD + u64::from(leaf.offset), &mut bytes)?;
        let entry = Entry::decode(&bytes).map_err(|_| StoreError::Damaged)?;
        let request = entry.requests().get(usize::from(leaf.request));
        let state = StateId::new(*leaf.key.as_bytes());
        let found = request.filter(|request| request.state_id == state);
        Ok((found.ok_or(StoreError::Damaged)?.clone(), leaf.time))
    }

    /// The certificate of the block of this height, if it is there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn certificate(&self, height: u64) -> Result<Option<UnicityCertificate>, StoreError> {
        self.0.certificates.get(height)
    }

    fn locate(&self, height: u64) -> Result<Option<Located>, StoreError> {
        let Some(record) = self.height_record(height)? else { return Ok(None) };
        let segments = self.0.segments.read().unwrap_or_else(PoisonError::into_inner);
        let file = segments.get(&u64_at(&record, 0)).ok_or(StoreError::Damaged)?;
        Ok(Some(Located { file: Arc::clone(file), at: u64_at(&record, 8) }))
    }

    fn height_record(&self, height: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(at) = height.checked_sub(1).and_then(|index| index.checked_mul(HEIGHT_RECORD))
        else {
            return Ok(None);
        };
        if at.saturating_add(HEIGHT_RECORD) > self.0.heights.len()? {
            return Ok(None);
        }
        let mut record = vec![0; HEIGHT_RECORD as usize];
        self.0.heights.read_at(at, &mut record)?;
        Ok(Some(record))
    }
}

impl Leaf {
    /// The leaf's round, with this many leaves.
    pub fn round(&self, leaves: u32) -> Round {
        Round { height: self.height, time: self.time, leaves }
    }

    fn write(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(self.key.as_bytes());
        to.extend_from_slice(self.value.as_bytes());
        to.extend_from_slice(&self.height.to_be_bytes());
        to.extend_from_slice(&self.time.unix().to_be_bytes());
        to.extend_from_slice(&self.offset.to_be_bytes());
        to.extend_from_slice(&(self.size << 8 | u32::from(self.request)).to_be_bytes());
    }

    fn read(record: &[u8]) -> Self {
        let word = |at: usize| {
            let mut word = [0; 32];
            word.copy_from_slice(&record[at..at + 32]);
            word
        };
        let packed = u32_at(record, 84);
        Self {
            key: word(0).into(),
            value: word(32).into(),
            height: u64_at(record, 64),
            time: Time::from_unix(u64_at(record, 72)),
            offset: u32_at(record, 80),
            size: packed >> 8,
            request: (packed & 0xff) as u8,
        }
    }
}

/// The number at this place of a record, which is long enough.
fn u64_at(record: &[u8], at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&record[at..at + 8]);
    u64::from_be_bytes(bytes)
}

/// The number at this place of a record, which is long enough.
fn u32_at(record: &[u8], at: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&record[at..at + 4]);
    u32::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests;
