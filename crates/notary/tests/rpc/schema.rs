//! The description that is served, held against what is really answered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use jsonschema::Validator;
use serde_json::{Value, json};
use tally_notary::call::METHODS;

use crate::client::Client;
use crate::samples::fork;
use crate::world::{World, encoded, spend};

/// A schema of the served document, ready to check with.
fn validator(document: &Value, name: &str) -> Validator {
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$ref": format!("#/components/schemas/{name}"),
        "components": document["components"],
    });
    jsonschema::validator_for(&schema).unwrap()
}

/// Holds an answer to a post against the document. Every answer that a test gets comes by here.
pub fn check(body: &[u8], reply: &Value) {
    static KNOWN: OnceLock<BTreeMap<String, Validator>> = OnceLock::new();
    let known = KNOWN.get_or_init(|| {
        let document = serde_json::from_str(tally_notary::rpc::OPENAPI).unwrap();
        let answers = METHODS.map(|method| format!("{method}.answer"));
        let names = answers.into_iter().chain(["Fault".to_owned()]);
        names.map(|name| (name.clone(), validator(&document, &name))).collect()
    });
    let calls: Value = serde_json::from_slice(body).unwrap_or_default();
    let Some(answers) = reply.as_array() else { return check_one(known, &calls, reply) };
    let calls = calls.as_array().expect("an array of answers is for an array of calls");
    assert_eq!(calls.len(), answers.len());
    calls.iter().zip(answers).for_each(|(call, answer)| check_one(known, call, answer));
}

fn check_one(known: &BTreeMap<String, Validator>, call: &Value, answer: &Value) {
    let method = call["method"].as_str().unwrap_or_default();
    let name = match answer.get("error") {
        Some(_) => "Fault".to_owned(),
        None => format!("{method}.answer"),
    };
    let errors: Vec<_> = known[&name].iter_errors(answer).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{name}: {errors:?} in {answer}");
    let id = if answer["id"].is_null() { &Value::Null } else { &call["id"] };
    assert_eq!(&answer["id"], id);
}

async fn document(client: &mut Client) -> Value {
    client.get("/openapi.json").await.json()
}

fn assert_valid(document: &Value, name: &str, value: &Value) {
    let errors: Vec<_> =
        validator(document, name).iter_errors(value).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{name}: {errors:?} in {value}");
}

fn documented(document: &Value) -> Vec<&str> {
    let methods = document["x-methods"].as_array().unwrap();
    methods.iter().map(|method| method["name"].as_str().unwrap()).collect()
}

/// Calls of every method, in forms that have different results.
fn calls() -> Vec<(&'static str, Value)> {
    let (one, two, state) = (spend(1, 1), spend(1, 2), spend(1, 1).state_id.to_string());
    let unspent = spend(99, 1).state_id.to_string();
    let fork = encoded(&fork(1));
    vec![
        ("get_no_deletion_proof", json!({})),
        ("certification_request", json!(encoded(&one))),
        ("certification_request", json!({ "request": encoded(&two), "waitMs": 0 })),
        ("certify", json!({ "requests": [encoded(&spend(2, 3)), encoded(&spend(3, 3))] })),
        ("certify", json!({ "requests": [encoded(&spend(4, 2)), encoded(&two)], "waitMs": 5_000 })),
        ("get_inclusion_proof.v2", json!({ "stateId": state })),
        ("get_inclusion_proof.v2", json!({ "stateId": unspent, "waitMs": 1 })),
        ("get_exclusion_proof", json!({ "stateId": state })),
        ("get_exclusion_proof", json!({ "stateId": unspent })),
        ("get_block_height", json!({})),
        ("get_block", json!({ "blockNumber": "latest" })),
        ("get_block", json!({ "blockNumber": 1 })),
        ("get_consistency_proof", json!({ "from": 0, "to": "latest" })),
        ("get_consistency_proof", json!({ "from": "1", "to": "2" })),
        ("get_no_deletion_proof", json!({ "from": 0, "to": "latest" })),
        ("submit_fork_proof", json!(fork)),
        ("submit_fork_proof", json!({ "proof": fork })),
        ("get_fork_proofs", json!({})),
        ("get_fork_proofs", json!({ "since": 0, "limit": 1 })),
        ("get_status", json!({})),
        ("get_presence", json!({ "nonce": "ab".repeat(32) })),
    ]
}

#[test]
fn every_method_is_documented_and_nothing_else() {
    let document: Value = serde_json::from_str(tally_notary::rpc::OPENAPI).unwrap();
    assert_eq!(documented(&document), METHODS);
    for method in METHODS {
        for part in ["params", "result", "call", "answer"] {
            assert!(document["components"]["schemas"].get(format!("{method}.{part}")).is_some());
        }
    }
}

#[tokio::test]
async fn every_call_and_every_real_result_is_as_documented() {
    let world = World::new().await;
    let mut client = world.client().await;
    let document = document(&mut client).await;
    let mut seen = BTreeSet::new();
    let mut calls = calls();
    let number = client.certify(&spend(9, 9)).await["blockNumber"].clone();
    calls.push(("get_block_records", json!({ "blockNumber": number })));
    for (method, params) in calls {
        assert_valid(&document, &format!("{method}.params"), &params);
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        assert_valid(&document, "Call", &call);
        let answer = client.post(call.to_string()).await.json();
        assert_valid(&document, &format!("{method}.result"), &answer["result"]);
        assert_valid(&document, &format!("{method}.answer"), &answer);
        seen.insert(method);
    }
    assert_eq!(seen, BTreeSet::from(METHODS), "no method is left out");
}

#[tokio::test]
async fn records_that_were_refused_are_as_documented() {
    let world = World::new().await;
    let mut client = world.client().await;
    let document = document(&mut client).await;
    world.backend.freeze(true);
    for transaction in [1, 2] {
        let params = json!({ "request": encoded(&spend(1, transaction)), "waitMs": 0 });
        client.result("certification_request", params).await;
    }
    world.backend.freeze(false);
    let params = json!({ "stateId": spend(1, 1).state_id.to_string(), "waitMs": 20_000 });
    client.result("get_inclusion_proof.v2", params).await;
    let number = client.certify(&spend(1, 1)).await["blockNumber"].clone();
    let page =
        client.result("get_block_records", json!({ "blockNumber": number, "limit": 1 })).await;
    assert_valid(&document, "get_block_records.result", &page);
    let page =
        client.result("get_block_records", json!({ "blockNumber": number, "from": 1 })).await;
    assert_valid(&document, "get_block_records.result", &page);
    assert!(page["refusedRecords"][0]["refusedFor"].is_object());
}

#[tokio::test]
async fn faults_are_as_documented_and_no_call_that_is_refused_for_its_shape_is_documented() {
    let world = World::new().await;
    let mut client = world.client().await;
    let document = document(&mut client).await;
    for (method, params) in [
        ("get_block", json!({ "blockNumber": 1.5 })),
        ("get_block", json!({ "blockNumber": 1, "more": 1 })),
        ("get_block_records", json!({ "blockNumber": 1, "limit": 0 })),
        ("get_inclusion_proof.v2", json!({ "stateId": "00" })),
        ("get_inclusion_proof.v2", json!({})),
        ("certification_request", json!("0")),
        ("certify", json!({ "requests": [] })),
        ("get_status", json!({ "verbose": true })),
        ("submit_fork_proof", json!(7)),
    ] {
        let reply = client.call(method, params.clone()).await;
        assert_valid(&document, "Fault", &reply.json());
        let name = format!("{method}.params");
        assert!(!validator(&document, &name).is_valid(&params), "{name} allows {params}");
    }
    let fault = client.post("{").await.json();
    assert_valid(&document, "Fault", &fault);
}

#[tokio::test]
async fn the_description_tells_a_wrong_result_from_a_right_one() {
    let world = World::new().await;
    let mut client = world.client().await;
    let document = document(&mut client).await;
    let validator = validator(&document, "get_block.result");
    let right = client.result("get_block", json!({ "blockNumber": "latest" })).await;
    assert!(validator.is_valid(&right));
    let mut lacking = right.clone();
    lacking["block"].as_object_mut().unwrap().remove("rootHash");
    assert!(!validator.is_valid(&lacking));
    let mut more = right.clone();
    more["block"]["undocumented"] = json!(1);
    assert!(!validator.is_valid(&more));
    let mut number = right;
    number["totalCommitments"] = json!(1);
    assert!(!validator.is_valid(&number));
}

#[tokio::test]
async fn the_other_paths_answer_as_documented() {
    let world = World::new().await;
    let mut client = world.client().await;
    let document = document(&mut client).await;
    for path in document["paths"].as_object().unwrap().keys() {
        assert_eq!(client.get(path).await.status, 200, "{path}");
    }
    assert_valid(&document, "Health", &client.get("/health").await.json());
    assert_valid(&document, "Ready", &client.get("/ready").await.json());
    world.backend.freeze(true);
    assert_valid(&document, "Health", &client.get("/health").await.json());
    assert_valid(&document, "Ready", &client.get("/ready").await.json());
}
