//! What two agents come to over a connection, whatever becomes of it.

use tally_agent::{AgentError, Conn, Done, Goal, Input};
use tally_core::accept::AcceptPolicy;
use tally_core::device::{self, Event};
use tally_core::hash::sha256;
use tally_testkit::{Ended, Given, Scene};

/// Has somebody pay so often by code, with none of the codes reaching the payee.
fn pay_unheard(scene: &mut Scene, times: u64) {
    for units in 1..=times {
        let invoice = scene.invoice(1, units).expect("an invoice");
        scene.give(0, Input::PayInvoice(Box::new(invoice))).expect("a payment");
    }
}

fn received(scene: &Scene, person: usize) -> usize {
    let shown = scene.people[person].shown.iter();
    shown.filter(|event| matches!(event, Event::Received { .. } | Event::Again { .. })).count()
}

#[test]
fn a_meeting_delivers_any_number_of_payments_each_once() {
    let mut scene = Scene::new(2, 10_000);
    pay_unheard(&mut scene, 30);
    assert_eq!(scene.meet(0, 1).unwrap(), Done::Met);
    assert_eq!(scene.balances(), [10_000 - 465, 465]);
    assert_eq!(received(&scene, 1), 30);
    let receipts = scene.people[0].shown.iter();
    assert_eq!(receipts.filter(|e| matches!(e, Event::Receipted { .. })).count(), 30);
}

#[test]
fn what_waits_is_delivered_before_the_next_payment() {
    let mut scene = Scene::new(2, 10_000);
    pay_unheard(&mut scene, 12);
    let paid = scene.pay(0, 1, 1000).unwrap();
    assert!(matches!(paid, Done::Paid(_)));
    assert_eq!(scene.balances(), [10_000 - 78 - 1000, 1078]);
    assert_eq!(scene.people[0].device().unreceipted(scene.id(1)).count(), 0);
}

#[test]
fn a_meeting_that_breaks_anywhere_is_made_up_for_by_the_next() {
    for cut in 0..30 {
        let mut scene = Scene::new(2, 10_000);
        pay_unheard(&mut scene, 6);
        scene.cut_after = Some(cut);
        let _ = scene.meet(0, 1);
        assert_eq!(scene.meet(0, 1), Ok(Done::Met), "cut after {cut} messages");
        assert_eq!(scene.balances(), [10_000 - 21, 21], "cut after {cut} messages");
        scene.pay(1, 0, 21).unwrap();
    }
}

#[test]
fn power_that_fails_at_any_write_of_a_payment_leaves_it_made_or_not() {
    for (person, after) in [(0, false), (0, true), (1, false), (1, true)] {
        for writes in 0..8 {
            let mut scene = Scene::new(2, 1000);
            scene.people[person].disk.fuse = Some((writes, after));
            let _ = scene.pay(0, 1, 100);
            scene.people[person].disk.fuse = None;
            scene.restart(person);
            assert_eq!(scene.meet(0, 1), Ok(Done::Met), "{person} {after} {writes}");
            let made = scene.people[0].device().outgoing().len() as u64;
            assert_eq!(scene.balances(), [1000 - 100 * made, 100 * made]);
            scene.pay(0, 1, 50).unwrap();
            scene.pay(1, 0, 10).unwrap();
        }
    }
}

#[test]
fn a_key_that_is_away_stops_neither_opening_nor_being_paid() {
    let mut scene = Scene::new(3, 1000);
    scene.pay(0, 1, 400).unwrap();
    scene.people[1].key_is_here = false;
    // Her payment is taken as a step and waits for her key.
    let ended = scene.pay(1, 2, 100).unwrap_err();
    assert!(matches!(ended, Ended::Refused(AgentError::Closed)), "{ended:?}");
    scene.restart(1);
    // What comes in is hers, though she cannot say so yet.
    let paid = scene.pay(0, 1, 50).unwrap_err();
    assert!(matches!(paid, Ended::Refused(_)), "{paid:?}");
    scene.people[1].key_is_here = true;
    scene.restart(1);
    assert_eq!(scene.meet(0, 1), Ok(Done::Met));
    scene.pay(0, 1, 25).unwrap();
    assert_eq!(scene.meet(1, 2), Ok(Done::Met));
    let total: u64 = scene.balances().iter().sum();
    assert_eq!(total, 1000);
    assert!(scene.people[1].device().unreceipted(scene.id(2)).count() == 0);
}

#[test]
fn a_connection_that_nobody_opened_changes_nothing() {
    let mut scene = Scene::new(2, 1000);
    let before = scene.people[0].disk.writes;
    let conn = scene.people[0].next_conn();
    let given = scene.give(0, Input::Packet { conn, bytes: vec![1, 2, 3] }).unwrap();
    assert!(given.packets.is_empty() && given.over.is_empty());
    scene.give(0, Input::Closed { conn, why: None }).unwrap();
    assert_eq!(scene.people[0].disk.writes, before);
}

#[test]
fn a_meeting_with_a_payee_that_was_set_back_ends_whoever_begins_it() {
    for (one, other) in [(0, 1), (1, 0)] {
        let mut scene = Scene::new(2, 1000);
        let then = scene.people[1].disk.clone();
        scene.pay(0, 1, 200).unwrap();
        scene.pay(0, 1, 50).unwrap();
        let now = scene.now;
        scene.people[1].set_back(now, then);
        assert_eq!(scene.balances(), [750, 0]);
        assert_eq!(scene.meet(one, other), Ok(Done::Met), "{one} begins");
        assert_eq!(scene.balances(), [750, 250]);
        scene.recover(1, false).unwrap();
        scene.pay(1, 0, 250).unwrap();
    }
}

/// Codes that get lost and connections that break leave each side with other keys than the other.
#[test]
fn a_meeting_ends_whatever_keys_the_two_have() {
    for seed in 0..200_u64 {
        let mut picks = sha256(&seed.to_be_bytes()).into_iter().map(usize::from);
        let mut scene = Scene::new(2, 1000);
        scene.pay(0, 1, 500).unwrap();
        for _ in 0..8 {
            let (pick, one) = (picks.next().unwrap(), picks.next().unwrap() % 2);
            scene.cut_after = (pick % 2 == 0).then_some(picks.next().unwrap() % 9);
            match pick / 2 % 3 {
                0 => drop(scene.meet(one, 1 - one)),
                1 => drop(scene.pay(one, 1 - one, 3)),
                _ => {
                    let invoice = scene.invoice(1 - one, 7).unwrap();
                    scene.give(one, Input::PayInvoice(Box::new(invoice))).unwrap();
                }
            }
        }
        scene.cut_after = None;
        let one = picks.next().unwrap() % 2;
        assert_eq!(scene.meet(one, 1 - one), Ok(Done::Met), "seed {seed}");
        assert_eq!(scene.balances().iter().sum::<u64>(), 1000);
    }
}

/// Of what was said before an answer, not all need have been read: a session may be gone in the midst of it.
#[test]
fn a_plea_brings_every_payment_of_the_connection_that_has_no_receipt() {
    for read in 0..4 {
        let mut scene = Scene::new(2, 1000);
        pay_unheard(&mut scene, 6);
        let payee = scene.id(1);
        let (mine, theirs) = (scene.people[0].next_conn(), scene.people[1].next_conn());
        let goal = Goal::Meet { contact: payee };
        let mut to_payee = scene.give(0, Input::Opened { conn: mine, goal }).unwrap().on(mine);
        scene.give(1, Input::Opened { conn: theirs, goal: Goal::Serve }).unwrap();
        let mut to_payer = Vec::new();
        let mut over = None;
        let mut heard = 0;
        for _ in 0..200 {
            for bytes in std::mem::take(&mut to_payee) {
                heard += 1;
                if heard == 2 + read {
                    to_payer.extend(hear(&mut scene, 1, theirs, of_no_session(bytes)).on(theirs));
                    continue;
                }
                to_payer.extend(hear(&mut scene, 1, theirs, bytes).on(theirs));
            }
            for bytes in std::mem::take(&mut to_payer) {
                let given = hear(&mut scene, 0, mine, bytes);
                over = over.or(given.end_of(mine));
                to_payee.extend(given.on(mine));
            }
        }
        assert_eq!(over, Some(Ok(Done::Met)), "message {read} is not read");
        assert_eq!(scene.balances(), [1000 - 21, 21], "message {read} is not read");
    }
}

/// A packet with a hello, but for the first byte of its envelope: the session is named there.
fn of_no_session(mut packet: Vec<u8>) -> Vec<u8> {
    let hello = u16::from_be_bytes([packet[3], packet[4]]);
    packet[5 + usize::from(hello) + 3] ^= 1;
    packet
}

fn hear(scene: &mut Scene, person: usize, conn: Conn, bytes: Vec<u8>) -> Given {
    scene.give(person, Input::Packet { conn, bytes }).expect("what comes is heard")
}

/// Has one person pay another by codes that never arrive, `times` one unit.
fn owe(scene: &mut Scene, payer: usize, payee: usize, times: u64) {
    let policy = scene.people[payee].device().accept_policy().clone();
    let policy = AcceptPolicy { max_unsettled: None, ..policy };
    let now = scene.now;
    scene.people[payee].wish(now, device::Input::AcceptPolicy(policy)).expect("a good policy");
    for _ in 0..times {
        scene.mint_to(payer, 1);
        let invoice = scene.invoice(payee, 1).expect("an invoice");
        scene.give(payer, Input::PayInvoice(Box::new(invoice))).expect("a payment");
    }
}

#[test]
fn what_both_owe_each_other_is_delivered_by_one_meeting_each_once() {
    for times in [5, 30, 300] {
        let mut scene = Scene::new(2, 0);
        owe(&mut scene, 0, 1, times);
        owe(&mut scene, 1, 0, times);
        assert_eq!(scene.meet(0, 1), Ok(Done::Met));
        for (person, other) in [(0, 1), (1, 0)] {
            let (device, id) = (scene.people[person].device(), scene.id(other));
            assert_eq!(device.unreceipted(id).count(), 0, "{times}");
            let shown = scene.people[person].shown.iter();
            assert_eq!(shown.filter(|event| matches!(event, Event::Again { .. })).count(), 0);
        }
        assert_eq!(scene.balances(), [times, times]);
    }
}

#[test]
fn a_silent_connection_holds_up_no_other() {
    let mut scene = Scene::new(2, 1000);
    pay_unheard(&mut scene, 6);
    let payee = scene.id(1);
    // This one is answered by nobody, and nobody says that it is over.
    let silent = scene.people[0].next_conn();
    let given =
        scene.give(0, Input::Opened { conn: silent, goal: Goal::Resend { payee } }).unwrap();
    assert_eq!(given.on(silent).len(), 4);
    assert_eq!(scene.give(0, Input::Resend { payee }).unwrap().files().len(), 4);
    assert_eq!(scene.connect(0, 1, Goal::Resend { payee }), Ok(Done::Resent(6)));
    assert_eq!(scene.meet(0, 1), Ok(Done::Met));
    assert!(matches!(scene.pay(0, 1, 50), Ok(Done::Paid(_))));
    assert_eq!(scene.balances(), [1000 - 21 - 50, 71]);
}

#[test]
fn a_connection_for_which_a_hello_waits_holds_up_no_other() {
    let mut scene = Scene::new(2, 1000);
    assert_eq!(scene.meet(0, 1), Ok(Done::Met));
    scene.people[0].key_is_here = false;
    // The file waits for a hello that is not signed; the session that is there goes on.
    let payee = scene.id(1);
    let card = scene.people[0].card();
    let conn = scene.people[0].next_conn();
    let theirs = scene.people[1].next_conn();
    let begin = Input::Opened { conn, goal: Goal::Meet { contact: payee } };
    scene.give(0, Input::Renew { card: Box::new(card) }).unwrap();
    scene.people[0].key_is_here = true;
    pay_unheard(&mut scene, 1);
    scene.people[0].key_is_here = false;
    assert!(scene.give(0, Input::Resend { payee }).unwrap().files().is_empty());
    let said = scene.give(0, begin).unwrap().on(conn);
    assert!(!said.is_empty(), "the session of the code");
    scene.give(1, Input::Opened { conn: theirs, goal: Goal::Serve }).unwrap();
    let answers = scene.give(1, Input::Packet { conn: theirs, bytes: said[0].clone() }).unwrap();
    assert!(!answers.on(theirs).is_empty());
}

#[test]
fn a_payment_that_was_not_begun_is_not_said_to_be_made() {
    let mut scene = Scene::new(2, 1000);
    pay_unheard(&mut scene, 1);
    let old = scene.people[0].device().unreceipted(scene.id(1)).next().unwrap().tx;
    for cut in 0..12 {
        scene.cut_after = Some(cut);
        let before = scene.people[0].device().outgoing().len();
        let ended = scene.pay(0, 1, 5);
        let made = scene.people[0].device().outgoing().len() > before;
        match ended {
            Err(Ended::Refused(AgentError::Waiting { tx, .. })) => {
                assert!(made && tx != old, "cut after {cut}: what waits is the new payment");
            }
            Err(Ended::Refused(AgentError::Closed)) => assert!(!made, "cut after {cut}"),
            other => assert!(matches!(other, Ok(Done::Paid(tx)) if tx != old), "{other:?}"),
        }
    }
    let payee = scene.id(1);
    pay_unheard(&mut scene, 1);
    let old = scene.people[0].device().unreceipted(payee).next().unwrap().tx;
    scene.cut_after = Some(0);
    let resent = scene.connect(0, 1, Goal::Resend { payee });
    let is_it =
        |end: &Ended| matches!(end, Ended::Refused(AgentError::Waiting { tx, .. }) if *tx == old);
    assert!(resent.as_ref().is_err_and(is_it), "{resent:?}");
}
