//! Certificates that come along with a proof, as a notary sees them.

use alloc::vec;

use super::{EXPIRES, OTHER_NETWORK, Recorded, enroller, public, terms};
use crate::id::{CoinId, Digest, NetworkId, TxId};
use crate::keys::SecretKey;
use crate::notary::{Engine, Spend, StateHash, TransactionHash};
use crate::predicate::{Predicate, Sealed, TallyEngine, Unlock, spend_digest};
use crate::seal::{
    CertifiedProofs, Enrollers, EnrollmentError, NoSeals, Scoped, SealCertificate, SealId,
    SealTerms, Slot, SlotProof, SlotVerifier, TpmProofs, Vouch,
};
use crate::time::Time;

const COIN: CoinId = CoinId::new([1; 32]);
const UNTIL: Time = Time::from_unix(EXPIRES.unix() - 1);

/// Whether a notary with these enrollers, who is shown this certificate, lets the sealed coin move.
fn moves(
    seals: &dyn SlotVerifier,
    recorded: &Recorded,
    tx: TxId,
    until: Time,
    enrollment: Option<&SealCertificate>,
) -> bool {
    let key = SecretKey::new([7; 32]).expect("a scalar");
    let sealed = Sealed { key: key.public(), slot: recorded.slot, until };
    let predicate = Predicate::Sealed(sealed);
    let unlock = Unlock::Sealed(key.sign(&spend_digest(&COIN, &tx)), recorded.proof.clone());
    let wire = predicate.to_wire();
    let spend = Spend {
        predicate: &wire,
        source: StateHash::from(COIN),
        transaction: TransactionHash::from(tx),
        expires_at: None,
    };
    let bytes = unlock.to_wire(&predicate, enrollment);
    let read = Unlock::from_wire(&predicate, &bytes).expect("it was written");
    assert_eq!(read, (unlock, enrollment.cloned()));
    TallyEngine { seals }.unlocks(&spend, &bytes, Time::from_unix(0))
}

#[test]
fn a_notary_moves_a_sealed_coin_by_the_word_of_its_enrollers_only() {
    let recorded = Recorded::first();
    let notary = Enrollers { network: NetworkId::LOCAL, enrollers: vec![public(1), public(2)] };
    let issue = |edit: &dyn Fn(&mut SealTerms), by: u8| {
        let mut terms = terms(recorded.tpm(), by);
        edit(&mut terms);
        SealCertificate::issue(terms, &enroller(by))
    };
    let good = issue(&|_| (), 1);
    let asks = |certificate: Option<SealCertificate>| {
        moves(&notary, &recorded, recorded.tx, UNTIL, certificate.as_ref())
    };
    assert!(asks(Some(good.clone())));
    assert!(asks(Some(issue(&|_| (), 2))));
    assert!(!asks(None), "a notary knows no seals by itself");
    assert!(!asks(Some(issue(&|_| (), 3))), "nobody's enroller");
    assert!(!asks(Some(issue(&|terms| terms.expires = Time::from_unix(5), 1))), "it ends before");
    assert!(!asks(Some(issue(&|terms| terms.network = OTHER_NETWORK, 1))), "of another network");
    let forged = SealCertificate::issue(terms(recorded.tpm(), 1), &enroller(3));
    assert!(!asks(Some(forged.clone())), "not signed by the enroller it names");
    let other = TxId::new([9; 32]);
    assert!(!moves(&notary, &recorded, other, UNTIL, Some(&good)), "another transaction");
    assert!(!moves(&NoSeals, &recorded, recorded.tx, UNTIL, Some(&good)), "it trusts no hardware");
    let seen = CertifiedProofs(NetworkId::LOCAL);
    assert!(moves(&seen, &recorded, recorded.tx, UNTIL, Some(&issue(&|_| (), 3))));
    assert!(!moves(&seen, &recorded, other, UNTIL, Some(&good)));
    assert!(!moves(&seen, &recorded, recorded.tx, UNTIL, Some(&forged)));
    assert!(!moves(&TpmProofs, &recorded, recorded.tx, UNTIL, Some(&good)), "it has no enrollers");
}

#[test]
fn a_development_seal_moves_a_coin_on_the_development_network_only() {
    let recorded = Recorded::first();
    for (network, counts) in [(NetworkId::LOCAL, true), (OTHER_NETWORK, false)] {
        let notary = Enrollers { network, enrollers: vec![public(1)] };
        let terms = SealTerms { network, development: true, ..terms(recorded.tpm(), 1) };
        let certificate = SealCertificate::issue(terms, &enroller(1));
        let moved = moves(&notary, &recorded, recorded.tx, UNTIL, Some(&certificate));
        assert_eq!(moved, counts, "{network}");
    }
}

#[test]
fn a_proof_counts_under_the_certificate_that_is_judged() {
    let recorded = Recorded::first();
    let Recorded { certificate, slot, tx, proof } = &recorded;
    assert!(TpmProofs.attests(certificate, slot, tx, proof));
    assert!(!TpmProofs.attests(certificate, slot, &TxId::new([9; 32]), proof));
    let mut other = recorded.tpm();
    other.firmware += 1;
    let other = SealCertificate::issue(terms(other, 1), &enroller(1));
    assert!(!TpmProofs.attests(&other, slot, tx, proof), "another firmware's");
    let notary = Enrollers { network: NetworkId::LOCAL, enrollers: vec![public(1)] };
    let seen = CertifiedProofs(NetworkId::LOCAL);
    for alone in [&TpmProofs as &dyn SlotVerifier, &notary, &seen] {
        assert!(!alone.proves(slot, tx, proof), "by itself it knows no seal");
    }
    let vouch = Vouch { enrollers: None, certificates: &[], certified: false };
    assert!(!TpmProofs.proves_for(&vouch, slot, UNTIL, tx, proof));
}

/// Takes whatever is said to prove one slot.
struct Takes(Slot);

impl SlotVerifier for Takes {
    fn proves(&self, slot: &Slot, _: &TxId, _: &SlotProof) -> bool {
        *slot == self.0
    }
}

#[test]
fn what_a_verifier_has_no_answer_of_its_own_to_is_what_it_proves() {
    let Recorded { certificate, slot, tx, proof } = Recorded::first();
    let vouch = Vouch { enrollers: None, certificates: &[], certified: false };
    for (takes, expected) in [(slot, true), (slot.next().expect("not at its end"), false)] {
        let takes = Takes(takes);
        assert_eq!(takes.attests(&certificate, &slot, &tx, &proof), expected);
        assert_eq!(takes.proves_until(&slot, UNTIL, &tx, &proof), expected);
        assert_eq!(takes.proves_for(&vouch, &slot, UNTIL, &tx, &proof), expected);
        let scoped = Scoped { seals: &takes, vouch };
        assert_eq!(scoped.proves(&slot, &tx, &proof), expected);
        assert_eq!(scoped.proves_until(&slot, UNTIL, &tx, &proof), expected);
    }
}

#[test]
fn a_certificate_covers_a_lock_that_ends_when_it_does_and_none_that_ends_later() {
    let recorded = Recorded::first();
    let certificate = SealCertificate::issue(terms(recorded.tpm(), 1), &enroller(1));
    let covers = |until, by: u8, slot: &Slot| certificate.covers(slot, until, &[public(by)], false);
    let slot = &recorded.slot;
    assert_eq!(covers(EXPIRES, 1, slot), Ok(()));
    assert_eq!(covers(EXPIRES.plus(1), 1, slot), Err(EnrollmentError::Ends));
    assert_eq!(covers(EXPIRES, 2, slot), Err(EnrollmentError::Enroller));
    let other = SealId::new(Digest::new([7; 32]));
    assert_eq!(covers(EXPIRES, 1, &Slot { seal: other, ..*slot }), Err(EnrollmentError::Ends));
    let toy = SealTerms { development: true, ..terms(recorded.tpm(), 1) };
    let toy = SealCertificate::issue(toy, &enroller(1));
    let on = |development| toy.covers(slot, EXPIRES, &[public(1)], development);
    assert_eq!(on(true), Ok(()));
    assert_eq!(on(false), Err(EnrollmentError::Development));
}
