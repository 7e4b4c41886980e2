//! `spec/vectors/core-*.json`: the same cases for other implementations.

extern crate std;

mod rules;

use alloc::string::String;
use alloc::vec::Vec;
use serde_json::{Value as Json, json};

use super::samples::samples;
use super::scene::{NOW, Scene};
use crate::amount::Amount;
use crate::cbor::{List, from_bytes, to_bytes};
use crate::device::{Event, Input};
use crate::evidence::tests::chain::{Chain, key, signature};
use crate::evidence::{Evidence, Holding};
use crate::fork::{Branch, ForkProof, Side, Spending};
use crate::id::{BodyHash, CoinId, Head, Link, Nonce, Root, TxId};
use crate::message::{Message, Payment};
use crate::predicate::{Unlock, spend_digest};
use crate::transaction::Step;

/// Set this variable to write the vectors anew.
const WRITE: &str = "TALLY_WRITE_VECTORS";

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|b| alloc::format!("{b:02x}")).collect()
}

fn objects() -> Json {
    let mut valid = Vec::new();
    let mut invalid = Vec::new();
    let mut seen = alloc::collections::BTreeSet::new();
    for sample in samples().into_iter().filter(|s| s.bytes.len() < 2000 && seen.insert(s.kind)) {
        valid.push(json!({ "kind": sample.kind, "bytes": text(&sample.bytes) }));
        let mut refuse = |name: &str, bytes: &[u8]| {
            if let Err(error) = (sample.again)(bytes) {
                invalid.push(json!({
                    "kind": sample.kind, "name": name, "code": error.code(), "bytes": text(bytes),
                }));
            }
        };
        refuse("cut_short", &sample.bytes[..sample.bytes.len() - 1]);
        refuse("followed_by_something", &[&sample.bytes[..], &[0]].concat());
        let mut longer = sample.bytes.clone();
        longer[0] = longer[0].wrapping_add(1);
        refuse("one_item_more", &[&longer[..], &[0]].concat());
        let long_head = [&[0x98, sample.bytes[0] & 0x1f], &sample.bytes[1..]].concat();
        refuse("head_not_shortest", &long_head);
        refuse("indefinite_length", &[&[0x9f], &sample.bytes[1..], &[0xff]].concat());
    }
    let long = [&[0x82, 0x59, 0x20, 0x01][..], &[0; 8193], &[0x58, 65], &[0; 65]].concat();
    let error = from_bytes::<crate::card::Signed>(&long).expect_err("too long");
    invalid.push(json!({
        "kind": "signed", "name": "too_large", "code": error.code(), "bytes": text(&long),
    }));
    json!({
        "about": "Objects as they are encoded (ENC-1 to ENC-6), and bytes that are refused.",
        "valid": valid, "invalid": invalid,
    })
}

fn holding(holding: &Holding) -> Json {
    json!({
        "coin": text(holding.id.as_bytes()), "amount": holding.amount().units(),
        "pocket": text(holding.pocket.as_bytes()), "link": text(holding.link.as_bytes()),
        "tier": holding.tier.name(), "minted": holding.minted.name(),
        "uncertified": holding.uncertified,
    })
}

fn bent(edit: impl FnOnce(&mut Chain)) -> Evidence {
    let mut chain = Chain::new();
    chain.pay(1, signature(2));
    chain.pay(2, signature(3));
    edit(&mut chain);
    chain.evidence
}

/// Splits the last coin, which is of key 3.
fn outputs(chain: &mut Chain, parts: &[(u64, u8)]) {
    let mut body = chain.body(signature(3));
    let coins = parts.iter().map(|(units, key)| chain.coin(*units, signature(*key)));
    body.outputs = List::truncated(coins.collect());
    chain.push(body, |coin, tx| Unlock::Signature(key(3).sign(&spend_digest(coin, tx))));
}

fn evidence() -> Json {
    let knows = Chain::new().knows();
    let cases: [(&str, Evidence); 11] = [
        ("two_moves", bent(|_| ())),
        (
            "two_moves_and_change",
            bent(|chain| {
                let mut body = chain.body(signature(4));
                let outputs = [chain.coin(40, signature(4)), chain.coin(60, signature(3))];
                body.outputs = List::truncated(outputs.into());
                chain
                    .push(body, |coin, tx| Unlock::Signature(key(3).sign(&spend_digest(coin, tx))));
            }),
        ),
        ("to_oneself_with_change", bent(|chain| outputs(chain, &[(40, 3), (60, 3)]))),
        ("two_changes", bent(|chain| outputs(chain, &[(30, 4), (40, 3), (30, 3)]))),
        (
            "a_gap",
            bent(|c| {
                c.evidence.hops = List::truncated([c.evidence.hops[1].clone()].into());
            }),
        ),
        (
            "out_of_order",
            bent(|c| {
                let hops = [c.evidence.hops[1].clone(), c.evidence.hops[0].clone()];
                c.evidence.hops = List::truncated(hops.into());
            }),
        ),
        (
            "one_move_twice",
            bent(|c| {
                let hops = [c.evidence.hops[0].clone(), c.evidence.hops[0].clone()];
                c.evidence.hops = List::truncated(hops.into());
            }),
        ),
        ("no_witness", bent(|c| c.edit_hop(|hop| hop.witnesses = List::default()))),
        ("signed_by_another", bent(|c| c.pay(9, signature(4)))),
        (
            "value_made",
            bent(|c| {
                let mut body = c.body(signature(4));
                body.outputs = List::truncated([c.coin(101, signature(4))].into());
                c.push(body, |coin, tx| Unlock::Signature(key(3).sign(&spend_digest(coin, tx))));
            }),
        ),
        ("thirty_three_moves", bent(|c| (0..31).for_each(|_| c.pay(3, signature(3))))),
    ];
    let (mut valid, mut invalid) = (Vec::new(), Vec::new());
    for (name, evidence) in cases {
        let bytes = text(&to_bytes(&evidence));
        match knows.verify(&evidence) {
            Ok(holdings) => valid.push(json!({
                "name": name, "evidence": bytes,
                "unspent": holdings.values().map(holding).collect::<Vec<_>>(),
            })),
            Err(error) => {
                invalid.push(json!({ "name": name, "evidence": bytes, "code": error.code() }));
            }
        }
    }
    json!({
        "about": "Evidence under one policy, without a network (EVID-1 to EVID-12).",
        "policy": text(&to_bytes(&Chain::new().policy)), "network": 3, "now": NOW.unix(),
        "valid": valid, "invalid": invalid,
    })
}

fn branch(coin: u8, seq: u64, head: u8, body: u8) -> Branch {
    let step = Step { seq, head: Head::new([head; 32]), root: Root::new([body; 32]) };
    let (body, link, coin) =
        (BodyHash::new([body; 32]), Link::new([body; 32]), CoinId::new([coin; 32]));
    let digest = spend_digest(&coin, &TxId::of(&body, &link, &step));
    Branch { body, link, step, coin, signature: key(1).sign(&digest) }
}

fn forks() -> Json {
    let a = branch(1, 5, 8, 1);
    let mut follows = branch(2, 6, 9, 2);
    follows.step.head = a.head_after();
    let digest = spend_digest(&follows.coin, &follows.tx_id());
    follows.signature = key(1).sign(&digest);
    let mut unsigned = branch(2, 5, 9, 2);
    unsigned.signature = key(2).sign(&digest);
    let cases = [
        ("one_coin_twice", branch(1, 9, 9, 2)),
        ("one_number_twice", branch(2, 5, 9, 2)),
        ("one_head_twice", branch(2, 9, 8, 2)),
        ("does_not_follow", branch(2, 6, 9, 2)),
        ("follows", follows),
        ("far_apart", branch(2, 8, 9, 2)),
        ("the_same", a.clone()),
        ("not_signed", unsigned),
    ];
    let case = |(name, b): (&str, Side)| {
        let proof = ForkProof { key: key(1).public(), a: a.clone().into(), b };
        let bytes = text(&to_bytes(&proof));
        match proof.check() {
            Ok(kind) => json!({ "name": name, "proof": bytes, "convicts": kind.text() }),
            Err(error) => json!({ "name": name, "proof": bytes, "code": error.code() }),
        }
    };
    let spending = |coin: u8, tx: u8, by: u8| {
        let (coin, tx) = (CoinId::new([coin; 32]), TxId::new([tx; 32]));
        Side::from(Spending { coin, tx, signature: key(by).sign(&spend_digest(&coin, &tx)) })
    };
    let bare = [
        ("one_coin_given_away_twice", spending(1, 3, 1)),
        ("another_coin_given_away", spending(2, 3, 1)),
        ("given_away_by_another", spending(1, 3, 2)),
    ];
    let steps = cases.map(|(name, b)| (name, Side::from(b)));
    let cases: Vec<Json> = steps.into_iter().chain(bare).map(case).collect();
    json!({ "about": "Fork proofs (FORK-1 to FORK-7).", "cases": cases })
}

/// A payment of 250 on an invoice, and what its payee says to it after `edit`.
fn payment(name: &str, edit: impl FnOnce(&mut Payment)) -> Json {
    let mut scene = Scene::new(2, 1000);
    let invoice = scene.invoice(1, 250);
    scene.pay_invoice(0, 1, &invoice);
    let Some((alice, _, Message::Payment(mut payment))) = scene.next() else { panic!("a payment") };
    edit(&mut payment);
    let message = Message::Payment(payment);
    scene.people[1].hear(alice, &message).expect("heard");
    let answer = scene.people[1].events.iter().find_map(|event| match event {
        Event::Refused { reason, .. } => Some(reason.code.clone()),
        Event::Held { reason, .. } => Some(reason.code.clone()),
        Event::Received { .. } => Some(String::new()),
        _ => None,
    });
    let taken = scene.balances()[1] > 0;
    let code = answer.expect("an answer");
    json!({ "name": name, "message": text(&to_bytes(&message)), "taken": taken, "code": code })
}

fn payments() -> Json {
    let mut scene = Scene::new(2, 0);
    let invoice = scene.invoice(1, 250);
    scene.people[0].tell(Input::Restored).expect("always");
    let cases = alloc::vec![
        payment("an_honest_payment_is_received", |_| ()),
        payment("another_link", |p| p.offer.link = Link::new([1; 32])),
        payment("nothing_to_spend", |p| p.offer.spends = List::default()),
        payment("less_than_asked", |p| p.offer.amount = Amount::new(249)),
        payment("more_than_there_is", |p| p.offer.amount = Amount::new(1001)),
        payment("another_amount", |p| p.offer.amount = Amount::new(251)),
        payment("another_root_before", |p| p.offer.root = Root::new([1; 32])),
        payment("another_root_after", |p| p.commit.root = Root::new([1; 32])),
        payment("another_number", |p| p.offer.seq += 1),
        payment("another_head", |p| p.offer.head = Head::new([1; 32])),
        payment("another_challenge", |p| p.accept.nonce = Nonce::new([9; 16])),
        payment("to_another_key", |p| p.accept.owner = signature(9)),
        payment("no_evidence", |p| p.offer.evidence = Evidence::default()),
        payment("no_unlock", |p| p.commit.unlocks = List::default()),
    ];
    json!({
        "about": "Payments of 250 from device 1 to device 2, which first meet, and what device 2 says (TRADE-1 to TRADE-12). What is taken with a code is held, and counts as accepted by nobody.",
        "network": 3, "now": NOW.unix(),
        "payer": text(&to_bytes(&scene.people[0].card())),
        "payee": text(&to_bytes(&scene.people[1].card())),
        "policy": text(&to_bytes(&super::scene::policy(&scene.issuer))),
        "terms": { "nonce": text(invoice.accept.nonce.as_bytes()), "owner": text(&to_bytes(&invoice.accept.owner)),
            "amount": 250, "expiresAt": invoice.expires_at.unix() },
        "cases": cases,
    })
}

fn check(name: &str, made: &Json) {
    let path = alloc::format!("{}/../../spec/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os(WRITE).is_some() {
        let pretty = serde_json::to_string_pretty(made).expect("JSON");
        std::fs::write(&path, pretty + "\n").expect("the vectors can be written");
    }
    let stored = std::fs::read_to_string(&path).expect("the vectors are there");
    let stored: Json = serde_json::from_str(&stored).expect("JSON");
    assert_eq!(stored, *made, "{name}: set {WRITE}=1 to write it anew");
}

#[test]
fn the_published_vectors_are_what_this_implementation_does() {
    check("core-objects.json", &objects());
    check("core-evidence.json", &evidence());
    check("core-forks.json", &forks());
    check("core-payments.json", &payments());
    check("core-rules.json", &rules::rules());
}

/// Codes that say what a device holds, or what it is in the midst of: no bytes alone lead to them. Tests
/// of the device cause each.
const WITHOUT_VECTOR: [&str; 26] = [
    "TRADE_CHANGE",
    "TRADE_STEP",
    "TRADE_TERMS_EXPIRED",
    "TRADE_TURN",
    "TRADE_SIZE",
    "TRADE_RECEIPT",
    "TRADE_FORK",
    "TRADE_WAITING",
    "NOT_FOR_ME",
    "INSUFFICIENT_FUNDS",
    "SEAL_AWAY",
    "NOT_WAITING",
    "UNKNOWN_CONTACT",
    "BRICKED",
    "CONTACT_TOO_MANY",
    "CONTACT_IN_USE",
    "OWN_UNTIL",
    "OWN_UNCERTIFIED",
    "OWN_NOTHING",
    "RECEIVE_ONLY",
    "NOT_RECOVERED",
    "RECOVERY_END_OPEN",
    "SET_APART",
    "NOT_SET_APART",
    "NOT_UNSPENT",
    "RECOVERY_UNCONFIRMED",
];

#[test]
fn every_code_but_those_of_a_devices_own_state_has_a_vector() {
    let folder = alloc::format!("{}/../../spec/vectors", env!("CARGO_MANIFEST_DIR"));
    let mut all = String::new();
    super::codes::read_all(folder.as_ref(), "json", &mut all);
    let quoted = |code: &str| all.contains(&alloc::format!("\"{code}\""));
    let missing: Vec<&str> = super::codes::codes().into_iter().filter(|c| !quoted(c)).collect();
    assert_eq!(missing, WITHOUT_VECTOR);
}

#[test]
fn vectors_of_evidence_decode() {
    let made = evidence();
    for case in made["valid"].as_array().expect("cases") {
        let hex = case["evidence"].as_str().expect("hex");
        let byte = |i: usize| u8::from_str_radix(&hex[i..i + 2], 16).expect("hex");
        let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
        assert!(from_bytes::<Evidence>(&bytes).is_ok());
    }
}
