//! What a batch of new leaves does to one shard, worked out without touching the shard.
//!
//! A plan lists, level by level from the top, everything on the way of a new key: nodes passed
//! through, new nodes, new leaves. Going level by level rather than key by key visits each node
//! once, and gives the processor many independent loads, then many independent hashes, to overlap.
//! Each step has the message whose hash it is, so hashing runs over this list alone, backwards,
//! children before parents. Only [`Plan::apply`] writes to the shard.

use crate::error::TreeError;
use crate::hash::Message;
use crate::shard::{Fork, MAX_SHARD_LEAVES, Meeting, Pair, Ref, Shard, Target, split_at};
use crate::types::{Digest, Key, Value};
use alloc::vec::Vec;
use core::ops::Range;

struct Step {
    /// What the edge leads to: before the step is taken, what the shard has there; afterwards, what
    /// it shall have.
    at: Ref,
    /// The step above, twice, plus the side on which this one hangs below it.
    above: u32,
    /// All bits before this one are known to agree between the keys and what is at the edge's end.
    from: u16,
    keys: Range<u32>,
    fork: Fork,
}

/// The changes to one shard, and its root hash after them.
pub(crate) struct Plan {
    steps: Vec<Step>,
    /// What is hashed for each step.
    messages: Vec<Message>,
    root: Digest,
}

/// The most keys of one shard in one batch: each takes at most 258 steps, and steps are numbered in
/// 31 bits.
const MAX_SHARD_KEYS: usize = 1 << 21;
const NO_STEP: u32 = u32::MAX;

impl Plan {
    /// Plans the insertion of `keys`, which are not empty and strictly ascending, all of this
    /// shard.
    pub(crate) fn new(shard: &Shard, keys: &[(Key, Value)]) -> Result<Self, TreeError> {
        // So that indices fit in 32 bits, with the one bit that marks a leaf or a side.
        let total = shard.leaves.len().saturating_add(keys.len());
        if total > MAX_SHARD_LEAVES || keys.len() > MAX_SHARD_KEYS {
            return Err(TreeError::Full);
        }
        // About as many steps a key as there are levels that it shares with no other, and a leaf
        // and a node of its own.
        let unshared = (shard.leaves.len() / keys.len() + 1).ilog2() as usize;
        let expected = keys.len() * (unshared + 4);
        let mut planner = Planner {
            shard,
            keys,
            next_node: shard.forks.len(),
            next_leaf: shard.leaves.len(),
            steps: Vec::with_capacity(expected),
            messages: Vec::with_capacity(expected),
        };
        let top = shard.top.map_or(Ref::NOTHING, |(top, _)| top);
        planner.steps.push(Step::new(top, NO_STEP, 0, 0..keys.len() as u32));
        let mut next = 0;
        while next < planner.steps.len() {
            planner.take(next)?;
            next += 1;
        }
        let Planner { mut steps, mut messages, .. } = planner;
        let root = hash_upwards(&mut steps, &mut messages);
        Ok(Self { steps, messages, root })
    }

    /// The shard's root hash once this plan is applied.
    pub(crate) fn root(&self) -> Digest {
        self.root
    }

    /// Writes the plan into the shard it was made for, which has not changed since.
    pub(crate) fn apply(&self, shard: &mut Shard, keys: &[(Key, Value)]) {
        reserve(&mut shard.forks, keys.len());
        reserve(&mut shard.pairs, keys.len());
        reserve(&mut shard.leaves, keys.len());
        for (step, message) in self.steps.iter().zip(&self.messages) {
            match step.at.target() {
                Target::Leaf(_) => shard.leaves.push(keys[step.keys.start as usize]),
                Target::Node(node) if node < shard.forks.len() => {
                    shard.forks[node] = step.fork;
                    shard.pairs[node] = Pair(message.children());
                }
                Target::Node(_) => {
                    shard.forks.push(step.fork);
                    shard.pairs.push(Pair(message.children()));
                }
                Target::Nothing => {}
            }
        }
        shard.top = self.steps.first().map(|step| (step.at, self.root));
    }
}

impl Step {
    fn new(at: Ref, above: u32, from: u16, keys: Range<u32>) -> Self {
        Self { at, above, from, keys, fork: Fork::new(0, &Key::default()) }
    }
}

struct Planner<'a> {
    shard: &'a Shard,
    keys: &'a [(Key, Value)],
    next_node: usize,
    next_leaf: usize,
    steps: Vec<Step>,
    messages: Vec<Message>,
}

impl Planner<'_> {
    /// Decides what step `index` leads to, and queues the steps below it.
    fn take(&mut self, index: usize) -> Result<(), TreeError> {
        let step = &self.steps[index];
        let (at, from) = (step.at, step.from);
        let keys = &self.keys[step.keys.start as usize..step.keys.end as usize];
        match self.shard.meet(at, from, keys) {
            Meeting::Present => Err(TreeError::KeyPresent(keys[0].0)),
            Meeting::Leaf => {
                self.messages.push(Message::leaf(&keys[0].0, &keys[0].1));
                self.steps[index].at = Ref::leaf(self.next_leaf);
                self.next_leaf += 1;
                Ok(())
            }
            Meeting::Through { node } => {
                let fork = self.shard.forks[node];
                let Pair(children) = &self.shard.pairs[node];
                self.messages.push(Message::node(fork.depth(), &keys[0].0, children));
                self.steps[index].fork = fork;
                self.queue_below(index, keys);
                Ok(())
            }
            Meeting::Part { depth, old } => {
                let mut fork = Fork::new(depth, &keys[0].0);
                let mut children = [Digest::EMPTY; 2];
                if let Some(side) = old {
                    fork.children[side] = at;
                    children[side] = self.hash_at(index);
                }
                self.messages.push(Message::node(depth, &keys[0].0, &children));
                let step = &mut self.steps[index];
                (step.at, step.fork) = (Ref::node(self.next_node), fork);
                self.next_node += 1;
                self.queue_below(index, keys);
                Ok(())
            }
        }
    }

    fn queue_below(&mut self, index: usize, keys: &[(Key, Value)]) {
        let Step { fork, keys: range, .. } = &self.steps[index];
        let (depth, children) = (fork.depth(), fork.children);
        let middle = range.start + split_at(keys, depth) as u32;
        for (side, range) in [range.start..middle, middle..range.end].into_iter().enumerate() {
            if !range.is_empty() {
                let above = (index * 2 + side) as u32;
                let from = u16::from(depth) + 1;
                self.steps.push(Step::new(children[side], above, from, range));
            }
        }
    }

    /// The hash of what the shard has at the end of the edge of step `index`.
    fn hash_at(&self, index: usize) -> Digest {
        match self.steps[index].above {
            NO_STEP => self.shard.top.map_or(Digest::EMPTY, |(_, hash)| hash),
            above => self.messages[above as usize / 2].children()[above as usize % 2],
        }
    }
}

/// Hashes every step, last to first, into the message of the one above it; returns the hash of the
/// first.
fn hash_upwards(steps: &mut [Step], messages: &mut [Message]) -> Digest {
    let mut hash = Digest::EMPTY;
    for index in (0..steps.len()).rev() {
        hash = messages[index].digest();
        let Step { at, above, .. } = steps[index];
        if above != NO_STEP {
            let (above, side) = (above as usize / 2, above as usize % 2);
            steps[above].fork.children[side] = at;
            messages[above].set_child(side, &hash);
        }
    }
    hash
}

/// Makes room for `more` entries, growing by an eighth at least: doubling would leave up to half of
/// the memory unused.
fn reserve<T>(arena: &mut Vec<T>, more: usize) {
    if arena.capacity() - arena.len() < more {
        arena.reserve_exact(more.max(arena.len() / 8));
    }
}
