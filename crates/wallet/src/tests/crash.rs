//! Crashes at every write, on both sides: whatever happens, the payment is made once or not at all.

use tally_core::amount::Amount;
use tally_core::id::AssetId;

use super::Fuse;
use super::scene::{Town, balance, pay, sync};
use crate::Wallet;

const UNITS: u64 = 250;

/// Arms a wallet to fail for good at its n-th write from now.
fn arm(wallet: &mut Wallet, writes: u32, after: bool) {
    wallet.store.fuse = Some(Fuse::new(writes, after));
}

fn blown(wallet: &Wallet) -> bool {
    wallet.store.fuse.as_ref().is_some_and(Fuse::has_blown)
}

/// After a crash: both open again and meet. Then nothing happened, or one payment arrived, and
/// either side can pay the other.
fn comes_out_whole(town: &Town, asset: AssetId, what: &str) {
    let (mut alice, mut bob) = (town.open("alice").unwrap(), town.open("bob").unwrap());
    let met = sync(&mut alice, &mut bob);
    met.payer.unwrap_or_else(|e| panic!("{what}: {e}"));
    let balances = (balance(&alice, &asset), balance(&bob, &asset));
    let signed = alice.device().outgoing().len() as u64;
    assert!(signed <= 1, "{what}");
    assert_eq!(balances, (1000 - UNITS * signed, UNITS * signed), "{what}");
    assert_eq!(bob.device().incoming().len() as u64, signed, "{what}");
    assert_eq!(alice.device().seq(), signed, "{what}");
    assert_eq!(alice.waiting(&bob.device().id()), 0, "{what}");
    pay(&mut alice, &mut bob, asset, 100).payer.unwrap_or_else(|e| panic!("{what}: {e}"));
    pay(&mut bob, &mut alice, asset, 50).payer.unwrap_or_else(|e| panic!("{what}: {e}"));
    let total = balance(&alice, &asset) + balance(&bob, &asset);
    assert_eq!(total, 1000, "{what}");
    assert!(bob.device().forks().is_empty() && alice.device().forks().is_empty(), "{what}");
    let waiting = alice.check().into_iter().find(|finding| !finding.ok);
    assert_eq!(waiting, None, "{what}");
}

#[test]
fn a_crash_at_any_write_of_a_live_payment_leaves_one_payment_or_none() {
    for payer_crashes in [true, false] {
        for after in [false, true] {
            let mut writes = 0;
            loop {
                let what = format!("payer {payer_crashes}, write {writes}, after {after}");
                let town = Town::new();
                let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
                arm(if payer_crashes { &mut alice } else { &mut bob }, writes, after);
                let met = pay(&mut alice, &mut bob, asset, UNITS);
                let crashed = blown(&alice) || blown(&bob);
                assert!(crashed || met.payer.is_ok(), "{what}: {:?}", met.payer);
                drop((alice, bob));
                comes_out_whole(&town, asset, &what);
                if !crashed {
                    break;
                }
                writes += 1;
            }
            // Hello, step with its signatures, and receipt; terms and payment.
            assert_eq!(writes, if payer_crashes { 3 } else { 2 });
        }
    }
}

#[test]
fn a_crash_at_any_write_of_a_payment_by_packet_leaves_one_payment_or_none() {
    for payer_crashes in [true, false] {
        for after in [false, true] {
            for writes in 0.. {
                let what = format!("payer {payer_crashes}, write {writes}, after {after}");
                let town = Town::new();
                let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
                let invoice = bob.invoice(asset, Amount::new(UNITS), 600).unwrap();
                arm(if payer_crashes { &mut alice } else { &mut bob }, writes, after);
                let paid = alice.pay_invoice(&invoice);
                let again = paid.ok().filter(|(packet, _)| bob.receive_packet(packet).is_err());
                let crashed = blown(&alice) || blown(&bob);
                if let Some((packet, _)) = again {
                    // The same file again: a crash is no reason to ask for another.
                    drop(bob);
                    bob = town.open("bob").unwrap();
                    let (_, answers) = bob.receive_packet(&packet).unwrap();
                    alice.receive_packet(&answers[0]).unwrap();
                }
                drop((alice, bob));
                comes_out_whole(&town, asset, &what);
                if !crashed {
                    break;
                }
            }
        }
    }
}

#[test]
fn a_write_that_fails_without_a_crash_loses_nothing_and_the_wallet_goes_on() {
    for writes in 0..6 {
        let town = Town::new();
        let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
        arm(&mut alice, writes, false);
        let _ = pay(&mut alice, &mut bob, asset, UNITS);
        assert!(!blown(&alice) || alice.set_accept_policy(Default::default()).is_err());
        alice.store.fuse = None;
        sync(&mut alice, &mut bob).payer.unwrap();
        let signed = alice.device().outgoing().len() as u64;
        assert_eq!(balance(&bob, &asset), UNITS * signed);
        pay(&mut alice, &mut bob, asset, 1).payer.unwrap();
    }
}
