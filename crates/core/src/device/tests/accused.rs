//! A proof against a device's own key, on every path by which one comes.

use super::adversary::forked;
use super::scene::{Person, Scene};
use super::wishes::fork_of;
use crate::device::{Basis, Concern, Event, Input, Mode};
use crate::fork::ForkProof;
use crate::keys::SecretKey;
use crate::message::{Findings, Message};

/// A way on which a proof comes to the first person from the second.
type Path = fn(&mut Scene, &ForkProof);

fn by_file_or_network(scene: &mut Scene, proof: &ForkProof) {
    scene.people[0].tell(Input::Fork(proof.clone().into())).expect("a good proof");
}

fn by_meeting(scene: &mut Scene, proof: &ForkProof) {
    scene.people[1].tell(Input::Fork(proof.clone().into())).expect("a good proof");
    scene.meet(0, 1);
}

fn by_message(scene: &mut Scene, proof: &ForkProof) {
    let (bob, mut findings) = (scene.id(1), Findings::default());
    findings.forks = crate::cbor::List::truncated([proof.clone()].into());
    scene.people[0].hear(bob, &Message::Findings(findings)).expect("heard");
}

const PATHS: [Path; 3] = [by_file_or_network, by_meeting, by_message];

/// Alice, a copy of whose wallet has paid Carol with a coin that she paid Bob, and the proof of it.
fn copied() -> (Scene, ForkProof) {
    let (mut scene, _) = forked();
    scene.meet(1, 2);
    let key = scene.people[0].key.public();
    let proof = scene.people[1].device.forks().get(&key).expect("both branches met").clone();
    (scene, proof)
}

#[test]
fn a_copys_step_beside_ones_own_stops_nobody_on_any_path() {
    for path in PATHS {
        let (mut scene, proof) = copied();
        path(&mut scene, &proof);
        assert_eq!(*scene.people[0].device.mode(), Mode::Normal);
        assert!(!scene.bricks(0, 0), "it does not accuse itself");
        scene.start(0, 3, 1).expect("what it has can be moved");
        scene.people[0].restart();
        assert_eq!(*scene.people[0].device.mode(), Mode::Normal);
        scene.start(0, 3, 1).expect("what it has can be moved");
    }
}

#[test]
fn a_later_step_of_ones_own_makes_one_receive_only_once_on_every_path() {
    for path in PATHS {
        let mut scene = Scene::new(3, 1000);
        let proof = fork_of(&scene.people[0].key);
        path(&mut scene, &proof);
        assert!(matches!(scene.people[0].device.mode(), Mode::ReceiveOnly));
        assert!(!scene.bricks(0, 0), "it does not accuse itself");
        scene.people[0].restart();
        for contact in [scene.id(1), scene.id(2)] {
            scene.people[0].tell(Input::GiveUp { contact }).expect("a contact");
        }
        scene.people[0].tell(Input::ConfirmRecovery(Basis::OwnersWord)).expect("nobody is left");
        for path in PATHS {
            path(&mut scene, &proof);
            assert_eq!(*scene.people[0].device.mode(), Mode::Normal, "it is known");
        }
        let accused = |event: &&Event| matches!(event, Event::Accused { .. });
        assert_eq!(scene.people[0].events.iter().filter(accused).count(), 1);
    }
}

#[test]
fn a_later_step_of_ones_own_behind_a_payment_makes_one_receive_only() {
    let mut scene = Scene::new(3, 1000);
    let before = scene.people[0].disk.clone();
    scene.pay(0, 1, 100);
    // Her disk is set back, and nothing tells her wallet.
    scene.people[0].disk = before;
    scene.people[0].restart();
    scene.pay(1, 0, 40);
    assert_eq!(scene.balances()[0], 1040, "the payment is taken");
    assert!(matches!(scene.people[0].device.mode(), Mode::ReceiveOnly));
}

#[test]
fn a_proof_says_what_it_touches() {
    let mut scene = Scene::new(3, 1000);
    let concern = |scene: &mut Scene, key: &SecretKey| {
        scene.people[2].tell(Input::Fork(fork_of(key).into())).expect("a good proof");
        let concern = |event: &Event| match event {
            Event::Forked { concern, .. } => Some(*concern),
            _ => None,
        };
        scene.people[2].events.iter().rev().find_map(concern)
    };
    scene.pay(0, 1, 100);
    scene.pay(1, 2, 40);
    let alice = scene.id(0);
    scene.people[2].tell(Input::RemoveContact(alice)).expect("nothing rests on her");
    let (alice, bob) = (scene.people[0].key.clone(), scene.people[1].key.clone());
    assert_eq!(concern(&mut scene, &Person::new(9).key), Some(Concern::Nobody));
    assert_eq!(concern(&mut scene, &alice), Some(Concern::Money), "behind her coin");
    assert_eq!(concern(&mut scene, &bob), Some(Concern::Money));
    let mut scene = Scene::new(3, 1000);
    assert_eq!(concern(&mut scene, &bob), Some(Concern::Contact), "who paid nothing");
}

#[test]
fn what_proves_nothing_against_oneself_changes_nothing() {
    let mut scene = Scene::new(3, 1000);
    let mut proof = fork_of(&scene.people[1].key);
    proof.key = scene.people[0].key.public();
    let refused = scene.people[0].tell(Input::Fork(proof.clone().into()));
    assert_eq!(refused.map_err(|e| e.code()), Err("FORK_SIGNATURE"));
    by_message(&mut scene, &proof);
    assert_eq!(*scene.people[0].device.mode(), Mode::Normal);
    scene.start(0, 1, 1).expect("as before");
}
