//! What is set aside, taken back before its lock ends.

use super::{UNTIL, agree, ready, release, reserved, set_aside, signs_unheard};
use crate::amount::Amount;
use crate::device::tests::scene::{NOW, Person};
use crate::device::tests::settle::settle;
use crate::device::{Event, Input};
use crate::message::Message;
use crate::predicate::Predicate;

#[test]
fn both_can_release_a_reservation_before_its_end() {
    let mut scene = reserved(3, 400);
    release(&mut scene).expect("asked");
    assert_eq!(set_aside(&scene.people[0], NOW), 0);
    assert!(!ready(&scene.people[0]), "not before the payee consented");
    scene.deliver();
    scene.people[0].restart();
    release(&mut scene).expect("asked again");
    scene.deliver();
    agree(&mut scene);
    scene.deliver();
    assert!(ready(&scene.people[0]));
    settle(&mut scene.people[0]);
    scene.pay(0, 2, 1000);
    assert_eq!(scene.balances(), [0, 0, 1000]);
    assert_eq!(release(&mut scene).expect_err("nothing is left").code(), "OWN_NOTHING");
    assert!(!scene.anyone_convicted());
}

#[test]
fn a_release_that_nobody_consented_to_is_good_after_the_lock() {
    let mut scene = reserved(2, 400);
    release(&mut scene).expect("asked");
    scene.people[0].out.clear();
    scene.people[0].restart();
    scene.people[0].now = UNTIL;
    scene.people[0].tell(Input::Locks).expect("always");
    assert!(ready(&scene.people[0]));
    settle(&mut scene.people[0]);
    assert!(scene.people[0].device.unsettled().is_empty());
}

/// Somebody's clock shows the end of a lock for a moment.
fn wrong_for_a_moment(person: &mut Person) {
    person.now = UNTIL;
    person.tell(Input::Locks).expect("always");
    person.restart();
    person.now = NOW;
    person.tell(Input::Locks).expect("always");
}

#[test]
fn a_clock_that_was_wrong_for_a_moment_ends_no_lock() {
    let mut scene = reserved(3, 400);
    release(&mut scene).expect("asked");
    scene.people[0].out.clear();
    wrong_for_a_moment(&mut scene.people[0]);
    assert!(!ready(&scene.people[0]), "it waits for the consent as before");
    scene.pay(0, 2, 600);
    assert_eq!(scene.start(0, 2, 400).expect_err("the rest waits").code(), "INSUFFICIENT_FUNDS");
    release(&mut scene).expect("asked again");
    scene.deliver();
    agree(&mut scene);
    scene.deliver();
    assert!(ready(&scene.people[0]));
    scene.pay(0, 2, 400);
    assert_eq!(scene.balances(), [0, 0, 1000]);
}

#[test]
fn change_that_a_wrong_clock_took_for_free_waits_again() {
    let mut scene = reserved(2, 400);
    signs_unheard(&mut scene, 150);
    wrong_for_a_moment(&mut scene.people[0]);
    assert!(!ready(&scene.people[0]));
    let payee = scene.id(1);
    scene.people[0].tell(Input::Retry { payee }).expect("always");
    scene.deliver();
    assert!(ready(&scene.people[0]), "the receipt brings the consent");
    assert_eq!((scene.balances(), set_aside(&scene.people[0], NOW)), ([850, 150].into(), 250));
}

#[test]
fn what_was_receipted_after_the_lock_stays_so_whatever_the_clock_says() {
    let mut scene = reserved(2, 400);
    scene.people.iter_mut().for_each(|person| person.now = UNTIL);
    scene.pay(0, 1, 850);
    let unreceipted = |person: &Person, payee| person.device.unreceipted(payee).count();
    let payee = scene.id(1);
    assert_eq!(unreceipted(&scene.people[0], payee), 0);
    for now in [NOW, UNTIL] {
        scene.people[0].now = now;
        scene.people[0].tell(Input::Locks).expect("always");
        assert_eq!(unreceipted(&scene.people[0], payee), 0);
    }
    assert_eq!((scene.balances(), ready(&scene.people[0])), ([150, 850].into(), true));
}

#[test]
fn what_the_network_certified_without_a_consent_is_free_whatever_the_clock_says() {
    let mut scene = reserved(2, 400);
    release(&mut scene).expect("asked");
    scene.people[0].out.clear();
    scene.people[0].now = UNTIL;
    scene.people[0].tell(Input::Locks).expect("always");
    settle(&mut scene.people[0]);
    scene.people[0].now = NOW;
    scene.people[0].tell(Input::Locks).expect("always");
    assert!(ready(&scene.people[0]));
}

#[test]
fn who_consented_to_a_release_is_not_paid_from_it() {
    let mut scene = reserved(2, 400);
    let mut patched = scene.people[0].clone();
    release(&mut scene).expect("asked");
    scene.deliver();
    agree(&mut scene);
    scene.people[1].restart();
    let (payee, invoice) = (scene.id(1), scene.invoice(1, 400));
    patched.tell(Input::PayInvoice { payee, invoice: invoice.into() }).expect("a patched payer");
    let (_, payment) = patched.out.pop_front().expect("the payment");
    scene.people[1].hear(patched.id(), &payment).expect("heard");
    assert_eq!(scene.balances()[1], 0);
    assert!(scene.bricks(1, 0), "both are signed");
}

#[test]
fn only_what_is_reserved_for_the_asked_is_released() {
    let mut scene = reserved(3, 400);
    release(&mut scene).expect("asked");
    let (alice, message) = (scene.id(0), scene.people[0].out.pop_front().expect("asked").1);
    scene.people[2].hear(alice, &message).expect("heard");
    assert_eq!(scene.refusals(2), ["TRADE_COINS"], "it is reserved for somebody else");
    let Message::Release(payment) = message else { panic!("a release") };
    let mut bent = payment.clone();
    bent.accept.owner = Predicate::Signature(scene.people[2].key.public());
    scene.people[1].hear(alice, &Message::Release(bent)).expect("heard");
    let mut bent = payment.clone();
    bent.commit.root = crate::id::Root::new([1; 32]);
    scene.people[1].hear(alice, &Message::Release(bent)).expect("heard");
    let mut bent = payment;
    bent.offer.amount = Amount::new(399);
    scene.people[1].hear(alice, &Message::Release(bent)).expect("heard");
    assert_eq!(scene.refusals(1), ["TRADE_COINS", "TRADE_ROOT", "TRADE_ROOT"]);
    let asked = |e: &Event| matches!(e, Event::ReleaseAsked { .. });
    assert!(!scene.people[1].events.iter().any(asked));
}
