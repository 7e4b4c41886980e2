//! A device that finds itself set back ends what it had begun, whatever showed it.

use tally_agent::{AgentError, Goal, Input};
use tally_core::amount::Amount;
use tally_core::device::{self, Event, Mode};
use tally_testkit::{Copied, Ended, Scene};

/// Alice's disk and all that is beside it are as they were then, and nothing tells her.
fn goes_back(scene: &mut Scene, then: Copied) {
    scene.people[0].go_on_with(then);
    assert!(scene.people[0].is_normal(), "she does not know");
}

/// Alice has sessions with Bob and Carol; then she pays Bob, and her disk and all that is beside it are set
/// back to before that, and nothing tells her.
fn set_back_unnoticed() -> Scene {
    let mut scene = Scene::new(3, 1000);
    scene.pay(0, 1, 1).expect("paid");
    scene.pay(0, 2, 1).expect("paid");
    let then = scene.people[0].copy();
    scene.pay(0, 1, 100).expect("paid");
    goes_back(&mut scene, then);
    assert_eq!(scene.people[0].sessions(), 2);
    scene
}

#[test]
fn a_meeting_that_shows_a_later_step_ends_the_sessions() {
    let mut scene = set_back_unnoticed();
    let contact = scene.id(1);
    let _ = scene.connect(0, 1, Goal::Meet { contact });
    assert_eq!(*scene.people[0].device().mode(), Mode::ReceiveOnly);
    assert!(scene.people[0].sessions() < 2, "that with Carol is over");
    let met = scene.meet(0, 1);
    assert!(met.is_ok(), "they meet anew: {met:?}");
}

#[test]
fn a_payment_that_shows_a_later_step_ends_the_sessions_and_is_taken() {
    let mut scene = set_back_unnoticed();
    scene.pay(1, 0, 40).expect("paid");
    assert_eq!(*scene.people[0].device().mode(), Mode::ReceiveOnly);
    assert_eq!(scene.balances()[0], 999 - 1 + 40);
    assert!(scene.people[0].sessions() < 2, "that with Carol is over");
    let met = scene.meet(0, 2);
    assert!(met.is_ok(), "they meet anew: {met:?}");
}

/// Alice does not know any more where Bob's payments to her stand, and refuses the next.
#[test]
fn a_refused_payment_that_shows_a_later_step_says_so_by_code_and_on_a_connection() {
    for by_code in [false, true] {
        let mut scene = Scene::new(2, 1000);
        scene.mint_to(1, 1000);
        scene.pay(0, 1, 1).expect("paid");
        let then = scene.people[0].copy();
        scene.pay(1, 0, 7).expect("paid");
        scene.pay(0, 1, 100).expect("paid");
        goes_back(&mut scene, then);
        if by_code {
            let (invoice, payee) = (scene.invoice(0, 1090).expect("asked"), scene.id(0));
            scene.give(1, Input::PayInvoice(Box::new(invoice))).expect("made");
            let resent = scene.give(1, Input::Resend { payee }).expect("again").files();
            let file = Input::File { bytes: resent[0].clone(), agree: false };
            let shown = scene.give(0, file).expect("it is read").shown;
            assert!(shown.iter().any(|event| matches!(event, Event::Refused { .. })), "{shown:?}");
        } else {
            let refused = scene.pay(1, 0, 1090);
            assert!(
                matches!(refused, Err(Ended::Refused(AgentError::Refused { .. }))),
                "{refused:?}"
            );
        }
        assert_eq!(*scene.people[0].device().mode(), Mode::ReceiveOnly, "by code: {by_code}");
        scene.restart(0);
        assert_eq!(*scene.people[0].device().mode(), Mode::ReceiveOnly, "and it stays");
        scene.meet(0, 1).expect("they meet");
        assert_eq!(scene.people[0].device().seq(), 2, "her step is back");
    }
}

#[test]
fn what_was_to_be_signed_is_signed_no_more() {
    let mut scene = set_back_unnoticed();
    scene.people[0].key_is_here = false;
    let invoice = scene.invoice(2, 7).expect("asked");
    let begun = scene.give(0, Input::PayInvoice(Box::new(invoice))).expect("begun");
    assert!(begun.files().is_empty(), "the key is away");
    let contact = scene.id(0);
    let _ = scene.connect(1, 0, Goal::Meet { contact });
    scene.people[0].key_is_here = true;
    assert_eq!(*scene.people[0].device().mode(), Mode::ReceiveOnly);
    let reminded = scene.give(0, Input::Remind).expect("always");
    assert!(reminded.files().is_empty(), "nothing leaves a device that only receives");
}

#[test]
fn what_waits_in_place_of_a_step_that_a_payment_shows_is_not_signed() {
    let mut scene = set_back_unnoticed();
    scene.people[0].key_is_here = false;
    let invoice = scene.invoice(2, 7).unwrap();
    let begun = scene.give(0, Input::PayInvoice(Box::new(invoice))).unwrap();
    assert!(begun.files().is_empty(), "the key is away");
    let _ = scene.pay(1, 0, 40);
    assert_eq!(*scene.people[0].device().mode(), Mode::ReceiveOnly, "her lost step is behind it");
    scene.people[0].key_is_here = true;
    let left = scene.give(0, Input::Remind).unwrap().files();
    assert!(left.is_empty(), "nothing is signed in its place");
    scene.meet(1, 2).unwrap();
    let key = scene.people[0].key().public();
    assert!((1..3).all(|one| !scene.people[one].device().is_bricked(&key)));
}

#[test]
fn a_release_by_file_that_shows_a_later_step_makes_one_receive_only() {
    for agree in [false, true] {
        let mut scene = Scene::new(2, 1000);
        scene.pay(0, 1, 1).unwrap();
        scene.mint_to(1, 500);
        let then = scene.people[0].copy();
        scene.pay(0, 1, 100).unwrap();
        scene.settle(1).unwrap();
        let (payee, asset, amount) = (scene.id(0), scene.asset, Amount::new(590));
        let until = scene.now.plus(200_000);
        let reserve = device::Input::Reserve { payee, asset, amount, until };
        scene.give(1, Input::Wish(vec![reserve])).unwrap();
        let bytes = scene.give(1, Input::Release { payee, asset }).unwrap().files().remove(0);
        goes_back(&mut scene, then);
        let heard = scene.give(0, Input::File { bytes, agree }).unwrap();
        let is_refused = heard.over.iter().any(|(_, end)| end.is_err());
        assert_eq!(is_refused, agree, "whoever agreed hears that nothing was agreed to");
        assert_eq!(*scene.people[0].device().mode(), Mode::ReceiveOnly, "{agree}");
    }
}
