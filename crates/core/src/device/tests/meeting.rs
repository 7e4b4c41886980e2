//! Two who meet exchange all that they know, in messages that fit, and come to an end.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::samples::{evidence, predicates};
use super::scene::Scene;
use super::sealed;
use super::tpm::enroller;
use super::wishes::fork_of;
use crate::cbor::{List, to_bytes};
use crate::coin::Coin;
use crate::device::meeting::MAX_PAGES;
use crate::device::payer::MAX_BESIDE_OFFER;
use crate::device::{Change, Device, Event, Input};
use crate::evidence::{Hop, Sighting, Witness};
use crate::fork::{Branch, Side};
use crate::id::{BodyHash, CoinId, Digest, Head, Link, NetworkId, Nonce, Root};
use crate::keys::SecretKey;
use crate::message::{
    Accept, Answer, Commit, Findings, KeyHash, MAX_MESSAGE, Message, SyncEnd, SyncReply, Told,
};
use crate::packet::{MAX_ENVELOPE, MAX_HELLO, MAX_PACKET};
use crate::predicate::Unlock;
use crate::seal::{MAX_REVOKED, MAX_SLOT_PROOF, Revocation, RevocationTerms, SealId, SlotProof};
use crate::transaction::Step;

/// What encrypting adds to a message at most, with room to spare.
const OVERHEAD: usize = 64;

fn key(n: u32) -> SecretKey {
    let mut bytes = [0x3c; 32];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    SecretKey::new(bytes).expect("a scalar")
}

fn enroller_number(n: u8) -> SecretKey {
    if n == 1 { enroller() } else { key(u32::from(n) + 90_000) }
}

/// A list of so many seals, by the enroller `n`.
fn list(n: u8, number: u64, seals: usize) -> Revocation {
    let enroller = enroller_number(n);
    let seal = |n: usize| {
        let mut bytes = [7; 32];
        bytes[..8].copy_from_slice(&(n as u64).to_be_bytes());
        SealId::new(Digest::new(bytes))
    };
    let seals = (0..seals).map(seal).collect();
    let terms = RevocationTerms::new(NetworkId::LOCAL, enroller.public(), number, seals);
    Revocation::issue(terms.expect("within the limit"), &enroller)
}

/// A step of a stranger; its signature was checked before it comes to a device.
fn step(n: u32) -> Sighting {
    let mut bytes = [0x21; 32];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    let step = Step { seq: n.into(), head: Head::new(bytes), root: Root::new(bytes) };
    let (body, link, coin) = (BodyHash::new(bytes), Link::new(bytes), CoinId::new(bytes));
    let signature = key(n % 16).sign(&Digest::new(bytes));
    Sighting { key: key(n % 16).public(), branch: Branch { body, link, step, coin, signature } }
}

fn begin(scene: &mut Scene) {
    let contact = scene.id(1);
    scene.people[0].tell(Input::Meet { contact }).expect("a contact");
}

fn fits(message: &Message) -> bool {
    to_bytes(message).len() <= MAX_MESSAGE
}

fn findings_of(message: &Message) -> Option<&Findings> {
    match message {
        Message::SyncReply(reply) => Some(&reply.findings),
        Message::SyncEnd(end) => Some(&end.findings),
        Message::Findings(findings) => Some(findings),
        _ => None,
    }
}

/// Carries messages until nobody has anything to say; how many there were.
fn carry(scene: &mut Scene) -> usize {
    let mut count = 0;
    while let Some((from, to, message)) = scene.next() {
        assert!(fits(&message), "{}: {} bytes", message.name(), to_bytes(&message).len());
        scene.people[to].hear(from, &message).expect("heard");
        count += 1;
    }
    count
}

#[test]
fn a_long_revocation_list_and_many_forks_do_not_keep_two_from_meeting() {
    let mut scene = sealed::scene(2);
    scene.people[1].tell(Input::Revoked(list(1, 1, MAX_REVOKED).into())).expect("a newer list");
    for n in 0..100 {
        scene.people[1].tell(Input::Fork(fork_of(&key(100 + n)).into())).expect("a good proof");
    }
    (0..2000).for_each(|n| scene.people[1].device.apply(Change::Sighting(step(n))));
    (0..2000).for_each(|n| scene.people[0].device.apply(Change::Sighting(step(n))));
    begin(&mut scene);
    carry(&mut scene);
    assert_eq!(scene.people[0].device.forks().len(), 100);
    assert_eq!(scene.people[0].device.revocations().len(), 1);
}

#[test]
fn a_list_travels_to_whoever_lacks_it_and_hears_its_enroller() {
    let lists_sent = |scene: &mut Scene| {
        begin(scene);
        let mut sent = 0;
        while let Some((from, to, message)) = scene.next() {
            sent += findings_of(&message).map_or(0, |findings| findings.lists.len());
            scene.people[to].hear(from, &message).expect("heard");
        }
        sent
    };
    let mut scene = sealed::scene(2);
    scene.people[1].tell(Input::Revoked(list(1, 2, 3).into())).expect("a newer list");
    let strange = list(9, 1, 3);
    scene.people[1].device.apply(Change::Revocation(strange.into()));
    assert_eq!(lists_sent(&mut scene), 1, "the one of whom an asset names the enroller");
    assert_eq!(scene.people[0].device.revocations().len(), 1);
    assert_eq!(lists_sent(&mut scene), 0, "both have it");
    scene.people[0].tell(Input::Revoked(list(1, 3, 1).into())).expect("a newer list");
    assert_eq!(lists_sent(&mut scene), 1, "the newer one, from whoever has it");
    let numbers = |scene: &Scene, person: usize| {
        let lists = scene.people[person].device.revocations().values();
        lists.map(|list| list.terms().number()).max()
    };
    assert_eq!((numbers(&scene, 0), numbers(&scene, 1)), (Some(3), Some(3)));
}

#[test]
fn a_proof_travels_to_whoever_lacks_it_only() {
    let mut scene = Scene::new(2, 0);
    for n in 0..3 {
        scene.people[0].tell(Input::Fork(fork_of(&key(n)).into())).expect("a good proof");
    }
    scene.people[1].tell(Input::Fork(fork_of(&key(0)).into())).expect("a good proof");
    scene.people[1].tell(Input::Fork(fork_of(&key(7)).into())).expect("a good proof");
    begin(&mut scene);
    let mut sent = 0;
    while let Some((from, to, message)) = scene.next() {
        sent += findings_of(&message).map_or(0, |findings| findings.forks.len());
        scene.people[to].hear(from, &message).expect("heard");
    }
    assert_eq!(sent, 3);
    let forks = |person: usize| scene.people[person].device.forks();
    assert_eq!(forks(0).len(), 4);
    assert_eq!(forks(0), forks(1));
}

/// Alice begins to meet Bob, who answers each page by what `bend` makes of his answer; how many pages
/// Alice sends.
fn pages_sent(scene: &mut Scene, bend: impl Fn(&mut SyncReply)) -> u32 {
    begin(scene);
    let mut pages = 0;
    while let Some((from, to, mut message)) = scene.next() {
        match &mut message {
            Message::Sync(_) => pages += 1,
            Message::SyncReply(reply) => bend(reply),
            _ => {}
        }
        assert!(pages <= 2 * MAX_PAGES, "without an end");
        scene.people[to].hear(from, &message).expect("heard");
    }
    pages
}

#[test]
fn nobody_makes_another_page_for_ever() {
    let met = |scene: &Scene| {
        let met = |event: &&Event| matches!(event, Event::Met { .. });
        scene.people[0].events.iter().filter(met).count()
    };
    let mut scene = Scene::new(2, 1000);
    assert_eq!(pages_sent(&mut scene, |_| ()), 1, "nothing to tell");
    assert_eq!(met(&scene), 1);
    assert_eq!(pages_sent(&mut scene, |reply| reply.sync.more = true), MAX_PAGES);
    assert_eq!(met(&scene), 2);
    let endless = |reply: &mut SyncReply| (reply.sync.page, reply.sync.more) = (0, true);
    assert_eq!(pages_sent(&mut scene, endless), 2, "an answer to another page goes nowhere");
    assert_eq!(met(&scene), 2, "so this meeting does not end well");
    let unproved = |reply: &mut SyncReply| {
        let key = KeyHash::of(&key(reply.sync.page).public());
        reply.sync.forks = List::truncated([key].into());
    };
    assert_eq!(pages_sent(&mut scene, unproved), MAX_PAGES, "forks that nobody can prove");
    assert_eq!(met(&scene), 3);
}

#[test]
fn an_answer_to_no_page_is_answered_and_goes_no_further() {
    let mut scene = Scene::new(2, 1000);
    let (alice, bob) = (scene.id(0), scene.id(1));
    begin(&mut scene);
    let (_, sync) = scene.people[0].out.pop_front().expect("a page");
    scene.people[1].hear(alice, &sync).expect("heard");
    let (_, reply) = scene.people[1].out.pop_front().expect("an answer");
    let Message::SyncReply(mut reply) = reply else { panic!("an answer") };
    reply.sync.more = true;
    scene.people[0].restart();
    scene.people[0].hear(bob, &Message::SyncReply(reply)).expect("heard");
    let names: Vec<&str> = scene.people[0].out.iter().map(|(_, m)| m.name()).collect();
    assert_eq!(names, ["sync end"]);
}

/// The longest step that there is, number `seq`.
fn long_hop(seq: u64) -> Hop {
    let mut hop = evidence().evidence.hops[0].clone();
    let [_, sealed, _] = predicates();
    let output = Coin { owner: sealed, ..hop.tx.body.outputs[0].clone() };
    hop.tx.step.seq = seq;
    hop.tx.body.inputs = List::truncated((0..8).map(|n| CoinId::new([n; 32])).collect());
    hop.tx.body.outputs = List::truncated(alloc::vec![output; 8]);
    let proof = SlotProof::new(alloc::vec![1; MAX_SLOT_PROOF]).expect("the longest");
    let unlock = Unlock::Sealed(key(1).sign(&Digest::new([1; 32])), proof);
    let witness = Witness { unlock, certified: None };
    hop.witnesses = List::truncated(alloc::vec![witness; 8]);
    hop
}

#[test]
fn a_history_of_long_steps_is_told_as_far_as_it_fits() {
    let hops: Vec<Told> = (1..=64).map(long_hop).map(Told::Whole).collect();
    let answer = Answer { history: Some(hops.clone()), ..Answer::default() };
    let close = |findings, history| Message::SyncEnd(SyncEnd { findings, history });
    let messages = answer.messages(close);
    let [Message::SyncEnd(SyncEnd { history: Some(history), .. })] = &messages[..] else {
        panic!("one message")
    };
    assert!(fits(&messages[0]) && history.more);
    assert!((1..64).contains(&history.steps.len()));
    assert_eq!(history.steps[..], hops[..history.steps.len()], "the first of them");
}

#[test]
fn what_stands_beside_an_offer_has_room() {
    let [_, sealed, _] = predicates();
    let unlocks: Vec<Unlock> =
        long_hop(1).witnesses.iter().map(|witness| witness.unlock.clone()).collect();
    let commit = Commit { root: Root::new([1; 32]), unlocks: List::truncated(unlocks) };
    let accept = Accept { nonce: Nonce::new([1; 16]), owner: sealed };
    let beside = to_bytes(&commit).len() + to_bytes(&accept).len();
    assert!(beside + 16 <= MAX_BESIDE_OFFER, "{beside} bytes");
}

#[test]
fn the_longest_message_fits_an_envelope_and_the_longest_hello_beside_it_a_packet() {
    const { assert!(MAX_MESSAGE + OVERHEAD <= MAX_ENVELOPE) };
    const { assert!(MAX_MESSAGE + OVERHEAD + MAX_HELLO <= MAX_PACKET) };
}

/// What somebody knows: so many steps of strangers, convicted strangers, and lists of so many seals.
#[derive(Clone, Copy, Debug)]
struct Contents {
    steps: u32,
    forks: u32,
    lists: u8,
    seals: usize,
}

fn contents() -> impl Strategy<Value = Contents> {
    let steps = prop_oneof![Just(0), 1u32..40, 1000u32..3000];
    let forks = prop_oneof![Just(0), 1u32..20, 250u32..600];
    let seals = prop_oneof![0usize..3, Just(MAX_REVOKED)];
    let all = (steps, forks, 0u8..=8, seals);
    all.prop_map(|(steps, forks, lists, seals)| Contents { steps, forks, lists, seals })
}

/// Gives a person all that, and one side of each of `contradictions` forks.
fn fill(scene: &mut Scene, person: usize, contents: Contents, contradictions: u32) {
    let from = u32::try_from(person).expect("few") * 1_000_000;
    let device = &mut scene.people[person].device;
    for n in from..from + contents.steps {
        device.apply(Change::Sighting(step(n)));
    }
    for n in from..from + contents.forks {
        device.apply(Change::Fork(fork_of(&key(n + 1000)).into()));
    }
    for n in 0..contents.lists {
        let number = u64::from(n) * if person == 0 { 2 } else { 3 } % 7;
        let revoked = list(n + 1, number, contents.seals);
        device.apply(Change::Revocation(revoked.into()));
    }
    for n in 0..contradictions {
        let liar = key(n + 500);
        let proof = fork_of(&liar);
        let side = if person == 0 { proof.a } else { proof.b };
        let Side::Step(branch) = side else { panic!("a step") };
        device.apply(Change::Sighting(Sighting { key: liar.public(), branch }));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    /// Whatever two people know, each message fits, the meeting ends, and both know it all then.
    #[test]
    fn whatever_two_know_they_exchange_in_messages_that_fit(
        one in contents(),
        other in contents(),
        contradictions in 0u32..4,
    ) {
        let enrollers = (1..=8).map(|n| enroller_number(n).public()).collect();
        let mut scene = Scene::with_policy(2, |policy| {
            policy.offline.enrollers = List::truncated(enrollers);
        });
        fill(&mut scene, 0, one, contradictions);
        fill(&mut scene, 1, other, contradictions);
        begin(&mut scene);
        let messages = carry(&mut scene);
        // A page of steps, of keys, of lists, one for what is asked for last, and what answers them.
        let most = one.steps.max(other.steps) / 1024 + one.forks.max(other.forks) / 256 + 8;
        prop_assert!(messages < usize::try_from(most).expect("few") * 10, "{messages}");
        let met = |event: &&Event| matches!(event, Event::Met { .. });
        prop_assert_eq!(scene.people[0].events.iter().filter(met).count(), 1);
        let [alice, bob] = [0, 1].map(|person: usize| &scene.people[person].device);
        let all = one.forks + other.forks + contradictions;
        prop_assert_eq!(alice.forks().len(), usize::try_from(all).expect("few"));
        prop_assert!(alice.forks().keys().eq(bob.forks().keys()));
        let lists = usize::from(one.lists.max(other.lists));
        prop_assert_eq!(alice.revocations().len(), lists);
        let number = |device: &Device| -> Vec<u64> {
            device.revocations().values().map(|list| list.terms().number()).collect()
        };
        prop_assert_eq!(number(alice), number(bob));
    }
}
