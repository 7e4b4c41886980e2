//! What a payee refuses of what a payer sends, and with which code.

use alloc::vec::Vec;

use super::scene::{NOW, Scene, mint};
use crate::accept::AcceptPolicy;
use crate::amount::Amount;
use crate::cbor::List;
use crate::device::{Change, Event, Input, OutgoingState};
use crate::evidence::Evidence;
use crate::id::{AssetId, DeviceId, Head, Link, NetworkId, Root};
use crate::message::{Commit, Message, Offer, Payment, Receipt};
use crate::predicate::{Predicate, Reserved, Unlock, spend_digest};
use crate::trade;

/// An offer of Alice to Bob of 250 of her 1000, and both of them.
fn offered() -> (Scene, Offer) {
    let mut scene = Scene::new(3, 1000);
    scene.start(0, 1, 250).expect("an offer");
    match scene.next() {
        Some((_, _, Message::Offer(offer))) => (scene, offer),
        other => panic!("{other:?}"),
    }
}

/// A payment of Alice on an invoice of Bob's, on its way.
fn paid() -> (Scene, Payment) {
    let mut scene = Scene::new(3, 1000);
    let invoice = scene.invoice(1, 250);
    scene.pay_invoice(0, 1, &invoice);
    match scene.next() {
        Some((_, _, Message::Payment(payment))) => (scene, payment),
        other => panic!("{other:?}"),
    }
}

/// What Bob answers: the code of his refusal, which he also tells Alice, and takes nothing.
fn answer(scene: &mut Scene, message: &Message) -> &'static str {
    let alice = scene.id(0);
    let before = scene.people[1].device.ledger().root();
    scene.people[1].hear(alice, message).expect("heard");
    let refused = scene.people[1].events.iter().rev().find_map(|e| match e {
        Event::Refused { reason, .. } => Some(reason.code.clone()),
        _ => None,
    });
    let Some(code) = refused else { return "" };
    let told = scene.people[1].out.pop_back().map(|(_, message)| message);
    assert!(matches!(told, Some(Message::Refuse(refuse)) if refuse.code == code));
    assert_eq!(scene.people[1].device.ledger().root(), before);
    alloc::boxed::Box::leak(code.into_boxed_str())
}

fn of_offer(edit: impl FnOnce(&mut Offer)) -> &'static str {
    let (mut scene, mut offer) = offered();
    edit(&mut offer);
    answer(&mut scene, &Message::Offer(offer))
}

fn of_payment(edit: impl FnOnce(&mut Payment)) -> &'static str {
    let (mut scene, mut payment) = paid();
    edit(&mut payment);
    answer(&mut scene, &Message::Payment(payment))
}

#[test]
fn an_honest_offer_and_an_honest_payment_are_not_refused() {
    assert_eq!(of_offer(|_| ()), "");
    assert_eq!(of_payment(|_| ()), "");
}

#[test]
fn an_offer_from_another_link_is_refused() {
    assert_eq!(of_offer(|o| o.link = Link::new([1; 32])), "TRADE_LINK");
    assert_eq!(of_payment(|p| p.offer.link = Link::new([1; 32])), "TRADE_LINK");
}

#[test]
fn coins_that_are_not_the_payers_are_refused() {
    assert_eq!(of_offer(|o| o.spends = List::default()), "TRADE_COINS");
    let no_such = |o: &mut Offer| {
        let mut spend = o.spends[0].clone();
        spend.coin = 9;
        o.spends = List::truncated([spend].into());
    };
    assert_eq!(of_offer(no_such), "TRADE_COINS");
    let twice = |o: &mut Offer| {
        o.spends = List::truncated([o.spends[0].clone(), o.spends[0].clone()].into());
    };
    assert_eq!(of_offer(twice), "TRADE_COINS");
    assert_eq!(of_offer(|o| o.asset = AssetId::new([1; 32])), "TRADE_COINS");
    let (mut scene, mut offer) = offered();
    let owner = Predicate::Signature(scene.people[2].key.public());
    let carols = mint(&scene.issuer, scene.asset, 5, 1000, owner);
    offer.evidence = Evidence::of_minted(carols);
    assert_eq!(answer(&mut scene, &Message::Offer(offer)), "TRADE_COINS", "somebody else's");
}

#[test]
fn what_is_not_behind_the_coins_does_not_come_along() {
    let (mut scene, mut offer) = offered();
    let owner = Predicate::Signature(scene.people[0].key.public());
    let another = Evidence::of_minted(mint(&scene.issuer, scene.asset, 5, 1000, owner));
    offer.evidence = offer.evidence.merge(&another).expect("two mints");
    assert_eq!(
        answer(&mut scene, &Message::Offer(offer)),
        "TRADE_COINS",
        "the payer's, but not paid with"
    );
}

#[test]
fn amounts_that_do_not_fit_are_refused() {
    assert_eq!(of_offer(|o| o.amount = Amount::ZERO), "TRADE_AMOUNT");
    assert_eq!(of_offer(|o| o.amount = Amount::new(1001)), "TRADE_AMOUNT");
}

#[test]
fn pockets_that_are_not_under_the_root_are_refused() {
    assert_eq!(of_offer(|o| o.root = Root::new([1; 32])), "TRADE_POCKET");
    let (mut scene, _) = offered();
    scene.mint_to(0, 2, 5000);
    scene.start(0, 1, 5500).expect("from both pockets");
    let Some((_, _, Message::Offer(mut offer))) = scene.next() else { panic!("an offer") };
    assert_eq!(offer.spends.len(), 2);
    let mut spends = offer.spends.to_vec();
    let path = spends[0].path.clone();
    spends[0].path = core::mem::replace(&mut spends[1].path, path);
    offer.spends = List::truncated(spends);
    assert_eq!(answer(&mut scene, &Message::Offer(offer)), "TRADE_POCKET", "paths exchanged");
}

#[test]
fn a_root_that_does_not_follow_is_refused() {
    assert_eq!(of_payment(|p| p.commit.root = Root::new([1; 32])), "TRADE_ROOT");
}

#[test]
fn a_payment_that_was_altered_is_not_unlocked() {
    assert_eq!(of_payment(|p| p.offer.seq += 1), "UNLOCK_OWNER_SIGNATURE");
    assert_eq!(of_payment(|p| p.offer.head = Head::new([1; 32])), "UNLOCK_OWNER_SIGNATURE");
    let code = of_payment(|p| p.commit.unlocks = List::default());
    assert_eq!(code, "EVIDENCE_WITNESSES");
    let code = of_payment(|p| p.offer.evidence = Evidence::default());
    assert_eq!(code, "TRADE_COINS");
}

#[test]
fn a_step_that_contradicts_what_was_seen_is_refused() {
    let (mut scene, _) = offered();
    scene.pay(0, 1, 100);
    scene.start(0, 1, 100).expect("an offer");
    let Some((_, _, Message::Offer(offer))) = scene.next() else { panic!("an offer") };
    let head = Head::new([1; 32]);
    let other = Message::Offer(Offer { head, ..offer.clone() });
    assert_eq!(answer(&mut scene, &other), "TRADE_STEP", "not the head after the step seen");
    let again = Message::Offer(Offer { seq: offer.seq - 1, ..offer.clone() });
    assert_eq!(answer(&mut scene, &again), "TRADE_STEP", "not the head before the step seen");
    let last = Message::Offer(Offer { seq: u64::MAX, ..offer });
    assert_eq!(answer(&mut scene, &last), "TRADE_STEP", "there is no number after the last");
}

#[test]
fn a_payment_to_another_key_is_refused() {
    let (mut scene, mut payment) = paid();
    payment.accept.owner = Predicate::Signature(scene.people[2].key.public());
    assert_eq!(answer(&mut scene, &Message::Payment(payment)), "TRADE_TERMS");
}

#[test]
fn a_payee_that_lost_its_memory_takes_nothing_under_anothers_key() {
    let (mut scene, mut payment) = paid();
    let outgoing = scene.people[0].device.outgoing.all().values().next().expect("one").clone();
    // A patched payer signs a payment to Carol, for Bob, who no longer knows what he asked for.
    payment.accept.owner = Predicate::Signature(scene.people[2].key.public());
    let (offer, accept, bob) = (&payment.offer, &payment.accept, scene.id(1));
    let tx = trade::transaction(offer, accept, &outgoing.sources, &bob, NetworkId::LOCAL);
    let tx = tx.expect("a transaction like any other");
    let digest = spend_digest(&outgoing.sources[0].id, &tx.id());
    let unlock = Unlock::Signature(scene.people[0].key.sign(&digest));
    payment.commit = Commit { root: tx.step.root, unlocks: List::truncated([unlock].into()) };
    scene.people[1].device.apply(Change::Terms(payment.accept.nonce, None));
    scene.people[1].tell(Input::Restored).expect("always possible");
    assert_eq!(answer(&mut scene, &Message::Payment(payment)), "TRADE_TERMS");
}

#[test]
fn messages_out_of_turn_are_refused() {
    let (mut scene, payment) = paid();
    let commit = Message::Commit(payment.commit);
    assert_eq!(answer(&mut scene, &commit), "TRADE_TURN", "nothing was offered");
    let accept = Message::Accept(payment.accept);
    assert_eq!(answer(&mut scene, &accept), "TRADE_TURN", "nothing was asked");
}

#[test]
fn an_answer_to_an_offer_that_is_no_longer_true_brings_a_true_one() {
    let (mut scene, offer) = offered();
    let (alice, bob) = (scene.id(0), scene.id(1));
    scene.people[1].hear(alice, &Message::Offer(offer)).expect("heard");
    let (_, accept) = scene.people[1].out.pop_front().expect("an answer");
    scene.pay(0, 2, 10);
    scene.people[0].hear(bob, &accept).expect("heard");
    assert_eq!(scene.people[0].device.outgoing().len(), 1, "only Carol was paid so far");
    scene.deliver();
    assert_eq!(scene.balances(), [740, 250, 10]);
    assert_eq!(scene.refusals(0), [""; 0]);
}

#[test]
fn an_answer_to_an_offer_whose_coins_are_gone_is_refused() {
    let (mut scene, offer) = offered();
    let (alice, bob) = (scene.id(0), scene.id(1));
    scene.people[1].hear(alice, &Message::Offer(offer)).expect("heard");
    let (_, accept) = scene.people[1].out.pop_front().expect("an answer");
    scene.pay(0, 2, 900);
    scene.people[0].hear(bob, &accept).expect("heard");
    assert_eq!(scene.refusals(0), ["INSUFFICIENT_FUNDS"]);
    assert_eq!(scene.people[0].device.outgoing().len(), 1, "only Carol was paid");
}

/// Somebody pays Alice one unit each time that Bob has answered her offer.
#[test]
fn being_paid_does_not_stop_a_payment_that_is_being_made() {
    let mut scene = Scene::new(3, 1000);
    scene.mint_to(2, 9, 50);
    let (alice, bob) = (scene.id(0), scene.id(1));
    scene.start(0, 1, 250).expect("an offer");
    for _ in 0..5 {
        let (_, offer) = scene.people[0].out.pop_front().expect("an offer");
        assert!(matches!(offer, Message::Offer(_)));
        scene.people[1].hear(alice, &offer).expect("heard");
        let (_, accept) = scene.people[1].out.pop_front().expect("an answer");
        scene.pay(2, 0, 1);
        scene.people[0].hear(bob, &accept).expect("heard");
    }
    scene.deliver();
    assert_eq!(scene.balances(), [755, 250, 45]);
    assert_eq!(scene.people[1].device.terms().len(), 0, "all of it on the same terms");
}

#[test]
fn an_offer_is_made_anew_a_few_times_and_no_more() {
    let mut scene = Scene::new(3, 1000);
    scene.mint_to(2, 9, 50);
    let (alice, bob) = (scene.id(0), scene.id(1));
    scene.start(0, 1, 250).expect("an offer");
    let mut offers = 0;
    while let Some((_, offer)) = scene.people[0].out.pop_front() {
        if !matches!(offer, Message::Offer(_)) {
            break;
        }
        offers += 1;
        scene.people[1].hear(alice, &offer).expect("heard");
        let (_, accept) = scene.people[1].out.pop_front().expect("an answer");
        scene.pay(2, 0, 1);
        scene.people[0].hear(bob, &accept).expect("heard");
    }
    assert_eq!((offers, scene.refusals(0)), (9, alloc::vec!["TRADE_TURN"]));
}

#[test]
fn evidence_without_room_for_the_payment_is_refused() {
    let code = of_offer(|o| {
        let mints = o.evidence.mints.clone();
        o.evidence = Evidence { mints, ..Evidence::default() };
    });
    assert_eq!(code, "");
    let (mut scene, _) = offered();
    // Bob and Carol hand one coin to and fro; 33 moves without a network are too many.
    scene.pay(0, 1, 1000);
    for i in 0..31 {
        let (payer, payee) = if i % 2 == 0 { (1, 2) } else { (2, 1) };
        scene.pay(payer, payee, 1000);
    }
    let holder = if scene.balances()[1] > 0 { 1 } else { 2 };
    let refused = scene.start(holder, 0, 1000).expect_err("its 33rd move");
    assert_eq!(refused.code(), "EVIDENCE_TOO_MANY_HOPS");
}

#[test]
fn a_receipt_that_is_not_the_payees_is_refused() {
    let (mut scene, payment) = paid();
    let (alice, bob, carol) = (scene.id(0), scene.id(1), scene.id(2));
    let tx = *scene.people[0].device.outgoing().keys().next().expect("one");
    let digest = Receipt::digest(&tx, &bob);
    let forged =
        Receipt { tx, signature: scene.people[2].key.sign(&digest), consents: List::default() };
    scene.people[0].hear(bob, &Message::Receipt(forged.clone())).expect("heard");
    assert_eq!(scene.refusals(0), ["TRADE_RECEIPT"]);
    scene.people[0].hear(carol, &Message::Receipt(forged)).expect("heard");
    assert_eq!(scene.refusals(0), ["TRADE_RECEIPT", "NOT_WAITING"], "Carol was not paid");
    let state = scene.people[0].device.outgoing()[&tx].state;
    assert_eq!(state, OutgoingState::Signed);
    scene.people[1].hear(alice, &Message::Payment(payment)).expect("heard");
    scene.deliver();
    assert_eq!(scene.people[0].device.outgoing()[&tx].state, OutgoingState::Receipted);
}

#[test]
fn what_the_owners_policy_refuses_is_refused_before_anything_is_signed() {
    let (mut scene, offer) = offered();
    let strict = Input::AcceptPolicy(AcceptPolicy::default());
    scene.people[1].tell(strict).expect("always");
    let offer = Message::Offer(Offer { amount: Amount::new(501), ..offer });
    assert_eq!(answer(&mut scene, &offer), "ACCEPT_PER_PAYMENT");
}

#[test]
fn what_the_issuer_forbids_offline_is_refused_before_anything_is_signed() {
    let mut scene = Scene::with_policy(2, |p| p.offline.cap = Some(Amount::new(300)));
    scene.mint_to(0, 1, 1000);
    let refused = scene.start(0, 1, 301).expect_err("above the cap");
    assert_eq!(refused.code(), "EVIDENCE_OFFLINE_RULE");
    scene.start(0, 1, 300).expect("at the cap");
    let Some((_, _, Message::Offer(offer))) = scene.next() else { panic!("an offer") };
    let above = Message::Offer(Offer { amount: Amount::new(301), ..offer });
    assert_eq!(answer(&mut scene, &above), "EVIDENCE_OFFLINE_RULE", "a patched payer");
    let mut scene = Scene::with_policy(2, |p| p.offline.sealed_only = true);
    scene.mint_to(0, 1, 1000);
    let refused = scene.start(0, 1, 1).expect_err("signature alone");
    assert_eq!(refused.code(), "EVIDENCE_OFFLINE_RULE");
}

#[test]
fn a_reserved_coin_is_not_spent_without_its_payees_consent() {
    let mut scene = Scene::new(3, 0);
    let [alice, bob] = [0, 1].map(|i| scene.people[i].key.public());
    let until = NOW.plus(1000);
    let owner = Predicate::Reserved(Reserved { key: alice, payee: bob, until });
    let minted = mint(&scene.issuer, scene.asset, 1, 100, owner);
    scene.people[0].tell(Input::Mint(minted.into())).expect("a good mint");
    let refused = scene.start(0, 2, 10).expect_err("locked");
    assert_eq!(refused.code(), "UNLOCK_LOCKED");
    scene.people.iter_mut().for_each(|p| p.now = until);
    scene.pay(0, 2, 10);
    assert_eq!(scene.balances(), [90, 0, 10], "after its end the owner alone suffices");
}

#[test]
fn what_is_reserved_for_somebody_else_is_refused_at_the_offer() {
    let mut scene = Scene::new(3, 0);
    let [alice, bob] = [0, 1].map(|i| scene.people[i].key.public());
    let until = NOW.plus(1000);
    let owner = Predicate::Reserved(Reserved { key: alice, payee: bob, until });
    let minted = mint(&scene.issuer, scene.asset, 1, 100, owner);
    scene.people[0].tell(Input::Mint(minted.into())).expect("a good mint");
    scene.people[0].now = until;
    scene.pay(0, 2, 10);
    assert_eq!(scene.refusals(2), ["UNLOCK_LOCKED"], "Carol's clock says that the lock holds");
    assert_eq!(scene.balances(), [100, 0, 0], "and nothing was signed");
}

#[test]
fn an_unknown_device_is_not_heard() {
    let (mut scene, offer) = offered();
    let stranger = DeviceId::new([1; 32]);
    let refused = scene.people[1].hear(stranger, &Message::Offer(offer)).expect_err("a stranger");
    assert_eq!(refused.code(), "UNKNOWN_CONTACT");
    let sent: Vec<_> = scene.people[1].out.iter().collect();
    assert!(sent.is_empty());
}
