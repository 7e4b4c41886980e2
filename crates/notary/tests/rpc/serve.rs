//! The stand-in as a process, for clients that are not written in Rust.

use serde_json::{Value, json};
use tally_core::notary::TrustBase;
use tokio::io::{AsyncReadExt, stdin};

use crate::world::{World, hex};

/// The trust base in the form that the SDKs of the wire format read.
fn trust_base(trust: &TrustBase) -> Value {
    let nodes = trust.nodes().map(|node| {
        let (id, key) = (node.id.as_str(), hex(node.key.as_bytes()));
        json!({ "nodeId": id, "sigKey": key, "stake": node.stake.to_string() })
    });
    json!({
        "version": "1",
        "networkId": trust.network().number(),
        "epoch": trust.epoch().to_string(),
        "epochStartRound": "1",
        "rootNodes": nodes.collect::<Vec<_>>(),
        "quorumThreshold": trust.quorum().to_string(),
        "stateHash": "",
        "changeRecordHash": null,
        "previousEntryHash": null,
        "signatures": {},
    })
}

/// Says where it is in one line of JSON, as a development network does.
#[tokio::test]
#[ignore = "serves other programs until its standard input ends"]
async fn serve() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trust-base.json");
    std::fs::write(&path, trust_base(&world.trust).to_string()).unwrap();
    let urls = [format!("http://{}", world.address)];
    eprintln!("{}", json!({ "urls": urls, "trustBase": path }));
    let mut input = Vec::new();
    stdin().read_to_end(&mut input).await.unwrap();
}
