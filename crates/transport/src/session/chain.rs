//! Hold the keys of one direction of payments, from the oldest that the peer may still use.

use alloc::collections::VecDeque;

use super::keys::{self, Key};
use super::{MAX_PENDING, SessionError};

/// A run of keys, each derived from the one before and a payment's link.
///
/// `entries[0]` is where the peer was last seen; `send` is the offset this side sends at.
/// Invariants: `1 <= entries.len() <= MAX_PENDING + 1` and `send < entries.len()`.
#[derive(Clone)]
pub(super) struct Chain {
    pub(super) first: u64,
    pub(super) send: usize,
    pub(super) entries: VecDeque<Entry>,
}

/// A key and the link of the payment that led to it (zero for the first).
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) link: [u8; 32],
    pub(super) key: Key,
}

impl Chain {
    pub(super) fn new(key: Key) -> Self {
        Self { first: 0, send: 0, entries: VecDeque::from([Entry { link: [0; 32], key }]) }
    }

    /// Each key with its number since the session began.
    pub(super) fn keys(&self) -> impl Iterator<Item = (u64, &Key)> {
        (0..).zip(&self.entries).map(|(i, entry)| (self.first.saturating_add(i), &entry.key))
    }

    pub(super) fn send_index(&self) -> u64 {
        self.first.saturating_add(self.send as u64)
    }

    /// Makes sure that the chain holds the key after `link`, and says at which offset.
    pub(super) fn extend(&mut self, link: &[u8; 32]) -> Result<usize, SessionError> {
        let known = |entry: &Entry| entry.link == *link;
        if let Some(offset) = self.entries.iter().rposition(known) {
            return Ok(offset);
        }
        if self.entries.len() > MAX_PENDING {
            return Err(SessionError::Pending);
        }
        let last = self.entries.len() - 1;
        let key = keys::step(&self.entries[last].key, link);
        self.entries.push_back(Entry { link: *link, key });
        Ok(last + 1)
    }

    /// Sends at `offset` from now on, unless already past it; says whether that is a change.
    pub(super) fn send_from(&mut self, offset: usize) -> bool {
        let forward = offset > self.send;
        self.send = self.send.max(offset);
        forward
    }

    /// Forgets the keys before number `index`, where the peer was seen, and sends there or later.
    pub(super) fn drop_before(&mut self, index: u64) {
        let offset = usize::try_from(index.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let offset = offset.min(self.entries.len().saturating_sub(1));
        self.entries.drain(..offset);
        self.first = self.first.saturating_add(offset as u64);
        self.send = self.send.saturating_sub(offset);
    }
}
