//! A connection is with one device for its life, whoever else speaks on it.

use tally_agent::{AgentError, Conn, Done, Goal, Input, PeerError};
use tally_core::amount::Amount;
use tally_core::device::{self, Event};
use tally_testkit::{Person, Scene};

/// What a connection of the first person to the second may be for.
fn goals(scene: &Scene) -> [Goal; 3] {
    let (payee, asset, amount) = (scene.id(1), scene.asset, Amount::new(5));
    [Goal::Resend { payee }, Goal::Meet { contact: payee }, Goal::Pay { payee, asset, amount }]
}

fn wrong_device() -> Option<Result<Done, AgentError>> {
    Some(Err(PeerError::WrongDevice.into()))
}

/// Two payments by code, which nobody was given yet.
fn pay_by_code(scene: &mut Scene, payee: usize, units: u64) -> Vec<u8> {
    let invoice = scene.invoice(payee, units).expect("an invoice");
    let paid = scene.give(0, Input::PayInvoice(Box::new(invoice))).expect("a payment");
    paid.files().remove(0)
}

fn open(scene: &mut Scene, goal: Goal) -> (Conn, Vec<Vec<u8>>) {
    let conn = scene.people[0].next_conn();
    let said = scene.give(0, Input::Opened { conn, goal }).expect("a connection").on(conn);
    (conn, said)
}

#[test]
fn what_is_said_to_a_payee_is_never_said_again_to_another() {
    for which in 0..3 {
        let mut scene = Scene::new(3, 1000);
        // Person 2 was paid once by code, and keeps its receipt back.
        let code = pay_by_code(&mut scene, 2, 5);
        let receipt = scene.give(2, Input::File { bytes: code, agree: false }).unwrap();
        let receipt = receipt.files().remove(0);
        if which < 2 {
            pay_by_code(&mut scene, 1, 11);
        }
        let goal = goals(&scene)[which];
        let (conn, said) = open(&mut scene, goal);
        assert!(!said.is_empty());
        let given = scene.give(0, Input::Packet { conn, bytes: receipt }).unwrap();
        let code = given.end_of(conn).expect("an end").unwrap_err();
        let waits = matches!(goal, Goal::Resend { .. });
        assert_eq!(code.code(), if waits { "WALLET_WAITING" } else { "PEER_WRONG_DEVICE" });
        let plea = [vec![3], vec![0; 8]].concat();
        let given = scene.give(0, Input::Packet { conn, bytes: plea }).unwrap();
        assert!(given.packets.is_empty(), "{goal:?}: said to another");
        let known = scene.people[0].device().outgoing();
        assert!(known.values().all(|paid| !matches!(paid.state, device::OutgoingState::Receipted)));
    }
}

#[test]
fn what_a_plea_brings_again_goes_to_whom_it_was_for() {
    for which in 0..3 {
        let mut scene = Scene::new(2, 1000);
        if which < 2 {
            pay_by_code(&mut scene, 1, 11);
        }
        let goal = goals(&scene)[which];
        let (conn, said) = open(&mut scene, goal);
        // Anybody can plead, and gets nothing that they can read.
        let plea = [vec![3], vec![0; 8]].concat();
        let again = scene.give(0, Input::Packet { conn, bytes: plea }).unwrap().on(conn);
        assert_eq!(again.len(), said.len(), "{goal:?}");
        let theirs = scene.people[1].next_conn();
        scene.give(1, Input::Opened { conn: theirs, goal: Goal::Serve }).unwrap();
        for bytes in again {
            let given = scene.give(1, Input::Packet { conn: theirs, bytes }).unwrap();
            assert!(!given.on(theirs).is_empty(), "{goal:?}: its payee reads it");
        }
    }
}

#[test]
fn who_is_met_is_who_was_to_be_met() {
    let mut scene = Scene::new(3, 1000);
    let (goal, theirs) = (Goal::Meet { contact: scene.id(1) }, Goal::Meet { contact: scene.id(0) });
    let (conn, _) = open(&mut scene, goal);
    let other = scene.people[2].next_conn();
    let given = scene.give(2, Input::Opened { conn: other, goal: theirs }).unwrap();
    let before = scene.people[0].device().clone();
    let bytes = given.on(other).remove(0);
    let said = scene.give(0, Input::Packet { conn, bytes }).unwrap();
    assert_eq!(said.end_of(conn), wrong_device());
    assert!(!scene.people[0].shown.iter().any(|event| matches!(event, Event::Met { .. })));
    assert_eq!(scene.people[0].device(), &before, "nothing of it is kept");
}

#[test]
fn a_stranger_on_a_connection_to_somebody_leaves_nothing() {
    for which in 0..3 {
        let mut scene = Scene::new(2, 1000);
        pay_by_code(&mut scene, 1, 11);
        let mut stranger = Person::new(77);
        let victim = scene.people[0].card();
        stranger.wish(scene.now, device::Input::Contact(victim)).unwrap();
        let theirs = stranger.next_conn();
        let meet = Goal::Meet { contact: scene.id(0) };
        let opened = Input::Opened { conn: theirs, goal: meet };
        let hello = stranger.give(scene.now, opened).unwrap().on(theirs).remove(0);
        let goal = goals(&scene)[which];
        let (conn, _) = open(&mut scene, goal);
        let (before, writes) = (scene.people[0].device().clone(), scene.people[0].disk.writes);
        let given = scene.give(0, Input::Packet { conn, bytes: hello }).unwrap();
        assert!(given.end_of(conn).expect("an end").is_err(), "{goal:?}");
        assert_eq!(scene.people[0].device(), &before, "{goal:?}");
        assert_eq!(scene.people[0].disk.writes, writes, "{goal:?}");
    }
}

#[test]
fn who_came_first_on_a_connection_is_who_it_is_with() {
    let mut scene = Scene::new(3, 1000);
    let conn = scene.people[0].next_conn();
    scene.give(0, Input::Opened { conn, goal: Goal::Serve }).unwrap();
    let mut ends = Vec::new();
    for person in [1, 2] {
        let theirs = scene.people[person].next_conn();
        let goal = Goal::Meet { contact: scene.id(0) };
        let given = scene.give(person, Input::Opened { conn: theirs, goal }).unwrap();
        for bytes in given.on(theirs) {
            ends.push(scene.give(0, Input::Packet { conn, bytes }).unwrap().end_of(conn));
        }
    }
    assert_eq!(ends.first(), Some(&None), "the first is served");
    assert_eq!(ends.last(), Some(&wrong_device()), "and nobody else");
}
