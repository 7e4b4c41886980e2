//! Inclusion and exclusion certificates: what they show, and that nothing else passes.

mod common;

use common::{flip, flip32, key, leaves, model_root, pairs, tree_of, value};
use proptest::prelude::*;
use tally_tree::{
    CertificateError, Digest, ExclusionCertificate, InclusionCertificate, Key,
    MAX_CERTIFICATE_BYTES, Tree, Value,
};

proptest! {
    #[test]
    fn every_leaf_has_a_certificate(leaves in leaves(0..40)) {
        let tree = tree_of(&leaves);
        for (key, value) in &leaves {
            let certificate = tree.prove(key).expect("it is there");
            prop_assert_eq!(certificate.verify(&tree.root(), key, value), Ok(()));
            prop_assert_eq!(certificate.encoded_len(), 32 + 32 * certificate.siblings().len());
            prop_assert_eq!(InclusionCertificate::decode(&certificate.encode()), Ok(certificate));
            prop_assert!(tree.prove_absence(key).is_none());
        }
    }

    #[test]
    fn every_other_key_has_an_exclusion_certificate(leaves in leaves(0..40), keys in prop::collection::vec(key(), 1..20)) {
        let tree = tree_of(&leaves);
        for key in keys.iter().filter(|key| !leaves.contains_key(key)) {
            let certificate = tree.prove_absence(key).expect("it is not there");
            prop_assert_eq!(certificate.verify(&tree.root(), key), Ok(()));
            prop_assert_eq!(certificate.found().is_none(), leaves.is_empty());
            prop_assert_eq!(certificate.encode().len(), certificate.encoded_len());
            prop_assert_eq!(ExclusionCertificate::decode(&certificate.encode()), Ok(certificate));
            prop_assert!(tree.prove(key).is_none());
            prop_assert!(!tree.contains(key));
        }
    }

    #[test]
    fn a_certificate_gives_the_root_after_its_leaf_is_replaced(mut leaves in leaves(1..40), which: prop::sample::Index, new in value()) {
        let tree = tree_of(&leaves);
        let (key, _) = pairs(&leaves)[which.index(leaves.len())];
        let certificate = tree.prove(&key).expect("it is there");
        leaves.insert(key, new);
        prop_assert_eq!(certificate.replace_root(&key, &new), model_root(&leaves));
        prop_assert_eq!(tree_of(&leaves).prove(&key), Some(certificate));
    }

    #[test]
    fn any_other_bit_in_an_inclusion_certificate_fails(leaves in leaves(1..12), which: prop::sample::Index) {
        let tree = tree_of(&leaves);
        let (key, value) = pairs(&leaves)[which.index(leaves.len())];
        let (root, certificate) = (tree.root(), tree.prove(&key).expect("it is there"));
        for bit in 0..=255 {
            let other = |bytes: &[u8; 32]| flip32(bytes, bit);
            let mismatch = Err(CertificateError::RootMismatch);
            prop_assert_eq!(certificate.verify(&Digest::from(other(root.as_bytes())), &key, &value), mismatch);
            prop_assert_eq!(certificate.verify(&root, &Key::from(other(key.as_bytes())), &value), mismatch);
            prop_assert_eq!(certificate.verify(&root, &key, &Value::from(other(value.as_bytes()))), mismatch);
        }
        let bytes = certificate.encode();
        for bit in 0..bytes.len() * 8 {
            let verdict = InclusionCertificate::decode(&flip(&bytes, bit)).and_then(|c| c.verify(&root, &key, &value));
            let expected = if bit < 256 { CertificateError::Length(bytes.len()) } else { CertificateError::RootMismatch };
            prop_assert_eq!(verdict, Err(expected));
        }
    }

    #[test]
    fn any_other_bit_in_an_exclusion_certificate_fails(leaves in leaves(1..12), absent in key()) {
        let tree = tree_of(&leaves);
        let root = tree.root();
        let Some(certificate) = tree.prove_absence(&absent) else { return Ok(()) };
        let bytes = certificate.encode();
        for bit in 0..bytes.len() * 8 {
            let verdict = ExclusionCertificate::decode(&flip(&bytes, bit)).and_then(|c| c.verify(&root, &absent));
            prop_assert!(verdict.is_err(), "bit {}", bit);
        }
        for bit in 0..=255 {
            let other = Digest::from(flip32(root.as_bytes(), bit));
            prop_assert_eq!(certificate.verify(&other, &absent), Err(CertificateError::RootMismatch));
            // Other absent keys may share the certificate; a key that is there never does.
            let near = Key::from(flip32(absent.as_bytes(), bit));
            prop_assert!(certificate.verify(&root, &near).is_err() || !leaves.contains_key(&near));
        }
        for key in leaves.keys() {
            prop_assert!(certificate.verify(&root, key).is_err());
        }
    }

    #[test]
    fn whatever_decodes_encodes_to_the_same_bytes(mut bytes in prop::collection::vec(any::<u8>(), 0..400), fix: bool) {
        if fix && bytes.len() >= 32 {
            // Make the bitmap fit the length, so that decoding gets further.
            let siblings = (bytes.len() - 32) / 32;
            for (at, byte) in bytes[..32].iter_mut().enumerate() {
                *byte = match siblings.saturating_sub(at * 8) { 0 => 0, bits @ 1..8 => !(0xff >> bits), _ => 0xff };
            }
            bytes.truncate(32 + 32 * siblings);
            prop_assert!(InclusionCertificate::decode(&bytes).is_ok());
        }
        if let Ok(certificate) = InclusionCertificate::decode(&bytes) {
            prop_assert_eq!(certificate.encode(), bytes.clone());
            prop_assert!(bytes.len() <= MAX_CERTIFICATE_BYTES);
        }
        if let Ok(certificate) = ExclusionCertificate::decode(&bytes) {
            prop_assert_eq!(certificate.encode(), bytes);
        }
    }
}

fn small_tree() -> Tree {
    let mut tree = Tree::new();
    for first in [0x00, 0x40, 0x80] {
        let mut key = [0x11; 32];
        key[0] = first;
        tree.insert(Key::from(key), Value::from([first; 32])).expect("a new key");
    }
    tree
}

#[test]
fn an_exclusion_certificate_cannot_show_the_key_itself() {
    let tree = small_tree();
    let present = tree.iter().next().expect("a leaf").0;
    let mut near = *present.as_bytes();
    near[31] ^= 1;
    let certificate = tree.prove_absence(&Key::from(near)).expect("absent");
    assert_eq!(certificate.found().map(|found| found.0), Some(present));
    assert_eq!(certificate.verify(&tree.root(), &present), Err(CertificateError::KeyPresent));
}

#[test]
fn an_exclusion_certificate_cannot_end_on_another_way() {
    let tree = small_tree();
    let certificate = tree.prove_absence(&Key::from([0x00; 32])).expect("absent");
    let elsewhere = Key::from([0xff; 32]);
    assert_eq!(certificate.verify(&tree.root(), &elsewhere), Err(CertificateError::WrongPath));
}

#[test]
fn only_the_empty_tree_excludes_with_nothing() {
    let nothing = ExclusionCertificate::decode(&[]).expect("empty is a certificate");
    let key = Key::from([9; 32]);
    assert_eq!(nothing.verify(&Digest::EMPTY, &key), Ok(()));
    assert_eq!(nothing.verify(&small_tree().root(), &key), Err(CertificateError::RootMismatch));
    assert_eq!(Tree::new().prove_absence(&key), Some(nothing));
    assert_eq!(Tree::new().prove(&key), None);
}

#[test]
fn a_certificate_has_one_sibling_for_each_bit() {
    let bytes = small_tree()
        .prove(&small_tree().iter().next().expect("a leaf").0)
        .expect("present")
        .encode();
    for wrong in [&bytes[..31], &bytes[..bytes.len() - 1], &bytes[..bytes.len() - 32], &[]] {
        assert_eq!(InclusionCertificate::decode(wrong), Err(CertificateError::Length(wrong.len())));
    }
    let longer = [&bytes[..], &[0; 32]].concat();
    assert_eq!(InclusionCertificate::decode(&longer), Err(CertificateError::Length(longer.len())));
}
