//! Value that is made into one coin, set aside, paid from there, taken back, and freed by time.

mod crash;
mod refresh;
mod release;

use alloc::vec::Vec;

use super::scene::{NOW, Person, Scene, open_policy};
use super::settle::{open, settle, settlement};
use crate::accept::AcceptPolicy;
use crate::amount::Amount;
use crate::cbor::{List, from_bytes, to_bytes};
use crate::device::{Basis, DeviceError, Event, Input, Mode, OutgoingState};
use crate::evidence::tests::network::trust_base;
use crate::id::NetworkId;
use crate::message::{Message, Receipt};
use crate::predicate::tests::FakeSeals;
use crate::predicate::{Unlock, consent_digest};
use crate::seal::Judge;
use crate::tier::Tier;
use crate::time::Time;

const UNTIL: Time = Time::from_unix(NOW.unix() + 10_000);

/// People who trust the network, the first of whom has 1,000 that are certified.
pub(super) fn certified(people: u8) -> Scene {
    let mut scene = Scene::new(people, 1000);
    scene.people.iter_mut().for_each(|person| person.notary = Some(trust_base()));
    settle(&mut scene.people[0]);
    scene
}

fn reserve(scene: &mut Scene, units: u64) -> Result<(), DeviceError> {
    let (payee, asset, amount) = (scene.id(1), scene.asset, Amount::new(units));
    scene.people[0].tell(Input::Reserve { payee, asset, amount, until: UNTIL })
}

/// As [`certified`], and so much of it is set aside for the second.
pub(super) fn reserved(people: u8, units: u64) -> Scene {
    let mut scene = certified(people);
    reserve(&mut scene, units).expect("set aside");
    settle(&mut scene.people[0]);
    scene
}

/// The first pays the second so much, and what it signs is lost.
fn signs_unheard(scene: &mut Scene, units: u64) {
    scene.start(0, 1, units).expect("an offer");
    let (from, to, offer) = scene.next().expect("an offer");
    scene.people[to].hear(from, &offer).expect("heard");
    let (from, to, accept) = scene.next().expect("terms");
    scene.people[to].hear(from, &accept).expect("heard");
    scene.people[0].out.clear();
}

fn release(scene: &mut Scene) -> Result<(), DeviceError> {
    let (payee, asset) = (scene.id(1), scene.asset);
    scene.people[0].tell(Input::Release { payee, asset })
}

/// A release, and the receipt with consents that answers it.
pub(super) fn messages() -> [Message; 2] {
    let mut scene = reserved(2, 400);
    release(&mut scene).expect("asked");
    let (alice, asked) = (scene.id(0), scene.people[0].out.pop_front().expect("asked").1);
    scene.people[1].hear(alice, &asked).expect("heard");
    agree(&mut scene);
    let (_, answer) = scene.people[1].out.pop_front().expect("answered");
    [asked, answer]
}

/// The second consents to what it is asked for.
fn agree(scene: &mut Scene) {
    let asked = scene.people[1].events.iter().rev().find_map(|event| match event {
        Event::ReleaseAsked { tx, .. } => Some(*tx),
        _ => None,
    });
    scene.people[1].tell(Input::Agree { tx: asked.expect("asked") }).expect("asked for");
}

fn tiers(person: &Person) -> Vec<Tier> {
    let tier = |event: &Event| match event {
        Event::Received { tier, payer: Some(_), .. } => Some(*tier),
        _ => None,
    };
    person.events.iter().filter_map(tier).collect()
}

/// What is set aside at `now`, in the pockets of a person.
fn set_aside(person: &Person, now: Time) -> u64 {
    let of = |p: &&crate::device::Pocket| p.reserved_for(now).is_some();
    person.device.ledger().pockets().filter(of).map(|p| p.amount().units()).sum()
}

fn ready(person: &Person) -> bool {
    let mut coins = person.device.ledger().pockets().filter(|pocket| pocket.coin.is_some());
    coins.all(|pocket| pocket.is_ready())
}

#[test]
fn what_was_reserved_is_paid_offline_at_tier_reserved_with_change() {
    let mut scene = reserved(3, 400);
    assert_eq!(set_aside(&scene.people[0], NOW), 400);
    scene.pay(0, 1, 150);
    assert_eq!(tiers(&scene.people[1]), [Tier::Reserved]);
    assert_eq!(scene.balances(), [850, 150, 0]);
    assert_eq!(set_aside(&scene.people[0], NOW), 250, "the change stays set aside");
    scene.pay(0, 1, 250);
    assert_eq!(tiers(&scene.people[1]), [Tier::Reserved, Tier::Reserved]);
    scene.pay(0, 2, 600);
    assert_eq!(scene.balances(), [0, 400, 600], "the rest is free");
    let all = scene.people[0].device.outgoing().values();
    assert!(all.clone().all(|o| o.state == OutgoingState::Receipted));
    assert!(all.clone().all(|o| o.unconsented().next().is_none()));
    settle(&mut scene.people[1]);
    settle(&mut scene.people[0]);
    assert!(scene.people.iter().take(2).all(|p| p.device.unsettled().is_empty()));
    assert!(!scene.anyone_convicted());
}

#[test]
fn an_invoice_is_paid_from_what_is_reserved_in_one_message() {
    let mut scene = reserved(2, 400);
    let invoice = scene.invoice(1, 300);
    scene.pay_invoice(0, 1, &invoice);
    scene.deliver();
    assert_eq!(
        (tiers(&scene.people[1]), scene.balances()),
        ([Tier::Reserved].into(), [700, 300].into())
    );
    assert!(ready(&scene.people[0]), "its change is complete");
}

#[test]
fn a_lock_that_ends_too_soon_is_refused_before_anything_is_signed() {
    let mut scene = reserved(2, 400);
    let policy = AcceptPolicy { settle_margin: 20_000, ..open_policy() };
    scene.people[1].tell(Input::AcceptPolicy(policy)).expect("always");
    // From what is reserved alone, and together with what is not.
    for units in [300, 900] {
        scene.pay(0, 1, units);
    }
    assert_eq!(scene.refusals(1), ["ACCEPT_SETTLE_MARGIN"; 2]);
    assert_eq!((scene.people[0].device.seq(), scene.balances()[1]), (1, 0));
}

#[test]
fn what_is_not_certified_as_reserved_is_worth_a_signature() {
    let mut scene = certified(2);
    reserve(&mut scene, 400).expect("set aside");
    scene.pay(0, 1, 150);
    assert_eq!(tiers(&scene.people[1]), [Tier::Signed]);
}

#[test]
fn what_is_reserved_for_somebody_pays_nobody_else() {
    let mut scene = reserved(3, 400);
    let refused = scene.start(0, 2, 601).expect_err("600 are free");
    assert_eq!(refused.code(), "UNLOCK_LOCKED");
    scene.pay(0, 2, 600);
    assert_eq!(scene.balances(), [400, 0, 600]);
    // Patched, it offers what it must not.
    let offer = |scene: &mut Scene| {
        scene.start(0, 1, 100).expect("an offer");
        scene.people[0].out.pop_front().expect("it").1
    };
    let Message::Offer(mut bent) = offer(&mut scene) else { panic!("an offer") };
    bent.link = crate::id::Link::first(&scene.id(0), &scene.id(2));
    bent.link = scene.people[2].device.contacts()[&scene.id(0)].received;
    let alice = scene.id(0);
    scene.people[2].hear(alice, &Message::Offer(bent)).expect("heard");
    assert_eq!(scene.refusals(2), ["UNLOCK_LOCKED"]);
}

#[test]
fn after_its_end_a_reservation_holds_nobody() {
    let mut scene = reserved(3, 1000);
    scene.people.iter_mut().for_each(|p| p.now = UNTIL);
    assert_eq!(set_aside(&scene.people[0], UNTIL), 0);
    scene.pay(0, 2, 1000);
    assert_eq!(
        (tiers(&scene.people[2]), scene.balances()),
        ([Tier::Signed].into(), [0, 0, 1000].into())
    );
}

#[test]
fn what_is_set_aside_until_soon_pays_after_what_is_free() {
    let mut scene = reserved(2, 400);
    let policy = AcceptPolicy { settle_margin: 20_000, ..open_policy() };
    for person in &mut scene.people {
        person.tell(Input::AcceptPolicy(policy.clone())).expect("always");
    }
    scene.pay(0, 1, 300);
    assert_eq!(
        (tiers(&scene.people[1]), scene.balances()),
        ([Tier::Signed].into(), [700, 300].into())
    );
    // What is free is not enough any more; what is set aside would do, for whoever asks for less time.
    scene.people[1].tell(Input::AcceptPolicy(open_policy())).expect("always");
    scene.pay(0, 1, 350);
    assert_eq!(tiers(&scene.people[1]), [Tier::Signed, Tier::Reserved]);
    assert!(scene.refusals(1).is_empty());
}

#[test]
fn a_payment_without_consents_is_free_of_them_after_the_lock() {
    let mut scene = reserved(2, 400);
    signs_unheard(&mut scene, 150);
    assert!(!ready(&scene.people[0]), "the change waits for the payee");
    scene.people[0].restart();
    scene.people[0].tell(Input::Locks).expect("always");
    assert!(!ready(&scene.people[0]), "the lock has not ended");
    scene.people.iter_mut().for_each(|p| p.now = UNTIL);
    assert!(scene.people[0].device.has_moved_locks(UNTIL));
    scene.people[0].tell(Input::Locks).expect("always");
    assert!(ready(&scene.people[0]) && !scene.people[0].device.has_moved_locks(UNTIL));
    let payee = scene.id(1);
    scene.people[0].tell(Input::Retry { payee }).expect("always");
    scene.deliver();
    assert_eq!(
        (tiers(&scene.people[1]), scene.balances()),
        ([Tier::Signed].into(), [850, 150].into())
    );
}

#[test]
fn a_payer_finds_the_consents_with_the_notary() {
    let mut scene = reserved(2, 400);
    scene.start(0, 1, 150).expect("an offer");
    while let Some((from, to, message)) = scene.next() {
        if !matches!(message, Message::Receipt(_)) {
            scene.people[to].hear(from, &message).expect("heard");
        }
    }
    let open_of_payee = open(&scene.people[1]);
    let claim =
        open_of_payee.iter().find(|c| matches!(c.unlock, Unlock::Reserved(..))).expect("one");
    let Unlock::Reserved(_, consent) = &claim.unlock else { panic!("reserved") };
    let (tx, other) =
        (claim.tx, scene.people[0].key.sign(&consent_digest(&claim.source, &claim.tx)));
    let refused = scene.people[0].tell(Input::Consents { tx, consents: [other].into() });
    assert_eq!(refused.expect_err("not the payee's").code(), "TRADE_RECEIPT");
    let consents = [consent.clone()].into();
    scene.people[0].tell(Input::Consents { tx, consents }).expect("the payee's");
    assert!(ready(&scene.people[0]));
    settle(&mut scene.people[0]);
    assert!(scene.people[0].device.unsettled().is_empty());
    let state = |scene: &Scene| scene.people[0].device.outgoing()[&tx].state;
    assert_eq!(state(&scene), OutgoingState::Signed, "it has no receipt");
    let payee = scene.id(1);
    scene.people[0].tell(Input::Retry { payee }).expect("always");
    scene.deliver();
    assert_eq!(state(&scene), OutgoingState::Receipted);
}

#[test]
fn a_payee_consents_to_one_payment_of_a_coin() {
    let mut scene = reserved(2, 400);
    let mut patched = scene.people[0].clone();
    scene.pay(0, 1, 400);
    assert_eq!(tiers(&scene.people[1]), [Tier::Reserved]);
    // The copy stands before the payment, and pays less with the same coin.
    let (payee, asset, amount) = (scene.id(1), scene.asset, Amount::new(1));
    patched.out.clear();
    let invoice = scene.invoice(1, 1);
    assert_eq!((invoice.asset, invoice.amount), (asset, amount));
    patched.tell(Input::PayInvoice { payee, invoice: invoice.into() }).expect("a patched payer");
    let (_, second) = patched.out.pop_front().expect("the payment");
    scene.people[1].out.clear();
    scene.people[1].hear(patched.id(), &second).expect("heard");
    let answers: Vec<_> = scene.people[1].out.iter().map(|(_, m)| m.name()).collect();
    assert_eq!(answers, ["refuse"], "no receipt, and so no consent");
    assert!(scene.bricks(1, 0), "both are signed");
}

#[test]
fn a_restored_payee_consents_to_nothing() {
    let mut scene = reserved(2, 400);
    let backup = scene.people[1].disk.clone();
    let invoice = scene.invoice(1, 100);
    scene.people[1].restore(backup);
    scene.start(0, 1, 150).expect("an offer");
    scene.deliver();
    assert_eq!(scene.refusals(1), ["RECEIVE_ONLY"]);
    scene.pay_invoice(0, 1, &invoice);
    scene.deliver();
    assert_eq!(scene.refusals(1), ["RECEIVE_ONLY"; 2]);
    assert_eq!((scene.balances()[1], scene.people[1].consents), (0, 0), "none is even signed");
    scene.people.iter_mut().for_each(|p| p.now = UNTIL);
    let payee = scene.id(1);
    scene.people[0].tell(Input::Retry { payee }).expect("always");
    scene.deliver();
    assert_eq!(scene.balances()[1], 100, "after the lock it needs no consent");
}

#[test]
fn consents_that_are_not_the_payees_are_refused() {
    let mut scene = reserved(2, 400);
    scene.start(0, 1, 150).expect("an offer");
    let mut receipt = None;
    while let Some((from, to, message)) = scene.next() {
        match message {
            Message::Receipt(r) => receipt = Some(r),
            other => scene.people[to].hear(from, &other).expect("heard"),
        }
    }
    let receipt = receipt.expect("a receipt");
    assert_eq!(receipt.consents.len(), 1);
    let bob = scene.id(1);
    let forged = scene.people[0].key.sign(&crate::id::Digest::new([1; 32]));
    let two = [receipt.consents[0].clone(), forged.clone()];
    for consents in [[forged].to_vec(), two.to_vec()] {
        let bent = Receipt { consents: List::truncated(consents), ..receipt.clone() };
        scene.people[0].hear(bob, &Message::Receipt(bent)).expect("heard");
        assert!(!ready(&scene.people[0]));
    }
    assert_eq!(scene.refusals(0), ["TRADE_RECEIPT"; 2]);
    scene.people[0].hear(bob, &Message::Receipt(receipt)).expect("heard");
    assert!(ready(&scene.people[0]));
}

/// Carries messages, and takes the consents off every receipt.
fn deliver_stripped(scene: &mut Scene) {
    while let Some((from, to, mut message)) = scene.next() {
        if let Message::Receipt(receipt) = &mut message {
            receipt.consents = List::default();
        }
        scene.people[to].hear(from, &message).expect("heard");
    }
}

#[test]
fn a_receipt_whose_consents_were_stripped_is_none_and_the_payer_goes_on_asking() {
    let mut scene = reserved(2, 400);
    scene.start(0, 1, 150).expect("an offer");
    deliver_stripped(&mut scene);
    let state = |scene: &Scene| {
        let mut sent = scene.people[0].device.outgoing().values();
        sent.find(|o| o.payee == scene.id(1)).map(|o| o.state)
    };
    assert_eq!(scene.refusals(0), ["TRADE_RECEIPT"]);
    assert_eq!(state(&scene), Some(OutgoingState::Signed), "it goes on asking");
    scene.people[0].restart();
    let payee = scene.id(1);
    scene.people[0].tell(Input::Retry { payee }).expect("sent again");
    deliver_stripped(&mut scene);
    assert_eq!(state(&scene), Some(OutgoingState::Signed));
    scene.people[0].tell(Input::Retry { payee }).expect("sent again");
    scene.deliver();
    assert_eq!(state(&scene), Some(OutgoingState::Receipted));
    assert!(ready(&scene.people[0]), "its change is free before the lock's end");
}

#[test]
fn after_the_end_of_the_lock_a_receipt_needs_no_consents() {
    let mut scene = reserved(2, 400);
    scene.start(0, 1, 150).expect("an offer");
    deliver_stripped(&mut scene);
    scene.people.iter_mut().for_each(|person| person.now = UNTIL);
    let payee = scene.id(1);
    scene.people[0].tell(Input::Retry { payee }).expect("sent again");
    deliver_stripped(&mut scene);
    let mut sent = scene.people[0].device.outgoing().values();
    assert!(sent.any(|o| o.payee == payee && o.state == OutgoingState::Receipted));
}

#[test]
fn the_answer_to_a_release_without_consents_is_none() {
    let mut scene = reserved(2, 400);
    release(&mut scene).expect("asked");
    scene.deliver();
    agree(&mut scene);
    deliver_stripped(&mut scene);
    assert_eq!(scene.refusals(0), ["TRADE_RECEIPT"]);
    release(&mut scene).expect("asked again");
    scene.deliver();
    agree(&mut scene);
    scene.deliver();
    let mut sent = scene.people[0].device.outgoing().values();
    assert!(sent.all(|o| o.state == OutgoingState::Receipted), "it is back");
    assert_eq!(set_aside(&scene.people[0], NOW), 0);
}

#[test]
fn a_receipt_with_an_empty_list_of_consents_is_no_receipt() {
    let (tx, key) = (crate::id::TxId::new([1; 32]), Person::new(9).key);
    let signature = key.sign(&crate::id::Digest::new([1; 32]));
    let receipt = Receipt { tx, signature, consents: List::default() };
    let mut bytes = to_bytes(&receipt);
    assert_eq!(from_bytes::<Receipt>(&bytes).expect("short"), receipt);
    bytes[0] = 0x83;
    bytes.push(0x80);
    assert!(from_bytes::<Receipt>(&bytes).is_err());
}

#[test]
fn only_what_is_certified_is_set_aside_and_not_for_too_long() {
    let mut scene = Scene::new(2, 1000);
    let code = |r: Result<(), DeviceError>| r.expect_err("refused").code();
    assert_eq!(code(reserve(&mut scene, 400)), "OWN_UNCERTIFIED");
    assert_eq!(code(reserve(&mut scene, 1001)), "INSUFFICIENT_FUNDS");
    let asset = scene.asset;
    assert_eq!(code(scene.people[0].tell(Input::Refresh { asset })), "OWN_UNCERTIFIED");
    let mut scene = certified(2);
    assert_eq!(code(reserve(&mut scene, 0)), "TRADE_AMOUNT");
    let (payee, asset, amount) = (scene.id(1), scene.asset, Amount::new(1));
    for until in [Time::from_unix(NOW.unix() - 1), NOW, NOW.plus(367 * 24 * 60 * 60)] {
        let wish = Input::Reserve { payee, asset, amount, until };
        assert_eq!(code(scene.people[0].tell(wish)), "OWN_UNTIL");
    }
    assert_eq!(scene.people[0].device.seq(), 0, "nothing was signed");
}

#[test]
fn a_restored_payer_is_told_of_what_it_set_aside() {
    let mut scene = certified(2);
    let backup = scene.people[0].disk.clone();
    reserve(&mut scene, 400).expect("set aside");
    settle(&mut scene.people[0]);
    scene.pay(0, 1, 150);
    scene.people[0].restore(backup);
    scene.meet(0, 1);
    scene.people[0].tell(Input::ConfirmRecovery(Basis::Contacts)).expect("complete");
    assert_eq!((scene.people[0].device.seq(), scene.people[0].device.mode()), (2, &Mode::Normal));
    assert_eq!((scene.balances(), set_aside(&scene.people[0], NOW)), ([850, 150].into(), 250));
    settle(&mut scene.people[0]);
    scene.pay(0, 1, 850);
    assert_eq!(scene.balances(), [0, 1000]);
    assert!(!scene.anyone_convicted());
}

#[test]
fn a_settlement_of_what_was_reserved_shows_both_signatures() {
    let mut scene = reserved(2, 400);
    scene.pay(0, 1, 400);
    let claims = open(&scene.people[1]);
    let claim = claims.iter().find(|c| matches!(c.unlock, Unlock::Reserved(..))).expect("one");
    let judge = Judge::of_certified(NetworkId::LOCAL, &FakeSeals);
    let check = |unlock: &Unlock, at: Time| {
        claim.owner.check(&claim.source, &claim.tx, unlock, at, &judge).map(drop)
    };
    assert_eq!(check(&claim.unlock, NOW), Ok(()));
    let alone = Unlock::Signature(claim.unlock.owner_signature().clone());
    assert!(check(&alone, NOW).is_err() && check(&alone, UNTIL).is_ok());
    scene.people[1].now = UNTIL.plus(5);
    let late = settlement(&claims, UNTIL.plus(5));
    scene.people[1].tell(Input::Certified(late.into())).expect("it still counts");
}

#[test]
fn a_consent_that_is_signed_after_a_set_back_stays_here() {
    let mut scene = reserved(2, 400);
    scene.start(0, 1, 400).expect("an offer");
    let (alice, bob) = (scene.id(0), scene.id(1));
    for (from, to) in [(0, 1), (1, 0)] {
        let (_, message) = scene.people[from].out.pop_front().expect("a message");
        let id = scene.id(from);
        scene.people[to].hear(id, &message).expect("heard");
    }
    let (_, commit) = scene.people[0].out.pop_front().expect("a commit");
    let payee = &mut scene.people[1];
    let (world, nonce) = (payee.world(), payee.nonce());
    let input = Input::Message { from: alice, message: commit.into(), nonce };
    let output = payee.device.handle(&world, input).expect("heard");
    let [sign] = &output.sign[..] else { panic!("{output:?}") };
    let consented = payee.sign(sign.clone()).expect("signed");
    // The device hears that it was set back before the signatures come.
    payee.tell(Input::Restored).expect("always");
    payee.tell(consented).expect("it asked for that");
    let told: Vec<Message> = payee.out.drain(..).map(|(_, message)| message).collect();
    assert!(matches!(&told[..], [Message::Refuse(refuse)] if refuse.code == "RECEIVE_ONLY"));
    assert_eq!(scene.balances()[1], 0, "nothing was taken without a consent");
    assert_ne!(alice, bob);
}
