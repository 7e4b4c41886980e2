use crate::fields::Fields;
use crate::time::Time;
use alloc::vec::Vec;

use super::scene::{NOW, Scene};
use crate::accept::AcceptPolicy;
use crate::amount::Amount;
use crate::device::{Basis, Event, Input, Mode, OutgoingState, Terms};
use crate::invoice::{INVOICE_VERSION, Invoice};
use crate::message::{Accept, Message};
use crate::predicate::Predicate;
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
    let default = Input::AcceptPolicy(AcceptPolicy::default());
    scene.people[1].tell(default).expect("always");
    for _ in 0..4 {
        scene.pay(0, 1, 500);
    }
    scene.pay(0, 1, 500);
    assert_eq!(scene.people[1].balance(&asset), 2000, "the fifth is above 20 whole units");
    scene.pay(1, 2, 500);
    scene.pay(0, 1, 500);
    assert_eq!(scene.people[1].balance(&asset), 2000, "one of the four was paid on");
}

#[test]
fn terms_that_come_again_are_not_paid_on_again() {
    let mut scene = Scene::new(2, 1000);
    let asset = scene.asset;
    scene.start(0, 1, 100).expect("an offer");
    let (from, to, offer) = scene.next().expect("an offer");
    scene.people[to].hear(from, &offer).expect("a contact");
    let (payee, payer, accept) = scene.next().expect("terms");
    assert!(matches!(accept, Message::Accept(_)));
    scene.people[payer].hear(payee, &accept).expect("a contact");
    scene.deliver();
    scene.start(0, 1, 50).expect("an offer");
    scene.people[payer].hear(payee, &accept).expect("a contact");
    assert_eq!(scene.people[0].device.outgoing().len(), 1, "nothing is signed on them");
    scene.deliver();
    let balances: Vec<_> = scene.people.iter().map(|p| p.balance(&asset)).collect();
    assert_eq!(balances, [850, 150], "and the offer still finds its own");
}

#[test]
fn an_invoice_is_paid_once() {
    let mut scene = Scene::new(2, 1000);
    let (asset, amount, expires_at) = (scene.asset, Amount::new(100), NOW.plus(60));
    let payee = &mut scene.people[1];
    let (nonce, owner) = (payee.nonce(), Predicate::Signature(payee.key.public()));
    let terms = Terms { payer: None, asset, amount, owner: owner.clone(), expires_at };
    payee.tell(Input::Ask { nonce, terms }).expect("good terms");
    let (card, accept) = (payee.card(), Accept { nonce, owner });
    let (version, least, fields) = (INVOICE_VERSION, Tier::Signed, Fields::default());
    let invoice = Invoice { version, card, asset, amount, accept, expires_at, least, fields };
    let pay = Input::PayInvoice { payee: scene.id(1), invoice: invoice.into() };
    scene.people[0].tell(pay.clone()).expect("enough");
    scene.deliver();
    let again = scene.people[0].tell(pay).expect_err("it is paid");
    assert_eq!(again.code(), "TRADE_TERMS");
    assert_eq!(scene.people[0].balance(&asset), 900);
}

#[test]
fn an_answer_from_before_a_backup_was_restored_is_no_meeting_after() {
    let mut scene = Scene::new(2, 1000);
    let (payee, backup) = (scene.id(1), scene.people[0].device.clone());
    scene.people[0].tell(Input::Meet { contact: payee }).expect("a contact");
    let (from, to, sync) = scene.next().expect("a sync");
    scene.people[to].hear(from, &sync).expect("a contact");
    let (from, to, reply) = scene.next().expect("an answer");
    scene.pay(0, 1, 100);
    scene.people[0].device = backup;
    scene.people[0].tell(Input::Restored).expect("a device");
    scene.people[to].hear(from, &reply).expect("a contact");
    scene.deliver();
    assert!(scene.people[0].tell(Input::ConfirmRecovery(Basis::Contacts)).is_err());
    scene.people[0].tell(Input::Meet { contact: payee }).expect("a contact");
    scene.deliver();
    scene.people[0].tell(Input::ConfirmRecovery(Basis::Contacts)).expect("everybody was met");
    assert_eq!((scene.people[0].device.seq(), scene.people[0].device.mode()), (1, &Mode::Normal));
}

#[test]
fn a_clock_that_was_wrong_for_a_moment_forgets_no_invoice() {
    let mut scene = Scene::new(3, 1000);
    let invoice = scene.invoice(1, 250);
    scene.people[1].now = Time::from_unix(NOW.unix() + 400 * 24 * 60 * 60);
    scene.invoice(1, 5);
    scene.start(0, 1, 7).expect("an offer");
    let (alice, _, offer) = scene.next().expect("it");
    scene.people[1].hear(alice, &offer).expect("heard");
    scene.people[1].now = NOW;
    scene.people[1].out.clear();
    scene.pay_invoice(0, 1, &invoice);
    scene.deliver();
    let accepted = scene.people[1].device.incoming().values().filter(|i| i.accepted).count();
    assert_eq!((scene.balances()[1], accepted), (250, 1));
}
