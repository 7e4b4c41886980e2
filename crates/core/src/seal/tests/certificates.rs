extern crate std;

use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use super::{EXPIRES, OTHER_NETWORK, enroller, public, terms, tpm};
use crate::cbor::{Decode, DecodeError, Encode, from_bytes, to_bytes};
use crate::id::{Digest, NetworkId};
use crate::seal::{
    AttestationKey, EnrollmentError, Hardware, MAX_CERTIFICATE, MAX_COUNTERS, MAX_REVOKED,
    Revocation, RevocationTerms, SealCertificate, SealId, SealLabel, SealTerms, TpmSeal,
};
use crate::time::Time;

fn refused(terms: SealTerms) -> Result<(), EnrollmentError> {
    SealCertificate::issue(terms, &enroller(1)).check(NetworkId::LOCAL)
}

fn again<T: Encode + Decode + PartialEq + core::fmt::Debug>(object: &T) -> Result<(), DecodeError> {
    from_bytes::<T>(&to_bytes(object)).map(|read| assert_eq!(read, *object))
}

#[test]
fn a_certificate_counts_as_its_enroller_issued_it() {
    assert_eq!(refused(terms(tpm(), 1)), Ok(()));
    assert_eq!(refused(SealTerms { version: 2, ..terms(tpm(), 1) }), Err(EnrollmentError::Version));
    let network = OTHER_NETWORK;
    assert_eq!(refused(SealTerms { network, ..terms(tpm(), 1) }), Err(EnrollmentError::Network));
    // Names enroller 2, signed by enroller 1.
    assert_eq!(refused(terms(tpm(), 2)), Err(EnrollmentError::Signature));
}

#[test]
fn no_field_of_a_certificate_can_be_changed() {
    let issued = SealCertificate::issue(terms(tpm(), 1), &enroller(1));
    let good = to_bytes(&issued);
    let mut refusals = 0;
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << bit;
            let read: Result<SealCertificate, _> = from_bytes(&bytes);
            refusals += read.map_or(1, |read| usize::from(read.check(NetworkId::LOCAL).is_err()));
        }
    }
    assert_eq!(refusals, 8 * good.len());
}

#[test]
fn the_longest_certificate_is_within_its_limit() {
    let tpm = TpmSeal { counters: MAX_COUNTERS, firmware: u64::MAX, ..tpm() };
    let longest = SealTerms {
        network: NetworkId::new(u16::MAX).expect("a network"),
        label: SealLabel::new("012345678901234567890123").expect("24 characters"),
        expires: Time::from_unix(u64::MAX),
        ..terms(tpm, 1)
    };
    let certificate = SealCertificate::issue(longest, &enroller(1));
    let length = to_bytes(&certificate).len();
    assert!(length <= MAX_CERTIFICATE, "{length}");
    again(&certificate).expect("it decodes");
}

#[test]
fn labels_and_keys_outside_their_form_are_none() {
    for text in ["", "0123456789012345678901234", " x", "x ", "a\nb", "é"] {
        assert_eq!(SealLabel::new(text), None, "{text}");
    }
    for text in ["x", "TPM 2.0, ~IFX!"] {
        assert_eq!(SealLabel::new(text).expect("a label").as_str(), text);
    }
    assert_eq!(from_bytes::<SealLabel>(&[0x60]), Err(DecodeError::OutOfRange));
    for first in [0, 1, 4, 5] {
        let mut bytes = [7; 33];
        bytes[0] = first;
        assert_eq!(AttestationKey::new(bytes), Err(DecodeError::OutOfRange));
        assert!(from_bytes::<AttestationKey>(&to_bytes(&bytes)).is_err());
    }
    for (y, first) in [([0; 32], 2), ([0xff; 32], 3)] {
        let key = AttestationKey::from_coordinates(&[9; 32], &y);
        assert_eq!(key.as_bytes()[0], first);
        assert_eq!(key.as_bytes()[1..], [9; 32]);
        again(&key).expect("it decodes");
    }
    let shown = format!("{:?}", AttestationKey::new([2; 33]).expect("it starts like a point"));
    assert_eq!(shown, format!("AttestationKey({})", "02".repeat(33)));
}

#[test]
fn counters_lie_where_a_tpm_has_them() {
    let sound = |base, counters| again(&Hardware::Tpm(TpmSeal { base, counters, ..tpm() }));
    for (base, counters) in
        [(0x0100_0000, 1), (0x01ff_ffff, 1), (0x01ff_ff00, 256), (0x0180_7a00, MAX_COUNTERS)]
    {
        assert_eq!(sound(base, counters), Ok(()), "{base:x} {counters}");
    }
    for (base, counters) in [
        (0x0180_7a00, 0),
        (0x0180_7a00, MAX_COUNTERS + 1),
        (0x00ff_ffff, 2),
        (0x0200_0000, 1),
        (0x01ff_ffff, 2),
        (u32::MAX, 2),
    ] {
        assert_eq!(sound(base, counters), Err(DecodeError::OutOfRange), "{base:x} {counters}");
    }
    let seal = TpmSeal { counters: 3, ..tpm() };
    assert_eq!(seal.handle(0), Some(0x0180_7a00));
    assert_eq!(seal.handle(2), Some(0x0180_7a02));
    assert_eq!(seal.handle(3), None);
}

#[test]
fn hardware_of_another_kind_or_form_is_refused() {
    let good = to_bytes(&Hardware::Tpm(tpm()));
    for kind in [0, 2, 3] {
        let mut bytes = good.clone();
        bytes[1] = kind;
        assert_eq!(from_bytes::<Hardware>(&bytes), Err(DecodeError::Unknown));
    }
    let mut longer = good.clone();
    longer[0] += 1;
    longer.push(0);
    assert_eq!(from_bytes::<Hardware>(&longer), Err(DecodeError::WrongLength));
}

#[test]
fn a_seal_is_its_key_and_its_first_counter() {
    let id = |tpm| Hardware::Tpm(tpm).seal();
    let own = id(tpm());
    assert_eq!(id(TpmSeal { firmware: 8, ..tpm() }), own);
    assert_eq!(id(TpmSeal { counters: 2, ..tpm() }), own);
    assert_ne!(id(TpmSeal { base: tpm().base + 1, ..tpm() }), own);
    let key = AttestationKey::new([3; 33]).expect("it starts like a point");
    assert_ne!(id(TpmSeal { key, ..tpm() }), own);
    let certificate = SealCertificate::issue(terms(tpm(), 1), &enroller(1));
    assert_eq!(certificate.seal(), own);
    let slot = certificate.slot(3, 44);
    assert_eq!((slot.seal, slot.counter, slot.value), (own, 3, 44));
    assert_eq!(SealId::new(Digest::new(*own.as_bytes())), own);
}

#[test]
fn a_development_seal_is_never_shown_as_hardware() {
    let real = terms(tpm(), 1);
    let enroller: Vec<_> = public(1).as_bytes()[..6].iter().map(|b| format!("{b:02x}")).collect();
    let shown = real.to_string();
    assert_eq!(
        shown,
        format!("sealed by hardware: TPM 2.0, IFX, enrolled by {}", enroller.concat())
    );
    let toy = SealTerms { development: true, ..real }.to_string();
    assert!(toy.starts_with("DEVELOPMENT ONLY, can be copied and pay twice"), "{toy}");
    assert!(!toy.contains("sealed by hardware"));
}

fn seal(byte: u8) -> SealId {
    SealId::new(Digest::new([byte; 32]))
}

fn list(number: u64, seals: Vec<SealId>) -> RevocationTerms {
    RevocationTerms::new(NetworkId::LOCAL, public(1), number, seals).expect("short")
}

#[test]
fn a_revocation_is_sorted_signed_and_of_this_network() {
    let terms = list(3, vec![seal(2), seal(1), seal(2)]);
    assert_eq!(terms.seals(), [seal(1), seal(2)]);
    assert_eq!((terms.number(), terms.enroller()), (3, &public(1)));
    let issued = Revocation::issue(terms.clone(), &enroller(1));
    assert_eq!(issued.check(NetworkId::LOCAL), Ok(()));
    assert_eq!(issued.terms(), &terms);
    assert_eq!(issued.check(OTHER_NETWORK), Err(EnrollmentError::Network));
    let forged = Revocation::issue(terms.clone(), &enroller(2));
    assert_eq!(forged.check(NetworkId::LOCAL), Err(EnrollmentError::Signature));
    let mut bytes = to_bytes(&issued);
    let good = bytes.clone();
    // Array, array, version.
    assert_eq!(bytes[..3], [0x82, 0x85, 1]);
    bytes[2] = 2;
    let other: Revocation = from_bytes(&bytes).expect("it decodes");
    assert_eq!(other.check(NetworkId::LOCAL), Err(EnrollmentError::Version));
    again(&issued).expect("it decodes");
    let joined = Revocation::new(terms, enroller(1).sign(&Revocation::digest(issued.terms())));
    assert_eq!(to_bytes(&joined), good);
}

#[test]
fn no_field_of_a_revocation_can_be_changed() {
    let good = to_bytes(&Revocation::issue(list(3, vec![seal(1), seal(2)]), &enroller(1)));
    for bit in 0..good.len() * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let read: Result<Revocation, _> = from_bytes(&bytes);
        assert!(read.is_err() || read.is_ok_and(|r| r.check(NetworkId::LOCAL).is_err()), "{bit}");
    }
}

#[test]
fn a_revocation_out_of_order_or_too_long_is_refused() {
    let bytes = to_bytes(&list(1, vec![seal(1), seal(2)]));
    let swap = |first: u8, second: u8| {
        let mut bytes = bytes.clone();
        let end = bytes.len();
        bytes[end - 66..end - 34].fill(first);
        bytes[end - 32..].fill(second);
        from_bytes::<RevocationTerms>(&bytes).map(|_| ())
    };
    assert_eq!(swap(1, 2), Ok(()));
    assert_eq!(swap(2, 1), Err(DecodeError::Unsorted));
    assert_eq!(swap(2, 2), Err(DecodeError::Unsorted));
    let many = |n: usize| {
        let seals = (0..n as u64).map(|n| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&n.to_be_bytes());
            SealId::new(Digest::new(bytes))
        });
        RevocationTerms::new(NetworkId::LOCAL, public(1), 1, seals.collect()).map(|_| ())
    };
    assert_eq!(many(MAX_REVOKED), Ok(()));
    assert_eq!(many(MAX_REVOKED + 1), Err(DecodeError::TooLarge));
}

#[test]
fn joining_terms_and_signature_is_issuing() {
    let issued = SealCertificate::issue(terms(tpm(), 1), &enroller(1));
    let signature = enroller(1).sign(&SealCertificate::digest(&terms(tpm(), 1)));
    assert_eq!(SealCertificate::new(terms(tpm(), 1), signature), issued);
    assert_eq!(issued.terms().expires, EXPIRES);
}
