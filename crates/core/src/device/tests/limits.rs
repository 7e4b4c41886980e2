//! Where sizes end.

use alloc::vec::Vec;

use tally_tree::Tree;

use super::scene::Scene;
use crate::amount::Amount;
use crate::cbor::List;
use crate::device::{Change, Event, Pocket};
use crate::evidence::tests::chain::{Chain, signature};
use crate::evidence::{Evidence, Hop, MAX_HOPS};
use crate::id::{CoinId, Link};
use crate::message::{Message, Offer, Spend};
use crate::trade::held;
use crate::transaction::Step;

/// Coins of Alice, moved 256 times in all, 31 times at most in a row, and the last of the chain.
fn long_history(scene: &Scene) -> (Evidence, CoinId, Link) {
    let mut evidence = Evidence::default();
    let mut last = None;
    for serial in 0..9u64 {
        let owner = signature(1);
        let minted = super::scene::mint(&scene.issuer, scene.asset, 100 + serial, 100, owner);
        let mut chain = Chain::new();
        chain.evidence = Evidence::of_minted(minted);
        chain.last = chain.evidence.mints[0].mint.coin();
        let moves = if serial < 8 { 31 } else { 8 };
        (0..moves).for_each(|_| chain.pay(1, signature(1)));
        evidence = evidence.merge(&chain.evidence).expect("within the limits");
        let link = chain.evidence.hops[moves - 1].tx.link;
        last = Some((chain.last.0, link));
    }
    assert_eq!(evidence.hops.len(), MAX_HOPS);
    let (coin, link) = last.expect("nine chains");
    (evidence, coin, link)
}

#[test]
fn an_offer_whose_history_leaves_no_room_for_the_payment_is_refused() {
    let mut scene = Scene::new(2, 0);
    let (evidence, coin, link) = long_history(&scene);
    let mut tree = Tree::new();
    tree.insert(coin.into(), held(&link, Amount::new(100))).expect("empty");
    let path = tree.prove(&coin.into()).expect("there");
    let place = evidence.made().iter().position(|id| *id == coin).expect("there");
    let spend = Spend { coin: u16::try_from(place).expect("few"), path };
    let (alice, device) = (scene.id(0), &scene.people[0].device);
    let offer = Offer {
        seq: 300,
        head: device.head(),
        root: tree.root().into(),
        link: device.contacts()[&scene.id(1)].link,
        asset: scene.asset,
        amount: Amount::new(10),
        spends: List::truncated([spend].into()),
        evidence,
    };
    scene.people[1].hear(alice, &Message::Offer(offer)).expect("heard");
    assert_eq!(scene.refusals(1), ["TRADE_SIZE"]);
}

#[test]
fn a_payer_does_not_offer_what_does_not_fit() {
    let mut scene = Scene::new(2, 0);
    let (evidence, coin, link) = long_history(&scene);
    let owner = Chain::new().coin(100, signature(1));
    let full = Pocket { id: coin, link, coin: Some((coin, owner)), evidence };
    scene.people[0].device.apply(Change::Pocket(full.into()));
    assert_eq!(scene.start(0, 1, 10).map_err(|e| e.code()), Err("TRADE_SIZE"));
    assert!(scene.people[0].device.outgoing().is_empty());
}

#[test]
fn a_payment_comes_from_eight_coins_at_most() {
    let mut scene = Scene::new(2, 0);
    (0..9).for_each(|serial| scene.mint_to(0, serial, 10));
    assert_eq!(scene.start(0, 1, 81).map_err(|e| e.code()), Err("INSUFFICIENT_FUNDS"));
    scene.pay(0, 1, 75);
    assert_eq!(scene.balances(), [15, 75]);
    let one: Vec<&Hop> =
        scene.people[1].device.incoming().values().filter_map(|i| i.hop.as_ref()).collect();
    assert_eq!(one[0].tx.body.inputs.len(), 8);
    scene.pay(1, 0, 75);
    scene.pay(0, 1, 90);
    assert_eq!(scene.balances(), [0, 90]);
}

#[test]
fn an_offer_again_and_again_leaves_one_set_of_terms() {
    let mut scene = Scene::new(2, 1000);
    for units in 1..50 {
        scene.start(0, 1, units).expect("an offer");
        let (alice, _, offer) = scene.next().expect("an offer");
        scene.people[1].hear(alice, &offer).expect("heard");
    }
    assert_eq!(scene.people[1].device.terms().len(), 1);
}

#[test]
fn the_last_step_number_is_not_stepped_over() {
    let mut scene = Scene::new(2, 1000);
    let head = scene.people[0].device.head();
    scene.people[0].device.apply(Change::Step { seq: u64::MAX, head });
    scene.pay(0, 1, 10);
    assert_eq!(scene.refusals(1), ["TRADE_STEP"]);
    let invoice = scene.invoice(1, 5);
    let input = crate::device::Input::PayInvoice { payee: scene.id(1), invoice: invoice.into() };
    let refused = scene.people[0].tell(input).expect_err("no number is left");
    assert_eq!(refused.code(), "TRADE_STEP");
    let step = Step { seq: u64::MAX, head, root: scene.people[0].device.ledger().root() };
    assert_eq!(step.seq.checked_add(1), None);
    assert!(scene.people[0].events.iter().any(|e| matches!(e, Event::RefusedBy { .. })));
}
