//! One of four lies, is old, is silent or is not there: everything ends all the same (`SETTLE-16`).

use std::time::Duration;

use tally_agent::settle::{Ask, Decision, Errand, Standing, Trouble};
use tally_testkit::Manner;

use crate::endpoints::{
    Endpoint, all_honest, claim, claims, errand, honest, network, of, refused, run, spend,
};

/// Each way of failing, by the validator at this place.
fn failures(at: usize) -> [(&'static str, Endpoint<'static>); 5] {
    [
        ("replays round 1", of(at, Manner::Stale(1))),
        ("is silent", of(at, Manner::Silent)),
        ("is cut off", of(at, Manner::CutOff)),
        ("answers garbage", of(at, Manner::Garbage)),
        ("says certified", of(at, Manner::Boasts)),
    ]
}

fn with_one(at: usize, failing: Endpoint<'static>) -> Vec<Endpoint<'static>> {
    let mut endpoints = all_honest();
    endpoints[at] = failing;
    endpoints
}

#[test]
fn settling_ends_with_proofs_whoever_of_four_fails() {
    for at in 0..4 {
        for (how, failing) in failures(at) {
            let mut network = network();
            spend(&mut network, &claim(9, 9));
            let histories = vec![vec![claims(1, 1), claims(2, 2)], vec![claims(3, 3)]];
            let errand = Errand { watch: true, forks: Some(vec![]), histories, ..errand() };
            let run = run(&mut network, errand, &mut with_one(at, failing));
            let decisions = run.machine.decisions();
            assert!(decisions.values().all(|d| *d == Decision::Certified), "{at} {how}");
            assert_eq!(run.certified().len(), 3, "{at} {how}");
            assert!(run.took < Duration::from_secs(30), "{at} {how}: {:?}", run.took);
        }
    }
}

#[test]
fn what_is_spent_and_what_is_not_is_known_whoever_of_four_fails() {
    for at in 0..4 {
        for (how, failing) in failures(at) {
            let mut network = network();
            spend(&mut network, &claim(1, 1));
            let states = vec![claim(1, 1).state_id(), claim(2, 2).state_id()];
            let errand = Errand { states, ..errand() };
            let run = run(&mut network, errand, &mut with_one(at, failing));
            let standings = run.machine.standings();
            let of = |coin| &standings[&claim(coin, coin).state_id()];
            assert!(matches!(of(1), Standing::Spent(_)), "{at} {how}: {:?}", of(1));
            assert!(matches!(of(2), Standing::Unspent(2)), "{at} {how}: {:?}", of(2));
        }
    }
}

#[test]
fn who_says_certified_without_proof_is_asked_last_and_shown() {
    let mut network = network();
    let histories = vec![vec![claims(1, 1)], vec![claims(2, 2)]];
    let mut manners = with_one(0, of(0, Manner::Boasts));
    // Nobody else certifies before the liar was asked for its proof.
    for (validator, manner) in manners.iter_mut().enumerate().skip(1) {
        let mut waited = false;
        *manner = Box::new(move |network, ask| {
            let is_first = matches!(ask, Ask::Submit(_)) && !std::mem::replace(&mut waited, true);
            if is_first { Some(refused(true)) } else { honest(validator)(network, ask) }
        });
    }
    let run = run(&mut network, Errand { histories, ..errand() }, &mut manners);
    assert!(run.machine.decisions().values().all(|d| *d == Decision::Certified));
    let [doubt] = run.machine.doubts() else { panic!("{:?}", run.machine.doubts()) };
    assert_eq!((doubt.endpoint, &doubt.trouble), (0, &Trouble::Unshown));
}

#[test]
fn who_lied_is_asked_after_others() {
    let mut network = network();
    let histories = vec![(1..=4).map(|n| claims(n, n)).collect()];
    let mut manners = with_one(0, of(0, Manner::Boasts));
    // The second is asked together with the liar, and certifies the first one later.
    let mut waited = false;
    manners[1] = Box::new(move |network, ask| {
        let is_first = matches!(ask, Ask::Submit(_)) && !std::mem::replace(&mut waited, true);
        if is_first { Some(refused(true)) } else { honest(1)(network, ask) }
    });
    let run = run(&mut network, Errand { histories, ..errand() }, &mut manners);
    assert!(run.machine.decisions().values().all(|d| *d == Decision::Certified));
    assert_eq!(run.asked[0], 3, "who it is, the first transaction, and its proof");
}

#[test]
fn who_is_cut_off_costs_its_own_deadline_once_and_delays_no_proof() {
    let mut network = network();
    let histories = vec![vec![claims(1, 1)], vec![claims(2, 2)]];
    let errand = Errand { watch: true, forks: Some(vec![]), histories, ..errand() };
    let mut manners = with_one(0, of(0, Manner::Silent));
    let run = run(&mut network, errand, &mut manners);
    assert_eq!(run.asked[0], 1, "it is asked who it is, and nothing else");
    assert_eq!(run.certified().len(), 2);
    assert!(run.took <= Duration::from_secs(8), "{:?}", run.took);
}

#[test]
fn when_nobody_is_there_it_ends_and_says_so() {
    let mut network = network();
    let mut manners: Vec<Endpoint<'_>> = (0..4).map(|at| of(at, Manner::Silent)).collect();
    let (histories, states) = (vec![vec![claims(1, 1)]], vec![claim(2, 2).state_id()]);
    let run = run(&mut network, Errand { histories, states, ..errand() }, &mut manners);
    let decision = &run.machine.decisions()[&claim(1, 1).tx];
    assert!(matches!(decision, Decision::Failed(..)), "{decision:?}");
    assert_eq!(run.asked, [2; 4], "who was absent twice is asked no more");
    let standing = &run.machine.standings()[&claim(2, 2).state_id()];
    assert!(matches!(standing, Standing::Unknown(..)), "{standing:?}");
}
