//! What an owner cannot have, and the code that says why.

use alloc::vec::Vec;

use super::scene::{NOW, Person, Scene, mint};
use crate::amount::Amount;
use crate::card::{Signed, SignedError};
use crate::cbor::List;
use crate::device::{Basis, Device, DeviceError, Event, Input, Terms};
use crate::evidence::EvidenceError;
use crate::fork::{Branch, ForkProof};
use crate::id::{
    AssetId, BodyHash, CoinId, DeviceId, Digest, Head, Link, NetworkId, Nonce, Root, TxId,
};
use crate::keys::SecretKey;
use crate::predicate::{Predicate, spend_digest};
use crate::trade::TradeError;
use crate::transaction::Step;

fn code(scene: &mut Scene, input: Input) -> &'static str {
    let before: Device = scene.people[0].device.clone();
    let refused = scene.people[0].tell(input).expect_err("it cannot be had");
    assert_eq!(scene.people[0].device, before, "nothing has changed");
    refused.code()
}

/// Alice can prove that this key took two steps from one head.
pub(crate) fn fork_of(key: &SecretKey) -> ForkProof {
    let branch = |n: u8| {
        let step = Step { seq: 7, head: Head::new([7; 32]), root: Root::new([n; 32]) };
        let (body, link, coin) = (BodyHash::new([n; 32]), Link::new([n; 32]), CoinId::new([n; 32]));
        let digest = spend_digest(&coin, &TxId::of(&body, &link, &step));
        Branch { body, link, step, coin, signature: key.sign(&digest) }
    };
    ForkProof { key: key.public(), a: branch(1).into(), b: branch(2).into() }
}

fn pay(scene: &Scene, units: u64) -> Input {
    Input::Pay { payee: scene.id(1), asset: scene.asset, amount: Amount::new(units) }
}

#[test]
fn each_wish_that_cannot_be_met_has_its_code() {
    let mut scene = Scene::new(2, 1000);
    let input = pay(&scene, 1001);
    assert_eq!(code(&mut scene, input), "INSUFFICIENT_FUNDS");
    let input = pay(&scene, 0);
    assert_eq!(code(&mut scene, input), "TRADE_AMOUNT");
    let (asset, amount) = (scene.asset, Amount::new(1));
    let nobody = Input::Pay { payee: DeviceId::new([1; 32]), asset, amount };
    assert_eq!(code(&mut scene, nobody), "UNKNOWN_CONTACT");
    let nobody = Input::Meet { contact: DeviceId::new([1; 32]) };
    assert_eq!(code(&mut scene, nobody), "UNKNOWN_CONTACT");
    let tx = TxId::new([1; 32]);
    assert_eq!(code(&mut scene, Input::Signed { tx, unlocks: Vec::new() }), "NOT_WAITING");
    let signature = scene.people[0].key.sign(&Digest::new([1; 32]));
    assert_eq!(code(&mut scene, Input::ReceiptSigned { tx, signature }), "NOT_WAITING");
}

#[test]
fn what_is_not_for_this_device_is_refused() {
    let mut scene = Scene::new(2, 0);
    let own = scene.people[0].card();
    assert_eq!(code(&mut scene, Input::Contact(own)), "NOT_FOR_ME", "its own card");
    let mut policy = super::scene::policy(&scene.issuer);
    policy.network = NetworkId::new(9).expect("not zero");
    assert_eq!(code(&mut scene, Input::Policy(policy)), "NOT_FOR_ME", "of another network");
    let bobs = Predicate::Signature(scene.people[1].key.public());
    let minted = mint(&scene.issuer, scene.asset, 1, 5, bobs.clone());
    assert_eq!(code(&mut scene, Input::Mint(minted.into())), "NOT_FOR_ME", "minted to another");
    let terms = |owner| Terms {
        payer: None,
        asset: scene.asset,
        amount: Amount::new(1),
        owner,
        expires_at: NOW.plus(9),
    };
    let (nonce, of_bob) = (Nonce::new([1; 16]), terms(bobs));
    let mine = terms(Predicate::Signature(scene.people[0].key.public()));
    assert_eq!(code(&mut scene, Input::Ask { nonce, terms: of_bob }), "NOT_FOR_ME");
    let zero = Terms { amount: Amount::ZERO, ..mine.clone() };
    assert_eq!(code(&mut scene, Input::Ask { nonce, terms: zero }), "TRADE_AMOUNT");
    let unknown = Terms { asset: AssetId::new([1; 32]), ..mine };
    assert_eq!(code(&mut scene, Input::Ask { nonce, terms: unknown }), "EVIDENCE_UNKNOWN_ASSET");
}

#[test]
fn a_card_policy_mint_or_proof_that_is_not_valid_is_refused() {
    let mut scene = Scene::new(2, 0);
    let payload = scene.people[1].card().payload().to_vec();
    let forged = Signed::new(payload, scene.people[0].key.sign(&Digest::new([1; 32])));
    let forged = forged.expect("short");
    assert_eq!(code(&mut scene, Input::Contact(forged)), "SIGNED_SIGNATURE");
    let mut policy = super::scene::policy(&scene.issuer);
    policy.threshold = 9;
    assert_eq!(code(&mut scene, Input::Policy(policy)), "POLICY_ISSUERS");
    let owner = Predicate::Signature(scene.people[0].key.public());
    let mut minted = mint(&scene.issuer, scene.asset, 1, 5, owner);
    minted.mint.signatures = List::default();
    assert_eq!(code(&mut scene, Input::Mint(minted.into())), "MINT_SIGNATURES");
    let mut proof = fork_of(&scene.people[1].key);
    proof.b = proof.a.clone();
    assert_eq!(code(&mut scene, Input::Fork(proof.into())), "FORK_SAME");
    let mut proof = fork_of(&scene.issuer);
    proof.key = scene.people[1].key.public();
    assert_eq!(code(&mut scene, Input::Fork(proof.into())), "FORK_SIGNATURE");
    assert!(!scene.bricks(0, 1), "who did not sign is not convicted");
}

#[test]
fn whoever_is_convicted_is_not_paid_and_does_not_pay() {
    let mut scene = Scene::new(3, 1000);
    let bob = fork_of(&scene.people[1].key);
    scene.people[0].tell(Input::Fork(bob.clone().into())).expect("a good proof");
    let event = &scene.people[0].events;
    assert!(event.iter().any(|e| matches!(e, Event::Forked { contact: Some(_), .. })));
    let input = pay(&scene, 1);
    assert_eq!(code(&mut scene, input), "BRICKED");
    let events = scene.people[0].events.len();
    scene.people[0].tell(Input::Fork(bob.into())).expect("known");
    assert_eq!(scene.people[0].events.len(), events, "said once");
    let input = Input::Pay { payee: scene.id(2), asset: scene.asset, amount: Amount::new(1) };
    scene.people[0].tell(input).expect("others are");
}

#[test]
fn an_invoice_that_is_over_or_not_the_contacts_is_not_paid() {
    let mut scene = Scene::new(3, 1000);
    let invoice = scene.invoice(1, 5);
    scene.people[0].now = invoice.expires_at;
    let (payee, carol) = (scene.id(1), scene.id(2));
    let late = Input::PayInvoice { payee, invoice: invoice.clone().into() };
    assert_eq!(code(&mut scene, late), "TRADE_TERMS_EXPIRED");
    scene.people[0].now = NOW;
    let elsewhere = Input::PayInvoice { payee: carol, invoice: invoice.into() };
    assert_eq!(code(&mut scene, elsewhere), "TRADE_TERMS");
}

#[test]
fn a_restored_device_pays_nobody() {
    let mut scene = Scene::new(2, 1000);
    scene.people[0].tell(Input::Restored).expect("always");
    let input = pay(&scene, 1);
    assert_eq!(code(&mut scene, input), "RECEIVE_ONLY");
    assert_eq!(code(&mut scene, Input::ConfirmRecovery(Basis::Contacts)), "NOT_RECOVERED");
}

#[test]
fn errors_within_errors_keep_their_code() {
    let cases: [(DeviceError, &str); 3] = [
        (SignedError::Version.into(), "SIGNED_VERSION"),
        (EvidenceError::Bricked.into(), "EVIDENCE_BRICKED"),
        (TradeError::Fork.into(), "TRADE_FORK"),
    ];
    for (error, code) in cases {
        assert_eq!(error.code(), code);
    }
}

#[test]
fn a_new_card_of_a_known_contact_keeps_where_the_two_stand() {
    let mut scene = Scene::new(2, 1000);
    scene.pay(0, 1, 5);
    let before = scene.people[0].device.contacts()[&scene.id(1)].clone();
    let card = Person::new(2).card();
    scene.people[0].tell(Input::Contact(card)).expect("a good card");
    assert_eq!(scene.people[0].device.contacts()[&scene.id(1)].link, before.link);
}
