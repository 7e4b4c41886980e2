//! One test for each way to try it.

use std::sync::Mutex;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tally_core::accept::AcceptPolicy;
use tally_core::amount::Amount;
use tally_core::device::{Event, Mode};
use tally_core::id::AssetId;
use tally_core::tier::Tier;
use tally_core::time::Time;
use tally_wallet::{Settling, Wallet};

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
    assert!(matches!(alice.device().mode(), Mode::ReceiveOnly));
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

fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    Time::from_unix(since.as_secs())
}

/// Alice has set 1000 aside for Bob until a time, and paid 400 of it to him offline; a copy of her
/// wallet stands before that payment. Bob takes what he has no time to settle.
fn reserved_and_paid(town: &Town, until: Time) -> ([Wallet; 3], AssetId) {
    let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
    let any = bob.device().accept_policy().clone();
    bob.set_accept_policy(AcceptPolicy { settle_margin: 0, ..any }).expect("set");
    let (to, all) = (bob.device().id(), Amount::new(1000));
    let moved = alice.reserve(to, asset, all, until, &mut |_| {}, &mut |_| {}).expect("set aside");
    assert!(moved.certified, "{moved:?}");
    let (mut alice, copy) = town.cloned("alice", alice);
    let amount = Amount::new(400);
    let (paid, events) =
        over_tcp(&mut bob, |channel| alice.pay_over(channel, to, asset, amount, &mut |_| {}));
    paid.expect("paid");
    let tier = events.iter().find_map(|event| match event {
        Event::Received { tier, .. } => Some(*tier),
        _ => None,
    });
    assert_eq!(tier, Some(Tier::Reserved), "{events:?}");
    ([alice, copy, bob], asset)
}

/// The copy takes all of it back with its own signature alone, and has that certified.
fn take_back(copy: &mut Wallet, asset: AssetId) -> Settling {
    copy.refresh(asset, &mut |_| {}, &mut |_| {}).expect("signed").settling
}

/// After the lock the payee settles what both signed, and a copy of the owner takes it back alone: one
/// before the other, the other before the one, and both at once.
#[test]
fn expired_reserved_raced_by_both_sides() {
    let until = now().plus(30);
    let towns = [Town::new(), Town::new(), Town::new()];
    let mut scenes: Vec<_> = towns.iter().map(|town| reserved_and_paid(town, until)).collect();
    let ([_, early, _], asset) = &mut scenes[2];
    // Before the end there is nothing that the owner alone could move.
    let refused = early.refresh(*asset, &mut |_| {}, &mut |_| {}).expect_err("locked");
    assert_eq!(refused.code(), "OWN_UNCERTIFIED");
    while now() < until.plus(2) {
        thread::sleep(Duration::from_millis(200));
    }
    for (order, ([alice, copy, bob], asset)) in scenes.iter_mut().enumerate() {
        let (bobs, copys) = match order {
            0 => {
                let bobs = settle(bob);
                (bobs, take_back(copy, *asset))
            }
            1 => {
                let copys = take_back(copy, *asset);
                (settle(bob), copys)
            }
            _ => thread::scope(|scope| {
                let bobs = scope.spawn(|| settle(bob));
                let copys = take_back(copy, *asset);
                (bobs.join().expect("settled"), copys)
            }),
        };
        let key = alice.device().me().owner.clone();
        let what = format!("{order}: {bobs:?} {copys:?}");
        assert_eq!(bobs.lost.len() + copys.lost.len(), 1, "{what}");
        assert!(bobs.lost.iter().chain(&copys.lost).all(|lost| lost.key == key), "{what}");
        if let [lost] = bobs.lost.as_slice() {
            assert!(order != 0 && copys.certified.contains(&lost.winner), "{what}");
            assert_eq!(worth(bob), 0, "{what}");
            assert!(bob.device().forks()[&key].check().is_ok(), "both are signed: {what}");
        } else {
            assert!(order != 1 && bobs.certified.contains(&copys.lost[0].winner), "{what}");
            assert_eq!(worth(bob), 400, "{what}");
            // Who signed both does not accuse itself, and stops.
            assert!(matches!(copy.device().mode(), Mode::ReceiveOnly), "{what}");
        }
    }
}

/// A copy from before spends what was paid to Bob, after Bob has paid it on to Carol and Carol has settled.
#[test]
fn re_send_of_an_old_state_after_transfer() {
    let town = Town::new();
    let ([alice, mut bob, mut carol, mut dave], asset) =
        town.people(["alice", "bob", "carol", "dave"]);
    let key = alice.device().me().owner.clone();
    let (mut alice, mut copy) = town.cloned("alice", alice);
    let first = pay(&mut alice, &mut bob, asset, 1000).expect("paid");
    pay(&mut bob, &mut carol, asset, 1000).expect("paid on");
    assert!(settle(&mut carol).lost.is_empty());
    pay(&mut copy, &mut dave, asset, 1000).expect("nobody knows yet");
    let lost = settle(&mut dave).lost;
    assert_eq!((lost.len(), lost[0].winner, &lost[0].key), (1, first, &key));
    assert_eq!((worth(&carol), worth(&dave)), (1000, 0));
    assert!(dave.device().forks()[&key].check().is_ok());
}

/// Carol, whom Bob paid, shows what Alice paid to Bob as if it had been paid to her.
#[test]
fn a_later_owner_replays_an_earlier_state() {
    let town = Town::new();
    let ([mut alice, mut bob, mut carol], asset) = town.people(["alice", "bob", "carol"]);
    let invoice = bob.invoice(asset, Amount::new(1000), 600).expect("an invoice");
    let (packet, _) = alice.pay_invoice(&invoice).expect("paid");
    bob.receive_packet(&packet).expect("received");
    pay(&mut bob, &mut carol, asset, 1000).expect("paid on");
    // The packet is Bob's, in Bob's session, on Bob's terms: to anybody else it is nothing.
    assert!(carol.receive_packet(&packet).is_err());
    assert!(settle(&mut carol).lost.is_empty());
    let (again, _) = bob.receive_packet(&packet).expect("known");
    assert!(matches!(again.as_slice(), [Event::Again { .. }]), "{again:?}");
    assert_eq!((balance(&bob, &asset), worth(&carol)), (0, 1000), "it was spent, and stays spent");
}
