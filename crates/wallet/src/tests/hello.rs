//! First packets: what they show, what they cost, and that each is heard once.

use std::thread;

use tally_core::amount::Amount;
use tally_core::cbor::Blob;
use tally_core::packet::Packet;
use tally_transport::{Channel, memory};

use super::scene::{Town, balance, pay};
use crate::{Visit, Wallet};

/// A first packet that asks for a meeting, caught on its way.
fn ask_to_meet(wallet: &mut Wallet, other: &Wallet) -> Vec<u8> {
    let contact = other.device().id();
    let (mut near, mut far) = memory::pair();
    thread::scope(|scope| {
        let asking = scope.spawn(move || wallet.sync_over(&mut near, contact, &mut |_| {}));
        let packet = far.recv().unwrap();
        drop(far);
        assert!(asking.join().unwrap().is_err(), "nobody answers");
        packet
    })
}

/// Why a packet is not heard on a connection, or what is answered.
fn hear(wallet: &mut Wallet, packet: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let heard = wallet.answer(&mut Visit::default(), packet, &mut |_| {});
    heard.map_err(|error| error.code().to_owned())
}

#[test]
fn a_first_packet_shows_neither_who_sends_it_nor_for_whom() {
    let town = Town::new();
    let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
    let invoice = bob.invoice(asset, Amount::new(7), 600).unwrap();
    let (packet, _) = alice.pay_invoice(&invoice).unwrap();
    let shows = |what: &[u8]| packet.windows(what.len()).any(|part| part == what);
    for wallet in [&alice, &bob] {
        let card = wallet.card().open_card().unwrap();
        assert!(!shows(card.name.as_str().as_bytes()));
        assert!(!shows(card.owner.as_bytes()) && !shows(card.device().as_bytes()));
        assert!(!shows(&card.session_key.as_slice()[..16]));
    }
    bob.receive_packet(&packet).unwrap();
    assert_eq!(balance(&bob, &asset), 7);
}

#[test]
fn a_connection_that_brings_junk_alone_is_not_decrypted_for_ever() {
    let town = Town::new();
    let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
    let mut packet = Packet::from_wire(&ask_to_meet(&mut alice, &bob)).unwrap();
    let mut hello = packet.hello.unwrap().as_slice().to_vec();
    *hello.last_mut().unwrap() ^= 1;
    packet.hello = Some(Blob::new(hello).unwrap());
    let (junk, mut visit) = (packet.to_wire(), Visit::default());
    let mut answers = Vec::new();
    let refused = (0..20).find_map(|_| match bob.answer(&mut visit, &junk, &mut |_| {}) {
        Ok(answer) => {
            answers.extend(answer);
            None
        }
        Err(error) => Some(error),
    });
    assert_eq!(refused.expect("it ends").code(), "SESSION_BUDGET");
    assert_eq!(answers.len(), 1, "one plea");
    // Another connection is another source.
    pay(&mut alice, &mut bob, asset, 5).payer.unwrap();
    assert_eq!(balance(&bob, &asset), 5);
}

#[test]
fn an_old_hello_is_not_heard_again_after_its_sender_was_removed() {
    let town = Town::new();
    let ([mut alice, mut bob], _) = town.people(["alice", "bob"]);
    let (packet, id) = (ask_to_meet(&mut alice, &bob), alice.device().id());
    assert!(!is_plea(&hear(&mut bob, &packet).unwrap()));
    bob.remove_contact(id).unwrap();
    assert!(is_plea(&hear(&mut bob, &packet).unwrap()));
    drop(bob);
    let mut bob = town.open("bob").unwrap();
    assert!(is_plea(&hear(&mut bob, &packet).unwrap()), "it is durable");
    assert!(!bob.device().contacts().contains_key(&id));
    // Whoever comes back says hello anew.
    alice.lose_sessions();
    let again = ask_to_meet(&mut alice, &bob);
    assert!(!is_plea(&hear(&mut bob, &again).unwrap()));
    assert!(bob.device().contacts().contains_key(&id));
}

/// Whether all that is answered is to say hello anew.
fn is_plea(answers: &[Vec<u8>]) -> bool {
    matches!(answers, [plea] if plea[0] == 3 && plea.len() == 9)
}
