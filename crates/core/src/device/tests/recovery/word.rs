//! What is set apart, and the network: its word strikes, and frees nothing without the owner's.

use super::apart::{apart, gap_of, give_up_bob};
use super::{by_word, confirm};
use crate::device::tests::scene::{NOW, Scene};
use crate::device::tests::settle::{settle, shown, spend_by};
use crate::device::{Apart, Event, Input, Mode};
use crate::evidence::tests::network::trust_base;
use crate::id::CoinId;

/// As a gap, whose coins were all certified before the backup.
fn certified_gap() -> Scene {
    let mut scene = gap_of(|scene| {
        scene.people.iter_mut().for_each(|person| person.notary = Some(trust_base()));
        settle(&mut scene.people[0]);
    });
    give_up_bob(&mut scene);
    scene
}

fn in_question(scene: &Scene) -> CoinId {
    let mut apart = scene.people[0].device.set_apart();
    let (pocket, _) = apart.find(|(_, why)| *why == Apart::Question).expect("set apart");
    pocket.coin.as_ref().expect("a coin").0
}

fn free(scene: &mut Scene, unspent: &[CoinId]) -> Result<(), &'static str> {
    let input = Input::Free { asset: scene.asset, unspent: unspent.to_vec() };
    scene.people[0].tell(input).map_err(|e| e.code())
}

#[test]
fn the_owners_word_frees_what_is_unspent_once_a_payment_to_oneself_is_certified() {
    let mut scene = certified_gap();
    assert_eq!(by_word(&mut scene), Ok(()));
    let coin = in_question(&scene);
    assert_eq!(free(&mut scene, &[coin]), Ok(()));
    assert!(scene.people[0].events.iter().any(|event| matches!(event, Event::Moved { .. })));
    assert_eq!(apart(&scene.people[0]), [(400, Apart::Freed)]);
    assert_eq!(scene.start(0, 3, 400).map_err(|e| e.code()), Err("SET_APART"), "not yet");
    scene.people[0].restart();
    settle(&mut scene.people[0]);
    assert_eq!(apart(&scene.people[0]), []);
    scene.pay(0, 3, 500);
    assert_eq!(scene.balances(), [0, 300, 500, 500]);
    scene.meet(3, 2);
    assert!(!scene.anyone_convicted());
    // Bob, whom the owner took for lost, comes back with a payment of the coin.
    scene.meet(3, 1);
    assert!(scene.bricks(3, 0), "that is what the owner was told");
}

#[test]
fn what_the_network_does_not_show_as_unspent_is_not_freed() {
    let mut scene = certified_gap();
    assert_eq!(free(&mut scene, &[]), Err("RECEIVE_ONLY"));
    assert_eq!(by_word(&mut scene), Ok(()));
    assert_eq!(free(&mut scene, &[]), Err("NOT_UNSPENT"));
    assert_eq!(free(&mut scene, &[CoinId::new([7; 32])]), Err("NOT_UNSPENT"));
    let mut scene = gap_of(|_| ());
    give_up_bob(&mut scene);
    assert_eq!(by_word(&mut scene), Ok(()));
    let coin = in_question(&scene);
    assert_eq!(free(&mut scene, &[coin]), Err("OWN_UNCERTIFIED"), "what is behind it may be lost");
    let mut whole = Scene::new(2, 1000);
    assert_eq!(free(&mut whole, &[]), Err("NOT_SET_APART"));
}

#[test]
fn what_the_network_shows_as_spent_is_struck_and_never_freed() {
    let mut scene = certified_gap();
    let key = scene.people[0].key.public();
    let spend = spend_by(&scene.people[1], &key);
    let coin = spend.source;
    let input = Input::Spent { coin, proof: shown(&spend).into() };
    scene.people[0].tell(input.clone()).expect("shown");
    assert_eq!(scene.balances()[0], 100);
    assert_eq!(by_word(&mut scene), Ok(()), "it may be the step that is missing");
    assert_eq!(free(&mut scene, &[coin]), Err("NOT_SET_APART"));
    scene.people[0].tell(input).expect("again");
    scene.meet(0, 1);
    assert_eq!(scene.balances()[0], 200, "Bob comes back, and the change with him");
    assert!(!scene.anyone_convicted());
}

#[test]
fn a_spend_that_the_network_does_not_show_strikes_nothing() {
    let mut scene = certified_gap();
    let key = scene.people[0].key.public();
    let (bobs, carols) = (spend_by(&scene.people[1], &key), spend_by(&scene.people[2], &key));
    let input = Input::Spent { coin: bobs.source, proof: shown(&carols).into() };
    assert!(scene.people[0].tell(input).is_err());
    assert_eq!(scene.balances()[0], 500);
}

#[test]
fn a_spend_that_nobody_told_leaves_the_end_open() {
    let mut scene = Scene::new(3, 1000);
    scene.people.iter_mut().for_each(|person| person.notary = Some(trust_base()));
    settle(&mut scene.people[0]);
    let bob = scene.id(1);
    scene.people[0].tell(Input::RemoveContact(bob)).expect("nothing rests on Bob");
    let backup = scene.people[0].disk.clone();
    let card = scene.people[1].card();
    scene.people[0].tell(Input::Contact(card)).expect("a card");
    scene.pay(0, 1, 300);
    let spend = spend_by(&scene.people[1], &scene.people[0].key.public());
    scene.people[0].restore(backup);
    scene.meet(0, 2);
    let input = Input::Spent { coin: spend.source, proof: shown(&spend).into() };
    scene.people[0].tell(input).expect("shown");
    assert_eq!(confirm(&mut scene), Err("RECOVERY_END_OPEN"), "the backup does not know Bob");
    let card = scene.people[1].card();
    scene.people[0].tell(Input::Contact(card)).expect("a card");
    scene.meet(0, 1);
    assert_eq!(confirm(&mut scene), Ok(()));
    scene.pay(0, 2, 700);
    assert_eq!(scene.balances(), [0, 300, 700]);
    assert!(!scene.anyone_convicted());
}

#[test]
fn a_spend_that_the_network_shows_makes_a_wallet_stop_that_did_not_know_that_it_was_set_back() {
    let mut scene = Scene::new(2, 1000);
    scene.people.iter_mut().for_each(|person| person.notary = Some(trust_base()));
    settle(&mut scene.people[0]);
    let backup = scene.people[0].disk.clone();
    scene.pay(0, 1, 300);
    let spend = spend_by(&scene.people[1], &scene.people[0].key.public());
    scene.people[0].disk = backup;
    scene.people[0].restart();
    let input = Input::Spent { coin: spend.source, proof: shown(&spend).into() };
    scene.people[0].tell(input).expect("shown");
    assert_eq!(*scene.people[0].device.mode(), Mode::ReceiveOnly);
    assert_eq!((scene.people[0].now, scene.balances()[0]), (NOW, 0));
}
