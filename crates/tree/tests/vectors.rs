//! The vectors of the specification, positive and negative.

use serde_json::Value as Json;
use tally_tree::{ConsistencyProof, ExclusionCertificate, InclusionCertificate, Key, Tree, Value};

fn vectors(kind: &str) -> Vec<Json> {
    let all: Json =
        serde_json::from_str(include_str!("../../../spec/vectors/tree.json")).expect("JSON");
    all[kind].as_array().expect("a list").clone()
}

fn bytes(hex: &Json) -> Vec<u8> {
    let hex = hex.as_str().expect("a string");
    (0..hex.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&hex[i..i + 2], 16).expect("hex"))
        .collect()
}

fn bytes32<T: From<[u8; 32]>>(hex: &Json) -> T {
    T::from(bytes(hex).try_into().expect("32 bytes"))
}

fn leaves(list: &Json) -> Vec<(Key, Value)> {
    list.as_array()
        .expect("a list")
        .iter()
        .map(|leaf| (bytes32(&leaf[0]), bytes32(&leaf[1])))
        .collect()
}

fn assert_expected<T>(vector: &Json, verdict: Result<T, &'static str>) {
    let verdict = verdict.err().unwrap_or("ok");
    assert_eq!(verdict, vector["expect"].as_str().expect("a code"), "{}", vector["name"]);
}

#[test]
fn trees_have_the_stated_roots() {
    for vector in vectors("trees") {
        let mut tree = Tree::new();
        tree.insert_batch(&leaves(&vector["leaves"])).expect("the keys differ");
        assert_eq!(tree.root(), bytes32(&vector["root"]), "{}", vector["name"]);
    }
}

#[test]
fn inclusion_certificates_give_the_stated_verdicts() {
    for vector in vectors("inclusion") {
        let field = |name: &str| &vector[name];
        let verdict =
            InclusionCertificate::decode(&bytes(field("certificate"))).and_then(|certificate| {
                certificate.verify(
                    &bytes32(field("root")),
                    &bytes32(field("key")),
                    &bytes32(field("value")),
                )
            });
        assert_expected(&vector, verdict.map_err(|error| error.code()));
    }
}

#[test]
fn exclusion_certificates_give_the_stated_verdicts() {
    for vector in vectors("exclusion") {
        let verdict =
            ExclusionCertificate::decode(&bytes(&vector["certificate"])).and_then(|certificate| {
                certificate.verify(&bytes32(&vector["root"]), &bytes32(&vector["key"]))
            });
        assert_expected(&vector, verdict.map_err(|error| error.code()));
    }
}

#[test]
fn consistency_proofs_give_the_stated_verdicts() {
    for vector in vectors("consistency") {
        let verdict = ConsistencyProof::decode(&bytes(&vector["proof"])).and_then(|proof| {
            let batch = leaves(&vector["batch"]);
            proof.verify(&bytes32(&vector["before"]), &bytes32(&vector["after"]), &batch)
        });
        assert_expected(&vector, verdict.map_err(|error| error.code()));
    }
}

#[test]
fn every_refusal_has_a_vector() {
    let seen: Vec<String> = ["inclusion", "exclusion", "consistency"]
        .into_iter()
        .flat_map(vectors)
        .map(|vector| vector["expect"].as_str().expect("a code").to_owned())
        .collect();
    // Only CONSISTENCY_TOO_LONG is missing: its proof would have 64 MiB.
    for code in [
        "CERTIFICATE_LENGTH",
        "CERTIFICATE_ROOT_MISMATCH",
        "CERTIFICATE_KEY_PRESENT",
        "CERTIFICATE_WRONG_PATH",
        "CONSISTENCY_MALFORMED",
        "CONSISTENCY_NOT_A_TREE",
        "CONSISTENCY_BATCH_ORDER",
        "CONSISTENCY_BATCH_LENGTH",
        "CONSISTENCY_MISPLACED",
        "CONSISTENCY_HIDDEN",
        "CONSISTENCY_REDUNDANT",
        "CONSISTENCY_ROOT_BEFORE",
        "CONSISTENCY_ROOT_AFTER",
    ] {
        assert!(seen.iter().any(|expect| expect == code), "{code}");
    }
}
