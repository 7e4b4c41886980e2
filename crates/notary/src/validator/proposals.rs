//! Propose blocks, and judge those of others.

use std::sync::Arc;

use tally_core::time::Time;

use super::{MAX_CLOCK_AHEAD, Validator, lock};
use crate::block::{Block, BlockHash, Entry, MAX_BLOCK_REQUESTS};
use crate::ledger::{Executed, LedgerError};

/// What a validator thinks of a proposed block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is right, and may be voted for.
    Valid,
    /// It can never be right.
    Invalid,
    /// It cannot be judged now, so it must not be voted for.
    Abstain,
    /// It cannot be judged before this time.
    Later(Time),
}

impl Validator {
    /// Whether a block of this name can be built upon.
    pub fn follows(&self, parent: &BlockHash) -> bool {
        self.state().ledger.follows(parent)
    }

    /// Whether something waits that is not in a block up to `parent` yet.
    pub fn has_work(&self, parent: &BlockHash) -> bool {
        let chain = self.state().ledger.on_the_way(parent).unwrap_or_default();
        lock(&self.0.pool).has_other(|id| chain.iter().any(|executed| executed.has(id)))
    }

    /// Whether a whole block's worth of requests waits.
    pub fn has_much_work(&self) -> bool {
        lock(&self.0.pool).requests() >= MAX_BLOCK_REQUESTS
    }

    /// Resolves when there may be new work.
    pub async fn work(&self) {
        self.0.work.notified().await;
    }

    /// Builds a block after `parent` from what waits; nothing if this validator cannot.
    pub fn propose(&self, parent: &BlockHash) -> Option<Block> {
        if self.is_full() || self.failure().is_some() {
            return None;
        }
        let (chain, before) = {
            let state = self.state();
            let tip = state.ledger.time_of(parent)?;
            (state.ledger.on_the_way(parent).ok()?, tip)
        };
        let time = self.clock().now().max(before);
        let known = |id: &_| chain.iter().any(|executed| executed.has(id));
        let chosen = lock(&self.0.pool).select(time, known);
        let entries = chosen.into_iter().filter(|entry| self.check(entry, time)).collect();
        let executed = self.state().ledger.build(parent, time, entries).ok()?;
        self.state_mut().ledger.keep(Arc::clone(&executed)).ok()?;
        Some(executed.block.clone())
    }

    /// Judges a block, whose ancestors have been judged (`BLOCK-2` to `BLOCK-6`).
    pub fn judge(&self, block: &Block) -> Verdict {
        if self.is_full() || self.failure().is_some() {
            return Verdict::Abstain;
        }
        let header = block.header();
        if header.time > self.clock().now().plus(MAX_CLOCK_AHEAD) {
            return Verdict::Later(Time::from_unix(header.time.unix() - MAX_CLOCK_AHEAD));
        }
        if self.state().ledger.beside(&block.hash()).is_some() {
            return Verdict::Valid;
        }
        if !block.entries().iter().all(|entry| self.check(entry, header.time)) {
            return Verdict::Invalid;
        }
        self.execute(block)
    }

    /// Executes a block that a quorum accepted, so that others can be judged. Its requests are not
    /// checked again.
    pub fn adopt(&self, block: &Block) -> Verdict {
        self.execute(block)
    }

    fn execute(&self, block: &Block) -> Verdict {
        let executed: Result<Arc<Executed>, LedgerError> = self.state().ledger.verify(block);
        match executed.and_then(|executed| self.state_mut().ledger.keep(executed)) {
            Ok(()) => Verdict::Valid,
            Err(LedgerError::UnknownParent | LedgerError::Full) => Verdict::Abstain,
            Err(error) => {
                tracing::warn!(?block, %error, "a proposed block is wrong");
                Verdict::Invalid
            }
        }
    }

    /// Whether a batch is valid at `time`: looked up if it was checked before.
    pub(super) fn check(&self, entry: &Entry, time: Time) -> bool {
        if lock(&self.0.checked).knows(entry, time) {
            return true;
        }
        let valid = self.0.setup.rules.check(entry, time).is_ok();
        if valid {
            lock(&self.0.checked).remember(entry, time);
        }
        valid
    }
}
