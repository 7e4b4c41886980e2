//! Steps that a contact holds second-hand come back too; what it only claims does not.

use super::{by_word, confirm, reply_of_bob, restored};
use crate::device::tests::scene::Scene;
use crate::device::{Apart, Change, Event, Input, Mode};
use crate::evidence::Sighting;
use crate::fork::Branch;
use crate::id::CoinId;
use crate::keys::SecretKey;
use crate::message::{Message, Seen};
use crate::transaction::Step;

/// Alice, who paid Bob 100 after her backup. Bob has paid it on to Carol, and is gone.
fn paid_on() -> Scene {
    let mut scene = Scene::new(4, 1000);
    let backup = scene.people[0].disk.clone();
    scene.pay(0, 1, 100);
    scene.pay(1, 2, 100);
    scene.people[0].restore(backup);
    scene
}

fn give_up(scene: &mut Scene, contacts: &[usize]) {
    for contact in contacts {
        let contact = scene.id(*contact);
        scene.people[0].tell(Input::GiveUp { contact }).expect("a contact");
    }
}

#[test]
fn a_step_behind_a_coin_that_a_contact_holds_comes_back() {
    let mut scene = paid_on();
    give_up(&mut scene, &[1, 3]);
    scene.meet(0, 2);
    assert_eq!((scene.people[0].device.seq(), scene.balances()[0]), (1, 900));
    assert_eq!(by_word(&mut scene), Ok(()));
    scene.pay(0, 2, 900);
    scene.meet(1, 2);
    assert!(!scene.anyone_convicted());
}

#[test]
fn a_step_behind_a_coin_that_a_contact_paid_on_comes_back() {
    let mut scene = paid_on();
    scene.pay(2, 3, 100);
    give_up(&mut scene, &[1, 3]);
    scene.meet(0, 2);
    assert_eq!((scene.people[0].device.seq(), scene.balances()[0]), (1, 900));
}

#[test]
fn a_device_that_was_set_back_unnoticed_learns_it_second_hand() {
    let mut scene = Scene::new(3, 1000);
    let backup = scene.people[0].disk.clone();
    scene.pay(0, 1, 100);
    scene.pay(1, 2, 100);
    scene.people[0].disk = backup;
    scene.people[0].restart();
    scene.meet(0, 2);
    assert_eq!(*scene.people[0].device.mode(), Mode::ReceiveOnly);
    assert_eq!(scene.people[0].device.seq(), 1);
}

#[test]
fn a_step_of_which_only_a_branch_was_seen_is_the_end_and_its_coin_is_spent() {
    let mut scene = restored();
    let hop = scene.people[2].device.incoming().values().next().and_then(|i| i.hop.clone());
    let branch = hop.expect("a payment").branches().next().expect("an input");
    let key = scene.people[0].key.public();
    scene.people[1].device.apply(Change::Sighting(Sighting { key, branch }));
    give_up(&mut scene, &[2]);
    scene.meet(0, 1);
    let device = &scene.people[0].device;
    assert_eq!((device.seq(), device.latest().0), (2, 3));
    assert!(device.set_apart().all(|(_, apart)| matches!(apart, Apart::Spent(_))));
    assert_eq!(scene.balances()[0], 0, "what Carol was paid with is not here any more");
    assert_eq!(by_word(&mut scene), Ok(()));
    scene.meet(0, 2);
    assert_eq!(scene.balances()[0], 650, "Carol tells the rest of it");
    scene.pay(0, 1, 650);
    assert!(!scene.anyone_convicted());
}

#[test]
fn a_claim_without_a_step_is_shown_with_its_source_and_blocks_nothing() {
    let mut scene = restored();
    let mut reply = reply_of_bob(&mut scene);
    let (bob, key) = (scene.id(1), Seen::key(&scene.people[0].key.public()));
    let claim = Seen { key, seq: 99, before: [1; 16], after: [2; 16], coin: [3; 8] };
    reply.sync.seen = crate::cbor::List::truncated([claim].into());
    scene.people[0].hear(bob, &Message::SyncReply(reply)).expect("heard");
    scene.people[0].out.clear();
    assert!(scene.people[0].events.contains(&Event::Claimed { contact: bob, seq: 99 }));
    scene.meet(0, 2);
    assert_eq!(confirm(&mut scene), Ok(()), "a liar blocks nobody");
    scene.pay(0, 1, 650);
    assert!(!scene.anyone_convicted());
}

#[test]
fn a_claim_that_is_proved_is_no_event() {
    let mut scene = restored();
    scene.meet(0, 1);
    scene.meet(0, 2);
    assert!(!scene.people[0].events.iter().any(|e| matches!(e, Event::Claimed { .. })));
}

#[test]
fn all_that_is_told_of_a_step_is_told_at_once() {
    let (mut scene, key) = (Scene::new(2, 1000), SecretKey::new([1; 32]).expect("a scalar"));
    scene.pay(0, 1, 1);
    let hop = scene.people[1].device.incoming().values().next().and_then(|i| i.hop.clone());
    let branch = hop.expect("a payment").branches().next().expect("an input");
    let alone = (10u8..10 + 62).map(|n| (u64::from(n), n));
    for (seq, coin) in alone.chain((200..203).map(|coin| (100, coin))) {
        let step = Step { seq, ..branch.step };
        let branch = Branch { step, coin: CoinId::new([coin; 32]), ..branch.clone() };
        let sighting = Sighting { key: key.public(), branch };
        scene.people[1].device.apply(Change::Sighting(sighting));
    }
    let (alice, contact) = (scene.id(0), scene.id(1));
    scene.people[0].tell(Input::Restored).expect("always");
    scene.people[0].tell(Input::Meet { contact }).expect("a contact");
    let (_, sync) = scene.people[0].out.pop_front().expect("a sync");
    scene.people[1].hear(alice, &sync).expect("heard");
    let told = scene.people[1].out.iter().find_map(|(_, message)| match message {
        Message::SyncReply(reply) => reply.history.clone(),
        _ => None,
    });
    let told = told.expect("a history");
    // 62 steps have a branch each: two of the three branches of the last step would fit.
    assert_eq!((told.steps.len(), told.more), (62, true));
    assert!(told.steps.iter().all(|told| told.seq() < 100));
}
