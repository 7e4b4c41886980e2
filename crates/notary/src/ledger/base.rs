//! The tree, and in which round each of its leaves was made.

use std::collections::HashMap;

use tally_core::notary::{LeafValue, StateId, TransactionHash};
use tally_core::time::Time;
use tally_tree::{Key, SHARDS, Slot, Tree, TreeError, Value};

use super::Executed;

/// A block that added leaves.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Round {
    /// Its height.
    pub height: u64,
    /// Its reference time, which is in the value of each of its leaves.
    pub time: Time,
    /// How many leaves it added.
    pub leaves: u32,
}

impl Round {
    /// The round that a block is.
    pub fn of(executed: &Executed) -> Self {
        let header = executed.block.header();
        let leaves = u32::try_from(executed.leaves.len()).expect("a block has few requests");
        Self { height: header.height, time: header.time, leaves }
    }
}

/// All leaves that were ever certified, in about 160 bytes each.
///
/// Leaves are numbered in the order in which they were certified. A number leads to the leaf's round, and
/// in the store to the request.
#[derive(Debug, Default)]
pub struct Base {
    tree: Tree,
    /// The number of each leaf, by the slot in which the tree keeps it.
    numbers: [Vec<u32>; SHARDS],
    /// Rounds that added leaves, each with the number of its first leaf.
    rounds: Vec<(u32, Round)>,
    count: u32,
}

impl Base {
    /// The tree.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// How many leaves there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The number of the leaf of a state, if the state is spent.
    pub fn number(&self, state: &StateId) -> Option<u32> {
        let (slot, _) = self.tree.find(&(*state).into())?;
        self.number_at(slot)
    }

    fn number_at(&self, slot: Slot) -> Option<u32> {
        self.numbers.get(slot.shard)?.get(slot.index).copied()
    }

    /// The round that made the leaf of this number.
    pub fn round(&self, number: u32) -> Option<Round> {
        let at = self.rounds.partition_point(|(first, _)| *first <= number);
        let (first, round) = self.rounds.get(at.checked_sub(1)?)?;
        (number - first < round.leaves).then_some(*round)
    }

    /// Number of the first leaf that was made after the block of this height.
    pub fn first_after(&self, height: u64) -> u32 {
        let at = self.rounds.partition_point(|(_, round)| round.height <= height);
        self.rounds.get(at).map_or(self.count, |(first, _)| *first)
    }

    /// Rounds that added leaves after the block of this height, in order.
    pub fn rounds_after(&self, height: u64) -> impl Iterator<Item = (u32, Round)> {
        let at = self.rounds.partition_point(|(_, round)| round.height <= height);
        self.rounds[at..].iter().copied()
    }

    /// Whether `state` is spent by `transaction`; nothing if it is unspent.
    pub fn is_spend_by(&self, state: &StateId, transaction: &TransactionHash) -> Option<bool> {
        let (slot, value) = self.tree.find(&(*state).into())?;
        let round = self.round(self.number_at(slot)?)?;
        Some(Value::from(LeafValue::of(transaction, round.time)) == value)
    }

    /// Adds the leaves of these rounds, one after the other.
    ///
    /// # Errors
    /// [`TreeError`]; nothing has changed then.
    pub fn extend(&mut self, rounds: &[Round], leaves: &[(Key, Value)]) -> Result<(), TreeError> {
        let added = u32::try_from(leaves.len()).map_err(|_| TreeError::Full)?;
        let total = self.count.checked_add(added).ok_or(TreeError::Full)?;
        self.tree.insert_batch(leaves)?;
        self.number_new(leaves);
        let mut first = self.count;
        for round in rounds.iter().filter(|round| round.leaves > 0) {
            self.rounds.push((first, *round));
            first = first.saturating_add(round.leaves);
        }
        self.count = total;
        Ok(())
    }

    /// Numbers these leaves, which the tree has and which have no number yet.
    fn number_new(&mut self, leaves: &[(Key, Value)]) {
        let new: HashMap<Key, u32> = leaves.iter().map(|(key, _)| *key).zip(self.count..).collect();
        for (shard, numbers) in self.numbers.iter_mut().enumerate() {
            let added = &self.tree.shard(shard)[numbers.len()..];
            if numbers.capacity() - numbers.len() < added.len() {
                // As the tree grows: doubling would leave up to half of it unused.
                numbers.reserve_exact(added.len().max(numbers.len() / 8));
            }
            numbers.extend(added.iter().map(|(key, _)| new[key]));
        }
    }

    /// How many bytes of memory all this takes.
    pub fn memory_bytes(&self) -> usize {
        let numbers: usize = self.numbers.iter().map(Vec::capacity).sum();
        self.tree.memory_bytes()
            + numbers * size_of::<u32>()
            + self.rounds.capacity() * size_of::<(u32, Round)>()
    }
}
