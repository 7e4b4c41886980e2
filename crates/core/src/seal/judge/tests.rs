//! The judge on real proofs, and without each of its checks.
//!
//! | check | what notices that it is gone |
//! |---|---|
//! | `of_seal` to `proves`, each | `without_any_one_check_something_false_counts`, by name |
//! | `of_seal`, `has_counter`, `proves` | `each_refusal_of_a_slot_is_the_judges` (`seal-slots.json`) |
//! | `is_named`, `is_for_value`, `is_issued` | `the_published_enrollments_are_what_this_program_makes` (`seal-certificates.json`) |
//! | `is_named`, each arm | `whose_word_counts_depends_on_who_asks` |
//! | `is_for_value`, for each word | `hardware_that_can_be_copied_counts_where_there_is_no_value_only` |
//! | `stands`, each arm | `a_revocation_undoes_what_is_new_and_nothing_else` |
//! | each line of `hear` | `a_list_is_heard_from_its_enroller_if_it_is_newer` |
//! | the order, and the reason that is told | `the_reason_told_is_that_of_the_certificate_that_got_furthest` |

extern crate std;

use alloc::vec;
use alloc::vec::Vec;
use serde_json::Value as Json;

use super::*;
use crate::id::Digest;
use crate::seal::tests::{EXPIRES, OTHER_NETWORK, Recorded, SLOTS, enroller, public, terms};
use crate::seal::{RevocationTerms, SealTerms, TpmProofs};

const AFTER: Time = EXPIRES.plus(1);
const OTHER: TxId = TxId::new([9; 32]);

fn issue(terms: SealTerms, by: u8) -> SealCertificate {
    SealCertificate::issue(terms, &enroller(by))
}

/// The recorded proof's hardware, enrolled by `by` after `edit`.
fn enrolled(recorded: &Recorded, by: u8, edit: impl FnOnce(&mut SealTerms)) -> SealCertificate {
    let mut terms = terms(recorded.tpm(), by);
    edit(&mut terms);
    issue(terms, by)
}

fn revocation(number: u64, by: u8, revoked: Vec<SealId>) -> Revocation {
    let terms = RevocationTerms::new(NetworkId::LOCAL, public(by), number, revoked);
    Revocation::issue(terms.expect("short"), &enroller(by))
}

fn lists(all: impl IntoIterator<Item = Revocation>) -> Revocations {
    all.into_iter().map(|list| (list.terms().enroller().clone(), list)).collect()
}

/// A payee's judge whose asset names `named`.
fn payee<'a>(named: &'a [PublicKey], came: &'a [SealCertificate]) -> Judge<'a> {
    let word = Word::Asset { named, network: None };
    Judge { network: NetworkId::LOCAL, seals: KnownSeals::none(&TpmProofs), word, came }
}

fn proved<'a>(judge: &Judge<'a>, r: &Recorded) -> Verdict<'a> {
    judge.proved(&r.slot, EXPIRES, &r.tx, &r.proof)
}

#[test]
fn without_any_one_check_something_false_counts() {
    let Recorded { slot, tx, proof, .. } = &Recorded::first();
    let recorded = Recorded::first();
    let named = [public(1)];
    let good = || enrolled(&recorded, 1, |_| ());
    let revoked = lists([revocation(1, 1, vec![slot.seal])]);
    let other = Slot { seal: SealId::new(Digest::new([7; 32])), ..*slot };
    let end = Slot { value: u64::MAX, ..*slot };
    let forged = SealCertificate::issue(terms(recorded.tpm(), 1), &enroller(2));
    let ask = |slot, until| Question { slot, until, left: None };
    let left = |tx| Question { slot, until: EXPIRES, left: Some((tx, proof)) };
    let plain = |certificate| (NetworkId::LOCAL, None, certificate);
    let elsewhere = enrolled(&recorded, 1, |t| {
        (t.network, t.development) = (OTHER_NETWORK, true);
    });
    let falsehoods = [
        ("of_seal", "SLOT_SEAL", plain(good()), ask(&other, EXPIRES)),
        ("has_counter", "SLOT_COUNTER", plain(good()), ask(&end, EXPIRES)),
        (
            "is_named",
            "ENROLLMENT_ENROLLER",
            plain(enrolled(&recorded, 2, |_| ())),
            ask(slot, EXPIRES),
        ),
        (
            "is_for_value",
            "ENROLLMENT_DEVELOPMENT",
            (OTHER_NETWORK, None, elsewhere),
            ask(slot, EXPIRES),
        ),
        ("covers_lock", "ENROLLMENT_ENDS", plain(good()), ask(slot, AFTER)),
        (
            "stands",
            "ENROLLMENT_REVOKED",
            (NetworkId::LOCAL, Some(&revoked), good()),
            ask(slot, EXPIRES),
        ),
        ("is_issued", "ENROLLMENT_SIGNATURE", plain(forged), ask(slot, EXPIRES)),
        ("proves", "SLOT_SIGNATURE", plain(good()), left(&OTHER)),
    ];
    assert_eq!(falsehoods.len(), CHECKS.len());
    for (at, (name, code, (network, revocations, certificate), asked)) in
        falsehoods.into_iter().enumerate()
    {
        let came = [certificate];
        let seals = KnownSeals { revocations, ..KnownSeals::none(&TpmProofs) };
        let judge = Judge { network, seals, ..payee(&named, &came) };
        let refused = judge.decide(&asked, &CHECKS).map_err(SealRefusal::code);
        assert_eq!(refused, Err(code), "{name}");
        let rest: Vec<Check> = (0..).zip(CHECKS).filter(|(i, _)| *i != at).map(|c| c.1).collect();
        assert!(judge.decide(&asked, &rest).is_ok(), "{name} alone refuses it");
    }
    assert!(payee(&named, &[good()]).decide(&left(tx), &CHECKS).is_ok());
}

#[test]
fn each_refusal_of_a_slot_is_the_judges() {
    let all: Json = serde_json::from_str(SLOTS).expect("JSON");
    let cases = |kind: &str| all[kind].as_array().expect("a list").clone();
    let verdict = |case: &Json| {
        let Recorded { certificate, slot, tx, proof } = Recorded::of(case);
        let named = [certificate.terms().enroller.clone()];
        let came = [certificate];
        let judge = payee(&named, &came);
        judge.proved(&slot, EXPIRES, &tx, &proof).map(drop).map_err(SealRefusal::code)
    };
    assert!(cases("valid").len() >= 2);
    for case in cases("valid") {
        assert_eq!(verdict(&case), Ok(()), "{}", case["name"]);
    }
    for case in cases("invalid") {
        let code = case["code"].as_str().expect("text");
        assert_eq!(verdict(&case), Err(code), "{}", case["name"]);
    }
}

#[test]
fn whose_word_counts_depends_on_who_asks() {
    let recorded = Recorded::first();
    let (asset, network) = ([public(1), public(3)], [public(2), public(3)]);
    let to_both = Word::Asset { named: &asset, network: Some(&network) };
    let cases = [
        ("payee", Word::Asset { named: &asset, network: None }, [true, false, true, false]),
        ("payee who knows the network's", to_both, [false, false, true, false]),
        ("notary", Word::Network(&network), [false, true, true, false]),
        ("viewer", Word::Decided, [true, true, true, true]),
    ];
    for (who, word, counts) in cases {
        for (by, counts) in (1..).zip(counts) {
            let came = [enrolled(&recorded, by, |_| ())];
            let judge = Judge { word, ..payee(&[], &came) };
            let expected =
                if counts { Ok(&came[0]) } else { Err(EnrollmentError::Enroller.into()) };
            assert_eq!(judge.vouched(&recorded.slot, EXPIRES), expected, "{who} of {by}");
            assert_eq!(proved(&judge, &recorded), expected, "{who} of {by}");
        }
    }
}

#[test]
fn hardware_that_can_be_copied_counts_where_there_is_no_value_only() {
    let recorded = Recorded::first();
    let named = [public(1)];
    for (network, counts) in [(NetworkId::LOCAL, true), (OTHER_NETWORK, false)] {
        let toy = enrolled(&recorded, 1, |t| (t.development, t.network) = (true, network));
        let came = [toy];
        let by_asset = Word::Asset { named: &named, network: None };
        for word in [by_asset, Word::Network(&named), Word::Decided] {
            let judge = Judge { network, word, ..payee(&named, &came) };
            let expected = if counts { Ok(()) } else { Err("ENROLLMENT_DEVELOPMENT") };
            let verdict = proved(&judge, &recorded).map(drop).map_err(SealRefusal::code);
            assert_eq!(verdict, expected, "{word:?} on {network}");
        }
    }
}

#[test]
fn a_revocation_undoes_what_is_new_and_nothing_else() {
    let recorded = Recorded::first();
    let seal = recorded.slot.seal;
    let (named, came) = ([public(1)], [enrolled(&recorded, 1, |_| ())]);
    let revoked = lists([revocation(1, 1, vec![seal])]);
    let others = lists([
        revocation(1, 1, vec![SealId::new(Digest::new([7; 32]))]),
        revocation(1, 2, vec![seal]),
    ]);
    let heard = |revocations| KnownSeals { revocations, ..KnownSeals::none(&TpmProofs) };
    let new = |word, lists| Judge { word, seals: heard(Some(lists)), ..payee(&named, &came) };
    let by_asset = Word::Asset { named: &named, network: None };
    let refused = Err(EnrollmentError::Revoked.into());
    assert_eq!(proved(&new(by_asset, &revoked), &recorded), refused);
    assert_eq!(proved(&new(Word::Network(&named), &revoked), &recorded), refused);
    assert!(proved(&new(by_asset, &others), &recorded).is_ok(), "another seal, another enroller");
    assert!(proved(&new(Word::Decided, &revoked), &recorded).is_ok(), "a notary has decided");
    let before = Judge { seals: heard(None), ..payee(&named, &came) };
    assert!(proved(&before, &recorded).is_ok(), "it was accepted before");
    let notary = Judge::of_notary(NetworkId::LOCAL, &TpmProofs, &named);
    assert!(notary.seals.revocations.is_none());
}

#[test]
fn a_certificate_that_is_known_is_checked_like_one_that_came() {
    let recorded = Recorded::first();
    let named = [public(1)];
    let known = |certificate| Certificates::from([(recorded.slot.seal, vec![certificate])]);
    let judged = |certificates: &Certificates| {
        let seals = KnownSeals { certificates, ..KnownSeals::none(&TpmProofs) };
        proved(&Judge { seals, ..payee(&named, &[]) }, &recorded).map(drop)
    };
    assert_eq!(judged(&known(enrolled(&recorded, 1, |_| ()))), Ok(()));
    let forged = SealCertificate::issue(terms(recorded.tpm(), 1), &enroller(2));
    assert_eq!(judged(&known(forged)), Err(EnrollmentError::Signature.into()));
    assert_eq!(judged(&Certificates::new()), Err(SlotError::Seal.into()));
}

#[test]
fn one_certificate_must_cover_the_lock_and_fit_the_proof() {
    let recorded = Recorded::first();
    let named = [public(1)];
    // After an update of the firmware; what was proved before stays proved, by the older one.
    let old = enrolled(&recorded, 1, |_| ());
    let mut updated = recorded.tpm();
    updated.firmware += 1;
    let renewed = issue(SealTerms { expires: AFTER, ..terms(updated, 1) }, 1);
    for came in [[old.clone(), renewed.clone()], [renewed, old.clone()]] {
        let judge = payee(&named, &came);
        assert_eq!(proved(&judge, &recorded), Ok(&old));
        let longer = judge.proved(&recorded.slot, AFTER, &recorded.tx, &recorded.proof);
        assert_eq!(longer, Err(SlotError::Signature.into()));
        assert!(judge.vouched(&recorded.slot, AFTER).is_ok(), "a new proof would count");
    }
}

#[test]
fn the_reason_told_is_that_of_the_certificate_that_got_furthest() {
    let recorded = Recorded::first();
    let named = [public(1)];
    let stranger = enrolled(&recorded, 2, |t| t.expires = AFTER);
    let ends = enrolled(&recorded, 1, |t| t.expires = Time::from_unix(5));
    let forged = SealCertificate::issue(terms(recorded.tpm(), 1), &enroller(2));
    let genuine = enrolled(&recorded, 1, |_| ());
    let told = |came: &[SealCertificate]| {
        payee(&named, came).vouched(&recorded.slot, EXPIRES).map(drop).map_err(SealRefusal::code)
    };
    for (worse, better, code) in [
        (&stranger, &ends, Err("ENROLLMENT_ENDS")),
        (&ends, &forged, Err("ENROLLMENT_SIGNATURE")),
        (&forged, &genuine, Ok(())),
    ] {
        assert_eq!(told(&[worse.clone(), better.clone()]), code);
        assert_eq!(told(&[better.clone(), worse.clone()]), code);
    }
}

#[test]
fn nothing_counts_for_a_verifier_that_trusts_no_hardware() {
    let recorded = Recorded::first();
    let came = [enrolled(&recorded, 1, |_| ())];
    let seals = KnownSeals::default();
    let judge = Judge { seals, word: Word::Decided, ..payee(&[], &came) };
    assert_eq!(proved(&judge, &recorded), Err(SlotError::Signature.into()));
}

#[test]
fn a_list_is_heard_from_its_enroller_if_it_is_newer() {
    let seal = Recorded::first().slot.seal;
    let known = lists([revocation(5, 1, vec![seal])]);
    let counts = |enroller: &PublicKey| [public(1), public(2)].contains(enroller);
    let heard = |list: &Revocation| hear(list, NetworkId::LOCAL, counts, &known);
    assert_eq!(heard(&revocation(6, 1, vec![])), Ok(()));
    assert_eq!(heard(&revocation(1, 2, vec![seal])), Ok(()), "each has its own numbers");
    assert_eq!(heard(&revocation(5, 1, vec![])), Err(EnrollmentError::Stale));
    assert_eq!(heard(&revocation(4, 1, vec![])), Err(EnrollmentError::Stale));
    assert_eq!(heard(&revocation(9, 3, vec![seal])), Err(EnrollmentError::Enroller));
    let terms = revocation(6, 1, vec![seal]).terms().clone();
    let forged = Revocation::issue(terms, &enroller(2));
    assert_eq!(heard(&forged), Err(EnrollmentError::Signature));
}
