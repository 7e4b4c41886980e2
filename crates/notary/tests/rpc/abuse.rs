//! What strangers can do to the interface, over a real socket, and what stays true meanwhile.

use std::time::Duration;

use serde_json::{Value, json};
use tally_core::cbor::{from_bytes, to_bytes};
use tally_core::notary::ProofResponse;
use tally_notary::backend::MAX_BATCH;
use tally_notary::call::{MAX_BODY, MAX_CALLS};
use tally_notary::rpc::{Limits, MAX_HEADERS};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::client::{Client, Reply};
use crate::stand_in::MAX_PENDING;
use crate::world::{World, config, encoded, hex, spend, unhex};

const SOON: Duration = Duration::from_secs(20);

async fn world(limits: Limits) -> World {
    World::with(tally_notary::rpc::Config { limits, ..config() }).await
}

/// Honest clients are served, whatever else goes on.
async fn assert_serves(world: &World) {
    let answer = timeout(SOON, async { world.client().await.certify(&spend(500, 1)).await }).await;
    assert_eq!(answer.expect("in time")["status"], "SUCCESS");
}

fn fault(reply: &Reply) -> (i64, String) {
    (reply.json()["error"]["code"].as_i64().expect("a fault"), reply.word())
}

#[tokio::test]
async fn a_body_of_a_hundred_megabytes_is_refused_by_its_head() {
    let world = World::new().await;
    let mut client = world.client().await;
    let head = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 104857600\r\n\r\n";
    client.send(head.as_bytes()).await.unwrap();
    let reply = timeout(SOON, client.reply()).await.unwrap().unwrap();
    assert_eq!((reply.status, reply.word().as_str()), (413, "RPC_BODY_SIZE"));
    assert_serves(&world).await;
}

#[tokio::test]
async fn a_body_without_an_end_is_cut_off() {
    let world = World::new().await;
    let mut client = world.client().await;
    let head = "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    client.send(head.as_bytes()).await.unwrap();
    let chunk = [b"4000\r\n", &[b' '; 0x4000][..], b"\r\n"].concat();
    let mut sent = 0;
    // A hundred megabytes, if anybody takes them.
    while sent < 100 << 20 && client.send(&chunk).await.is_ok() {
        sent += chunk.len();
        if sent > 2 * MAX_BODY {
            break;
        }
    }
    let reply = timeout(SOON, client.reply()).await.unwrap();
    assert!(reply.is_none_or(|reply| reply.status == 413));
    assert_serves(&world).await;
}

#[tokio::test]
async fn nesting_however_deep_is_a_fault() {
    let world = World::new().await;
    let mut client = world.client().await;
    for open in ["[", "{\"a\":"] {
        let body = open.repeat(MAX_BODY / open.len());
        assert_eq!(fault(&client.post(body).await), (-32700, "RPC_DEPTH".into()));
    }
    assert_serves(&world).await;
}

#[tokio::test]
async fn what_is_no_call_is_a_fault_with_its_own_word() {
    let world = World::new().await;
    let mut client = world.client().await;
    for (body, code, word) in [
        ("", -32700, "RPC_NOT_JSON"),
        ("\u{0}", -32700, "RPC_NOT_JSON"),
        ("[]", -32600, "RPC_CALL_COUNT"),
        ("{}", -32600, "RPC_ID"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"rpc.discover"}"#, -32601, "RPC_NO_SUCH_METHOD"),
        (r#"{"jsonrpc":"2.1","id":1,"method":"get_status"}"#, -32600, "RPC_VERSION"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"get_block","params":[1]}"#, -32602, "RPC_PARAMS"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"get_block"}"#, -32602, "RPC_PARAMS"),
    ] {
        let reply = client.post(body).await;
        assert_eq!((reply.status, fault(&reply)), (200, (code, word.to_owned())), "{body}");
    }
    let not_text = client.post([0xff, 0xfe]).await;
    assert_eq!(fault(&not_text), (-32700, "RPC_NOT_JSON".into()));
}

#[tokio::test]
async fn an_array_of_too_many_calls_is_one_fault() {
    let world = World::new().await;
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "get_status" });
    let calls = vec![call; MAX_CALLS + 1];
    let reply = world.client().await.post(json!(calls).to_string()).await;
    assert_eq!(fault(&reply), (-32600, "RPC_CALL_COUNT".into()));
    let requests: Vec<_> = (0..=MAX_BATCH as u16).map(|i| encoded(&spend(i, 1))).collect();
    let reply = world.client().await.call("certify", json!({ "requests": requests })).await;
    assert_eq!(fault(&reply), (-32000, "BATCH_COUNT".into()));
}

/// Each byte of a request changed in turn: none is certified, none breaks the server.
#[tokio::test]
async fn no_changed_byte_of_a_request_is_certified() {
    let world = World::new().await;
    let mut client = world.client().await;
    let bytes = to_bytes(&spend(1, 1));
    for i in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[i] ^= 1 << (i % 8);
        let reply = client.call("certification_request", json!(hex(&changed))).await.json();
        let status = reply["result"]["status"].as_str().unwrap_or("a fault");
        // The last byte is a count, which says nothing about the spend.
        let counts = i == bytes.len() - 1;
        assert!(counts || status != "SUCCESS", "byte {i}: {reply}");
        if reply["result"].is_null() {
            assert_eq!(reply["error"]["code"], -32000, "byte {i}: {reply}");
        }
    }
}

/// Every way of writing a part of a request that is not the shortest is refused.
#[tokio::test]
async fn a_request_that_is_not_canonical_is_refused_in_every_field() {
    let world = World::new().await;
    let mut client = world.client().await;
    let text = hex(&to_bytes(&spend(1, 1)));
    for (shortest, longer) in [
        ("d99876", "da00009876"),
        ("d9987684", "d987798404"),
        ("84015820", "8418015820"),
        ("84015820", "9f015820"),
        ("015820", "01590020"),
        ("d998778602", "d99877861802"),
        ("d998778602", "d998778603"),
        ("d998788301", "d99878831801"),
        ("d998788301", "d998788302"),
        ("4101", "580101"),
        ("4101", "5f4101ff"),
        ("5821", "590021"),
        ("f65841", "f75841"),
        ("5841", "590041"),
    ] {
        assert!(text.contains(shortest), "{shortest}");
        let wrong = text.replacen(shortest, longer, 1);
        let reply = client.call("certification_request", json!(wrong)).await.json();
        let refused = reply["error"]["code"] == -32000
            || reply["result"]["status"].as_str().is_some_and(|status| status != "SUCCESS");
        assert!(refused, "{longer}: {reply}");
    }
    for behind in ["00", "f6", "ff"] {
        let reply = client.call("certification_request", json!(format!("{text}{behind}"))).await;
        assert_eq!(fault(&reply), (-32000, "DECODE_TRAILING".into()));
    }
    let version = text.replacen("d998768401", "d998768402", 1);
    let reply = client.call("certification_request", json!(version)).await;
    assert_eq!(fault(&reply), (-32000, "DECODE_UNKNOWN".into()));
}

#[tokio::test]
async fn a_client_that_sends_its_headers_slowly_is_dropped() {
    let world =
        world(Limits { header_time: Duration::from_millis(300), ..Limits::default() }).await;
    let mut slow = world.client().await;
    slow.send(b"POST / HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    let dripping = async {
        while slow.send(b"a: b\r\n").await.is_ok() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(timeout(SOON, dripping).await.is_ok(), "a header now and then must not keep it open");
    assert_serves(&world).await;
}

#[tokio::test]
async fn a_client_that_sends_its_body_slowly_is_told_so() {
    let world = world(Limits { body_time: Duration::from_millis(300), ..Limits::default() }).await;
    let mut slow = world.client().await;
    slow.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{").await.unwrap();
    let reply = timeout(SOON, slow.reply()).await.unwrap().unwrap();
    assert_eq!((reply.status, reply.word().as_str()), (408, "RPC_BODY_TIME"));
    assert_serves(&world).await;
}

#[tokio::test]
async fn connections_above_the_limit_are_told_to_come_back() {
    let limits = Limits { connections: 10, connections_per_address: 10, ..Limits::default() };
    let world = world(limits).await;
    let mut idle = Vec::new();
    for _ in 0..10 {
        let mut client = world.client().await;
        // Answered, so it has its seat before the next one comes.
        client.get("/health").await;
        idle.push(client);
    }
    let mut one_more = world.client().await;
    let reply = timeout(SOON, one_more.reply()).await.unwrap().unwrap();
    assert_eq!((reply.status, reply.word().as_str()), (503, "RPC_CONNECTIONS"));
    assert_eq!(reply.header("retry-after"), Some("1"));
    idle.clear();
    // A closed connection is noticed soon, not at once.
    let again = async {
        loop {
            if let Some(reply) = world.client().await.post_raw(STATUS.as_bytes()).await
                && reply.status == 200
            {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(timeout(SOON, again).await.is_ok());
}

const STATUS: &str = r#"{"jsonrpc":"2.0","id":1,"method":"get_status"}"#;

/// Ten thousand connections from one address: most are sent away, and others are served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_connections_leave_room_for_others() {
    let limits = Limits { connections: 200, connections_per_address: 150, ..Limits::default() };
    let world = world(limits).await;
    let mut crowd = JoinSet::new();
    for _ in 0..10_000 {
        while crowd.len() >= 500 {
            crowd.join_next().await;
        }
        let address = world.address;
        crowd.spawn(async move {
            let Ok(stream) = tokio::net::TcpStream::connect(address).await else { return };
            sleep(Duration::from_millis(20)).await;
            drop(stream);
        });
    }
    while crowd.join_next().await.is_some() {}
    assert_serves(&world).await;
    let metrics = world.client().await.get("/metrics").await;
    let refused = metrics
        .text()
        .lines()
        .find_map(|line| line.strip_prefix("tally_rpc_turned_away_total{reason=\"connections\"} "))
        .and_then(|count| count.parse::<u64>().ok());
    assert!(refused.is_some_and(|refused| refused > 0), "{refused:?}");
}

#[tokio::test]
async fn more_posts_than_are_worked_on_at_once_are_shed_at_once() {
    let world = world(Limits { in_flight: 1, ..Limits::default() }).await;
    let mut slow = world.client().await;
    slow.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{").await.unwrap();
    // Until the slow one has its turn, others may have theirs.
    let shed = async {
        loop {
            let reply = world.client().await.post(STATUS).await;
            if reply.word() == "RPC_BUSY" {
                return reply;
            }
        }
    };
    let reply = timeout(SOON, shed).await.unwrap();
    assert_eq!((reply.status, fault(&reply).0), (200, -32006));
    assert_eq!(reply.header("retry-after"), Some("1"));
    drop(slow);
}

#[tokio::test]
async fn bodies_share_one_memory() {
    let world = world(Limits { buffered: 128 << 10, ..Limits::default() }).await;
    let mut slow = world.client().await;
    let head = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 131073\r\n\r\n";
    slow.send(head.as_bytes()).await.unwrap();
    slow.send(&vec![b' '; 120 << 10]).await.unwrap();
    let shed = async {
        loop {
            let reply = world.client().await.post(STATUS).await;
            if reply.word() == "RPC_BUSY" {
                return;
            }
        }
    };
    timeout(SOON, shed).await.unwrap();
    drop(slow);
    let again = async { while world.client().await.post(STATUS).await.word() != "NO_FAULT" {} };
    timeout(SOON, again).await.unwrap();
}

#[tokio::test]
async fn a_network_that_takes_no_more_says_when_to_come_back() {
    let world = World::new().await;
    let mut client = world.client().await;
    world.backend.freeze(true);
    let later = |source: u16| json!({ "request": encoded(&spend(source, 1)), "waitMs": 0 });
    for source in 0..MAX_PENDING as u16 {
        client.result("certification_request", later(source)).await;
    }
    let reply = client.call("certification_request", later(60_000)).await;
    assert_eq!(fault(&reply), (-32006, "NOTARY_OVERLOADED".into()));
    assert_eq!(reply.json()["error"]["data"]["retryAfterMs"], 1_500);
    assert_eq!(reply.header("retry-after"), Some("2"), "rounded up");
    // Questions are answered all the same.
    client.result("get_block_height", json!({})).await;
}

#[tokio::test]
async fn of_questions_that_wait_those_above_the_limit_are_answered_at_once() {
    let world = world(Limits { held: 2, ..Limits::default() }).await;
    let mut waiting = JoinSet::new();
    for _ in 0..3 {
        let address = world.address;
        waiting.spawn(async move {
            let params = json!({ "stateId": spend(77, 1).state_id.to_string(), "waitMs": 20_000 });
            let mut client = Client::connect(address).await;
            let answer = client.result("get_inclusion_proof.v2", params).await;
            from_bytes::<ProofResponse>(&unhex(&answer)).unwrap().proof.leaf.is_some()
        });
    }
    let first = timeout(Duration::from_secs(15), waiting.join_next()).await;
    assert!(!first.expect("before its wait is over").unwrap().unwrap());
    world.client().await.certify(&spend(77, 1)).await;
    while let Some(held) = waiting.join_next().await {
        assert!(held.unwrap(), "the others get their proof");
    }
}

#[tokio::test]
async fn too_many_headers_and_too_long_ones_are_refused() {
    let world = World::new().await;
    let many = "a: b\r\n".repeat(MAX_HEADERS + 1);
    let long = format!("a: {}\r\n", "b".repeat(100_000));
    for headers in [many, long] {
        let mut client = world.client().await;
        let _ = client.send(format!("GET / HTTP/1.1\r\nhost: x\r\n{headers}\r\n").as_bytes()).await;
        let reply = timeout(SOON, client.reply()).await.unwrap();
        assert!(reply.is_none_or(|reply| reply.status == 431));
    }
    assert_serves(&world).await;
}

#[tokio::test]
async fn bytes_that_are_no_http_close_their_own_connection_only() {
    let world = World::new().await;
    let garbage: [&[u8]; 3] =
        [b"\x16\x03\x01\x02\x00\x01\x00", &[0; 1_000], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"];
    for bytes in garbage {
        let mut client = world.client().await;
        let _ = client.send(bytes).await;
        let reply = timeout(SOON, client.reply()).await;
        // The first of them is an unfinished line, for which the server goes on waiting.
        assert!(reply.is_err() || reply.unwrap().is_none_or(|reply| reply.status == 400));
    }
    assert_serves(&world).await;
}

#[tokio::test]
async fn a_page_of_another_origin_may_ask() {
    let world = World::new().await;
    let mut client = world.client().await;
    let head = "OPTIONS / HTTP/1.1\r\nhost: x\r\norigin: https://shop.example\r\n\
                access-control-request-method: POST\r\n\
                access-control-request-headers: content-type,x-api-key,x-state-id\r\n\r\n";
    client.send(head.as_bytes()).await.unwrap();
    let reply = client.reply().await.unwrap();
    assert_eq!(reply.status, 204);
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    let allowed = reply.header("access-control-allow-headers").unwrap().to_lowercase();
    for header in ["content-type", "x-state-id", "x-api-key"] {
        assert!(allowed.split(", ").any(|known| known == header), "{header}");
    }
    let reply = client.post(STATUS).await;
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
}

#[tokio::test]
async fn a_post_to_a_wrong_path_is_not_taken_for_not_yet() {
    let world = World::new().await;
    let mut client = world.client().await;
    client.send(b"POST /rpc HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    let reply = client.reply().await.unwrap();
    assert_eq!((reply.status, reply.word().as_str()), (400, "RPC_PATH"));
    client.send(b"DELETE / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert_eq!(client.reply().await.unwrap().status, 405);
}

#[tokio::test]
async fn quotas_hold_for_keys_and_for_strangers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("subscriptions.json");
    let hash = hex(&tally_core::hash::sha256(b"secret"));
    let keys = json!([{ "name": "shop", "sha256": hash, "per_month": 3 }]);
    let anonymous = json!({ "per_second": 20, "may_certify": false });
    let file = json!({ "anonymous": anonymous, "keys": keys });
    std::fs::write(&path, file.to_string()).unwrap();
    let config = tally_notary::rpc::Config { subscriptions: Some(path), ..config() };
    let world = World::with(config).await;
    let request = json!(encoded(&spend(1, 1)));

    let mut stranger = world.client().await;
    let reply = stranger.call("certification_request", request.clone()).await;
    assert_eq!((reply.status, reply.word().as_str()), (401, "RPC_KEY_NEEDED"));
    assert!(stranger.result("get_block_height", json!({})).await.is_object());
    let mut wrong = world.client().await.with_header("X-API-Key", "guess");
    let reply = wrong.call("certification_request", request.clone()).await;
    assert_eq!((reply.status, reply.word().as_str()), (401, "RPC_KEY_UNKNOWN"));

    let mut shop = world.client().await.with_header("X-API-Key", "secret");
    assert_eq!(shop.result("certification_request", request.clone()).await["status"], "SUCCESS");
    let two: Value = json!([
        { "jsonrpc": "2.0", "id": 1, "method": "get_status" },
        { "jsonrpc": "2.0", "id": 2, "method": "get_status" },
    ]);
    assert_eq!(shop.post(two.to_string()).await.status, 200);
    let reply = shop.call("certification_request", request).await;
    assert_eq!((reply.status, reply.word().as_str()), (429, "RPC_QUOTA_MONTH"));
    assert_eq!(fault(&reply).0, -32006);
    assert!(reply.header("retry-after").is_some());

    let mut last = None;
    for _ in 0..100 {
        let reply = stranger.call("get_status", json!({})).await;
        if reply.status == 429 {
            last = Some(reply.word());
            break;
        }
    }
    assert_eq!(last.as_deref(), Some("RPC_QUOTA_SECOND"));
}
