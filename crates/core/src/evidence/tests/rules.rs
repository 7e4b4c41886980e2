use super::super::*;
use super::chain::{Chain, key, signature};
use super::network::{certify, trust_base};
use crate::cbor::List;
use crate::device::tests::scene::{NOW, mint};
use crate::id::SerialId;
use crate::mint::{MintError, MintStanding};
use crate::notary::TrustBase;
use crate::predicate::{Predicate, UnlockError, spend_digest};
use crate::tier::Tier;
use crate::transaction::TransactionError;

fn refused(chain: &Chain) -> Option<EvidenceError> {
    chain.knows().verify(&chain.evidence).err()
}

fn paid() -> Chain {
    let mut chain = Chain::new();
    chain.pay(1, signature(2));
    chain
}

#[test]
fn a_chain_from_hand_to_hand_leaves_its_last_coin() {
    let mut chain = paid();
    chain.pay(2, signature(3));
    let holdings = chain.knows().verify(&chain.evidence).expect("good evidence");
    assert_eq!(holdings.keys().collect::<Vec<_>>(), [&chain.last.0]);
    let holding = &holdings[&chain.last.0];
    assert_eq!((holding.tier, holding.uncertified), (Tier::Signed, 2));
}

#[test]
fn an_unknown_asset_is_refused() {
    let chain = paid();
    let mut knows = chain.knows();
    knows.policies.clear();
    assert_eq!(knows.verify(&chain.evidence).err(), Some(EvidenceError::UnknownAsset));
}

#[test]
fn an_invalid_mint_is_refused() {
    let mut chain = paid();
    let mut minted = chain.evidence.mints[0].clone();
    minted.mint.signatures = List::default();
    chain.evidence.mints = List::truncated([minted].into());
    assert_eq!(refused(&chain), Some(EvidenceError::Mint(MintError::Signatures)));
}

#[test]
fn an_invalid_transaction_is_refused() {
    let mut chain = Chain::new();
    let mut body = chain.body(signature(2));
    body.outputs = List::truncated([chain.coin(101, signature(2))].into());
    chain.push(body, |coin, tx| Unlock::Signature(key(1).sign(&spend_digest(coin, tx))));
    let expected = EvidenceError::Transaction(TransactionError::Conservation);
    assert_eq!(refused(&chain), Some(expected));
}

#[test]
fn a_gap_is_refused() {
    let mut chain = paid();
    chain.pay(2, signature(3));
    let last = chain.evidence.hops[1].clone();
    chain.evidence.hops = List::truncated([last].into());
    assert_eq!(refused(&chain), Some(EvidenceError::MissingInput));
    let mut chain = paid();
    chain.pay(2, signature(3));
    let backwards = [chain.evidence.hops[1].clone(), chain.evidence.hops[0].clone()];
    chain.evidence.hops = List::truncated(backwards.into());
    assert_eq!(refused(&chain), Some(EvidenceError::MissingInput), "out of order");
}

#[test]
fn a_coin_spent_twice_is_refused() {
    let mut chain = Chain::new();
    let minted = chain.last.clone();
    chain.pay(1, signature(2));
    chain.last = minted;
    chain.pay(1, signature(3));
    assert_eq!(refused(&chain), Some(EvidenceError::SpentTwice));
}

#[test]
fn a_serial_minted_twice_is_refused() {
    let mut chain = Chain::new();
    let again = chain.evidence.mints[0].clone();
    let other = mint(&key(0xee), chain.policy.id(), 1, 99, signature(1));
    let third = mint(&key(0xee), chain.policy.id(), 2, 99, signature(1));
    for (second, refusal) in [
        (again.clone(), Some(EvidenceError::SpentTwice)),
        (other, Some(EvidenceError::SpentTwice)),
        (third, None),
    ] {
        chain.evidence.mints = List::truncated([again.clone(), second].into());
        assert_eq!(refused(&chain), refusal);
    }
}

#[test]
fn every_input_has_one_witness() {
    let mut chain = paid();
    chain.edit_hop(|hop| hop.witnesses = List::default());
    assert_eq!(refused(&chain), Some(EvidenceError::Witnesses));
    let mut chain = paid();
    chain.edit_hop(|hop| {
        let witness = hop.witnesses[0].clone();
        hop.witnesses = List::truncated([witness.clone(), witness].into());
    });
    assert_eq!(refused(&chain), Some(EvidenceError::Witnesses));
}

#[test]
fn an_input_that_stays_locked_is_refused() {
    let mut chain = Chain::new();
    chain.pay(2, signature(2));
    assert_eq!(refused(&chain), Some(EvidenceError::Unlock(UnlockError::OwnerSignature)));
}

#[test]
fn an_offline_payment_does_not_expire() {
    let mut chain = Chain::new();
    let mut body = chain.body(signature(2));
    body.expires_at = Some(NOW.plus(1000));
    chain.push(body, |coin, tx| Unlock::Signature(key(1).sign(&spend_digest(coin, tx))));
    assert_eq!(refused(&chain), Some(EvidenceError::Expires));
    chain.certify(signature(1), NOW);
    assert_eq!(refused(&chain), None, "once certified it may");
    let mut late = chain;
    late.edit_hop(|hop| {
        let unlock = hop.witnesses[0].unlock.clone();
        hop.witnesses = List::truncated([Witness { unlock, certified: None }].into());
    });
    late.certify(signature(1), NOW.plus(1000));
    assert_eq!(refused(&late), Some(EvidenceError::Certification), "certified at its end");
}

#[test]
fn thirty_two_moves_without_a_network_are_the_most() {
    let mut chain = Chain::new();
    for i in 0..32u8 {
        chain.pay(1 + i % 2, signature(2 - i % 2));
    }
    assert_eq!(chain.evidence.longest_uncertified(), 32);
    assert_eq!(refused(&chain), None);
    chain.pay(1, signature(2));
    assert_eq!(refused(&chain), Some(EvidenceError::TooManyHops));
    chain.certify(signature(1), NOW);
    assert_eq!(refused(&chain), None, "the last is certified: 32 are not");
}

#[test]
fn the_issuers_offline_rules_hold() {
    let capped = |units: u64| {
        let mut chain = Chain::of(|p| p.offline.cap = Some(Amount::new(60)), signature(1));
        let mut body = chain.body(signature(2));
        let outputs = [chain.coin(units, signature(2)), chain.coin(100 - units, signature(1))];
        body.outputs = List::truncated(outputs.into());
        chain.push(body, |coin, tx| Unlock::Signature(key(1).sign(&spend_digest(coin, tx))));
        chain
    };
    assert_eq!(refused(&capped(60)), None, "change is not paid");
    assert_eq!(refused(&capped(61)), Some(EvidenceError::OfflineRule));
    let mut sealed_only = Chain::of(|p| p.offline.sealed_only = true, signature(1));
    sealed_only.pay(1, signature(2));
    assert_eq!(refused(&sealed_only), Some(EvidenceError::OfflineRule));
    sealed_only.certify(signature(1), NOW);
    assert_eq!(refused(&sealed_only), None, "online it may move");
    let uncertified = Chain::of(|p| p.offline.certified_mint = true, signature(1));
    assert_eq!(refused(&uncertified), Some(EvidenceError::OfflineRule));
}

#[test]
fn an_unsettled_move_by_a_convicted_device_is_refused() {
    let mut chain = paid();
    chain.pay(2, signature(3));
    let mut knows = chain.knows();
    knows.bricked = [key(2).public()].into();
    assert_eq!(knows.verify(&chain.evidence).err(), Some(EvidenceError::Bricked));
    chain.certify(signature(2), NOW);
    assert!(knows.verify(&chain.evidence).is_ok(), "what is settled stays settled");
    knows.bricked = [key(3).public()].into();
    assert!(knows.verify(&chain.evidence).is_ok(), "who holds it did not move it");
}

/// A mint certified under the issuer at this place of the policy.
fn certified_mint(issuer: u8) -> Chain {
    let mut chain = Chain::of(|p| p.offline.certified_mint = true, signature(1));
    let mut minted = chain.evidence.mints[0].clone();
    let serial = SerialId::of(&minted.mint.body.asset, minted.mint.body.serial);
    let spent = (signature(issuer), CoinId::new(*serial.as_bytes()), minted.mint.body.id());
    let (certificate, mut places) = certify(&[spent], NOW, 3);
    minted.certified = Some(places.remove(0));
    chain.evidence.mints = List::truncated([minted].into());
    chain.evidence.certificates = List::truncated([certificate].into());
    chain
}

#[test]
fn a_certified_mint_is_a_spend_of_its_serial_by_the_first_issuer() {
    let chain = certified_mint(0xee);
    let holdings = chain.knows().verify(&chain.evidence).expect("certified");
    assert_eq!(holdings[&chain.last.0].certified_at, Some(NOW));
    assert_eq!(holdings[&chain.last.0].minted, MintStanding::Certified);
    assert_eq!(refused(&certified_mint(2)), Some(EvidenceError::Certification));
}

#[test]
fn a_mint_that_nobody_certified_rests_on_its_issuers_word_however_it_moved_since() {
    let standing = |chain: &Chain| {
        let holdings = chain.knows().verify(&chain.evidence).expect("good");
        let holding = &holdings[&chain.last.0];
        (holding.tier, holding.minted)
    };
    let mut chain = Chain::new();
    assert_eq!(standing(&chain), (Tier::Certified, MintStanding::IssuersWord));
    chain.pay(1, signature(2));
    assert_eq!(standing(&chain), (Tier::Signed, MintStanding::IssuersWord));
    chain.certify(signature(1), NOW);
    assert_eq!(standing(&chain), (Tier::Certified, MintStanding::IssuersWord));
    let mut chain = certified_mint(0xee);
    chain.pay(1, signature(2));
    assert_eq!(standing(&chain), (Tier::Signed, MintStanding::Certified));
}

#[test]
fn each_flaw_of_a_certification_is_refused() {
    let certified = || {
        let mut chain = paid();
        chain.certify(signature(1), NOW);
        chain
    };
    assert_eq!(refused(&certified()), None);
    let flaw = |edit: &dyn Fn(&mut Chain)| {
        let mut chain = certified();
        edit(&mut chain);
        assert_eq!(refused(&chain), Some(EvidenceError::Certification));
    };
    let place = |chain: &mut Chain, edit: &dyn Fn(&mut Certification)| {
        chain.edit_hop(|hop| {
            let mut witness = hop.witnesses[0].clone();
            edit(witness.certified.as_mut().expect("certified"));
            hop.witnesses = List::truncated([witness].into());
        });
    };
    flaw(&|c| place(c, &|place| place.time = place.time.plus(1)));
    flaw(&|c| place(c, &|place| place.certificate = 1));
    flaw(&|c| c.evidence.certificates = List::default());
    flaw(&|c| {
        let (two_of_four, _) = certify(&[c.spent(signature(1))], NOW, 2);
        c.evidence.certificates = List::truncated([two_of_four].into());
    });
    flaw(&|c| {
        let other: (Predicate, CoinId, TxId) = (signature(2), c.last.0, TxId::new([7; 32]));
        let (elsewhere, _) = certify(&[other], NOW, 3);
        c.evidence.certificates = List::truncated([elsewhere].into());
    });
    let chain = certified();
    let mut alone = chain.knows();
    alone.notary = None::<TrustBase>;
    assert_eq!(alone.verify(&chain.evidence).err(), Some(EvidenceError::Certification));
    assert_eq!(trust_base().quorum(), 3);
}
