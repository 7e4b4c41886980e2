//! Fork proofs that were checked: one for each convicted key, numbered in the order in which they came.

use std::collections::HashMap;
use std::sync::Arc;

use tally_core::cbor::{from_bytes, to_bytes};
use tally_core::fork::ForkProof;
use tally_core::keys::PublicKey;

use super::StoreError;
use super::disk::{Disk, DiskFile};
use super::frame::{FRAME_HEAD, Frame};

/// Most fork proofs that a validator keeps.
pub const MAX_FORK_PROOFS: usize = 65_536;

/// Fork proofs by number, from 1 on, and by the key that they convict.
pub struct ForkLog {
    file: Arc<dyn DiskFile>,
    proofs: Vec<ForkProof>,
    numbers: HashMap<PublicKey, u64>,
}

impl ForkLog {
    /// Opens the log, and cuts off a torn end.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(disk: &dyn Disk) -> Result<Self, StoreError> {
        let file = disk.open("forks")?;
        let mut log = Self { file, proofs: Vec::new(), numbers: HashMap::new() };
        let mut at = 0;
        while let Some(content) = Frame::read(&*log.file, at)? {
            let proof = from_bytes::<ForkProof>(&content).map_err(|_| StoreError::Damaged)?;
            log.take(proof);
            at += FRAME_HEAD + content.len() as u64;
        }
        log.file.truncate(at)?;
        Ok(log)
    }

    /// Keeps a proof that was checked, durably. Its number, and whether its key was convicted before.
    ///
    /// # Errors
    /// [`StoreError::Full`] also when there are [`MAX_FORK_PROOFS`].
    pub fn keep(&mut self, proof: ForkProof) -> Result<(u64, bool), StoreError> {
        if let Some(number) = self.numbers.get(&proof.key) {
            return Ok((*number, true));
        }
        if self.proofs.len() >= MAX_FORK_PROOFS {
            return Err(StoreError::Full);
        }
        self.file.append(&Frame::encode(&to_bytes(&proof)))?;
        self.file.sync()?;
        Ok((self.take(proof), false))
    }

    /// Up to `limit` proofs with their numbers, from number `from` on.
    pub fn since(&self, from: u64, limit: usize) -> Vec<(u64, ForkProof)> {
        let first = from.max(1);
        let skipped = usize::try_from(first - 1).unwrap_or(usize::MAX);
        let proofs = self.proofs.iter().skip(skipped).take(limit).cloned();
        (first..).zip(proofs).collect()
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.proofs.len() as u64
    }

    fn take(&mut self, proof: ForkProof) -> u64 {
        let number = self.proofs.len() as u64 + 1;
        let key = proof.key.clone();
        self.proofs.push(proof);
        *self.numbers.entry(key).or_insert(number)
    }
}
