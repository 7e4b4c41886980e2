//! What two agents come to over a connection, whatever becomes of it.

use tally_agent::{AgentError, Done, Input};
use tally_core::device::Event;
use tally_core::hash::sha256;
use tally_testkit::{Ended, Scene};

/// Has somebody pay so often by code, with none of the codes reaching the payee.
fn pay_unheard(scene: &mut Scene, times: u64) {
    for units in 1..=times {
        let invoice = scene.invoice(1, units).expect("an invoice");
        scene.give(0, Input::PayInvoice(Box::new(invoice))).expect("a payment");
    }
}

fn received(scene: &Scene, person: usize) -> usize {
    let shown = scene.people[person].shown.iter();
    shown.filter(|event| matches!(event, Event::Received { .. } | Event::Again { .. })).count()
}

#[test]
fn a_meeting_delivers_any_number_of_payments_each_once() {
    let mut scene = Scene::new(2, 10_000);
    pay_unheard(&mut scene, 30);
    assert_eq!(scene.meet(0, 1).unwrap(), Done::Met);
    assert_eq!(scene.balances(), [10_000 - 465, 465]);
    assert_eq!(received(&scene, 1), 30);
    let receipts = scene.people[0].shown.iter();
    assert_eq!(receipts.filter(|e| matches!(e, Event::Receipted { .. })).count(), 30);
}

#[test]
fn what_waits_is_delivered_before_the_next_payment() {
    let mut scene = Scene::new(2, 10_000);
    pay_unheard(&mut scene, 12);
    let paid = scene.pay(0, 1, 1000).unwrap();
    assert!(matches!(paid, Done::Paid(_)));
    assert_eq!(scene.balances(), [10_000 - 78 - 1000, 1078]);
    assert_eq!(scene.people[0].device().unreceipted(scene.id(1)).count(), 0);
}

#[test]
fn a_meeting_that_breaks_anywhere_is_made_up_for_by_the_next() {
    for cut in 0..30 {
        let mut scene = Scene::new(2, 10_000);
        pay_unheard(&mut scene, 6);
        scene.cut_after = Some(cut);
        let _ = scene.meet(0, 1);
        assert_eq!(scene.meet(0, 1), Ok(Done::Met), "cut after {cut} messages");
        assert_eq!(scene.balances(), [10_000 - 21, 21], "cut after {cut} messages");
        scene.pay(1, 0, 21).unwrap();
    }
}

#[test]
fn power_that_fails_at_any_write_of_a_payment_leaves_it_made_or_not() {
    for (person, after) in [(0, false), (0, true), (1, false), (1, true)] {
        for writes in 0..8 {
            let mut scene = Scene::new(2, 1000);
            scene.people[person].disk.fuse = Some((writes, after));
            let _ = scene.pay(0, 1, 100);
            scene.people[person].disk.fuse = None;
            scene.restart(person);
            assert_eq!(scene.meet(0, 1), Ok(Done::Met), "{person} {after} {writes}");
            let made = scene.people[0].device().outgoing().len() as u64;
            assert_eq!(scene.balances(), [1000 - 100 * made, 100 * made]);
            scene.pay(0, 1, 50).unwrap();
            scene.pay(1, 0, 10).unwrap();
        }
    }
}

#[test]
fn a_key_that_is_away_stops_neither_opening_nor_being_paid() {
    let mut scene = Scene::new(3, 1000);
    scene.pay(0, 1, 400).unwrap();
    scene.people[1].key_is_here = false;
    // Her payment is taken as a step and waits for her key.
    let ended = scene.pay(1, 2, 100).unwrap_err();
    assert!(matches!(ended, Ended::Refused(AgentError::Closed)), "{ended:?}");
    scene.restart(1);
    // What comes in is hers, though she cannot say so yet.
    let paid = scene.pay(0, 1, 50).unwrap_err();
    assert!(matches!(paid, Ended::Refused(_)), "{paid:?}");
    scene.people[1].key_is_here = true;
    scene.restart(1);
    assert_eq!(scene.meet(0, 1), Ok(Done::Met));
    scene.pay(0, 1, 25).unwrap();
    assert_eq!(scene.meet(1, 2), Ok(Done::Met));
    let total: u64 = scene.balances().iter().sum();
    assert_eq!(total, 1000);
    assert!(scene.people[1].device().unreceipted(scene.id(2)).count() == 0);
}

#[test]
fn a_connection_that_nobody_opened_changes_nothing() {
    let mut scene = Scene::new(2, 1000);
    let before = scene.people[0].disk.writes;
    let conn = scene.people[0].next_conn();
    let given = scene.give(0, Input::Packet { conn, bytes: vec![1, 2, 3] }).unwrap();
    assert!(given.packets.is_empty() && given.over.is_empty());
    scene.give(0, Input::Closed { conn, why: None }).unwrap();
    assert_eq!(scene.people[0].disk.writes, before);
}

#[test]
fn a_meeting_with_a_payee_that_was_set_back_ends_whoever_begins_it() {
    for (one, other) in [(0, 1), (1, 0)] {
        let mut scene = Scene::new(2, 1000);
        let then = scene.people[1].disk.clone();
        scene.pay(0, 1, 200).unwrap();
        scene.pay(0, 1, 50).unwrap();
        let now = scene.now;
        scene.people[1].set_back(now, then);
        assert_eq!(scene.balances(), [750, 0]);
        assert_eq!(scene.meet(one, other), Ok(Done::Met), "{one} begins");
        assert_eq!(scene.balances(), [750, 250]);
        scene.people[1].recover(now, false).unwrap();
        scene.pay(1, 0, 250).unwrap();
    }
}

/// Codes that get lost and connections that break leave each side with other keys than the other.
#[test]
fn a_meeting_ends_whatever_keys_the_two_have() {
    for seed in 0..200_u64 {
        let mut picks = sha256(&seed.to_be_bytes()).into_iter().map(usize::from);
        let mut scene = Scene::new(2, 1000);
        scene.pay(0, 1, 500).unwrap();
        for _ in 0..8 {
            let (pick, one) = (picks.next().unwrap(), picks.next().unwrap() % 2);
            scene.cut_after = (pick % 2 == 0).then_some(picks.next().unwrap() % 9);
            match pick / 2 % 3 {
                0 => drop(scene.meet(one, 1 - one)),
                1 => drop(scene.pay(one, 1 - one, 3)),
                _ => {
                    let invoice = scene.invoice(1 - one, 7).unwrap();
                    scene.give(one, Input::PayInvoice(Box::new(invoice))).unwrap();
                }
            }
        }
        scene.cut_after = None;
        let one = picks.next().unwrap() % 2;
        assert_eq!(scene.meet(one, 1 - one), Ok(Done::Met), "seed {seed}");
        assert_eq!(scene.balances().iter().sum::<u64>(), 1000);
    }
}
