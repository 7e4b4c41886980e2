use proptest::prelude::*;

use super::*;
use crate::id::Root;
use crate::keys::SecretKey;
use crate::predicate::consent_digest;

fn key(byte: u8) -> SecretKey {
    SecretKey::new([byte; 32]).expect("a scalar")
}

fn branch(by: &SecretKey, coin: u8, seq: u64, head: Head, body: u8) -> Branch {
    let mut branch = Branch {
        body: BodyHash::new([body; 32]),
        link: Link::new([body; 32]),
        step: Step { seq, head, root: Root::new([body; 32]) },
        coin: CoinId::new([coin; 32]),
        signature: by.sign(&crate::id::Digest::new([0; 32])),
    };
    branch.signature = by.sign(&spend_digest(&branch.coin, &branch.tx_id()));
    branch
}

fn check(a: &Branch, b: &Branch) -> Result<ForkKind, ForkError> {
    let proof = |a: &Branch, b: &Branch| ForkProof {
        key: key(1).public(),
        a: a.clone().into(),
        b: b.clone().into(),
    };
    let (one, other) = (proof(a, b).check(), proof(b, a).check());
    assert_eq!(one, other, "the order does not matter");
    one
}

const HEAD: Head = Head::new([8; 32]);
const OTHER: Head = Head::new([9; 32]);

#[test]
fn each_kind_of_contradiction_convicts() {
    let a = branch(&key(1), 1, 5, HEAD, 1);
    assert_eq!(check(&a, &branch(&key(1), 1, 9, OTHER, 2)), Ok(ForkKind::Coin));
    assert_eq!(check(&a, &branch(&key(1), 2, 5, OTHER, 2)), Ok(ForkKind::Seq));
    assert_eq!(check(&a, &branch(&key(1), 2, 9, HEAD, 2)), Ok(ForkKind::Head));
    assert_eq!(check(&a, &branch(&key(1), 2, 6, OTHER, 2)), Ok(ForkKind::Chain));
}

#[test]
fn what_is_no_contradiction_convicts_nobody() {
    let a = branch(&key(1), 1, 5, HEAD, 1);
    assert_eq!(check(&a, &branch(&key(1), 2, 6, a.head_after(), 2)), Err(ForkError::NoConflict));
    assert_eq!(check(&a, &branch(&key(1), 2, 7, OTHER, 2)), Err(ForkError::NoConflict));
    assert_eq!(check(&a, &a), Err(ForkError::Same));
    assert_eq!(check(&a, &branch(&key(1), 2, 5, HEAD, 1)), Err(ForkError::Same), "its other input");
}

fn spending(by: &SecretKey, coin: u8, tx: u8) -> Spending {
    let (coin, tx) = (CoinId::new([coin; 32]), TxId::new([tx; 32]));
    Spending { coin, tx, signature: by.sign(&spend_digest(&coin, &tx)) }
}

fn check_sides(a: impl Into<Side>, b: impl Into<Side>) -> Result<ForkKind, ForkError> {
    let (key, a, b) = (key(1).public(), a.into(), b.into());
    let one = ForkProof { key: key.clone(), a: a.clone(), b: b.clone() }.check();
    assert_eq!(one, ForkProof { key, a: b, b: a }.check(), "the order does not matter");
    one
}

#[test]
fn one_coin_given_away_twice_convicts_without_the_steps() {
    let (me, step) = (key(1), branch(&key(1), 1, 5, HEAD, 1));
    assert_eq!(check_sides(spending(&me, 1, 2), spending(&me, 1, 3)), Ok(ForkKind::Coin));
    assert_eq!(check_sides(step.clone(), spending(&me, 1, 3)), Ok(ForkKind::Coin));
    let same = Spending { coin: step.coin, tx: step.tx_id(), signature: step.signature.clone() };
    assert_eq!(check_sides(step, same), Err(ForkError::Same));
    assert_eq!(check_sides(spending(&me, 1, 2), spending(&me, 1, 2)), Err(ForkError::Same));
    let two_coins = check_sides(spending(&me, 1, 2), spending(&me, 2, 3));
    assert_eq!(two_coins, Err(ForkError::NoConflict));
    let forged = check_sides(spending(&me, 1, 2), spending(&key(2), 1, 3));
    assert_eq!(forged, Err(ForkError::Signature));
}

#[test]
fn both_branches_must_be_signed_by_the_accused() {
    let a = branch(&key(1), 1, 5, HEAD, 1);
    assert_eq!(check(&a, &branch(&key(2), 1, 5, HEAD, 2)), Err(ForkError::Signature));
    let mut altered = branch(&key(1), 1, 5, HEAD, 2);
    altered.link = Link::new([7; 32]);
    assert_eq!(check(&a, &altered), Err(ForkError::Signature));
}

#[test]
fn consent_to_anothers_step_is_no_step() {
    let own = branch(&key(1), 1, 5, HEAD, 1);
    let mut payers = branch(&key(2), 2, 5, OTHER, 2);
    payers.signature = key(1).sign(&consent_digest(&payers.coin, &payers.tx_id()));
    assert_eq!(check(&own, &payers), Err(ForkError::Signature));
}

proptest! {
    #[test]
    fn honest_histories_never_convict(steps in 2usize..12, a in 0usize..12, b in 0usize..12) {
        let mut head = HEAD;
        let mut history = alloc::vec::Vec::new();
        for i in 0..steps {
            let n = u8::try_from(i).expect("few");
            let next = branch(&key(1), n, u64::from(n) + 1, head, n);
            head = next.head_after();
            history.push(next);
        }
        let (a, b) = (&history[a % steps], &history[b % steps]);
        prop_assert!(matches!(check(a, b), Err(ForkError::Same | ForkError::NoConflict)));
    }
}
