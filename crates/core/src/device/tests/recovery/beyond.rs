//! A journal knows a later step than anybody tells.

use alloc::vec::Vec;

use super::apart::{apart, give_up_bob};
use super::{by_word, confirm};
use crate::device::tests::scene::Scene;
use crate::device::tests::settle::{settle, shown, spend_by};
use crate::device::tests::{scene::Person, sealed};
use crate::device::{Apart, Basis, Input, Mode, OutgoingState, Position};
use crate::evidence::tests::network::trust_base;

/// Alice has coins of 400 and of 600. After her backup she pays Carol 500, and then Bob 300, who is
/// gone. Her journal is at hand.
fn lost_at_the_end() -> (Scene, Position) {
    let mut scene = Scene::new(4, 0);
    scene.mint_to(0, 1, 400);
    scene.mint_to(0, 2, 600);
    let backup = scene.people[0].disk.clone();
    scene.pay(0, 2, 500);
    scene.pay(0, 1, 300);
    let at = scene.people[0].device.entry().to;
    scene.people[0].restore(backup);
    scene.meet(0, 2);
    scene.meet(0, 3);
    give_up_bob(&mut scene);
    (scene, at)
}

fn beyond(scene: &mut Scene, at: Position) -> Result<(), &'static str> {
    let basis = Basis::JournalBeyond(at);
    scene.people[0].tell(Input::ConfirmRecovery(basis)).map_err(|e| e.code())
}

fn in_question(person: &Person) -> Vec<u64> {
    let mut units: Vec<u64> = apart(person)
        .into_iter()
        .filter_map(|(units, why)| (why == Apart::Question).then_some(units))
        .collect();
    units.sort_unstable();
    units
}

#[test]
fn a_journal_that_knows_a_later_step_than_anybody_is_gone_on_from_by_the_owners_word() {
    let (mut scene, at) = lost_at_the_end();
    assert_eq!(scene.people[0].device.latest().0, 1);
    assert_eq!(confirm(&mut scene), Err("RECOVERY_END_OPEN"));
    assert_eq!(beyond(&mut scene, at), Ok(()));
    let device = &scene.people[0].device;
    assert_eq!((device.seq(), device.head(), at.seq), (2, at.head, 2));
    assert_eq!(device.entry().to, at, "the journal fits");
    assert_eq!(device.missing().first(), Some(2));
    assert_eq!(in_question(&scene.people[0]), [100, 400], "the lost step may have spent either");
    assert_eq!(scene.start(0, 3, 1).map_err(|e| e.code()), Err("SET_APART"));
    scene.people[0].restart();
    scene.pay(2, 0, 50);
    scene.pay(0, 3, 50);
    assert_eq!(scene.balances()[3], 50, "what came in since is free");
    // Bob comes back: the scene fails whoever signs a number twice.
    scene.meet(0, 1);
    assert_eq!(apart(&scene.people[0]), []);
    assert!(scene.people[0].device.missing().is_empty());
    assert_eq!(scene.balances(), [200, 300, 450, 50]);
    scene.pay(0, 1, 200);
    for (one, other) in [(1, 2), (2, 3), (1, 3)] {
        scene.meet(one, other);
    }
    assert!(!scene.anyone_convicted());
}

#[test]
fn a_journal_that_ends_before_the_latest_step_says_nothing_of_where_to_go_on() {
    let (mut scene, at) = lost_at_the_end();
    scene.meet(0, 1);
    let (seq, head) = scene.people[0].device.latest();
    assert_eq!((seq, head), (at.seq, at.head), "Bob has told it");
    let earlier = Position { seq: 1, ..at };
    assert_eq!(beyond(&mut scene, earlier), Ok(()));
    assert_eq!((scene.people[0].device.seq(), scene.people[0].device.head()), (seq, head));
    assert!(scene.people[0].device.missing().is_empty());
}

#[test]
fn a_journal_that_has_another_step_in_the_place_of_what_waits_is_gone_on_from() {
    let mut scene = sealed::scene(4);
    scene.mint_to(0, 2, 600);
    scene.people[0].tpm.as_ref().expect("hardware").take_away(true);
    let invoice = scene.invoice(1, 1000);
    scene.pay_invoice(0, 1, &invoice);
    let tx = scene.people[0].device.pending().last().expect("it waits").tx;
    let backup = scene.people[0].disk.clone();
    let input = Input::SlotsLost { tx: Some(tx), slots: Vec::new() };
    scene.people[0].tell(input).expect("given up");
    scene.people[0].tpm.as_ref().expect("hardware").take_away(false);
    // The number of what was given up is free, and the payment to Bob takes it.
    scene.pay(0, 1, 600);
    let at = scene.people[0].device.entry().to;
    scene.people[0].restore(backup);
    scene.meet(0, 2);
    scene.meet(0, 3);
    give_up_bob(&mut scene);
    assert_eq!((scene.people[0].device.latest().0, at.seq), (1, 1), "another head");
    assert_eq!(beyond(&mut scene, at), Ok(()));
    assert_eq!(scene.people[0].device.outgoing()[&tx].state, OutgoingState::GivenUp);
    assert_eq!(scene.people[0].device.entry().to, at);
    assert_eq!(in_question(&scene.people[0]), [600, 1000]);
    scene.meet(0, 1);
    assert_eq!(apart(&scene.people[0]), []);
    assert_eq!(scene.balances(), [1000, 600, 0, 0]);
    assert!(!scene.anyone_convicted());
}

#[test]
fn a_journal_does_not_vouch_against_what_the_network_shows() {
    let mut scene = Scene::new(2, 1000);
    scene.people.iter_mut().for_each(|person| person.notary = Some(trust_base()));
    settle(&mut scene.people[0]);
    let backup = scene.people[0].disk.clone();
    scene.pay(0, 1, 300);
    let spend = spend_by(&scene.people[1], &scene.people[0].key.public());
    scene.people[0].restore(backup);
    give_up_bob(&mut scene);
    let input = Input::Spent { coin: spend.source, proof: shown(&spend).into() };
    scene.people[0].tell(input).expect("shown");
    let journal = scene.people[0].tell(Input::ConfirmRecovery(Basis::Journal));
    assert_eq!(journal.map_err(|e| e.code()), Err("RECOVERY_END_OPEN"), "it was set back too");
    assert_eq!(scene.people[0].device.shown_beyond(), 1);
    assert_eq!(by_word(&mut scene), Ok(()), "it has an end all the same");
    assert_eq!(*scene.people[0].device.mode(), Mode::Normal);
    assert_eq!(scene.balances()[0], 0);
}
