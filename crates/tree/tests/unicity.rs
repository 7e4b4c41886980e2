//! Golden values made by the public JavaScript SDK of the Unicity network.

use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};
use tally_tree::{Digest, InclusionCertificate, Key, Tree, Value, node_hash};

fn bytes(hex: &Json) -> Vec<u8> {
    let hex = hex.as_str().expect("a string");
    (0..hex.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&hex[i..i + 2], 16).expect("hex"))
        .collect()
}

fn bytes32(hex: &Json) -> [u8; 32] {
    bytes(hex).try_into().expect("32 bytes")
}

#[test]
fn roots_and_certificates_are_those_of_the_sdk() {
    let golden: Json =
        serde_json::from_str(include_str!("../../../spec/vectors/unicity-tree.json"))
            .expect("JSON");
    let golden = &golden["smt"];
    let leaves: Vec<(Key, Value)> = golden["leaves"]
        .as_array()
        .expect("leaves")
        .iter()
        .map(|leaf| (bytes32(&leaf[0]).into(), bytes32(&leaf[1]).into()))
        .collect();

    let mut tree = Tree::new();
    assert_eq!(tree.root(), Digest::from(bytes32(&golden["roots"][0])));
    for (i, (key, value)) in leaves.iter().enumerate() {
        tree.insert(*key, *value).expect("a new key");
        assert_eq!(tree.root(), Digest::from(bytes32(&golden["roots"][i + 1])));
    }
    for (i, (key, value)) in leaves.iter().enumerate() {
        let expected = bytes(&golden["certs"][i]);
        assert_eq!(tree.prove(key).expect("present").encode(), expected);
        let certificate = InclusionCertificate::decode(&expected).expect("a certificate");
        assert_eq!(certificate.verify(&tree.root(), key, value), Ok(()));
    }
}

/// The SDK's and the Go aggregator's own test: six keys of one byte and zeros, with values of six
/// bytes, so that only the nodes are hashed by this crate.
#[test]
fn nodes_hash_as_in_the_sdk_and_the_aggregator() {
    let key = |first: u8| {
        let mut key = [0; 32];
        key[0] = first;
        Key::from(key)
    };
    let leaf = |first: u8, value: &str| {
        let hash = Sha256::new().chain_update([0]).chain_update(key(first)).chain_update(value);
        Digest::from(<[u8; 32]>::from(hash.finalize()))
    };
    let node = |depth, below: u8, left, right| node_hash(depth, &key(below), &left, &right);

    let pair_10 = node(5, 0x10, leaf(0x10, "value2"), leaf(0x14, "value5"));
    let pair_00 = node(3, 0x00, leaf(0x00, "value1"), pair_10);
    let left = node(1, 0x00, pair_00, leaf(0x60, "value4"));
    let right = node(3, 0x80, leaf(0x80, "value3"), leaf(0x90, "value0"));
    assert_eq!(
        node(0, 0x00, left, right).to_string(),
        "c854db11e92d269e7a4dc558adb201da311604d0bcc9883a8f1f017862166ede"
    );
}
