//! What waits for the seal in a backup: signed since, or given up and its number taken by another step.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::apart::{apart, give_up_bob};
use super::{by_word, confirm};
use crate::device::OutgoingState::{self, GivenUp, Intent};
use crate::device::tests::scene::{LOCK, NOW, Person, Scene};
use crate::device::tests::sealed;
use crate::device::tests::tpm::ENROLLED_UNTIL;
use crate::device::{Apart, Basis, Change, Input, Mode, RecoveryError};
use crate::evidence::Sighting;
use crate::id::TxId;

/// Alice, whose sealed coin of 1000 waits for proofs of a payment when she makes a backup. She gives it
/// up after that.
fn given_up_later(people: u8, payee: usize) -> (Scene, TxId, BTreeMap<Vec<u8>, Vec<u8>>) {
    let mut scene = sealed::scene(people);
    let tx = wait(&mut scene, payee, 250);
    scene.mint_to(0, 2, 600);
    let backup = scene.people[0].disk.clone();
    give_up_payment(&mut scene, tx);
    (scene, tx, backup)
}

/// Begins a payment while nobody noticed that the TPM is away.
fn wait(scene: &mut Scene, payee: usize, units: u64) -> TxId {
    away(scene, true);
    let invoice = scene.invoice(payee, units);
    scene.pay_invoice(0, payee, &invoice);
    scene.people[0].device.pending().last().expect("it waits").tx
}

fn give_up_payment(scene: &mut Scene, tx: TxId) {
    let input = Input::SlotsLost { tx: Some(tx), slots: Vec::new() };
    scene.people[0].tell(input).expect("given up");
    away(scene, false);
}

fn away(scene: &Scene, away: bool) {
    scene.people[0].tpm.as_ref().expect("hardware").take_away(away);
}

fn state(scene: &Scene, tx: &TxId) -> OutgoingState {
    scene.people[0].device.outgoing()[tx].state
}

fn all_meet(scene: &mut Scene) {
    for one in 0..scene.people.len() {
        (0..one).for_each(|other| scene.meet(one, other));
    }
    assert!(!scene.anyone_convicted());
}

#[test]
fn an_intent_in_the_backup_that_was_given_up_later_does_not_freeze_and_is_never_signed() {
    let (mut scene, tx, backup) = given_up_later(3, 1);
    scene.pay(0, 2, 900);
    scene.people[0].restore(backup);
    // Whoever signs two transactions of one coin is convicted when Bob and Carol meet.
    scene.meet(0, 1);
    scene.meet(0, 2);
    assert_eq!(state(&scene, &tx), GivenUp);
    assert_eq!(confirm(&mut scene), Ok(()));
    assert_eq!(scene.balances(), [700, 0, 900]);
    scene.pay(0, 1, 700);
    assert_eq!(scene.balances(), [0, 700, 900]);
    all_meet(&mut scene);
}

#[test]
fn an_intent_in_the_backup_is_set_apart_if_a_step_is_missing() {
    let (mut scene, tx, backup) = given_up_later(4, 3);
    // Its number is free again, and Bob's payment takes it: the intent's coin, too.
    scene.pay(0, 1, 1000);
    scene.pay(0, 2, 500);
    scene.people[0].restore(backup);
    scene.meet(0, 2);
    scene.meet(0, 3);
    assert_eq!(state(&scene, &tx), GivenUp, "Carol's step does not stand on it");
    assert_eq!(scene.people[0].device.missing().first(), Some(1));
    give_up_bob(&mut scene);
    assert_eq!(by_word(&mut scene), Ok(()));
    assert_eq!(apart(&scene.people[0]), [(1000, Apart::Question)]);
    scene.meet(0, 3);
    assert_eq!(scene.balances()[3], 0, "what may have been given up is not signed");
    scene.pay(0, 3, 100);
    scene.meet(0, 1);
    assert_eq!(scene.balances(), [0, 1000, 500, 100]);
    all_meet(&mut scene);
}

#[test]
fn an_intent_that_a_later_step_stands_on_by_its_head_alone_stays_and_its_number_is_not_missing() {
    let mut scene = sealed::scene(3);
    let tx = wait(&mut scene, 1, 250);
    scene.mint_to(0, 2, 600);
    let backup = scene.people[0].disk.clone();
    scene.pay(0, 2, 600);
    scene.people[0].restore(backup);
    away(&scene, false);
    scene.meet(0, 2);
    scene.meet(0, 1);
    assert_eq!(state(&scene, &tx), Intent);
    assert!(scene.people[0].device.missing().is_empty());
    assert_eq!(confirm(&mut scene), Ok(()));
    scene.people.iter_mut().for_each(|person| person.now = NOW.plus(LOCK));
    let payee = scene.id(1);
    scene.people[0].tell(Input::Retry { payee }).expect("always possible");
    scene.deliver();
    assert_eq!(scene.balances(), [750, 250, 600], "by the key alone, once its lock has ended");
    all_meet(&mut scene);
}

/// People who were met, and have forgotten what they were paid.
fn forget(scene: &mut Scene, person: usize, fresh: Person) {
    scene.people[person] = fresh;
    let cards: Vec<_> = scene.people.iter().map(Person::card).collect();
    for (_, card) in cards.into_iter().enumerate().filter(|(i, _)| *i != person) {
        scene.people[person].tell(Input::Contact(card)).expect("a card");
    }
}

/// Alice, who came back without her first step, for Bob has forgotten it.
fn in_doubt() -> Scene {
    let mut scene = sealed::scene(4);
    let backup = scene.people[0].disk.clone();
    scene.mint_to(0, 2, 600);
    scene.pay(0, 1, 600);
    scene.pay(0, 2, 100);
    scene.people[0].restore(backup);
    forget(&mut scene, 1, Person::sealed(2, ENROLLED_UNTIL));
    (1..4).for_each(|person| scene.meet(0, person));
    assert_eq!(confirm(&mut scene), Ok(()));
    assert_eq!(scene.people[0].device.missing().last(), Some(1));
    scene
}

#[test]
fn the_number_of_an_intent_that_was_undone_for_want_of_a_step_stays_taken() {
    let mut scene = in_doubt();
    let tx = wait(&mut scene, 3, 200);
    let backup = scene.people[0].disk.clone();
    away(&scene, false);
    let payee = scene.id(3);
    scene.people[0].tell(Input::Retry { payee }).expect("always possible");
    scene.deliver();
    assert_eq!(scene.balances()[3], 200, "it was signed, and is forgotten");
    scene.people[0].restore(backup);
    forget(&mut scene, 3, Person::sealed(4, ENROLLED_UNTIL));
    (1..4).for_each(|person| scene.meet(0, person));
    assert_eq!(confirm(&mut scene), Ok(()));
    assert_eq!(state(&scene, &tx), GivenUp);
    assert!(scene.people[0].device.missing().contains(3));
    assert_eq!(scene.people[0].device.seq(), 3);
    scene.people[0].look_for_a_counter();
    scene.pay(2, 0, 70);
    let later = wait(&mut scene, 2, 70);
    assert_eq!(scene.people[0].device.seq(), 4);
    give_up_payment(&mut scene, later);
    for restarted in [false, true] {
        assert_eq!(scene.people[0].device.seq(), 3, "restarted: {restarted}");
        scene.people[0].restart();
    }
    // The scene fails whoever signs the number again for another payment.
    scene.pay(0, 2, 70);
    all_meet(&mut scene);
}

/// Payments of 250 to Bob and to Dave wait for proofs in a backup. Both are given up later; four other
/// steps take their numbers and the next ones: to Dave, twice to Bob, and to Carol with the first's coin.
/// Dave is met if he is `there`, and Bob is gone.
fn retaken(there: bool) -> (Scene, TxId, TxId) {
    let mut scene = sealed::scene(4);
    let first = wait(&mut scene, 1, 250);
    sealed::mint_sealed(&mut scene, 0, 2, 300);
    let second = wait(&mut scene, 3, 250);
    (3..).zip([500, 600, 700]).for_each(|(serial, units)| scene.mint_to(0, serial, units));
    let backup = scene.people[0].disk.clone();
    [second, first].into_iter().for_each(|tx| give_up_payment(&mut scene, tx));
    for (payee, units) in [(3, 500), (1, 600), (1, 700), (2, 1000)] {
        scene.pay(0, payee, units);
    }
    scene.people[0].restore(backup);
    scene.meet(0, 2);
    assert_eq!((state(&scene, &first), state(&scene, &second)), (GivenUp, Intent));
    if there {
        scene.meet(0, 3);
    } else {
        let contact = scene.id(3);
        scene.people[0].tell(Input::GiveUp { contact }).expect("a contact");
    }
    give_up_bob(&mut scene);
    (scene, first, second)
}

#[test]
fn contacts_are_asked_for_all_the_numbers_that_may_have_been_taken_again() {
    let (mut scene, _, second) = retaken(true);
    assert_eq!(state(&scene, &second), GivenUp, "Dave's step has the number before its own");
    let missing = scene.people[0].device.missing();
    assert_eq!((missing.first(), missing.last()), (Some(2), Some(3)));
    assert_eq!(by_word(&mut scene), Ok(()));
    scene.meet(0, 1);
    assert!(scene.people[0].device.missing().is_empty());
    assert_eq!(scene.balances(), [300, 1300, 1000, 500]);
    all_meet(&mut scene);
}

#[test]
fn every_number_that_may_have_been_taken_again_is_missing() {
    let (mut scene, _, second) = retaken(false);
    assert_eq!(by_word(&mut scene), Ok(()));
    assert_eq!(state(&scene, &second), GivenUp);
    let missing = scene.people[0].device.missing();
    assert_eq!((missing.first(), missing.last()), (Some(1), Some(3)));
    scene.meet(0, 3);
    scene.meet(0, 1);
    assert!(scene.people[0].device.missing().is_empty());
    assert_eq!(scene.balances(), [300, 1300, 1000, 500]);
    all_meet(&mut scene);
}

#[test]
fn an_owner_is_asked_for_a_word_from_before_what_waits() {
    let mut scene = sealed::scene(3);
    wait(&mut scene, 1, 250);
    let backup = scene.people[0].disk.clone();
    scene.people[0].restore(backup);
    scene.meet(0, 2);
    give_up_bob(&mut scene);
    let refused = scene.people[0].tell(Input::ConfirmRecovery(Basis::Contacts));
    assert_eq!(refused, Err(RecoveryError::EndOpen(0).into()), "its number may be taken otherwise");
}

#[test]
fn a_device_that_was_set_back_unnoticed_learns_that_what_waits_was_signed() {
    let mut scene = sealed::scene(3);
    let tx = wait(&mut scene, 1, 250);
    let backup = scene.people[0].disk.clone();
    away(&scene, false);
    let payee = scene.id(1);
    scene.people[0].tell(Input::Retry { payee }).expect("always possible");
    scene.deliver();
    away(&scene, true);
    scene.people[0].disk = backup;
    scene.people[0].restart();
    assert_eq!(state(&scene, &tx), OutgoingState::Proving);
    scene.meet(0, 1);
    assert_eq!(*scene.people[0].device.mode(), Mode::ReceiveOnly);
    assert_eq!((state(&scene, &tx), scene.balances()[0]), (OutgoingState::Signed, 750));
}

#[test]
fn a_device_that_was_set_back_unnoticed_learns_of_a_step_in_the_place_of_what_waits() {
    let mut scene = sealed::scene(3);
    let backup = scene.people[0].disk.clone();
    scene.pay(0, 1, 600);
    scene.people[0].disk = backup;
    scene.people[0].restart();
    let tx = wait(&mut scene, 1, 300);
    scene.meet(0, 1);
    assert_eq!(*scene.people[0].device.mode(), Mode::ReceiveOnly);
    assert_eq!((state(&scene, &tx), scene.people[0].device.seq()), (GivenUp, 1));
    away(&scene, false);
    scene.meet(0, 2);
    assert_eq!(confirm(&mut scene), Ok(()));
    scene.people.iter_mut().for_each(|person| person.now = NOW.plus(LOCK));
    scene.pay(0, 1, 300);
    assert_eq!(scene.balances(), [100, 900, 0], "the two agree where they stand");
    all_meet(&mut scene);
}

#[test]
fn what_stands_on_a_step_that_was_replaced_is_undone_with_it() {
    let mut scene = sealed::scene(4);
    let mut waiting = Vec::from([wait(&mut scene, 1, 250)]);
    for (serial, payee) in [(2, 2), (3, 3)] {
        sealed::mint_sealed(&mut scene, 0, serial, 300);
        waiting.push(wait(&mut scene, payee, 250));
    }
    scene.mint_to(0, 4, 400);
    let backup = scene.people[0].disk.clone();
    waiting.iter().rev().for_each(|tx| give_up_payment(&mut scene, *tx));
    scene.pay(0, 2, 400);
    scene.people[0].restore(backup);
    (1..4).for_each(|person| scene.meet(0, person));
    assert!(waiting.iter().all(|tx| state(&scene, tx) == GivenUp));
    assert_eq!(scene.people[0].device.latest().0, 1);
    assert_eq!(confirm(&mut scene), Ok(()));
    assert_eq!(scene.balances(), [1600, 0, 400, 0]);
    all_meet(&mut scene);
}

#[test]
fn what_waits_below_a_step_that_was_signed_is_told_as_well() {
    let mut scene = sealed::scene(3);
    let tx = wait(&mut scene, 1, 250);
    scene.mint_to(0, 2, 600);
    scene.pay(0, 2, 600);
    let backup = scene.people[0].disk.clone();
    sign(&mut scene, 1);
    scene.people[0].restore(backup);
    scene.meet(0, 1);
    assert_eq!((state(&scene, &tx), scene.balances()[0]), (OutgoingState::Signed, 750));
}

/// Has signed what waits for a payee.
fn sign(scene: &mut Scene, payee: usize) {
    away(scene, false);
    let payee = scene.id(payee);
    scene.people[0].tell(Input::Retry { payee }).expect("always possible");
    scene.deliver();
}

#[test]
fn what_waits_below_a_step_that_was_signed_is_missing_if_others_are() {
    let mut scene = sealed::scene(4);
    let tx = wait(&mut scene, 1, 1000);
    (2..).zip([500, 600, 700]).for_each(|(serial, units)| scene.mint_to(0, serial, units));
    scene.pay(0, 2, 500);
    let backup = scene.people[0].disk.clone();
    sign(&mut scene, 1);
    scene.pay(0, 3, 600);
    scene.pay(0, 2, 700);
    scene.people[0].restore(backup);
    scene.meet(0, 2);
    give_up_bob(&mut scene);
    let contact = scene.id(3);
    scene.people[0].tell(Input::GiveUp { contact }).expect("a contact");
    assert_eq!(by_word(&mut scene), Ok(()));
    assert_eq!(state(&scene, &tx), GivenUp);
    scene.meet(0, 3);
    assert_eq!(scene.people[0].device.missing().first(), Some(1), "Bob may have it");
    assert_eq!(apart(&scene.people[0]), [(1000, Apart::Question)]);
    scene.meet(0, 1);
    assert_eq!((state(&scene, &tx), scene.balances()[0]), (OutgoingState::Signed, 0));
    assert_eq!(apart(&scene.people[0]), []);
    all_meet(&mut scene);
}

#[test]
fn what_a_known_step_spends_was_made_by_a_step_that_was_signed() {
    let mut scene = sealed::scene(4);
    let tx = wait(&mut scene, 1, 250);
    let backup = scene.people[0].disk.clone();
    sign(&mut scene, 1);
    scene.pay(0, 2, 300);
    scene.people[0].restore(backup);
    let hop = scene.people[2].device.incoming().values().next().and_then(|i| i.hop.clone());
    let branch = hop.expect("a payment").branches().next().expect("an input");
    let key = scene.people[0].key.public();
    scene.people[3].device.apply(Change::Sighting(Sighting { key, branch }));
    scene.meet(0, 3);
    for contact in [scene.id(1), scene.id(2)] {
        scene.people[0].tell(Input::GiveUp { contact }).expect("a contact");
    }
    assert_eq!(by_word(&mut scene), Ok(()));
    assert_eq!(state(&scene, &tx), Intent);
    let missing = scene.people[0].device.missing();
    assert_eq!((missing.first(), missing.last()), (Some(2), Some(2)));
    scene.meet(0, 2);
    assert_eq!((state(&scene, &tx), scene.balances()[0]), (OutgoingState::Signed, 450));
    all_meet(&mut scene);
}

#[test]
fn a_step_that_took_a_number_which_stayed_taken_shows_where_the_device_stands() {
    let mut scene = in_doubt();
    let seq = scene.people[0].device.seq();
    scene.people[0].look_for_a_counter();
    scene.pay(2, 0, 60);
    let waiting = [wait(&mut scene, 3, 200), wait(&mut scene, 2, 60)];
    let backup = scene.people[0].disk.clone();
    waiting.into_iter().rev().for_each(|tx| give_up_payment(&mut scene, tx));
    scene.pay(0, 3, 900);
    let dave = scene.people[3].clone();
    scene.people[0].restore(backup);
    forget(&mut scene, 3, Person::sealed(4, ENROLLED_UNTIL));
    (1..4).for_each(|person| scene.meet(0, person));
    assert_eq!(confirm(&mut scene), Ok(()));
    assert_eq!(scene.people[0].device.seq(), seq + 2, "both numbers stay taken");
    // Dave has not forgotten it after all, and nothing was signed meanwhile.
    scene.people[3] = dave;
    scene.meet(0, 3);
    assert_eq!(*scene.people[0].device.mode(), Mode::ReceiveOnly);
    assert_eq!(
        scene.people[0].device.latest().0,
        seq + 1,
        "what stood on the other was not signed"
    );
    (1..4).for_each(|person| scene.meet(0, person));
    assert_eq!(confirm(&mut scene), Ok(()));
    assert_eq!(scene.people[0].device.missing().last(), Some(1));
    scene.pay(2, 0, 30);
    scene.pay(0, 2, 30);
    assert_eq!(scene.people[0].device.seq(), seq + 2);
    all_meet(&mut scene);
}
