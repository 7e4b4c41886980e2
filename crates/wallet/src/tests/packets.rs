use tally_agent::Input;
use tally_core::amount::Amount;
use tally_core::card::Signed;
use tally_core::cbor::to_bytes;
use tally_core::device::{Event, OutgoingState};
use tally_core::hash::Tag;
use tally_core::id::TxId;

use super::scene::{Town, balance, fund, generous, pay};
use crate::{Class, WalletError};

fn code<T: std::fmt::Debug>(result: Result<T, WalletError>) -> String {
    result.unwrap_err().code().to_owned()
}

fn is_receipted(wallet: &crate::Wallet) -> bool {
    wallet.device().outgoing().values().all(|o| o.state == OutgoingState::Receipted)
}

#[test]
fn an_invoice_is_paid_by_one_packet_and_receipted_by_another() {
    let town = Town::new();
    let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
    let invoice = bob.invoice(asset, Amount::new(120), 600).unwrap();
    let (packet, events) = alice.pay_invoice(&invoice).unwrap();
    assert!(matches!(events[..], [Event::Paid { .. }]));
    let (events, answers) = bob.receive_packet(&packet).unwrap();
    assert!(matches!(events[..], [Event::Received { .. }]));
    let (events, none) = alice.receive_packet(&answers[0]).unwrap();
    assert!(matches!(events[..], [Event::Receipted { .. }]));
    assert!(none.is_empty() && answers.len() == 1);
    assert!(is_receipted(&alice));
    assert_eq!((balance(&alice, &asset), balance(&bob, &asset)), (880, 120));
}

/// The wallet's own card, with so much beside it that no hello has room for it.
fn long_card(wallet: &mut crate::Wallet) -> Signed {
    let mut card = wallet.card().open_card().unwrap();
    for key in (101..).step_by(2).take(15) {
        card.fields = card.fields.with(key, vec![0; 256]).unwrap();
    }
    let payload = to_bytes(&card);
    let signature = wallet.seal.sign(&Signed::digest(Tag::Card, &payload)).unwrap();
    Signed::new(payload, signature).unwrap()
}

#[test]
fn a_payment_that_is_made_and_cannot_be_said_is_named_and_not_paid_anew() {
    let town = Town::new();
    let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
    let (long, short) = (long_card(&mut alice), alice.card().clone());
    alice.give(Input::Renew { card: Box::new(long) }, &mut |_| {}).unwrap();
    let invoice = bob.invoice(asset, Amount::new(120), 600).unwrap();
    let unsent = alice.pay_invoice(&invoice).unwrap_err();
    assert_eq!((unsent.code(), unsent.class()), ("WALLET_UNSENT", Class::Unreachable));
    let made: Vec<TxId> = alice.device().outgoing().keys().copied().collect();
    assert_eq!(made, [unsent.made().expect("it is named")]);
    assert!(unsent.to_string().contains("do not pay anew"), "{unsent}");
    assert_eq!(code(alice.pay_invoice(&invoice)), "WALLET_UNSENT", "it is the same payment");
    alice.give(Input::Renew { card: Box::new(short) }, &mut |_| {}).unwrap();
    let packets = alice.resend(bob.device().id()).unwrap();
    bob.receive_packet(&packets[0]).unwrap();
    assert_eq!((balance(&alice, &asset), balance(&bob, &asset)), (880, 120));
}

#[test]
fn the_second_payment_by_packet_needs_no_hello() {
    let town = Town::new();
    let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
    let mut sizes = Vec::new();
    for _ in 0..3 {
        let invoice = bob.invoice(asset, Amount::new(10), 600).unwrap();
        let (packet, _) = alice.pay_invoice(&invoice).unwrap();
        let (_, answers) = bob.receive_packet(&packet).unwrap();
        alice.receive_packet(&answers[0]).unwrap();
        sizes.push(packet.len());
    }
    assert!(sizes[0] > sizes[1] + 1000, "{sizes:?}");
    assert!(is_receipted(&alice));
}

#[test]
fn a_stranger_pays_an_invoice_and_becomes_a_contact() {
    let town = Town::new();
    let (mut alice, mut bob) = (town.create("alice"), town.create("bob"));
    let asset = fund(&mut alice, 1000);
    bob.add_policy(alice.device().policies()[&asset].clone()).unwrap();
    let invoice = bob.invoice(asset, Amount::new(7), 600).unwrap();
    let (packet, _) = alice.pay_invoice(&invoice).unwrap();
    let (events, answers) = bob.receive_packet(&packet).unwrap();
    assert!(matches!(events[..], [Event::Received { .. }]));
    alice.receive_packet(&answers[0]).unwrap();
    assert_eq!(bob.find_contact("ALICE").unwrap(), alice.device().id());
    assert_eq!(balance(&bob, &asset), 7);
    pay(&mut alice, &mut bob, asset, 5).payer.unwrap();
}

#[test]
fn a_packet_that_comes_twice_is_receipted_twice_and_pays_once() {
    let town = Town::new();
    let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
    let invoice = bob.invoice(asset, Amount::new(120), 600).unwrap();
    let (packet, _) = alice.pay_invoice(&invoice).unwrap();
    bob.receive_packet(&packet).unwrap();
    drop(bob);
    let mut bob = town.open("bob").unwrap();
    let (events, answers) = bob.receive_packet(&packet).unwrap();
    assert!(matches!(events[..], [Event::Again { .. }]));
    alice.receive_packet(&answers[0]).unwrap();
    assert!(is_receipted(&alice));
    let (events, _) = alice.receive_packet(&answers[0]).unwrap();
    assert!(matches!(events[..], [Event::Receipted { .. }]));
    assert_eq!((balance(&alice, &asset), balance(&bob, &asset)), (880, 120));
    pay(&mut alice, &mut bob, asset, 5).payer.unwrap();
    pay(&mut bob, &mut alice, asset, 5).payer.unwrap();
}

#[test]
fn packets_that_come_in_the_wrong_order_all_pay_in_the_end() {
    let town = Town::new();
    let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
    let packets: Vec<_> = [10, 20, 30]
        .into_iter()
        .map(|units| bob.invoice(asset, Amount::new(units), 600).unwrap())
        .map(|invoice| alice.pay_invoice(&invoice).unwrap().0)
        .collect();
    assert_eq!(code(bob.receive_packet(&packets[2])), "TRADE_LINK");
    assert_eq!(code(bob.receive_packet(&packets[1])), "TRADE_LINK");
    assert_eq!(balance(&bob, &asset), 0);
    for packet in &packets {
        let (_, answers) = bob.receive_packet(packet).unwrap();
        alice.receive_packet(&answers[0]).unwrap();
    }
    assert_eq!((balance(&alice, &asset), balance(&bob, &asset)), (940, 60));
    assert!(is_receipted(&alice));
    pay(&mut bob, &mut alice, asset, 60).payer.unwrap();
}

#[test]
fn an_invoice_that_is_paid_twice_is_paid_once() {
    let town = Town::new();
    let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
    let invoice = bob.invoice(asset, Amount::new(120), 600).unwrap();
    alice.pay_invoice(&invoice).unwrap();
    let (packet, events) = alice.pay_invoice(&invoice).unwrap();
    assert!(matches!(events[..], [Event::Paid { .. }]));
    let (_, answers) = bob.receive_packet(&packet).unwrap();
    alice.receive_packet(&answers[0]).unwrap();
    assert_eq!((balance(&alice, &asset), balance(&bob, &asset)), (880, 120));
    assert!(is_receipted(&alice));
}

#[test]
fn a_lost_packet_is_sent_again_in_a_session_that_the_payee_can_read() {
    let town = Town::new();
    let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
    pay(&mut alice, &mut bob, asset, 1).payer.unwrap();
    for units in 1..=6 {
        let invoice = bob.invoice(asset, Amount::new(units), 600).unwrap();
        alice.pay_invoice(&invoice).unwrap();
    }
    let to = bob.device().id();
    for wanted in [4, 2, 0] {
        let packets = alice.resend(to).unwrap();
        assert_eq!(packets.len(), wanted);
        for packet in packets {
            let (_, answers) = bob.receive_packet(&packet).unwrap();
            alice.receive_packet(&answers[0]).unwrap();
        }
    }
    assert_eq!((balance(&alice, &asset), balance(&bob, &asset)), (978, 22));
    assert!(is_receipted(&alice));
}

#[test]
fn a_packet_for_somebody_else_is_refused() {
    let town = Town::new();
    let ([mut alice, mut bob, mut carol], asset) = town.people(["alice", "bob", "carol"]);
    let invoice = bob.invoice(asset, Amount::new(120), 600).unwrap();
    let (packet, _) = alice.pay_invoice(&invoice).unwrap();
    assert_eq!(code(carol.receive_packet(&packet)), "PEER_NOT_FOR_ME");
    let mut bent = packet.clone();
    *bent.last_mut().unwrap() ^= 1;
    assert_eq!(code(bob.receive_packet(&bent)), "SESSION_FORGED");
    assert!(bob.receive_packet(&packet[..40]).is_err());
    assert!(bob.receive_packet(&[]).is_err());
    bob.receive_packet(&packet).unwrap();
    assert_eq!((balance(&bob, &asset), balance(&carol, &asset)), (120, 0));
}

#[test]
fn every_bent_byte_of_a_packet_leaves_the_payee_as_it_was() {
    let town = Town::new();
    let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
    let invoice = bob.invoice(asset, Amount::new(120), 600).unwrap();
    let (packet, _) = alice.pay_invoice(&invoice).unwrap();
    for at in (0..packet.len()).step_by(97) {
        let mut bent = packet.clone();
        bent[at] ^= 0x40;
        assert!(bob.receive_packet(&bent).is_err(), "byte {at}");
        assert_eq!(balance(&bob, &asset), 0);
    }
    bob.receive_packet(&packet).unwrap();
    assert_eq!(balance(&bob, &asset), 120);
}

#[test]
fn a_payee_who_lost_its_sessions_asks_for_a_new_hello() {
    let town = Town::new();
    let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
    pay(&mut alice, &mut bob, asset, 10).payer.unwrap();
    bob.lose_sessions();
    pay(&mut alice, &mut bob, asset, 10).payer.unwrap();
    alice.lose_sessions();
    pay(&mut alice, &mut bob, asset, 10).payer.unwrap();
    assert_eq!(balance(&bob, &asset), 30);
}

#[test]
fn hellos_that_cross_leave_both_able_to_read() {
    let town = Town::new();
    let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
    pay(&mut alice, &mut bob, asset, 500).payer.unwrap();
    for wallet in [&mut alice, &mut bob] {
        wallet.lose_sessions();
    }
    let to_bob = bob.invoice(asset, Amount::new(3), 600).unwrap();
    let to_alice = alice.invoice(asset, Amount::new(4), 600).unwrap();
    let (first, _) = alice.pay_invoice(&to_bob).unwrap();
    let (second, _) = bob.pay_invoice(&to_alice).unwrap();
    let (_, to_alice) = bob.receive_packet(&first).unwrap();
    let (_, to_bob) = alice.receive_packet(&second).unwrap();
    alice.receive_packet(&to_alice[0]).unwrap();
    bob.receive_packet(&to_bob[0]).unwrap();
    assert!(is_receipted(&alice) && is_receipted(&bob));
    pay(&mut bob, &mut alice, asset, 1).payer.unwrap();
    pay(&mut alice, &mut bob, asset, 2).payer.unwrap();
    assert_eq!((balance(&alice, &asset), balance(&bob, &asset)), (500, 500));
}

#[test]
fn an_invoice_of_another_network_or_an_unknown_asset_is_refused() {
    let town = Town::new();
    let (mut alice, mut bob) = (town.create("alice"), town.create("bob"));
    bob.set_accept_policy(generous()).unwrap();
    let asset = fund(&mut bob, 10);
    let invoice = bob.invoice(asset, Amount::new(3), 600).unwrap();
    assert_eq!(code(alice.pay_invoice(&invoice)), "INSUFFICIENT_FUNDS");
}
