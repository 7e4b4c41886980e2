//! Other ways of writing the same object: none of them is taken.

use serde_json::json;
use tally_core::cbor::{Encode, to_bytes};
use tally_core::notary::StateHash;
use tally_core::time::Time;

use crate::client::Client;
use crate::samples::fork;
use crate::world::{World, encoded, hex, request, spend};

/// A head of CBOR: where it is, how long it is, its major type and what it states.
#[derive(Clone, Copy)]
struct Head {
    at: usize,
    len: usize,
    major: u8,
    value: u64,
}

/// All heads of an encoding, in its order.
fn heads(bytes: &[u8]) -> Vec<Head> {
    let (mut found, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let (major, short) = (bytes[at] >> 5, bytes[at] & 31);
        let more = if short < 24 { 0 } else { 1 << (short - 24) };
        let stated = bytes[at + 1..at + 1 + more].iter();
        let value = stated.fold(0, |value, byte| value << 8 | u64::from(*byte));
        let value = if more == 0 { short.into() } else { value };
        found.push(Head { at, len: 1 + more, major, value });
        at += 1 + more + if matches!(major, 2 | 3) { value as usize } else { 0 };
    }
    found
}

/// Every encoding in which one head is written in a longer way.
fn longer(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for head in heads(bytes) {
        let (before, behind) = (&bytes[..head.at], &bytes[head.at + head.len..]);
        let stated = head.value.to_be_bytes();
        for size in [1, 2, 4, 8].into_iter().filter(|size| *size >= head.len) {
            let first = head.major << 5 | (24 + size.trailing_zeros() as u8);
            all.push([before, &[first], &stated[8 - size..], behind].concat());
        }
        if matches!(head.major, 2 | 3) {
            let (content, rest) = behind.split_at(head.value as usize);
            let open = head.major << 5 | 31;
            let chunk = &bytes[head.at..head.at + head.len];
            all.push([before, &[open], chunk, content, &[0xff], rest].concat());
        }
        if head.major == 4 {
            let end = end_of(bytes, head);
            let open = [head.major << 5 | 31];
            let inside = &bytes[head.at + head.len..end];
            all.push([before, &open, inside, &[0xff], &bytes[end..]].concat());
        }
        all.push([before, &[0xd8, 0x2a], &bytes[head.at..]].concat());
    }
    all
}

/// Where the array that `head` begins has its end.
fn end_of(bytes: &[u8], head: Head) -> usize {
    let mut left = head.value;
    for next in heads(bytes).into_iter().filter(|next| next.at > head.at) {
        if left == 0 {
            return next.at;
        }
        left -= 1;
        left += match next.major {
            4 => next.value,
            6 => 1,
            _ => 0,
        };
    }
    bytes.len()
}

/// Posts each of these, of which none may be taken.
async fn none_is_taken<T: Encode>(client: &mut Client, method: &str, object: &T) -> usize {
    let ways = longer(&to_bytes(object));
    for wrong in &ways {
        let reply = client.call(method, json!(hex(wrong))).await;
        let (code, word) = (reply.json()["error"]["code"].clone(), reply.word());
        assert_eq!(code, -32000, "{}: {}", hex(wrong), reply.text());
        assert!(word.starts_with("DECODE_"), "{word} for {}", hex(wrong));
    }
    ways.len()
}

#[tokio::test]
async fn no_head_of_a_request_is_taken_in_a_longer_form() {
    let world = World::new().await;
    let mut client = world.client().await;
    let dated = request(StateHash::new([7; 32]), 1, Some(Time::from_unix(4_000_000_000)));
    for request in [spend(1, 1), dated] {
        let tried = none_is_taken(&mut client, "certification_request", &request).await;
        assert!(tried > 40, "{tried}");
        assert_eq!(client.certify(&request).await["status"], "SUCCESS", "the shortest is taken");
    }
}

#[tokio::test]
async fn no_head_of_a_fork_proof_is_taken_in_a_longer_form() {
    let world = World::new().await;
    let mut client = world.client().await;
    assert!(none_is_taken(&mut client, "submit_fork_proof", &fork(1)).await > 20);
    let taken = client.result("submit_fork_proof", json!(encoded(&fork(1)))).await;
    assert_eq!(taken["known"], false, "the shortest is taken, and was not before");
}

#[tokio::test]
async fn no_head_of_a_request_in_a_batch_is_taken_in_a_longer_form() {
    let world = World::new().await;
    let mut client = world.client().await;
    for wrong in longer(&to_bytes(&spend(2, 1))) {
        let params = json!({ "requests": [encoded(&spend(1, 1)), hex(&wrong)] });
        let reply = client.call("certify", params).await;
        assert!(reply.word().starts_with("DECODE_"), "{}", reply.text());
    }
    for source in [1, 2] {
        let proof = client.inclusion(spend(source, 1).state_id).await.proof;
        assert!(proof.leaf.is_none(), "nothing of a batch is taken without the rest");
    }
}

#[tokio::test]
async fn an_object_of_another_version_or_kind_is_named_as_such() {
    let world = World::new().await;
    let mut client = world.client().await;
    let bytes = to_bytes(&spend(1, 1));
    for head in heads(&bytes).into_iter().filter(|head| head.major == 6) {
        // The tag names the kind; the version is the first number in the array behind it.
        let mut kind = bytes.clone();
        kind[head.at + head.len - 1] ^= 1;
        let reply = client.call("certification_request", json!(hex(&kind))).await;
        assert!(reply.word().starts_with("DECODE_"), "{}", reply.text());
        let mut version = bytes.clone();
        let at = head.at + head.len + 1;
        if version[at] == 1 {
            version[at] = 2;
            let reply = client.call("certification_request", json!(hex(&version))).await;
            let refused = reply.word() == "DECODE_UNKNOWN"
                || reply.json()["result"]["status"].as_str().is_some_and(|s| s != "SUCCESS");
            assert!(refused, "{}", reply.text());
        }
    }
    let other = client.call("submit_fork_proof", json!(hex(&bytes))).await;
    assert!(other.word().starts_with("DECODE_"), "a request is no fork proof");
}
