//! Whatever up to a third answers, or does not: nothing false is learnt, and it ends.

use proptest::prelude::*;
use tally_agent::settle::{
    Answer, Ask, Decision, Errand, Exclusion, Learned, Said, Standing, Trouble,
};
use tally_core::keys::SecretKey;
use tally_core::notary::{Presence, StateId};
use tally_testkit::{Manner, Network, node_name};

use crate::endpoints::{
    AT, Endpoint, all_honest, claim, claims, errand, network, of, refused, run, spend,
};

/// Answers a question in one of many wrong ways, by the digits of `script` in turn.
fn liar(validator: usize, script: Vec<u8>) -> Endpoint<'static> {
    let mut turn = 0;
    Box::new(move |network: &mut Network, ask: &Ask| {
        let how = script[turn % script.len()];
        turn += 1;
        let old = 1 + u64::from(how / 16) % network.latest();
        match how % 10 {
            0 => None,
            1 => of(validator, Manner::CutOff)(network, ask),
            2 => Some(refused(how >= 128)),
            3 => Some(Answer::Published),
            4 => Some(network.shown(validator, old, ask)),
            5 => Some(made_up(network, old, ask)),
            6 => Some(of_others(network, old, validator, ask)),
            7 => Some(Answer::Nothing(Trouble::Answer("thing"))),
            8 => Some(short(network.shown(validator, old, ask))),
            _ => of(validator, Manner::Honest)(network, ask),
        }
    })
}

/// What is false, where an answer can be made up.
fn made_up(network: &Network, old: u64, ask: &Ask) -> Answer {
    let elsewhere = claim(77, 7).state_id();
    match ask {
        Ask::Submit(all) => Answer::Submitted(
            all.iter()
                .enumerate()
                .map(|(i, requests)| match i % 2 {
                    0 => Ok(Said::Certified),
                    _ => Ok(Said::Spent {
                        state: requests[0].state_id,
                        winner: claim(77, 7).request().data.transaction,
                    }),
                })
                .collect(),
        ),
        Ask::Exclusions(states) => Answer::Exclusions(
            states.iter().map(|_| Ok(network.exclusion(old, &elsewhere))).collect(),
        ),
        Ask::Inclusions(states) => Answer::Inclusions(
            states.iter().map(|_| Ok(network.inclusion(old, &elsewhere))).collect(),
        ),
        Ask::Presence(nonce) => {
            // The name of an honest validator, under a key of its own.
            let key = SecretKey::new([0x66; 32]).expect("a scalar");
            let certificate = network.certificate(old);
            Answer::Presence(Box::new(Presence::sign(node_name(1), &key, nonce, certificate)))
        }
        other => network.shown(0, old, other),
    }
}

/// Parts of true answers, in places where they do not belong.
fn of_others(network: &Network, old: u64, validator: usize, ask: &Ask) -> Answer {
    let newest = network.certificate(network.latest());
    match network.shown(validator, old, ask) {
        Answer::Inclusions(all) => {
            let swap = all.into_iter().rev().map(|proof| {
                proof.map(|mut proof| {
                    proof.certificate = newest.clone();
                    proof
                })
            });
            Answer::Inclusions(swap.collect())
        }
        Answer::Exclusions(all) => {
            let swap = all.into_iter().map(|shown| match shown {
                Ok(Exclusion::Unspent { path, .. }) => {
                    Ok(Exclusion::Unspent { path, certificate: Box::new(newest.clone()) })
                }
                other => other,
            });
            Answer::Exclusions(swap.collect())
        }
        other => other,
    }
}

/// A list without its last item.
fn short(answer: Answer) -> Answer {
    match answer {
        Answer::Submitted(mut all) => {
            all.pop();
            Answer::Submitted(all)
        }
        Answer::Inclusions(mut all) => {
            all.pop();
            Answer::Inclusions(all)
        }
        Answer::Exclusions(mut all) => {
            all.pop();
            Answer::Exclusions(all)
        }
        other => other,
    }
}

fn state(coin: u8) -> StateId {
    claim(coin, coin).state_id()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 96 } else { 512 }))]
    #[test]
    fn nothing_false_is_learnt_of_one_liar_among_four_and_it_ends(
        at in 0usize..4,
        script in prop::collection::vec(any::<u8>(), 1..24),
        idle in 0usize..4,
    ) {
        let mut network = network();
        spend(&mut network, &claim(1, 1));
        spend(&mut network, &claim(2, 9));
        (0..idle).for_each(|_| network.tick(AT));
        let mut manners = all_honest();
        manners[at] = liar(at, script);
        // Coin 1 is spent as it is claimed, coin 2 by another, 3 and 4 not at all.
        let histories = vec![vec![claims(1, 1), claims(3, 3)], vec![claims(2, 2)]];
        let states = vec![state(1), state(2), state(4)];
        let kept = Some(network.certificate(1));
        let errand =
            Errand { watch: true, kept, forks: Some(vec![]), histories, states, ..errand() };
        let run = run(&mut network, errand, &mut manners);
        let decisions = run.machine.decisions();
        prop_assert_eq!(&decisions[&claim(1, 1).tx], &Decision::Certified);
        prop_assert_eq!(&decisions[&claim(3, 3).tx], &Decision::Certified);
        prop_assert_eq!(&decisions[&claim(2, 2).tx], &Decision::Lost(claim(2, 2).source));
        let lost = run.learned.iter().filter(|l| matches!(l, Learned::Lost { .. })).count();
        prop_assert_eq!(lost, 1, "only what is lost");
        let standings = run.machine.standings();
        prop_assert!(matches!(standings[&state(1)], Standing::Spent(_)));
        prop_assert!(matches!(standings[&state(2)], Standing::Spent(_)));
        prop_assert!(matches!(standings[&state(4)], Standing::Unspent(_)));
        prop_assert!(run.machine.splits().is_empty());
    }
}
