//! Proofs that a tree only grew: that one root follows another by adding exactly these leaves.
//!
//! A proof replays the insertion. It lists the touched part of the tree in post-order as a program
//! for a stack machine; the verifier builds the root before and the root after side by side and
//! never needs the tree.

use crate::hash::{leaf_hash, node_hash};
use crate::types::{Digest, KEY_BITS, Key, Value};
use alloc::vec::Vec;

/// The most bytes a consistency proof takes.
pub const MAX_CONSISTENCY_BYTES: usize = 64 << 20;
/// The most subtrees that can wait for their sibling: one for each bit of a key, and the one being
/// built.
const MAX_STACK: usize = KEY_BITS as usize + 1;

/// Why a consistency proof was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConsistencyError {
    /// Structural: longer than [`MAX_CONSISTENCY_BYTES`].
    #[error("the proof has {0} bytes, more than the limit; ask for proofs of smaller batches")]
    TooLong(usize),
    /// Structural: the bytes from this offset on are no instruction.
    #[error("the proof is damaged at byte {0}; ask for it again")]
    Malformed(usize),
    /// Structural: the instructions do not build one tree, or one deeper than a key has bits.
    #[error("the proof does not describe a tree; ask for it again")]
    NotATree,
    /// The batch is not in strictly ascending order of its keys.
    #[error("the batch is not sorted, or has a key twice; sort it by key")]
    BatchOrder,
    /// The proof adds fewer leaves than the batch has, or more.
    #[error("the proof is for another number of leaves; check that this is its batch")]
    BatchLength,
    /// A subtree hangs where its keys do not belong.
    #[error("the proof puts a subtree where its keys do not belong; distrust its source")]
    Misplaced,
    /// A subtree beside a new one is not opened, so that nothing shows where its keys belong.
    #[error("the proof hides what is beside a new leaf; distrust its source")]
    Hidden,
    /// An instruction shows more than is needed.
    #[error("the proof opens a subtree in which nothing changes; ask for it in its shortest form")]
    Redundant,
    /// The proof starts from another root.
    #[error("the proof starts from another root; check that the root before is right")]
    RootBefore,
    /// The proof arrives at another root.
    #[error(
        "the proof arrives at another root; distrust its source, or check that this is its batch"
    )]
    RootAfter,
}

impl ConsistencyError {
    /// A stable name for programs and logs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLong(_) => "CONSISTENCY_TOO_LONG",
            Self::Malformed(_) => "CONSISTENCY_MALFORMED",
            Self::NotATree => "CONSISTENCY_NOT_A_TREE",
            Self::BatchOrder => "CONSISTENCY_BATCH_ORDER",
            Self::BatchLength => "CONSISTENCY_BATCH_LENGTH",
            Self::Misplaced => "CONSISTENCY_MISPLACED",
            Self::Hidden => "CONSISTENCY_HIDDEN",
            Self::Redundant => "CONSISTENCY_REDUNDANT",
            Self::RootBefore => "CONSISTENCY_ROOT_BEFORE",
            Self::RootAfter => "CONSISTENCY_ROOT_AFTER",
        }
    }
}

/// Shows that one root follows another by adding exactly the leaves of one batch (TREE-9 to
/// TREE-13).
///
/// About 270 bytes for each of 10,000 leaves added to a million. For one pair of roots and one
/// batch there is one proof.
///
/// ```
/// use tally_tree::{Key, Tree, Value};
///
/// let mut tree = Tree::new();
/// let before = tree.root();
/// let batch = [(Key::from([1; 32]), Value::from([5; 32])), (Key::from([2; 32]), Value::from([6; 32]))];
/// let proof = tree.insert_batch_with_proof(&batch)?;
/// proof.verify(&before, &tree.root(), &batch)?;
/// assert!(proof.verify(&before, &tree.root(), &batch[..1]).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ConsistencyProof(Vec<u8>);

impl ConsistencyProof {
    /// Checks that adding exactly the leaves of `batch`, which is sorted by key, leads from the
    /// root `before` to `after`.
    ///
    /// Also shows that no key of the batch was in the tree before. Takes time linear in the proof,
    /// and little memory.
    ///
    /// # Errors
    /// The first [`ConsistencyError`] met, if the proof does not show that.
    pub fn verify(
        &self,
        before: &Digest,
        after: &Digest,
        batch: &[(Key, Value)],
    ) -> Result<(), ConsistencyError> {
        if !batch.is_sorted_by(|(a, _), (b, _)| a < b) {
            return Err(ConsistencyError::BatchOrder);
        }
        let grown = self.replay(batch)?;
        // Without leaves nothing may change, and the proof, which is then empty, does not say what
        // is there.
        let (implied_before, implied_after) = match grown {
            None => (*before, *before),
            Some(tree) => (tree.before.unwrap_or(Digest::EMPTY), tree.after),
        };
        if implied_before != *before {
            return Err(ConsistencyError::RootBefore);
        }
        if implied_after != *after {
            return Err(ConsistencyError::RootAfter);
        }
        Ok(())
    }

    /// The proof as it is sent.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The proof as it is sent.
    pub fn encode(&self) -> Vec<u8> {
        self.0.clone()
    }

    /// Reads what [`encode`](Self::encode) wrote, and nothing else.
    ///
    /// # Errors
    /// A structural [`ConsistencyError`]: `TooLong`, `Malformed` or `NotATree`.
    pub fn decode(bytes: &[u8]) -> Result<Self, ConsistencyError> {
        if bytes.len() > MAX_CONSISTENCY_BYTES {
            return Err(ConsistencyError::TooLong(bytes.len()));
        }
        let mut height = 0usize;
        for instruction in Instructions::of(bytes) {
            match instruction? {
                Instruction::Join(_) if height < 2 => return Err(ConsistencyError::NotATree),
                Instruction::Join(_) => height -= 1,
                _ if height == MAX_STACK => return Err(ConsistencyError::NotATree),
                _ => height += 1,
            }
        }
        match height {
            0 | 1 => Ok(Self(bytes.to_vec())),
            _ => Err(ConsistencyError::NotATree),
        }
    }

    /// Builds the tree before and after; nothing if the proof is empty.
    fn replay(&self, batch: &[(Key, Value)]) -> Result<Option<Subtree>, ConsistencyError> {
        let mut new_leaves = batch.iter();
        let mut stack: Vec<Subtree> = Vec::new();
        for instruction in Instructions::of(&self.0) {
            let subtree = match instruction? {
                Instruction::Keep(hash) => Subtree::kept(hash, Origin::Unopened, None),
                Instruction::OpenNode { depth, region, left, right } => {
                    let hash = node_hash(depth, &region, &left, &right);
                    Subtree::kept(hash, Origin::Opened, Some((depth.into(), region)))
                }
                Instruction::OpenLeaf(key, value) => {
                    Subtree::kept(leaf_hash(&key, &value), Origin::Opened, Some((KEY_BITS, key)))
                }
                Instruction::Add => {
                    let (key, value) = new_leaves.next().ok_or(ConsistencyError::BatchLength)?;
                    Subtree::added(key, value)
                }
                Instruction::Join(depth) => {
                    let (Some(right), Some(left)) = (stack.pop(), stack.pop()) else {
                        return Err(ConsistencyError::NotATree);
                    };
                    Subtree::join(depth, &left, &right)?
                }
            };
            if stack.len() == MAX_STACK {
                return Err(ConsistencyError::NotATree);
            }
            stack.push(subtree);
        }
        if new_leaves.next().is_some() {
            return Err(ConsistencyError::BatchLength);
        }
        match (stack.pop(), stack.is_empty()) {
            (None, _) => Ok(None),
            (Some(tree), true) if tree.origin == Origin::Grown => Ok(Some(tree)),
            (Some(_), true) => Err(ConsistencyError::Redundant),
            (Some(_), false) => Err(ConsistencyError::NotATree),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// Preserved, and known by its hash alone.
    Unopened,
    /// Preserved, and shown to be where its keys belong.
    Opened,
    /// There are new leaves below.
    Grown,
}

/// A subtree before and after the batch.
struct Subtree {
    before: Option<Digest>,
    after: Digest,
    origin: Origin,
    /// Its depth (256 for a leaf) and region, where that is known.
    place: Option<(u16, Key)>,
}

impl Subtree {
    fn kept(hash: Digest, origin: Origin, place: Option<(u16, Key)>) -> Self {
        Self { before: Some(hash), after: hash, origin, place }
    }

    fn added(key: &Key, value: &Value) -> Self {
        Self {
            before: None,
            after: leaf_hash(key, value),
            origin: Origin::Grown,
            place: Some((KEY_BITS, *key)),
        }
    }

    /// Puts a node of this depth above two subtrees.
    ///
    /// A node that was there before has its depth, region and children bound by its hash, so an
    /// unopened child is where it always was. A node that is new, because one of its children is,
    /// has no such hash: both children must then show that they belong below it, or an old subtree
    /// could be hung where none of its keys is ever looked for.
    fn join(depth: u8, left: &Self, right: &Self) -> Result<Self, ConsistencyError> {
        let is_new = left.before.is_none() || right.before.is_none();
        let mut region = None;
        for (side, child) in [left, right].into_iter().enumerate() {
            match (child.origin, is_new) {
                (Origin::Unopened, true) => return Err(ConsistencyError::Hidden),
                (Origin::Opened, false) => return Err(ConsistencyError::Redundant),
                _ => {}
            }
            let Some((child_depth, prefix)) = &child.place else { continue };
            let above = prefix.region(depth);
            let belongs = *child_depth > u16::from(depth)
                && prefix.side(depth) == side
                && *region.get_or_insert(above) == above;
            if !belongs {
                return Err(ConsistencyError::Misplaced);
            }
        }
        // No child has a place if both are kept unopened: then nothing changes below.
        let region = region.ok_or(ConsistencyError::Redundant)?;
        let before = match (left.before, right.before) {
            (Some(left), Some(right)) => Some(node_hash(depth, &region, &left, &right)),
            (left, right) => left.or(right),
        };
        Ok(Self {
            before,
            after: node_hash(depth, &region, &left.after, &right.after),
            origin: Origin::Grown,
            place: Some((depth.into(), region)),
        })
    }
}

enum Instruction {
    /// `00 ‖ hash`: a subtree that stays as it is.
    Keep(Digest),
    /// `01`: the next leaf of the batch.
    Add,
    /// `02 ‖ depth`: a node above the last two subtrees.
    Join(u8),
    /// `03 ‖ depth ‖ region ‖ left ‖ right`: a node that stays as it is, beside a new subtree.
    OpenNode { depth: u8, region: Key, left: Digest, right: Digest },
    /// `04 ‖ key ‖ value`: a leaf that stays as it is, beside a new subtree.
    OpenLeaf(Key, Value),
}

struct Instructions<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Instructions<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, offset: 0 }
    }

    fn parse(&mut self) -> Option<Instruction> {
        match self.byte()? {
            0 => Some(Instruction::Keep(self.bytes32()?.into())),
            1 => Some(Instruction::Add),
            2 => Some(Instruction::Join(self.byte()?)),
            3 => {
                let (depth, region) = (self.byte()?, Key::from(self.bytes32()?));
                let (left, right) = (self.bytes32()?.into(), self.bytes32()?.into());
                let canonical = region == region.region(depth);
                canonical.then_some(Instruction::OpenNode { depth, region, left, right })
            }
            4 => Some(Instruction::OpenLeaf(self.bytes32()?.into(), self.bytes32()?.into())),
            _ => None,
        }
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn bytes32(&mut self) -> Option<[u8; 32]> {
        let (first, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*first)
    }
}

impl Iterator for Instructions<'_> {
    type Item = Result<Instruction, ConsistencyError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let length = self.rest.len();
        let instruction = self.parse().ok_or(ConsistencyError::Malformed(self.offset));
        self.offset += length - self.rest.len();
        if instruction.is_err() {
            self.rest = &[];
        }
        Some(instruction)
    }
}

/// Writes a proof, instruction by instruction.
pub(crate) struct ProofBuilder(Vec<u8>);

impl ProofBuilder {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn keep(&mut self, hash: &Digest) {
        self.0.push(0);
        self.0.extend_from_slice(hash.as_bytes());
    }

    pub(crate) fn add(&mut self) {
        self.0.push(1);
    }

    pub(crate) fn join(&mut self, depth: u8) {
        self.0.extend_from_slice(&[2, depth]);
    }

    pub(crate) fn open_node(&mut self, depth: u8, region: &Key, children: &[Digest; 2]) {
        self.0.extend_from_slice(&[3, depth]);
        for bytes in [region.as_bytes(), children[0].as_bytes(), children[1].as_bytes()] {
            self.0.extend_from_slice(bytes);
        }
    }

    pub(crate) fn open_leaf(&mut self, key: &Key, value: &Value) {
        self.0.push(4);
        self.0.extend_from_slice(key.as_bytes());
        self.0.extend_from_slice(value.as_bytes());
    }

    /// The proof, unless it is longer than a verifier accepts.
    pub(crate) fn finish(self) -> Option<ConsistencyProof> {
        (self.0.len() <= MAX_CONSISTENCY_BYTES).then_some(ConsistencyProof(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_never_longer_than_what_is_accepted() {
        let mut proof = ProofBuilder(alloc::vec![1; MAX_CONSISTENCY_BYTES - 2]);
        proof.join(0);
        assert!(ProofBuilder(proof.0.clone()).finish().is_some());
        proof.add();
        assert!(proof.finish().is_none());
    }
}
