//! Structure of certificates: shard ids, paths and seals have one encoding each, and limits.

use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;

use super::super::*;
use super::scene::{Scene, digest, seal, validator};
use crate::cbor::{DecodeError, Encode, List, Writer, from_bytes, to_bytes};
use crate::hash::sha256;
use crate::id::{Digest, NetworkId};
use crate::time::Time;

#[test]
fn a_shard_id_ends_with_its_marker_bit() {
    let read = |bytes: &[u8]| ShardId::from_wire(bytes).map(|id| alloc::format!("{id:?}"));
    assert_eq!(read(&[0x80]).as_deref(), Ok("ShardId()"));
    assert_eq!(read(&[0xc0]).as_deref(), Ok("ShardId(1)"));
    assert_eq!(read(&[0x40]).as_deref(), Ok("ShardId(0)"));
    assert_eq!(read(&[0x01]).as_deref(), Ok("ShardId(0000000)"));
    assert_eq!(read(&[0xa5, 0x80]).as_deref(), Ok("ShardId(10100101)"));
    assert_eq!(read(&[]), Err(DecodeError::OutOfRange));
    assert_eq!(read(&[0x80, 0x00]), Err(DecodeError::OutOfRange));
    assert!(ShardId::whole().is_empty());
    assert!(!ShardId::from_wire(&[0x40]).unwrap().is_empty());
}

#[test]
fn a_shard_id_is_no_longer_than_a_state_id() {
    let mut longest = [0xff; 33];
    longest[32] = 0x80;
    let id = ShardId::from_wire(&longest).unwrap();
    assert_eq!(id.len(), MAX_SHARD_BITS);
    assert!(id.covers(&StateId::new([0xff; 32])));
    longest[32] = 0xc0;
    assert_eq!(ShardId::from_wire(&longest), Err(DecodeError::TooLarge));
    assert_eq!(ShardId::from_wire(&[0x80; 34]), Err(DecodeError::TooLarge));
}

#[test]
fn a_shard_path_has_one_sibling_for_each_bit() {
    let one = ShardId::from_wire(&[0xc0]).unwrap();
    for n in [0, 2] {
        let path = ShardTreeCertificate::new(one.clone(), vec![digest(1); n]);
        assert_eq!(path, Err(DecodeError::WrongLength));
        let mut w = Writer::new();
        w.tag(39003);
        w.array(3);
        w.uint(1);
        one.encode(&mut w);
        vec![digest(1); n].as_slice().encode(&mut w);
        let read = from_bytes::<ShardTreeCertificate>(&w.into_bytes());
        assert_eq!(read, Err(DecodeError::WrongLength));
    }
}

#[test]
fn the_last_bit_of_a_shard_id_is_hashed_first() {
    let leaf = digest(0xaa);
    let path = |wire: u8, siblings: Vec<Digest>| {
        ShardTreeCertificate::new(ShardId::from_wire(&[wire]).unwrap(), siblings).unwrap()
    };
    // 01 with the siblings s1, s2: s1 pairs with the leaf at bit 1 (right), s2 above it at bit 0 (left).
    let both = path(0x60, vec![digest(1), digest(2)]).root(leaf);
    let lower = path(0xc0, vec![digest(1)]).root(leaf);
    assert_eq!(both, path(0x40, vec![digest(2)]).root(lower));
    assert_ne!(both, path(0xa0, vec![digest(1), digest(2)]).root(leaf));
}

#[test]
fn a_partition_is_left_of_a_step_that_has_its_own_number() {
    let root = |id, key| {
        let step = TreeStep { key, hash: digest(1) };
        let steps = List::new(vec![step]).unwrap();
        UnicityTreeCertificate { id, steps }.root(&digest(2))
    };
    let leaf = UnicityTreeCertificate { id: 7, steps: List::default() }.root(&digest(2));
    let node = |key: u32, left: &Digest, right: &Digest| {
        let mut w = Writer::new();
        w.bytes(&[0]);
        w.bytes(&key.to_be_bytes());
        left.encode(&mut w);
        right.encode(&mut w);
        Digest::new(sha256(&w.into_bytes()))
    };
    assert_eq!(root(7, 8), node(8, &leaf, &digest(1)));
    assert_eq!(root(7, 7), node(7, &leaf, &digest(1)));
    assert_eq!(root(7, 6), node(6, &digest(1), &leaf));
}

#[test]
fn more_steps_than_a_partition_number_has_bits_do_not_decode() {
    let encoded = |n: u64| {
        let mut w = Writer::new();
        w.tag(39004);
        w.array(3);
        w.uint(1);
        w.uint(7);
        w.array(n);
        for _ in 0..n {
            TreeStep { key: 1, hash: digest(1) }.encode(&mut w);
        }
        w.into_bytes()
    };
    assert!(from_bytes::<UnicityTreeCertificate>(&encoded(MAX_STEPS as u64)).is_ok());
    let error = from_bytes::<UnicityTreeCertificate>(&encoded(MAX_STEPS as u64 + 1));
    assert_eq!(error, Err(DecodeError::TooLarge));
}

/// A seal with these names in this order, all with one signature.
fn seal_bytes(names: &[&str]) -> Vec<u8> {
    let empty = UnicitySeal {
        network: NetworkId::LOCAL,
        round: 1,
        epoch: 1,
        timestamp: Time::from_unix(1),
        previous: None,
        hash: digest(0),
        signatures: None,
    };
    let mut bytes = to_bytes(&empty);
    assert_eq!(bytes.pop(), Some(0xf6));
    let mut w = Writer::new();
    w.map(names.len() as u64);
    for name in names {
        w.text(name);
        w.bytes(&[7; 65]);
    }
    bytes.extend(w.into_bytes());
    bytes
}

#[test]
fn signatures_are_sorted_and_of_distinct_validators() {
    let read = |names: &[&str]| from_bytes::<UnicitySeal>(&seal_bytes(names)).map(|_| ());
    assert_eq!(read(&["b", "aa"]), Ok(()));
    assert_eq!(read(&["aa", "b"]), Err(DecodeError::Unsorted));
    assert_eq!(read(&["b", "a"]), Err(DecodeError::Unsorted));
    assert_eq!(read(&["a", "a"]), Err(DecodeError::Unsorted));
    assert_eq!(read(&[&"x".repeat(MAX_NODE_ID + 1)]), Err(DecodeError::TooLarge));
}

#[test]
fn a_seal_has_a_limited_number_of_signatures() {
    let names: Vec<_> = (0..=MAX_SIGNATURES).map(|i| alloc::format!("{i:04}")).collect();
    let names: Vec<_> = names.iter().map(|name| name.as_str()).collect();
    assert!(from_bytes::<UnicitySeal>(&seal_bytes(&names[1..])).is_ok());
    assert_eq!(from_bytes::<UnicitySeal>(&seal_bytes(&names)), Err(DecodeError::TooLarge));
}

#[test]
fn a_seal_is_encoded_in_the_order_of_its_names_however_it_was_signed() {
    let names = ["zz", "b", "aaa", &"y".repeat(30), &"x".repeat(24), &"w".repeat(23)];
    let mut certificate = Scene::new().certificate(|_| ());
    certificate.seal.signatures = None;
    for name in names {
        certificate.seal.sign(NodeId::new(name).unwrap(), &validator(0).1);
    }
    assert_eq!(from_bytes::<UnicityCertificate>(&to_bytes(&certificate)), Ok(certificate));
}

#[test]
fn strangers_beside_a_quorum_change_nothing() {
    let scene = Scene::new();
    let mut certificate = scene.certificate(|_| ());
    let root = certificate.verify(&scene.trust);
    assert!(root.is_ok());
    for signers in [&[0, 1, 2, 3][..], &[1, 2, 3], &[0, 1, 2, 5, 6]] {
        seal(&mut certificate, signers);
        assert_eq!(certificate.verify(&scene.trust), root, "{signers:?}");
    }
}

#[test]
fn a_quorum_is_counted_by_stake() {
    let scene = Scene::new();
    let mut nodes = super::scene::nodes();
    nodes[3].stake = 6;
    let trust = TrustBase::new(NetworkId::LOCAL, 2, super::scene::partition(), nodes, 7).unwrap();
    let mut certificate = scene.certificate(|_| ());
    assert_eq!(certificate.verify(&trust), Err(CertificateError::Quorum));
    seal(&mut certificate, &[0, 3]);
    assert!(certificate.verify(&trust).is_ok());
}

#[test]
fn a_round_that_changes_nothing_names_no_block() {
    let scene = Scene::new();
    let certificate = scene.certificate(|c| {
        c.record.previous = Some(c.record.hash);
        c.record.block = None;
    });
    assert!(certificate.verify(&scene.trust).is_ok());
}

#[test]
fn a_record_without_a_time_is_refused() {
    let scene = Scene::new();
    let certificate = scene.certificate(|c| c.record.timestamp = Time::from_unix(0));
    assert_eq!(certificate.verify(&scene.trust), Err(CertificateError::Record));
}

#[test]
fn a_seal_may_be_as_old_as_its_round() {
    let scene = Scene::new();
    let certificate = scene.certificate(|c| c.seal.timestamp = c.record.timestamp);
    assert!(certificate.verify(&scene.trust).is_ok());
}

proptest! {
    #[test]
    fn a_shard_covers_exactly_the_states_that_begin_with_its_bits(
        state: [u8; 32],
        bits in 0usize..=40,
        flip in 0usize..256,
    ) {
        let mut wire: Vec<u8> = state[..bits / 8 + 1].to_vec();
        let marker = 7 - bits % 8;
        wire[bits / 8] = wire[bits / 8] >> marker >> 1 << marker << 1 | 1 << marker;
        let shard = ShardId::from_wire(&wire).unwrap();
        prop_assert_eq!(shard.len(), bits);
        prop_assert!(shard.covers(&StateId::new(state)));
        let mut other = state;
        other[flip / 8] ^= 0x80 >> (flip % 8);
        prop_assert_eq!(shard.covers(&StateId::new(other)), flip >= bits);
    }
}
