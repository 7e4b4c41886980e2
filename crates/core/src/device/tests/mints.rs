//! A serial that is minted twice is noticed by whoever sees both mints.

use alloc::vec::Vec;

use super::scene::{Scene, mint};
use crate::device::{Change, Event, Input};
use crate::mint::MintStanding;
use crate::predicate::Predicate;

/// Alice and Bob each get a coin of serial 7 from an issuer that minted it twice.
fn minted_twice(units: u64) -> Scene {
    let mut scene = Scene::new(4, 0);
    scene.mint_to(0, 7, units);
    scene.mint_to(1, 7, units + 1);
    scene
}

fn held(scene: &Scene, person: usize) -> Vec<&str> {
    let code = |event: &'_ Event| match event {
        Event::Held { reason, .. } => Some(reason.code.clone()),
        _ => None,
    };
    let codes = scene.people[person].events.iter().filter_map(code);
    codes.map(|code| &*alloc::boxed::Box::leak(code.into_boxed_str())).collect()
}

#[test]
fn a_mint_of_a_serial_that_another_mint_used_is_not_taken() {
    let mut scene = minted_twice(100);
    let owner = Predicate::Signature(scene.people[0].key.public());
    let again = mint(&scene.issuer, scene.asset, 7, 5, owner.clone());
    let refused = scene.people[0].tell(Input::Mint(again.into())).expect_err("serial 7 is used");
    assert_eq!(refused.code(), "EVIDENCE_SPENT_TWICE");
    let next = mint(&scene.issuer, scene.asset, 8, 5, owner);
    scene.people[0].tell(Input::Mint(next.into())).expect("serial 8 is not");
}

#[test]
fn whoever_is_paid_with_both_coins_of_one_serial_refuses_the_second_before_it_is_signed() {
    let mut scene = minted_twice(100);
    scene.pay(0, 2, 50);
    scene.people[2].restart();
    scene.pay(1, 2, 50);
    assert_eq!(scene.refusals(2), ["EVIDENCE_SPENT_TWICE"]);
    assert_eq!(scene.balances()[1..], [101, 50, 0], "and nobody has paid for nothing");
    scene.pay(1, 3, 50);
    assert_eq!(scene.refusals(3), [""; 0], "who sees one mint sees nothing wrong");
}

#[test]
fn a_coin_of_a_serial_minted_twice_is_held_if_it_was_signed_away() {
    let mut scene = minted_twice(100);
    scene.pay(0, 2, 50);
    let invoice = scene.invoice(2, 40);
    scene.pay_invoice(1, 2, &invoice);
    scene.deliver();
    assert_eq!(held(&scene, 2), ["EVIDENCE_SPENT_TWICE"]);
    assert_eq!(scene.balances()[2], 90, "either of the two mints may be the one that settles");
}

#[test]
fn one_mint_behind_many_payments_is_remembered_once() {
    let mut scene = Scene::new(2, 1000);
    (0..5).for_each(|_| scene.pay(0, 1, 10));
    assert_eq!(scene.refusals(1), [""; 0]);
    let records = scene.people[1].disk.keys().filter(|key| key[0] == 12).count();
    assert_eq!(records, 1);
}

#[test]
fn no_more_mints_are_remembered_than_the_limit_and_the_oldest_go_first() {
    use crate::device::mints::MAX_MINTS_SEEN;
    let mut scene = Scene::new(1, 0);
    let (asset, person) = (scene.asset, &mut scene.people[0]);
    for serial in 1..=MAX_MINTS_SEEN as u64 {
        let mint = Some(crate::id::TxId::new([1; 32]));
        person.device.apply(Change::Minted { asset, serial, mint });
    }
    let owner = Predicate::Signature(scene.people[0].key.public());
    let next = mint(&scene.issuer, asset, u64::MAX, 5, owner.clone());
    scene.people[0].tell(Input::Mint(next.into())).expect("there is room");
    let forgotten = mint(&scene.issuer, asset, 1, 5, owner.clone());
    scene.people[0].tell(Input::Mint(forgotten.into())).expect("serial 1 is forgotten");
    let known = mint(&scene.issuer, asset, 2, 5, owner);
    let refused = scene.people[0].tell(Input::Mint(known.into()));
    assert_eq!(refused.expect_err("serial 2 is not").code(), "EVIDENCE_SPENT_TWICE");
}

#[test]
fn what_comes_in_says_that_its_mint_rests_on_its_issuers_word() {
    let mut scene = Scene::new(2, 1000);
    scene.pay(0, 1, 10);
    for person in &scene.people {
        let word = |event: &Event| {
            matches!(event, Event::Received { minted: MintStanding::IssuersWord, .. })
        };
        assert!(person.events.iter().any(word), "{:?}", person.events);
        let incoming = person.device.incoming().values();
        assert!(incoming.into_iter().all(|i| i.minted == MintStanding::IssuersWord));
    }
}
