//! Contacts who come, go and are somebody else.

use tally_core::amount::Amount;
use tally_core::device::Event;

use super::scene::{Town, balance, copy_folder, over_tcp, pay, sync};
use crate::{Class, Setup, Wallet};

#[test]
fn a_contact_that_is_removed_takes_its_sessions_along_and_can_come_back() {
    let town = Town::new();
    let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
    pay(&mut alice, &mut bob, asset, 100).payer.unwrap();
    let (a, b) = (alice.device().id(), bob.device().id());
    let kept = bob.remove_contact(a).unwrap_err();
    assert_eq!((kept.code(), kept.class()), ("CONTACT_IN_USE", Class::Refused));
    pay(&mut bob, &mut alice, asset, 100).payer.unwrap();
    bob.remove_contact(a).unwrap();
    assert_eq!(bob.sessions(), 0);
    // What is left is what was heard of those who are gone, under his own id.
    let stored = bob.store.load().unwrap().unwrap().sessions;
    assert!(stored.iter().all(|(contact, _)| *contact == b), "{}", stored.len());
    drop(bob);
    let mut bob = town.open("bob").unwrap();
    assert_eq!(bob.remove_contact(a).unwrap_err().code(), "UNKNOWN_CONTACT");
    // She still has a session with him, which he cannot read: she says hello anew.
    pay(&mut alice, &mut bob, asset, 30).payer.unwrap();
    assert_eq!(balance(&bob, &asset), 30);
    assert_eq!(bob.device().contacts()[&a].stranger, None);
    assert!(bob.waiting(&b) == 0 && bob.device().forks().is_empty());
}

#[test]
fn whoever_reaches_another_device_is_told_so_and_nothing_is_paid() {
    let town = Town::new();
    let ([mut alice, mut bob, mut carol], asset) = town.people(["alice", "bob", "carol"]);
    let to = bob.device().id();
    for known in [false, true] {
        if known {
            // Now she has a session with Bob, and one with Carol.
            sync(&mut alice, &mut bob).payer.unwrap();
            sync(&mut alice, &mut carol).payer.unwrap();
        }
        let met = over_tcp(&mut carol, |channel, show| alice.sync_over(channel, to, show));
        let wrong = met.payer.unwrap_err();
        assert_eq!((wrong.code(), wrong.class()), ("PEER_WRONG_DEVICE", Class::Unreachable));
        assert_eq!(met.payee.unwrap_err().code(), "PEER_NOT_FOR_ME");
        let met = over_tcp(&mut carol, |channel, show| {
            alice.pay_over(channel, to, asset, Amount::new(5), show)
        });
        assert_eq!(met.payer.unwrap_err().code(), "PEER_WRONG_DEVICE");
    }
    assert_eq!((balance(&alice, &asset), balance(&carol, &asset)), (1000, 0));
    pay(&mut alice, &mut bob, asset, 5).payer.unwrap();
}

/// Alice pays Carol from one coin and Bob from another; a copy from before pays Bob from the first.
#[test]
fn what_was_signed_in_a_file_that_is_refused_is_remembered_and_convicts_later() {
    let town = Town::new();
    let ([mut alice, mut bob, mut carol], asset) = town.people(["alice", "bob", "carol"]);
    let card = alice.card().open_card().unwrap();
    let minted = alice.mint(asset, Amount::new(50), &card).unwrap();
    alice.receive_mint(minted).unwrap();
    drop(alice);
    let state = town.root.path().join("state");
    copy_folder(&town.dir("alice"), &town.dir("copy"));
    copy_folder(&state.join("here"), &state.join("copied"));
    let mut alice = town.open("alice").unwrap();
    pay(&mut alice, &mut carol, asset, 60).payer.unwrap();
    pay(&mut alice, &mut carol, asset, 60).payer.unwrap();
    pay(&mut alice, &mut bob, asset, 10).payer.unwrap();
    let setup = Setup { state_dir: state.join("copied"), ..town.setup_on("here") };
    let mut copy = Wallet::open(&town.dir("copy"), &setup).unwrap();
    let invoice = bob.invoice(asset, Amount::new(300), 600).unwrap();
    copy.pay_invoice(&invoice).unwrap();
    let packets = copy.resend(bob.device().id()).unwrap();
    assert_eq!(bob.receive_packet(&packets[0]).unwrap_err().code(), "TRADE_LINK");
    drop(bob);
    let mut bob = town.open("bob").unwrap();
    assert!(bob.device().forks().is_empty(), "he alone cannot know");
    let met = sync(&mut bob, &mut carol);
    assert!(met.shown.iter().any(|e| matches!(e, Event::Forked { .. })), "{:?}", met.shown);
}
