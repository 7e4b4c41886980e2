//! Whom a question goes to: so many that one of them is honest, and all if those take too long
//! (`SETTLE-17`).

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use tally_core::id::NetworkId;
use tally_core::notary::{Presence, RootNode, TrustBase};

use super::world::{
    Manner, Network, Run, claim, claims, errand, honest, name, partition, queues, refused, secret,
    silent, timed,
};
use crate::settle::{Answer, Ask, Decision, Errand, Standing, Told, Trouble};

/// Time to hold a question, as a validator does that has not decided it.
fn held(ask: &Ask) -> Duration {
    match ask {
        Ask::Submit(_) => Duration::from_secs(5),
        _ => Duration::from_millis(20),
    }
}

/// Settles a history of three, which is to be certified.
fn settles(errand: Errand, manners: &mut [Manner<'_>]) -> Run {
    let mut network = Network::new();
    let histories = vec![(1..=3).map(|n| claims(n, n)).collect()];
    let run = timed(&mut network, Errand { histories, ..errand }, manners, |_, ask| held(ask));
    let decisions = run.machine.decisions();
    assert!(decisions.values().all(|d| *d == Decision::Certified), "{decisions:?}");
    assert_eq!(run.certified().len(), 3);
    run
}

#[test]
fn two_addresses_of_one_validator_do_not_keep_an_honest_one_from_being_asked() {
    let run = settles(errand(), &mut [queues(1), queues(1), honest(2), honest(3)]);
    assert!(run.took < Duration::from_secs(20), "nothing waits for it: {:?}", run.took);
}

#[test]
fn addresses_of_no_validator_do_not_keep_an_honest_one_from_being_asked() {
    // They pass on a certificate that holds, under a key that is nobody's.
    let nobody = || -> Manner<'static> {
        Box::new(|network, ask| match ask {
            Ask::Presence(nonce) => {
                let certificate = network.rounds[network.latest() - 1].certificate.clone();
                let presence = Presence::sign(name(1), &secret(0x66), nonce, certificate);
                Some(Answer::Presence(Box::new(presence)))
            }
            other => queues(1)(network, other),
        })
    };
    let run = settles(errand(), &mut [nobody(), nobody(), honest(2), honest(3)]);
    assert!(run.took < Duration::from_secs(20), "nothing waits for them: {:?}", run.took);
}

#[test]
fn liars_of_little_stake_do_not_keep_an_honest_one_from_being_asked() {
    let stake = |n| if n == 3 { 5 } else { 1 };
    let node = |n| RootNode { id: name(n), key: secret(n).public(), stake: stake(n) };
    let nodes = (1..=4).map(node).collect();
    // 1 and 2 have 2 of 8, less than a third.
    let trust = TrustBase::new(NetworkId::LOCAL, 1, partition(), nodes, 6).unwrap();
    let errand = Errand { trust, ..errand() };
    let run = settles(errand, &mut [queues(1), queues(2), honest(3), honest(4)]);
    assert!(run.took < Duration::from_secs(20), "nothing waits for them: {:?}", run.took);
}

#[test]
fn who_passes_the_nonce_on_delays_a_settlement_once() {
    // Four addresses of a stranger, who has validators 3 and 4 answer the nonce.
    let mut manners = [queues(3), queues(4), queues(3), queues(4), honest(3), honest(4)];
    let errand = Errand { endpoints: vec![Told::default(); 6], ..errand() };
    let run = settles(errand, &mut manners);
    // All are asked after 15 seconds, and others first from then on; each of the three takes 5.
    let took = run.took.as_secs();
    assert!((30..35).contains(&took), "{:?}", run.took);
}

#[test]
fn who_answers_at_once_uses_up_nobodys_questions() {
    let mut network = Network::new();
    // The honest ones certify it after a while.
    let slow = |validator: u8| -> Manner<'static> {
        let mut times = 0;
        Box::new(move |network, ask| {
            times += u8::from(matches!(ask, Ask::Submit(_)));
            if times < 4 {
                queues(validator)(network, ask)
            } else {
                honest(validator)(network, ask)
            }
        })
    };
    let mut manners = vec![queues(1), slow(2), silent(), silent()];
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
    let mut network = Network::new();
    let histories: Vec<_> = (1..=40).map(|n| vec![claims(n, n)]).collect();
    let endpoints = vec![Told::default(); 1];
    let errand = Errand { endpoints, histories, ..errand() };
    let run = timed(&mut network, errand, &mut [queues(1)], |_, ask| held(ask));
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
    let mut network = Network::new();
    network.round();
    // Always another time, for as many states as many questions have.
    let stranger = |validator: u8| -> Manner<'static> {
        Box::new(move |network, ask| match ask {
            Ask::Exclusions(_) => Some(refused(true)),
            other => honest(validator)(network, other),
        })
    };
    let states: Vec<_> = (1..=200).map(|n| claim(n, n).state_id()).collect();
    let errand = Errand { states, ..errand() };
    let mut manners = [stranger(3), stranger(4), honest(3), honest(4)];
    let run = timed(&mut network, errand, &mut manners, |at, _| match at {
        0 | 1 => Duration::from_millis(4900),
        _ => Duration::from_millis(20),
    });
    let mut standings = run.machine.standings().into_values();
    assert!(standings.all(|standing| standing == Standing::Unspent(2)));
    assert!(run.took < Duration::from_secs(30), "{:?}", run.took);
}
