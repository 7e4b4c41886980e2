//! What is kept of strangers has a limit; what concerns this device's money and contacts has none.

use alloc::vec::Vec;

use super::scene::{Person, Scene};
use super::wishes::fork_of;
use crate::device::forget::Limits;
use crate::device::{Input, Output};
use crate::evidence::Sighting;
use crate::fork::{Branch, Side};
use crate::id::CoinId;
use crate::keys::SecretKey;

const LIMIT: usize = 8;

fn key(n: u64) -> SecretKey {
    let mut bytes = [0x5a; 32];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    SecretKey::new(bytes).expect("a small scalar")
}

/// Alice has paid Bob, and Bob has paid Carol: Alice is a contact of Carol's in neither sense but
/// that her step is behind Carol's coin.
fn carol_with_a_coin() -> Scene {
    let mut scene = Scene::new(3, 1000);
    scene.pay(0, 1, 100);
    scene.pay(1, 2, 40);
    let alice = scene.id(0);
    let carol = &mut scene.people[2];
    carol.tell(Input::RemoveContact(alice)).expect("nothing rests on her");
    carol.device.limits = Limits::new(LIMIT, LIMIT, LIMIT);
    scene
}

fn step_of(key: &SecretKey) -> Sighting {
    let Side::Step(branch) = fork_of(key).a else { panic!("a step") };
    // Signatures were checked before.
    let branch = Branch { coin: CoinId::new(*key.expose()), ..branch };
    Sighting { key: key.public(), branch }
}

fn forks_on_disk(person: &Person) -> usize {
    person.disk.keys().filter(|key| key[0] == 10).count()
}

#[test]
fn proofs_about_strangers_have_a_limit_and_those_about_money_that_is_held_do_not_go() {
    let mut scene = carol_with_a_coin();
    let (alice, bob) = (scene.people[0].key.clone(), scene.people[1].key.clone());
    let carol = &mut scene.people[2];
    for proof in [fork_of(&alice), fork_of(&bob)] {
        carol.tell(Input::Fork(proof.into())).expect("a good proof");
    }
    for n in 1..=100 {
        let stranger = key(n);
        carol.tell(Input::Fork(fork_of(&stranger).into())).expect("a good proof");
        assert!(carol.device.is_bricked(&stranger.public()), "the newest is kept");
    }
    assert!(carol.device.is_bricked(&bob.public()), "a contact");
    assert!(carol.device.is_bricked(&alice.public()), "a payer of what she holds");
    let forks = carol.device.forks().len();
    assert!((LIMIT / 2..=LIMIT + 3).contains(&forks), "{forks}");
    assert_eq!(forks_on_disk(carol), forks);
    carol.restart();
    assert_eq!(carol.device.forks().len(), forks);
}

#[test]
fn steps_of_strangers_have_a_limit_and_those_behind_money_that_is_held_do_not_go() {
    let mut scene = carol_with_a_coin();
    let (alice, bob) = (scene.people[0].key.public(), scene.people[1].key.public());
    let carol = &mut scene.people[2];
    let mine = |carol: &Person| {
        let kept = carol.device.sightings().iter().filter(|s| s.key == alice || s.key == bob);
        kept.collect::<Vec<Sighting>>()
    };
    let before = mine(carol);
    assert_eq!(before.len(), 2);
    for n in 1..=60 {
        let mut output = Output::default();
        carol.device.remember_steps(&mut output, [step_of(&key(n))]);
        carol.store(&output.changes);
    }
    assert_eq!(mine(carol), before);
    let kept = carol.device.sightings().len();
    assert!(kept <= LIMIT + 3, "{kept}");
    carol.restart();
    assert_eq!(carol.device.sightings().len(), kept, "they are gone from the disk too");
}

#[test]
fn a_step_that_is_forgotten_convicts_nobody_and_one_that_is_kept_does() {
    let mut scene = Scene::new(2, 1000);
    let person = &mut scene.people[1];
    let (forker, proof) = (key(7), fork_of(&key(7)));
    let (Side::Step(a), Side::Step(b)) = (proof.a, proof.b) else { panic!("two steps") };
    let step = |branch| Sighting { key: forker.public(), branch };
    let mut output = Output::default();
    person.device.remember_steps(&mut output, [step(a.clone())]);
    assert!(person.device.sightings().contradiction(&step(b.clone())).is_some());
    let gone =
        crate::device::Forgotten::Sighting { key: forker.public(), coin: a.coin, tx: a.tx_id() };
    person.device.apply(crate::device::Change::Forgotten(gone));
    assert!(person.device.sightings().contradiction(&step(b)).is_none());
    assert!(!person.device.sightings().has(&step(a)));
}
