//! Whom a question goes to: so many that one of them is honest, and all if those take too long
//! (`SETTLE-17`).

use std::time::Duration;

use tally_agent::settle::{Answer, Ask, Decision, Errand, Standing, Told, Trouble};
use tally_core::id::NetworkId;
use tally_core::keys::SecretKey;
use tally_core::notary::{Presence, RootNode, TrustBase};
use tally_testkit::{Manner, node_key, node_name, partition};

use crate::endpoints::{
    AT, Endpoint, Run, claim, claims, errand, honest, network, of, refused, timed,
};

/// Time to hold a question, as a validator does that has not decided it.
fn held(ask: &Ask) -> Duration {
    match ask {
        Ask::Submit(_) => Duration::from_secs(5),
        _ => Duration::from_millis(20),
    }
}

/// Settles a history of three, which is to be certified.
fn settles(errand: Errand, manners: &mut [Endpoint<'_>]) -> Run {
    let mut network = network();
    let histories = vec![(1..=3).map(|n| claims(n, n)).collect()];
    let run = timed(&mut network, Errand { histories, ..errand }, manners, |_, ask| held(ask));
    let decisions = run.machine.decisions();
    assert!(decisions.values().all(|d| *d == Decision::Certified), "{decisions:?}");
    assert_eq!(run.certified().len(), 3);
    run
}

#[test]
fn two_addresses_of_one_validator_do_not_keep_an_honest_one_from_being_asked() {
    let run = settles(
        errand(),
        &mut [of(0, Manner::Queues), of(0, Manner::Queues), honest(1), honest(2)],
    );
    assert!(run.took < Duration::from_secs(20), "nothing waits for it: {:?}", run.took);
}

#[test]
fn addresses_of_no_validator_do_not_keep_an_honest_one_from_being_asked() {
    // They pass on a certificate that holds, under a key that is nobody's.
    let nobody = || -> Endpoint<'static> {
        Box::new(|network, ask| match ask {
            Ask::Presence(nonce) => {
                let certificate = network.certificate(network.latest());
                let presence = Presence::sign(
                    node_name(0),
                    &SecretKey::new([0x66; 32]).unwrap(),
                    nonce,
                    certificate,
                );
                Some(Answer::Presence(Box::new(presence)))
            }
            other => of(0, Manner::Queues)(network, other),
        })
    };
    let run = settles(errand(), &mut [nobody(), nobody(), honest(1), honest(2)]);
    assert!(run.took < Duration::from_secs(20), "nothing waits for them: {:?}", run.took);
}

#[test]
fn liars_of_little_stake_do_not_keep_an_honest_one_from_being_asked() {
    let stake = |n| if n == 2 { 5 } else { 1 };
    let node = |n| RootNode { id: node_name(n), key: node_key(n).public(), stake: stake(n) };
    let nodes = (0..4).map(node).collect();
    // 0 and 1 have 2 of 8, less than a third.
    let trust = TrustBase::new(NetworkId::LOCAL, 1, partition(), nodes, 6).unwrap();
    let errand = Errand { trust, ..errand() };
    let run =
        settles(errand, &mut [of(0, Manner::Queues), of(1, Manner::Queues), honest(2), honest(3)]);
    assert!(run.took < Duration::from_secs(20), "nothing waits for them: {:?}", run.took);
}

#[test]
fn who_passes_the_nonce_on_delays_a_settlement_once() {
    // Four addresses of a stranger, who has validators 2 and 3 answer the nonce.
    let mut manners = [
        of(2, Manner::Queues),
        of(3, Manner::Queues),
        of(2, Manner::Queues),
        of(3, Manner::Queues),
        honest(2),
        honest(3),
    ];
    let errand = Errand { endpoints: vec![Told::default(); 6], ..errand() };
    let run = settles(errand, &mut manners);
    // All are asked after 15 seconds, and others first from then on; each of the three takes 5.
    let took = run.took.as_secs();
    assert!((30..35).contains(&took), "{:?}", run.took);
}

#[test]
fn who_answers_at_once_uses_up_nobodys_questions() {
    let mut network = network();
    // The honest ones certify it after a while.
    let slow = |validator: usize| -> Endpoint<'static> {
        let mut times = 0;
        Box::new(move |network, ask| {
            times += u8::from(matches!(ask, Ask::Submit(_)));
            if times < 4 {
                of(validator, Manner::Queues)(network, ask)
            } else {
                honest(validator)(network, ask)
            }
        })
    };
    let mut manners =
        vec![of(0, Manner::Queues), slow(1), of(2, Manner::Silent), of(3, Manner::Silent)];
    let histories = vec![vec![claims(1, 1)]];
    let errand = Errand { histories, ..errand() };
    let run = timed(&mut network, errand, &mut manners, |at, ask| match at {
        0 => Duration::from_millis(1),
        _ => held(ask),
    });
    assert!(run.machine.decisions().values().all(|d| *d == Decision::Certified));
    assert!(run.asked[0] < 150, "{:?}", run.asked);
}

#[test]
fn what_a_standing_network_was_not_asked_for_is_said_to_be_so() {
    let mut network = network();
    let histories: Vec<_> = (1..=40).map(|n| vec![claims(n, n)]).collect();
    let endpoints = vec![Told::default(); 1];
    let errand = Errand { endpoints, histories, ..errand() };
    let run = timed(&mut network, errand, &mut [of(0, Manner::Queues)], |_, ask| held(ask));
    let decisions = run.machine.decisions();
    let of = |trouble: Trouble| {
        decisions.values().filter(move |decision| match decision {
            Decision::Failed(_, why) => *why == trouble,
            _ => false,
        })
    };
    assert_eq!((of(Trouble::Late).count(), of(Trouble::Unasked).count()), (16, 24));
    assert!(run.took <= Duration::from_secs(61), "nothing moves for a minute: {:?}", run.took);
}

#[test]
fn who_passes_the_nonce_on_delays_what_is_known_of_a_state() {
    let mut network = network();
    network.tick(AT);
    // Always another time, for as many states as many questions have.
    let stranger = |validator: usize| -> Endpoint<'static> {
        Box::new(move |network, ask| match ask {
            Ask::Exclusions(_) => Some(refused(true)),
            other => honest(validator)(network, other),
        })
    };
    let states: Vec<_> = (1..=200).map(|n| claim(n, n).state_id()).collect();
    let errand = Errand { states, ..errand() };
    let mut manners = [stranger(2), stranger(3), honest(2), honest(3)];
    let run = timed(&mut network, errand, &mut manners, |at, _| match at {
        0 | 1 => Duration::from_millis(4900),
        _ => Duration::from_millis(20),
    });
    let mut standings = run.machine.standings().into_values();
    assert!(standings.all(|standing| standing == Standing::Unspent(2)));
    assert!(run.took < Duration::from_secs(30), "{:?}", run.took);
}
