//! Build messages that fit: whatever a device knows, it says it in as many messages as it takes.

use alloc::vec::Vec;

use crate::cbor::{Encode, List, to_bytes};

/// Longest message that a device sends, in bytes. What encryption adds, and a hello before it, still
/// fit an envelope and a packet ([`crate::packet`]).
pub const MAX_MESSAGE: usize = 240 * 1024;

/// Most bytes by which the head of a list with items is longer than that of an empty one.
const LIST_HEAD: usize = 2;

/// What is left of a message that is being built, in bytes.
#[derive(Debug)]
pub struct Room {
    left: usize,
}

impl Room {
    /// What is left beside what stands in the message already; its lists that are to be filled are
    /// empty there.
    pub fn beside(fixed: &impl Encode) -> Self {
        Self { left: MAX_MESSAGE.saturating_sub(to_bytes(fixed).len()) }
    }

    /// Whether an item of this length still fits beside `others` bytes that are to come.
    pub fn holds(item: &impl Encode, others: usize) -> bool {
        to_bytes(item).len().saturating_add(others) <= MAX_MESSAGE
    }

    /// Takes the first of `items` that fit, in order and at most `MAX`, and leaves the others.
    pub fn fill<T: Encode, const MAX: usize>(&mut self, items: &mut Vec<T>) -> List<T, MAX> {
        let mut left = self.left.saturating_sub(LIST_HEAD);
        let mut count = 0;
        for item in items.iter().take(MAX) {
            let Some(rest) = left.checked_sub(to_bytes(item).len()) else { break };
            left = rest;
            count += 1;
        }
        if count > 0 {
            self.left = left;
        }
        List::truncated(items.drain(..count).collect())
    }
}
