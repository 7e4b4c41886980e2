//! A validator that is there now, and everybody who only looks like one.

use super::super::{CertificateError, Presence, PresenceError};
use super::scene::{Scene, digest, validator};
use crate::cbor::{from_bytes, to_bytes};

fn by(scene: &Scene, i: u8) -> Presence {
    let (name, key) = validator(i);
    Presence::sign(name, &key, &digest(0x77), scene.certificate(|_| ()))
}

#[test]
fn who_signs_the_nonce_with_its_certificate_is_there() {
    let scene = Scene::new();
    for i in 0..4 {
        let presence = by(&scene, i);
        let root = presence.verify(&scene.trust, &digest(0x77)).unwrap();
        assert_eq!(root.round(), 12);
        assert_eq!(from_bytes::<Presence>(&to_bytes(&presence)).unwrap(), presence);
    }
}

#[test]
fn anything_else_than_its_own_name_nonce_and_certificate_is_not() {
    let scene = Scene::new();
    let good = by(&scene, 1);
    let verdict = |presence: &Presence| presence.verify(&scene.trust, &digest(0x77)).unwrap_err();
    assert_eq!(
        good.verify(&scene.trust, &digest(0x78)).unwrap_err(),
        PresenceError::Signature,
        "an old answer"
    );
    let other = Presence { node: validator(2).0, ..good.clone() };
    assert_eq!(verdict(&other), PresenceError::Signature, "another validator's name");
    let stranger = Presence { node: validator(7).0, ..good.clone() };
    assert_eq!(verdict(&stranger), PresenceError::Unknown);
    let older = scene.certificate(|certificate| certificate.record.round = 11);
    let relayed = Presence { certificate: older, ..good.clone() };
    assert_eq!(verdict(&relayed), PresenceError::Signature, "another certificate beside it");
    let mut unsigned = scene.certificate(|_| ());
    super::scene::seal(&mut unsigned, &[0, 1]);
    let alone = Presence { certificate: unsigned, ..good };
    assert_eq!(verdict(&alone), PresenceError::Certificate(CertificateError::Quorum));
}

#[test]
fn a_signature_on_a_nonce_is_none_on_a_seal() {
    let scene = Scene::new();
    let mut certificate = scene.certificate(|_| ());
    // The nonce that a client would choose who wants a seal signed: what the seal's signers sign.
    let nonce = certificate.seal.signed_digest();
    let (name, key) = validator(3);
    let presence = Presence::sign(name.clone(), &key, &nonce, certificate.clone());
    let signatures = certificate.seal.signatures.get_or_insert_default();
    signatures.insert(name, presence.signature);
    assert_eq!(certificate.verify(&scene.trust), Err(CertificateError::Signature));
}

#[test]
fn a_third_of_the_stake_has_an_honest_one_among_it() {
    let scene = Scene::new();
    assert!(!scene.trust.has_honest(1), "one of four");
    assert!(scene.trust.has_honest(2), "f + 1 of 3f + 1");
}
