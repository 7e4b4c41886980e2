//! When a state counts as unspent: the present, by so many that one of them is honest (`SETTLE-15`).

use tally_agent::settle::{Answer, Ask, Errand, MAX_AWAY, Standing, Told, Trouble};
use tally_core::time::Time;
use tally_testkit::{Manner, Network, node_name};

use crate::endpoints::{AT, Endpoint, claim, errand, honest, network, of, run, spend};

fn standing(network: &mut Network, errand: Errand, manners: &mut [Endpoint<'_>]) -> Standing {
    let state = claim(1, 1).state_id();
    let run = run(network, Errand { states: vec![state], ..errand }, manners);
    run.machine.standings()[&state].clone()
}

fn cut() -> Endpoint<'static> {
    of(0, Manner::CutOff)
}

#[test]
fn two_of_four_that_answer_are_enough_and_one_is_not() {
    let mut network = network();
    network.tick(AT);
    let mut two = [cut(), honest(1), cut(), honest(3)];
    assert_eq!(standing(&mut network, errand(), &mut two), Standing::Unspent(2));
    let mut one = [cut(), honest(1), cut(), cut()];
    let alone = standing(&mut network, errand(), &mut one);
    assert!(matches!(alone, Standing::Unknown(_, Trouble::TooFew)), "{alone:?}");
}

#[test]
fn two_addresses_of_one_validator_count_once() {
    let mut network = network();
    network.tick(AT);
    let endpoints = vec![Told::default(); 2];
    let one = Errand { endpoints: endpoints.clone(), ..errand() };
    let alone = standing(&mut network, one, &mut [honest(1), honest(1)]);
    assert!(matches!(alone, Standing::Unknown(_, Trouble::TooFew)), "{alone:?}");
    let two = Errand { endpoints, ..errand() };
    assert_eq!(standing(&mut network, two, &mut [honest(1), honest(2)]), Standing::Unspent(2));
}

#[test]
fn who_does_not_answer_the_nonce_under_its_key_does_not_count() {
    let mut network = network();
    network.tick(AT);
    // It shows the latest certificate, and signs as somebody that it is not; then an old signature.
    let signed_by_another: Endpoint<'_> = Box::new(|network, ask| {
        let answer = honest(2)(network, ask)?;
        let Answer::Presence(mut presence) = answer else { return Some(answer) };
        presence.node = node_name(0);
        Some(Answer::Presence(presence))
    });
    let of_another_nonce: Endpoint<'_> = Box::new(|network, ask| match ask {
        Ask::Presence(_) => {
            honest(0)(network, &Ask::Presence(tally_core::id::Digest::new([1; 32])))
        }
        other => honest(0)(network, other),
    });
    for manner in [signed_by_another, of_another_nonce] {
        let endpoints = vec![Told::default(); 2];
        let mut manners = [manner, honest(1)];
        let alone = standing(&mut network, Errand { endpoints, ..errand() }, &mut manners);
        assert!(matches!(alone, Standing::Unknown(_, Trouble::TooFew)), "{alone:?}");
    }
}

#[test]
fn an_older_certificate_than_any_validator_shows_is_no_answer() {
    let mut network = network();
    spend(&mut network, &claim(1, 1));
    // Only the one that replays is asked for the state's proof in the end: it is not believed.
    let only_present: Endpoint<'_> = Box::new(|network, ask| match ask {
        Ask::Presence(_) => honest(1)(network, ask),
        _ => cut()(network, ask),
    });
    let mut manners = [of(0, Manner::Stale(1)), only_present, cut(), cut()];
    let stale = standing(&mut network, errand(), &mut manners);
    assert!(matches!(stale, Standing::Unknown(..)), "{stale:?}");
    let state = claim(1, 1).state_id();
    let mut manners = [of(0, Manner::Stale(1)), honest(1), cut(), cut()];
    let run = run(&mut network, Errand { states: vec![state], ..errand() }, &mut manners);
    assert!(matches!(run.machine.standings()[&state], Standing::Spent(2)));
}

#[test]
fn two_that_show_an_old_round_are_not_believed_against_what_is_known_or_the_clock() {
    let mut network = network();
    spend(&mut network, &claim(1, 1));
    let both: fn() -> [Endpoint<'static>; 4] =
        || [of(0, Manner::Stale(1)), of(1, Manner::Stale(1)), cut(), cut()];
    let kept = Some(network.certificate(2));
    let known = standing(&mut network, Errand { kept, ..errand() }, &mut both());
    assert!(matches!(known, Standing::Unknown(_, Trouble::Stale { round: 1, newest: 2 })));
    let late = standing(&mut network, errand(), &mut both());
    assert!(matches!(late, Standing::Unknown(_, Trouble::Clock(86_400))), "{late:?}");
}

#[test]
fn a_clock_that_is_wrong_makes_nothing_unspent() {
    let mut network = network();
    network.tick(AT);
    for now in [AT.plus(MAX_AWAY + 60), Time::from_unix(AT.unix() - MAX_AWAY - 60)] {
        let mut manners: Vec<Endpoint<'_>> = (1..=4).map(honest).collect();
        let unknown = standing(&mut network, Errand { now, ..errand() }, &mut manners);
        assert!(matches!(unknown, Standing::Unknown(_, Trouble::Clock(_))), "{unknown:?}");
    }
}

#[test]
fn who_passes_the_nonce_on_can_show_only_what_the_validator_shows() {
    let mut network = network();
    spend(&mut network, &claim(1, 1));
    let old = network.certificate(1);
    // Both addresses are one stranger's, who asks two validators and puts an old certificate in.
    let relay = |validator: usize| -> Endpoint<'static> {
        let old = old.clone();
        Box::new(move |network, ask| match honest(validator)(network, ask)? {
            Answer::Presence(mut presence) => {
                presence.certificate = old.clone();
                Some(Answer::Presence(presence))
            }
            _ => Some(network.shown(validator, 1, ask)),
        })
    };
    // The clock was set back to then, too.
    let now = old.record.timestamp;
    let mut manners = [relay(0), relay(1), cut(), cut()];
    let unknown = standing(&mut network, Errand { now, ..errand() }, &mut manners);
    assert!(matches!(unknown, Standing::Unknown(_, Trouble::TooFew)), "{unknown:?}");
}
