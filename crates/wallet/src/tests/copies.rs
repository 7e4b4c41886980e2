//! A copy of a wallet that signs beside it is found out, whatever state its sessions are in.

use tally_core::amount::Amount;
use tally_core::device::Event;
use tally_core::id::AssetId;

use super::scene::{Named, Town, balance, copy_folder, over_tcp};
use crate::{Setup, Wallet};

/// Alice pays Bob by file and is copied, with the journal, as if the whole machine was. Then both go
/// on: she pays 200, and the copy signs 300 for another invoice.
fn copied() -> (Town, Wallet, Wallet, AssetId, Vec<u8>) {
    let town = Town::new();
    let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
    let mut pay = |alice: &mut Wallet, units| {
        let invoice = bob.invoice(asset, Amount::new(units), 600).unwrap();
        let (packet, _) = alice.pay_invoice(&invoice).unwrap();
        let (_, answers) = bob.receive_packet(&packet).unwrap();
        alice.receive_packet(&answers[0]).unwrap();
    };
    pay(&mut alice, 100);
    drop(alice);
    let state = town.root.path().join("state");
    copy_folder(&town.dir("alice"), &town.dir("copy"));
    copy_folder(&state.join("here"), &state.join("copied"));
    let mut alice = town.open("alice").unwrap();
    pay(&mut alice, 200);
    let setup = Setup {
        state_dir: state.join("copied"),
        machine: Box::new(Named("here")),
        ..town.setup_on("here")
    };
    let mut copy = Wallet::open(&town.dir("copy"), &setup).unwrap();
    let invoice = bob.invoice(asset, Amount::new(300), 600).unwrap();
    let (packet, _) = copy.pay_invoice(&invoice).unwrap();
    (town, copy, bob, asset, packet)
}

fn convicts(events: &[Event]) -> bool {
    events.iter().any(|event| matches!(event, Event::Forked { .. }))
}

#[test]
fn a_copy_whose_file_is_taken_for_a_replay_is_convicted_by_what_it_sends_again() {
    let (_town, mut copy, mut bob, asset, packet) = copied();
    let refused = bob.receive_packet(&packet).unwrap_err();
    assert_eq!(refused.code(), "SESSION_REPLAY", "its counter is used");
    let again = copy.resend(bob.device().id()).unwrap();
    let (events, _) = bob.receive_packet(&again[0]).unwrap();
    assert!(convicts(&events), "{events:?}");
    assert_eq!(balance(&bob, &asset), 300, "and what it signed is not taken");
}

#[test]
fn a_copy_over_a_connection_says_hello_anew_and_is_convicted() {
    let (_town, mut copy, mut bob, asset, _) = copied();
    let to = bob.device().id();
    let met = over_tcp(&mut bob, |channel, show| copy.resend_over(channel, to, show));
    assert!(convicts(&met.served), "{:?}", met.served);
    assert_eq!(met.payer.unwrap_err().code(), "WALLET_WAITING");
    assert_eq!(balance(&bob, &asset), 300);
}

#[test]
fn a_meeting_with_a_copy_that_signed_convicts_it() {
    let (_town, mut copy, mut bob, _, _) = copied();
    let to = bob.device().id();
    let met = over_tcp(&mut bob, |channel, show| copy.sync_over(channel, to, show));
    assert!(convicts(&met.served), "{:?} {:?}", met.payer, met.served);
}
