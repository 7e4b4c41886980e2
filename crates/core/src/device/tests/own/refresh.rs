//! Coins that are made into one.

use alloc::vec::Vec;

use super::{ready, tiers};
use crate::amount::Amount;
use crate::cbor::List;
use crate::device::tests::scene::{LOCK, NOW, Person, Scene};
use crate::device::tests::settle::settle;
use crate::device::tests::tpm;
use crate::device::{Event, Input};
use crate::evidence::tests::network::trust_base;
use crate::tier::Tier;

#[test]
fn refreshed_coins_are_one() {
    let mut scene = Scene::new(2, 100);
    (2..=6).for_each(|serial| scene.mint_to(0, serial, 100));
    settle(&mut scene.people[0]);
    let asset = scene.asset;
    scene.people[0].tell(Input::Refresh { asset }).expect("refreshed");
    settle(&mut scene.people[0]);
    let device = &scene.people[0].device;
    let coins: Vec<_> = device.ledger().pockets().filter(|p| p.is_ready()).collect();
    assert_eq!((coins.len(), coins[0].amount()), (1, Amount::new(600)));
    assert_eq!(coins[0].evidence.certificates.len(), 1);
    assert!(device.unsettled().is_empty());
    scene.people[1].notary = Some(trust_base());
    scene.pay(0, 1, 550);
    assert_eq!(scene.balances(), [50, 550], "others take it");
}

#[test]
fn a_refresh_binds_a_coin_to_the_seal() {
    let mut scene =
        Scene::of([Person::sealed(1, NOW.plus(2 * LOCK)), Person::new(2)].into(), |p| {
            p.offline.enrollers = List::truncated([tpm::enroller().public()].into());
        });
    scene.mint_to(0, 1, 1000);
    settle(&mut scene.people[0]);
    scene.people[1].notary = Some(trust_base());
    scene.people[0].look_for_a_counter();
    let asset = scene.asset;
    scene.people[0].tell(Input::Refresh { asset }).expect("refreshed");
    settle(&mut scene.people[0]);
    scene.pay(0, 1, 300);
    assert_eq!(tiers(&scene.people[1]), [Tier::Sealed]);
}

#[test]
fn a_refresh_that_the_seal_does_not_prove_is_given_up() {
    let mut scene =
        Scene::of([Person::sealed(1, NOW.plus(2 * LOCK)), Person::new(2)].into(), |p| {
            p.offline.enrollers = List::truncated([tpm::enroller().public()].into());
        });
    scene.mint_to(0, 1, 1000);
    settle(&mut scene.people[0]);
    let asset = scene.asset;
    let refresh = |scene: &mut Scene| {
        scene.people[0].look_for_a_counter();
        scene.people[0].tell(Input::Refresh { asset }).expect("a wish");
    };
    refresh(&mut scene);
    settle(&mut scene.people[0]);
    scene.people[0].tpm.as_ref().expect("it has one").fail_in(0);
    refresh(&mut scene);
    let given_up = |e: &Event| matches!(e, Event::GivenUp { .. });
    assert!(scene.people[0].events.iter().any(given_up));
    assert!(ready(&scene.people[0]), "its coin is back, and nothing else is there");
    assert_eq!(scene.balances()[0], 1000);
    scene.people[0].restart();
    assert_eq!((scene.balances()[0], ready(&scene.people[0])), (1000, true));
}
