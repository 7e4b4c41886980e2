//! `spec/vectors/notary-*.json`: the same cases for other implementations.

extern crate std;

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde_json::{Value as Json, json};

use super::super::*;
use super::cases::CASES;
use super::hex;
use super::scene::{SPENT_AT, Scene, partition};
use crate::cbor::{Blob, DecodeError, from_bytes, to_bytes};
use crate::id::{Digest, NetworkId};
use crate::keys::PublicKey;
use crate::time::Time;

const PROOFS: &str = include_str!("../../../../../spec/vectors/notary-proofs.json");
const REQUESTS: &str = include_str!("../../../../../spec/vectors/notary-requests.json");

/// Set this variable to write the vectors anew.
const WRITE: &str = "TALLY_WRITE_VECTORS";

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|b| alloc::format!("{b:02x}")).collect()
}

fn expected(data: &CertificationData) -> Json {
    json!({
        "predicate": text(&to_bytes(&data.predicate)),
        "sourceStateHash": data.source.to_string(),
        "transactionHash": data.transaction.to_string(),
        "expiresAt": data.expires_at.map(Time::unix),
    })
}

fn response(proof: InclusionProof) -> Vec<u8> {
    to_bytes(&ProofResponse { block_number: 12, proof })
}

/// Replaces the one place where `from` stands.
fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = text(bytes);
    assert_eq!(text.matches(from).count(), 1, "{from}");
    hex(&text.replace(from, to))
}

fn malformed() -> Vec<(&'static str, DecodeError, Vec<u8>)> {
    let honest = response(Scene::new().proof());
    let edit = |from, to| replaced(&honest, from, to);
    let pending = response(InclusionProof { leaf: None, ..Scene::new().proof() });
    [
        ("version_of_the_proof", DecodeError::Unknown, edit("d998798501", "d998798502")),
        ("version_of_the_data", DecodeError::Unknown, edit("d998778602", "d998778601")),
        ("version_of_the_certificate", DecodeError::Unknown, edit("d998598701", "d998598702")),
        ("version_of_the_record", DecodeError::Unknown, edit("d9985a8a01", "d9985a8a00")),
        ("version_of_the_shard_path", DecodeError::Unknown, edit("d9985b8301", "d9985b8302")),
        ("version_of_the_partition_path", DecodeError::Unknown, edit("d9985c8301", "d9985c8302")),
        ("version_of_the_seal", DecodeError::Unknown, edit("d9985d8801", "d9985d8802")),
        ("tag_of_the_proof", DecodeError::Unknown, edit("d99879", "d99878")),
        ("tag_of_the_seal", DecodeError::Unknown, edit("d9985d88", "d9985e88")),
        (
            "fields_of_the_older_generation",
            DecodeError::WrongLength,
            edit("d998778602", "d998778501"),
        ),
        (
            "leaf_only_partly_there",
            DecodeError::WrongType,
            replaced(&pending, "d998798501f6f6f6", "d998798501f6f600"),
        ),
        (
            "leaf_of_one_null",
            DecodeError::WrongType,
            replaced(&pending, "d998798501f6f6f6", "d998798501f6"),
        ),
        ("shard_without_marker", DecodeError::OutOfRange, edit("830141c081", "8301410081")),
        ("shard_with_too_few_siblings", DecodeError::WrongLength, edit("830141c081", "830141e081")),
        (
            "signers_out_of_order",
            DecodeError::Unsorted,
            edit("76616c696461746f722d31", "76616c696461746f722d33"),
        ),
        (
            "signer_twice",
            DecodeError::Unsorted,
            edit("76616c696461746f722d31", "76616c696461746f722d30"),
        ),
        ("network_zero", DecodeError::OutOfRange, edit("d9985d880103", "d9985d880100")),
        ("number_not_shortest", DecodeError::NotShortest, edit("d9985d880103", "d9985d88011803")),
        ("bytes_behind_the_end", DecodeError::Trailing, [&honest[..], &[0xf6]].concat()),
    ]
    .into()
}

fn proofs() -> Json {
    let scene = Scene::new();
    let mut invalid: Vec<Json> = Vec::new();
    for case in CASES {
        let mut scene = Scene::new();
        let proof = (case.proof)(&mut scene);
        invalid.push(json!({
            "name": case.name, "code": case.code,
            "expected": expected(&scene.data), "response": text(&response(proof)),
        }));
    }
    for (name, error, bytes) in malformed() {
        invalid.push(json!({
            "name": name, "code": error.code(),
            "expected": expected(&scene.data), "response": text(&bytes),
        }));
    }
    let pinned = scene.trust.partition();
    let nodes: Vec<_> = scene.trust.nodes().map(|node| {
        json!({ "nodeId": node.id.as_str(), "sigKey": node.key.to_string(), "stake": node.stake })
    }).collect();
    json!({
        "about": "Answers of a notary, to be verified under the trust base for what is expected.",
        "trustBase": {
            "networkId": scene.trust.network().number(), "epoch": scene.trust.epoch(),
            "partition": pinned.id, "shard": text(&to_bytes(&pinned.shard)[1..]),
            "configuration": pinned.configuration.to_string(),
            "rootNodes": nodes, "quorumThreshold": scene.trust.quorum(),
        },
        "valid": [{
            "name": "an_honest_proof_is_accepted", "expected": expected(&scene.data),
            "response": text(&response(scene.proof())),
            "round": 12, "referenceTime": SPENT_AT.unix(),
        }],
        "invalid": invalid,
    })
}

fn requests() -> Json {
    let scene = Scene::new();
    let request = CertificationRequest::new(scene.data);
    let entry = |name: &str, request: &CertificationRequest| {
        let status = match request.verify(&partition().shard, &NoEngine, SPENT_AT) {
            Ok(()) => "SUCCESS",
            Err(error) => error.code(),
        };
        json!({ "name": name, "status": status, "request": text(&to_bytes(request)) })
    };
    let bad_key = WirePredicate::new(ENGINE_BUILT_IN, &[1], &[5; 33]).unwrap();
    let data = |edit: &dyn Fn(&mut CertificationData)| {
        let mut data = request.data.clone();
        edit(&mut data);
        CertificationRequest::new(data)
    };
    let elsewhere = Scene::spend_in(&scene.owner, false, None);
    json!({
        "about": "Requests, to be answered by a notary of the shard at the time.",
        "shard": text(&to_bytes(&partition().shard)[1..]),
        "time": SPENT_AT.unix(),
        "requests": [
            entry("signed", &request),
            entry("invalid_public_key_format", &data(&|d| d.predicate = bad_key.clone())),
            entry("state_id_mismatch", &CertificationRequest { state_id: StateId::new([0xff; 32]), ..request.clone() }),
            entry("invalid_shard", &CertificationRequest::new(elsewhere)),
            entry("invalid_signature_format", &data(&|d| d.unlock = Blob::new([0; 64].into()).unwrap())),
            entry("request_expired", &data(&|d| d.expires_at = Some(SPENT_AT))),
            entry("signature_verification_failed", &data(&|d| d.transaction = TransactionHash::new([0; 32]))),
        ],
    })
}

fn compare(name: &str, stored: &str, made: &Json) {
    let made = serde_json::to_string_pretty(made).unwrap() + "\n";
    if std::env::var_os(WRITE).is_some() {
        let path = alloc::format!("{}/../../spec/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::write(path, made).unwrap();
    } else {
        assert!(made == stored, "{name} is not what this test makes: set {WRITE} to write it");
    }
}

#[test]
fn the_published_vectors_are_these() {
    compare("notary-proofs.json", PROOFS, &proofs());
    compare("notary-requests.json", REQUESTS, &requests());
}

/// Reads a trust base as the vectors have it.
fn trust_of(json: &Json) -> TrustBase {
    let number = |name: &str| json[name].as_u64().unwrap();
    let nodes = json["rootNodes"].as_array().unwrap().iter().map(|node| RootNode {
        id: NodeId::new(node["nodeId"].as_str().unwrap()).unwrap(),
        key: PublicKey::secp256k1(&hex(node["sigKey"].as_str().unwrap()).try_into().unwrap())
            .unwrap(),
        stake: node["stake"].as_u64().unwrap(),
    });
    let partition = Partition {
        id: number("partition").try_into().unwrap(),
        shard: ShardId::from_wire(&hex(json["shard"].as_str().unwrap())).unwrap(),
        configuration: Digest::from_hex(json["configuration"].as_str().unwrap()).unwrap(),
    };
    let network = NetworkId::new(number("networkId").try_into().unwrap()).unwrap();
    TrustBase::new(network, number("epoch"), partition, nodes.collect(), number("quorumThreshold"))
        .unwrap()
}

fn verdict(trust: &TrustBase, vector: &Json) -> Result<Certified, &'static str> {
    let bytes = hex(vector["response"].as_str().unwrap());
    let expected = &vector["expected"];
    let field = |name: &str| expected[name].as_str().unwrap();
    let predicate: WirePredicate = from_bytes(&hex(field("predicate"))).unwrap();
    let spend = Spend {
        predicate: &predicate,
        source: StateHash::from_hex(field("sourceStateHash")).unwrap(),
        transaction: TransactionHash::from_hex(field("transactionHash")).unwrap(),
        expires_at: expected["expiresAt"].as_u64().map(Time::from_unix),
    };
    let response: ProofResponse = from_bytes(&bytes).map_err(DecodeError::code)?;
    response.proof.verify(&spend, trust, &NoEngine).map_err(super::proof::code)
}

#[test]
fn the_published_proofs_have_their_published_verdicts() {
    let vectors: Json = serde_json::from_str(PROOFS).unwrap();
    let trust = trust_of(&vectors["trustBase"]);
    for vector in vectors["valid"].as_array().unwrap() {
        let certified = verdict(&trust, vector).unwrap();
        assert_eq!(certified.round(), vector["round"]);
        assert_eq!(certified.reference_time().unix(), vector["referenceTime"]);
    }
    let invalid = vectors["invalid"].as_array().unwrap();
    assert!(invalid.len() > 40);
    for vector in invalid {
        let code = vector["code"].as_str().unwrap();
        assert_eq!(verdict(&trust, vector), Err(code), "{}", vector["name"]);
    }
}

#[test]
fn the_published_requests_have_their_published_status() {
    let vectors: Json = serde_json::from_str(REQUESTS).unwrap();
    for vector in vectors["requests"].as_array().unwrap() {
        let name = vector["name"].as_str().unwrap();
        let status = vector["status"].as_str().unwrap();
        let named_after = if name == "signed" { "success" } else { name };
        assert_eq!(status.to_lowercase(), named_after);
        let request: CertificationRequest =
            from_bytes(&hex(vector["request"].as_str().unwrap())).unwrap();
        let verdict = request.verify(&partition().shard, &NoEngine, SPENT_AT);
        assert_eq!(verdict.map_or_else(|error| error.code(), |()| "SUCCESS"), status);
    }
}
