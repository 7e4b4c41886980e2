//! What one validator, or a stranger who was met, can cost a settlement: none of it without bound.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use tally_agent::settle::{
    Answer, Ask, Decision, Doubt, Errand, Growth, Input, Learned, Settling, Told, Trouble,
};
use tally_core::fork::{ForkProof, Spending};
use tally_core::id::{CoinId, TxId};
use tally_core::keys::{PublicKey, SecretKey};
use tally_core::predicate::spend_digest;

use crate::endpoints::{AT, Endpoint, all_honest, claims, errand, honest, network, run, timed};

fn throwaway(n: u64) -> ForkProof {
    let mut bytes = [1; 32];
    bytes[..8].copy_from_slice(&(n + 1).to_be_bytes());
    let key = SecretKey::new(bytes).expect("a scalar");
    let coin = CoinId::new([7; 32]);
    let spending = |tx: u8| {
        let tx = TxId::new([tx; 32]);
        Spending { coin, tx, signature: key.sign(&spend_digest(&coin, &tx)) }
    };
    ForkProof { key: key.public(), a: spending(1).into(), b: spending(2).into() }
}

/// Two seconds for what is to be certified.
fn busy(ask: &Ask) -> Duration {
    match ask {
        Ask::Submit(_) => Duration::from_secs(2),
        _ => Duration::from_millis(20),
    }
}

#[test]
fn one_slow_validator_does_not_hold_a_settlement() {
    let mut network = network();
    (0..300).for_each(|_| network.tick(AT));
    let kept = Some(network.certificate(1));
    // It shows how its tree grew round by round, slowly.
    let slow: Endpoint<'_> = Box::new(|network, ask| match ask {
        Ask::Growth { from, .. } => {
            let (before, after) = (Some(network.certificate(*from)), network.certificate(from + 1));
            Some(Answer::Growth(Box::new(Growth { before, after, steps: Vec::new() })))
        }
        other => honest(0)(network, other),
    });
    let mut manners = vec![slow, honest(1), honest(2), honest(3)];
    let errand = Errand { watch: true, kept, histories: vec![vec![claims(1, 1)]], ..errand() };
    let run = timed(&mut network, errand, &mut manners, |at, ask| match (at, ask) {
        (0, Ask::Growth { .. }) => Duration::from_secs(19),
        _ => Duration::from_millis(20),
    });
    assert!(run.machine.decisions().values().all(|d| *d == Decision::Certified));
    let rest = run.took - run.decided.unwrap();
    assert!(rest < Duration::from_secs(11), "{rest:?}");
    let doubt = Doubt { endpoint: 0, trouble: Trouble::Silent };
    assert_eq!(run.machine.doubts(), [doubt], "what was not shown in time is said");
}

#[test]
fn one_validators_pages_of_proofs_do_not_hold_a_settlement() {
    let mut network = network();
    let page: Vec<ForkProof> = (0..1).map(throwaway).collect();
    let slow: Endpoint<'_> = Box::new(move |network, ask| match ask {
        Ask::Forks(since) => Some(Answer::Forks(page.clone(), since + 64)),
        other => honest(0)(network, other),
    });
    let mut manners = vec![slow, honest(1), honest(2), honest(3)];
    let errand =
        Errand { forks: Some(Vec::new()), histories: vec![vec![claims(1, 1)]], ..errand() };
    let run = timed(&mut network, errand, &mut manners, |at, ask| match (at, ask) {
        (0, Ask::Forks(_)) => Duration::from_millis(4900),
        _ => Duration::from_millis(20),
    });
    let rest = run.took - run.decided.unwrap();
    assert!(rest < Duration::from_secs(11), "{rest:?}");
}

#[test]
fn a_look_alone_ends_too() {
    let mut network = network();
    let endless: Endpoint<'_> = Box::new(|network, ask| match ask {
        Ask::Forks(since) => Some(Answer::Forks(vec![throwaway(0)], since + 1)),
        other => honest(0)(network, other),
    });
    let mut manners = vec![endless, honest(1), honest(2), honest(3)];
    let errand = Errand { forks: Some(Vec::new()), watch: true, ..errand() };
    let run = timed(&mut network, errand, &mut manners, |at, _| match at {
        0 => Duration::from_millis(4900),
        _ => Duration::from_millis(20),
    });
    assert!(run.took <= Duration::from_secs(60), "{:?}", run.took);
}

#[test]
fn proofs_that_a_stranger_planted_make_no_settlement_long() {
    let one = throwaway(0);
    let key = |n: u64| {
        let mut bytes = [1; 32];
        bytes[..8].copy_from_slice(&(n + 1).to_be_bytes());
        SecretKey::new(bytes).unwrap().public()
    };
    let known: Vec<ForkProof> =
        (0..4096).map(|n| ForkProof { key: key(n), ..one.clone() }).collect();
    // Only their keys differ, for 4,096 proofs take long to make: the validators do not look.
    let takes_all = |validator| -> Endpoint<'static> {
        Box::new(move |network, ask| match ask {
            Ask::Publish(_) => Some(Answer::Published),
            other => honest(validator)(network, other),
        })
    };
    let mut told: BTreeSet<PublicKey> = BTreeSet::new();
    for settlement in 1..=3 {
        let mut network = network();
        let endpoints = vec![Told { since: 0, keys: told.clone() }; 4];
        let histories = vec![vec![claims(1, 1)]];
        let forks = Some(known.clone());
        let errand = Errand { forks, endpoints, histories, ..errand() };
        let run = run(&mut network, errand, &mut [0, 1, 2, 3].map(takes_all));
        told.extend(run.learned.iter().filter_map(|learned| match learned {
            Learned::Told { endpoint: 0, key } => Some(key.clone()),
            _ => None,
        }));
        assert_eq!(told.len(), settlement * 64, "others each time");
        assert!(run.took < Duration::from_secs(3), "{:?}", run.took);
    }
}

#[test]
fn the_proof_of_a_race_that_was_lost_goes_before_what_was_planted() {
    let planted = (1..=100).map(throwaway).collect();
    let endpoints = vec![Told::default(); 1];
    let mut network = network();
    let mut machine = Settling::new(Errand { forks: Some(planted), endpoints, ..errand() });
    let mut output = machine.handle(Duration::ZERO, Input::Woke);
    // Two questions: who it is, and what it publishes; the third tells it the first proof.
    for step in 1..=2 {
        let [order] = &output.asks[..] else { panic!("{output:?}") };
        let answer = network.shown(0, network.latest(), &order.ask);
        if step == 2 {
            machine.handle(Duration::ZERO, Input::Forks(vec![throwaway(0)]));
        }
        output = machine.handle(Duration::ZERO, Input::Answered(order.id, answer));
    }
    let [order] = &output.asks[..] else { panic!("{output:?}") };
    let Ask::Publish(first) = &order.ask else { panic!("{:?}", order.ask) };
    assert_eq!(first.key, throwaway(0).key);
    network.tick(AT);
}

#[test]
fn a_wallet_with_many_payments_settles_them_all() {
    let mut network = network();
    let histories: Vec<_> = (1..=250_u8).map(|n| vec![claims(n, n)]).collect();
    let errand = Errand { histories, ..errand() };
    let run = timed(&mut network, errand, &mut all_honest(), |_, ask| busy(ask));
    let decisions = run.machine.decisions();
    let failed = decisions.values().filter(|d| **d != Decision::Certified).count();
    assert_eq!((failed, run.certified().len()), (0, 250), "after {:?}", run.took);
}

#[test]
fn what_is_urgent_is_asked_for_before_what_is_not() {
    let mut network = network();
    let first = RefCell::new(Vec::new());
    let watched = |validator: usize| -> Endpoint<'_> {
        let first = &first;
        Box::new(move |network, ask| {
            if let Ask::Submit(all) = ask {
                let tx = |requests: &Vec<_>| {
                    let request: &tally_core::notary::CertificationRequest = &requests[0];
                    TxId::new(*request.data.transaction.as_bytes())
                };
                first.borrow_mut().extend(all.iter().map(tx));
            }
            honest(validator)(network, ask)
        })
    };
    // The history that is most urgent comes first, whatever its name is.
    let histories = (1..=200_u8).rev().map(|n| vec![claims(n, n)]).collect();
    let errand = Errand { histories, ..errand() };
    let mut manners: Vec<Endpoint<'_>> = (0..4).map(watched).collect();
    let run = timed(&mut network, errand, &mut manners, |_, ask| busy(ask));
    assert_eq!(first.borrow().first(), Some(&TxId::new([200; 32])));
    let asked: BTreeSet<TxId> = first.borrow().iter().copied().collect();
    let decisions = run.machine.decisions();
    assert!(decisions.keys().all(|tx| asked.contains(tx)), "nothing is given up unasked");
    assert!(decisions.values().all(|decision| *decision == Decision::Certified));
}
