//! A device comes back from a backup: what it may do, what it learns, and from whom.

mod apart;
mod beyond;
mod intents;
mod second_hand;
mod word;

use super::scene::Scene;
use crate::cbor::List;
use crate::device::MAX_ALL_TERMS;
use crate::device::{Basis, Change, Event, Input, Mode, OutgoingState};
use crate::evidence::Hop;
use crate::id::Nonce;
use crate::message::{History, Message, SyncReply, Told};
use crate::predicate::{Unlock, spend_digest};

fn confirm(scene: &mut Scene) -> Result<(), &'static str> {
    scene.people[0].tell(Input::ConfirmRecovery(Basis::Contacts)).map_err(|e| e.code())
}

/// The owner's word that nothing was signed after the latest step that is known.
fn by_word(scene: &mut Scene) -> Result<(), &'static str> {
    scene.people[0].tell(Input::ConfirmRecovery(Basis::OwnersWord)).map_err(|e| e.code())
}

/// Alice, who pays Bob 100 and Carol 200 after her backup, and restores it.
fn restored() -> Scene {
    let mut scene = Scene::new(3, 1000);
    scene.pay(0, 1, 50);
    let backup = scene.people[0].disk.clone();
    scene.pay(0, 1, 100);
    scene.pay(0, 2, 200);
    scene.people[0].restore(backup);
    assert_eq!(scene.balances(), [950, 150, 200], "she thinks that she has it still");
    scene
}

#[test]
fn a_restored_device_receives_only_until_all_were_met_and_then_pays_on() {
    let mut scene = restored();
    assert_eq!(scene.start(0, 1, 1).map_err(|e| e.code()), Err("RECEIVE_ONLY"));
    scene.pay(1, 0, 25);
    assert_eq!(scene.balances(), [975, 125, 200], "it can be paid");
    assert_eq!(confirm(&mut scene), Err("NOT_RECOVERED"));
    scene.meet(0, 2);
    assert_eq!(scene.people[0].device.seq(), 3, "Carol's coin has the step before hers behind it");
    assert_eq!(confirm(&mut scene), Err("NOT_RECOVERED"), "Bob may hold a later one");
    scene.meet(0, 1);
    assert_eq!(scene.people[0].device.seq(), 3);
    assert_eq!(scene.balances(), [675, 125, 200]);
    assert_eq!(confirm(&mut scene), Ok(()));
    assert_eq!(*scene.people[0].device.mode(), Mode::Normal);
    scene.pay(0, 2, 675);
    assert_eq!(scene.balances(), [0, 125, 875]);
    scene.meet(1, 2);
    assert!(!scene.anyone_convicted());
}

#[test]
fn terms_that_no_record_holds_are_given_up_at_a_restore() {
    let mut scene = Scene::new(2, 1000);
    scene.invoice(0, 1);
    let (_, terms) = scene.people[0].device.terms().iter().next().expect("terms");
    let of = |n: u16| {
        let mut nonce = [9; 16];
        nonce[..2].copy_from_slice(&n.to_be_bytes());
        Change::Terms(Nonce::new(nonce), Some(terms.clone()))
    };
    let many: alloc::vec::Vec<Change> = (0..2400).map(of).collect();
    scene.people[0].store(&many);
    let backup = scene.people[0].disk.clone();
    scene.people[0].restore(backup);
    scene.people[0].restart();
    assert_eq!(scene.people[0].device.terms().len(), MAX_ALL_TERMS);
    assert_eq!(scene.people[0].device.recovered.before.len(), MAX_ALL_TERMS);
}

#[test]
fn it_does_not_matter_who_begins_the_meeting() {
    let mut scene = restored();
    scene.meet(1, 0);
    scene.meet(2, 0);
    assert_eq!(scene.people[0].device.seq(), 3);
    assert_eq!(confirm(&mut scene), Ok(()));
    scene.pay(0, 1, 650);
    assert!(!scene.anyone_convicted());
}

#[test]
fn a_contact_that_was_not_met_keeps_recovery_open() {
    let mut scene = restored();
    scene.meet(0, 1);
    assert_eq!(scene.people[0].device.seq(), 2);
    assert_eq!(confirm(&mut scene), Err("NOT_RECOVERED"), "Carol may know of a later step");
}

#[test]
fn a_contact_who_cannot_be_met_is_given_up_by_name() {
    let mut scene = restored();
    scene.meet(0, 1);
    let contact = scene.id(2);
    scene.people[0].tell(Input::GiveUp { contact }).expect("a contact");
    assert_eq!(confirm(&mut scene), Err("RECOVERY_END_OPEN"), "Carol may know of a later step");
    assert_eq!(by_word(&mut scene), Ok(()), "at the owner's own risk");
}

#[test]
fn a_device_whom_nobody_met_stays_receive_only_unless_its_journal_or_its_owner_vouches() {
    let mut scene = restored();
    for contact in [scene.id(1), scene.id(2)] {
        scene.people[0].tell(Input::GiveUp { contact }).expect("a contact");
    }
    assert_eq!(confirm(&mut scene), Err("RECOVERY_UNCONFIRMED"), "all were given up");
    assert_eq!(*scene.people[0].device.mode(), Mode::ReceiveOnly);
    for basis in [Basis::Journal, Basis::OwnersWord] {
        let mut other = scene.people[0].clone();
        let confirmed = other.tell(Input::ConfirmRecovery(basis));
        assert_eq!(confirmed.map_err(|e| e.code()), Ok(()));
    }
    scene.meet(0, 1);
    assert_eq!(confirm(&mut scene), Err("RECOVERY_END_OPEN"), "Carol is still given up");
    scene.meet(0, 2);
    assert_eq!(confirm(&mut scene), Ok(()), "all were met after all");
    let mut alone = Scene::new(1, 1000);
    alone.people[0].tell(Input::Restored).expect("always");
    assert_eq!(confirm(&mut alone), Err("RECOVERY_UNCONFIRMED"), "there is no contact");
}

#[test]
fn a_contact_that_the_backup_does_not_know_vouches_only_by_what_it_gives_back() {
    let mut scene = Scene::new(3, 1000);
    for contact in [scene.id(1), scene.id(2)] {
        scene.people[0].tell(Input::RemoveContact(contact)).expect("nothing rests on it");
    }
    let backup = scene.people[0].disk.clone();
    let cards = [scene.people[1].card(), scene.people[2].card()];
    scene.people[0].tell(Input::Contact(cards[0].clone())).expect("a card");
    scene.pay(0, 1, 100);
    scene.people[0].restore(backup);
    scene.people[0].tell(Input::Contact(cards[1].clone())).expect("a card");
    scene.meet(0, 2);
    assert_eq!(confirm(&mut scene), Err("RECOVERY_UNCONFIRMED"), "Carol was never paid");
    let contact = scene.id(2);
    scene.people[0].tell(Input::GiveUp { contact }).expect("a contact");
    scene.meet(0, 2);
    assert_eq!(confirm(&mut scene), Err("RECOVERY_UNCONFIRMED"), "nor after she was given up");
    scene.people[0].tell(Input::Contact(cards[0].clone())).expect("a card");
    scene.meet(0, 1);
    assert_eq!(confirm(&mut scene), Ok(()), "Bob has given a step back");
    assert_eq!(scene.people[0].device.seq(), 1);
}

#[test]
fn a_device_that_was_set_back_unnoticed_learns_it_from_whom_it_paid() {
    let mut scene = Scene::new(2, 1000);
    let backup = scene.people[0].disk.clone();
    scene.pay(0, 1, 100);
    // Its disk is the old one, and nobody told it.
    scene.people[0].disk = backup;
    scene.people[0].restart();
    assert_eq!(*scene.people[0].device.mode(), Mode::Normal);
    scene.meet(1, 0);
    assert_eq!(*scene.people[0].device.mode(), Mode::ReceiveOnly);
    assert_eq!(scene.people[0].device.seq(), 1);
}

#[test]
fn recovery_survives_a_restart() {
    let mut scene = restored();
    scene.meet(0, 2);
    scene.people[0].restart();
    assert_eq!(*scene.people[0].device.mode(), Mode::ReceiveOnly);
    assert_eq!(scene.people[0].device.latest().0, 3, "Carol's step is kept");
    scene.meet(0, 1);
    assert_eq!(confirm(&mut scene), Ok(()));
    assert!(scene.people[0].events.contains(&Event::Recovered { seq: 3 }));
}

#[test]
fn payments_that_it_lost_come_back_and_so_do_the_steps_that_spent_them() {
    let mut scene = Scene::new(3, 1000);
    scene.mint_to(1, 2, 500);
    let backup = scene.people[0].disk.clone();
    scene.pay(1, 0, 300);
    scene.pay(0, 1, 1100);
    scene.pay(1, 0, 40);
    scene.pay(0, 2, 7);
    let (honest, head) = (scene.balances(), scene.people[0].device.head());
    scene.people[0].restore(backup);
    scene.meet(0, 1);
    scene.meet(0, 2);
    assert_eq!(scene.balances(), honest);
    assert_eq!(scene.people[0].device.head(), head);
    assert_eq!(confirm(&mut scene), Ok(()));
    scene.pay(0, 2, scene.balances()[0]);
    assert_eq!(scene.balances()[0], 0);
    assert!(!scene.anyone_convicted());
}

#[test]
fn more_steps_than_one_message_tells_are_all_learnt() {
    let mut scene = Scene::new(2, 0);
    for serial in 0..70 {
        scene.mint_to(0, serial, 1);
    }
    let backup = scene.people[0].disk.clone();
    for _ in 0..70 {
        scene.pay(0, 1, 1);
    }
    scene.people[0].restore(backup);
    scene.meet(0, 1);
    assert_eq!(scene.people[0].device.seq(), 70);
    assert_eq!(confirm(&mut scene), Ok(()));
}

/// The first step that was told whole.
fn first_told(history: Option<History>) -> Hop {
    match history.expect("a history").steps.first() {
        Some(Told::Whole(hop)) => hop.clone(),
        other => panic!("{other:?}"),
    }
}

fn history<const N: usize>(hops: [Hop; N]) -> History {
    History { steps: List::truncated(hops.map(Told::Whole).into()), more: false }
}

/// What Bob answers Alice, to be bent.
fn reply_of_bob(scene: &mut Scene) -> SyncReply {
    let (alice, contact) = (scene.id(0), scene.id(1));
    scene.people[0].tell(Input::Meet { contact }).expect("a contact");
    let (_, sync) = scene.people[0].out.pop_front().expect("a sync");
    scene.people[1].hear(alice, &sync).expect("heard");
    match scene.people[1].out.pop_front() {
        Some((_, Message::SyncReply(reply))) => reply,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_history_that_a_contact_made_up_is_passed_over() {
    let mut scene = restored();
    let mut reply = reply_of_bob(&mut scene);
    let true_hop = first_told(reply.history.take());
    // Bob signs a step in Alice's name, and alters one that she did sign.
    let mut invented = true_hop.clone();
    invented.tx.step.seq = 9;
    let digest = spend_digest(&invented.tx.body.inputs[0], &invented.tx.id());
    let mut witness = invented.witnesses[0].clone();
    witness.unlock = Unlock::Signature(scene.people[1].key.sign(&digest));
    invented.witnesses = List::truncated([witness].into());
    let mut altered = true_hop.clone();
    altered.tx.body.outputs = List::truncated([altered.tx.body.outputs[0].clone()].into());
    let mut bare = true_hop;
    bare.witnesses = List::default();
    reply.history = Some(history([invented, altered, bare]));
    let bob = scene.id(1);
    let before = scene.people[0].device.head();
    scene.people[0].hear(bob, &Message::SyncReply(reply)).expect("heard");
    assert_eq!(scene.people[0].device.head(), before);
    assert_eq!(scene.people[0].device.latest().0, 1, "nothing was taken");
    scene.people[0].out.clear();
    scene.meet(0, 1);
    scene.meet(0, 2);
    assert_eq!(confirm(&mut scene), Ok(()), "the truth is still taken");
}

#[test]
fn a_true_step_with_another_unlock_does_not_stand_in_its_way() {
    let mut scene = restored();
    let mut reply = reply_of_bob(&mut scene);
    let hop = first_told(reply.history.take());
    let mut bent = hop.clone();
    let owner = bent.witnesses[0].unlock.owner_signature().clone();
    let mut witness = bent.witnesses[0].clone();
    witness.unlock = Unlock::Reserved(owner.clone(), owner);
    bent.witnesses = List::truncated([witness].into());
    reply.history = Some(history([bent, hop]));
    let bob = scene.id(1);
    scene.people[0].hear(bob, &Message::SyncReply(reply)).expect("heard");
    assert_eq!(scene.people[0].device.seq(), 2);
    scene.people[0].out.clear();
    scene.meet(0, 1);
    scene.meet(0, 2);
    assert_eq!(confirm(&mut scene), Ok(()));
    scene.pay(0, 1, 600);
    assert_eq!(scene.balances(), [50, 750, 200], "its change can be paid with");
}

#[test]
fn a_payment_that_waits_for_its_seal_in_a_backup_is_signed_as_it_was() {
    let mut scene = Scene::new(2, 1000);
    let invoice = scene.invoice(1, 250);
    scene.people[0].dies_in = Some(1);
    scene.pay_invoice(0, 1, &invoice);
    let backup = scene.people[0].disk.clone();
    scene.meet(0, 1);
    assert_eq!(scene.balances(), [750, 250]);
    scene.people[0].restore(backup);
    // Whoever signs another transaction with this step's number fails in the scene.
    scene.meet(0, 1);
    let states = |scene: &Scene| -> alloc::vec::Vec<_> {
        scene.people[0].device.outgoing().values().map(|o| o.state).collect()
    };
    assert_eq!(states(&scene), [OutgoingState::Signed], "Bob has it, and gives it back");
    scene.meet(0, 1);
    assert_eq!(states(&scene), [OutgoingState::Receipted]);
    assert_eq!(scene.balances(), [750, 250]);
}
