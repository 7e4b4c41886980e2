//! Clocks that are wrong, by bad luck or on purpose.

use tally_agent::{AgentError, Done, Input, PeerError};
use tally_core::device;
use tally_testkit::{Ended, Person, Scene};

const MINUTE: u64 = 60;
const YEAR: u64 = 365 * 86_400;

/// Somebody whom nobody has added, and who knows the second person.
fn newcomer(scene: &mut Scene, seed: u8) -> usize {
    let mut person = Person::new(seed);
    let now = scene.now;
    let policy = scene.people[1].device().policies().values().next().cloned().expect("a good wish");
    person.wish(now, device::Input::Policy(policy)).expect("a good wish");
    let victim = scene.people[1].card();
    person.wish(now, device::Input::Contact(victim)).expect("a good wish");
    scene.people.push(person);
    scene.people.len() - 1
}

fn pay_by_code(scene: &mut Scene, payer: usize, units: u64) -> Result<(), Ended> {
    let invoice = scene.invoice(1, units)?;
    let file = scene.give(payer, Input::PayInvoice(Box::new(invoice)))?.files().remove(0);
    let taken = scene.give(1, Input::File { bytes: file, agree: false })?;
    assert_eq!(taken.files().len(), 1, "a receipt");
    scene.give(payer, Input::File { bytes: taken.files().remove(0), agree: false }).map(|_| ())
}

fn forget(scene: &mut Scene, person: usize) {
    let (now, id) = (scene.now, scene.id(person));
    // The limit of strangers does the same, later.
    scene.people[1].wish(now, device::Input::RemoveContact(id)).expect("a good wish");
}

fn knows(scene: &Scene, person: usize) -> bool {
    scene.people[1].device().contacts().contains_key(&scene.id(person))
}

#[test]
fn strangers_who_are_forgotten_shut_out_nobody_new() {
    let mut scene = Scene::new(2, 1000);
    let ahead = [MINUTE, 9 * MINUTE, 11 * MINUTE, 300 * YEAR, 2_000 * YEAR, 4_000 * YEAR];
    let far = [6_000 * YEAR, 8_000 * YEAR, 10_000 * YEAR, 12_000 * YEAR];
    for (seed, ahead) in (100..).zip(ahead.into_iter().chain(far)) {
        let thief = newcomer(&mut scene, seed);
        scene.people[thief].clock_ahead = ahead;
        let _ = scene.meet(thief, 1);
        let heard = ahead < 10 * MINUTE;
        assert_eq!(knows(&scene, thief), heard, "ahead by {ahead}");
        if heard {
            forget(&mut scene, thief);
        }
    }
    // At once on a connection, which tells what was heard; by code soon.
    let honest = newcomer(&mut scene, 60);
    scene.mint_to(honest, 50);
    assert_eq!(scene.meet(honest, 1), Ok(Done::Met));
    scene.now = scene.now.plus(10 * MINUTE);
    scene.restart(1);
    let honest = newcomer(&mut scene, 61);
    scene.mint_to(honest, 50);
    assert_eq!(pay_by_code(&mut scene, honest, 7), Ok(()));
    assert!(matches!(scene.pay(honest, 1, 5), Ok(Done::Paid(_))));
}

#[test]
fn whom_the_owner_added_is_heard_whatever_strangers_said() {
    let mut scene = Scene::new(2, 1000);
    for seed in 100..110 {
        let thief = newcomer(&mut scene, seed);
        scene.people[thief].clock_ahead = 9 * MINUTE;
        scene.meet(thief, 1).unwrap();
        forget(&mut scene, thief);
    }
    let friend = newcomer(&mut scene, 60);
    let (now, card) = (scene.now, scene.people[friend].card());
    scene.people[1].wish(now, device::Input::Contact(card)).unwrap();
    scene.mint_to(friend, 50);
    assert_eq!(pay_by_code(&mut scene, friend, 7), Ok(()));
}

#[test]
fn a_contact_whose_clock_is_ahead_is_heard() {
    let mut scene = Scene::new(2, 1000);
    scene.people[0].clock_ahead = YEAR;
    assert_eq!(scene.meet(0, 1), Ok(Done::Met));
}

#[test]
fn a_stranger_whose_clock_is_right_again_is_heard_by_code_and_on_a_connection() {
    for by_code in [true, false] {
        let mut scene = Scene::new(2, 1000);
        let honest = newcomer(&mut scene, 60);
        scene.mint_to(honest, 50);
        scene.people[honest].clock_ahead = YEAR;
        let refused = scene.meet(honest, 1);
        assert!(refused.is_err() && !knows(&scene, honest), "{refused:?}");
        scene.people[honest].clock_ahead = 0;
        if by_code {
            assert_eq!(pay_by_code(&mut scene, honest, 7), Ok(()));
        } else {
            assert!(matches!(scene.pay(honest, 1, 5), Ok(Done::Paid(_))));
        }
    }
}

#[test]
fn a_stranger_whose_clock_is_ahead_is_told_to_look_at_it() {
    let mut scene = Scene::new(2, 1000);
    let stranger = newcomer(&mut scene, 60);
    scene.mint_to(stranger, 50);
    scene.people[stranger].clock_ahead = 300;
    let invoice = scene.invoice(1, 1).unwrap();
    let pay = Input::PayInvoice(Box::new(invoice));
    scene.people[stranger].clock_ahead = 0;
    scene.give(stranger, pay).unwrap();
    scene.people[stranger].clock_ahead = YEAR;
    let payee = scene.id(1);
    let file = scene.give(stranger, Input::Resend { payee }).unwrap().files().remove(0);
    let refused = scene.give(1, Input::File { bytes: file, agree: false }).unwrap_err();
    let clock = AgentError::Peer(PeerError::Clock);
    assert_eq!((clock.code(), refused), ("PEER_CLOCK", Ended::Refused(clock.clone())));
    assert!(!knows(&scene, stranger));
}

#[test]
fn what_a_forged_plea_moved_ahead_does_not_stay() {
    let mut scene = Scene::new(2, 1000);
    let stranger = newcomer(&mut scene, 60);
    scene.mint_to(stranger, 50);
    let (payee, conn) = (scene.id(1), scene.people[stranger].next_conn());
    let goal = tally_agent::Goal::Meet { contact: payee };
    scene.give(stranger, Input::Opened { conn, goal }).unwrap();
    let plea = [vec![3], vec![0xff; 8]].concat();
    assert_eq!(
        scene.give(stranger, Input::Packet { conn, bytes: plea }).unwrap().on(conn).len(),
        1
    );
    scene.give(stranger, Input::Closed { conn, why: None }).unwrap();
    assert_eq!(pay_by_code(&mut scene, stranger, 7), Ok(()));
}
