extern crate std;

use alloc::vec;
use alloc::vec::Vec;

use super::{EXPIRES, OTHER_NETWORK, Recorded, enroller, public, terms};
use crate::id::{Digest, NetworkId, TxId};
use crate::seal::{
    EnrollmentError, MAX_CERTIFICATES, NoSeals, Revocation, RevocationTerms, SealCertificate,
    SealId, SealTerms, Seals, SlotVerifier, TpmSeal,
};
use crate::time::Time;

const AFTER: Time = EXPIRES.plus(1);

fn seals() -> Seals {
    Seals::new(NetworkId::LOCAL, [public(1), public(2)])
}

fn issue(terms: SealTerms, by: u8) -> SealCertificate {
    SealCertificate::issue(terms, &enroller(by))
}

/// The recorded proof's hardware, enrolled anew.
fn enrolled(recorded: &Recorded, by: u8) -> SealCertificate {
    issue(terms(recorded.tpm(), by), by)
}

fn proves(seals: &Seals, r: &Recorded, until: Time) -> bool {
    seals.proves_until(&r.slot, until, &r.tx, &r.proof)
}

fn revocation(number: u64, by: u8, revoked: Vec<SealId>) -> Revocation {
    let terms = RevocationTerms::new(NetworkId::LOCAL, public(by), number, revoked);
    Revocation::issue(terms.expect("short"), &enroller(by))
}

#[test]
fn a_seal_counts_by_the_word_of_an_accepted_enroller_only() {
    let recorded = Recorded::first();
    let mut seals = seals();
    assert!(!proves(&seals, &recorded, EXPIRES));
    let stranger = seals.learn(enrolled(&recorded, 3));
    assert_eq!(stranger, Err(EnrollmentError::Enroller));
    assert!(!proves(&seals, &recorded, EXPIRES));
    let seal = enrolled(&recorded, 1).seal();
    assert_eq!(seals.learn(enrolled(&recorded, 1)), Ok(seal));
    assert!(proves(&seals, &recorded, EXPIRES));
    assert!(seals.proves(&recorded.slot, &recorded.tx, &recorded.proof));
    let other = TxId::new([0; 32]);
    assert!(!seals.proves_until(&recorded.slot, EXPIRES, &other, &recorded.proof));
    assert!(!seals.proves(&recorded.slot, &other, &recorded.proof));
    assert!(!NoSeals.proves_until(&recorded.slot, EXPIRES, &recorded.tx, &recorded.proof));
    assert_eq!(seals.certificate(&seal), Some(&enrolled(&recorded, 1)));
    seals.forget(&seal);
    assert!(!proves(&seals, &recorded, EXPIRES));
    assert_eq!(seals.certificate(&seal), None);
}

#[test]
fn a_development_seal_counts_only_where_such_are_accepted() {
    let recorded = Recorded::first();
    let toy = SealTerms { development: true, ..terms(recorded.tpm(), 1) };
    let refused = seals().learn(issue(toy.clone(), 1));
    assert_eq!(refused, Err(EnrollmentError::Development));
    let mut network = seals().with_development();
    network.learn(issue(toy, 1)).expect("accepted");
    assert!(proves(&network, &recorded, EXPIRES));
}

#[test]
fn a_certificate_is_checked_before_it_counts() {
    let recorded = Recorded::first();
    let own = || terms(recorded.tpm(), 1);
    let refused = |terms, by| seals().learn(issue(terms, by));
    assert_eq!(refused(own(), 2), Err(EnrollmentError::Signature));
    assert_eq!(refused(SealTerms { version: 0, ..own() }, 1), Err(EnrollmentError::Version));
    let network = OTHER_NETWORK;
    assert_eq!(refused(SealTerms { network, ..own() }, 1), Err(EnrollmentError::Network));
    // No point of the curve has this coordinate.
    let key = crate::seal::AttestationKey::from_coordinates(&[0xff; 32], &[0; 32]);
    let no_key = terms(TpmSeal { key, ..recorded.tpm() }, 1);
    assert_eq!(refused(no_key, 1), Err(EnrollmentError::Signature));
}

#[test]
fn an_enrollment_must_last_until_the_lock_ends() {
    let recorded = Recorded::first();
    let mut seals = seals();
    seals.learn(enrolled(&recorded, 1)).expect("accepted");
    assert!(proves(&seals, &recorded, EXPIRES));
    assert!(!proves(&seals, &recorded, AFTER));
    // Without a lock's end there is nothing to compare.
    assert!(seals.proves(&recorded.slot, &recorded.tx, &recorded.proof));
}

#[test]
fn a_renewed_certificate_counts_beside_the_old_one() {
    let recorded = Recorded::first();
    let seal = recorded.slot.seal;
    let mut seals = seals();
    seals.learn(enrolled(&recorded, 1)).expect("accepted");
    // After an update of the firmware; what was proved before stays proved.
    let updated = TpmSeal { firmware: recorded.tpm().firmware + 1, ..recorded.tpm() };
    let renewed = issue(SealTerms { expires: AFTER, ..terms(updated, 1) }, 1);
    assert_eq!(seals.learn(renewed.clone()), Ok(seal));
    assert!(proves(&seals, &recorded, EXPIRES));
    // One certificate must cover both the proof and the lock.
    assert!(!proves(&seals, &recorded, AFTER));
    assert_eq!(seals.certificate(&seal), Some(&renewed));
}

/// The same seal before its firmware was updated.
fn older_firmware(recorded: &Recorded) -> TpmSeal {
    let tpm = recorded.tpm();
    TpmSeal { firmware: tpm.firmware - 1, ..tpm }
}

#[test]
fn of_too_many_certificates_the_one_that_ends_first_goes() {
    let recorded = Recorded::first();
    let mut seals = seals();
    let ending = |at: u64| {
        let expires = Time::from_unix(at);
        issue(SealTerms { expires, ..terms(recorded.tpm(), 1) }, 1)
    };
    for at in 0..MAX_CERTIFICATES as u64 {
        seals.learn(ending(100 + at)).expect("there is room");
    }
    assert_eq!(seals.learn(ending(100)).expect("known already"), recorded.slot.seal);
    assert_eq!(seals.learn(ending(99)), Err(EnrollmentError::TooMany));
    // One that ends with the first is not worth dropping it for.
    let older = SealTerms { expires: Time::from_unix(100), ..terms(older_firmware(&recorded), 1) };
    assert_eq!(seals.learn(issue(older, 1)), Err(EnrollmentError::TooMany));
    assert!(proves(&seals, &recorded, Time::from_unix(103)));
    seals.learn(ending(200)).expect("it ends later than the first");
    assert!(proves(&seals, &recorded, Time::from_unix(200)));
    assert_eq!(seals.certificate(&recorded.slot.seal), Some(&ending(200)));
    // 100 is gone: by enroller 1 there is 101 to 103, and 200.
    assert_eq!(seals.learn(ending(100)), Err(EnrollmentError::TooMany));
    assert_eq!(seals.learn(ending(101)), Ok(recorded.slot.seal));
}

#[test]
fn a_revoked_seal_proves_nothing_whether_it_was_known_before_or_not() {
    let recorded = Recorded::first();
    let seal = recorded.slot.seal;
    let other = SealId::new(Digest::new([7; 32]));
    let mut seals = seals();
    seals.learn(enrolled(&recorded, 1)).expect("accepted");
    seals.revoke(revocation(1, 1, vec![other])).expect("signed");
    assert!(proves(&seals, &recorded, EXPIRES));
    seals.revoke(revocation(2, 1, vec![seal, other])).expect("newer");
    assert!(!proves(&seals, &recorded, EXPIRES));
    assert!(!seals.proves(&recorded.slot, &recorded.tx, &recorded.proof));
    assert_eq!(seals.certificate(&seal), None);
    let longer = SealTerms { expires: AFTER, ..terms(recorded.tpm(), 1) };
    assert_eq!(seals.learn(issue(longer, 1)), Err(EnrollmentError::Revoked));
    // The other enroller's word still counts.
    seals.learn(enrolled(&recorded, 2)).expect("accepted");
    assert!(proves(&seals, &recorded, EXPIRES));
    assert_eq!(seals.revocations().count(), 1);
}

#[test]
fn a_revocation_counts_by_its_own_enroller_and_only_if_newer() {
    let recorded = Recorded::first();
    let seal = recorded.slot.seal;
    let mut seals = seals();
    seals.learn(enrolled(&recorded, 1)).expect("accepted");
    seals.revoke(revocation(5, 2, vec![seal])).expect("signed");
    assert!(proves(&seals, &recorded, EXPIRES), "enroller 2 never vouched for it");
    assert_eq!(seals.revoke(revocation(9, 3, vec![seal])), Err(EnrollmentError::Enroller));
    let terms = RevocationTerms::new(NetworkId::LOCAL, public(1), 1, vec![seal]).expect("short");
    let forged = Revocation::issue(terms, &enroller(2));
    assert_eq!(seals.revoke(forged), Err(EnrollmentError::Signature));
    assert_eq!(seals.revoke(revocation(5, 2, vec![])), Err(EnrollmentError::Stale));
    assert_eq!(seals.revoke(revocation(4, 2, vec![])), Err(EnrollmentError::Stale));
    seals.revoke(revocation(6, 2, vec![])).expect("newer");
    assert!(proves(&seals, &recorded, EXPIRES));
}
