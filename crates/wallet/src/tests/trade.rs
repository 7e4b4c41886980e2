use tally_core::amount::Amount;
use tally_core::device::{Event, OutgoingState};
use tally_core::tier::Tier;

use super::scene::{Town, balance, pay, sync};

#[test]
fn two_wallets_pay_over_tcp() {
    let town = Town::new();
    let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
    let met = pay(&mut alice, &mut bob, asset, 250);
    let tx = met.payer.unwrap();
    met.payee.unwrap();
    assert!(
        matches!(met.shown[..], [Event::Paid { .. }, Event::Receipted { .. }]),
        "{:?}",
        met.shown
    );
    let amount = Amount::new(250);
    let received = |e: &Event| matches!(e, Event::Received { tx: t, amount: a, tier: Tier::Signed, .. } if *t == tx && *a == amount);
    assert!(matches!(&met.served[..], [e] if received(e)), "{:?}", met.served);
    assert_eq!((balance(&alice, &asset), balance(&bob, &asset)), (750, 250));
    assert_eq!(alice.device().outgoing()[&tx].state, OutgoingState::Receipted);
    for units in [1, 2, 3] {
        pay(&mut alice, &mut bob, asset, units).payer.unwrap();
        pay(&mut bob, &mut alice, asset, 1).payer.unwrap();
    }
    assert_eq!((balance(&alice, &asset), balance(&bob, &asset)), (747, 253));
    assert!(alice.holdings().unwrap().iter().all(|(_, verified)| *verified));
    sync(&mut alice, &mut bob).payer.unwrap();
    drop((alice, bob));
    let (mut alice, mut bob) = (town.open("alice").unwrap(), town.open("bob").unwrap());
    assert_eq!((balance(&alice, &asset), balance(&bob, &asset)), (747, 253));
    pay(&mut bob, &mut alice, asset, 253).payer.unwrap();
    assert_eq!((balance(&alice, &asset), balance(&bob, &asset)), (1000, 0));
    assert!(alice.check().iter().all(|finding| finding.ok), "{:?}", alice.check());
}
