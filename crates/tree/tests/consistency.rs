//! Consistency proofs: what they show, and that nothing else passes.

mod common;

use common::{flip, leaves, model_root, pairs, tree_of, value};
use proptest::prelude::*;
use tally_tree::{
    ConsistencyError, ConsistencyProof, Digest, Key, MAX_CONSISTENCY_BYTES, Tree, Value, leaf_hash,
    node_hash,
};

type Pairs = Vec<(Key, Value)>;

/// A tree, the leaves that are added to it, sorted, and the tree afterwards.
fn growth(size: usize) -> impl Strategy<Value = (Tree, Pairs, Tree)> {
    (leaves(0..size), leaves(0..size)).prop_map(|(before, mut batch)| {
        batch.retain(|key, _| !before.contains_key(key));
        let mut after = before.clone();
        after.extend(batch.clone());
        (tree_of(&before), pairs(&batch), tree_of(&after))
    })
}

fn check_bytes(
    bytes: &[u8],
    before: &Tree,
    after: &Tree,
    batch: &[(Key, Value)],
) -> Result<(), ConsistencyError> {
    ConsistencyProof::decode(bytes)?.verify(&before.root(), &after.root(), batch)
}

/// Splits a proof into its instructions.
fn instructions(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while let Some(opcode) = bytes.first() {
        let (one, rest) = bytes.split_at([33, 1, 2, 98, 65][usize::from(*opcode)]);
        all.push(one.to_vec());
        bytes = rest;
    }
    all
}

proptest! {
    #[test]
    fn growth_is_proved((before, batch, after) in growth(30), rotate: prop::sample::Index) {
        let mut tree = before.clone();
        let mut unsorted = batch.clone();
        unsorted.rotate_left(rotate.index(batch.len() + 1));
        let proof = tree.insert_batch_with_proof(&unsorted)?;
        prop_assert_eq!(tree.root(), after.root());
        prop_assert_eq!(tree.root(), model_root(&after.iter().collect()));
        prop_assert_eq!(before.consistency_proof(&batch), Ok(proof.clone()));
        prop_assert_eq!(proof.verify(&before.root(), &after.root(), &batch), Ok(()));
        prop_assert_eq!(ConsistencyProof::decode(&proof.encode()), Ok(proof.clone()));
        prop_assert_eq!(proof.as_bytes().is_empty(), batch.is_empty());
    }

    #[test]
    fn any_other_bit_fails((before, batch, after) in growth(8), bit: u8) {
        prop_assume!(!batch.is_empty());
        let proof = before.consistency_proof(&batch)?;
        for flipped in 0..proof.as_bytes().len() * 8 {
            prop_assert!(check_bytes(&flip(proof.as_bytes(), flipped), &before, &after, &batch).is_err());
        }
        let other = |root: Digest| Digest::from(common::flip32(root.as_bytes(), bit));
        let verify = |before, after| proof.verify(&before, &after, &batch);
        prop_assert_eq!(verify(other(before.root()), after.root()), Err(ConsistencyError::RootBefore));
        prop_assert_eq!(verify(before.root(), other(after.root())), Err(ConsistencyError::RootAfter));
    }

    #[test]
    fn another_batch_fails((before, batch, after) in growth(12), which: prop::sample::Index, new in value(), extra in common::key()) {
        prop_assume!(!batch.is_empty());
        let proof = before.consistency_proof(&batch)?;
        let verify = |batch: &[(Key, Value)]| proof.verify(&before.root(), &after.root(), batch);
        let which = which.index(batch.len());

        let mut changed = batch.clone();
        changed[which].1 = new;
        prop_assert_eq!(verify(&changed), Err(ConsistencyError::RootAfter));

        let mut missing = batch.clone();
        missing.remove(which);
        prop_assert!(verify(&missing).is_err());
        prop_assert!(verify(&[]).is_err());

        let mut more = batch.clone();
        more.push((extra, new));
        more.sort();
        more.dedup_by_key(|leaf| leaf.0);
        prop_assert!(more == batch || verify(&more).is_err());

        if batch.len() > 1 {
            let mut reordered = batch.clone();
            reordered.swap(which, (which + 1) % batch.len());
            prop_assert_eq!(verify(&reordered), Err(ConsistencyError::BatchOrder));
        }
        let mut twice = batch.clone();
        twice.insert(which, batch[which]);
        prop_assert_eq!(verify(&twice), Err(ConsistencyError::BatchOrder));
    }

    #[test]
    fn a_deleted_or_changed_leaf_cannot_be_hidden((before, batch, after) in growth(12), which: prop::sample::Index, new in value()) {
        prop_assume!(!before.is_empty() && !batch.is_empty());
        let honest = before.consistency_proof(&batch)?;
        let leaves: Pairs = before.iter().collect();
        let (victim, _) = leaves[which.index(leaves.len())];

        let without: Pairs = leaves.into_iter().filter(|leaf| leaf.0 != victim).collect();
        let mut deleted = Tree::new();
        deleted.insert_batch(&without)?;
        let mut changed = before.clone();
        changed.replace(&victim, new)?;
        for other in [deleted, changed] {
            // The proof that the dishonest source would have for its own tree does not start from
            // the root before.
            let proof = other.consistency_proof(&batch)?;
            let after_other = other.root_after(&batch)?;
            prop_assert_eq!(proof.verify(&before.root(), &after_other, &batch), Err(ConsistencyError::RootBefore));
            prop_assert_eq!(honest.verify(&before.root(), &after_other, &batch), Err(ConsistencyError::RootAfter));
            prop_assert!(proof.verify(&before.root(), &after.root(), &batch).is_err());
        }
    }

    #[test]
    fn an_instruction_more_or_less_or_elsewhere_fails((before, batch, after) in growth(12), which: prop::sample::Index, to: prop::sample::Index) {
        prop_assume!(!batch.is_empty());
        let proof = before.consistency_proof(&batch)?;
        let program = instructions(proof.as_bytes());
        let check = |program: Vec<Vec<u8>>| check_bytes(&program.concat(), &before, &after, &batch);
        prop_assert_eq!(check(program.clone()), Ok(()));

        let (which, to) = (which.index(program.len()), to.index(program.len()));
        let mut missing = program.clone();
        missing.remove(which);
        prop_assert!(check(missing).is_err());
        let mut repeated = program.clone();
        repeated.insert(to, program[which].clone());
        prop_assert!(check(repeated).is_err());
        let mut moved = program.clone();
        moved.swap(which, to);
        prop_assert!(moved == program || check(moved).is_err());
        for end in 0..proof.as_bytes().len() {
            prop_assert!(check_bytes(&proof.as_bytes()[..end], &before, &after, &batch).is_err());
        }
    }

    #[test]
    fn whatever_decodes_encodes_to_the_same_bytes(program in prop::collection::vec((0u8..6, any::<[u8; 97]>()), 0..20), cut in 0usize..3) {
        let mut bytes: Vec<u8> = program
            .iter()
            .flat_map(|(opcode, rest)| {
                let len = [32, 0, 1, 97, 64, 5][usize::from(*opcode)];
                [&[*opcode], &rest[..len]].concat()
            })
            .collect();
        bytes.truncate(bytes.len().saturating_sub(cut));
        if let Ok(proof) = ConsistencyProof::decode(&bytes) {
            prop_assert_eq!(proof.encode(), bytes);
            let batch = [(Key::from([1; 32]), Value::from([1; 32]))];
            prop_assert!(proof.verify(&Digest::EMPTY, &Digest::from([1; 32]), &batch).is_err());
        }
    }

    #[test]
    fn any_bytes_decode_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(proof) = ConsistencyProof::decode(&bytes) {
            prop_assert_eq!(proof.encode(), bytes);
        }
    }
}

fn key(first: u8) -> Key {
    let mut bytes = [0x11; 32];
    bytes[0] = first;
    Key::from(bytes)
}

fn leaf(first: u8) -> (Key, Value) {
    (key(first), Value::from([first; 32]))
}

fn tree(firsts: &[u8]) -> Tree {
    tree_of(&firsts.iter().map(|first| leaf(*first)).collect())
}

const ADD: &[u8] = &[1];

fn keep(hash: Digest) -> Vec<u8> {
    [&[0], hash.as_ref()].concat()
}

fn open_leaf((key, value): (Key, Value)) -> Vec<u8> {
    [&[4], key.as_ref(), value.as_ref()].concat()
}

fn hash((key, value): (Key, Value)) -> Digest {
    leaf_hash(&key, &value)
}

fn verify(
    program: &[&[u8]],
    before: Digest,
    after: Digest,
    batch: &[(Key, Value)],
) -> Result<(), ConsistencyError> {
    ConsistencyProof::decode(&program.concat())?.verify(&before, &after, batch)
}

#[test]
fn an_old_subtree_cannot_be_hung_unopened_beside_a_new_leaf() {
    // The attack: below a node of depth 0, the old leaf 00… goes to the right, where nobody who
    // follows its bits finds it. To the verifier the root before is intact, since a node with one
    // new child passes the other one through.
    let (old, new) = (leaf(0x00), leaf(0x40));
    let after = node_hash(0, &key(0), &hash(new), &hash(old));
    let program = [ADD, &keep(hash(old)), &[2, 0]];
    assert_eq!(verify(&program, hash(old), after, &[new]), Err(ConsistencyError::Hidden));
    let program = [ADD, &open_leaf(old), &[2, 0]];
    assert_eq!(verify(&program, hash(old), after, &[new]), Err(ConsistencyError::Misplaced));
}

#[test]
fn a_key_cannot_be_added_a_second_time_elsewhere() {
    let (old, again) = (leaf(0x00), (key(0x00), Value::from([9; 32])));
    for depth in [0, 7, 255] {
        let after = node_hash(depth, &old.0, &hash(old), &hash(again));
        let program = [&open_leaf(old), ADD, &[2, depth]];
        assert_eq!(verify(&program, hash(old), after, &[again]), Err(ConsistencyError::Misplaced));
    }
}

#[test]
fn children_are_deeper_than_their_node() {
    let before = tree(&[0x00, 0x40]);
    let mut open = vec![3, 1];
    open.extend(key(0x00).as_ref().iter().map(|_| 0));
    open.extend([hash(leaf(0x00)), hash(leaf(0x40))].iter().flat_map(|h| *h.as_bytes()));
    let new = leaf(0x80);
    let good = [&open[..], ADD, &[2, 0]];
    assert_eq!(verify(&good, before.root(), tree(&[0x00, 0x40, 0x80]).root(), &[new]), Ok(()));
    // 41…, 21… and 11… are on the right side for bits 1, 2 and 3, and in the same region before
    // them. Below such a node nobody who follows the bits of 40… finds it.
    for depth in [1, 2, 3] {
        let (new, bad) = (leaf(0x80 >> depth | 1), [&open[..], ADD, &[2, depth]]);
        let after = node_hash(depth, &key(0), &before.root(), &hash(new));
        assert_eq!(verify(&bad, before.root(), after, &[new]), Err(ConsistencyError::Misplaced));
    }
}

#[test]
fn both_children_belong_to_one_region() {
    // 00… and c0… part at bit 0; joined at bit 1 they are on the right sides of different regions.
    let (old, new) = (leaf(0x00), leaf(0xc0));
    let program = [&open_leaf(old), ADD, &[2, 1]];
    assert_eq!(verify(&program, hash(old), hash(new), &[new]), Err(ConsistencyError::Misplaced));
}

#[test]
fn an_opened_region_has_only_its_first_bits() {
    let mut open = vec![3, 1];
    open.extend([0x40; 96]);
    assert_eq!(ConsistencyProof::decode(&open), Err(ConsistencyError::Malformed(0)));
    open[2..34].fill(0);
    assert!(ConsistencyProof::decode(&open).is_ok());
}

#[test]
fn a_proof_shows_no_more_than_it_must() {
    let (before, new) = (tree(&[0x00, 0x80, 0xc0]), leaf(0x40));
    let after = tree(&[0x00, 0x40, 0x80, 0xc0]).root();
    let right = tree(&[0x80, 0xc0]).root();
    let new_node = [open_leaf(leaf(0x00)), ADD.to_vec(), vec![2, 1]].concat();
    let shortest = [&new_node[..], &keep(right), &[2, 0]];
    assert_eq!(before.consistency_proof(&[new]).expect("a new key").as_bytes(), shortest.concat());
    assert_eq!(verify(&shortest, before.root(), after, &[new]), Ok(()));

    let mut opened = vec![3, 1, 0x80];
    opened.extend([0; 31]);
    opened.extend([hash(leaf(0x80)), hash(leaf(0xc0))].iter().flat_map(|h| *h.as_bytes()));
    let rebuilt = [open_leaf(leaf(0x80)), open_leaf(leaf(0xc0)), vec![2, 1]].concat();
    for other_right in [opened, rebuilt] {
        let program = [&new_node[..], &other_right, &[2, 0]];
        assert_eq!(
            verify(&program, before.root(), after, &[new]),
            Err(ConsistencyError::Redundant)
        );
    }
}

#[test]
fn without_leaves_nothing_changes_and_nothing_is_said() {
    let root = tree(&[0x00, 0x80]).root();
    assert_eq!(verify(&[], root, root, &[]), Ok(()));
    assert_eq!(verify(&[], root, Digest::EMPTY, &[]), Err(ConsistencyError::RootAfter));
    assert_eq!(verify(&[&keep(root)], root, root, &[]), Err(ConsistencyError::Redundant));
    assert_eq!(verify(&[ADD], root, root, &[]), Err(ConsistencyError::BatchLength));
    assert_eq!(verify(&[], root, root, &[leaf(0x40)]), Err(ConsistencyError::BatchLength));
}

#[test]
fn the_first_leaf_starts_from_the_empty_root_only() {
    let new = leaf(0x00);
    assert_eq!(verify(&[ADD], Digest::EMPTY, hash(new), &[new]), Ok(()));
    assert_eq!(verify(&[ADD], hash(new), hash(new), &[new]), Err(ConsistencyError::RootBefore));
}

#[test]
fn a_program_builds_exactly_one_tree_of_bounded_depth() {
    let kept = keep(Digest::EMPTY);
    let not_a_tree = Err(ConsistencyError::NotATree);
    assert_eq!(ConsistencyProof::decode(&[2, 0]), not_a_tree);
    assert_eq!(ConsistencyProof::decode(&[&kept[..], &[2, 0]].concat()), not_a_tree);
    assert_eq!(ConsistencyProof::decode(&[&kept[..], &kept].concat()), not_a_tree);
    let joined = |leaves: usize| [ADD.repeat(leaves), [2, 0].repeat(leaves - 1)].concat();
    assert!(ConsistencyProof::decode(&joined(257)).is_ok());
    assert_eq!(ConsistencyProof::decode(&joined(258)), not_a_tree);
}

#[test]
fn unknown_or_cut_instructions_are_refused_where_they_start() {
    for (bytes, at) in [
        (&[5][..], 0),
        (&[1, 0xff], 1),
        (&[2], 0),
        (&[1, 1, 2], 2),
        (&[0; 32], 0),
        (&[4; 64], 0),
        (&[3; 97], 0),
    ] {
        assert_eq!(ConsistencyProof::decode(bytes), Err(ConsistencyError::Malformed(at)));
    }
}

#[test]
fn the_deepest_tree_is_proved_within_the_stack_limit() {
    let all: Pairs = (0..=255u8)
        .map(|bit| (Key::from(common::flip32(&[0xff; 32], bit)), Value::from([bit; 32])))
        .chain([(Key::from([0xff; 32]), Value::from([1; 32]))])
        .collect();
    let mut sorted = all.clone();
    sorted.sort();
    let mut tree = Tree::new();
    let proof = tree.insert_batch_with_proof(&all).expect("the keys differ");
    assert_eq!(proof.verify(&Digest::EMPTY, &tree.root(), &sorted), Ok(()));
}

#[test]
fn a_proof_has_a_limit() {
    let bytes = vec![1; MAX_CONSISTENCY_BYTES + 1];
    assert_eq!(ConsistencyProof::decode(&bytes), Err(ConsistencyError::TooLong(bytes.len())));
}
