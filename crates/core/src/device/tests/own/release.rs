//! What is set aside, taken back before its lock ends.

use super::{UNTIL, agree, ready, release, reserved, set_aside};
use crate::amount::Amount;
use crate::device::tests::scene::NOW;
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
    scene.people[0].tell(Input::LocksEnded).expect("always");
    assert!(ready(&scene.people[0]));
    settle(&mut scene.people[0]);
    assert!(scene.people[0].device.unsettled().is_empty());
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
