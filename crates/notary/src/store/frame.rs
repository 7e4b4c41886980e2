//! What a file of blocks consists of: a head, then frames, each with a checksum.

use std::sync::Arc;

use tally_core::hash::sha256;
use tally_core::id::Digest;
use tally_core::notary::LeafValue;

use super::disk::{Disk, DiskFile};
use super::{Leaf, StoreError, u32_at, u64_at};
use crate::block::{Block, MAX_BLOCK_BYTES};
use crate::ledger::{EntryOutcome, Executed, Origin};

/// Bytes before a frame's content: its length and a checksum.
pub(super) const FRAME_HEAD: u64 = 12;

/// Bytes before the first frame of a file of blocks.
pub(super) const SEGMENT_HEAD: u64 = 52;

const MAGIC: &[u8; 8] = b"tally-b1";

/// Longest content of a frame.
const MAX_FRAME: usize = MAX_BLOCK_BYTES + (1 << 16);

/// A length, the first eight bytes of a SHA-256, and what they are of.
pub(super) struct Frame;

impl Frame {
    pub(super) fn encode(content: &[u8]) -> Vec<u8> {
        let mut frame = Vec::with_capacity(FRAME_HEAD as usize + content.len());
        frame.extend_from_slice(&(content.len() as u32).to_be_bytes());
        frame.extend_from_slice(&sha256(content)[..8]);
        frame.extend_from_slice(content);
        frame
    }

    /// The content of the frame at this place; nothing if there is no whole one.
    pub(super) fn read(file: &dyn DiskFile, at: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let len = file.len()?;
        if at.saturating_add(FRAME_HEAD) > len {
            return Ok(None);
        }
        let mut head = [0; FRAME_HEAD as usize];
        file.read_at(at, &mut head)?;
        let size = u32_at(&head, 0);
        if size as usize > MAX_FRAME || at + FRAME_HEAD + u64::from(size) > len {
            return Ok(None);
        }
        let mut content = vec![0; size as usize];
        file.read_at(at + FRAME_HEAD, &mut content)?;
        Ok((sha256(&content)[..8] == head[4..]).then_some(content))
    }
}

/// A stored block, with what it did.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The block.
    pub block: Block,
    /// What became of its batches.
    pub outcomes: Vec<EntryOutcome>,
    /// The requests that made leaves, in the order of those.
    pub origins: Vec<Origin>,
    /// Hash of the block's seal, which the next seal names.
    pub seal: Digest,
}

impl Stored {
    pub(super) fn of(executed: &Executed, seal: Digest) -> Self {
        Self {
            block: executed.block.clone(),
            outcomes: executed.outcomes.clone(),
            origins: executed.origins.clone(),
            seal,
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.block.size() + self.prefix());
        bytes.extend_from_slice(self.seal.as_bytes());
        bytes.extend_from_slice(&(self.outcomes.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&(self.origins.len() as u32).to_be_bytes());
        for (outcome, entry) in self.outcomes.iter().zip(self.block.entries()) {
            bytes.push(match outcome {
                EntryOutcome::Certified => 0,
                EntryOutcome::Refused(state) => {
                    let lost = entry.requests().iter().position(|r| r.state_id == *state);
                    1 + lost.unwrap_or_default() as u8
                }
            });
        }
        for origin in &self.origins {
            bytes.extend_from_slice(&origin.entry.to_be_bytes());
            bytes.push(origin.request);
        }
        bytes.extend_from_slice(&self.block.encode());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        Self::read(bytes).ok_or(StoreError::Damaged)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_at_checked(40)?;
        let (seal, outcomes, origins) = (&head[..32], u32_at(head, 32), u32_at(head, 36));
        let (outcomes, rest) = rest.split_at_checked(outcomes as usize)?;
        let (origins, rest) = rest.split_at_checked((origins as usize).checked_mul(5)?)?;
        let block = Block::decode(rest).ok()?;
        if outcomes.len() != block.entries().len() {
            return None;
        }
        let outcome = |(code, entry): (&u8, &crate::block::Entry)| match code.checked_sub(1) {
            None => Some(EntryOutcome::Certified),
            Some(at) => {
                Some(EntryOutcome::Refused(entry.requests().get(usize::from(at))?.state_id))
            }
        };
        let outcomes = outcomes.iter().zip(block.entries()).map(outcome).collect::<Option<_>>()?;
        let origin = |bytes: &[u8]| {
            let origin = Origin { entry: u32_at(bytes, 0), request: bytes[4] };
            let entry = block.entries().get(origin.entry as usize)?;
            entry.requests().get(usize::from(origin.request)).map(|_| origin)
        };
        let origins = origins.chunks_exact(5).map(origin).collect::<Option<_>>()?;
        Some(Self { seal: Digest::new(seal.try_into().ok()?), outcomes, origins, block })
    }

    /// The leaves that the block added, with where in the frame their requests are.
    pub fn leaves(&self) -> Vec<Leaf> {
        let header = self.block.header();
        let (prefix, offsets) = (self.prefix(), self.block.offsets());
        let leaf = |origin: &Origin| {
            let entry = &self.block.entries()[origin.entry as usize];
            let request = &entry.requests()[usize::from(origin.request)];
            let value = LeafValue::of(&request.data.transaction, header.time);
            Leaf {
                key: request.state_id.into(),
                value: value.into(),
                height: header.height,
                time: header.time,
                offset: (prefix + offsets[origin.entry as usize]) as u32,
                size: entry.as_bytes().len() as u32,
                request: origin.request,
            }
        };
        self.origins.iter().map(leaf).collect()
    }

    /// Bytes before the block's own.
    fn prefix(&self) -> usize {
        40 + self.outcomes.len() + 5 * self.origins.len()
    }
}

/// The name of the file of blocks that begins with this height.
pub(super) fn segment_name(first: u64) -> String {
    format!("blocks-{first:016x}")
}

/// The first height of the file of blocks of this name.
pub(super) fn segment_of(name: &str) -> Option<u64> {
    u64::from_str_radix(name.strip_prefix("blocks-")?, 16).ok()
}

/// Makes a file of blocks with nothing but its head.
pub(super) fn begin_segment(
    disk: &dyn Disk,
    first: u64,
    leaves: u32,
    genesis: &[u8; 32],
) -> Result<Arc<dyn DiskFile>, StoreError> {
    let file = disk.open(&segment_name(first))?;
    file.truncate(0)?;
    let mut head = MAGIC.to_vec();
    head.extend_from_slice(&first.to_be_bytes());
    head.extend_from_slice(&leaves.to_be_bytes());
    head.extend_from_slice(genesis);
    file.append(&head)?;
    file.sync()?;
    Ok(file)
}

/// How many leaves there were before a file of blocks; nothing if its head is not whole.
pub(super) fn segment_leaves(
    file: &dyn DiskFile,
    first: u64,
    genesis: &[u8; 32],
) -> Result<Option<u32>, StoreError> {
    if file.len()? < SEGMENT_HEAD {
        return Ok(None);
    }
    let mut head = [0; SEGMENT_HEAD as usize];
    file.read_at(0, &mut head)?;
    if &head[..8] != MAGIC || u64_at(&head, 8) != first {
        return Err(StoreError::Damaged);
    }
    if &head[20..] != genesis {
        return Err(StoreError::Network);
    }
    Ok(Some(u32_at(&head, 16)))
}
