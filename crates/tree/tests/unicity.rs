//! Golden values made by the public JavaScript SDK of the Unicity network.

use serde_json::Value as Json;
use tally_tree::{Digest, InclusionCertificate, Key, Tree, Value};

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
