//! What whoever is not known can do to a device that knows better people.

use alloc::vec::Vec;

use super::scene::{NOW, Person, Scene, mint, open_policy};
use crate::card::{Card, Signed};
use crate::device::forget::MAX_STRANGE_OPEN;
use crate::device::payee::{MAX_TERMS_OF_ONE, MAX_TERMS_OF_STRANGERS};
use crate::device::{Event, Input};
use crate::evidence::Sighting;
use crate::fields::Fields;
use crate::id::{CoinId, DeviceId};
use crate::message::{Findings, Message};
use crate::predicate::Predicate;

/// Somebody whom nobody knows, with a coin, in the last place of the scene. Bob (1) heard of them.
fn newcomer(scene: &mut Scene, byte: u8) -> usize {
    let policy = scene.people[1].device.policies().values().next().cloned().expect("one");
    let mut person = Person::new(byte);
    person.tell(Input::Policy(policy)).expect("good");
    person.tell(Input::AcceptPolicy(open_policy())).expect("always");
    person.tell(Input::Contact(scene.people[1].card())).expect("good");
    let owner = Predicate::Signature(person.key.public());
    let minted = mint(&scene.issuer, scene.asset, 100 + u64::from(byte), 100, owner);
    person.tell(Input::Mint(minted.into())).expect("good");
    scene.people[1].tell(Input::Stranger(person.card())).expect("room");
    scene.people.push(person);
    scene.people.len() - 1
}

fn offer_of(scene: &mut Scene, person: usize) -> Message {
    scene.start(person, 1, 1).expect("an offer");
    scene.people[person].out.pop_front().expect("it").1
}

fn held(person: &Person) -> Vec<&str> {
    let code = |event: &'_ Event| match event {
        Event::Held { reason, .. } => Some(reason.code.clone()),
        _ => None,
    };
    let codes = person.events.iter().filter_map(code);
    codes.map(|code| &*alloc::boxed::Box::leak(code.into_boxed_str())).collect()
}

#[test]
fn offers_of_a_stranger_evict_no_invoice() {
    let mut scene = Scene::new(2, 1000);
    let invoice = scene.invoice(1, 250);
    let thief = newcomer(&mut scene, 90);
    let (offer, id) = (offer_of(&mut scene, thief), scene.id(thief));
    for n in 0..1100_u32 {
        // A proof against somebody made up ends what was offered, so that there are new terms.
        let mut key = [1; 32];
        key[..4].copy_from_slice(&n.to_be_bytes());
        let made_up = crate::keys::SecretKey::new(key).expect("a scalar");
        let forks = [super::wishes::fork_of(&made_up)].into();
        let findings =
            Findings { forks: crate::cbor::List::truncated(forks), ..Findings::default() };
        scene.people[1].hear(id, &Message::Findings(findings)).expect("heard");
        scene.people[1].hear(id, &offer).expect("heard");
        scene.people[1].out.clear();
    }
    let of_thief = scene.people[1].device.terms().values().filter(|t| t.payer == Some(id));
    assert!(of_thief.count() <= MAX_TERMS_OF_ONE);
    scene.pay_invoice(0, 1, &invoice);
    scene.deliver();
    assert_eq!(held(&scene.people[1]), [""; 0]);
    assert_eq!(scene.balances()[1], 250, "the invoice is as good as before");
}

#[test]
fn what_strangers_leave_open_has_a_limit_and_leaves_contacts_theirs() {
    let mut scene = Scene::new(3, 1000);
    scene.mint_to(2, 9, 1000);
    scene.start(0, 1, 5).expect("an offer");
    let (alice, _, offer) = scene.next().expect("it");
    scene.people[1].hear(alice, &offer).expect("heard");
    for byte in 10..250 {
        let stranger = newcomer(&mut scene, byte);
        let (offer, id) = (offer_of(&mut scene, stranger), scene.id(stranger));
        scene.people[1].hear(id, &offer).expect("heard");
        scene.people.pop();
    }
    let bob = &scene.people[1].device;
    let strange = |payer: &DeviceId| bob.is_stranger(payer);
    assert_eq!(bob.offers.keys().filter(|payer| strange(payer)).count(), MAX_STRANGE_OPEN);
    assert!(bob.offers.contains_key(&alice));
    let terms = bob.terms().values().filter_map(|terms| terms.payer);
    assert!(terms.filter(strange).count() <= MAX_TERMS_OF_STRANGERS);
    let accept = scene.people[1].out.iter().find(|(to, _)| *to == alice).expect("it").1.clone();
    scene.people[1].out.clear();
    let bob = scene.id(1);
    scene.people[0].hear(bob, &accept).expect("heard");
    scene.deliver();
    assert_eq!(scene.balances()[1], 5, "a contact goes on where it was");
}

#[test]
fn whose_unit_is_only_held_stays_a_stranger() {
    let mut scene = Scene::new(2, 1000);
    let thief = newcomer(&mut scene, 90);
    let (id, invoice) = (scene.id(thief), scene.invoice(1, 1));
    scene.pay_invoice(0, 1, &invoice);
    scene.deliver();
    scene.pay_invoice(thief, 1, &invoice);
    scene.deliver();
    assert_eq!(held(&scene.people[1]), ["TRADE_TERMS"], "they were used");
    let stranger = |scene: &Scene| scene.people[1].device.contacts()[&id].stranger.is_some();
    assert!(stranger(&scene));
    let forget = crate::device::Forgotten::Contact(id);
    scene.people[1].device.apply(crate::device::Change::Forgotten(forget));
    let card = scene.people[thief].card();
    scene.people[1].tell(Input::Stranger(card)).expect("room");
    assert!(stranger(&scene), "also when it comes again");
    scene.pay(thief, 1, 1);
    assert!(!stranger(&scene), "what is wanted makes a contact");
}

/// A card of Alice's with a name, made so many seconds after [`NOW`].
fn card_of(person: &Person, name: &str, after: u64) -> Signed {
    let card = person.card().open_card().expect("good");
    let name = crate::card::Name::new(name).expect("short");
    let card = Card { fields: Fields::at(NOW.plus(after)), name, ..card };
    Signed::card(&card, &person.key).expect("short")
}

#[test]
fn a_newer_card_of_a_contact_is_taken_from_itself_and_an_older_one_is_not() {
    let mut scene = Scene::new(2, 1000);
    let alice = scene.id(0);
    let [first, newer] = [10, 20].map(|at| card_of(&scene.people[0], "renamed", at));
    let came = |scene: &mut Scene, card: &Signed| {
        scene.people[1].tell(Input::Stranger(card.clone())).expect("good");
        scene.people[1].device.contacts()[&alice].clone()
    };
    assert_eq!(*came(&mut scene, &first).card, first);
    let contact = came(&mut scene, &newer);
    assert_eq!((&*contact.card, contact.name.as_str()), (&newer, "somebody"), "under its old name");
    assert_eq!(contact.stranger, None);
    assert_eq!(*came(&mut scene, &first).card, newer);
    let other = card_of(&scene.people[0], "other", 20);
    assert_eq!(*came(&mut scene, &other).card, newer, "of the same age");
    scene.people[1].restart();
    assert_eq!(*scene.people[1].device.contacts()[&alice].card, newer, "it is durable");
    scene.pay(0, 1, 5);
}

#[test]
fn a_step_is_known_by_whichever_of_its_coins_is_left() {
    let mut scene = Scene::new(3, 600);
    scene.mint_to(0, 2, 500);
    scene.pay(0, 1, 1000);
    let key = scene.people[0].key.public();
    let of_two: Vec<Sighting> =
        scene.people[1].device.sightings().iter().filter(|seen| seen.key == key).collect();
    assert_eq!(of_two.len(), 2, "one step, two coins");
    for gone in &of_two {
        let mut known = scene.people[1].device.sightings().clone();
        known.remove(&key, &gone.branch.coin);
        let mut of_its_number = gone.clone();
        of_its_number.branch.coin = CoinId::new([9; 32]);
        of_its_number.branch.step.head = crate::id::Head::new([9; 32]);
        let mut from_its_head = gone.clone();
        from_its_head.branch.coin = CoinId::new([9; 32]);
        from_its_head.branch.step.seq += 7;
        for other in [&of_its_number, &from_its_head] {
            assert!(known.contradiction(other).is_some(), "{other:?}");
        }
        known.remove(&key, &of_two.iter().find(|one| *one != gone).expect("two").branch.coin);
        assert!(known.is_empty() && known.contradiction(&of_its_number).is_none());
    }
}
