//! What an owner lives through: limits, contacts who are gone, and a backup from a bad moment.

use tally_core::accept::AcceptPolicy;
use tally_core::amount::Amount;
use tally_core::device::{Event, Mode, OutgoingState};

use super::Fuse;
use super::scene::{Town, balance, generous, passphrase, pay, sync};
use crate::{Wallet, restore};

fn invoice_paid(payer: &mut Wallet, payee: &mut Wallet, units: u64) -> Vec<u8> {
    let asset = payer.find_asset("EUR").unwrap();
    let invoice = payee.invoice(asset, Amount::new(units), 600).unwrap();
    payer.pay_invoice(&invoice).unwrap().0
}

#[test]
fn a_payment_beyond_what_the_owner_accepts_is_held_receipted_and_can_be_paid_back() {
    let town = Town::new();
    let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
    let packet = invoice_paid(&mut alice, &mut bob, 700);
    // Bob thinks better of it once the invoice is out.
    bob.set_accept_policy(AcceptPolicy::default()).unwrap();
    let (events, answers) = bob.receive_packet(&packet).unwrap();
    let [Event::Held { reason, amount, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((reason.code.as_str(), amount.units()), ("ACCEPT_PER_PAYMENT", 700));
    for answer in &answers {
        alice.receive_packet(answer).unwrap();
    }
    let outgoing = alice.device().outgoing().values().next().unwrap();
    assert_eq!(outgoing.state, OutgoingState::Receipted, "Bob has it, whatever he thinks of it");
    drop(bob);
    let mut bob = town.open("bob").unwrap();
    let (events, _) = bob.receive_packet(&packet).unwrap();
    assert!(matches!(events[..], [Event::Again { .. }]), "{events:?}");
    assert!(bob.device().incoming().values().all(|i| !i.accepted));
    pay(&mut bob, &mut alice, asset, 700).payer.unwrap();
    assert_eq!((balance(&alice, &asset), balance(&bob, &asset)), (1000, 0));
}

#[test]
fn an_invoice_above_the_payees_limit_costs_the_payer_nothing() {
    let town = Town::new();
    let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
    bob.set_accept_policy(AcceptPolicy::default()).unwrap();
    let invoice = bob.invoice(asset, Amount::new(700), 600).unwrap();
    let refused = alice.pay_invoice(&invoice).unwrap_err();
    assert_eq!((refused.code(), alice.device().seq()), ("ACCEPT_TIER", 0));
}

#[test]
fn an_owner_who_gives_up_on_a_contact_pays_on_without_meeting_it() {
    let town = Town::new();
    let ([alice, mut bob, carol], asset) = town.people(["alice", "bob", "carol"]);
    let file = town.root.path().join("backup");
    alice.backup(passphrase("far away"), &file).unwrap();
    drop(alice);
    let setup = town.setup_on("elsewhere");
    let dir = town.dir("restored");
    let mut alice = restore(&file, &passphrase("far away"), &dir, &setup).unwrap();
    sync(&mut alice, &mut bob).payer.unwrap();
    assert_eq!(alice.confirm_recovery(false).unwrap_err().code(), "NOT_RECOVERED");
    let nobody = alice.give_up(alice.device().id()).unwrap_err();
    assert_eq!(nobody.code(), "UNKNOWN_CONTACT");
    alice.give_up(carol.device().id()).unwrap();
    drop(alice);
    let mut alice = Wallet::open(&dir, &setup).unwrap();
    assert_eq!(alice.confirm_recovery(false).unwrap_err().code(), "RECOVERY_END_OPEN");
    alice.confirm_recovery(true).unwrap();
    assert_eq!(*alice.device().mode(), Mode::Normal);
    pay(&mut alice, &mut bob, asset, 10).payer.unwrap();
}

/// Alice's wallet dies between taking a step and signing it; the backup is of that moment. Later she
/// signs it, and two more.
#[test]
fn a_step_that_a_backup_holds_unsigned_is_signed_again_behind_those_that_came_after() {
    for machine in ["here", "elsewhere"] {
        let town = Town::new();
        let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
        alice.set_accept_policy(generous()).unwrap();
        let invoice = bob.invoice(asset, Amount::new(100), 600).unwrap();
        alice.keep_key_elsewhere();
        alice.store.fuse = Some(Fuse::new(0, true));
        alice.pay_invoice(&invoice).unwrap_err();
        alice.store.fuse = None;
        let file = town.root.path().join("backup");
        alice.backup(passphrase("far away"), &file).unwrap();
        drop(alice);
        let mut alice = town.open("alice").unwrap();
        let signed = alice.device().outgoing().values().next().unwrap().clone();
        assert_eq!(signed.state, OutgoingState::Signed);
        pay(&mut alice, &mut bob, asset, 50).payer.unwrap();
        pay(&mut alice, &mut bob, asset, 20).payer.unwrap();
        drop(alice);

        let setup = town.setup_on(machine);
        let dir = town.dir("restored");
        let mut alice = restore(&file, &passphrase("far away"), &dir, &setup).unwrap();
        let intent = alice.device().outgoing().values().next().unwrap();
        assert_eq!(intent.state, OutgoingState::Intent, "{machine}: the backup is of that moment");
        let met = sync(&mut alice, &mut bob);
        assert!(met.payer.is_ok(), "{machine}: {:?} {:?}", met.payer, met.payee);
        alice.confirm_recovery(false).unwrap();
        let again = &alice.device().outgoing()[&signed.tx];
        assert_eq!(again.payment, signed.payment, "{machine}: the same bytes");
        assert_eq!(alice.device().seq(), 3);
        pay(&mut alice, &mut bob, asset, 5).payer.unwrap();
        assert_eq!((balance(&alice, &asset), balance(&bob, &asset)), (825, 175), "{machine}");
        assert!(bob.device().forks().is_empty());
    }
}
