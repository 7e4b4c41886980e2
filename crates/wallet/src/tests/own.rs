//! Value that is set aside and refreshed, before a notary, with a crash at every write.

use tally_core::amount::Amount;
use tally_core::device::{Event, OutgoingState};
use tally_core::id::{AssetId, DeviceId};
use tally_core::tier::Tier;
use tally_core::time::Time;

use super::Fuse;
use super::notary::Validator;
use super::scene::{Town, balance, pay, sync};
use super::settle::settle;
use crate::wallet::now;
use crate::{Moved, Wallet, WalletError};

fn reserve(
    wallet: &mut Wallet,
    payee: DeviceId,
    asset: AssetId,
    units: u64,
    until: Time,
) -> Result<Moved, WalletError> {
    wallet.reserve(payee, asset, Amount::new(units), until, &mut |_| {}, &mut |_| {})
}

fn later() -> Time {
    now().plus(7 * 24 * 3600)
}

/// How much is set aside now.
fn set_aside(wallet: &Wallet) -> u64 {
    let aside = wallet.device().ledger().pockets().filter(|p| p.reserved_for(now()).is_some());
    aside.map(|p| p.amount().units()).sum()
}

fn ready(wallet: &Wallet) -> bool {
    let mut coins = wallet.device().ledger().pockets().filter(|p| p.coin.is_some());
    coins.all(|pocket| pocket.is_ready())
}

fn tier(events: &[Event]) -> Option<Tier> {
    events.iter().find_map(|event| match event {
        Event::Received { tier, .. } => Some(*tier),
        _ => None,
    })
}

/// Alice has set 400 of 1,000 aside for Bob, certified.
fn scene(town: &Town, validator: &Validator) -> ([Wallet; 2], AssetId) {
    let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
    validator.serve(&mut [&mut alice, &mut bob]);
    let moved = reserve(&mut alice, bob.device().id(), asset, 400, later()).unwrap();
    assert!(moved.certified && moved.settling.lost.is_empty(), "{moved:?}");
    assert_eq!((set_aside(&alice), balance(&alice, &asset)), (400, 1000));
    ([alice, bob], asset)
}

#[test]
fn what_is_set_aside_online_is_paid_offline_at_tier_reserved() {
    let validator = Validator::start();
    let town = Town::new();
    let ([mut alice, mut bob], asset) = scene(&town, &validator);
    validator.freeze(true);
    let met = pay(&mut alice, &mut bob, asset, 150);
    met.payer.unwrap();
    assert_eq!(tier(&met.served), Some(Tier::Reserved));
    let invoice = bob.invoice(asset, Amount::new(250), 600).unwrap();
    let (packet, _) = alice.pay_invoice(&invoice).unwrap();
    let (events, answers) = bob.receive_packet(&packet).unwrap();
    assert_eq!(tier(&events), Some(Tier::Reserved));
    let (again, _) = bob.receive_packet(&packet).unwrap();
    assert!(matches!(again.as_slice(), [Event::Again { .. }]), "{again:?}");
    alice.receive_packet(&answers[0]).unwrap();
    assert!(ready(&alice) && set_aside(&alice) == 0);
    validator.freeze(false);
    for wallet in [&mut bob, &mut alice] {
        let (settling, _) = settle(wallet);
        assert!(settling.failed.is_empty() && settling.locked.is_empty(), "{settling:?}");
        assert!(wallet.device().unsettled().is_empty());
    }
    assert_eq!((balance(&alice, &asset), balance(&bob, &asset)), (600, 400));
}

#[test]
fn a_payer_whose_receipt_was_lost_settles_with_the_consents_that_the_notary_shows() {
    let validator = Validator::start();
    let town = Town::new();
    let ([mut alice, mut bob], asset) = scene(&town, &validator);
    let invoice = bob.invoice(asset, Amount::new(250), 600).unwrap();
    let (packet, _) = alice.pay_invoice(&invoice).unwrap();
    let (early, _) = settle(&mut alice);
    assert_eq!(early.locked.len(), 1, "only its payee can settle it: {early:?}");
    assert!(!ready(&alice), "its change waits for the consent");
    bob.receive_packet(&packet).unwrap();
    settle(&mut bob);
    let (late, _) = settle(&mut alice);
    assert!(late.failed.is_empty() && late.locked.is_empty(), "{late:?}");
    assert!(ready(&alice) && alice.device().unsettled().is_empty());
    assert_eq!(set_aside(&alice), 150);
}

#[test]
fn what_is_set_aside_comes_back_when_its_payee_consents() {
    let validator = Validator::start();
    let town = Town::new();
    let ([mut alice, mut bob], asset) = scene(&town, &validator);
    let (first, _) = alice.release_reserved(bob.device().id(), asset).unwrap();
    let (ask, _) = alice.release_reserved(bob.device().id(), asset).unwrap();
    assert_ne!(first, ask, "each in a session of its own");
    for _ in 0..2 {
        let (events, answers) = bob.receive_packet(&ask).unwrap();
        assert!(matches!(events.as_slice(), [Event::ReleaseAsked { .. }]), "{events:?}");
        assert!(answers.is_empty(), "its owner is asked first");
    }
    let (_, answer) = bob.agree_to_release(&ask).unwrap();
    assert_eq!(
        alice.device().outgoing().values().filter(|o| o.payee == bob.device().id()).count(),
        0
    );
    for _ in 0..2 {
        alice.receive_packet(&answer).unwrap();
    }
    assert!(ready(&alice) && set_aside(&alice) == 0);
    assert!(settle(&mut alice).0.failed.is_empty());
    assert!(alice.device().unsettled().is_empty());
    pay(&mut alice, &mut bob, asset, 1000).payer.unwrap();
    assert_eq!(balance(&bob, &asset), 1000);
}

#[test]
fn what_is_set_aside_is_free_after_its_end() {
    let validator = Validator::start();
    let town = Town::new();
    let ([mut alice, mut bob, mut carol], asset) = town.people(["alice", "bob", "carol"]);
    validator.serve(&mut [&mut alice, &mut carol, &mut bob]);
    let until = now().plus(5);
    let bobs = bob.device().id();
    assert!(reserve(&mut alice, bobs, asset, 1000, until).unwrap().certified);
    // Bob is asked to release half a second too late to matter, and says nothing.
    alice.release_reserved(bobs, asset).unwrap();
    while now() < until {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    drop(alice);
    let mut alice = town.open("alice").unwrap();
    assert!(ready(&alice), "opening it finds that the lock has ended");
    let met = pay(&mut alice, &mut carol, asset, 1000);
    met.payer.unwrap();
    let (settling, _) = settle(&mut carol);
    assert!(settling.failed.is_empty() && settling.locked.is_empty(), "{settling:?}");
    assert!(carol.device().unsettled().is_empty());
}

#[test]
fn coins_are_made_into_one_and_certified() {
    let validator = Validator::start();
    let town = Town::new();
    let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
    validator.serve(&mut [&mut alice, &mut bob]);
    for units in [10, 20, 30] {
        pay(&mut alice, &mut bob, asset, units).payer.unwrap();
    }
    let moved = bob.refresh(asset, &mut |_| {}, &mut |_| {}).unwrap();
    assert!(moved.certified, "{moved:?}");
    let ledger = bob.device().ledger();
    let coins: Vec<_> = ledger.pockets().filter(|p| p.is_ready()).collect();
    assert_eq!((coins.len(), coins[0].amount()), (1, Amount::new(60)));
    assert_eq!(coins[0].evidence.certificates.len(), 1);
    let met = pay(&mut bob, &mut alice, asset, 55);
    met.payer.unwrap();
    let nothing = bob.refresh(AssetId::new([9; 32]), &mut |_| {}, &mut |_| {});
    assert_eq!(nothing.unwrap_err().code(), "INSUFFICIENT_FUNDS");
}

#[test]
fn without_a_network_nothing_is_set_aside() {
    let town = Town::new();
    let ([mut alice, bob], asset) = town.people(["alice", "bob"]);
    let bobs = bob.device().id();
    assert_eq!(reserve(&mut alice, bobs, asset, 400, later()).unwrap_err().code(), "NOTARY_NONE");
    assert_eq!(alice.device().seq(), 0, "nothing was signed");
}

/// What is done while somebody crashes.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Reserve,
    Live,
    Packet,
    Release,
}

fn begin(deed: Deed, alice: &mut Wallet, bob: &mut Wallet, asset: AssetId) {
    let bobs = bob.device().id();
    match deed {
        Deed::Reserve => drop(reserve(alice, bobs, asset, 400, later())),
        Deed::Live => drop(pay(alice, bob, asset, 150)),
        Deed::Packet => {
            let Ok(invoice) = bob.invoice(asset, Amount::new(150), 600) else { return };
            let Ok((packet, _)) = alice.pay_invoice(&invoice) else { return };
            let Ok((_, answers)) = bob.receive_packet(&packet) else { return };
            let _ = alice.receive_packet(&answers[0]);
        }
        Deed::Release => {
            let Ok((ask, _)) = alice.release_reserved(bobs, asset) else { return };
            let Ok((_, answer)) = bob.agree_to_release(&ask) else { return };
            let _ = alice.receive_packet(&answer);
        }
    }
}

/// Both open again and finish what was begun; then all of Alice's can be paid.
fn comes_out_whole(town: &Town, asset: AssetId, deed: Deed, what: &str) {
    let (mut alice, mut bob) = (town.open("alice").unwrap(), town.open("bob").unwrap());
    sync(&mut alice, &mut bob).payer.unwrap_or_else(|e| panic!("{what}: {e}"));
    let asked = matches!(deed, Deed::Release)
        .then(|| alice.release_reserved(bob.device().id(), asset))
        .and_then(Result::ok);
    if let Some((ask, _)) = asked {
        let (_, answer) = bob.agree_to_release(&ask).unwrap_or_else(|e| panic!("{what}: {e}"));
        alice.receive_packet(&answer).unwrap_or_else(|e| panic!("{what}: {e}"));
    }
    if !ready(&alice) {
        let ledger = alice.device().ledger();
        let coins: Vec<_> = ledger.pockets().map(|p| (p.amount(), p.is_ready())).collect();
        let states: Vec<_> = alice.device().outgoing().values().map(|o| o.state).collect();
        panic!("{what}: {coins:?} {states:?} {:?}", alice.device().mode());
    }
    let (settling, _) = settle(&mut alice);
    assert!(settling.failed.is_empty() && settling.locked.is_empty(), "{what}: {settling:?}");
    let left = balance(&alice, &asset);
    assert!(left == 1000 || left == 850, "{what}: {left}");
    pay(&mut alice, &mut bob, asset, left).payer.unwrap_or_else(|e| panic!("{what}: {e}"));
    assert_eq!(balance(&bob, &asset), 1000, "{what}");
    let (settling, _) = settle(&mut bob);
    assert!(settling.failed.is_empty() && settling.lost.is_empty(), "{what}: {settling:?}");
    let mut states = alice.device().outgoing().values().map(|o| o.state);
    assert!(states.all(|state| state == OutgoingState::Receipted), "{what}");
    assert!(bob.device().forks().is_empty() && alice.device().forks().is_empty(), "{what}");
}

#[test]
fn a_crash_at_any_write_of_what_is_set_aside_loses_nothing() {
    let validator = Validator::start();
    for deed in [Deed::Reserve, Deed::Live, Deed::Packet, Deed::Release] {
        for payer_crashes in [true, false] {
            if matches!((deed, payer_crashes), (Deed::Reserve, false)) {
                continue;
            }
            for after in [false, true] {
                for writes in 0.. {
                    let what = format!("{deed:?}, payer {payer_crashes}, {writes}, after {after}");
                    let town = Town::new();
                    let ([mut alice, mut bob], asset) = match deed {
                        Deed::Reserve => town.people(["alice", "bob"]),
                        _ => scene(&town, &validator),
                    };
                    if matches!(deed, Deed::Reserve) {
                        validator.serve(&mut [&mut alice, &mut bob]);
                    }
                    let victim = if payer_crashes { &mut alice } else { &mut bob };
                    victim.store.fuse = Some(Fuse::new(writes, after));
                    begin(deed, &mut alice, &mut bob, asset);
                    let blown = |w: &Wallet| w.store.fuse.as_ref().is_some_and(Fuse::has_blown);
                    let crashed = blown(&alice) || blown(&bob);
                    drop((alice, bob));
                    comes_out_whole(&town, asset, deed, &what);
                    if !crashed {
                        assert!(writes >= 1, "{what}: it writes");
                        break;
                    }
                }
            }
        }
    }
}
