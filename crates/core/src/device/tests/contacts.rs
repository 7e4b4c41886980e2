//! Whom a device knows: strangers come and go, contacts are removed when nothing rests on them.

use alloc::vec::Vec;

use super::scene::{Person, Scene};
use super::wishes::fork_of;
use crate::device::forget::Limits;
use crate::device::{Basis, Device, Event, Input, Meeting, Mode};
use crate::id::DeviceId;
use crate::message::Message;

const STRANGERS: usize = 4;

/// Bob, who keeps few strangers, and somebody who pays him.
fn merchant() -> Scene {
    let mut scene = Scene::new(2, 1000);
    scene.people[1].device.limits = Limits::new(STRANGERS, 10, 10);
    scene
}

fn strangers(device: &Device) -> Vec<DeviceId> {
    let all = device.contacts().values().filter(|contact| contact.stranger.is_some());
    all.map(|contact| contact.device).collect()
}

fn say_hello(scene: &mut Scene, byte: u8) -> DeviceId {
    let stranger = Person::new(byte);
    scene.people[1].now = scene.people[1].now.plus(1);
    scene.people[1].tell(Input::Stranger(stranger.card())).expect("room is made");
    stranger.id()
}

fn remove(scene: &mut Scene, who: usize, whom: usize) -> &'static str {
    let device = scene.id(whom);
    let removed = scene.people[who].tell(Input::RemoveContact(device));
    removed.map_or_else(|e| e.code(), |()| "")
}

#[test]
fn strangers_who_never_pay_make_room_for_others_and_contacts_stay() {
    let mut scene = merchant();
    let came: Vec<DeviceId> = (10..30).map(|byte| say_hello(&mut scene, byte)).collect();
    let bob = &scene.people[1];
    let mut latest = came[came.len() - STRANGERS..].to_vec();
    latest.sort();
    assert_eq!(strangers(&bob.device), latest, "whoever came first went first");
    assert!(bob.device.contacts().contains_key(&scene.id(0)));
    assert_eq!(bob.device.contacts().len(), STRANGERS + 1);
    let kept = bob.disk.keys().filter(|key| key[0] == 2).count();
    assert_eq!(kept, STRANGERS + 1, "and so they do on the disk");
    scene.pay(0, 1, 5);
    assert_eq!(scene.balances(), [995, 5]);
}

#[test]
fn a_stranger_who_pays_is_one_no_longer() {
    let mut scene = Scene::new(2, 1000);
    let (alice, card) = (scene.id(0), scene.people[0].card());
    let bob = &mut scene.people[1];
    bob.device.limits = Limits::new(STRANGERS, 10, 10);
    bob.tell(Input::RemoveContact(alice)).expect("nothing rests on her");
    bob.tell(Input::Stranger(card.clone())).expect("room is made");
    assert_eq!(strangers(&bob.device), [alice]);
    scene.pay(0, 1, 5);
    assert_eq!(strangers(&scene.people[1].device), []);
    (10..30).for_each(|byte| {
        say_hello(&mut scene, byte);
    });
    assert!(scene.people[1].device.contacts().contains_key(&alice));
    let bob = &mut scene.people[1];
    bob.tell(Input::Stranger(card)).expect("known");
    assert_eq!(bob.device.contacts()[&alice].stranger, None);
    bob.restart();
    assert_eq!(strangers(&bob.device).len(), STRANGERS, "a restart knows them too");
}

#[test]
fn whoever_the_owner_adds_is_no_stranger() {
    let mut scene = merchant();
    let friend = say_hello(&mut scene, 9);
    let card = Person::new(9).card();
    scene.people[1].tell(Input::Contact(card)).expect("a good card");
    (10..30).for_each(|byte| {
        say_hello(&mut scene, byte);
    });
    assert!(scene.people[1].device.contacts().contains_key(&friend));
}

#[test]
fn a_contact_on_whom_nothing_rests_is_removed() {
    let mut scene = Scene::new(3, 1000);
    assert_eq!(remove(&mut scene, 1, 2), "");
    let carol = scene.id(2);
    assert!(!scene.people[1].device.contacts().contains_key(&carol));
    assert_eq!(remove(&mut scene, 1, 2), "UNKNOWN_CONTACT");
    scene.people[1].restart();
    assert!(!scene.people[1].device.contacts().contains_key(&carol));
}

#[test]
fn a_contact_on_whom_something_rests_is_not_removed() {
    let mut scene = Scene::new(3, 1000);
    scene.pay(0, 1, 100);
    assert_eq!(remove(&mut scene, 1, 0), "CONTACT_IN_USE", "her money is not settled");
    assert_eq!(remove(&mut scene, 0, 1), "", "he has receipted what she paid");
    let mut scene = Scene::new(3, 1000);
    let invoice = scene.invoice(1, 100);
    scene.pay_invoice(0, 1, &invoice);
    assert_eq!(remove(&mut scene, 0, 1), "CONTACT_IN_USE", "her payment has no receipt");
    let proof = fork_of(&scene.people[2].key);
    scene.people[0].tell(Input::Fork(proof.into())).expect("a good proof");
    assert_eq!(remove(&mut scene, 0, 2), "CONTACT_IN_USE", "the record keeps her refused");
    scene.people[1].tell(Input::Restored).expect("always");
    assert_eq!(remove(&mut scene, 1, 2), "RECEIVE_ONLY", "he may have paid her");
}

#[test]
fn who_comes_back_goes_on_where_the_payments_stand() {
    let mut scene = Scene::new(2, 1000);
    scene.pay(0, 1, 100);
    scene.pay(1, 0, 100);
    assert_eq!(scene.balances(), [1000, 0]);
    assert_eq!(remove(&mut scene, 1, 0), "", "he has paid on what she paid");
    let (alice, card) = (scene.id(0), scene.people[0].card());
    scene.people[1].tell(Input::Stranger(card)).expect("room");
    assert_eq!(scene.people[1].device.contacts()[&alice].stranger, None, "they have paid before");
    scene.pay(0, 1, 30);
    scene.pay(1, 0, 10);
    assert_eq!(scene.balances(), [980, 20]);
}

#[test]
fn a_stranger_is_not_waited_for_after_a_restore_unless_it_gives_back_a_step() {
    let mut scene = Scene::new(3, 1000);
    let carol = scene.id(2);
    scene.people[0].tell(Input::RemoveContact(carol)).expect("nothing rests on her");
    let card = scene.people[2].card();
    scene.people[0].tell(Input::Stranger(card)).expect("room");
    let backup = scene.people[0].disk.clone();
    scene.pay(0, 2, 70);
    scene.people[0].restore(backup);
    assert_eq!(scene.people[0].device.contacts()[&carol].met, Meeting::New);
    scene.meet(0, 1);
    scene.meet(0, 2);
    assert_eq!(scene.people[0].device.contacts()[&carol].met, Meeting::Met);
    scene.people[0].tell(Input::ConfirmRecovery(Basis::Contacts)).expect("all were met");
    assert_eq!(scene.people[0].device.seq(), 1);
    assert_eq!(*scene.people[0].device.mode(), Mode::Normal);
    assert!(scene.people[0].events.contains(&Event::Recovered { seq: 1 }));
}

#[test]
fn an_offer_of_a_contact_that_is_removed_meanwhile_comes_to_nothing() {
    let mut scene = Scene::new(2, 1000);
    scene.start(0, 1, 5).expect("an offer");
    let (from, _, offer) = scene.next().expect("an offer");
    scene.people[1].hear(from, &offer).expect("heard");
    let Some((_, Message::Accept(_))) = scene.people[1].out.front() else { panic!("an accept") };
    assert_eq!(remove(&mut scene, 1, 0), "");
    let (_, accept) = scene.people[1].out.pop_front().expect("it");
    let bob = scene.id(1);
    scene.people[0].hear(bob, &accept).expect("heard");
    let (_, commit) = scene.people[0].out.pop_front().expect("a commit");
    let unheard = scene.people[1].hear(from, &commit).map_err(|e| e.code());
    assert_eq!(unheard, Err("UNKNOWN_CONTACT"));
    let card = scene.people[0].card();
    scene.people[1].tell(Input::Stranger(card)).expect("room");
    let payee = scene.id(1);
    scene.people[0].tell(Input::Retry { payee }).expect("always");
    scene.deliver();
    assert_eq!(scene.balances(), [995, 5], "what she signed reaches him all the same");
}
