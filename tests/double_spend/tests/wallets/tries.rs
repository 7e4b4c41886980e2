//! One test for each way to try it.

use std::sync::Mutex;
use std::thread;

use tally_core::amount::Amount;
use tally_core::device::{Event, Mode};

use crate::people::{Town, balance, over_tcp, passphrase, pay, settle, worth};

/// The same signed payment is handed over five times at once, and settled by five settlements at once:
/// it is credited once.
#[test]
fn the_same_payment_received_5_times_concurrently_offline_and_online() {
    let town = Town::new();
    let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
    let invoice = bob.invoice(asset, Amount::new(400), 600).expect("an invoice");
    let (packet, _) = alice.pay_invoice(&invoice).expect("paid");
    let bob = Mutex::new(bob);
    let received = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| {
                let answer = bob.lock().expect("free").receive_packet(&packet);
                received.lock().expect("free").push(answer);
            });
        }
    });
    let events = received.into_inner().expect("free").into_iter();
    let events: Vec<Event> = events.filter_map(Result::ok).flat_map(|(events, _)| events).collect();
    let credits = events.iter().filter(|e| matches!(e, Event::Received { .. })).count();
    assert_eq!(credits, 1, "{events:?}");
    thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| settle(&mut bob.lock().expect("free")));
        }
    });
    let bob = bob.into_inner().expect("free");
    assert_eq!((balance(&bob, &asset), bob.device().incoming().len()), (400, 1));
    // The payer asks the network for the same payment as well: the same answer, once.
    let settling = settle(&mut alice);
    assert!(settling.lost.is_empty(), "{settling:?}");
    assert!(bob.device().unsettled().is_empty() && alice.device().unsettled().is_empty());
}

#[test]
fn receive_the_same_package_twice() {
    let town = Town::new();
    let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
    let invoice = bob.invoice(asset, Amount::new(400), 600).expect("an invoice");
    let (packet, _) = alice.pay_invoice(&invoice).expect("paid");
    bob.receive_packet(&packet).expect("received");
    settle(&mut bob);
    let (again, _) = bob.receive_packet(&packet).expect("known");
    assert!(matches!(again.as_slice(), [Event::Again { .. }]), "{again:?}");
    let resent = alice.resend(bob.device().id()).expect("resent");
    let (again, _) = bob.receive_packet(&resent[0]).expect("known");
    assert!(again.iter().all(|e| matches!(e, Event::Again { .. })), "{again:?}");
    assert_eq!((balance(&bob, &asset), bob.device().incoming().len()), (400, 1));
}

#[test]
fn fungible_coin_split_to_two_payees_with_overlapping_amounts() {
    let town = Town::new();
    let ([alice, mut bob, mut carol], asset) = town.people(["alice", "bob", "carol"]);
    let key = alice.device().me().owner.clone();
    let (mut alice, mut copy) = town.cloned("alice", alice);
    // 700 and 600 of 1000: each alone is covered, both together are not.
    let first = pay(&mut alice, &mut bob, asset, 700).expect("paid");
    pay(&mut copy, &mut carol, asset, 600).expect("paid");
    assert!(settle(&mut bob).lost.is_empty());
    let lost = settle(&mut carol).lost;
    assert_eq!((lost.len(), lost[0].winner, &lost[0].key), (1, first, &key));
    assert_eq!((worth(&bob), worth(&carol)), (700, 0));
    assert!(carol.device().forks()[&key].check().is_ok());
}

#[test]
fn offline_spend_then_online_spend_of_the_same_coin_by_the_payer() {
    let town = Town::new();
    let ([alice, mut bob, mut carol], asset) = town.people(["alice", "bob", "carol"]);
    let (mut alice, mut copy) = town.cloned("alice", alice);
    // Offline to Bob; then the copy pays Carol and has that certified at once.
    pay(&mut alice, &mut bob, asset, 400).expect("paid");
    let online = pay(&mut copy, &mut carol, asset, 500).expect("paid");
    assert!(settle(&mut copy).certified.contains(&online));
    assert!(settle(&mut carol).lost.is_empty());
    let lost = settle(&mut bob).lost;
    assert_eq!((lost.len(), lost[0].winner), (1, online));
    assert_eq!((worth(&bob), worth(&carol)), (0, 500));
    // Who was copied and lost stops paying, and does not accuse itself.
    let own = alice.settle(&mut |_| {}, &mut |_| {}).expect("settled");
    assert_eq!(own.lost.len(), 1);
    assert!(matches!(alice.device().mode(), Mode::ReceiveOnly(_)));
    let refused = pay(&mut alice, &mut carol, asset, 1).expect_err("receives only");
    assert_eq!(refused.code(), "RECEIVE_ONLY");
}

#[test]
fn payer_restores_a_backup() {
    let town = Town::new();
    let ([mut alice, mut bob, mut carol], asset) = town.people(["alice", "bob", "carol"]);
    let key = alice.device().me().owner.clone();
    let backup = town.path("backup");
    alice.backup(passphrase(), &backup).expect("written");
    pay(&mut alice, &mut bob, asset, 400).expect("paid");
    settle(&mut bob);
    drop(alice);
    let setup = town.setup("restored");
    let mut alice = tally_wallet::restore(&backup, &passphrase(), &town.path("restored"), &setup)
        .expect("restored");
    // It does not sign from the old state, before it has met whom it paid.
    let refused = pay(&mut alice, &mut carol, asset, 1000).expect_err("receives only");
    assert_eq!(refused.code(), "RECEIVE_ONLY");
    assert_eq!(alice.confirm_recovery(false).expect_err("nobody was met").code(), "NOT_RECOVERED");
    for contact in [&mut bob, &mut carol] {
        let to = contact.device().id();
        let (met, _) = over_tcp(contact, |channel| alice.sync_over(channel, to, &mut |_| {}));
        met.expect("met");
    }
    alice.confirm_recovery(false).expect("everyone was met");
    assert_eq!(balance(&alice, &asset), 600, "what was paid since stays paid");
    pay(&mut alice, &mut carol, asset, 600).expect("paid");
    assert!(settle(&mut carol).lost.is_empty());
    assert_eq!((worth(&bob), worth(&carol)), (400, 600));
    // The network tells of the cheats of other tests as well.
    for payee in [&bob, &carol] {
        assert!(!payee.device().forks().contains_key(&key));
    }
}

#[test]
fn cloned_wallet() {
    let town = Town::new();
    let ([alice, mut bob, mut carol], asset) = town.people(["alice", "bob", "carol"]);
    let key = alice.device().me().owner.clone();
    let (mut alice, mut copy) = town.cloned("alice", alice);
    pay(&mut alice, &mut bob, asset, 1000).expect("paid");
    pay(&mut copy, &mut carol, asset, 1000).expect("paid");
    // Both settle at once, at different validators.
    let (bobs, carols) = thread::scope(|scope| {
        let bobs = scope.spawn(|| settle(&mut bob));
        let carols = settle(&mut carol);
        (bobs.join().expect("settled"), carols)
    });
    assert_eq!(bobs.lost.len() + carols.lost.len(), 1, "{bobs:?} {carols:?}");
    assert_eq!(worth(&bob) + worth(&carol), 1000, "of 1000 that were minted");
    // The network tells the one who won as well, and neither takes anything of the cheat's again.
    settle(&mut bob);
    settle(&mut carol);
    for payee in [&mut bob, &mut carol] {
        assert!(payee.device().forks().contains_key(&key));
    }
    for (payer, payee) in [(&mut alice, &mut bob), (&mut copy, &mut carol)] {
        assert!(pay(payer, payee, asset, 1).is_err());
    }
}
