//! Check what a request says of itself, once: the same answer in the mempool, in a block and at a wallet.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;

use tally_core::id::NetworkId;
use tally_core::keys::PublicKey;
use tally_core::notary::{Engine, RequestError, ShardId, Spend, StateId};
use tally_core::predicate;
use tally_core::seal::{Judge, TpmProofs};
use tally_core::time::Time;

use crate::block::{BatchId, Entry};

/// Batches whose signatures are remembered as checked, in each of two generations.
pub const MAX_REMEMBERED: usize = 1 << 16;

/// Decides Tally's own predicates (engine 84) as a payee's wallet does, by
/// [`Predicate::check`](tally_core::predicate::Predicate::check).
#[derive(Clone, Debug)]
pub struct TallyEngine {
    network: NetworkId,
    enrollers: Arc<[PublicKey]>,
}

impl TallyEngine {
    /// An engine that takes the word of these enrollers for hardware seals on `network` (`SEAL-20`).
    pub fn trusting(network: NetworkId, enrollers: Vec<PublicKey>) -> Self {
        Self { network, enrollers: enrollers.into() }
    }
}

impl Default for TallyEngine {
    /// An engine that trusts no hardware: a sealed coin moves when its lock has ended.
    fn default() -> Self {
        Self::trusting(NetworkId::LOCAL, Vec::new())
    }
}

impl Engine for TallyEngine {
    fn unlocks(&self, spend: &Spend<'_>, unlock: &[u8], at: Time) -> bool {
        let judge = Judge::of_notary(self.network, &TpmProofs, &self.enrollers);
        predicate::TallyEngine { judge }.unlocks(spend, unlock, at)
    }
}

/// Everything that decides whether a request is valid on its own.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Which states this network holds.
    pub shard: ShardId,
    /// Who decides Tally's own predicates.
    pub engine: TallyEngine,
}

impl Rules {
    /// Checks every request of a batch at reference time `at` (`WIRE-22`).
    ///
    /// # Errors
    /// The state of the first request that breaks a rule, and the rule.
    pub fn check(&self, entry: &Entry, at: Time) -> Result<(), (StateId, RequestError)> {
        entry.requests().iter().try_for_each(|request| {
            request.verify(&self.shard, &self.engine, at).map_err(|error| (request.state_id, error))
        })
    }
}

/// Remembers which batches were found valid, so that a signature costs a validator one check.
///
/// A request that is valid at one time is valid at every later one before its deadline: locks only
/// end. So a batch is remembered with the earliest time at which it was valid, and its deadlines are
/// looked at each time.
#[derive(Debug, Default)]
pub struct Checked {
    young: HashMap<BatchId, Time>,
    old: HashMap<BatchId, Time>,
}

impl Checked {
    /// Whether the batch is known to be valid at `at`. False if nothing is known.
    pub fn knows(&self, entry: &Entry, at: Time) -> bool {
        let known = self.young.get(&entry.id()).or_else(|| self.old.get(&entry.id()));
        known.is_some_and(|since| *since <= at) && !expired(entry, at)
    }

    /// Remembers that the batch was valid at `at`.
    pub fn remember(&mut self, entry: &Entry, at: Time) {
        let since = self.young.entry(entry.id()).or_insert(at);
        *since = at.min(*since);
        if self.young.len() >= MAX_REMEMBERED {
            self.old = mem::take(&mut self.young);
        }
    }
}

/// Whether a request of the batch may no longer be certified at `at`.
pub fn expired(entry: &Entry, at: Time) -> bool {
    entry.requests().iter().any(|request| request.data.expires_at.is_some_and(|end| at >= end))
}

#[cfg(test)]
mod tests;
