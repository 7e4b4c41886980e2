//! A contact to whom nothing can be encrypted stops nobody but itself.

use std::sync::Arc;

use tally_agent::{Done, Goal, Input};
use tally_core::amount::Amount;
use tally_core::device::{self, Change, Contact, OutgoingState};
use tally_testkit::Scene;

/// Puts a card under this session key into somebody's records, as an older program may have.
fn plant(scene: &mut Scene, person: usize, other: usize, session_key: Vec<u8>) {
    let contact = scene.people[person].device().contacts()[&scene.id(other)].clone();
    let card = Arc::new(scene.people[other].card_with(session_key));
    let contact = Contact { card, ..contact };
    scene.people[person].disk.plant(&Change::Contact(Box::new(contact)));
    scene.people[person].disk.lose_sessions();
    scene.restart(person);
}

/// Keys that are none: too short, too long, and out of the range of their numbers.
fn malformed() -> [Vec<u8>; 3] {
    [vec![7; 31], vec![7; 1217], vec![0xff; 1216]]
}

#[test]
fn a_payment_that_cannot_be_sent_waits_and_everything_else_goes_on() {
    for key in malformed() {
        let mut scene = Scene::new(3, 1000);
        let invoice = scene.invoice(1, 100).unwrap();
        scene.give(0, Input::PayInvoice(Box::new(invoice))).unwrap();
        plant(&mut scene, 0, 1, key);
        let made = scene.people[0].device().outgoing().values().next().cloned().unwrap();
        assert_eq!(made.state, OutgoingState::Signed, "it is made, and waits");
        let given = scene.give(0, Input::Resend { payee: made.payee }).unwrap();
        assert_eq!((given.unsendable.len(), given.files().len()), (1, 0));
        scene.restart(0);
        scene.pay(0, 2, 50).unwrap();
        assert_eq!(scene.meet(2, 0), Ok(Done::Met));
        // The contact's new card is the way out.
        let card = scene.people[1].card();
        let now = scene.now;
        scene.people[0].wish(now, device::Input::Contact(card)).unwrap();
        let resent = scene.connect(0, 1, Goal::Resend { payee: made.payee }).unwrap();
        assert_eq!(resent, Done::Resent(1));
        assert_eq!(scene.balances(), [850, 100, 50]);
    }
}

#[test]
fn whoever_cannot_be_answered_is_told_apart_from_who_is_not_there() {
    for key in malformed() {
        let mut scene = Scene::new(3, 1000);
        let invoice = scene.invoice(1, 100).unwrap();
        plant(&mut scene, 0, 1, key);
        assert!(scene.give(0, Input::PayInvoice(Box::new(invoice))).is_err());
        let goal = Goal::Pay { payee: scene.id(1), asset: scene.asset, amount: Amount::new(5) };
        let refused = scene.connect(0, 1, goal).unwrap_err();
        assert!(!refused.to_string().is_empty());
        assert_eq!(scene.people[0].device().seq(), 0, "nothing was signed");
        scene.pay(0, 2, 5).unwrap();
    }
}

#[test]
fn a_card_that_no_hello_has_room_for_makes_nothing_wait_for_ever() {
    let mut scene = Scene::new(3, 1000);
    let long = scene.people[0].card_with_fields(4000);
    scene.give(0, Input::Renew { card: Box::new(long) }).unwrap();
    let invoice = scene.invoice(1, 100).unwrap();
    let given = scene.give(0, Input::PayInvoice(Box::new(invoice))).unwrap();
    assert_eq!((given.unsendable.len(), given.files().len()), (1, 0));
    let goal = Goal::Pay { payee: scene.id(2), asset: scene.asset, amount: Amount::new(5) };
    assert!(scene.connect(0, 2, goal).is_err());
    // A shorter card is the way out.
    let short = scene.people[0].card();
    scene.give(0, Input::Renew { card: Box::new(short) }).unwrap();
    let goal = Goal::Resend { payee: scene.id(1) };
    assert_eq!(scene.connect(0, 1, goal), Ok(Done::Resent(1)));
    scene.pay(0, 2, 5).unwrap();
}
