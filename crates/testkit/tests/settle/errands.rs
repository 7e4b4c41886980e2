//! What an honest network is asked, and what comes of it.

use std::time::Duration;

use tally_agent::settle::{
    Answer, Ask, Decision, Errand, Input, Learned, Progress, Said, Settling, SplitView, Trouble,
};
use tally_core::id::Digest;

use crate::endpoints::{
    AT, Endpoint, all_honest, certificate, claim, claims, errand, honest, network, refused, run,
    spend, trust,
};

#[test]
fn histories_are_certified_in_their_order_and_under_one_certificate() {
    let mut network = network();
    let histories = vec![vec![claims(1, 1), claims(2, 2)], vec![claims(1, 1), claims(3, 3)]];
    let run = run(&mut network, Errand { histories, ..errand() }, &mut all_honest());
    let certified = |(_, decision)| decision == Decision::Certified;
    assert!(run.machine.decisions().into_iter().all(certified));
    let settlements: Vec<_> =
        run.learned.iter().filter(|l| matches!(l, Learned::Certified(_))).collect();
    assert_eq!((settlements.len(), run.certified().len()), (1, 3), "each once, all together");
    let mut rounds =
        (1..=network.latest()).map(|at| network.inclusion(at, &claim(2, 2).state_id()));
    let first = rounds.position(|proof| proof.leaf.is_some());
    let mut rounds =
        (1..=network.latest()).map(|at| network.inclusion(at, &claim(1, 1).state_id()));
    assert!(rounds.position(|proof| proof.leaf.is_some()) < first, "what is behind comes first");
}

#[test]
fn one_that_is_lost_keeps_what_is_behind_it_from_being_asked_and_nothing_else() {
    let mut network = network();
    spend(&mut network, &claim(1, 9));
    let histories = vec![vec![claims(1, 1), claims(2, 2)], vec![claims(3, 3)]];
    let run = run(&mut network, Errand { histories, ..errand() }, &mut all_honest());
    let decisions = run.machine.decisions();
    assert_eq!(decisions.get(&claim(1, 1).tx), Some(&Decision::Lost(claim(1, 1).source)));
    assert_eq!(decisions.get(&claim(2, 2).tx), None);
    assert_eq!(decisions.get(&claim(3, 3).tx), Some(&Decision::Certified));
    let lost = |l: &&Learned| matches!(l, Learned::Lost { .. });
    assert_eq!(run.learned.iter().filter(lost).count(), 1);
    assert!(network.inclusion(network.latest(), &claim(2, 2).state_id()).leaf.is_none());
}

#[test]
fn what_is_queued_is_asked_for_again_and_what_is_busy_later() {
    let mut network = network();
    let mut times = 0;
    let slow: Endpoint<'_> = Box::new(|network, ask| {
        let Ask::Submit(all) = ask else { return honest(0)(network, ask) };
        times += 1;
        match times {
            1 => Some(Answer::Submitted(all.iter().map(|_| Ok(Said::Queued)).collect())),
            2 => Some(refused(true)),
            _ => honest(0)(network, ask),
        }
    });
    let endpoints = vec![Default::default()];
    let histories = vec![vec![claims(1, 1)]];
    let run = run(&mut network, Errand { endpoints, histories, ..errand() }, &mut [slow]);
    assert_eq!(run.machine.decisions()[&claim(1, 1).tx], Decision::Certified);
    assert_eq!(times, 3);
}

#[test]
fn what_a_standing_network_only_queues_is_left_for_the_next_time() {
    let mut network = network();
    let queue: Endpoint<'_> = Box::new(|network, ask| match ask {
        Ask::Submit(all) => Some(Answer::Submitted(all.iter().map(|_| Ok(Said::Queued)).collect())),
        other => honest(0)(network, other),
    });
    let (endpoints, histories) = (vec![Default::default()], vec![vec![claims(1, 1)]]);
    let run = run(&mut network, Errand { endpoints, histories, ..errand() }, &mut [queue]);
    assert_eq!(run.machine.decisions()[&claim(1, 1).tx], Decision::Failed(Some(0), Trouble::Late));
}

#[test]
fn progress_goes_from_nothing_to_all() {
    let mut network = network();
    let histories = vec![vec![claims(1, 1)]];
    let mut machine = Settling::new(Errand { histories: histories.clone(), ..errand() });
    let output = machine.handle(Duration::ZERO, Input::Woke);
    assert_eq!(output.progress, Progress { decided: 0, total: 1 });
    assert_eq!(output.asks.len(), 4, "everybody is asked who it is");
    let run = run(&mut network, Errand { histories, ..errand() }, &mut all_honest());
    assert_eq!(run.machine.decisions().len(), 1);
}

#[test]
fn two_signed_roots_of_one_round_are_kept_and_what_was_kept_stays() {
    let mut network = network();
    network.tick(AT);
    let kept = certificate(1, Digest::new([1; 32]));
    let errand = Errand { watch: true, kept: Some(kept.clone()), ..errand() };
    let run = run(&mut network, errand, &mut all_honest());
    let [split] = run.machine.splits() else { panic!("{:?}", run.machine.splits()) };
    let SplitView { a, .. } = split;
    assert!(split.holds(&trust()) && *a == kept);
    assert_eq!(run.machine.newest(), None, "what contradicts does not replace it");
}

#[test]
fn the_newest_certificate_is_kept_and_growth_is_followed_to_it() {
    let mut network = network();
    let kept = network.certificate(1);
    spend(&mut network, &claim(1, 1));
    spend(&mut network, &claim(2, 2));
    let grew = Errand { watch: true, kept: Some(kept), ..errand() };
    let run = run(&mut network, grew, &mut all_honest());
    assert!((0..4).all(|at| run.machine.sight(at).is_ok()), "{:?}", run.machine.sight(0));
    let newest = run.machine.newest().map(|newest| newest.record.round);
    assert_eq!(newest, Some(network.latest()));
    assert_eq!(AT, network.certificate(network.latest()).record.timestamp);
}

#[test]
fn a_tree_that_lost_a_leaf_is_not_believed() {
    let mut network = network();
    spend(&mut network, &claim(1, 1));
    let kept = network.certificate(2);
    spend(&mut network, &claim(2, 2));
    let lost: Endpoint<'_> = Box::new(|network, ask| {
        let answer = honest(0)(network, ask)?;
        let Answer::Growth(mut growth) = answer else { return Some(answer) };
        growth.steps.clear();
        Some(Answer::Growth(growth))
    });
    let mut manners = all_honest();
    manners[0] = lost;
    let run = run(&mut network, Errand { watch: true, kept: Some(kept), ..errand() }, &mut manners);
    assert_eq!(run.machine.sight(0), Err(Trouble::Shrunk(2)));
    assert!((1..4).all(|at| run.machine.sight(at).is_ok()));
}
