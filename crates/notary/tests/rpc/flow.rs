//! What the methods answer, checked as a strict client checks it.

use std::time::{Duration, Instant};

use serde_json::json;
use tally_core::cbor::from_bytes;
use tally_core::notary::{NoEngine, ProofError, StateHash, UnicityCertificate};
use tally_core::time::Time;
use tally_tree::{ConsistencyProof, Digest, ExclusionCertificate, Key, Value};

use crate::world::{World, encoded, hex, request, spend, unhex};

fn digest32(bytes: &[u8]) -> [u8; 32] {
    bytes.try_into().unwrap()
}

#[tokio::test]
async fn a_spend_is_certified_and_its_proof_convinces_a_strict_client() {
    let world = World::new().await;
    let mut client = world.client().await;
    let spend = spend(1, 1);
    let answer = client.certify(&spend).await;
    assert_eq!((&answer["status"], &answer["certified"]), (&json!("SUCCESS"), &json!(true)));
    let proof = client.inclusion(spend.state_id).await.proof;
    proof.verify(&spend.data.spend(), &world.trust, &NoEngine).unwrap();
}

#[tokio::test]
async fn a_proof_can_be_asked_for_before_there_is_one() {
    let world = World::new().await;
    let proof = world.client().await.inclusion(spend(1, 1).state_id).await.proof;
    assert!(proof.certificate.verify(&world.trust).is_ok(), "even before the first request");
    let verdict = proof.verify(&spend(1, 1).data.spend(), &world.trust, &NoEngine);
    assert_eq!(verdict, Err(ProofError::Pending));
}

#[tokio::test]
async fn the_second_spend_of_a_state_is_told_who_was_first_and_the_first_stays() {
    let world = World::new().await;
    let mut client = world.client().await;
    let (first, second) = (spend(1, 1), spend(1, 2));
    assert_eq!(client.certify(&first).await["status"], "SUCCESS");
    for _ in 0..3 {
        let refused = client.certify(&second).await;
        assert_eq!(refused["status"], "STATE_ID_EXISTS");
        assert_eq!(refused["transactionHash"], first.data.transaction.to_string());
        let again = client.certify(&first).await;
        assert_eq!((&again["status"], &again["certified"]), (&json!("SUCCESS"), &json!(true)));
    }
    let proof = client.inclusion(first.state_id).await.proof;
    proof.verify(&first.data.spend(), &world.trust, &NoEngine).unwrap();
}

#[tokio::test]
async fn of_many_spends_of_one_state_at_once_exactly_one_wins() {
    let world = World::new().await;
    let calls = (1..=20).map(|transaction| {
        let address = world.address;
        tokio::spawn(async move {
            let mut client = crate::client::Client::connect(address).await;
            client.certify(&spend(1, transaction)).await
        })
    });
    let mut winners = Vec::new();
    let mut told = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        let answer = call.await.unwrap();
        match answer["status"].as_str().unwrap() {
            "SUCCESS" => winners.push(answer),
            "STATE_ID_EXISTS" => told.push(answer["transactionHash"].clone()),
            other => panic!("{other}"),
        }
    }
    assert_eq!(winners.len(), 1);
    let certified = world.client().await.inclusion(spend(1, 1).state_id).await.proof.leaf.unwrap();
    assert!(told.iter().all(|hash| *hash == certified.data.transaction.to_string()));
}

#[tokio::test]
async fn all_spends_of_a_transaction_are_certified_or_none() {
    let world = World::new().await;
    let mut client = world.client().await;
    assert_eq!(client.certify(&spend(3, 9)).await["status"], "SUCCESS");
    let refused = client.certify_all(&[spend(1, 1), spend(2, 1), spend(3, 1)]).await;
    assert_eq!(refused["status"], "STATE_ID_EXISTS");
    assert_eq!(refused["stateId"], spend(3, 1).state_id.to_string());
    for source in [1, 2] {
        assert!(client.inclusion(spend(source, 1).state_id).await.proof.leaf.is_none());
    }
    let taken = client.certify_all(&[spend(1, 2), spend(2, 2)]).await;
    assert_eq!((&taken["status"], &taken["certified"]), (&json!("SUCCESS"), &json!(true)));
    let again = client.certify_all(&[spend(1, 2), spend(2, 2)]).await;
    assert_eq!((&again["status"], &again["certified"]), (&json!("SUCCESS"), &json!(true)));
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_in_the_words_of_the_wire_format() {
    let world = World::new().await;
    let mut client = world.client().await;
    let mut wrong_state = spend(1, 1);
    wrong_state.state_id = spend(2, 1).state_id;
    let mut wrong_signature = spend(1, 1);
    wrong_signature.data.unlock = spend(1, 2).data.unlock;
    let mut short = spend(1, 1);
    short.data.unlock = tally_core::cbor::Blob::new(vec![0; 64]).unwrap();
    let late = request(StateHash::new([7; 32]), 1, Some(Time::from_unix(1_000)));
    for (request, word) in [
        (wrong_state, "STATE_ID_MISMATCH"),
        (wrong_signature, "SIGNATURE_VERIFICATION_FAILED"),
        (short, "INVALID_SIGNATURE_FORMAT"),
        (late, "REQUEST_EXPIRED"),
    ] {
        assert_eq!(client.certify(&request).await["status"], word);
        assert_eq!(client.certify_all(&[request]).await["status"], word);
    }
    assert!(client.inclusion(spend(1, 1).state_id).await.proof.leaf.is_none());
}

#[tokio::test]
async fn without_an_outcome_in_time_the_answer_is_that_it_is_queued() {
    let world = World::new().await;
    let mut client = world.client().await;
    world.backend.freeze(true);
    let params = json!({ "request": encoded(&spend(1, 1)), "waitMs": 20 });
    let answer = client.result("certification_request", params).await;
    assert_eq!((&answer["status"], &answer["certified"]), (&json!("SUCCESS"), &json!(false)));
    assert!(client.inclusion(spend(1, 1).state_id).await.proof.leaf.is_none());
    world.backend.freeze(false);
    let params = json!({ "stateId": spend(1, 1).state_id.to_string(), "waitMs": 20_000 });
    let started = Instant::now();
    let proof = unhex(&client.result("get_inclusion_proof.v2", params).await);
    let proof: tally_core::notary::ProofResponse = from_bytes(&proof).unwrap();
    proof.proof.verify(&spend(1, 1).data.spend(), &world.trust, &NoEngine).unwrap();
    assert!(started.elapsed() < Duration::from_secs(20), "held only until it was certified");
}

#[tokio::test]
async fn a_state_is_shown_to_be_unspent_until_it_is_spent() {
    let world = World::new().await;
    let mut client = world.client().await;
    client.certify(&spend(1, 1)).await;
    let params = json!({ "stateId": spend(2, 1).state_id.to_string() });
    let answer = client.result("get_exclusion_proof", params.clone()).await;
    assert_eq!(answer["spent"], false);
    let certificate: UnicityCertificate =
        from_bytes(&unhex(&answer["unicityCertificate"])).unwrap();
    let root = certificate.verify(&world.trust).unwrap();
    let path = ExclusionCertificate::decode(&unhex(&answer["exclusionCertificate"])).unwrap();
    root.excludes(&spend(2, 1).state_id, &path).unwrap();
    client.certify(&spend(2, 1)).await;
    let answer = client.result("get_exclusion_proof", params).await;
    assert_eq!(answer["spent"], true);
    let proof: tally_core::notary::ProofResponse =
        from_bytes(&unhex(&answer["inclusionProof"])).unwrap();
    proof.proof.verify(&spend(2, 1).data.spend(), &world.trust, &NoEngine).unwrap();
}

#[tokio::test]
async fn the_tree_is_shown_to_have_only_grown() {
    let world = World::new().await;
    let mut client = world.client().await;
    for source in 0..5 {
        client.certify(&spend(source, 1)).await;
    }
    let height = client.result("get_block_height", json!({})).await["blockNumber"].clone();
    let params = json!({ "from": 0, "to": height });
    let answer = client.result("get_consistency_proof", params).await;
    assert_eq!((&answer["from"], &answer["to"]), (&json!("0"), &height));
    let mut before = Digest::EMPTY;
    let mut added = 0;
    for step in answer["steps"].as_array().unwrap() {
        let leaves: Vec<(Key, Value)> = unhex(&step["leaves"])
            .chunks_exact(64)
            .map(|leaf| (digest32(&leaf[..32]).into(), digest32(&leaf[32..]).into()))
            .collect();
        let after = Digest::from(digest32(&unhex(&step["rootHash"])));
        let proof = ConsistencyProof::decode(&unhex(&step["proof"])).unwrap();
        proof.verify(&before, &after, &leaves).unwrap();
        (before, added) = (after, added + leaves.len());
    }
    let certificate: UnicityCertificate = from_bytes(&unhex(&answer["after"])).unwrap();
    let root = certificate.verify(&world.trust).unwrap();
    assert_eq!((root.root().as_bytes(), added), (before.as_bytes(), 5));
    let upstream = client.result("get_no_deletion_proof", json!({})).await;
    assert!(upstream["noDeletionProof"]["proof"].is_string());
    assert!(upstream["noDeletionProof"]["createdAt"].is_string());
}

#[tokio::test]
async fn a_block_and_its_records_are_those_that_were_certified() {
    let world = World::new().await;
    let mut client = world.client().await;
    let number = client.certify(&spend(1, 1)).await["blockNumber"].clone();
    let block = client.result("get_block", json!({ "blockNumber": number })).await;
    assert_eq!((&block["block"]["index"], &block["totalCommitments"]), (&number, &json!("1")));
    let certificate = unhex(&block["block"]["unicityCertificate"]);
    let certificate: UnicityCertificate = from_bytes(&certificate).unwrap();
    let root = certificate.verify(&world.trust).unwrap().root();
    assert_eq!(block["block"]["rootHash"], root.to_string());
    let records = client.result("get_block_records", json!({ "blockNumber": number })).await;
    let record = &records["aggregatorRecords"][0];
    assert_eq!(record["stateId"], spend(1, 1).state_id.to_string());
    let data = &record["certificationData"];
    assert_eq!(data["ownerPredicate"], encoded(&spend(1, 1).data.predicate));
    assert_eq!(data["transactionHash"], spend(1, 1).data.transaction.to_string());
    assert_eq!(data["witness"], hex(spend(1, 1).data.unlock.as_slice()));
    let latest = client.result("get_block", json!({ "blockNumber": "latest" })).await;
    assert!(latest["block"]["index"].as_str().unwrap().parse::<u64>().unwrap() >= 1);
}

#[tokio::test]
async fn pages_of_records_fit_together_and_leave_refused_ones_apart() {
    let world = World::new().await;
    let mut client = world.client().await;
    world.backend.freeze(true);
    for source in 0..7 {
        let params = json!({ "request": encoded(&spend(source, 1)), "waitMs": 0 });
        client.result("certification_request", params).await;
    }
    let params = json!({ "request": encoded(&spend(0, 2)), "waitMs": 0 });
    client.result("certification_request", params).await;
    world.backend.freeze(false);
    let params = json!({ "stateId": spend(6, 1).state_id.to_string(), "waitMs": 20_000 });
    client.result("get_inclusion_proof.v2", params).await;
    let number = client.certify(&spend(6, 1)).await["blockNumber"].clone();
    let (mut states, mut refused, mut from) = (Vec::new(), 0, json!(0));
    loop {
        let params = json!({ "blockNumber": number, "from": from, "limit": 3 });
        let page = client.result("get_block_records", params).await;
        let records = page["aggregatorRecords"].as_array().unwrap();
        states.extend(records.iter().map(|record| record["stateId"].clone()));
        refused += page["refusedRecords"].as_array().unwrap().len();
        match page.get("next") {
            Some(next) => from = next.clone(),
            None => break,
        }
    }
    let expected: Vec<_> = (0..7).map(|s| json!(spend(s, 1).state_id.to_string())).collect();
    assert_eq!((states, refused), (expected, 1));
}

#[tokio::test]
async fn calls_in_an_array_are_answered_in_their_order() {
    let world = World::new().await;
    let calls = json!([
        { "jsonrpc": "2.0", "id": 1, "method": "get_block_height" },
        { "jsonrpc": "2.0", "id": "two", "method": "no_such_method" },
        { "jsonrpc": "2.0", "id": 3, "method": "certification_request", "params": encoded(&spend(1, 1)) },
    ]);
    let answers = world.client().await.post(calls.to_string()).await.json();
    let ids: Vec<_> = answers.as_array().unwrap().iter().map(|a| a["id"].clone()).collect();
    assert_eq!(ids, [json!(1), json!("two"), json!(3)]);
    assert_eq!(answers[1]["error"]["code"], -32601);
    assert_eq!(answers[2]["result"]["status"], "SUCCESS");
}

#[tokio::test]
async fn a_block_that_does_not_exist_is_named() {
    let world = World::new().await;
    let mut client = world.client().await;
    for number in [json!(0), json!("18446744073709551615")] {
        let reply = client.call("get_block", json!({ "blockNumber": number })).await;
        assert_eq!(reply.json()["error"]["code"], -32003);
        assert_eq!(reply.word(), "BLOCK_NOT_FOUND");
    }
    let reply = client.call("get_consistency_proof", json!({ "from": 1, "to": 1 })).await;
    assert_eq!(reply.json()["error"]["code"], -32602);
}

#[tokio::test]
async fn an_operator_sees_health_readiness_and_measurements() {
    let world = World::new().await;
    let mut client = world.client().await;
    assert_eq!(client.get("/health").await.json()["status"], "ok");
    assert_eq!(client.get("/ready").await.status, 200);
    world.backend.freeze(true);
    assert_eq!(client.get("/health").await.json()["status"], "degraded");
    let ready = client.get("/ready").await;
    assert_eq!((ready.status, &ready.json()["reason"]), (503, &json!("it is frozen")));
}
