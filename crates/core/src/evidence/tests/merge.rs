use proptest::prelude::*;

use super::super::*;
use super::chain::{Chain, key, signature};
use crate::cbor::{from_bytes, to_bytes};
use crate::device::tests::scene::{NOW, mint};
use crate::predicate::spend_digest;

/// One payment with change, and the evidence of either coin, each moved once more.
fn fork_in_the_way() -> (Chain, Evidence, Evidence) {
    let mut chain = Chain::new();
    let mut body = chain.body(signature(2));
    let outputs = [chain.coin(40, signature(2)), chain.coin(60, signature(1))];
    body.outputs = List::truncated(outputs.into());
    chain.push(body, |coin, tx| Unlock::Signature(key(1).sign(&spend_digest(coin, tx))));
    let change = chain.evidence.hops[0].tx.made().nth(1).map(|(id, coin)| (id, coin.clone()));
    let common = chain.evidence.clone();
    chain.pay(2, signature(3));
    let left = chain.evidence.behind(&chain.last.0);
    (chain.evidence, chain.last) = (common, change.expect("change"));
    chain.pay(1, signature(3));
    let right = chain.evidence.behind(&chain.last.0);
    (chain, left, right)
}

#[test]
fn merged_evidence_verifies_in_either_order() {
    let (chain, left, right) = fork_in_the_way();
    for merged in [left.merge(&right), right.merge(&left)] {
        let merged = merged.expect("short");
        assert_eq!((merged.mints.len(), merged.hops.len()), (1, 3), "each once");
        assert_eq!(chain.knows().verify(&merged).map(|h| h.len()), Ok(2));
    }
}

#[test]
fn what_is_certified_in_one_is_certified_in_the_whole() {
    let (mut chain, left, right) = fork_in_the_way();
    chain.evidence = right.clone();
    chain.evidence.hops = List::truncated([right.hops[0].clone()].into());
    chain.certify(signature(1), NOW);
    let mut certified = right.clone();
    certified.certificates = chain.evidence.certificates.clone();
    let hops = [chain.evidence.hops[0].clone(), right.hops[1].clone()];
    certified.hops = List::truncated(hops.into());
    for merged in [left.merge(&certified), certified.merge(&left)] {
        let merged = merged.expect("short");
        assert!(merged.hops[0].witnesses[0].certified.is_some());
        assert_eq!(merged.certificates.len(), 1);
        let holdings = chain.knows().verify(&merged).expect("good evidence");
        assert!(holdings.values().all(|h| h.uncertified == 1));
    }
}

#[test]
fn certificates_to_which_nothing_refers_are_left_behind() {
    let mut chain = Chain::new();
    chain.pay(1, signature(2));
    chain.certify(signature(1), NOW);
    let other = Evidence::of_minted(mint(&key(0xee), chain.policy.id(), 2, 5, signature(1)));
    let merged = chain.evidence.merge(&other).expect("short");
    assert_eq!(merged.behind(&chain.last.0), chain.evidence);
    let fresh = other.mints[0].mint.coin().0;
    assert!(merged.behind(&fresh).certificates.is_empty());
    let (one, two) = (other.merge(&chain.evidence), chain.evidence.merge(&chain.evidence));
    assert_eq!(one.map(|e| e.certificates.len()), Ok(1));
    assert_eq!(two, Ok(chain.evidence.clone()));
}

#[test]
fn unrelated_coins_are_not_behind_a_coin() {
    let (chain, left, right) = fork_in_the_way();
    let merged = left.merge(&right).expect("short");
    let behind = merged.behind(&chain.last.0);
    assert_eq!(behind.hops.len(), 2);
    assert_eq!(chain.knows().verify(&behind).map(|h| h.contains_key(&chain.last.0)), Ok(true));
}

#[test]
fn more_than_the_limit_does_not_merge() {
    let chain = Chain::new();
    let minted = |i: u64| mint(&key(0xee), chain.policy.id(), i, 5, signature(1));
    let full =
        Evidence { mints: List::truncated((0..64).map(minted).collect()), ..Evidence::default() };
    assert_eq!(full.mints.len(), MAX_MINTS);
    let one_more = Evidence::of_minted(minted(64));
    assert_eq!(full.merge(&one_more), Err(DecodeError::TooLarge));
    let mut chain = Chain::new();
    chain.pay(1, signature(2));
    let hop = chain.evidence.hops[0].clone();
    let hops = List::truncated(alloc::vec![hop.clone(); MAX_HOPS]);
    assert_eq!(Evidence { hops, ..chain.evidence }.with(hop), Err(DecodeError::TooLarge));
}

proptest! {
    #[test]
    fn no_altered_byte_of_evidence_passes(at: prop::sample::Index, flip in 1u8..) {
        let mut chain = Chain::new();
        chain.pay(1, signature(2));
        chain.certify(signature(1), NOW);
        chain.pay(2, signature(3));
        let mut bytes = to_bytes(&chain.evidence);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if let Ok(altered) = from_bytes::<Evidence>(&bytes) {
            prop_assert_eq!(to_bytes(&altered), bytes);
            let holdings = chain.knows().verify(&altered);
            let same = holdings.is_ok_and(|h| h.contains_key(&chain.last.0));
            prop_assert!(!same || altered.certificates != chain.evidence.certificates);
        }
    }
}
