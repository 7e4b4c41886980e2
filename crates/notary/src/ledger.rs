//! Execute blocks: decide which spend of a state is the first, and what the tree's root becomes.
//!
//! Everything here is a function of blocks. There is no clock, no randomness and no I/O, so every
//! validator that executes the same blocks has the same tree.
//!
//! | a block is | it is kept | what it changes |
//! |---|---|---|
//! | executed | beside the tree, with its leaves | nothing |
//! | final | beside the tree; its competitors are dropped | what can be built upon |
//! | applied | in the tree | what proofs are made from |
//!
//! The driver applies a block when it has a certificate for it, so that proofs are always made from a
//! tree whose root is certified.

mod base;
mod error;

pub use base::{Base, Round};
pub use error::LedgerError;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use tally_core::id::Digest;
use tally_core::notary::{LeafValue, StateId, TransactionHash};
use tally_core::time::Time;
use tally_tree::{Key, Value};

use crate::block::{BatchId, Block, BlockHash, Entry, Header};

/// Most blocks that are kept beside the tree. Beyond it, blocks that are not final are refused.
pub const MAX_BESIDE: usize = 1_024;

/// What became of a batch in a block.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum EntryOutcome {
    /// Each of its states is now spent by its transaction: here, or before.
    Certified,
    /// Another transaction had spent this state; nothing of the batch is in the tree.
    Refused(StateId),
}

/// Which request of a block asked for a leaf.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Origin {
    /// Number of its batch in the block.
    pub entry: u32,
    /// Its number in the batch.
    pub request: u8,
}

/// A block and what it does after its parent.
#[derive(Debug)]
pub struct Executed {
    /// The block.
    pub block: Block,
    /// What became of each of its batches.
    pub outcomes: Vec<EntryOutcome>,
    /// The leaves that it adds, in the order of execution.
    pub leaves: Vec<(Key, Value)>,
    /// For each of those leaves, the request that asked for it.
    pub origins: Vec<Origin>,
    spends: HashMap<StateId, TransactionHash>,
    entries: HashSet<BatchId>,
}

/// The tree, and the blocks that are not in it yet.
#[derive(Debug)]
pub struct Ledger {
    base: Base,
    applied: Tip,
    beside: HashMap<BlockHash, Arc<Executed>>,
    finals: VecDeque<Arc<Executed>>,
}

/// A block that others can follow.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tip {
    /// Its name.
    pub hash: BlockHash,
    /// Its header.
    pub header: Header,
}

impl From<&Block> for Tip {
    fn from(block: &Block) -> Self {
        Self { hash: block.hash(), header: block.header().clone() }
    }
}

/// Who spends a state.
enum Winner {
    Nobody,
    Same,
    Other,
}

impl Ledger {
    /// A ledger whose tree holds everything up to `applied`.
    pub fn new(applied: Tip, base: Base) -> Self {
        Self { base, applied, beside: HashMap::new(), finals: VecDeque::new() }
    }

    /// The tree and where its leaves came from.
    pub fn base(&self) -> &Base {
        &self.base
    }

    /// The last block that is in the tree.
    pub fn applied(&self) -> &Tip {
        &self.applied
    }

    /// The last final block.
    pub fn last_final(&self) -> Tip {
        self.finals.back().map_or_else(|| self.applied.clone(), |last| Tip::from(&last.block))
    }

    /// Final blocks that are not in the tree yet, in order.
    pub fn waiting(&self) -> impl Iterator<Item = &Arc<Executed>> {
        self.finals.iter()
    }

    /// The block of this name, if it is kept beside the tree.
    pub fn beside(&self, hash: &BlockHash) -> Option<&Arc<Executed>> {
        self.beside.get(hash)
    }

    /// Whether a block of this name can be built upon.
    pub fn follows(&self, parent: &BlockHash) -> bool {
        self.applied.hash == *parent || self.beside.contains_key(parent)
    }

    /// The batches of the blocks between the tree and `parent`, that one included.
    pub fn on_the_way(&self, parent: &BlockHash) -> Result<Vec<Arc<Executed>>, LedgerError> {
        let mut chain = Vec::new();
        let mut at = *parent;
        while at != self.applied.hash {
            let executed = self.beside.get(&at).ok_or(LedgerError::UnknownParent)?;
            at = executed.block.header().parent;
            chain.push(Arc::clone(executed));
        }
        Ok(chain)
    }

    /// The time of a block that can be built upon.
    pub fn time_of(&self, parent: &BlockHash) -> Option<Time> {
        self.tip(parent).ok().map(|tip| tip.header.time)
    }

    /// Builds a block of these batches after `parent`. The caller has checked the batches at `time`.
    ///
    /// # Errors
    /// [`LedgerError::UnknownParent`], [`LedgerError::Time`], [`LedgerError::TooLarge`] or
    /// [`LedgerError::Tree`].
    pub fn build(
        &self,
        parent: &BlockHash,
        time: Time,
        entries: Vec<Entry>,
    ) -> Result<Arc<Executed>, LedgerError> {
        let tip = self.tip(parent)?;
        if time < tip.header.time {
            return Err(LedgerError::Time);
        }
        let effect = self.execute(&tip, time, &entries)?;
        let block = Block::new(&tip.header, tip.hash, effect.root, time, entries)
            .map_err(|_| LedgerError::TooLarge)?;
        Ok(Arc::new(effect.of(block)))
    }

    /// Executes a block and compares what it states with what follows (`BLOCK-2` to `BLOCK-5`). Its
    /// batches are checked elsewhere, by [`Rules`](crate::rules::Rules).
    ///
    /// # Errors
    /// [`LedgerError`]; [`LedgerError::UnknownParent`] says nothing about the block.
    pub fn verify(&self, block: &Block) -> Result<Arc<Executed>, LedgerError> {
        if let Some(known) = self.beside.get(&block.hash()) {
            return Ok(Arc::clone(known));
        }
        let header = block.header();
        let tip = self.tip(&header.parent)?;
        if Some(header.height) != tip.header.height.checked_add(1) {
            return Err(LedgerError::Height);
        }
        if header.previous != tip.header.root {
            return Err(LedgerError::PreviousRoot);
        }
        if header.time < tip.header.time {
            return Err(LedgerError::Time);
        }
        let effect = self.execute(&tip, header.time, block.entries())?;
        if effect.root != header.root {
            return Err(LedgerError::Root);
        }
        Ok(Arc::new(effect.of(block.clone())))
    }

    /// Keeps an executed block, so that others can be built upon it.
    ///
    /// # Errors
    /// [`LedgerError::Full`] when [`MAX_BESIDE`] blocks are kept.
    pub fn keep(&mut self, executed: Arc<Executed>) -> Result<(), LedgerError> {
        if executed.block.height() <= self.applied.header.height {
            return Ok(());
        }
        if self.beside.len() >= MAX_BESIDE {
            return Err(LedgerError::Full);
        }
        self.beside.insert(executed.block.hash(), executed);
        Ok(())
    }

    /// Takes a block as final, and drops what competes with it. It must follow the last final block.
    ///
    /// # Errors
    /// [`LedgerError::NotNext`].
    pub fn finalize(&mut self, executed: Arc<Executed>) -> Result<(), LedgerError> {
        let last = self.last_final();
        if executed.block.header().parent != last.hash {
            return Err(LedgerError::NotNext);
        }
        let (height, hash) = (executed.block.height(), executed.block.hash());
        self.beside.retain(|_, other| {
            let other = &other.block;
            other.height() > height || self.finals.iter().any(|kept| kept.block == *other)
        });
        self.beside.insert(hash, Arc::clone(&executed));
        self.finals.push_back(executed);
        Ok(())
    }

    /// Adds the leaves of all final blocks up to this height to the tree, and returns the blocks.
    ///
    /// # Errors
    /// [`LedgerError::Tree`] when the tree is full.
    pub fn apply(&mut self, height: u64) -> Result<Vec<Arc<Executed>>, LedgerError> {
        let until = self.finals.partition_point(|final_| final_.block.height() <= height);
        let blocks: Vec<_> = self.finals.range(..until).cloned().collect();
        let Some(last) = blocks.last() else { return Ok(blocks) };
        let leaves: Vec<_> = blocks.iter().flat_map(|block| &block.leaves).copied().collect();
        let rounds: Vec<_> = blocks.iter().map(|block| Round::of(block)).collect();
        self.base.extend(&rounds, &leaves)?;
        self.applied = Tip::from(&last.block);
        self.finals.drain(..until);
        for block in &blocks {
            self.beside.remove(&block.block.hash());
        }
        Ok(blocks)
    }

    fn tip(&self, hash: &BlockHash) -> Result<Tip, LedgerError> {
        if *hash == self.applied.hash {
            return Ok(self.applied.clone());
        }
        let executed = self.beside.get(hash).ok_or(LedgerError::UnknownParent)?;
        Ok(Tip::from(&executed.block))
    }

    fn execute(&self, tip: &Tip, time: Time, entries: &[Entry]) -> Result<Effect, LedgerError> {
        let chain = self.on_the_way(&tip.hash)?;
        let mut effect = Effect::default();
        for (number, entry) in (0..).zip(entries) {
            let outcome = self.decide(&chain, &effect, entry);
            effect.outcomes.push(outcome);
            effect.entries.insert(entry.id());
            if outcome == EntryOutcome::Certified {
                self.spend(&chain, &mut effect, number, entry, time);
            }
        }
        effect.root = if effect.leaves.is_empty() {
            tip.header.root
        } else {
            let before = chain.iter().flat_map(|executed| &executed.leaves);
            let all: Vec<_> = before.chain(&effect.leaves).copied().collect();
            Digest::new(*self.base.tree().root_after(&all)?.as_bytes())
        };
        Ok(effect)
    }

    /// Whether all spends of a batch are the first of their states.
    fn decide(&self, chain: &[Arc<Executed>], effect: &Effect, entry: &Entry) -> EntryOutcome {
        let transaction = entry.transaction();
        let lost = entry.requests().iter().find(|request| {
            matches!(self.winner(chain, effect, &request.state_id, &transaction), Winner::Other)
        });
        lost.map_or(EntryOutcome::Certified, |request| EntryOutcome::Refused(request.state_id))
    }

    fn spend(
        &self,
        chain: &[Arc<Executed>],
        effect: &mut Effect,
        number: u32,
        entry: &Entry,
        time: Time,
    ) {
        let transaction = entry.transaction();
        for (request, state) in (0..).zip(entry.requests().iter().map(|r| r.state_id)) {
            if let Winner::Nobody = self.winner(chain, effect, &state, &transaction) {
                effect.spends.insert(state, transaction);
                effect.leaves.push((state.into(), LeafValue::of(&transaction, time).into()));
                effect.origins.push(Origin { entry: number, request });
            }
        }
    }

    fn winner(
        &self,
        chain: &[Arc<Executed>],
        effect: &Effect,
        state: &StateId,
        transaction: &TransactionHash,
    ) -> Winner {
        let recent = chain.iter().find_map(|executed| executed.spends.get(state));
        match effect.spends.get(state).or(recent) {
            Some(winner) if winner == transaction => Winner::Same,
            Some(_) => Winner::Other,
            None => match self.base.is_spend_by(state, transaction) {
                None => Winner::Nobody,
                Some(true) => Winner::Same,
                Some(false) => Winner::Other,
            },
        }
    }
}

/// What a block would do, before there is a block.
#[derive(Debug)]
struct Effect {
    outcomes: Vec<EntryOutcome>,
    leaves: Vec<(Key, Value)>,
    origins: Vec<Origin>,
    spends: HashMap<StateId, TransactionHash>,
    entries: HashSet<BatchId>,
    root: Digest,
}

impl Default for Effect {
    fn default() -> Self {
        Self {
            outcomes: Vec::new(),
            leaves: Vec::new(),
            origins: Vec::new(),
            spends: HashMap::new(),
            entries: HashSet::new(),
            root: Digest::new([0; 32]),
        }
    }
}

impl Effect {
    fn of(self, block: Block) -> Executed {
        let Self { outcomes, leaves, origins, spends, entries, root: _ } = self;
        Executed { block, outcomes, leaves, origins, spends, entries }
    }
}

impl Executed {
    /// Whether the block has this batch.
    pub fn has(&self, id: &BatchId) -> bool {
        self.entries.contains(id)
    }

    /// The transaction that spends `state` in this block, if it is spent here.
    pub fn spender(&self, state: &StateId) -> Option<TransactionHash> {
        self.spends.get(state).copied()
    }

    /// How many requests were refused.
    pub fn refused(&self) -> u64 {
        let pairs = self.outcomes.iter().zip(self.block.entries());
        pairs
            .filter(|(outcome, _)| **outcome != EntryOutcome::Certified)
            .map(|(_, entry)| entry.requests().len() as u64)
            .sum()
    }
}

#[cfg(test)]
mod tests;
