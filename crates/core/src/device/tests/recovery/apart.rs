//! Recovery ends: with steps missing, coins that they may have spent are set apart.

use alloc::vec::Vec;

use super::{by_word, confirm};
use crate::amount::Amount;
use crate::device::tests::scene::{Person, Scene};
use crate::device::{Apart, Event, Input, Mode};

/// Alice has coins of 400 and of 600. After her backup she pays Bob 300 from the one, and Carol 500
/// from the other. Bob is gone.
fn gap() -> Scene {
    gap_of(|_| ())
}

/// The same, after something was done with her coins before the backup.
pub(super) fn gap_of(first: impl FnOnce(&mut Scene)) -> Scene {
    let mut scene = Scene::new(4, 0);
    scene.mint_to(0, 1, 400);
    scene.mint_to(0, 2, 600);
    first(&mut scene);
    let backup = scene.people[0].disk.clone();
    scene.pay(0, 1, 300);
    scene.pay(0, 2, 500);
    scene.people[0].restore(backup);
    scene.meet(0, 2);
    scene.meet(0, 3);
    scene
}

pub(super) fn give_up_bob(scene: &mut Scene) {
    let contact = scene.id(1);
    scene.people[0].tell(Input::GiveUp { contact }).expect("a contact");
}

pub(super) fn apart(person: &Person) -> Vec<(u64, Apart)> {
    let apart = person.device.set_apart();
    apart.map(|(pocket, why)| (pocket.amount().units(), why)).collect()
}

/// [`gap`], whose owner gives her word that nothing was signed after Carol's payment. She is right.
fn gap_by_word() -> Scene {
    let mut scene = gap();
    give_up_bob(&mut scene);
    assert_eq!(confirm(&mut scene), Err("RECOVERY_END_OPEN"));
    assert_eq!(by_word(&mut scene), Ok(()));
    scene
}

#[test]
fn what_a_missing_step_may_have_spent_is_set_apart_and_the_rest_pays() {
    let mut scene = gap_by_word();
    assert_eq!(*scene.people[0].device.mode(), Mode::Normal);
    assert_eq!(scene.people[0].device.seq(), 2, "it goes on from the latest step");
    assert_eq!(apart(&scene.people[0]), [(400, Apart::Question)]);
    scene.people[0].restart();
    assert_eq!(apart(&scene.people[0]), [(400, Apart::Question)], "after a restart too");
    assert_eq!(scene.start(0, 3, 101).map_err(|e| e.code()), Err("SET_APART"));
    assert_eq!(scene.start(0, 3, 501).map_err(|e| e.code()), Err("INSUFFICIENT_FUNDS"));
    scene.pay(0, 3, 100);
    assert_eq!(scene.balances()[3], 100, "the change of the later step is not in question");
    assert!(!scene.anyone_convicted());
}

#[test]
fn whoever_comes_back_fills_the_gap_and_what_is_left_is_free() {
    let mut scene = gap_by_word();
    scene.pay(0, 3, 40);
    scene.meet(0, 1);
    assert_eq!(apart(&scene.people[0]), []);
    assert!(scene.people[0].device.missing().is_empty());
    assert_eq!(scene.balances(), [160, 300, 500, 40]);
    scene.pay(0, 1, 160);
    assert_eq!(scene.balances(), [0, 460, 500, 40], "the two agree where they stand");
    for (one, other) in [(1, 2), (2, 3), (1, 3)] {
        scene.meet(one, other);
    }
    assert!(!scene.anyone_convicted());
}

#[test]
fn a_step_that_is_behind_nothing_that_anybody_holds_leaves_a_gap_without_anybodys_word() {
    let mut scene = gap();
    // Bob's device was set back: he has forgotten what he was paid.
    scene.people[1] = Person::new(2);
    let cards: Vec<_> = [0, 2, 3].map(|i: usize| scene.people[i].card()).into();
    for card in cards {
        scene.people[1].tell(Input::Contact(card)).expect("a card");
    }
    scene.meet(0, 1);
    assert_eq!(confirm(&mut scene), Ok(()));
    assert_eq!(apart(&scene.people[0]), [(400, Apart::Question)]);
    scene.pay(0, 3, 100);
    assert_eq!(scene.balances()[3], 100);
}

#[test]
fn what_is_paid_on_terms_from_after_the_restore_is_free_and_what_on_earlier_ones_is_not() {
    let mut scene = Scene::new(4, 0);
    scene.mint_to(0, 1, 400);
    scene.mint_to(0, 2, 600);
    scene.mint_to(3, 3, 100);
    let earlier = scene.invoice(0, 30);
    let backup = scene.people[0].disk.clone();
    scene.pay(0, 1, 300);
    scene.pay(0, 2, 500);
    scene.people[0].restore(backup);
    scene.meet(0, 2);
    scene.meet(0, 3);
    scene.pay(3, 0, 20);
    give_up_bob(&mut scene);
    assert_eq!(by_word(&mut scene), Ok(()));
    scene.pay_invoice(3, 0, &earlier);
    scene.deliver();
    let later = scene.invoice(0, 50);
    scene.pay_invoice(3, 0, &later);
    scene.deliver();
    let mut set_apart: Vec<u64> = apart(&scene.people[0]).iter().map(|(n, _)| *n).collect();
    set_apart.sort_unstable();
    assert_eq!(set_apart, [30, 400]);
    scene.pay(0, 2, 170);
    assert_eq!(scene.balances()[0], 430, "20, 50 and the change of 100 were free");
}

#[test]
fn a_mint_that_comes_again_is_in_question() {
    let mut scene = gap_by_word();
    scene.mint_to(0, 9, 70);
    assert_eq!(apart(&scene.people[0]).len(), 2);
}

#[test]
fn what_was_received_after_the_backup_and_paid_on_before_the_loss_does_not_freeze() {
    let mut scene = Scene::new(3, 0);
    scene.mint_to(0, 1, 50);
    scene.mint_to(1, 2, 500);
    let backup = scene.people[0].disk.clone();
    scene.pay(1, 0, 300);
    scene.pay(0, 2, 200);
    scene.people[0].restore(backup);
    scene.meet(0, 2);
    give_up_bob(&mut scene);
    assert_eq!(by_word(&mut scene), Ok(()), "Carol's step never fits here, and is known");
    assert_eq!(scene.people[0].device.seq(), 1);
    scene.pay(0, 2, 50);
    assert_eq!(scene.balances(), [0, 200, 250]);
    scene.meet(0, 1);
    assert_eq!(scene.balances(), [100, 200, 250], "Bob sends it again; its change is left");
    assert_eq!(apart(&scene.people[0]), []);
    scene.pay(0, 1, 100);
    scene.meet(1, 2);
    assert!(!scene.anyone_convicted());
}

#[test]
fn a_lost_step_above_the_highest_that_was_shown_is_not_signed_over_without_a_word() {
    let mut scene = Scene::new(3, 1000);
    let backup = scene.people[0].disk.clone();
    scene.pay(0, 2, 100);
    scene.pay(0, 1, 200);
    scene.people[0].restore(backup);
    scene.meet(0, 2);
    give_up_bob(&mut scene);
    assert_eq!(scene.people[0].device.latest().0, 1);
    assert_eq!(confirm(&mut scene), Err("RECOVERY_END_OPEN"));
    assert_eq!(scene.start(0, 2, 1).map_err(|e| e.code()), Err("RECEIVE_ONLY"));
    scene.meet(0, 1);
    assert_eq!(confirm(&mut scene), Ok(()), "Bob was met after all");
    assert_eq!(scene.balances(), [700, 200, 100]);
    scene.pay(0, 2, 700);
    scene.meet(1, 2);
    assert!(!scene.anyone_convicted());
}

#[test]
fn a_restore_of_a_restore_keeps_in_question_what_was() {
    let mut scene = gap_by_word();
    let backup = scene.people[0].disk.clone();
    scene.pay(0, 3, 60);
    scene.people[0].restore(backup);
    assert_eq!(apart(&scene.people[0]).len(), 2, "all of it is in question until it is confirmed");
    scene.meet(0, 2);
    scene.meet(0, 3);
    give_up_bob(&mut scene);
    assert_eq!(by_word(&mut scene), Ok(()));
    assert_eq!(apart(&scene.people[0]), [(400, Apart::Question)]);
    assert_eq!(scene.people[0].device.seq(), 3);
    scene.pay(0, 3, 40);
    scene.meet(0, 1);
    assert_eq!(scene.balances(), [100, 300, 500, 100]);
    assert!(!scene.anyone_convicted());
}

#[test]
fn a_payee_who_comes_back_after_a_false_word_convicts() {
    let mut scene = Scene::new(3, 1000);
    let backup = scene.people[0].disk.clone();
    scene.pay(0, 1, 200);
    scene.people[0].restore(backup);
    scene.meet(0, 2);
    give_up_bob(&mut scene);
    assert_eq!(by_word(&mut scene), Ok(()));
    // The scene fails whoever signs two transactions of one number: this owner does, knowingly.
    scene.people[0].forget_signed(|_| false);
    scene.pay(0, 2, 1);
    scene.meet(1, 2);
    assert!(scene.bricks(2, 0), "that is what the owner was told");
}

#[test]
fn what_is_in_question_is_counted_and_what_is_spent_is_not() {
    let scene = gap();
    let questioned = apart(&scene.people[0]);
    assert!(questioned.iter().all(|(_, why)| *why == Apart::Question));
    assert_eq!(scene.balances()[0], 500, "400 in question, and the change of 100");
    let shown = scene.people[0].device.ledger().balances();
    assert_eq!(shown.get(&scene.asset), Some(&Amount::new(500)));
    assert!(scene.people[0].events.contains(&Event::Met { contact: scene.id(2) }));
}
