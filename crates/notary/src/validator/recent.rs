//! Keep the newest blocks with leaves in memory: most proofs are asked for soon.

use std::collections::VecDeque;
use std::sync::Arc;

use tally_core::notary::CertificationData;
use tally_core::time::Time;

use crate::ledger::Executed;

/// Most blocks that are kept.
const MAX_RECENT: usize = 64;

/// Blocks with leaves, each with the number of its first leaf.
#[derive(Debug, Default)]
pub(super) struct Recent(VecDeque<(u32, Arc<Executed>)>);

impl Recent {
    /// Keeps blocks that were just applied; there are `count` leaves after them.
    pub(super) fn push(&mut self, count: u32, applied: &[Arc<Executed>]) {
        let added: usize = applied.iter().map(|executed| executed.leaves.len()).sum();
        let mut first = count.saturating_sub(added as u32);
        for executed in applied.iter().filter(|executed| !executed.leaves.is_empty()) {
            self.0.push_back((first, Arc::clone(executed)));
            first += executed.leaves.len() as u32;
        }
        while self.0.len() > MAX_RECENT {
            self.0.pop_front();
        }
    }

    /// The spend behind the leaf of this number, with its reference time.
    pub(super) fn spend(&self, number: u32) -> Option<(CertificationData, Time)> {
        let at = self.0.partition_point(|(first, _)| *first <= number).checked_sub(1)?;
        let (first, executed) = &self.0[at];
        let origin = executed.origins.get((number - first) as usize)?;
        let entry = executed.block.entries().get(origin.entry as usize)?;
        let request = entry.requests().get(usize::from(origin.request))?;
        Some((request.data.clone(), executed.block.header().time))
    }
}
