//! What the payer has signed away is the payee's, also if the payee would rather not have it.

use alloc::vec::Vec;

use super::scene::{NOW, Scene};
use crate::accept::AcceptPolicy;
use crate::amount::Amount;
use crate::device::{Change, Event, Input, OutgoingState};
use crate::time::Time;

/// Why the payments that somebody holds are not accepted.
fn held(scene: &Scene, person: usize) -> Vec<&str> {
    let code = |event: &Event| match event {
        Event::Held { reason, .. } => Some(reason.code.clone()),
        _ => None,
    };
    let codes = scene.people[person].events.iter().filter_map(code);
    codes.map(|code| alloc::boxed::Box::leak(code.into_boxed_str()) as &str).collect()
}

fn ends_held(scene: &mut Scene, payer: usize, code: &str, units: u64) {
    scene.deliver();
    assert_eq!(held(scene, 1), [code]);
    assert_eq!(scene.balances()[1], units, "the value is there");
    let incoming = scene.people[1].device.incoming().values();
    assert_eq!(incoming.filter(|i| !i.accepted).count(), 1);
    let told = |e: &Event| matches!(e, Event::RefusedBy { code: c, .. } if c == code);
    assert!(scene.people[payer].events.iter().any(told), "the payer is told why");
    let states = scene.people[payer].device.outgoing().values().map(|o| o.state);
    assert!(states.clone().all(|state| state == OutgoingState::Receipted), "and that it arrived");
}

#[test]
fn a_second_payer_of_one_invoice_does_not_lose_its_money() {
    let mut scene = Scene::new(3, 1000);
    scene.mint_to(2, 2, 1000);
    let invoice = scene.invoice(1, 250);
    scene.pay_invoice(0, 1, &invoice);
    scene.deliver();
    assert_eq!(held(&scene, 1), Vec::<&str>::new());
    scene.pay_invoice(2, 1, &invoice);
    ends_held(&mut scene, 2, "TRADE_TERMS", 500);
    scene.pay(1, 2, 250);
    assert_eq!(scene.balances(), [750, 250, 1000], "it can be paid back");
}

#[test]
fn less_than_was_asked_is_not_accepted() {
    let mut scene = Scene::new(2, 1000);
    let mut invoice = scene.invoice(1, 250);
    invoice.amount = Amount::new(249);
    scene.pay_invoice(0, 1, &invoice);
    ends_held(&mut scene, 0, "TRADE_AMOUNT", 249);
}

#[test]
fn terms_that_ended_a_month_ago_are_over() {
    let pay = |late: u64| {
        let mut scene = Scene::new(2, 1000);
        let invoice = scene.invoice(1, 250);
        scene.pay_invoice(0, 1, &invoice);
        let end = invoice.expires_at.plus(30 * 24 * 60 * 60);
        scene.people[1].now = Time::from_unix(end.unix() - 1).plus(late);
        scene
    };
    ends_held(&mut pay(1), 0, "TRADE_TERMS_EXPIRED", 250);
    let mut in_time = pay(0);
    in_time.deliver();
    assert_eq!(held(&in_time, 1), Vec::<&str>::new());
}

#[test]
fn what_the_owners_policy_refuses_is_held_once_it_is_signed() {
    let mut scene = Scene::new(2, 1000);
    let invoice = scene.invoice(1, 600);
    let strict = Input::AcceptPolicy(AcceptPolicy::default());
    scene.people[1].tell(strict).expect("always");
    scene.pay_invoice(0, 1, &invoice);
    ends_held(&mut scene, 0, "ACCEPT_PER_PAYMENT", 600);
}

#[test]
fn what_is_held_is_not_owed() {
    let mut scene = Scene::new(2, 3000);
    scene.people[1].tell(Input::AcceptPolicy(AcceptPolicy::default())).expect("always");
    let terms = scene.invoice(1, 100).accept.nonce;
    let mut invoice = scene.invoice(1, 500);
    invoice.accept.nonce = terms;
    scene.people[1].device.apply(Change::Terms(terms, None));
    scene.pay_invoice(0, 1, &invoice);
    scene.deliver();
    for _ in 0..4 {
        scene.pay(0, 1, 500);
    }
    assert_eq!(scene.balances()[1], 2500, "20 whole units of the four that were accepted");
}

#[test]
fn an_offer_does_not_wait_for_a_silent_payee_forever() {
    let mut scene = Scene::new(2, 1000);
    scene.start(0, 1, 250).expect("an offer");
    let (alice, bob) = (scene.id(0), scene.id(1));
    let (_, _, offer) = scene.next().expect("the offer");
    scene.people[1].hear(alice, &offer).expect("heard");
    let (_, _, accept) = scene.next().expect("the answer");
    scene.people[0].now = NOW.plus(600);
    scene.people[0].hear(bob, &accept).expect("heard");
    assert!(scene.people[0].device.outgoing().is_empty());
}

#[test]
fn a_commit_that_fails_does_not_close_the_offer() {
    let mut scene = Scene::new(2, 1000);
    scene.start(0, 1, 250).expect("an offer");
    let (alice, bob) = (scene.id(0), scene.id(1));
    let (_, _, offer) = scene.next().expect("the offer");
    scene.people[1].hear(alice, &offer).expect("heard");
    let (_, _, accept) = scene.next().expect("the answer");
    scene.people[0].hear(bob, &accept).expect("heard");
    let (_, _, commit) = scene.next().expect("the payment");
    let crate::message::Message::Commit(mut bad) = commit.clone() else { panic!("a commit") };
    bad.root = crate::id::Root::new([1; 32]);
    scene.people[1].hear(alice, &crate::message::Message::Commit(bad)).expect("heard");
    assert_eq!(scene.balances()[1], 0);
    scene.people[1].hear(alice, &commit).expect("heard");
    assert_eq!(scene.balances()[1], 250);
}
