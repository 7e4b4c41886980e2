//! Remember who waits for what.

use std::collections::HashMap;
use std::sync::Arc;

use tally_core::notary::StateId;
use tokio::sync::oneshot;

use crate::backend::Outcome;
use crate::block::{BatchId, Entry};
use crate::ledger::{EntryOutcome, Executed};

/// Most calls that wait.
pub const MAX_WAITING: usize = 100_000;

/// Who waits for a batch, or for a state.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    batches: HashMap<BatchId, Vec<oneshot::Sender<Outcome>>>,
    states: HashMap<StateId, Vec<oneshot::Sender<()>>>,
    count: usize,
}

/// What became of a batch, as far as its block tells.
pub(super) struct Decided {
    pub(super) entry: Entry,
    pub(super) outcome: EntryOutcome,
    pub(super) height: u64,
}

impl Waiting {
    /// Waits for a batch; nothing if too many wait.
    pub(super) fn batch(&mut self, id: BatchId) -> Option<oneshot::Receiver<Outcome>> {
        self.make_room()?;
        let (sender, receiver) = oneshot::channel();
        self.batches.entry(id).or_default().push(sender);
        self.count += 1;
        Some(receiver)
    }

    /// Waits for the spend of a state; nothing if too many wait.
    pub(super) fn state(&mut self, state: StateId) -> Option<oneshot::Receiver<()>> {
        self.make_room()?;
        let (sender, receiver) = oneshot::channel();
        self.states.entry(state).or_default().push(sender);
        self.count += 1;
        Some(receiver)
    }

    /// Wakes who waits for states of these blocks, and gives back who waits for their batches.
    pub(super) fn decided(
        &mut self,
        applied: &[Arc<Executed>],
    ) -> Vec<(Decided, oneshot::Sender<Outcome>)> {
        let mut decided = Vec::new();
        for executed in applied {
            for (key, _) in &executed.leaves {
                if self.states.is_empty() {
                    break;
                }
                let woken = self.states.remove(&StateId::new(*key.as_bytes()));
                for waiter in woken.into_iter().flatten() {
                    let _ = waiter.send(());
                }
            }
            let height = executed.block.height();
            for (entry, outcome) in executed.block.entries().iter().zip(&executed.outcomes) {
                for waiter in self.batches.remove(&entry.id()).into_iter().flatten() {
                    let what = Decided { entry: entry.clone(), outcome: *outcome, height };
                    decided.push((what, waiter));
                }
            }
        }
        self.count = self.batches.values().map(Vec::len).sum::<usize>()
            + self.states.values().map(Vec::len).sum::<usize>();
        decided
    }

    /// Lets nobody wait any more for batches that no block will have: their receivers end.
    pub(super) fn give_up(&mut self, late: &[BatchId]) {
        for id in late {
            let waiters = self.batches.remove(id).map_or(0, |waiters| waiters.len());
            self.count = self.count.saturating_sub(waiters);
        }
    }

    fn make_room(&mut self) -> Option<()> {
        if self.count < MAX_WAITING {
            return Some(());
        }
        self.batches.values_mut().for_each(|waiters| waiters.retain(|waiter| !waiter.is_closed()));
        self.states.values_mut().for_each(|waiters| waiters.retain(|waiter| !waiter.is_closed()));
        self.batches.retain(|_, waiters| !waiters.is_empty());
        self.states.retain(|_, waiters| !waiters.is_empty());
        self.count = self.batches.values().map(Vec::len).sum::<usize>()
            + self.states.values().map(Vec::len).sum::<usize>();
        (self.count < MAX_WAITING).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::entry;

    #[test]
    fn nobody_waits_for_what_no_block_will_have() {
        let mut waiting = Waiting::default();
        let (late, other) = (entry(&[1], 1).id(), entry(&[2], 1).id());
        let mut first = waiting.batch(late).expect("room");
        let mut second = waiting.batch(other).expect("room");
        waiting.give_up(&[late]);
        assert_eq!(first.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        assert_eq!(second.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        assert_eq!(waiting.count, 1);
    }
}
