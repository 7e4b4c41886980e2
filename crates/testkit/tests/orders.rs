//! Orders whose answers were lost, and inputs that are refused half way.

use tally_agent::{Done, Goal, Input};
use tally_core::accept::{AcceptPolicy, TierLimits};
use tally_core::amount::Amount;
use tally_core::device;
use tally_testkit::{Person, Scene};

fn pay_by_code(scene: &mut Scene, units: u64) -> Vec<u8> {
    let invoice = scene.invoice(1, units).expect("an invoice");
    let given = scene.give(0, Input::PayInvoice(Box::new(invoice))).expect("a payment");
    given.files().remove(0)
}

#[test]
fn a_hello_whose_order_was_lost_is_ordered_again() {
    let mut scene = Scene::new(2, 1000);
    pay_by_code(&mut scene, 100);
    let (card, payee) = (scene.people[0].card(), scene.id(1));
    scene.give(0, Input::Renew { card: Box::new(card) }).unwrap();
    scene.people[0].key_is_here = false;
    assert!(scene.give(0, Input::Resend { payee }).unwrap().files().is_empty());
    scene.people[0].key_is_here = true;
    assert_eq!(scene.give(0, Input::Remind).unwrap().files().len(), 1);
    assert_eq!(scene.meet(0, 1), Ok(Done::Met));
}

#[test]
fn a_hello_that_was_ordered_before_the_card_was_renewed_is_made_anew() {
    let mut scene = Scene::new(2, 1000);
    pay_by_code(&mut scene, 100);
    let payee = scene.id(1);
    scene.people[0].key_is_here = false;
    scene.give(0, Input::Resend { payee }).unwrap();
    let renewed = scene.people[0].card_made_at(scene.now);
    scene.people[0].key_is_here = true;
    let given = scene.give(0, Input::Renew { card: Box::new(renewed.clone()) }).unwrap();
    let bytes = given.files().remove(0);
    scene.give(1, Input::File { bytes, agree: false }).unwrap();
    assert_eq!(*scene.people[1].device().contacts()[&scene.id(0)].card, renewed);
}

#[test]
fn a_refused_consent_leaves_memory_as_the_disk_has_it() {
    let mut scene = Scene::new(2, 1000);
    let codes = [pay_by_code(&mut scene, 11), pay_by_code(&mut scene, 22)];
    // The second comes first, and the owner takes it for a release.
    let taken = scene.give(1, Input::File { bytes: codes[1].clone(), agree: true });
    let refused = taken.map_or(true, |given| given.over.iter().any(|(_, end)| end.is_err()));
    assert!(refused);
    let before = scene.people[1].device().sightings().len();
    scene.restart(1);
    assert_eq!(scene.people[1].device().sightings().len(), before);
    assert_eq!(before, 1, "what its sender signed may be half of a fork");
}

/// Somebody offers so much to the first person, who answers; how often its seal was asked for a counter.
fn offer(scene: &mut Scene, payer: usize, units: u64) -> usize {
    let (payee, asset, amount) = (scene.id(0), scene.asset, Amount::new(units));
    let (mine, theirs) = (scene.people[payer].next_conn(), scene.people[0].next_conn());
    let goal = Goal::Pay { payee, asset, amount };
    let offered =
        scene.give(payer, Input::Opened { conn: mine, goal }).expect("a connection").on(mine);
    scene.give(0, Input::Opened { conn: theirs, goal: Goal::Serve }).expect("a connection");
    let heard = offered.into_iter().map(|bytes| Input::Packet { conn: theirs, bytes });
    heard.map(|packet| scene.give(0, packet).expect("it is read").counters_asked).sum()
}

#[test]
fn no_hardware_is_asked_for_an_offer_that_is_refused() {
    let mut scene = Scene::with(vec![Person::sealed(1), Person::new(2)], 0);
    scene.mint_to(1, 1000);
    let open = scene.people[0].device().accept_policy().clone();
    let now = scene.now;
    let closed = device::Input::AcceptPolicy(AcceptPolicy {
        signed: TierLimits::default(),
        ..AcceptPolicy::default()
    });
    scene.people[0].wish(now, closed).unwrap();
    assert_eq!(offer(&mut scene, 1, 10), 0, "nothing under the key alone is accepted");
    scene.people[0].wish(now, device::Input::AcceptPolicy(open)).unwrap();
    assert_eq!(offer(&mut scene, 1, 10), 1);
    assert_eq!(offer(&mut scene, 1, 20), 0, "whoever has not paid gets the same answer");
}

#[test]
fn no_hardware_is_asked_for_an_offer_that_shows_a_fork() {
    let mut people = vec![Person::sealed(1)];
    people.extend((2..5).map(Person::new));
    let mut scene = Scene::with(people, 0);
    scene.mint_to(1, 1000);
    let copy = scene.people[1].copy();
    scene.pay(1, 2, 1000).unwrap();
    scene.people[1].go_on_with(copy);
    scene.pay(1, 3, 1000).unwrap();
    scene.pay(2, 0, 1000).unwrap();
    assert_eq!(offer(&mut scene, 3, 10), 0, "the coin was spent twice on its way here");
    assert!(scene.people[0].device().is_bricked(&scene.people[1].key().public()));
}
