//! The machine that ends a recovery: what it asks for, in which order, and what it refuses.

use std::collections::BTreeMap;

use tally_agent::AgentError;
use tally_agent::recovery::{Coins, Here, Recovery, Step, Word, holds_latest, last_known_step};
use tally_agent::settle::{Standing, Trouble};
use tally_core::device::{Basis, Input, Position};
use tally_core::id::Head;
use tally_core::notary::StateId;
use tally_testkit::Scene;

const SILENT: Word = Word { nothing_paid: false, without_seal: false };
const WORD: Word = Word { nothing_paid: true, without_seal: false };

/// Somebody pays the second and the third after a backup, and comes back from it, with the journal or
/// without.
fn restored(journal_is_here: bool) -> Scene {
    let mut scene = Scene::new(3, 1000);
    scene.pay(0, 1, 50).expect("it can be done");
    let backup = scene.people[0].back_up();
    scene.pay(0, 1, 100).expect("it can be done");
    scene.pay(0, 2, 200).expect("it can be done");
    let now = scene.now;
    scene.people[0].restore(now, &backup, journal_is_here);
    scene
}

fn give_up(scene: &mut Scene, contact: usize) {
    let (now, contact) = (scene.now, scene.id(contact));
    scene.people[0].wish(now, Input::GiveUp { contact }).expect("it can be done");
}

fn next(scene: &Scene, recovery: &mut Recovery) -> Result<Step, AgentError> {
    recovery.next(&scene.people[0].here(scene.now))
}

fn first(scene: &Scene, word: Word) -> Result<Step, String> {
    next(scene, &mut Recovery::new(word)).map_err(|error| error.code().to_owned())
}

/// The basis on which it is confirmed, once the journal is at the place.
fn basis(scene: &mut Scene, word: Word) -> Basis {
    let mut recovery = Recovery::new(word);
    if let Ok(Step::Ask(states)) = next(scene, &mut recovery) {
        recovery.answered(&unknown(&states));
    }
    assert_eq!(next(scene, &mut recovery), Ok(Step::Look { given_up: word.without_seal }));
    recovery.looked();
    if let Ok(Step::Adopt(at)) = next(scene, &mut recovery) {
        scene.people[0].journal = Some((at.seq, at.head));
    }
    let confirming = next(scene, &mut recovery);
    let Ok(Step::Confirm(basis)) = confirming else { unreachable!("{confirming:?}") };
    basis
}

fn refused(code: &str) -> Result<Step, String> {
    Err(code.to_owned())
}

#[test]
fn a_device_that_may_sign_has_nothing_to_recover_and_at_most_gives_its_seal_up() {
    let scene = Scene::new(2, 1000);
    assert_eq!(first(&scene, WORD), Ok(Step::Done));
    let mut recovery = Recovery::new(Word { without_seal: true, ..SILENT });
    assert_eq!(next(&scene, &mut recovery), Ok(Step::Look { given_up: true }));
    recovery.looked();
    assert_eq!(next(&scene, &mut recovery), Ok(Step::Done));
}

#[test]
fn whoever_is_to_be_met_comes_before_the_journal_and_before_the_network() {
    let scene = restored(true);
    for word in [SILENT, WORD] {
        assert_eq!(first(&scene, word), refused("NOT_RECOVERED"));
    }
}

#[test]
fn a_journal_that_is_further_on_comes_before_the_network_and_needs_a_word() {
    let mut scene = restored(true);
    give_up(&mut scene, 1);
    give_up(&mut scene, 2);
    let (latest, other) = (scene.people[0].journal.unwrap(), Head::new([9; 32]));
    assert_eq!(last_known_step(scene.people[0].device(), None), 1);
    for journal in [latest, (1, other)] {
        scene.people[0].journal = Some(journal);
        assert_eq!(first(&scene, SILENT), refused("SEAL_ROLLED_BACK"));
        assert!(matches!(first(&scene, WORD), Ok(Step::Ask(_))), "{journal:?}");
    }
    scene.people[0].journal = Some(latest);
    let at = Position { seq: latest.0, head: latest.1 };
    assert_eq!(last_known_step(scene.people[0].device(), Some(at)), 3);
    assert_eq!(basis(&mut scene, WORD), Basis::JournalBeyond(at));
}

#[test]
fn nobody_vouches_where_nobody_was_met_and_a_word_does() {
    let mut scene = restored(false);
    give_up(&mut scene, 1);
    give_up(&mut scene, 2);
    assert_eq!(first(&scene, SILENT), refused("RECOVERY_UNCONFIRMED"));
    assert_eq!(basis(&mut scene, WORD), Basis::OwnersWord);
}

#[test]
fn a_contact_who_was_given_up_leaves_the_end_open_without_a_word() {
    let mut scene = restored(false);
    scene.meet(0, 1).unwrap();
    give_up(&mut scene, 2);
    assert_eq!(first(&scene, SILENT), refused("RECOVERY_END_OPEN"));
    assert_eq!(basis(&mut scene, WORD), Basis::OwnersWord);
}

#[test]
fn contacts_or_a_journal_at_the_very_step_vouch() {
    for (journal_is_here, expected) in [(false, Basis::Contacts), (true, Basis::Journal)] {
        let mut scene = restored(journal_is_here);
        scene.meet(0, 1).unwrap();
        scene.meet(0, 2).unwrap();
        assert_eq!(basis(&mut scene, SILENT), expected);
    }
}

#[test]
fn a_journal_that_ends_before_says_nothing() {
    let mut scene = restored(false);
    scene.meet(0, 1).unwrap();
    scene.meet(0, 2).unwrap();
    scene.people[0].journal = Some((1, Head::new([9; 32])));
    assert_eq!(basis(&mut scene, SILENT), Basis::Contacts);
}

#[test]
fn a_device_that_trusts_no_network_asks_none() {
    let mut scene = restored(false);
    scene.meet(0, 1).unwrap();
    scene.meet(0, 2).unwrap();
    let here = scene.people[0].here(scene.now);
    let asked = Recovery::new(SILENT).next(&Here { trust: None, ..here });
    assert_eq!(asked, Ok(Step::Look { given_up: false }));
}

#[test]
fn it_asks_the_network_then_the_counters_then_moves_the_journal_and_then_confirms() {
    let mut scene = restored(false);
    scene.meet(0, 1).unwrap();
    scene.meet(0, 2).unwrap();
    let mut recovery = Recovery::new(Word { without_seal: true, ..SILENT });
    let asked = next(&scene, &mut recovery).unwrap();
    let Step::Ask(states) = asked.clone() else { panic!("{asked:?}") };
    assert_eq!(states, Coins::held(scene.people[0].device()).states());
    assert_eq!(states.len(), 1);
    // Neither having looked at counters nor an answer to another question is an answer.
    recovery.looked();
    recovery.answered(&BTreeMap::new());
    assert_eq!(next(&scene, &mut recovery), Ok(asked));
    recovery.answered(&unknown(&states));
    for _ in 0..2 {
        assert_eq!(next(&scene, &mut recovery), Ok(Step::Look { given_up: true }));
    }
    recovery.looked();
    let Ok(Step::Adopt(at)) = next(&scene, &mut recovery) else {
        panic!("the journal is not here")
    };
    assert_eq!((at.seq, at.head), scene.people[0].device().latest());
    assert_eq!(next(&scene, &mut recovery), Ok(Step::Adopt(at)), "before anything is signed");
    scene.people[0].journal = Some((at.seq, at.head));
    assert_eq!(next(&scene, &mut recovery), Ok(Step::Confirm(Basis::Contacts)));
    let now = scene.now;
    scene.people[0].wish(now, Input::ConfirmRecovery(Basis::Contacts)).unwrap();
    assert_eq!(next(&scene, &mut recovery), Ok(Step::Done));
}

fn unknown(states: &[StateId]) -> BTreeMap<StateId, Standing> {
    states.iter().map(|state| (*state, Standing::Unknown(None, Trouble::Nobody))).collect()
}

/// The second has settled what it was paid, and was given up all the same.
#[test]
fn a_word_from_before_the_network_showed_more_is_void_and_another_one_counts() {
    let mut scene = Scene::new(2, 1000);
    let backup = scene.people[0].back_up();
    scene.pay(0, 1, 400).unwrap();
    assert!(!scene.settle(1).unwrap().certified().is_empty());
    let now = scene.now;
    scene.people[0].restore(now, &backup, false);
    give_up(&mut scene, 1);
    let mut recovery = Recovery::new(Word { without_seal: true, ..WORD });
    assert!(matches!(next(&scene, &mut recovery), Ok(Step::Ask(_))));
    let settled = scene.look_up(0).unwrap();
    assert!(settled.standings.values().all(|it| matches!(it, Standing::Spent(_))));
    recovery.answered(&settled.standings);
    for _ in 0..2 {
        let refused = next(&scene, &mut recovery).map_err(|error| error.code().to_owned());
        assert_eq!(refused, self::refused("RECOVERY_END_OPEN"), "and the seal is not given up");
    }
    assert_eq!(first(&scene, SILENT), refused("RECOVERY_UNCONFIRMED"));
    scene.recover(0, true).unwrap();
    assert!(scene.people[0].is_normal());
}

#[test]
fn only_what_is_shown_to_be_unspent_counts_as_that() {
    let mut scene = restored(false);
    scene.meet(0, 1).unwrap();
    let coins = Coins::held(scene.people[0].device());
    let states = coins.states();
    assert!(
        coins.unspent(&unknown(&states)).is_empty() && coins.unspent(&BTreeMap::new()).is_empty()
    );
    let of = |standing: Standing| states.iter().map(|s| (*s, standing.clone())).collect();
    assert!(coins.unspent(&of(Standing::Spent(1))).is_empty());
    let held: Vec<_> = states.iter().filter_map(|state| coins.coin(state)).collect();
    assert_eq!((coins.unspent(&of(Standing::Unspent(1))), held.is_empty()), (held, false));
    assert_eq!(Coins::in_question(scene.people[0].device(), &scene.asset).states(), states);
}

#[test]
fn a_backup_is_at_its_latest_step_only_if_hardware_and_journal_both_say_so() {
    let scene = Scene::new(2, 1000);
    let device = scene.people[0].device();
    let at = device.entry().to;
    assert!(holds_latest(device, Some(at), &[true, true]));
    assert!(!holds_latest(device, Some(at), &[]), "a journal alone is not believed");
    assert!(!holds_latest(device, Some(at), &[true, false]));
    assert!(!holds_latest(device, None, &[true]));
    assert!(!holds_latest(device, Some(Position { seq: at.seq + 1, ..at }), &[true]));
    assert!(!holds_latest(restored(false).people[0].device(), Some(at), &[true]));
}
