//! Spends whose time is over, and locks that have ended.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use tally_core::notary::ProofError;
use tally_core::predicate::{Predicate, Reserved};
use tally_core::time::Time;

use crate::coin::{alone, coin, somebody, spend, spend_until, together, transaction, unlocked};
use crate::network::{Answer, Network, now};

/// Waits until the network's own time, which its certificates carry, has come to `end`.
fn pass(network: &Network, end: Time) {
    while network.certificate(0, network.height(0)).record.timestamp < end {
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn spend_after_expires_at() {
    let network = Network::shared();
    let (owner, coin_a, coin_b) = (somebody(), coin(), coin());
    let end = now().plus(3);
    let timely = spend_until(&owner, coin_a, transaction(), Some(now().plus(600)));
    let late = spend_until(&owner, coin_b, transaction(), Some(end));
    assert_eq!(network.settle(0, &timely), Answer::Certified);
    pass(network, end);
    for node in network.validators() {
        // A validator's clock may be a little behind the network's: it then takes the request in, and
        // answers when it sees a block that is past the deadline.
        let answer = network.submit(node, &late, Duration::from_secs(20));
        assert_eq!(answer, Answer::Refused("REQUEST_EXPIRED".into()));
        assert_eq!(network.certified(node, &late), Err(ProofError::Pending));
        assert!(network.is_unspent(node, late.state_id));
    }
    // The coin was not lost: its owner makes another payment with it, which is the first.
    let again = spend(&owner, coin_b, transaction());
    assert_eq!(network.settle(1, &again), Answer::Certified);
    assert_eq!(network.one_of(&[again, late]), 0);
    network.certified_soon(3, &timely).expect("what was in time stays certified");
}

#[test]
fn expired_reserved_raced_by_both_sides() {
    let network = Network::shared();
    let (owner, payee) = (somebody(), somebody());
    let until = now().plus(4);
    let terms = Reserved { key: owner.public(), payee: payee.public(), until };
    let predicate = Predicate::Reserved(terms);
    let coins: Vec<_> = (0..20).map(|_| coin()).collect();
    // For each coin the payee holds a payment that both signed, and the owner takes it back alone.
    let rivals = coins.iter().map(|coin| {
        let (paid, back) = (transaction(), transaction());
        let paid = unlocked(&predicate, *coin, paid, &together(&owner, &payee, *coin, paid));
        let back = unlocked(&predicate, *coin, back, &alone(&owner, *coin, back));
        [paid, back]
    });
    let rivals: Vec<_> = rivals.collect();
    let locked = Answer::Refused("SIGNATURE_VERIFICATION_FAILED".into());
    assert_eq!(network.settle(0, &rivals[0][1]), locked, "while the lock lasts, not alone");
    assert_eq!(network.settle(1, &rivals[1][0]), Answer::Certified, "together at any time");
    pass(network, until);
    let start = Barrier::new(2);
    let answers = thread::scope(|scope| {
        let side = |number: usize| {
            let (start, rivals) = (&start, &rivals);
            scope.spawn(move || {
                start.wait();
                let settle = |pair: &[_; 2]| network.settle(1 + 2 * number, &pair[number]);
                rivals.iter().map(settle).collect::<Vec<_>>()
            })
        };
        [side(0), side(1)].map(|side| side.join().unwrap())
    });
    for (number, pair) in rivals.iter().enumerate() {
        let winner = network.one_of(pair);
        let name = pair[winner].data.transaction;
        assert_eq!(answers[winner][number], Answer::Certified);
        assert_eq!(answers[1 - winner][number], Answer::Exists(name));
    }
    assert_eq!(network.one_of(&rivals[1]), 0, "what was certified under the lock stays");
}
