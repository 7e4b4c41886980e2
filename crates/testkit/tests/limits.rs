//! What waits has limits, and nothing of value is lost when one is reached.

use tally_agent::{AgentError, Conn, Done, Goal, Input, MAX_CONNECTIONS, MAX_SERVED};
use tally_core::accept::AcceptPolicy;
use tally_core::amount::Amount;
use tally_core::device::{self, Event};
use tally_testkit::{Ended, Person, Scene};

fn open(scene: &mut Scene, goal: Goal) -> Result<(), Ended> {
    let conn = scene.people[0].next_conn();
    scene.give(0, Input::Opened { conn, goal }).map(|_| ())
}

#[test]
fn more_connections_than_the_limit_are_refused_and_who_comes_leaves_room_to_pay() {
    let mut scene = Scene::new(2, 1000);
    for _ in 0..MAX_SERVED {
        open(&mut scene, Goal::Serve).unwrap();
    }
    let busy = Err(Ended::Refused(AgentError::Busy));
    assert_eq!(open(&mut scene, Goal::Serve), busy);
    scene.pay(0, 1, 10).unwrap();
    let contact = scene.id(1);
    for _ in MAX_SERVED..MAX_CONNECTIONS {
        open(&mut scene, Goal::Meet { contact }).unwrap();
    }
    assert_eq!(open(&mut scene, Goal::Meet { contact }), busy);
    let (asset, amount) = (scene.asset, Amount::new(10));
    let given = scene.give(0, Input::Invoice { asset, amount, valid_for: 60 }).unwrap();
    assert!(given.invoice.is_some(), "what comes by code goes on");
}

#[test]
fn four_payments_are_on_their_way_on_one_connection_and_no_more() {
    let mut scene = Scene::new(2, 1000);
    for _ in 0..10 {
        let invoice = scene.invoice(1, 1).unwrap();
        scene.give(0, Input::PayInvoice(Box::new(invoice))).unwrap();
    }
    let conn = scene.people[0].next_conn();
    let goal = Goal::Resend { payee: scene.id(1) };
    let given = scene.give(0, Input::Opened { conn, goal }).unwrap();
    assert_eq!(given.on(conn).len(), 4);
}

#[test]
fn a_connection_is_not_replaced_by_another_of_its_number() {
    let mut scene = Scene::new(2, 1000);
    let opened = Input::Opened { conn: Conn(77), goal: Goal::Serve };
    scene.give(0, opened.clone()).unwrap();
    assert_eq!(scene.give(0, opened).unwrap_err(), Ended::Refused(AgentError::Busy));
}

/// Has somebody accept any number of payments that are not settled.
fn take_any_number(scene: &mut Scene, person: usize) {
    let policy = scene.people[person].device().accept_policy().clone();
    let policy = AcceptPolicy { max_unsettled: None, ..policy };
    let now = scene.now;
    scene.people[person].wish(now, device::Input::AcceptPolicy(policy)).expect("a good wish");
}

#[test]
fn any_number_of_payments_that_wait_is_delivered_each_once() {
    for meets in [true, false] {
        let mut scene = Scene::new(2, 0);
        take_any_number(&mut scene, 1);
        let many = 270;
        for _ in 0..many {
            scene.mint_to(0, 1);
            let invoice = scene.invoice(1, 1).expect("an invoice");
            scene.give(0, Input::PayInvoice(Box::new(invoice))).expect("a payment");
        }
        let payee = scene.id(1);
        if meets {
            assert_eq!(scene.meet(0, 1).unwrap(), Done::Met);
        } else {
            let resent = scene.connect(0, 1, Goal::Resend { payee }).unwrap();
            assert_eq!(resent, Done::Resent(usize::try_from(many).unwrap()));
        }
        assert_eq!(scene.balances(), [0, many]);
        let shown = scene.people[1].shown.iter();
        let again = shown.filter(|event| matches!(event, Event::Again { .. })).count();
        assert_eq!(again, 0, "each was sent once");
    }
}

#[test]
fn invoices_that_wait_for_a_signature_are_refused_above_a_limit_and_none_is_pushed_out() {
    let mut scene = Scene::new(2, 1000);
    scene.people[1].key_is_here = false;
    let (asset, amount) = (scene.asset, Amount::new(10));
    let ask = Input::Invoice { asset, amount, valid_for: 60 };
    let taken = (0..100).take_while(|_| scene.give(1, ask.clone()).is_ok()).count();
    assert_eq!(taken, 64);
    let full = scene.give(1, ask.clone()).unwrap_err();
    assert_eq!(full, Ended::Refused(AgentError::Full));
    scene.people[1].key_is_here = true;
    assert!(scene.give(1, Input::Remind).unwrap().invoice.is_some(), "they were asked for again");
    assert!(scene.give(1, ask).unwrap().invoice.is_some(), "and there is room again");
}

#[test]
fn a_receipt_that_waited_for_its_key_is_given_when_the_key_is_back() {
    let mut scene = Scene::new(2, 1000);
    let invoice = scene.invoice(1, 100).unwrap();
    let paid = scene.give(0, Input::PayInvoice(Box::new(invoice))).unwrap().files();
    scene.people[1].key_is_here = false;
    let file = Input::File { bytes: paid[0].clone(), agree: false };
    assert!(scene.give(1, file).unwrap().files().is_empty());
    scene.people[1].key_is_here = true;
    let receipt = scene.give(1, Input::Remind).unwrap().files();
    let file = Input::File { bytes: receipt[0].clone(), agree: false };
    let receipted = scene.give(0, file).unwrap().shown;
    assert!(matches!(receipted[..], [Event::Receipted { .. }]), "{receipted:?}");
}

#[test]
fn what_waits_for_a_counter_goes_on_when_the_hardware_answers_and_has_a_limit_a_device() {
    let mut scene = Scene::with(vec![Person::sealed(1), Person::new(2)], 0);
    scene.mint_to(1, 1000);
    scene.people[0].counter_is_here = false;
    let (payee, asset, amount) = (scene.id(0), scene.asset, Amount::new(10));
    let offers = |scene: &mut Scene| {
        let (mine, theirs) = (scene.people[1].next_conn(), scene.people[0].next_conn());
        let goal = Goal::Pay { payee, asset, amount };
        let offer = scene.give(1, Input::Opened { conn: mine, goal }).unwrap().on(mine);
        scene.give(0, Input::Opened { conn: theirs, goal: Goal::Serve }).unwrap();
        let mut ends = offer.into_iter().map(|bytes| {
            scene.give(0, Input::Packet { conn: theirs, bytes }).unwrap().end_of(theirs)
        });
        ends.find_map(|end| end)
    };
    for _ in 0..4 {
        assert_eq!(offers(&mut scene), None, "it waits");
    }
    assert_eq!(offers(&mut scene), Some(Err(AgentError::Full)));
    scene.people[0].counter_is_here = true;
    let given = scene.give(0, Input::Remind).unwrap();
    assert_eq!(given.packets.len(), 4, "each is answered: {given:?}");
}
