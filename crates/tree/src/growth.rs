//! Writes consistency proofs: walks the part of a tree that a batch would touch, in post-order.

use crate::consistency::{ConsistencyProof, ProofBuilder};
use crate::crown::Place;
use crate::error::TreeError;
use crate::shard::{Meeting, Ref, Shard, Target, split_at};
use crate::tree::{Tree, by_shard, sort};
use crate::types::{Digest, Key, Value};
use alloc::vec::Vec;

impl Tree {
    /// A proof that adding these leaves, in any order, leads from this tree's root to the one that
    /// [`root_after`] gives.
    ///
    /// The tree stays as it is. The verifier needs the same leaves, sorted by key.
    ///
    /// # Errors
    /// As [`insert_batch`](Self::insert_batch), and [`TreeError::ProofTooLong`].
    ///
    /// [`root_after`]: Self::root_after
    pub fn consistency_proof(&self, batch: &[(Key, Value)]) -> Result<ConsistencyProof, TreeError> {
        let mut keys = by_shard(batch);
        for keys in &mut keys {
            sort(keys)?;
        }
        let mut proof = ProofBuilder::new();
        if !batch.is_empty() {
            Growth { tree: self, keys: &keys, proof: &mut proof }.crown(Place::ROOT)?;
        }
        proof.finish().ok_or(TreeError::ProofTooLong)
    }

    /// Adds many leaves as [`insert_batch`](Self::insert_batch) does, and proves that nothing else
    /// changed.
    ///
    /// # Errors
    /// As [`consistency_proof`](Self::consistency_proof); the tree is then as it was before.
    pub fn insert_batch_with_proof(
        &mut self,
        batch: &[(Key, Value)],
    ) -> Result<ConsistencyProof, TreeError> {
        let proof = self.consistency_proof(batch)?;
        self.insert_batch(batch)?;
        Ok(proof)
    }
}

struct Growth<'a> {
    tree: &'a Tree,
    keys: &'a [Vec<(Key, Value)>],
    proof: &'a mut ProofBuilder,
}

impl Growth<'_> {
    /// Everything at and below a place of the crown that has leaves, before the batch or after it.
    fn crown(&mut self, place: Place) -> Result<(), TreeError> {
        if !self.grows(place) {
            self.proof.keep(&self.tree.crown.get(place).unwrap_or(Digest::EMPTY));
            return Ok(());
        }
        if let Some(index) = place.shard() {
            let shard = &self.tree.shards[index];
            let (top, hash) = shard.top.unwrap_or((Ref::NOTHING, Digest::EMPTY));
            return write_growth(shard, top, &hash, 0, &self.keys[index], self.proof);
        }
        let sides = [place.child(0), place.child(1)];
        let old = self.tree.crown.below(place).map(|hash| hash.is_some());
        let after = [0, 1].map(|side| old[side] || self.grows(sides[side]));
        for side in [0, 1] {
            if after[side] && !self.grows(sides[side]) && !old[1 - side] {
                self.open(sides[side]);
            } else if after[side] {
                self.crown(sides[side])?;
            }
        }
        if after == [true, true] {
            self.proof.join(place.depth());
        }
        Ok(())
    }

    fn grows(&self, place: Place) -> bool {
        self.keys[place.shards()].iter().any(|keys| !keys.is_empty())
    }

    /// Opens the topmost node, or the only leaf, at or below a place of the crown in which nothing
    /// changes.
    fn open(&mut self, place: Place) {
        if let Some(index) = place.shard() {
            let shard = &self.tree.shards[index];
            return shard.top.iter().for_each(|(top, _)| write_open(shard, *top, self.proof));
        }
        match self.tree.crown.below(place) {
            [Some(left), Some(right)] => {
                self.proof.open_node(place.depth(), &place.region(), &[left, right]);
            }
            [left, _] => self.open(place.child(usize::from(left.is_none()))),
        }
    }
}

/// Writes what the new keys, which agree with everything at `at` before bit `from`, do there;
/// `hash` is its hash.
fn write_growth(
    shard: &Shard,
    at: Ref,
    hash: &Digest,
    from: u16,
    keys: &[(Key, Value)],
    proof: &mut ProofBuilder,
) -> Result<(), TreeError> {
    if keys.is_empty() {
        proof.keep(hash);
        return Ok(());
    }
    let (depth, below, hashes, parted) = match shard.meet(at, from, keys) {
        Meeting::Present => return Err(TreeError::KeyPresent(keys[0].0)),
        Meeting::Leaf => {
            proof.add();
            return Ok(());
        }
        Meeting::Through { node } => {
            let fork = &shard.forks[node];
            (fork.depth(), fork.children, shard.pairs[node].0, false)
        }
        Meeting::Part { depth, old } => {
            let here = |side| if old == Some(side) { at } else { Ref::NOTHING };
            (depth, [here(0), here(1)], [*hash; 2], true)
        }
    };
    let (left, right) = keys.split_at(split_at(keys, depth));
    for (side, keys) in [left, right].into_iter().enumerate() {
        if parted && keys.is_empty() {
            write_open(shard, below[side], proof);
        } else {
            write_growth(shard, below[side], &hashes[side], u16::from(depth) + 1, keys, proof)?;
        }
    }
    proof.join(depth);
    Ok(())
}

/// Opens what stays as it is at `at`, so that the verifier sees where it belongs.
fn write_open(shard: &Shard, at: Ref, proof: &mut ProofBuilder) {
    match at.target() {
        Target::Leaf(leaf) => proof.open_leaf(&shard.leaves[leaf].0, &shard.leaves[leaf].1),
        Target::Node(node) => {
            let depth = shard.forks[node].depth();
            let region = shard.some_key(node).region(depth);
            proof.open_node(depth, &region, &shard.pairs[node].0);
        }
        Target::Nothing => {}
    }
}
