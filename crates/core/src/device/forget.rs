//! Bound what is kept of strangers: proofs of forks, and steps that were seen.
//!
//! Anyone can make keys, fork with them, and show them around. What is known of contacts, and of
//! whoever is in the uncertified history of a coin that is held here, is never forgotten; of all
//! others no more than [`MAX_STRANGE_FORKS`] proofs and [`MAX_STRANGE_STEPS`] spends are kept (spec
//! `FORK-8`). Which of them go cannot be chosen from outside: their order is a hash of the device's
//! head, which moves with every payment.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::{Change, Device, Forgotten, MAX_STRANGERS, Output};
use crate::evidence::Sighting;
use crate::hash::sha256;
use crate::id::DeviceId;
use crate::keys::PublicKey;

/// Most fork proofs about keys that are no contact's and in no coin that is held.
pub const MAX_STRANGE_FORKS: usize = 4096;
/// Most spends by such keys that are remembered.
pub const MAX_STRANGE_STEPS: usize = 65_536;
/// Most spends of one payer that are remembered from payments that were refused.
pub const MAX_REFUSED_STEPS: usize = 256;
/// Most offers of strangers, and most of their requests for a consent, that are open at once.
pub const MAX_STRANGE_OPEN: usize = 64;
/// By how much more than needed is made room at once, so that it is not made for each.
const ROOM: usize = 16;

impl Device {
    /// The keys about which nothing is forgotten.
    fn kept_keys(&self) -> BTreeSet<PublicKey> {
        let contacts = self.contacts.values().filter(|contact| contact.stranger.is_none());
        let contacts = contacts.map(|contact| contact.owner.clone());
        let held = self.ledger.pockets().filter(|pocket| !pocket.amount().is_zero());
        let histories = held.flat_map(|pocket| pocket.evidence.uncertified_keys());
        contacts.chain(histories).chain([self.me.owner.clone()]).collect()
    }

    /// Remembers steps that were seen, and forgets strangers' above the limit.
    pub(super) fn remember_steps(
        &mut self,
        output: &mut Output,
        steps: impl IntoIterator<Item = Sighting>,
    ) {
        self.add(output, steps.into_iter().map(Change::Sighting));
        if self.sightings.len() < self.limits.sweep_at {
            return;
        }
        let kept = self.kept_keys();
        let strange = self.sightings.iter().filter(|step| !kept.contains(&step.key));
        let strange: Vec<Forgotten> = strange
            .map(|Sighting { key, branch }| {
                let (coin, tx) = (branch.coin, branch.tx_id());
                Forgotten::Sighting { key, coin, tx }
            })
            .collect();
        let order = |forgotten: &Forgotten| match forgotten {
            Forgotten::Sighting { coin, .. } => self.unforeseen(coin.as_bytes()),
            _ => [0; 32],
        };
        let gone = above(strange, self.limits.steps, order);
        self.add(output, gone.into_iter().map(Change::Forgotten));
        // What is kept in any case may be above the limit: it is not counted anew for each step.
        let room = self.limits.steps / ROOM;
        let next = self.sightings.len().saturating_add(room.max(1));
        self.limits.sweep_at = next.max(self.limits.steps.saturating_add(1));
    }

    /// The stranger whose open business makes room for that of another stranger, if there is too much.
    pub(super) fn makes_room<T>(
        &self,
        open: &BTreeMap<DeviceId, T>,
        from: &DeviceId,
    ) -> Option<DeviceId> {
        if open.contains_key(from) || !self.is_stranger(from) {
            return None;
        }
        let strangers: Vec<&DeviceId> = open.keys().filter(|one| self.is_stranger(one)).collect();
        let full = strangers.len() >= MAX_STRANGE_OPEN;
        let first = strangers.into_iter().min_by_key(|one| self.unforeseen(one.as_bytes()));
        first.copied().filter(|_| full)
    }

    /// Remembers what the payer of a refused payment signed: it may be half of a fork.
    pub(super) fn remember_refused(&mut self, from: DeviceId, steps: Vec<Sighting>) -> Output {
        let mut output = Output::default();
        let Ok(payer) = self.contact(&from) else { return output };
        let key = payer.owner.clone();
        let paid = self.incoming.steps(from, 0, u64::MAX).count();
        let room = paid.saturating_add(MAX_REFUSED_STEPS);
        let room = room.saturating_sub(self.sightings.count_of(&key));
        let new = steps.into_iter().filter(|step| step.key == key && !self.sightings.has(step));
        let new: Vec<Sighting> = new.take(room).collect();
        self.remember_steps(&mut output, new);
        output
    }

    /// Forgets the fork proofs of strangers above the limit, but not that about `new`.
    pub(super) fn forget_forks(&mut self, output: &mut Output, new: &PublicKey) {
        if self.forks.len() <= self.limits.forks {
            return;
        }
        let kept = self.kept_keys();
        let strange = self.forks.keys().filter(|key| !kept.contains(*key) && *key != new);
        let strange: Vec<PublicKey> = strange.cloned().collect();
        let gone = above(strange, self.limits.forks, |key| self.unforeseen(key.as_bytes()));
        self.add(output, gone.into_iter().map(|key| Change::Forgotten(Forgotten::Fork(key))));
    }

    /// A number that whoever made `bytes` cannot choose without knowing this device's head.
    fn unforeseen(&self, bytes: &[u8]) -> [u8; 32] {
        sha256(&[self.head.as_bytes(), bytes].concat())
    }
}

/// What is too much of `all`, and a little more.
fn above<T>(mut all: Vec<T>, most: usize, order: impl Fn(&T) -> [u8; 32]) -> Vec<T> {
    let over = all.len().saturating_sub(most);
    if over == 0 {
        return Vec::new();
    }
    all.sort_by_cached_key(order);
    all.truncate(over.saturating_add(most / ROOM));
    all
}

/// How much of strangers a device keeps.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Limits {
    pub(super) strangers: usize,
    pub(super) forks: usize,
    pub(super) steps: usize,
    /// The number of spends at which strangers' are counted.
    pub(super) sweep_at: usize,
}

impl Limits {
    pub(super) const fn new(strangers: usize, forks: usize, steps: usize) -> Self {
        Self { strangers, forks, steps, sweep_at: steps.saturating_add(1) }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new(MAX_STRANGERS, MAX_STRANGE_FORKS, MAX_STRANGE_STEPS)
    }
}
