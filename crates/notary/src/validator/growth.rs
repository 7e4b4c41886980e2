//! Prove that the tree only grew between two blocks.
//!
//! The tree in memory is that of the newest block only. An older one is built again from the stored
//! leaves, and kept for whoever walks on from there.

use tally_core::time::Time;
use tally_tree::{Key, Tree, Value};

use super::answers::digest;
use super::{Validator, lock};
use crate::backend::{Consistency, Growth, LookupError, MAX_GROWTH_LEAVES};
use crate::store::Leaf;

/// How many leaves are read and added to a tree at a time.
const CHUNK: usize = 50_000;

/// A tree of the past.
#[derive(Debug, Default)]
pub(super) struct Growths {
    tree: Tree,
    used: Time,
}

/// How long a tree of the past is kept for the next call, in seconds.
const KEPT: u64 = 60;

impl Growths {
    /// Frees the tree if nobody has asked for a while.
    pub(super) fn tidy(&mut self, now: Time) {
        if !self.tree.is_empty() && now.since(self.used) > KEPT {
            self.tree = Tree::new();
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.tree.memory_bytes()
    }
}

impl Validator {
    /// How the tree grew from block `from` to block `to`, or to one before it.
    ///
    /// Takes as long as building a tree of all leaves up to `from`, unless the call before ended there.
    ///
    /// # Errors
    /// [`LookupError`].
    pub fn consistency(&self, from: u64, to: u64) -> Result<Consistency, LookupError> {
        if from > to {
            return Err(LookupError::Range);
        }
        if to > self.height()? {
            return Err(LookupError::NoBlock(to));
        }
        let before = match from {
            0 => None,
            _ => Some(self.certificate_of(from)?.ok_or(LookupError::NoBlock(from))?),
        };
        let mut past = lock(&self.0.growths);
        past.used = self.clock().now();
        self.rewind(&mut past.tree, from)?;
        let (mut steps, mut reached, mut added) = (Vec::new(), from, 0);
        let mut after = before.clone();
        let rounds = self.rounds(from, to);
        let mut complete = rounds.len() < MAX_GROWTH_LEAVES;
        for (height, leaves) in rounds {
            if added > 0 && added + leaves as usize > MAX_GROWTH_LEAVES {
                complete = false;
                break;
            }
            let certificate = self.certificate_of(height)?;
            let step = self.step(&mut past.tree, height, leaves)?;
            added += leaves as usize;
            steps.push(step);
            if let Some(certificate) = certificate {
                (after, reached) = (Some(certificate), height);
            }
        }
        // Whoever caught up has not the certificate of each block, and need not: the last one vouches for all.
        if complete && let Some(last) = self.certificate_of(to)? {
            (after, reached) = (Some(last), to);
        }
        // What no certificate vouches for is left out.
        steps.retain(|step: &Growth| step.height <= reached);
        Ok(Consistency { before, after: after.ok_or(LookupError::NotReady)?, steps })
    }

    /// Makes `tree` that of the block of this height.
    fn rewind(&self, tree: &mut Tree, height: u64) -> Result<(), LookupError> {
        let (total, _) = self.0.reader.leaves_after(height)?.ok_or(LookupError::NoBlock(height))?;
        if tree.len() > total as usize {
            *tree = Tree::new();
        }
        while tree.len() < total as usize {
            let wanted = CHUNK.min(total as usize - tree.len());
            let leaves = self.0.reader.leaves(tree.len() as u32, wanted)?;
            if leaves.is_empty() {
                return Err(LookupError::Store);
            }
            tree.insert_batch(&pairs(&leaves)).map_err(|_| LookupError::Store)?;
        }
        Ok(())
    }

    fn step(&self, tree: &mut Tree, height: u64, leaves: u32) -> Result<Growth, LookupError> {
        let leaves = self.0.reader.leaves(tree.len() as u32, leaves as usize)?;
        let mut leaves = pairs(&leaves);
        leaves.sort_unstable();
        let proof = tree.insert_batch_with_proof(&leaves).map_err(|_| LookupError::Store)?;
        Ok(Growth { height, root: digest(tree.root()), leaves, proof })
    }

    /// Blocks after `from`, up to `to`, that added leaves, with how many.
    fn rounds(&self, from: u64, to: u64) -> Vec<(u64, u32)> {
        let state = self.state();
        let rounds = state.ledger.base().rounds_after(from);
        rounds
            .take_while(|(_, round)| round.height <= to)
            .take(MAX_GROWTH_LEAVES)
            .map(|(_, round)| (round.height, round.leaves))
            .collect()
    }
}

fn pairs(leaves: &[Leaf]) -> Vec<(Key, Value)> {
    leaves.iter().map(|leaf| (leaf.key, leaf.value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_of_the_past_is_freed_when_nobody_has_asked_for_a_while() {
        let mut past = Growths { tree: Tree::new(), used: Time::from_unix(100) };
        past.tree.insert(Key::from([1; 32]), Value::from([2; 32])).expect("room");
        past.tidy(Time::from_unix(100 + KEPT));
        assert!(!past.tree.is_empty());
        past.tidy(Time::from_unix(101 + KEPT));
        assert!(past.tree.is_empty());
    }
}
