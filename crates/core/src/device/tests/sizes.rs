//! Sizes are part of the protocol: whoever changes one changes this test.

use alloc::vec::Vec;

use super::scene::Scene;
use super::wishes::fork_of;
use crate::cbor::{Encode, to_bytes};
use crate::evidence::tests::chain::{Chain, key};

fn size<T: Encode>(object: &T) -> usize {
    to_bytes(object).len()
}

#[test]
fn what_convicts_is_small() {
    let proof = fork_of(&key(1));
    assert_eq!(size(&proof.a.step().expect("a step").step), 70);
    assert_eq!(size(&proof.a), 240);
    assert_eq!(size(&proof), 517);
    assert!(size(&proof) <= 600);
}

#[test]
fn evidence_of_a_mint_and_of_a_hop_have_their_sizes() {
    let mut chain = Chain::new();
    assert_eq!(size(&chain.evidence), 158, "a mint by one issuer");
    chain.pay(1, crate::evidence::tests::chain::signature(2));
    assert_eq!(size(&chain.evidence.hops[0]), 294, "one input, one output");
}

#[test]
fn a_repeat_payment_from_256_pockets_has_its_size() {
    let mut scene = Scene::new(2, 0);
    (0..256).for_each(|serial| scene.mint_to(0, serial, 100));
    scene.pay(0, 1, 100);
    scene.start(0, 1, 10).expect("an offer");
    let mut sizes = Vec::new();
    while let Some((from, to, message)) = scene.next() {
        scene.people[to].hear(from, &message).expect("heard");
        sizes.push((message.name(), size(&message)));
    }
    assert_eq!(sizes, [("offer", 626), ("accept", 62), ("commit", 105), ("receipt", 104)]);
    assert!(sizes.iter().map(|(_, n)| n).sum::<usize>() < 1000);
}

#[test]
fn a_contact_is_as_large_after_fifty_payments_as_before() {
    let mut scene = Scene::new(2, 0);
    (0..50).for_each(|serial| scene.mint_to(0, serial, 10));
    let bob = scene.id(1);
    let before = size(&scene.people[0].device.contacts()[&bob]);
    for _ in 0..50 {
        scene.pay(0, 1, 10);
    }
    assert_eq!(scene.balances(), [0, 500]);
    assert_eq!(size(&scene.people[0].device.contacts()[&bob]), before);
}
