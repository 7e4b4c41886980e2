//! An invoice says which tier its payee takes, before the payer signs.

use super::scene::{NOW, Person, Scene, mint};
use super::sealed::vouched;
use super::tpm::ENROLLED_UNTIL;
use crate::accept::AcceptPolicy;
use crate::amount::Amount;
use crate::device::{Event, Input, Terms, World};
use crate::invoice::Invoice;
use crate::predicate::Predicate;
use crate::predicate::tests::FakeSeals;
use crate::tier::Tier;

fn least(person: &Person, scene: &Scene, units: u64) -> Result<Tier, &'static str> {
    let world = World { now: NOW, seals: &FakeSeals, notary: None };
    let least = person.device.least_tier(&world, scene.asset, Amount::new(units));
    least.map_err(|error| error.code())
}

/// Alice has 1000 by signature; Bob has the usual limits.
fn careful() -> Scene {
    let mut scene = Scene::new(2, 1000);
    scene.people[1].tell(Input::AcceptPolicy(AcceptPolicy::default())).expect("always");
    scene
}

fn refused_before_signing(scene: &mut Scene, invoice: Invoice) {
    let input = Input::PayInvoice { payee: scene.id(1), invoice: invoice.into() };
    let before = scene.people[0].device.clone();
    let refused = scene.people[0].tell(input).expect_err("not of that tier");
    assert_eq!(refused.code(), "ACCEPT_TIER");
    assert_eq!(scene.people[0].device, before, "nothing is signed");
}

#[test]
fn the_least_tier_is_the_weakest_that_the_owner_takes_for_so_much() {
    let mut scene = careful();
    let bob = &scene.people[1];
    assert_eq!(least(bob, &scene, 500), Ok(Tier::Signed));
    assert_eq!(least(bob, &scene, 501), Ok(Tier::Bonded));
    let mut accept = AcceptPolicy::default();
    accept.reserved.accept = false;
    accept.signed.total = Some(4);
    scene.people[1].tell(Input::AcceptPolicy(accept.clone())).expect("always");
    assert_eq!(least(&scene.people[1], &scene, 400), Ok(Tier::Sealed), "not past a gap");
    accept.reserved.accept = true;
    scene.people[1].tell(Input::AcceptPolicy(accept)).expect("always");
    scene.pay(0, 1, 300);
    assert_eq!(least(&scene.people[1], &scene, 100), Ok(Tier::Signed));
    assert_eq!(least(&scene.people[1], &scene, 101), Ok(Tier::Bonded), "others owe already");
}

#[test]
fn a_tier_that_no_payment_is_of_leaves_no_gap_when_it_is_refused() {
    let mut scene = careful();
    let mut accept = AcceptPolicy::default();
    accept.bonded.accept = false;
    scene.people[1].tell(Input::AcceptPolicy(accept.clone())).expect("always");
    assert_eq!(least(&scene.people[1], &scene, 500), Ok(Tier::Signed));
    assert_eq!(least(&scene.people[1], &scene, 501), Ok(Tier::Reserved), "signed is too weak");
    accept.bonded = AcceptPolicy::default().bonded;
    accept.bonded.per_payment = Some(1);
    scene.people[1].tell(Input::AcceptPolicy(accept)).expect("always");
    assert_eq!(least(&scene.people[1], &scene, 500), Ok(Tier::Signed), "nor does its limit");
    let invoice = scene.invoice(1, 500);
    scene.pay_invoice(0, 1, &invoice);
    scene.deliver();
    assert_eq!(scene.balances()[1], 500);
}

#[test]
fn what_no_tier_brings_is_not_asked_for() {
    let mut scene = careful();
    let mut accept = AcceptPolicy::default();
    accept.certified.per_payment = Some(9);
    scene.people[1].tell(Input::AcceptPolicy(accept)).expect("always");
    assert_eq!(least(&scene.people[1], &scene, 901), Err("ACCEPT_PER_PAYMENT"));
    let (asset, amount, expires_at) = (scene.asset, Amount::new(901), NOW.plus(60));
    let bob = &mut scene.people[1];
    let (nonce, owner) = (bob.nonce(), Predicate::Signature(bob.key.public()));
    let terms = Terms { payer: None, asset, amount, owner, expires_at };
    let refused = bob.tell(Input::Ask { nonce, terms }).expect_err("not wanted");
    assert_eq!(refused.code(), "ACCEPT_PER_PAYMENT");
}

#[test]
fn an_invoice_above_the_payees_limit_is_not_signed_by_whoever_cannot_reach_its_tier() {
    let mut scene = careful();
    let invoice = scene.invoice(1, 501);
    refused_before_signing(&mut scene, invoice);
    let invoice = scene.invoice(1, 500);
    scene.pay_invoice(0, 1, &invoice);
    scene.deliver();
    assert_eq!(scene.balances()[1], 500);
}

#[test]
fn a_coin_that_reaches_the_tier_pays_although_a_weaker_one_fits_better() {
    let people = alloc::vec![Person::sealed(1, ENROLLED_UNTIL), Person::new(2)];
    let mut scene = Scene::of(people, vouched);
    scene.mint_to(0, 1, 1000);
    scene.people[1].tell(Input::AcceptPolicy(AcceptPolicy::default())).expect("always");
    scene.people[0].look_for_a_counter();
    let owner = scene.people[0].device.predicate_for(&scene.people[0].world(), &scene.asset);
    let sealed = mint(&scene.issuer, scene.asset, 2, 2000, owner);
    scene.people[0].tell(Input::Mint(sealed.into())).expect("a good mint");
    let invoice = scene.invoice(1, 501);
    assert_eq!(invoice.least, Tier::Bonded);
    scene.pay_invoice(0, 1, &invoice);
    scene.deliver();
    let sealed = |e: &Event| matches!(e, Event::Received { tier: Tier::Sealed, .. });
    assert!(scene.people[1].events.iter().any(sealed), "{:?}", scene.people[1].events);
    let invoice = scene.invoice(1, 1600);
    refused_before_signing(&mut scene, invoice);
}

#[test]
fn a_coin_with_a_weak_move_behind_it_does_not_reach_a_strong_tier() {
    let people = alloc::vec![Person::new(1), Person::sealed(2, ENROLLED_UNTIL), Person::new(3)];
    let mut scene = Scene::of(people, vouched);
    scene.mint_to(0, 1, 1000);
    let invoice = scene.invoice(1, 900);
    assert!(matches!(invoice.accept.owner, Predicate::Sealed(_)));
    scene.people[2].tell(Input::AcceptPolicy(AcceptPolicy::default())).expect("always");
    // Bob's seal guards his own moves only: what Alice signed before stays what it was.
    scene.pay_invoice(0, 1, &invoice);
    scene.deliver();
    assert_eq!(scene.balances()[1], 900);
    let invoice = scene.invoice(2, 501);
    let input = Input::PayInvoice { payee: scene.id(2), invoice: invoice.into() };
    let refused = scene.people[1].tell(input).expect_err("signed by Alice");
    assert_eq!(refused.code(), "ACCEPT_TIER");
}
