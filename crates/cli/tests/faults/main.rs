//! Real validators as processes, and what fails under them: nothing that was answered is lost or
//! contradicted.

// What these modules share ends a test as a test does; the lints know only functions marked as one.
#![allow(clippy::panic)]

mod checker;
mod proxy;
#[path = "../../../notary/tests/sim/requests.rs"]
mod requests;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use checker::Checker;
use proxy::Proxies;
use serde_json::{Value, json};
use tally_notary::devnet::{Devnet, Options};

const LIMIT: Duration = Duration::from_secs(60);

/// One network at a time: each has four processes.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn program() -> PathBuf {
    env!("CARGO_BIN_EXE_tally").into()
}

fn network(folder: &Path) -> Devnet {
    Devnet::start_with(folder, &Options::processes(4, &program())).expect("a network")
}

fn signal(network: &Devnet, number: usize, name: &str) {
    let pid = network.pid(number).expect("it runs").to_string();
    let sent = Command::new("kill").args([name, &pid]).status().expect("kill is there");
    assert!(sent.success());
}

/// Changes one field of a validator's configuration.
fn configure(path: &Path, field: &str, value: Value) {
    let mut config: Value =
        serde_json::from_slice(&fs::read(path).expect("it is there")).expect("JSON");
    config[field] = value;
    fs::write(path, config.to_string()).expect("it can be written");
}

fn again(network: &mut Devnet, number: usize) {
    network.launch(number).expect("it starts");
    network.wait_ready(number, LIMIT).expect("it catches up");
}

#[test]
fn validators_that_are_killed_again_and_again_lose_nothing() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let mut network = network(folder.path());
    let checker = Checker::start(&network);
    for number in [0, 1, 2, 3, 1] {
        checker.wait_for_more(3);
        network.kill(number);
        checker.wait_for_more(3);
        again(&mut network, number);
    }
    // All at once: the network goes on from what is on its disks.
    (0..4).for_each(|number| network.kill(number));
    network.launch(0).expect("it starts");
    let alone = network.wait_ready(0, Duration::from_secs(3)).expect_err("it has no quorum");
    assert_eq!(alone.code(), "DEVNET_NOT_READY", "{alone}");
    (1..4).for_each(|number| network.launch(number).expect("it starts"));
    (0..4).for_each(|number| network.wait_ready(number, LIMIT).expect("it goes on"));
    checker.finish(&network);
}

#[test]
fn a_validator_that_is_frozen_for_a_while_catches_up() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let mut network = network(folder.path());
    let checker = Checker::start(&network);
    signal(&network, 2, "-STOP");
    thread::sleep(Duration::from_secs(6));
    signal(&network, 2, "-CONT");
    network.wait_ready(2, LIMIT).expect("it catches up");
    checker.finish(&network);
}

#[test]
fn a_validator_whose_network_is_cut_off_says_so_and_catches_up() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let mut network =
        Devnet::prepare(folder.path(), &Options::processes(4, &program())).expect("its files");
    let proxies = Proxies::around(&network, 0);
    (0..4).for_each(|number| network.launch(number).expect("it starts"));
    (0..4).for_each(|number| network.wait_ready(number, LIMIT).expect("it is ready"));
    let checker = Checker::start(&network);
    proxies.cut(true);
    thread::sleep(Duration::from_secs(8));
    let cut = network.wait_ready(0, Duration::ZERO).expect_err("it has no quorum");
    assert_eq!(cut.code(), "DEVNET_NOT_READY");
    proxies.cut(false);
    network.wait_ready(0, LIMIT).expect("it catches up");
    checker.finish(&network);
}

/// The room that a validator leaves free is set above what the disk has: to the validator, it is full.
#[test]
fn a_validator_with_a_full_disk_takes_nothing_and_still_proves() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let mut network = network(folder.path());
    let checker = Checker::start(&network);
    checker.wait_for_more(5);
    let path = network.config(3).0.to_path_buf();
    let certified = checker.certified();
    // What it proved before, it proves when it does nothing else any more.
    checker.proves(&network, 3, &certified);
    network.kill(3);
    let before: Value = serde_json::from_slice(&fs::read(&path).expect("there")).expect("JSON");
    // The largest number that JSON readers agree on.
    configure(&path, "reserve", json!(1_u64 << 52));
    network.launch(3).expect("it starts");
    let refused = checker.ask(3, 9_000_000, 1);
    assert_eq!(refused["error"]["data"]["code"], "NOTARY_DISK_FULL", "{refused}");
    checker.proves(&network, 3, &certified);
    checker.wait_for_more(3);
    network.stop(3);
    configure(&path, "reserve", before["reserve"].clone());
    again(&mut network, 3);
    checker.finish(&network);
}

#[test]
fn a_spoilt_last_record_is_cut_off_and_comes_again() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let mut network = network(folder.path());
    let checker = Checker::start(&network);
    checker.wait_for_more(5);
    network.kill(1);
    let ledger = network.config(1).1.data.join("ledger");
    let files = fs::read_dir(ledger).expect("a folder").map(|entry| entry.expect("it").path());
    let name = |path: &PathBuf| {
        path.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b"blocks-"))
    };
    let last = files.filter(name).max().expect("there is one");
    let mut bytes = fs::read(&last).expect("it reads");
    *bytes.last_mut().expect("there are blocks") ^= 1;
    fs::write(&last, bytes).expect("it writes");
    again(&mut network, 1);
    checker.finish(&network);
}

/// The clock is moved by a configured offset, with a restart: nobody here may set the machine's.
#[test]
fn a_validator_whose_clock_is_minutes_ahead_delays_nobody_for_ever() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let mut network = network(folder.path());
    let checker = Checker::start(&network);
    let path = network.config(0).0.to_path_buf();
    for offset in [300, -300, 0] {
        network.kill(0);
        configure(&path, "clockOffset", json!(offset));
        network.launch(0).expect("it starts");
        thread::sleep(Duration::from_secs(5));
        network.wait_ready(1, LIMIT).expect("the others go on");
    }
    network.wait_ready(0, LIMIT).expect("it is right again");
    checker.finish(&network);
}
