//! The tree, and in which round each of its leaves was made.

use std::collections::{BTreeMap, HashMap};

use tally_core::notary::{LeafValue, StateId, TransactionHash};
use tally_core::time::Time;
use tally_tree::{Key, Tree, TreeError, Value};

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

/// All leaves that were ever certified, in about 190 bytes each.
///
/// Leaves are numbered in the order in which they were certified. A number leads to the leaf's round, and
/// in the store to the request.
#[derive(Debug, Default)]
pub struct Base {
    tree: Tree,
    /// The number of a leaf by the first eight bytes of its state.
    numbers: HashMap<u64, u32>,
    /// The numbers of leaves whose first eight bytes another leaf has.
    crowded: BTreeMap<StateId, u32>,
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
        if !self.tree.contains(&(*state).into()) {
            return None;
        }
        self.crowded.get(state).or_else(|| self.numbers.get(&prefix(state))).copied()
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
        let value = self.tree.get(&(*state).into())?;
        let round = self.round(self.number(state)?)?;
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
        self.numbers.reserve(leaves.len());
        for (number, (key, _)) in (self.count..).zip(leaves) {
            let state = StateId::new(*key.as_bytes());
            if self.numbers.try_insert_first(prefix(&state), number) {
                continue;
            }
            self.crowded.insert(state, number);
        }
        let mut first = self.count;
        for round in rounds.iter().filter(|round| round.leaves > 0) {
            self.rounds.push((first, *round));
            first = first.saturating_add(round.leaves);
        }
        self.count = total;
        Ok(())
    }

    /// How many bytes of memory all this takes, roughly.
    pub fn memory_bytes(&self) -> usize {
        self.tree.memory_bytes()
            + self.numbers.capacity() * (size_of::<(u64, u32)>() + 1) * 8 / 7
            + self.rounds.capacity() * size_of::<(u32, Round)>()
    }
}

/// Inserting only where nothing is.
trait TryInsertFirst {
    fn try_insert_first(&mut self, key: u64, number: u32) -> bool;
}

impl TryInsertFirst for HashMap<u64, u32> {
    fn try_insert_first(&mut self, key: u64, number: u32) -> bool {
        let mut new = false;
        self.entry(key).or_insert_with(|| {
            new = true;
            number
        });
        new
    }
}

fn prefix(state: &StateId) -> u64 {
    let [first, ..] = state.as_bytes().as_chunks::<8>().0 else { return 0 };
    u64::from_be_bytes(*first)
}
