//! Two payments with one coin, sent to a network in turn, at once, or to two networks.

use std::collections::BTreeMap;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use tally_core::fork::ForkKind;
use tally_core::notary::{CertificationRequest, ProofError};

use crate::coin::{coin, somebody, spend, transaction, two_payments};
use crate::network::{Answer, Network, fork_proof};

#[test]
fn two_packages_of_one_coin_settled_in_turn() {
    let network = Network::shared();
    let [first, second] = two_payments();
    assert!(network.is_unspent(2, first.state_id));
    assert_eq!(network.settle(0, &first), Answer::Certified);
    for node in network.validators() {
        network.certified_soon(node, &first).expect("certified everywhere");
        let refused = network.settle(node, &second);
        assert_eq!(refused, Answer::Exists(first.data.transaction), "the winner is named");
        let verdict = network.certified(node, &second);
        assert_eq!(verdict, Err(ProofError::TransactionHashMismatch));
        assert!(!network.is_unspent(node, first.state_id));
    }
    assert_eq!(network.settle(3, &first), Answer::Certified, "again, and nothing changed");
    assert_eq!(network.one_of(&[first.clone(), second.clone()]), 0);
    // Whoever lost has both signatures now, and every validator tells others of it.
    let winner = network.proof(1, first.state_id, Duration::ZERO);
    let fork = fork_proof(&second, &winner);
    assert_eq!(fork.check(), Ok(ForkKind::Coin));
    network.publish_fork(1, &fork);
    assert!(network.validators().all(|node| network.tells_of(node, &fork)));
}

const CLIENTS: usize = 8;
const COINS: usize = 1_000;
/// Requests of one post.
const AT_ONCE: usize = 16;

#[test]
fn two_packages_of_one_coin_settled_concurrently_from_8_clients_to_4_validators() {
    let network = Network::shared();
    let coins: Vec<_> = (0..COINS).map(|_| two_payments()).collect();
    let start = Barrier::new(CLIENTS);
    let answers = thread::scope(|scope| {
        let client = |number: usize| {
            let (coins, start) = (&coins, &start);
            scope.spawn(move || {
                start.wait();
                client(network, number, coins)
            })
        };
        let clients: Vec<_> = (0..CLIENTS).map(client).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect::<Vec<_>>()
    });
    let mut wins = [0, 0];
    for (number, requests) in coins.iter().enumerate() {
        let winner = network.one_of(requests);
        wins[winner] += 1;
        let name = requests[winner].data.transaction;
        for (client, answers) in answers.iter().enumerate() {
            let expected =
                if client % 2 == winner { Answer::Certified } else { Answer::Exists(name) };
            assert_eq!(answers[&number], expected, "coin {number}, client {client}");
        }
    }
    assert_eq!(wins[0] + wins[1], COINS);
    assert!(wins[0] > 0 && wins[1] > 0, "a race that one side always wins is none: {wins:?}");
}

/// Settles one of the two payments with each coin, in an order and at a validator of the client's own.
fn client(
    network: &Network,
    number: usize,
    coins: &[[CertificationRequest; 2]],
) -> BTreeMap<usize, Answer> {
    let node = number / 2 % network.validators().len();
    // No divisors of the number of coins: each client has all of them, in another order.
    let stride = [7, 11, 13, 17][number / 2 % 4];
    let mut open: Vec<_> = (0..coins.len()).map(|at| at * stride % coins.len()).collect();
    let mut decided = BTreeMap::new();
    while !open.is_empty() {
        let now: Vec<_> = open.drain(..open.len().min(AT_ONCE)).collect();
        let requests: Vec<_> = now.iter().map(|coin| &coins[*coin][number % 2]).collect();
        let answers = network.submit_all(node, &requests, Duration::from_secs(1));
        for (coin, answer) in now.into_iter().zip(answers) {
            match answer {
                Answer::Queued => open.push(coin),
                answer => drop(decided.insert(coin, answer)),
            }
        }
    }
    decided
}

#[test]
fn two_conflicting_requests_in_one_block() {
    let network = Network::shared();
    // Sent in one post they are mostly in one block; sometimes a block ends between them.
    for _ in 0..50 {
        let requests = two_payments();
        let both = [&requests[0], &requests[1]];
        let answers = network.submit_all(0, &both, Duration::from_secs(20));
        let winner = network.one_of(&requests);
        let (won, lost) = (&requests[winner], &requests[1 - winner]);
        let name = won.data.transaction;
        assert_eq!(answers[winner], Answer::Certified);
        assert_eq!(answers[1 - winner], Answer::Exists(name));
        let certified = network.certified(0, won).expect("certified");
        let height = block_of(network, won, certified.round());
        let [taken, refused] = network.records(0, height);
        let pair =
            |r: &CertificationRequest| (r.state_id.to_string(), r.data.transaction.to_string());
        assert!(taken.contains(&pair(won)) && !taken.contains(&pair(lost)));
        if refused.contains(&pair(lost)) {
            for node in network.validators() {
                assert_eq!(network.records(node, height), [taken.clone(), refused.clone()]);
            }
            return;
        }
    }
    panic!("never both in one block");
}

/// The block that certified a request, which is not after `newest`.
fn block_of(network: &Network, request: &CertificationRequest, newest: u64) -> u64 {
    let state = request.state_id.to_string();
    let has =
        |height: &u64| network.records(0, *height)[0].iter().any(|(known, _)| *known == state);
    (1..=newest).rev().take(200).find(has).expect("a block that added the state")
}

#[test]
fn conflicting_requests_in_two_networks() {
    let (here, there) = (Network::shared(), Network::start("elsewhere", 1));
    let (owner, coin) = (somebody(), coin());
    let [first, second] = [transaction(), transaction()].map(|tx| spend(&owner, coin, tx));
    // Two networks know nothing of each other: each certifies what it saw first.
    assert_eq!(here.settle(0, &first), Answer::Certified);
    assert_eq!(there.settle(0, &second), Answer::Certified);
    // A payee trusts the one that the coin belongs to, and no proof of the other convinces it.
    here.certified(0, &first).expect("certified here");
    let foreign = there.proof(0, second.state_id, Duration::ZERO);
    let engine = tally_notary::rules::TallyEngine::default();
    foreign.verify(&second.data.spend(), there.trust(), &engine).expect("certified there");
    let verdict = foreign.verify(&second.data.spend(), here.trust(), &engine);
    assert!(matches!(verdict, Err(ProofError::InvalidTrustBase(_))), "{verdict:?}");
    assert_eq!(here.one_of(&[first.clone(), second.clone()]), 0);
    // And the two certificates convict the owner.
    let fork = fork_proof(&first, &foreign);
    assert_eq!(fork.check(), Ok(ForkKind::Coin));
}
