//! An outsider checks the log over the interface, and notices what is not in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use tally_core::id::{Digest, NetworkId};
use tally_core::keys::SecretKey;
use tally_core::notary::{NodeId, Partition, RootNode, ShardId, TrustBase};
use tally_notary::verify_log::{Audit, AuditError, Checkpoint, Fetch, Options, Start, verify_log};
use tokio::runtime::Handle;

use crate::client::Client;
use crate::world::{World, spend};

type Lie = Arc<dyn Fn(&str, &mut Value) + Send + Sync>;

/// A node whose answers may be altered on the way.
struct Node {
    client: Client,
    runtime: Handle,
    lie: Lie,
    asked: u64,
}

impl Fetch for Node {
    fn post(&mut self, body: &str) -> Result<String, String> {
        self.asked += 1;
        let call: Value = serde_json::from_str(body).unwrap();
        // Asked up to the last number there is, it answers as far as it has come.
        let body = body.replace(&format!("\"to\":{}", u64::MAX), "\"to\":\"latest\"");
        let mut reply = self.runtime.block_on(self.client.post(body)).json();
        (self.lie)(call["method"].as_str().unwrap(), &mut reply["result"]);
        if reply["result"].is_null() {
            reply.as_object_mut().unwrap().remove("result");
        }
        Ok(reply.to_string())
    }
}

async fn audit(
    world: &World,
    start: Start,
    options: Options,
    lie: Lie,
) -> (Result<Audit, AuditError>, u64) {
    let (client, trust, runtime) = (world.client().await, world.trust.clone(), Handle::current());
    let checking = move || {
        let mut node = Node { client, runtime, lie, asked: 0 };
        let result = verify_log(&mut node, &trust, start, &options, &mut |_| ());
        (result, node.asked)
    };
    tokio::task::spawn_blocking(checking).await.unwrap()
}

fn honest() -> Lie {
    Arc::new(|_, _| ())
}

async fn verify(world: &World, start: Start) -> Result<Audit, AuditError> {
    audit(world, start, Options::default(), honest()).await.0
}

async fn lied(
    world: &World,
    lie: impl Fn(&str, &mut Value) + Send + Sync + 'static,
) -> &'static str {
    let result = audit(world, Start::Empty, Options::default(), Arc::new(lie)).await.0;
    result.expect_err("a lie").code()
}

/// A world with `n` certified spends, from number `first` on.
async fn certify(world: &World, first: u16, n: u16) {
    let mut client = world.client().await;
    for source in first..first + n {
        assert_eq!(client.certify(&spend(source, 1)).await["status"], "SUCCESS");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_honest_log_verifies_from_any_height_and_goes_on_from_a_checkpoint() {
    let world = World::new().await;
    certify(&world, 0, 6).await;
    let all = verify(&world, Start::Empty).await.unwrap();
    assert_eq!(all.leaves, 6);
    for height in 1..=all.checkpoint.height {
        let part = verify(&world, Start::Height(height)).await.unwrap();
        assert!(part.checkpoint.height >= all.checkpoint.height);
    }
    certify(&world, 100, 3).await;
    let more = verify(&world, Start::Checkpoint(all.checkpoint)).await.unwrap();
    assert_eq!(more.leaves, 3);
    assert!(more.checkpoint.height > all.checkpoint.height);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_certificate_is_checked_if_that_is_asked_for() {
    let world = World::new().await;
    certify(&world, 0, 4).await;
    let to = verify(&world, Start::Empty).await.unwrap().checkpoint.height;
    let options = Options { to: Some(to), every_certificate: true, ..Options::default() };
    let (result, asked) = audit(&world, Start::Empty, options, honest()).await;
    assert_eq!((result.unwrap().certificates, asked), (to, to));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_misses_some_certificates_is_checked_with_those_that_it_has() {
    let world = World::new().await;
    certify(&world, 0, 4).await;
    let to = verify(&world, Start::Empty).await.unwrap().checkpoint.height;
    let options = Options { to: Some(to), every_certificate: true, ..Options::default() };
    // It has none of its first block, as if it had come later, nor of any other odd one.
    let asked = Arc::new(AtomicU64::new(0));
    let misses = move |method: &str, result: &mut Value| {
        if method != "get_consistency_proof" {
            return;
        }
        let from = asked.fetch_add(1, Ordering::Relaxed);
        if from.is_multiple_of(2) && from + 1 < to {
            *result = json!({ "from": from.to_string(), "to": from.to_string(), "steps": [], "after": "" });
        }
    };
    let (result, _) = audit(&world, Start::Empty, options, Arc::new(misses)).await;
    let found = result.unwrap();
    assert_eq!((found.checkpoint.height, found.leaves), (to, 4));
    assert!(found.certificates <= to / 2 + 1, "{found:?}");
}

const SPOTS: Options = Options { to: None, every_certificate: false, spots: 3, seed: [5; 32] };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_log_says_is_looked_up_as_a_wallet_would() {
    let world = World::new().await;
    certify(&world, 0, 5).await;
    let found = audit(&world, Start::Empty, SPOTS, honest()).await.0.unwrap();
    assert_eq!((found.included, found.excluded), (3, 3));
    let all = Options { spots: u16::MAX, ..SPOTS };
    assert_eq!(audit(&world, Start::Empty, all, honest()).await.0.unwrap().included, 5);
    let height = found.checkpoint.height;
    assert_eq!(
        serde_json::to_value(found).unwrap(),
        json!({
            "height": height,
            "root": found.checkpoint.root.to_string(),
            "time": found.time.unix(),
            "leaves": 5,
            "certificates": found.certificates,
            "included": 3,
            "excluded": 3,
        })
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_hides_or_changes_a_leaf_is_noticed() {
    let world = World::new().await;
    certify(&world, 0, 3).await;
    let mut client = world.client().await;
    let ask = |state: String| json!({ "stateId": state, "waitMs": 0 });
    let unspent = client.result("get_inclusion_proof.v2", ask("ab".repeat(32))).await;
    let other = spend(9, 1);
    client.certify(&other).await;
    let other = client.result("get_inclusion_proof.v2", ask(other.state_id.to_string())).await;
    for (method, answer) in [
        ("get_inclusion_proof.v2", unspent),
        ("get_inclusion_proof.v2", other.clone()),
        ("get_exclusion_proof", json!({ "spent": true, "inclusionProof": other })),
    ] {
        let lie = move |asked: &str, result: &mut Value| {
            if asked == method {
                *result = answer.clone();
            }
        };
        // As many as there are leaves, so that the one whose true answer this is does not hide the lie.
        let all = Options { spots: 4, ..SPOTS };
        let error = audit(&world, Start::Empty, all, Arc::new(lie)).await.0.unwrap_err();
        assert_eq!(error.code(), "AUDIT_SPOT", "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_words_of_a_node_are_not_trusted_either() {
    struct Rude;
    impl Fetch for Rude {
        fn post(&mut self, _: &str) -> Result<String, String> {
            let message = format!("\u{1b}[2J{}", "x".repeat(1_000_000));
            Ok(json!({ "error": { "code": 1, "message": message } }).to_string())
        }
    }
    let trust = World::new().await.trust;
    let error = verify_log(&mut Rude, &trust, Start::Empty, &SPOTS, &mut |_| ()).unwrap_err();
    let text = error.to_string();
    assert!(text.len() < 500 && !text.contains('\u{1b}'), "{} bytes", text.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_root_that_was_kept_convicts_a_network_that_changed_history() {
    let (world, other) = (World::new().await, World::new().await);
    certify(&world, 0, 3).await;
    let kept = verify(&world, Start::Empty).await.unwrap().checkpoint;
    // Another network with the same keys, and other spends: the same validators, another history.
    while verify(&other, Start::Empty).await.unwrap().checkpoint.height < kept.height {
        certify(&other, 1_000 + u16::from(fresh()), 1).await;
    }
    let error = verify(&other, Start::Checkpoint(kept)).await.unwrap_err();
    assert!(matches!(error, AuditError::Diverged { known, .. } if known == kept.root), "{error}");
}

fn fresh() -> u8 {
    use std::sync::atomic::{AtomicU8, Ordering};
    static NEXT: AtomicU8 = AtomicU8::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn first_step(result: &mut Value) -> Option<&mut Value> {
    result["steps"].as_array_mut()?.first_mut()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_lie_about_growth_is_noticed() {
    let world = World::new().await;
    certify(&world, 0, 4).await;
    let altered = |field: &'static str, to: Value| {
        move |_: &str, result: &mut Value| {
            if let Some(step) = first_step(result) {
                step[field] = to.clone();
            }
        }
    };
    let wrong_root = "11".repeat(32);
    assert_eq!(lied(&world, altered("rootHash", json!(wrong_root))).await, "AUDIT_GROWTH");
    assert_eq!(lied(&world, altered("leaves", json!(""))).await, "AUDIT_GROWTH");
    assert_eq!(lied(&world, altered("leaves", json!("00".repeat(64)))).await, "AUDIT_GROWTH");
    assert_eq!(lied(&world, altered("leaves", json!("00"))).await, "AUDIT_ANSWER");
    assert_eq!(lied(&world, altered("proof", json!("05"))).await, "AUDIT_GROWTH");
    assert_eq!(lied(&world, altered("proof", json!("zz"))).await, "AUDIT_ANSWER");
    assert_eq!(lied(&world, altered("blockNumber", json!("0"))).await, "AUDIT_RANGE");
    let last = |method: &str, result: &mut Value| match method {
        "get_block_height" => result["blockNumber"] = json!(u64::MAX.to_string()),
        _ => {
            result["to"] = json!(u64::MAX.to_string());
            result["steps"][0]["blockNumber"] = json!(u64::MAX.to_string());
        }
    };
    assert_eq!(lied(&world, last).await, "AUDIT_RANGE", "no number is after the last one");
    let later = json!(u64::MAX.to_string());
    assert_eq!(lied(&world, altered("blockNumber", later)).await, "AUDIT_RANGE");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_is_left_out_does_not_lead_to_the_certified_root() {
    let world = World::new().await;
    certify(&world, 0, 4).await;
    let last_out = |_: &str, result: &mut Value| {
        if let Some(steps) = result["steps"].as_array_mut() {
            steps.pop();
        }
    };
    assert_eq!(lied(&world, last_out).await, "AUDIT_DIVERGED");
    let first_out = |_: &str, result: &mut Value| {
        if let Some(steps) = result["steps"].as_array_mut() {
            steps.remove(0);
        }
    };
    assert_eq!(lied(&world, first_out).await, "AUDIT_GROWTH");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_for_other_blocks_or_of_another_form_is_refused() {
    let world = World::new().await;
    certify(&world, 0, 2).await;
    for to in ["0", "-1", "99999999"] {
        let range = move |method: &str, result: &mut Value| {
            if method == "get_consistency_proof" {
                result["to"] = json!(to);
            }
        };
        assert_eq!(lied(&world, range).await, "AUDIT_RANGE");
    }
    let nothing = |_: &str, result: &mut Value| *result = Value::Null;
    assert_eq!(lied(&world, nothing).await, "AUDIT_ANSWER");
    let behind =
        audit(&world, Start::Height(2), Options { to: Some(1), ..Options::default() }, honest());
    assert_eq!(behind.await.0.unwrap_err().code(), "AUDIT_RANGE");
    let (refused, _) = audit(&world, Start::Height(9_999_999), Options::default(), honest()).await;
    assert_eq!(refused.unwrap_err().code(), "AUDIT_FAULT");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_that_a_stranger_signed_convince_nobody() {
    let mut world = World::new().await;
    certify(&world, 0, 2).await;
    let key = SecretKey::new([0x77; 32]).unwrap().public();
    let node = RootNode { id: NodeId::new("stand-in").unwrap(), key, stake: 1 };
    let partition =
        Partition { id: 1, shard: ShardId::whole(), configuration: Digest::new([0; 32]) };
    world.trust = TrustBase::new(NetworkId::LOCAL, 1, partition, vec![node], 1).unwrap();
    for start in [
        Start::Empty,
        Start::Height(1),
        Start::Checkpoint(Checkpoint { height: 1, root: Digest::new([0; 32]) }),
    ] {
        assert_eq!(verify(&world, start).await.unwrap_err().code(), "AUDIT_CERTIFICATE");
    }
}
