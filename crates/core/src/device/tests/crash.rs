//! Either side dies at any point, with or without what it had sent, and goes on.

use super::scene::Scene;
use crate::device::{Input, OutgoingState};

/// How a payment is begun.
#[derive(Clone, Copy, Debug)]
enum Way {
    Offer,
    Invoice,
}

fn begin(scene: &mut Scene, way: Way) {
    match way {
        Way::Offer => scene.start(0, 1, 250).expect("an offer"),
        Way::Invoice => {
            let invoice = scene.invoice(1, 250);
            scene.pay_invoice(0, 1, &invoice);
        }
    }
}

/// Lets one side die at a point, then both resume; says whether the point was reached.
fn dies_at(way: Way, who: usize, point: u32, lost: bool) -> bool {
    let mut scene = Scene::new(2, 1000);
    scene.people[who].dies_in = Some(point);
    begin(&mut scene, way);
    scene.deliver();
    let reached = scene.people[who].restarts > 0;
    if lost {
        scene.people.iter_mut().for_each(|p| p.out.clear());
    }
    let context = alloc::format!("{way:?}, {who} at {point}, lost: {lost}");
    resume(&mut scene);
    let states: alloc::vec::Vec<_> =
        scene.people[0].device.outgoing().values().map(|o| o.state).collect();
    match scene.balances()[..] {
        [1000, 0] => assert!(states.is_empty(), "{context}: nothing happened"),
        [750, 250] => assert_eq!(states, [OutgoingState::Receipted], "{context}: it is paid"),
        ref other => panic!("{context}: {other:?}"),
    }
    let before = scene.balances()[1];
    scene.pay(0, 1, 100);
    scene.pay(1, 0, 50);
    assert_eq!(scene.balances()[1], before + 50, "{context}: life goes on");
    assert!(!scene.anyone_convicted(), "{context}");
    reached
}

fn resume(scene: &mut Scene) {
    for (one, other) in [(0, 1), (1, 0)] {
        let payee = scene.id(other);
        scene.people[one].tell(Input::Retry { payee }).expect("always possible");
        scene.deliver();
    }
}

#[test]
fn a_payment_survives_a_crash_at_every_point_of_either_side() {
    for way in [Way::Offer, Way::Invoice] {
        for who in [0, 1] {
            for lost in [false, true] {
                let reached = (0..40).take_while(|point| dies_at(way, who, *point, lost)).count();
                assert!((4..40).contains(&reached), "{way:?}, {who}: {reached} points");
            }
        }
    }
}

#[test]
fn an_intent_is_signed_again_after_a_restart_and_is_the_same_bytes() {
    let mut scene = Scene::new(2, 1000);
    let invoice = scene.invoice(1, 250);
    let payee = scene.id(1);
    // Dies once the intent is durable, before the seal is asked.
    scene.people[0].dies_in = Some(1);
    scene.pay_invoice(0, 1, &invoice);
    let only = |scene: &Scene| scene.people[0].device.outgoing().values().next().cloned();
    let intent = only(&scene).expect("durable");
    assert_eq!(intent.state, OutgoingState::Intent);
    assert!(scene.people[0].out.is_empty(), "nothing left the device");
    scene.people[0].tell(Input::Retry { payee }).expect("always possible");
    let signed = only(&scene).expect("durable");
    assert_eq!((signed.tx, signed.state), (intent.tx, OutgoingState::Signed));
    let first = scene.people[0].out.pop_front();
    scene.people[0].tell(Input::Retry { payee }).expect("always possible");
    assert_eq!(scene.people[0].out.pop_front(), first, "sent again as it was");
}

#[test]
fn a_device_made_anew_from_its_disk_is_the_same() {
    let mut scene = Scene::new(3, 1000);
    scene.pay(0, 1, 300);
    scene.pay(1, 2, 100);
    scene.pay(2, 0, 60);
    scene.meet(0, 2);
    for person in &mut scene.people {
        let (seq, head, root) =
            (person.device.seq(), person.device.head(), person.device.ledger().root());
        let (incoming, outgoing) =
            (person.device.incoming().clone(), person.device.outgoing().clone());
        person.restart();
        assert_eq!((person.device.seq(), person.device.head()), (seq, head));
        assert_eq!(person.device.ledger().root(), root);
        assert_eq!(*person.device.incoming(), incoming);
        assert_eq!(*person.device.outgoing(), outgoing);
    }
    scene.pay(0, 1, 10);
    assert_eq!(scene.balances().iter().sum::<u64>(), 1000);
}

#[test]
fn a_payment_that_arrives_late_is_taken() {
    let mut scene = Scene::new(2, 1000);
    let invoice = scene.invoice(1, 250);
    scene.pay_invoice(0, 1, &invoice);
    let day = 24 * 60 * 60;
    scene.people[1].now = scene.people[1].now.plus(29 * day);
    scene.invoice(1, 10);
    scene.deliver();
    assert_eq!(scene.balances(), [750, 250], "signed in time, it travelled for a month");
}

#[test]
fn an_answer_to_an_offer_that_was_replaced_still_fits() {
    let mut scene = Scene::new(2, 1000);
    scene.start(0, 1, 400).expect("an offer");
    let (alice, _, first) = scene.next().expect("the offer");
    scene.people[1].hear(alice, &first).expect("heard");
    // The payer thinks again, and asks for less, before the answer is there.
    scene.start(0, 1, 100).expect("an offer");
    let bob = scene.id(1);
    let (_, accept) = scene.people[1].out.pop_front().expect("an answer");
    scene.people[0].hear(bob, &accept).expect("heard");
    let messages: alloc::vec::Vec<_> = scene.people[0].out.drain(..).collect();
    assert_eq!(messages.len(), 2, "the second offer, and the payment");
    // The payment overtakes the offer that it is on.
    scene.people[1].hear(alice, &messages[1].1).expect("heard");
    scene.people[1].hear(alice, &messages[0].1).expect("heard");
    scene.people[1].out.clear();
    resume(&mut scene);
    assert_eq!(scene.balances(), [900, 100]);
}

#[test]
fn two_who_pay_each_other_at_once_both_get_their_money() {
    let mut scene = Scene::new(2, 1000);
    scene.mint_to(1, 2, 1000);
    let (to_bob, to_alice) = (scene.invoice(1, 100), scene.invoice(0, 30));
    scene.pay_invoice(0, 1, &to_bob);
    scene.pay_invoice(1, 0, &to_alice);
    scene.deliver();
    assert_eq!(scene.balances(), [930, 1070]);
    scene.start(0, 1, 5).expect("an offer");
    scene.start(1, 0, 7).expect("an offer");
    scene.deliver();
    resume(&mut scene);
    assert_eq!(scene.balances().iter().sum::<u64>(), 2000);
    let receipted = |p: &super::scene::Person| {
        p.device.outgoing().values().all(|o| o.state == OutgoingState::Receipted)
    };
    assert!(scene.people.iter().all(receipted));
}
