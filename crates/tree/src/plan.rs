//! What a batch of new leaves does to one shard, worked out without touching the shard.
//!
//! A plan lists, level by level from the top, everything on the way of a new key: nodes passed through, new nodes, new
//! leaves. Going level by level rather than key by key visits each node once, and gives the processor many independent
//! loads, then many independent hashes, to overlap. Each step keeps a copy of the two hashes below it, so hashing runs
//! over this list alone, backwards, children before parents. Only [`Plan::apply`] writes to the shard.

use crate::error::TreeError;
use crate::hash::{leaf_hash, node_hash};
use crate::shard::{Fork, MAX_SHARD_LEAVES, Meeting, Pair, Ref, Shard, Target, split_at};
use crate::types::{Digest, Key, Value};
use alloc::vec::Vec;
use core::ops::Range;

struct Step {
    /// What the edge leads to: before the step is taken, what the shard has there; afterwards, what it shall have.
    at: Ref,
    /// The step above, twice, plus the side on which this one hangs below it.
    above: u32,
    /// All bits before this one are known to agree between the keys and what is at the edge's end.
    from: u16,
    keys: Range<u32>,
    fork: Fork,
    pair: Pair,
}

/// The changes to one shard, and its root hash after them.
pub(crate) struct Plan {
    steps: Vec<Step>,
    root: Digest,
}

const NO_STEP: u32 = u32::MAX;

impl Plan {
    /// Plans the insertion of `keys`, which are not empty and strictly ascending, all of this shard.
    pub(crate) fn new(shard: &Shard, keys: &[(Key, Value)]) -> Result<Self, TreeError> {
        // Both arenas stay below 2^30 entries, and a path has at most 256 steps: indices fit their 32 bits, with the
        // one bit that marks a leaf or a side.
        let total = shard.leaves.len().saturating_add(keys.len());
        if total > MAX_SHARD_LEAVES || keys.len() > MAX_SHARD_LEAVES / 512 {
            return Err(TreeError::Full);
        }
        let mut planner = Planner {
            shard,
            keys,
            next_node: shard.forks.len(),
            next_leaf: shard.leaves.len(),
            steps: Vec::with_capacity(keys.len() * 4 + 16),
        };
        let top = shard.top.map_or(Ref::NOTHING, |(top, _)| top);
        planner.steps.push(Step::new(top, NO_STEP, 0, 0..keys.len() as u32));
        let mut next = 0;
        while next < planner.steps.len() {
            planner.take(next)?;
            next += 1;
        }
        let mut steps = planner.steps;
        let root = hash_upwards(&mut steps, keys);
        Ok(Self { steps, root })
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
        for step in &self.steps {
            match step.at.target() {
                Target::Leaf(_) => shard.leaves.push(keys[step.keys.start as usize]),
                Target::Node(node) if node < shard.forks.len() => {
                    shard.forks[node] = step.fork;
                    shard.pairs[node] = step.pair;
                }
                Target::Node(_) => {
                    shard.forks.push(step.fork);
                    shard.pairs.push(step.pair);
                }
                Target::Nothing => {}
            }
        }
        shard.top = self.steps.first().map(|step| (step.at, self.root));
    }
}

impl Step {
    fn new(at: Ref, above: u32, from: u16, keys: Range<u32>) -> Self {
        Self { at, above, from, keys, fork: Fork::new(0, &Key::default()), pair: Pair::default() }
    }
}

struct Planner<'a> {
    shard: &'a Shard,
    keys: &'a [(Key, Value)],
    next_node: usize,
    next_leaf: usize,
    steps: Vec<Step>,
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
                self.steps[index].at = Ref::leaf(self.next_leaf);
                self.next_leaf += 1;
                Ok(())
            }
            Meeting::Through { node } => {
                let step = &mut self.steps[index];
                step.fork = self.shard.forks[node];
                step.pair = self.shard.pairs[node];
                self.queue_below(index, keys);
                Ok(())
            }
            Meeting::Part { depth, old } => {
                let mut fork = Fork::new(depth, &keys[0].0);
                let mut pair = Pair::default();
                if let Some(side) = old {
                    fork.children[side] = at;
                    pair.0[side] = self.hash_at(index);
                }
                let step = &mut self.steps[index];
                (step.at, step.fork, step.pair) = (Ref::node(self.next_node), fork, pair);
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
            above => self.steps[above as usize / 2].pair.0[above as usize % 2],
        }
    }
}

/// Hashes every step, last to first, into the pair of the one above it; returns the hash of the first.
fn hash_upwards(steps: &mut [Step], keys: &[(Key, Value)]) -> Digest {
    let mut hash = Digest::EMPTY;
    for index in (0..steps.len()).rev() {
        let Step { at, above, keys: range, fork, pair, .. } = &steps[index];
        let (key, value) = &keys[range.start as usize];
        hash = match at.target() {
            Target::Leaf(_) => leaf_hash(key, value),
            _ => node_hash(fork.depth(), &key.region(fork.depth()), &pair.0[0], &pair.0[1]),
        };
        let (at, above) = (*at, *above);
        if above != NO_STEP {
            let (parent, side) = (&mut steps[above as usize / 2], above as usize % 2);
            parent.fork.children[side] = at;
            parent.pair.0[side] = hash;
        }
    }
    hash
}

/// Makes room for `more` entries, growing by an eighth at least: doubling would leave up to half of the memory unused.
fn reserve<T>(arena: &mut Vec<T>, more: usize) {
    if arena.capacity() - arena.len() < more {
        arena.reserve_exact(more.max(arena.len() / 8));
    }
}
