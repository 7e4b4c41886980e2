//! The tree itself: sixteen shards below a crown.

use crate::certificate::{ExclusionCertificate, InclusionCertificate};
use crate::crown::{Crown, Place, SHARD_BITS, SHARDS};
use crate::error::TreeError;
use crate::parallel::{for_each, map};
use crate::path::{Path, PathBuilder};
use crate::plan::Plan;
use crate::shard::{Ref, Shard, Target};
use crate::types::{Digest, Key, Value};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::hash::{Hash, Hasher};

/// Batches below this many leaves are not worth starting a thread for: it saves some milliseconds, and
/// begins with memory of its own.
const MIN_PARALLEL_BATCH: usize = 8192;
const DEFAULT_THREADS: usize = 2;

/// A set of leaves, each a 32-byte value under its own 32-byte key, committed to by one 32-byte
/// root.
///
/// It is a binary radix tree: keys are read from the most significant bit, and there is a node
/// exactly where two keys part, so the root depends on the leaves alone and not on the order in
/// which they came (TREE-1). All of it is in memory, about 150 bytes a leaf.
///
/// ```
/// use tally_tree::{Key, Tree, Value};
///
/// let mut tree = Tree::new();
/// let (coin, other) = (Key::from([7; 32]), Key::from([8; 32]));
/// tree.insert(coin, Value::from([1; 32]))?;
/// tree.insert(other, Value::from([2; 32]))?;
///
/// let certificate = tree.prove(&coin).expect("it was just inserted");
/// certificate.verify(&tree.root(), &coin, &Value::from([1; 32]))?;
///
/// // Whoever holds the certificate knows the root after the leaf is replaced, without the tree.
/// let next = certificate.root(&coin, &Value::from([3; 32]));
/// tree.replace(&coin, Value::from([3; 32]))?;
/// assert_eq!(tree.root(), next);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Tree {
    pub(crate) shards: Box<[Shard]>,
    pub(crate) crown: Crown,
}

/// Where a tree keeps a leaf: it stays there, so that whoever knows more of a leaf can keep that by its
/// place.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Slot {
    /// Which of the [`SHARDS`].
    pub shard: usize,
    /// Where in the shard; new leaves are behind all others.
    pub index: usize,
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Tree {
    /// A tree without leaves; its root is [`Digest::EMPTY`].
    pub fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Shard::default()).collect(), crown: Crown::default() }
    }

    /// How many leaves there are.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.leaves.len()).sum()
    }

    /// Whether there are no leaves.
    pub fn is_empty(&self) -> bool {
        self.shards.iter().all(|shard| shard.leaves.is_empty())
    }

    /// The commitment to all leaves: [`Digest::EMPTY`] without leaves, a leaf's hash if it is the
    /// only one.
    pub fn root(&self) -> Digest {
        self.crown.root()
    }

    /// The value under a key.
    pub fn get(&self, key: &Key) -> Option<Value> {
        self.find(key).map(|(_, value)| value)
    }

    /// The value under a key, and where it is kept.
    pub fn find(&self, key: &Key) -> Option<(Slot, Value)> {
        let number = shard_of(key);
        let shard = &self.shards[number];
        let index = shard.descend(key, |_, _, _| {})?;
        let (found, value) = shard.leaves[index];
        (found == *key).then_some((Slot { shard: number, index }, value))
    }

    /// All leaves of one of the [`SHARDS`], by their places in [`Slot`]; none of any other.
    pub fn shard(&self, number: usize) -> &[(Key, Value)] {
        self.shards.get(number).map_or(&[], |shard| &shard.leaves)
    }

    /// Whether there is a leaf under a key.
    pub fn contains(&self, key: &Key) -> bool {
        self.get(key).is_some()
    }

    /// Adds a leaf.
    ///
    /// # Errors
    /// [`TreeError::KeyPresent`] if the key has one; [`TreeError::Full`].
    pub fn insert(&mut self, key: Key, value: Value) -> Result<(), TreeError> {
        self.insert_batch_on(1, &[(key, value)])
    }

    /// Gives a leaf another value, and returns the one it had. One path is rehashed.
    ///
    /// A device's tree does this with every payment. An append-only tree never does.
    ///
    /// # Errors
    /// [`TreeError::KeyAbsent`] if there is no such leaf.
    pub fn replace(&mut self, key: &Key, value: Value) -> Result<Value, TreeError> {
        let index = shard_of(key);
        let shard = &mut self.shards[index];
        let old = shard.replace(key, value).ok_or(TreeError::KeyAbsent(*key))?;
        if let Some((_, hash)) = shard.top {
            self.crown.set(index, hash);
        }
        Ok(old)
    }

    /// Adds many leaves, in any order: all of them, or none if there is an error. Large batches use
    /// two threads.
    ///
    /// Every node on the way of a new key is rehashed once, so a batch costs less than its leaves
    /// one by one. It needs about 1.6 KB a leaf for as long as it runs; fill a tree of millions in
    /// batches of some ten thousand.
    ///
    /// # Errors
    /// [`TreeError::DuplicateKey`], [`TreeError::KeyPresent`] or [`TreeError::Full`].
    pub fn insert_batch(&mut self, batch: &[(Key, Value)]) -> Result<(), TreeError> {
        self.insert_batch_on(threads_for(batch), batch)
    }

    /// Like [`insert_batch`](Self::insert_batch), on up to this many threads, 16 at most (one,
    /// without the feature `std`).
    ///
    /// The work is divided by the first four bits of the keys: keys that all share them are worked
    /// on by one thread.
    ///
    /// # Errors
    /// As [`insert_batch`](Self::insert_batch).
    pub fn insert_batch_on(
        &mut self,
        threads: usize,
        batch: &[(Key, Value)],
    ) -> Result<(), TreeError> {
        let threads = threads.min(SHARDS);
        let jobs = self.plan(threads, batch)?;
        for job in &jobs {
            self.crown.set(job.index, job.plan.root());
        }
        let mut next = jobs.iter().peekable();
        let touched = self.shards.iter_mut().enumerate().filter_map(move |(index, shard)| {
            let job = next.next_if(|job| job.index == index)?;
            Some((shard, job))
        });
        for_each(threads, touched, |(shard, job)| job.plan.apply(shard, &job.keys));
        Ok(())
    }

    /// The root that this tree would have with these leaves added, in any order; the tree stays as
    /// it is.
    ///
    /// Since only the set of leaves matters, the root after several batches is that after all of
    /// their leaves at once.
    ///
    /// # Errors
    /// As [`insert_batch`](Self::insert_batch).
    pub fn root_after(&self, batch: &[(Key, Value)]) -> Result<Digest, TreeError> {
        let mut crown = self.crown.clone();
        for job in self.plan(threads_for(batch), batch)? {
            crown.set(job.index, job.plan.root());
        }
        Ok(crown.root())
    }

    /// A proof that the leaf under `key` is in this tree; nothing if there is none.
    pub fn prove(&self, key: &Key) -> Option<InclusionCertificate> {
        let (path, (found, _)) = self.path(key)?;
        (found == *key).then(|| InclusionCertificate::new(path))
    }

    /// A proof that there is no leaf under `key` in this tree; nothing if there is one.
    pub fn prove_absence(&self, key: &Key) -> Option<ExclusionCertificate> {
        match self.path(key) {
            None => Some(ExclusionCertificate::of_empty_tree()),
            Some((_, (found, _))) if found == *key => None,
            Some((path, found)) => Some(ExclusionCertificate::new(path, found)),
        }
    }

    /// All leaves, in ascending order of their keys.
    pub fn iter(&self) -> Leaves<'_> {
        Leaves { shards: self.shards.iter(), shard: None, waiting: Vec::new() }
    }

    /// How many bytes the tree occupies, memory that is reserved for growth included.
    pub fn memory_bytes(&self) -> usize {
        let shards: usize = self.shards.iter().map(Shard::memory_bytes).sum();
        size_of::<Self>() + size_of_val(&*self.shards) + shards
    }
}

impl Tree {
    /// The leaf to which the bits of `key` lead, and the siblings on the way; nothing in an empty
    /// tree.
    fn path(&self, key: &Key) -> Option<(Path, (Key, Value))> {
        let mut path = PathBuilder::new();
        let mut place = Place::ROOT;
        let shard = loop {
            if let Some(shard) = place.shard() {
                break &self.shards[shard];
            }
            let side = match self.crown.below(place) {
                [Some(left), Some(right)] => {
                    let side = key.side(place.depth());
                    path.push(place.depth(), [right, left][side]);
                    side
                }
                [left, _] => usize::from(left.is_none()),
            };
            place = place.child(side);
        };
        let leaf = shard.descend(key, |node, depth, side| {
            path.push(depth, shard.pairs[node].0[1 - side]);
        })?;
        Some((path.finish(), shard.leaves[leaf]))
    }

    fn plan(&self, threads: usize, batch: &[(Key, Value)]) -> Result<Vec<Job>, TreeError> {
        let groups = by_shard(batch).into_iter().enumerate().filter(|(_, keys)| !keys.is_empty());
        map(threads, groups.collect(), |(index, mut keys)| {
            sort(&mut keys)?;
            let plan = Plan::new(&self.shards[index], &keys)?;
            Ok(Job { index, keys, plan })
        })
        .into_iter()
        .collect()
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree").field("root", &self.root()).field("len", &self.len()).finish()
    }
}

/// Trees are equal if their roots are: a root stands for one set of leaves, as long as SHA-256 has
/// no collisions.
impl PartialEq for Tree {
    fn eq(&self, other: &Self) -> bool {
        self.root() == other.root()
    }
}

impl Eq for Tree {}

impl Hash for Tree {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.root().hash(state);
    }
}

/// What is to be done to one shard.
struct Job {
    index: usize,
    keys: Vec<(Key, Value)>,
    plan: Plan,
}

fn shard_of(key: &Key) -> usize {
    usize::from(key.as_bytes()[0] >> (8 - SHARD_BITS))
}

fn threads_for(batch: &[(Key, Value)]) -> usize {
    if batch.len() < MIN_PARALLEL_BATCH { 1 } else { DEFAULT_THREADS }
}

/// The leaves of a batch by shard, each in the order in which they came.
pub(crate) fn by_shard(batch: &[(Key, Value)]) -> [Vec<(Key, Value)>; SHARDS] {
    let mut counts = [0; SHARDS];
    for (key, _) in batch {
        counts[shard_of(key)] += 1;
    }
    let mut shards = counts.map(Vec::with_capacity);
    for leaf in batch {
        shards[shard_of(&leaf.0)].push(*leaf);
    }
    shards
}

/// Sorts leaves by key, and refuses a key that is there twice.
pub(crate) fn sort(keys: &mut [(Key, Value)]) -> Result<(), TreeError> {
    keys.sort_unstable_by_key(|(key, _)| *key);
    match keys.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => Err(TreeError::DuplicateKey(pair[0].0)),
        None => Ok(()),
    }
}

impl<'a> IntoIterator for &'a Tree {
    type Item = (Key, Value);
    type IntoIter = Leaves<'a>;

    fn into_iter(self) -> Leaves<'a> {
        self.iter()
    }
}

/// The leaves of a [`Tree`], in ascending order of their keys.
#[derive(Clone)]
pub struct Leaves<'a> {
    shards: core::slice::Iter<'a, Shard>,
    shard: Option<&'a Shard>,
    waiting: Vec<Ref>,
}

impl Iterator for Leaves<'_> {
    type Item = (Key, Value);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (Some(shard), Some(at)) = (self.shard, self.waiting.pop()) else {
                let shard = self.shards.next()?;
                self.shard = Some(shard);
                self.waiting.extend(shard.top.map(|(top, _)| top));
                continue;
            };
            match at.target() {
                Target::Leaf(leaf) => return Some(shard.leaves[leaf]),
                Target::Node(node) => {
                    let [left, right] = shard.forks[node].children;
                    self.waiting.extend([right, left]);
                }
                Target::Nothing => {}
            }
        }
    }
}
