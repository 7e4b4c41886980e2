//! What `deploy/` offers to an operator, held against the program.
#![cfg(all(feature = "engine", feature = "rpc"))]

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use tally_notary::devnet::Devnet;
use tally_notary::rpc::quota::Subscriptions;
use tally_notary::setup::Config;

fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(name)
}

/// Names of measurements in a text.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !(c.is_ascii_lowercase() || c == '_'));
    words.filter(|word| word.starts_with("tally_")).collect()
}

#[test]
fn the_example_configuration_is_one() {
    let config = Config::load(&deploy("config.example.json")).unwrap();
    assert_eq!(config.peers.len() % 3, 1);
    assert!(config.peers.contains_key(&config.name));
    assert_eq!(config.clock_offset, 0);
}

#[test]
fn the_example_of_subscriptions_is_one_and_lets_no_stranger_certify() {
    let subscriptions = Subscriptions::read(&deploy("subscriptions.example.json")).unwrap();
    assert!(!subscriptions.anonymous().may_certify);
}

#[test]
fn every_measurement_that_an_alert_looks_at_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let network = Devnet::start(folder.path(), 1).unwrap();
    let mut stream = TcpStream::connect(network.config(0).1.rpc).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut made = String::new();
    stream.read_to_string(&mut made).unwrap();
    let alerts = std::fs::read_to_string(deploy("alerts.yml")).unwrap();
    let (made, watched) = (names(&made), names(&alerts));
    assert!(watched.len() >= 5, "{watched:?}");
    let missing: Vec<_> = watched.difference(&made).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
