use alloc::vec::Vec;

use super::scene::Scene;
use crate::device::{Event, Input, OutgoingState};
use crate::tier::Tier;

#[test]
fn a_payment_moves_value_and_is_receipted() {
    let mut scene = Scene::new(2, 1000);
    let asset = scene.asset;
    scene.pay(0, 1, 250);
    assert_eq!(scene.people[0].balance(&asset), 750);
    assert_eq!(scene.people[1].balance(&asset), 250);
    let received = |e: &Event| matches!(e, Event::Received { tier: Tier::Signed, .. });
    assert!(scene.people[1].events.iter().any(received));
    let states: Vec<_> = scene.people[0].device.outgoing().values().map(|o| o.state).collect();
    assert_eq!(states, [OutgoingState::Receipted]);
    assert_eq!(
        scene.people[0].device.contacts()[&scene.id(1)].link,
        scene.people[1].device.contacts()[&scene.id(0)].received,
    );
}

#[test]
fn change_can_be_paid_on_and_so_can_what_was_received() {
    let mut scene = Scene::new(3, 1000);
    let asset = scene.asset;
    scene.pay(0, 1, 250);
    scene.pay(0, 2, 250);
    scene.pay(1, 2, 100);
    scene.pay(2, 0, 350);
    let balances: Vec<_> = scene.people.iter().map(|p| p.balance(&asset)).collect();
    assert_eq!(balances, [850, 150, 0]);
}

#[test]
fn a_clone_that_pays_twice_is_convicted_once_its_payees_meet() {
    let mut scene = Scene::new(3, 1000);
    let clone = scene.people[0].clone();
    scene.pay(0, 1, 400);
    let original = core::mem::replace(&mut scene.people[0], clone);
    scene.pay(0, 2, 400);
    scene.people[0] = original;
    let asset = scene.asset;
    assert_eq!((scene.people[1].balance(&asset), scene.people[2].balance(&asset)), (400, 400));
    let carol = scene.id(2);
    scene.people[1].tell(Input::Meet { contact: carol }).expect("a contact");
    scene.deliver();
    let alice = scene.people[0].key.public();
    assert!(scene.people[1].device.is_bricked(&alice));
    assert!(scene.people[2].device.is_bricked(&alice));
}

#[test]
fn what_was_paid_on_no_longer_counts_as_outstanding() {
    let mut scene = Scene::new(3, 10_000);
    let asset = scene.asset;
    for _ in 0..4 {
        scene.pay(0, 1, 500);
    }
    scene.pay(0, 1, 500);
    assert_eq!(scene.people[1].balance(&asset), 2000, "the fifth is above 20 whole units");
    scene.pay(1, 2, 500);
    scene.pay(0, 1, 500);
    assert_eq!(scene.people[1].balance(&asset), 2000, "one of the four was paid on");
}
