//! Many lives, none of which may break a promise.

use tally_sim::{check, run};
use tally_testkit::{Person, Scene};

const SEEDS: std::ops::RangeInclusive<u64> = 1..=240;

#[test]
fn no_life_breaks_a_promise() {
    let (mut cheated, mut convictions, mut restored) = (0, 0, 0);
    for seed in SEEDS {
        let mut log = String::new();
        let outcome = run(seed, &mut log);
        assert_eq!(outcome.violation, None, "cargo run -p tally-sim -- --seed {seed}\n{log}");
        cheated += u64::from(outcome.cheated);
        convictions += outcome.convictions;
        restored += outcome.restored;
    }
    assert!(cheated > 20 && convictions > 20 && restored > 20, "the lives are too quiet");
}

#[test]
fn a_seed_lives_one_life() {
    let live = |seed| {
        let mut log = String::new();
        run(seed, &mut log);
        log
    };
    assert_eq!(live(5), live(5));
    assert_ne!(live(5), live(6));
}

#[test]
fn a_device_made_anew_from_its_disk_is_the_same() {
    let mut scene = Scene::new(3, 100);
    scene.mint_to(0, 100);
    scene.mint_to(0, 100);
    scene.pay(0, 1, 250).expect("enough");
    scene.pay(1, 2, 200).expect("enough");
    scene.pay(2, 0, 20).expect("enough");
    for person in &mut scene.people {
        let before = person.device().clone();
        person.start();
        let now = person.device().clone();
        assert_eq!((now.seq(), now.head()), (before.seq(), before.head()));
        assert_eq!((now.ledger(), now.mode()), (before.ledger(), before.mode()));
        assert_eq!((now.outgoing(), now.incoming()), (before.outgoing(), before.incoming()));
        assert_eq!((now.contacts(), now.terms()), (before.contacts(), before.terms()));
        assert!(now.sightings().iter().eq(before.sightings().iter()));
        assert_eq!(now.forks(), before.forks());
        person.start();
        assert_eq!(*person.device(), now);
    }
}

#[test]
fn the_checks_notice_a_copy_that_pays_twice_and_is_not_convicted() {
    let mut scene = Scene::new(3, 1000);
    let copy = scene.people[0].copy();
    scene.pay(0, 1, 400).expect("enough");
    scene.people[0].go_on_with(copy);
    scene.pay(0, 2, 400).expect("enough");
    let all: Vec<_> = scene.people.iter().map(Person::device).collect();
    assert!(check::conserves(&all, &scene.asset).is_err());
    assert!(check::nothing_is_lost(&all, &scene.asset, 1000).is_err());
    assert_eq!(check::proves_contradictions(&all[1..]), Err(check::Violation::Unproved));
    scene.meet(1, 2).expect("contacts");
    let all: Vec<_> = scene.people.iter().map(Person::device).collect();
    assert_eq!(check::proves_contradictions(&all[1..]), Ok(()));
    assert!(check::convicts_nobody_honest(&all).is_err());
}
