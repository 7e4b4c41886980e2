use super::super::*;
use super::chain::{Chain, key, signature};
use crate::device::tests::scene::NOW;
use crate::policy::Policy;
use crate::predicate::tests::{enrolled_slot, enrollment, fake_proof};
use crate::predicate::{Predicate, Reserved, Sealed, UnlockError, consent_digest, spend_digest};
use crate::seal::EnrollmentError;

const UNTIL: Time = NOW.plus(1000);

/// The asset names the enroller of the tests' hardware.
fn vouched(policy: &mut Policy) {
    let enroller = enrollment().terms().enroller.clone();
    policy.offline.enrollers = List::truncated(alloc::vec![enroller]);
}

fn sealed(byte: u8) -> Predicate {
    Predicate::Sealed(Sealed { key: key(byte).public(), slot: enrolled_slot(1), until: UNTIL })
}

fn by_seal(byte: u8) -> impl Fn(&CoinId, &TxId) -> Unlock {
    move |coin, tx| {
        let signature = key(byte).sign(&spend_digest(coin, tx));
        Unlock::Sealed(signature, fake_proof(&enrolled_slot(1), tx))
    }
}

fn worth(chain: &Chain, now: Time, viewer: u8) -> Result<(Tier, Option<Time>), EvidenceError> {
    let mut knows = chain.knows();
    (knows.now, knows.viewer) = (now, Some(key(viewer).public()));
    let holdings = knows.verify(&chain.evidence)?;
    let holding = &holdings[&chain.last.0];
    Ok((holding.tier, holding.settle_by))
}

#[test]
fn a_sealed_payment_is_sealed_until_its_lock_ends() {
    let mut chain = Chain::of(vouched, sealed(1));
    let body = chain.body(signature(2));
    chain.push(body, by_seal(1));
    assert_eq!(worth(&chain, NOW, 2), Ok((Tier::Sealed, Some(UNTIL))));
    assert_eq!(worth(&chain, UNTIL, 2), Ok((Tier::Signed, None)), "from then on nothing holds");
    chain.certify(sealed(1), NOW);
    assert_eq!(worth(&chain, UNTIL, 2), Ok((Tier::Certified, None)), "settled in time");
}

#[test]
fn what_a_notary_certified_counts_whoever_enrolled_its_seal() {
    let mut chain = Chain::of(|_| (), sealed(1));
    let body = chain.body(signature(2));
    chain.push(body, by_seal(1));
    let unnamed = UnlockError::SlotProof(EnrollmentError::Enroller.into());
    assert_eq!(worth(&chain, NOW, 2), Err(unnamed.into()), "the asset names nobody");
    chain.certify(sealed(1), NOW);
    assert_eq!(worth(&chain, NOW, 2), Ok((Tier::Certified, None)));
}

#[test]
fn after_the_lock_a_certified_spend_by_signature_alone_is_judged_at_its_own_time() {
    let mut chain = Chain::of(vouched, sealed(1));
    chain.pay(1, signature(2));
    let locked = EvidenceError::Unlock(UnlockError::Locked);
    assert_eq!(worth(&chain, NOW, 2), Err(locked));
    assert_eq!(worth(&chain, UNTIL, 2), Ok((Tier::Signed, None)));
    chain.certify(sealed(1), NOW);
    assert_eq!(worth(&chain, UNTIL, 2), Err(locked), "it was locked when it was certified");
}

#[test]
fn a_tier_is_that_of_the_weakest_move_that_is_not_certified() {
    let mut chain = Chain::of(vouched, signature(1));
    chain.pay(1, sealed(2));
    let body = chain.body(signature(3));
    chain.push(body, by_seal(2));
    assert_eq!(
        worth(&chain, NOW, 3),
        Ok((Tier::Signed, Some(UNTIL))),
        "the lock itself is not settled"
    );
    let mut chain = Chain::of(vouched, signature(1));
    chain.pay(1, sealed(2));
    chain.certify(signature(1), NOW);
    let body = chain.body(signature(3));
    chain.push(body, by_seal(2));
    assert_eq!(worth(&chain, NOW, 3), Ok((Tier::Sealed, Some(UNTIL))));
    chain.pay(3, signature(4));
    assert_eq!(worth(&chain, NOW, 4).map(|w| w.0), Ok(Tier::Signed));
}

#[test]
fn a_reservation_is_worth_it_only_to_the_payee_whom_it_names() {
    let until = UNTIL;
    let reserved = Reserved { key: key(1).public(), payee: key(2).public(), until };
    let mut chain = Chain::of(|_| (), Predicate::Reserved(reserved));
    let body = chain.body(signature(2));
    chain.push(body, |coin, tx| {
        let owner = key(1).sign(&spend_digest(coin, tx));
        Unlock::Reserved(owner, key(2).sign(&consent_digest(coin, tx)))
    });
    assert_eq!(worth(&chain, NOW, 2), Ok((Tier::Reserved, Some(UNTIL))));
    assert_eq!(worth(&chain, NOW, 3), Ok((Tier::Signed, None)));
    assert_eq!(worth(&chain, UNTIL, 2), Ok((Tier::Signed, None)));
}
