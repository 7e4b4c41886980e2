//! Nothing that a stranger fills grows without a limit, or takes the place of what matters.

use tally_agent::{AgentError, Conn, Done, Goal, Input, MAX_CONNECTIONS};
use tally_core::card::Signed;
use tally_core::device;
use tally_core::hash::sha256;
use tally_testkit::{Ended, Person, Scene};

/// Most strangers that a device keeps (spec `CARD-5`), and most terms that it has given (`TRADE-8`).
const STRANGERS: usize = 4096;
const TERMS: usize = 1024;
/// How much comes.
const FLOOD: u32 = 10_000;

/// Somebody new says hello on a connection, and is never heard of again.
fn hello(scene: &mut Scene, number: u32, card: &Signed, conn: Conn) -> Result<(), Ended> {
    let (now, contact) = (scene.now, scene.id(0));
    let mut stranger = Person::stranger(number);
    stranger.wish(now, device::Input::Contact(card.clone()))?;
    let mine = stranger.next_conn();
    let opened = Input::Opened { conn: mine, goal: Goal::Meet { contact } };
    for bytes in stranger.give(now, opened)?.on(mine) {
        scene.give(0, Input::Packet { conn, bytes })?;
    }
    Ok(())
}

/// Bytes that look like a packet of any kind, or like none.
fn junk(number: u32) -> Vec<u8> {
    let seed = sha256(&number.to_be_bytes());
    let mut bytes = seed.repeat(1 + usize::from(seed[1]) / 4);
    bytes[0] = seed[0] % 7;
    bytes
}

#[test]
fn a_flood_of_strangers_fills_nothing_and_a_contact_is_paid_all_the_same() {
    let mut scene = Scene::new(3, 1000);
    scene.pay(0, 1, 100).unwrap();
    let asked = scene.invoice(0, 20).unwrap();
    let card = scene.people[0].card();
    let mut busy = 0;
    for number in 0..FLOOD {
        let conn = scene.people[0].next_conn();
        // Nobody of the flood hangs up: whoever comes when all places are taken is sent away.
        match scene.give(0, Input::Opened { conn, goal: Goal::Serve }) {
            Err(Ended::Refused(AgentError::Busy)) => {
                busy += 1;
                for old in 0..200 {
                    let conn = Conn(conn.0 - MAX_CONNECTIONS as u64 + old);
                    scene.give(0, Input::Closed { conn, why: None }).unwrap();
                }
            }
            opened => drop(opened.unwrap()),
        }
        match number % 16 {
            0 => hello(&mut scene, number, &card, conn).unwrap(),
            1..=8 => drop(scene.give(0, Input::Packet { conn, bytes: junk(number) })),
            _ => drop(scene.give(0, Input::File { bytes: junk(number), agree: number % 8 == 3 })),
        }
    }
    for units in 1..=1200 {
        let _ = scene.invoice(0, units);
    }
    let device = scene.people[0].device();
    let strangers = device.contacts().values().filter(|contact| contact.stranger.is_some());
    let strangers = strangers.count();
    assert!((1..=STRANGERS).contains(&strangers), "{strangers} strangers");
    assert_eq!(device.contacts().len(), strangers + 2, "contacts stay");
    assert!(device.terms().len() <= TERMS);
    assert!(device.sightings().len() <= 16 && device.forks().is_empty());
    assert!(busy > 0, "all places were taken");
    for conn in 0..2 * u64::from(FLOOD) {
        let _ = scene.give(0, Input::Closed { conn: Conn(conn), why: None });
    }
    assert!(matches!(scene.pay(1, 0, 30), Ok(Done::Paid(_))));
    assert!(matches!(scene.pay(0, 2, 40), Ok(Done::Paid(_))));
    // What was asked for before is still paid.
    let paid = scene.give(1, Input::PayInvoice(Box::new(asked))).unwrap();
    for bytes in paid.files() {
        scene.give(0, Input::File { bytes, agree: false }).unwrap();
    }
    assert_eq!(scene.balances(), [910, 50, 40]);
}
