//! Open a store after a clean end, a crash, or for the first time.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use tally_core::id::Digest;
use tally_core::notary::UnicityCertificate;
use tally_tree::{Key, Value};

use super::certificates::Certificates;
use super::disk::{Disk, DiskFile};
use super::frame::{self, FRAME_HEAD, Frame, SEGMENT_HEAD, Stored};
use super::{HEIGHT_RECORD, LEAF_RECORD, Reader, Shared, Store, StoreError};
use crate::block::Block;
use crate::ledger::{Base, Ledger, Round, Tip};

/// How many leaves are read and added to the tree at a time.
const CHUNK: usize = 50_000;

/// What a store held when it was opened.
pub struct Recovered {
    /// The tree up to the newest certificate, and the final blocks after it.
    pub ledger: Ledger,
    /// The newest certificate, if it is of the tree's last block.
    pub certificate: Option<UnicityCertificate>,
    /// Hashes of the seals of the tree's last block and of each block after it, in order.
    pub seals: Vec<Digest>,
}

pub(super) fn open(
    disk: Arc<dyn Disk>,
    genesis: &Block,
    limit: u64,
) -> Result<(Store, Recovered), StoreError> {
    let name = *genesis.hash().as_bytes();
    let mut segments = BTreeMap::new();
    for first in disk.names()?.iter().filter_map(|name| frame::segment_of(name)) {
        segments.insert(first, disk.open(&frame::segment_name(first))?);
    }
    // A crash may leave a file that has not even a whole head.
    while let Some((first, file)) = segments.last_key_value() {
        if frame::segment_leaves(&**file, *first, &name)?.is_some() {
            break;
        }
        disk.remove(&frame::segment_name(*first))?;
        segments.pop_last();
    }
    if segments.is_empty() {
        segments.insert(1, frame::begin_segment(&*disk, 1, 0, &name)?);
    }
    let shared = Arc::new(Shared {
        heights: disk.open("heights")?,
        leaves: disk.open("leaves")?,
        certificates: Certificates::open(&*disk)?,
        segments: RwLock::new(segments.clone()),
    });
    let mut store = reindex(disk, shared, &segments, name, limit)?;
    let recovered = load(&mut store, genesis)?;
    Ok((store, recovered))
}

/// Rebuilds `heights` and `leaves` from the last file of blocks; from all of them, if they are short.
fn reindex(
    disk: Arc<dyn Disk>,
    shared: Arc<Shared>,
    segments: &BTreeMap<u64, Arc<dyn DiskFile>>,
    genesis: [u8; 32],
    limit: u64,
) -> Result<Store, StoreError> {
    let (last, file) = segments.last_key_value().ok_or(StoreError::Damaged)?;
    let leaves = frame::segment_leaves(&**file, *last, &genesis)?.ok_or(StoreError::Damaged)?;
    let height_bytes = (last - 1) * HEIGHT_RECORD;
    let leaf_bytes = u64::from(leaves) * LEAF_RECORD;
    let whole = shared.heights.len()? >= height_bytes && shared.leaves.len()? >= leaf_bytes;
    let (from, height, leaves) = if whole { (*last, last - 1, leaves) } else { (0, 0, 0) };
    shared.heights.truncate(height * HEIGHT_RECORD)?;
    shared.leaves.truncate(u64::from(leaves) * LEAF_RECORD)?;
    let mut store = Store {
        shared,
        disk,
        genesis,
        segment: *last,
        segment_file: Arc::clone(file),
        height,
        leaves,
        limit,
    };
    for (first, file) in segments.range(from..) {
        if *first != store.height + 1 {
            return Err(StoreError::Damaged);
        }
        (store.segment, store.segment_file) = (*first, Arc::clone(file));
        replay(&mut store, &**file, first == last)?;
    }
    Ok(store)
}

/// Indexes every block of a file, and cuts off a torn end of the last one.
fn replay(store: &mut Store, file: &dyn DiskFile, last: bool) -> Result<(), StoreError> {
    let mut at = SEGMENT_HEAD;
    while let Some(content) = Frame::read(file, at)? {
        let stored = Stored::decode(&content)?;
        if stored.block.height() != store.height + 1 {
            return Err(StoreError::Damaged);
        }
        store.index(&stored, at)?;
        at += FRAME_HEAD + content.len() as u64;
    }
    if at < file.len()? {
        if !last {
            return Err(StoreError::Damaged);
        }
        file.truncate(at)?;
        file.sync()?;
    }
    Ok(())
}

/// Builds the tree up to the newest certificate, and executes the blocks after it again.
fn load(store: &mut Store, genesis: &Block) -> Result<Recovered, StoreError> {
    let reader = store.reader();
    let newest = store.shared.certificates.latest(store.height)?;
    let far = crate::ledger::MAX_BESIDE as u64 / 2;
    let certificate =
        newest.filter(|newest| store.height.saturating_sub(newest.record.round) <= far);
    let applied = certificate.as_ref().map_or(store.height, |newest| newest.record.round);
    let (tip, seal) = match reader.block(applied)? {
        Some(stored) => (Tip::from(&stored.block), stored.seal),
        None if applied == 0 => (Tip::from(genesis), Digest::new([0; 32])),
        None => return Err(StoreError::Damaged),
    };
    let base = base(&reader, applied)?;
    if base.tree().root().as_bytes() != tip.header.root.as_bytes() {
        return Err(StoreError::Damaged);
    }
    let (mut ledger, mut seals) = (Ledger::new(tip, base), vec![seal]);
    for height in applied + 1..=store.height {
        let stored = reader.block(height)?.ok_or(StoreError::Damaged)?;
        let executed = ledger.verify(&stored.block).map_err(|_| StoreError::Damaged)?;
        seals.push(stored.seal);
        ledger.finalize(executed).map_err(|_| StoreError::Damaged)?;
    }
    Ok(Recovered { ledger, certificate, seals })
}

/// The tree after the block of this height.
fn base(reader: &Reader, height: u64) -> Result<Base, StoreError> {
    let (total, _) = reader.leaves_after(height)?.ok_or(StoreError::Damaged)?;
    let mut base = Base::default();
    while base.count() < total {
        let wanted = CHUNK.min((total - base.count()) as usize);
        let leaves = reader.leaves(base.count(), wanted)?;
        if leaves.len() != wanted {
            return Err(StoreError::Damaged);
        }
        let pairs: Vec<(Key, Value)> = leaves.iter().map(|leaf| (leaf.key, leaf.value)).collect();
        let rounds: Vec<Round> = leaves
            .chunk_by(|a, b| a.height == b.height)
            .map(|chunk| chunk[0].round(chunk.len() as u32))
            .collect();
        base.extend(&rounds, &pairs).map_err(|_| StoreError::Damaged)?;
    }
    Ok(base)
}
