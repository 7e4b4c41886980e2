//! The tree against its definition.

mod common;

use common::{key, leaves, model_root, pairs, tree_of, value};
use proptest::prelude::*;
use tally_tree::{Key, SHARDS, Tree, TreeError, Value};

proptest! {
    #[test]
    fn root_is_that_of_the_definition(leaves in leaves(0..60)) {
        let tree = tree_of(&leaves);
        prop_assert_eq!(tree.root(), model_root(&leaves));
        prop_assert_eq!(tree.len(), leaves.len());
        prop_assert_eq!(tree.is_empty(), leaves.is_empty());
        prop_assert_eq!(tree.iter().collect::<Vec<_>>(), pairs(&leaves));
    }

    #[test]
    fn only_the_set_of_leaves_matters(
        leaves in leaves(0..60),
        shuffled in any::<prop::sample::Index>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
    ) {
        let mut order = pairs(&leaves);
        let middle = shuffled.index(order.len() + 1);
        order.rotate_left(middle);
        order[..middle].reverse();

        let mut one_by_one = Tree::new();
        for (key, value) in &order {
            one_by_one.insert(*key, *value)?;
        }
        let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(order.len() + 1)).collect();
        ends.push(order.len());
        ends.sort_unstable();
        let (mut in_batches, mut from) = (Tree::new(), 0);
        for end in ends {
            let expected = in_batches.root_after(&order[from..end])?;
            in_batches.insert_batch(&order[from..end])?;
            prop_assert_eq!(in_batches.root(), expected);
            from = end;
        }
        prop_assert_eq!(one_by_one.root(), model_root(&leaves));
        prop_assert_eq!(in_batches.root(), model_root(&leaves));
        prop_assert_eq!(in_batches.iter().collect::<Vec<_>>(), pairs(&leaves));
        for (key, value) in &leaves {
            prop_assert_eq!(in_batches.get(key), Some(*value));
        }
    }

    #[test]
    fn threads_make_no_difference(before in leaves(0..40), batch in leaves(0..40), threads in 2usize..5) {
        let batch: Vec<_> = batch.into_iter().filter(|(key, _)| !before.contains_key(key)).collect();
        let (mut one, mut many) = (tree_of(&before), tree_of(&before));
        one.insert_batch_on(1, &batch)?;
        many.insert_batch_on(threads, &batch)?;
        prop_assert_eq!(one.root(), many.root());
        prop_assert!(one.iter().eq(many.iter()));
    }

    #[test]
    fn replacing_a_leaf_gives_the_root_of_the_new_set(
        mut leaves in leaves(1..40),
        which: prop::sample::Index,
        new in value(),
        absent in key(),
    ) {
        let mut tree = tree_of(&leaves);
        let (key, old) = pairs(&leaves)[which.index(leaves.len())];
        prop_assert_eq!(tree.replace(&key, new), Ok(old));
        leaves.insert(key, new);
        prop_assert_eq!(tree.root(), model_root(&leaves));
        prop_assert_eq!(tree.get(&key), Some(new));
        if !leaves.contains_key(&absent) {
            prop_assert_eq!(tree.replace(&absent, new), Err(TreeError::KeyAbsent(absent)));
            prop_assert_eq!(tree.root(), model_root(&leaves));
        }
    }

    #[test]
    fn a_refused_batch_changes_nothing(
        before in leaves(1..40),
        batch in leaves(0..40),
        which: prop::sample::Index,
        at: prop::sample::Index,
        twice: bool,
        new in value(),
    ) {
        let mut tree = tree_of(&before);
        let mut batch: Vec<_> = batch.into_iter().filter(|(key, _)| !before.contains_key(key)).collect();
        let refused = if twice && !batch.is_empty() {
            let (key, _) = batch[which.index(batch.len())];
            batch.insert(at.index(batch.len() + 1), (key, new));
            TreeError::DuplicateKey(key)
        } else {
            let (key, _) = pairs(&before)[which.index(before.len())];
            batch.insert(at.index(batch.len() + 1), (key, new));
            TreeError::KeyPresent(key)
        };
        let bytes = tree.memory_bytes();
        prop_assert_eq!(tree.insert_batch(&batch), Err(refused));
        prop_assert_eq!(tree.root_after(&batch), Err(refused));
        prop_assert_eq!(tree.insert_batch_with_proof(&batch), Err(refused));
        prop_assert_eq!(tree.root(), model_root(&before));
        prop_assert_eq!(tree.memory_bytes(), bytes);
        prop_assert!(tree.iter().eq(pairs(&before)));
        // And the tree still works.
        let rest: Vec<_> = batch.into_iter().filter(|(_, value)| *value != new).collect();
        prop_assert!(tree.insert_batch(&rest).is_ok());
        let mut all = before;
        all.extend(rest);
        prop_assert_eq!(tree.root(), model_root(&all));
    }
}

/// Keys that are spread like hashes, without randomness.
fn spread(range: std::ops::Range<u32>) -> Vec<(Key, Value)> {
    range
        .map(|i| {
            let key = common::sha256(&[&i.to_be_bytes()]);
            (Key::from(*key.as_bytes()), Value::from([i as u8; 32]))
        })
        .collect()
}

#[test]
fn large_batches_on_two_threads_agree_with_the_definition() {
    let mut tree = Tree::new();
    for start in [0, 9000] {
        tree.insert_batch(&spread(start..start + 9000)).expect("the keys differ");
    }
    assert_eq!(tree.root(), model_root(&spread(0..18_000).into_iter().collect()));
}

#[test]
fn leaves_stay_where_they_are() {
    let mut tree = Tree::new();
    let mut slots = std::collections::BTreeMap::new();
    for start in (0..400).step_by(100) {
        let before = std::array::from_fn::<_, SHARDS, _>(|number| tree.shard(number).len());
        tree.insert_batch(&spread(start..start + 100)).expect("the keys differ");
        for (key, value) in spread(start..start + 100) {
            let (slot, found) = tree.find(&key).expect("it was just inserted");
            assert!(slot.index >= before[slot.shard] && found == value, "behind all others");
            assert_eq!(tree.shard(slot.shard)[slot.index], (key, value));
            slots.insert(key, slot);
        }
    }
    for (key, slot) in &slots {
        tree.replace(key, Value::from([1; 32])).expect("it is there");
        assert_eq!(tree.find(key), Some((*slot, Value::from([1; 32]))));
    }
    assert_eq!(tree.find(&spread(400..401)[0].0), None);
    assert!(tree.shard(SHARDS).is_empty());
}

#[test]
fn memory_stays_below_200_bytes_a_leaf() {
    let mut tree = Tree::new();
    for start in (0..40_000).step_by(1000) {
        tree.insert_batch(&spread(start..start + 1000)).expect("the keys differ");
        assert!(start < 4000 || tree.memory_bytes() <= 200 * tree.len());
    }
}

#[test]
fn a_path_of_256_nodes_works() {
    let mut leaves: common::Leaves = (0..=255u8)
        .map(|bit| (Key::from(common::flip32(&[0; 32], bit)), Value::from([bit; 32])))
        .collect();
    leaves.insert(Key::from([0; 32]), Value::from([7; 32]));
    let tree = tree_of(&leaves);
    assert_eq!(tree.root(), model_root(&leaves));
    let certificate = tree.prove(&Key::from([0; 32])).expect("it is there");
    assert_eq!(certificate.siblings().len(), 256);
    assert_eq!(
        certificate.verify(&tree.root(), &Key::from([0; 32]), &Value::from([7; 32])),
        Ok(())
    );
}

#[test]
fn a_batch_too_large_for_one_step_is_refused() {
    let batch: Vec<_> = (0..=1u32 << 21)
        .map(|i| {
            let mut key = [0; 32];
            key[28..].copy_from_slice(&i.to_be_bytes());
            (Key::from(key), Value::default())
        })
        .collect();
    assert_eq!(Tree::new().insert_batch(&batch), Err(TreeError::Full));
}
