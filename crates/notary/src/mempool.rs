//! Hold the batches that wait to be put into a block: first come, first served, within limits.

use std::collections::{BTreeMap, HashMap};

use tally_core::time::Time;

use crate::block::{BatchId, Entry, MAX_BLOCK_BYTES, MAX_BLOCK_REQUESTS, MAX_HEADER_BYTES};
use crate::rules::expired;

/// How much may wait.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Limits {
    /// Most requests.
    pub requests: usize,
    /// Most bytes.
    pub bytes: usize,
}

impl Default for Limits {
    /// Some ten full blocks.
    fn default() -> Self {
        Self { requests: 40_000, bytes: 16 << 20 }
    }
}

/// That no more can wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("as many requests wait as may: send again later")]
pub struct Full;

/// Batches in the order in which they came.
#[derive(Debug, Default)]
pub struct Mempool {
    limits: Limits,
    waiting: BTreeMap<u64, Entry>,
    numbers: HashMap<BatchId, u64>,
    next: u64,
    requests: usize,
    bytes: usize,
}

impl Mempool {
    /// An empty one.
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Takes a batch, which the caller has checked. Whether it is new.
    ///
    /// # Errors
    /// [`Full`]; a batch that waits already is never refused.
    pub fn insert(&mut self, entry: Entry) -> Result<bool, Full> {
        if self.numbers.contains_key(&entry.id()) {
            return Ok(false);
        }
        let (requests, bytes) = self.after(&entry);
        if requests > self.limits.requests || bytes > self.limits.bytes {
            return Err(Full);
        }
        (self.requests, self.bytes) = (requests, bytes);
        self.numbers.insert(entry.id(), self.next);
        self.waiting.insert(self.next, entry);
        self.next += 1;
        Ok(true)
    }

    /// Whether a batch waits.
    pub fn contains(&self, id: &BatchId) -> bool {
        self.numbers.contains_key(id)
    }

    /// Drops a batch.
    pub fn remove(&mut self, id: &BatchId) {
        let Some(entry) = self.numbers.remove(id).and_then(|number| self.waiting.remove(&number))
        else {
            return;
        };
        self.requests = self.requests.saturating_sub(entry.requests().len());
        self.bytes = self.bytes.saturating_sub(entry.as_bytes().len());
    }

    /// Drops what may no longer be certified at `at`, and says what that was.
    pub fn expire(&mut self, at: Time) -> Vec<BatchId> {
        let late: Vec<_> =
            self.waiting.values().filter(|entry| expired(entry, at)).map(Entry::id).collect();
        late.iter().for_each(|id| self.remove(id));
        late
    }

    /// What fits a block of time `at`, the oldest first, without what `skip` names.
    pub fn select(&self, at: Time, skip: impl Fn(&BatchId) -> bool) -> Vec<Entry> {
        let (mut requests, mut bytes) = (0, MAX_HEADER_BYTES);
        let mut chosen = Vec::new();
        for entry in self.waiting.values() {
            let size = entry.as_bytes().len() + 5;
            let fits = requests + entry.requests().len() <= MAX_BLOCK_REQUESTS
                && bytes + size <= MAX_BLOCK_BYTES;
            if !fits {
                break;
            }
            if skip(&entry.id()) || expired(entry, at) {
                continue;
            }
            requests += entry.requests().len();
            bytes += size;
            chosen.push(entry.clone());
        }
        chosen
    }

    /// Whether there is anything that `skip` does not name.
    pub fn has_other(&self, skip: impl Fn(&BatchId) -> bool) -> bool {
        self.waiting.values().any(|entry| !skip(&entry.id()))
    }

    /// How many requests wait.
    pub fn requests(&self) -> usize {
        self.requests
    }

    /// How many bytes they have.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn after(&self, entry: &Entry) -> (usize, usize) {
        (self.requests + entry.requests().len(), self.bytes + entry.as_bytes().len())
    }
}

#[cfg(test)]
mod tests;
