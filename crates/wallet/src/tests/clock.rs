//! One clock that was wrong at one moment shuts no pair, on no path.

use tally_core::amount::Amount;
use tally_core::cbor::Blob;
use tally_core::id::AssetId;

use tally_core::packet::Packet;

use super::scene::{Town, balance, passphrase, pay};
use crate::{Wallet, restore};

/// Microseconds of fourteen years.
const FAR: u64 = 14 * 365 * 86_400 * 1_000_000;

fn pay_by_file(payer: &mut Wallet, payee: &mut Wallet, asset: AssetId, units: u64) {
    let invoice = payee.invoice(asset, Amount::new(units), 600).unwrap();
    let (packet, _) = payer.pay_invoice(&invoice).unwrap();
    let (_, answers) = payee.receive_packet(&packet).unwrap();
    payer.receive_packet(&answers[0]).unwrap();
}

#[test]
fn a_payer_whose_clock_was_wrong_once_pays_by_file_after_a_restore() {
    let town = Town::new();
    let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
    alice.ahead = FAR;
    pay_by_file(&mut alice, &mut bob, asset, 10);
    let (setup, file) = (town.setup_on("here"), town.root.path().join("alice.tallybackup"));
    alice.backup(passphrase("far away"), &file).unwrap();
    drop(alice);
    let dir = town.dir("restored");
    let mut alice = restore(&file, &passphrase("far away"), &dir, &setup).unwrap();
    alice.give_up(bob.device().id()).unwrap();
    alice.confirm_recovery(true).unwrap();
    let invoice = bob.invoice(asset, Amount::new(5), 600).unwrap();
    let (lost, _) = alice.pay_invoice(&invoice).unwrap();
    for packet in alice.resend(bob.device().id()).unwrap() {
        let (_, answers) = bob.receive_packet(&packet).unwrap();
        alice.receive_packet(&answers[0]).unwrap();
    }
    assert_eq!(balance(&bob, &asset), 15);
    // What came late is an older hello than one that was heard.
    assert_eq!(bob.receive_packet(&lost).unwrap_err().code(), "PEER_STALE");
    pay_by_file(&mut alice, &mut bob, asset, 1);
}

#[test]
fn what_was_heard_from_the_future_is_not_heard_again() {
    let town = Town::new();
    let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
    let first_packet = |alice: &mut Wallet, bob: &mut Wallet| {
        let invoice = bob.invoice(asset, Amount::new(1), 600).unwrap();
        let (packet, _) = alice.pay_invoice(&invoice).unwrap();
        let (_, answers) = bob.receive_packet(&packet).unwrap();
        alice.receive_packet(&answers[0]).unwrap();
        Packet::from_wire(&packet).unwrap()
    };
    alice.ahead = FAR;
    let future = first_packet(&mut alice, &mut bob);
    alice.ahead = 0;
    alice.lose_sessions();
    let present = first_packet(&mut alice, &mut bob);
    // Before another envelope: nothing but the hello can be known.
    let envelope = Blob::new(vec![0x55; 40]).unwrap();
    for hello in [future.hello, present.hello] {
        assert!(hello.is_some());
        let again = Packet { hello, envelope: envelope.clone() }.to_wire();
        assert_eq!(bob.receive_packet(&again).unwrap_err().code(), "PEER_STALE");
    }
}

#[test]
fn on_a_connection_a_wrong_clock_shuts_neither_side() {
    let town = Town::new();
    let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
    (alice.ahead, bob.ahead) = (FAR, FAR);
    pay(&mut alice, &mut bob, asset, 10).payer.unwrap();
    pay(&mut bob, &mut alice, asset, 2).payer.unwrap();
    (alice.ahead, bob.ahead) = (0, 0);
    // Bob's clock was ahead too when he heard her: the plea says above what to begin.
    alice.lose_sessions();
    pay(&mut alice, &mut bob, asset, 1).payer.unwrap();
    pay(&mut bob, &mut alice, asset, 2).payer.unwrap();
    bob.lose_sessions();
    pay(&mut bob, &mut alice, asset, 2).payer.unwrap();
    assert_eq!(balance(&bob, &asset), 5);
}

#[test]
fn after_a_wrong_clock_both_begin_in_the_session_that_came_last() {
    let town = Town::new();
    let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
    alice.ahead = FAR;
    pay_by_file(&mut alice, &mut bob, asset, 20);
    alice.ahead = 0;
    alice.lose_sessions();
    pay_by_file(&mut alice, &mut bob, asset, 20);
    // Bob begins where Alice can read, although he still has the session of the future.
    pay_by_file(&mut bob, &mut alice, asset, 5);
    assert_eq!(balance(&bob, &asset), 35);
}
