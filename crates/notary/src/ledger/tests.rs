use std::collections::BTreeMap;

use proptest::prelude::*;
use tally_tree::Tree;

use super::*;
use crate::block::Block;
use crate::testing::{START, entry, ledger, state, word};

fn tx(payment: u64) -> TransactionHash {
    TransactionHash::new(word(payment))
}

/// Builds a block of these batches, makes it final and applies it.
fn advance(ledger: &mut Ledger, entries: Vec<Entry>) -> Arc<Executed> {
    let tip = ledger.last_final();
    let made = ledger.build(&tip.hash, tip.header.time.plus(1), entries).expect("a block");
    ledger.finalize(Arc::clone(&made)).expect("the next block");
    ledger.apply(made.block.height()).expect("room");
    made
}

#[test]
fn the_first_spend_of_a_state_wins_within_a_block_and_across_blocks() {
    let mut ledger = ledger();
    let made = advance(&mut ledger, vec![entry(&[1], 10), entry(&[1], 11)]);
    let refused = EntryOutcome::Refused(state(1));
    assert_eq!(made.outcomes, [EntryOutcome::Certified, refused]);
    assert_eq!(made.spender(&state(1)), Some(tx(10)));
    let later = advance(&mut ledger, vec![entry(&[1], 12), entry(&[1], 10)]);
    assert_eq!(later.outcomes, [refused, EntryOutcome::Certified]);
    assert!(later.leaves.is_empty());
    assert_eq!(later.block.header().root, made.block.header().root);
    assert_eq!(ledger.base().is_spend_by(&state(1), &tx(10)), Some(true));
    assert_eq!(ledger.base().is_spend_by(&state(1), &tx(12)), Some(false));
    assert_eq!(ledger.base().is_spend_by(&state(2), &tx(12)), None);
}

#[test]
fn a_spend_in_a_block_that_is_not_applied_yet_counts_for_its_descendants_only() {
    let mut ledger = ledger();
    let tip = ledger.applied().clone();
    let one = ledger.build(&tip.hash, START, vec![entry(&[1], 10)]).expect("a block");
    ledger.keep(Arc::clone(&one)).expect("room");
    let child = ledger.build(&one.block.hash(), START, vec![entry(&[1], 11)]).expect("a block");
    assert_eq!(child.outcomes, [EntryOutcome::Refused(state(1))]);
    let sibling = ledger.build(&tip.hash, START, vec![entry(&[1], 11)]).expect("a block");
    assert_eq!(sibling.outcomes, [EntryOutcome::Certified]);
}

#[test]
fn a_batch_is_certified_as_a_whole_or_not_at_all() {
    let mut ledger = ledger();
    let first = advance(&mut ledger, vec![entry(&[1], 10)]);
    let made = advance(&mut ledger, vec![entry(&[2, 1, 3], 11), entry(&[1, 4], 10)]);
    assert_eq!(made.outcomes, [EntryOutcome::Refused(state(1)), EntryOutcome::Certified]);
    assert_eq!(made.leaves.len(), 1, "only the state that was not spent before");
    assert_ne!(made.block.header().root, first.block.header().root);
    assert_eq!(ledger.base().is_spend_by(&state(2), &tx(11)), None);
    assert_eq!(ledger.base().is_spend_by(&state(4), &tx(10)), Some(true));
    assert_eq!(made.refused(), 3);
}

/// The block with one field of its header changed; its body is still named rightly.
fn altered(block: &Block, change: impl FnOnce(&mut Header)) -> Block {
    let mut header = block.header().clone();
    change(&mut header);
    let parent = Header { height: header.height - 1, root: header.previous, ..header.clone() };
    Block::new(&parent, header.parent, header.root, header.time, block.entries().to_vec())
        .expect("small")
}

#[test]
fn a_block_that_states_anything_else_than_follows_is_refused() {
    let mut ledger = ledger();
    advance(&mut ledger, vec![entry(&[9], 9)]);
    let tip = ledger.applied().clone();
    let good = ledger.build(&tip.hash, tip.header.time, vec![entry(&[1], 10)]).expect("a block");
    let check = |change: fn(&mut Header)| {
        ledger.verify(&altered(&good.block, change)).expect_err("a wrong block")
    };
    assert!(ledger.verify(&altered(&good.block, |_| ())).is_ok());
    assert_eq!(check(|h| h.height += 1), LedgerError::Height);
    assert_eq!(check(|h| h.previous = Digest::new(word(1))), LedgerError::PreviousRoot);
    assert_eq!(check(|h| h.root = Digest::new(word(1))), LedgerError::Root);
    assert_eq!(check(|h| h.root = h.previous), LedgerError::Root);
    assert_eq!(check(|h| h.time = START), LedgerError::Time);
    assert_eq!(check(|h| h.parent = BlockHash::new(word(1))), LedgerError::UnknownParent);
}

#[test]
fn another_time_gives_another_root() {
    let ledger = ledger();
    let tip = ledger.applied().clone();
    let good = ledger.build(&tip.hash, START, vec![entry(&[1], 10)]).expect("a block");
    let late = altered(&good.block, |header| header.time = header.time.plus(1));
    assert_eq!(ledger.verify(&late).expect_err("another leaf"), LedgerError::Root);
}

#[test]
fn a_final_block_drops_its_competitors_and_must_follow_the_last_one() {
    let mut ledger = ledger();
    let root = ledger.applied().hash;
    let one = ledger.build(&root, START, vec![entry(&[1], 10)]).expect("a block");
    let rival = ledger.build(&root, START, vec![entry(&[1], 11)]).expect("a block");
    ledger.keep(Arc::clone(&rival)).expect("room");
    let child = ledger.build(&rival.block.hash(), START, vec![]).expect("a block");
    ledger.finalize(Arc::clone(&one)).expect("the next block");
    assert!(!ledger.follows(&rival.block.hash()));
    assert!(ledger.follows(&one.block.hash()));
    assert_eq!(ledger.finalize(child), Err(LedgerError::NotNext));
    assert_eq!(ledger.finalize(rival), Err(LedgerError::NotNext));
}

#[test]
fn blocks_beside_the_tree_are_limited() {
    let mut ledger = ledger();
    let root = ledger.applied().hash;
    for second in 0..MAX_BESIDE as u64 {
        let block = ledger.build(&root, START.plus(second), vec![]).expect("a block");
        ledger.keep(block).expect("room");
    }
    let block = ledger.build(&root, START.plus(1 << 20), vec![]).expect("a block");
    assert_eq!(ledger.keep(block), Err(LedgerError::Full));
}

#[test]
fn states_that_begin_alike_are_told_apart() {
    let near = |last: u8| {
        let mut bytes = word(5);
        bytes[31] = last;
        bytes
    };
    let mut base = Base::default();
    let leaves: Vec<_> = (0..3).map(|i| (Key::from(near(i)), Value::from(near(i)))).collect();
    let rounds = [1, 2].map(|height| Round { height, time: START, leaves: height as u32 });
    base.extend(&rounds, &leaves).expect("room");
    for i in 0..3 {
        assert_eq!(base.number(&StateId::new(near(i))), Some(u32::from(i)));
    }
    assert_eq!(base.number(&StateId::new(near(3))), None);
    assert_eq!(base.round(0).map(|round| round.height), Some(1));
    assert_eq!(base.round(2).map(|round| round.height), Some(2));
    assert_eq!(base.round(3), None);
    assert_eq!((base.first_after(0), base.first_after(1), base.first_after(2)), (0, 1, 3));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is applied late or at once, in one block or in many: the tree is that of the first
    /// spends, and every validator that executes the same blocks agrees.
    #[test]
    fn the_tree_holds_exactly_the_first_spends(
        blocks in prop::collection::vec(
            prop::collection::vec((prop::collection::btree_set(0u64..12, 1..4), 0u64..4), 0..6), 1..8),
        lag in 0u64..4,
    ) {
        let (mut ledger, mut follower) = (ledger(), ledger());
        let mut first: BTreeMap<u64, (u64, Time)> = BTreeMap::new();
        for batches in blocks {
            let tip = ledger.last_final();
            let time = tip.header.time.plus(1);
            let entries = batches.iter().map(|(coins, payment)| {
                entry(&coins.iter().copied().collect::<Vec<_>>(), *payment)
            });
            let made = ledger.build(&tip.hash, time, entries.collect()).expect("a block");
            for ((coins, payment), outcome) in batches.iter().zip(&made.outcomes) {
                let lost = coins.iter().any(|coin| first.get(coin).is_some_and(|(p, _)| p != payment));
                prop_assert_eq!(*outcome != EntryOutcome::Certified, lost);
                for coin in coins.iter().filter(|_| !lost) {
                    first.entry(*coin).or_insert((*payment, time));
                }
            }
            let copy = Block::decode(&made.block.encode()).expect("a block");
            let seen = follower.verify(&copy).expect("what an honest validator built");
            prop_assert_eq!(&seen.leaves, &made.leaves);
            follower.finalize(seen).expect("next");
            ledger.finalize(Arc::clone(&made)).expect("next");
            follower.apply(copy.height()).expect("room");
            ledger.apply(copy.height().saturating_sub(lag)).expect("room");
        }
        let mut expected = Tree::new();
        for (coin, (payment, time)) in &first {
            expected.insert(state(*coin).into(), LeafValue::of(&tx(*payment), *time).into()).expect("new");
        }
        let tip = ledger.last_final();
        prop_assert_eq!(tip.header.root, Digest::new(*expected.root().as_bytes()));
        ledger.apply(tip.header.height).expect("room");
        prop_assert_eq!(ledger.base().tree().root(), follower.base().tree().root());
        prop_assert_eq!(ledger.base().tree().root(), expected.root());
    }
}
