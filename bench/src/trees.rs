//! Time the tree: a step of a large device, batches, proofs.

use std::hint::black_box;

use tally_tree::{Key, Tree, Value};

use crate::sizes::key;
use crate::timing::{per_one, time};

const BATCH: u64 = 10_000;

/// What a large tree costs.
#[derive(Clone, Copy, Debug)]
pub struct Trees {
    /// Replacing a leaf and proving it, in microseconds.
    pub step: f64,
    /// Proving a leaf, in microseconds.
    pub prove: f64,
    /// Checking such a proof, in microseconds.
    pub verify: f64,
    /// Bytes a leaf.
    pub memory: f64,
    /// Leaves a second, inserted in batches of 10,000 on one thread.
    pub one_thread: f64,
    /// The same on two.
    pub two_threads: f64,
}

/// Measures a tree of so many leaves.
pub fn measure(leaves: u64) -> Trees {
    let all: Vec<(Key, Value)> = (0..leaves).map(|n| (key(n), Value::from([1; 32]))).collect();
    let (one_thread, _) = build(&all, 1);
    let (two_threads, mut tree) = build(&all, 2);
    let mut next = 0;
    let mut random = || {
        next = (next * 6_364_136_223_846_793_005_u64 + 1_442_695_040_888_963_407) % leaves;
        key(next)
    };
    let keys: Vec<Key> = (0..20_000).map(|_| random()).collect();
    let memory = tree.memory_bytes() as f64 / leaves as f64;
    let mut keys_in_turn = keys.iter().cycle();
    let mut value = 0_u8;
    let step = per_one(20, 1000, || {
        let key = keys_in_turn.next().expect("a cycle has no end");
        value = value.wrapping_add(1);
        tree.replace(key, Value::from([value; 32])).expect("a key of the tree");
        black_box(tree.prove(key));
    });
    let prove = per_one(20, 1000, || {
        black_box(tree.prove(keys_in_turn.next().expect("a cycle has no end")));
    });
    let (root, one) = (tree.root(), keys[0]);
    let (proof, value) = (tree.prove(&one).expect("a key"), tree.get(&one).expect("a key"));
    let verify = per_one(20, 1000, || {
        assert!(black_box(&proof).verify(&root, &one, &value).is_ok());
    });
    Trees { step, prove, verify, memory, one_thread, two_threads }
}

fn build(leaves: &[(Key, Value)], threads: usize) -> (f64, Tree) {
    let mut tree = Tree::new();
    let taken = time(|| {
        for batch in leaves.chunks(BATCH as usize) {
            tree.insert_batch_on(threads, batch).expect("distinct keys");
        }
    });
    (leaves.len() as f64 / taken.as_secs_f64(), tree)
}
