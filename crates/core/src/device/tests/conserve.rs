//! Nothing that the network or a crash does makes value, loses it, or convicts an honest device.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::scene::Scene;
use crate::device::{Input, OutgoingState};

const PEOPLE: u8 = 4;
const TOTAL: u64 = 4000;

#[derive(Clone, Debug)]
enum Act {
    Offer(u8, u8, u64),
    Invoice(u8, u8, u64),
    Deliver(u8, bool),
    Reorder(u8),
    Lose(u8),
    Retry(u8, u8),
    Meet(u8, u8),
    Crash(u8),
    DieIn(u8, u32),
}

fn act() -> impl Strategy<Value = Act> {
    let who = 0..PEOPLE;
    let pair = (who.clone(), who.clone());
    prop_oneof![
        3 => (pair.clone(), 1u64..600).prop_map(|((a, b), n)| Act::Offer(a, b, n)),
        2 => (pair.clone(), 1u64..600).prop_map(|((a, b), n)| Act::Invoice(a, b, n)),
        12 => (who.clone(), any::<bool>()).prop_map(|(a, twice)| Act::Deliver(a, twice)),
        1 => who.clone().prop_map(Act::Reorder),
        1 => who.clone().prop_map(Act::Lose),
        1 => pair.clone().prop_map(|(a, b)| Act::Retry(a, b)),
        1 => pair.prop_map(|(a, b)| Act::Meet(a, b)),
        1 => who.clone().prop_map(Act::Crash),
        1 => (who, 0u32..8).prop_map(|(a, n)| Act::DieIn(a, n)),
    ]
}

fn carry(scene: &mut Scene, from: usize, twice: bool) {
    let Some((to, message)) = scene.people[from].out.pop_front() else { return };
    let to = scene.people.iter().position(|p| p.id() == to).expect("somebody here");
    let id = scene.id(from);
    for _ in 0..1 + u8::from(twice) {
        scene.people[to].hear(id, &message).expect("a message from a contact is heard");
    }
}

/// Does one thing; a wish that cannot be met is no failure.
fn perform(scene: &mut Scene, act: &Act) {
    let at = |who: &u8| usize::from(*who);
    match act {
        Act::Offer(a, b, n) if a != b => drop(scene.start(at(a), at(b), *n)),
        Act::Invoice(a, b, n) if a != b => {
            let invoice = scene.invoice(at(b), *n);
            let input = Input::PayInvoice { payee: scene.id(at(b)), invoice: invoice.into() };
            drop(scene.people[at(a)].tell(input));
        }
        Act::Deliver(a, twice) => carry(scene, at(a), *twice),
        Act::Reorder(a) => {
            let out = &mut scene.people[at(a)].out;
            out.make_contiguous().reverse();
        }
        Act::Lose(a) => drop(scene.people[at(a)].out.pop_front()),
        Act::Retry(a, b) if a != b => {
            let payee = scene.id(at(b));
            scene.people[at(a)].tell(Input::Retry { payee }).expect("always possible");
        }
        Act::Meet(a, b) if a != b => {
            let contact = scene.id(at(b));
            scene.people[at(a)].tell(Input::Meet { contact }).expect("a contact");
        }
        Act::Crash(a) => scene.people[at(a)].restart(),
        Act::DieIn(a, n) => scene.people[at(a)].dies_in = Some(*n),
        _ => {}
    }
}

/// What is signed or intended and has not reached its payee.
fn in_flight(scene: &Scene) -> u64 {
    let reached = |tx| scene.people.iter().any(|p| p.device.incoming().contains_key(tx));
    let out = scene.people.iter().flat_map(|p| p.device.outgoing().values());
    out.filter(|o| !reached(&o.tx)).map(|o| o.payment.offer.amount.units()).sum()
}

fn heal(scene: &mut Scene) {
    scene.people.iter_mut().for_each(|p| p.dies_in = None);
    scene.deliver();
    for one in 0..usize::from(PEOPLE) {
        for other in (0..usize::from(PEOPLE)).filter(|other| *other != one) {
            scene.meet(one, other);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn value_is_conserved_and_nobody_honest_is_convicted(acts in prop::collection::vec(act(), 1..120)) {
        let mut scene = Scene::new(PEOPLE, 0);
        for person in 0..usize::from(PEOPLE) {
            scene.mint_to(person, person as u64 + 1, TOTAL / u64::from(PEOPLE));
        }
        for act in &acts {
            perform(&mut scene, act);
            let held: u64 = scene.balances().iter().sum();
            prop_assert_eq!(held + in_flight(&scene), TOTAL, "after {:?}", act);
        }
        heal(&mut scene);
        prop_assert_eq!(scene.balances().iter().sum::<u64>(), TOTAL);
        prop_assert!(!scene.anyone_convicted());
        let out = scene.people.iter().flat_map(|p| p.device.outgoing().values());
        let waiting: Vec<_> = out.filter(|o| o.state != OutgoingState::Receipted).collect();
        prop_assert!(waiting.is_empty(), "everything that was signed has arrived");
    }
}
