//! Whoever cheats, by the rows of the table in `spec/trust.md`.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::scene::{NOW, Person, Scene};
use super::wishes::fork_of;
use crate::cbor::List;
use crate::device::{Basis, Change, Event, Input, Pocket};
use crate::evidence::tests::network::{certify, trust_base};
use crate::evidence::{Sighting, Witness};
use crate::fork::Branch;
use crate::id::{BodyHash, CoinId, DeviceId, Digest, Head, Link, Root};
use crate::keys::SecretKey;
use crate::message::{KeyHash, Message, Seen, Sync};
use crate::predicate::Predicate;
use crate::transaction::Step;

/// Alice's patched wallet: she pays Bob 400, and with a copy from before Carol 400. Bob is 1, Carol
/// 2, Dave 3. Afterwards she goes on with the first copy.
pub(crate) fn forked() -> (Scene, Person) {
    let mut scene = Scene::new(4, 1000);
    let copy = scene.people[0].clone();
    scene.pay(0, 1, 400);
    let original = core::mem::replace(&mut scene.people[0], copy);
    scene.pay(0, 2, 400);
    let copy = core::mem::replace(&mut scene.people[0], original);
    assert_eq!(scene.balances(), [600, 400, 400, 0], "both accepted");
    (scene, copy)
}

#[test]
fn two_payees_of_one_coin_prove_it_when_they_meet() {
    let (mut scene, _) = forked();
    scene.meet(1, 2);
    assert!(scene.bricks(1, 0) && scene.bricks(2, 0));
    let forks = scene.people[1].device.forks();
    assert!(forks.values().all(|fork| fork.check().is_ok()));
}

#[test]
fn a_copy_that_pays_a_payee_who_was_paid_since_convicts_itself() {
    let mut scene = Scene::new(2, 1000);
    let copy = scene.people[0].clone();
    scene.pay(0, 1, 400);
    scene.people[0] = copy;
    let invoice = scene.invoice(1, 300);
    scene.pay_invoice(0, 1, &invoice);
    scene.deliver();
    assert_eq!(scene.refusals(1), ["TRADE_FORK"]);
    assert!(scene.bricks(1, 0));
    assert_eq!(scene.balances()[1], 400);
}

#[test]
fn a_step_below_one_that_was_received_is_refused_and_convicts_when_payees_meet() {
    let mut scene = Scene::new(3, 1000);
    scene.mint_to(0, 2, 500);
    scene.mint_to(0, 3, 50);
    let copy = scene.people[0].clone();
    scene.pay(0, 2, 60);
    scene.pay(0, 2, 60);
    scene.pay(0, 1, 10);
    // The copy knows where the payments to Bob stand, and pays him its step 1 from another coin.
    let stands = scene.people[0].device.contacts()[&scene.id(1)].clone();
    scene.people[0] = copy;
    scene.people[0].device.apply(Change::Contact(stands.into()));
    scene.start(0, 1, 600).expect("an offer");
    scene.deliver();
    assert_eq!(scene.refusals(1), ["TRADE_STEP"], "before it is signed");
    let invoice = scene.invoice(1, 600);
    scene.pay_invoice(0, 1, &invoice);
    scene.deliver();
    assert_eq!(scene.refusals(1), ["TRADE_STEP"; 2]);
    assert_eq!(scene.balances()[1], 10, "nothing of it was taken");
    assert!(!scene.anyone_convicted(), "Bob alone cannot know which step 1 came first");
    scene.people[1].restart();
    scene.meet(1, 2);
    assert!(scene.bricks(1, 0) && scene.bricks(2, 0), "Carol has seen another step 1");
}

#[test]
fn steps_of_refused_payments_are_remembered_up_to_a_limit() {
    let mut scene = Scene::new(2, 1000);
    scene.pay(0, 1, 10);
    let (alice, key) = (scene.id(0), scene.people[0].key.clone());
    let device = &mut scene.people[1].device;
    let step = |n: u64| {
        let step = Step { seq: n, head: Head::new([1; 32]), root: Root::new([2; 32]) };
        let (body, link) = (BodyHash::new([3; 32]), Link::new([4; 32]));
        let mut coin = [0; 32];
        coin[..8].copy_from_slice(&n.to_be_bytes());
        let signature = key.sign(&Digest::new([5; 32]));
        let branch = Branch { body, link, step, coin: CoinId::new(coin), signature };
        Sighting { key: key.public(), branch }
    };
    for n in 0..1000 {
        device.remember_refused(alice, [step(n)].into());
    }
    let most = crate::device::MAX_REFUSED_STEPS + 1;
    assert_eq!(device.sightings().len(), most, "and that of the payment");
}

#[test]
fn a_step_that_does_not_fit_and_is_not_the_payers_convicts_nobody() {
    let mut scene = Scene::new(2, 1000);
    let copy = scene.people[0].clone();
    scene.pay(0, 1, 400);
    scene.people[0] = copy;
    let invoice = scene.invoice(1, 300);
    scene.pay_invoice(0, 1, &invoice);
    let (alice, _, message) = scene.next().expect("a payment");
    let Message::Payment(mut payment) = message else { panic!("a payment") };
    // Somebody else signed it, or nobody.
    let digest = Digest::new([3; 32]);
    let unlock = crate::predicate::Unlock::Signature(scene.people[1].key.sign(&digest));
    for unlocks in [List::truncated([unlock].into()), List::default()] {
        payment.commit.unlocks = unlocks;
        scene.people[1].hear(alice, &Message::Payment(payment.clone())).expect("heard");
    }
    assert_eq!(scene.refusals(1), ["TRADE_LINK", "TRADE_LINK"]);
    assert!(!scene.anyone_convicted());
}

#[test]
fn a_third_person_who_is_paid_with_both_branches_proves_it() {
    let (mut scene, _) = forked();
    scene.pay(1, 3, 100);
    scene.pay(2, 3, 100);
    assert!(scene.bricks(3, 0));
    assert_eq!(scene.refusals(3), ["TRADE_FORK"]);
    assert_eq!(scene.balances()[3], 100, "the second is not taken");
    scene.meet(3, 2);
    assert!(scene.bricks(2, 0), "Carol is told why");
}

#[test]
fn a_third_person_whose_invoices_are_paid_with_both_branches_proves_it() {
    let (mut scene, _) = forked();
    for payer in [1, 2] {
        let invoice = scene.invoice(3, 100);
        scene.pay_invoice(payer, 3, &invoice);
        scene.deliver();
    }
    assert!(scene.bricks(3, 0), "no offer came before, so the payment itself is looked at");
}

#[test]
fn a_later_payment_that_shows_the_other_branch_proves_it() {
    let (mut scene, copy) = forked();
    let carol = scene.id(2);
    // The patched wallet keeps up with where it stands with Carol.
    let contact = copy.device.contacts()[&carol].clone();
    scene.people[0].device.apply(Change::Contact(contact.into()));
    scene.pay(0, 2, 50);
    assert!(scene.bricks(2, 0));
    assert_eq!(scene.refusals(2), ["TRADE_FORK"]);
}

#[test]
fn whoever_is_convicted_is_refused_everywhere_and_the_proof_passes_on() {
    let (mut scene, _) = forked();
    scene.meet(1, 2);
    scene.meet(2, 3);
    assert!(scene.bricks(3, 0), "Dave saw neither branch");
    scene.start(0, 3, 10).expect("a patched wallet does not stop itself");
    scene.deliver();
    assert_eq!(scene.refusals(3), ["TRADE_FORK"]);
    let stuck = scene.start(1, 3, 100).map_err(|e| e.code());
    assert_eq!(stuck, Err("EVIDENCE_BRICKED"), "until Bob settles");
    assert_eq!(scene.balances()[3], 0);
    scene.people[3].restart();
    assert!(scene.bricks(3, 0), "for good");
}

#[test]
fn the_branch_that_was_settled_is_taken_although_its_payer_is_convicted() {
    let (mut scene, _) = forked();
    scene.meet(1, 2);
    scene.meet(2, 3);
    scene.people[3].notary = Some(trust_base());
    let alice = Predicate::Signature(scene.people[0].key.public());
    let pocket = scene.people[1].device.ledger().pockets().next().expect("one").clone();
    let mut hop = pocket.evidence.hops[0].clone();
    let spent = (alice, hop.tx.body.inputs[0], hop.tx.id());
    let (certificate, mut places) = certify(&[spent], NOW, 3);
    let unlock = hop.witnesses[0].unlock.clone();
    let witness = Witness { unlock, certified: Some(places.remove(0)) };
    hop.witnesses = List::truncated([witness].into());
    let mut evidence = pocket.evidence.clone();
    evidence.hops = List::truncated([hop].into());
    evidence.certificates = List::truncated([certificate].into());
    // Dave knows the other branch.
    let carols = scene.people[2].device.sightings().iter().next().expect("Alice's step");
    scene.people[3].device.apply(Change::Sighting(carols));
    scene.people[1].device.apply(Change::Pocket(Pocket { evidence, ..pocket }.into()));
    scene.pay(1, 3, 100);
    assert_eq!(scene.balances()[3], 100);
}

#[test]
fn a_payee_who_claims_not_to_have_received_gets_the_same_bytes_and_no_more() {
    let mut scene = Scene::new(2, 1000);
    let invoice = scene.invoice(1, 250);
    scene.pay_invoice(0, 1, &invoice);
    let first = scene.people[0].out[0].clone();
    scene.deliver();
    let alice = scene.id(0);
    for _ in 0..3 {
        scene.people[1].hear(alice, &first.1).expect("heard");
    }
    scene.people[1].restart();
    scene.people[1].hear(alice, &first.1).expect("heard");
    scene.deliver();
    assert_eq!(scene.balances(), [750, 250]);
    let again = scene.people[1].events.iter().filter(|e| matches!(e, Event::Again { .. }));
    assert_eq!(again.count(), 4);
    assert!(!scene.anyone_convicted());
}

#[test]
fn a_payee_who_rolled_back_gets_its_payments_again() {
    for (one, other) in [(0, 1), (1, 0)] {
        let mut scene = Scene::new(2, 1000);
        scene.pay(0, 1, 100);
        let backup = scene.people[1].disk.clone();
        for _ in 0..3 {
            scene.pay(0, 1, 50);
        }
        scene.people[1].restore(backup);
        assert_eq!(scene.balances(), [750, 100]);
        scene.meet(one, other);
        assert_eq!(scene.balances(), [750, 250], "kept by the payer, receipts or not");
        scene.people[1].tell(Input::ConfirmRecovery(Basis::Contacts)).expect("all were met");
        scene.pay(1, 0, 250);
        assert_eq!(scene.balances(), [1000, 0]);
    }
}

/// A step of a device that nobody knows, with a high number.
fn stranger(n: u16) -> Sighting {
    let mut bytes = [7; 32];
    bytes[..2].copy_from_slice(&n.to_be_bytes());
    let (head, root) = (Head::new(bytes), Root::new(bytes));
    let step = Step { seq: u64::from(n) + 1_000_000, head, root };
    let (body, link, coin) = (BodyHash::new(bytes), Link::new(bytes), CoinId::new(bytes));
    let key = SecretKey::new([0x77; 32]).expect("a scalar");
    let signature = key.sign(&Digest::new([0; 32]));
    Sighting { key: key.public(), branch: Branch { body, link, step, coin, signature } }
}

/// Somebody begins to meet another, who does not hear of it yet: what is told first.
fn first_page(scene: &mut Scene, one: usize, other: usize) -> Sync {
    let contact = scene.id(other);
    scene.people[one].tell(Input::Meet { contact }).expect("a contact");
    let page = scene.people[one].out.iter().find_map(|(_, message)| match message {
        Message::Sync(sync) => Some(sync.clone()),
        _ => None,
    });
    page.expect("a meeting begins with what is known")
}

#[test]
fn steps_of_strangers_do_not_crowd_out_those_of_contacts() {
    let (mut scene, _) = forked();
    for person in &mut scene.people {
        (0..1100).for_each(|n| person.device.apply(Change::Sighting(stranger(n))));
    }
    let first_page = first_page(&mut scene, 1, 2).seen;
    assert!(first_page.iter().any(|seen| seen.seq < stranger(0).branch.step.seq), "of a contact");
    scene.deliver();
    assert!(scene.bricks(1, 0) && scene.bricks(2, 0));
}

#[test]
fn proofs_against_strangers_do_not_crowd_out_those_against_contacts() {
    let mut scene = Scene::new(14, 0);
    // More than a page tells, and of several contacts, so that no order of keys helps by chance.
    for n in 0..400u16 {
        let mut bytes = [0x55; 32];
        bytes[..2].copy_from_slice(&n.to_be_bytes());
        let key = SecretKey::new(bytes).expect("a scalar");
        scene.people[0].device.apply(Change::Fork(fork_of(&key).into()));
    }
    for contact in 2..14 {
        let proof = fork_of(&scene.people[contact].key);
        scene.people[0].tell(Input::Fork(proof.into())).expect("a good proof");
    }
    let first = first_page(&mut scene, 0, 1);
    let told =
        |contact: usize| first.forks.contains(&KeyHash::of(&scene.people[contact].key.public()));
    assert!((2..14).all(told));
    scene.deliver();
    assert!((2..14).all(|contact| scene.bricks(1, contact)));
}

#[test]
fn a_branch_that_its_device_did_not_sign_convicts_nobody() {
    let mut scene = Scene::new(3, 1000);
    scene.pay(0, 1, 100);
    let (bob, carol) = (scene.id(1), scene.id(2));
    let mut forged = scene.people[1].device.sightings().iter().next().expect("Alice's step");
    forged.branch.body = BodyHash::new([1; 32]);
    scene.people[2].tell(Input::Meet { contact: bob }).expect("a contact");
    let (_, sync) = scene.people[2].out.pop_front().expect("a sync");
    scene.people[1].hear(carol, &sync).expect("heard");
    let Some((_, Message::SyncReply(mut reply))) = scene.people[1].out.pop_front() else {
        panic!("a reply")
    };
    let honest = scene.people[1].device.sightings().iter().next().expect("Alice's step");
    scene.people[2].device.apply(Change::Sighting(honest));
    reply.findings.branches = List::truncated([forged].into());
    scene.people[2].hear(bob, &Message::SyncReply(reply)).expect("heard");
    assert!(!scene.bricks(2, 0));
}

#[test]
fn a_message_that_was_sent_to_another_buys_nothing_here() {
    let mut scene = Scene::new(3, 1000);
    let invoice = scene.invoice(1, 250);
    scene.pay_invoice(0, 1, &invoice);
    let (alice, carol): (DeviceId, usize) = (scene.id(0), 2);
    let message = scene.people[0].out[0].1.clone();
    scene.people[carol].hear(alice, &message).expect("heard");
    assert_eq!(scene.balances()[carol], 0);
    assert_eq!(scene.refusals(carol), ["TRADE_TERMS"], "bound to Bob's challenge");
    scene.people[carol].restart();
    scene.people[carol].tell(Input::Restored).expect("always");
    scene.people[carol].hear(alice, &message).expect("heard");
    assert_eq!(scene.balances()[carol], 0, "nor with a wallet that lost its terms");
}

proptest! {
    /// What two people notice by the short form is what the long form convicts of.
    #[test]
    fn the_short_form_of_steps_says_what_the_long_form_says(
        a in (0u8..3, 1u64..4, 0u8..3, 0u8..3),
        b in (0u8..3, 1u64..4, 0u8..3, 0u8..3),
        follows: bool,
    ) {
        let key = SecretKey::new([1; 32]).expect("a scalar");
        let branch = |(coin, seq, head, body): (u8, u64, u8, u8)| Branch {
            body: BodyHash::new([body; 32]),
            link: Link::new([body; 32]),
            step: Step { seq, head: Head::new([head; 32]), root: Root::new([body; 32]) },
            coin: CoinId::new([coin; 32]),
            signature: key.sign(&Digest::new([0; 32])),
        };
        let (a, mut b) = (branch(a), branch(b));
        if follows {
            b.step.head = a.head_after();
        }
        let short = |branch| Seen::of(&key.public(), branch);
        let fits = short(&a).fits(&short(&b));
        prop_assert_eq!(fits, short(&b).fits(&short(&a)));
        prop_assert_eq!(fits, a.conflict(&b).is_none());
        let kinds: Vec<_> = [&a, &b].into_iter().filter_map(|x| x.conflict(&a)).collect();
        prop_assert!(kinds.len() <= 1, "nothing contradicts itself");
    }
}
