use super::*;
use alloc::collections::BTreeSet;
use proptest::prelude::*;

/// Microseconds of a day.
const DAY: u64 = 86_400_000_000;
const NOW: u64 = 20_000 * DAY;
/// Fourteen years from now.
const AHEAD: u64 = NOW + 14 * 365 * DAY;

#[test]
fn generations_only_grow_while_clocks_are_right() {
    let mut heard = Heard::default();
    assert!(heard.note(NOW - 5, NOW));
    assert!(!heard.note(NOW - 5, NOW), "again");
    assert!(!heard.note(NOW - 6, NOW), "an older one");
    assert!(heard.note(NOW - 4, NOW));
    assert_eq!((heard.floor(), heard.ahead().len()), (NOW - 4, 0));
}

#[test]
fn a_clock_that_was_wrong_once_shuts_nobody_out() {
    let mut heard = Heard::default();
    assert!(heard.note(NOW, NOW));
    assert!(heard.note(AHEAD, NOW + 1), "the sender's clock is wrong");
    assert!(
        heard.note(NOW + 2, NOW + 2),
        "it is right again, and the sender has forgotten the year 2040"
    );
    assert!(!heard.note(AHEAD, NOW + 3), "what was heard is not heard again");
    assert!(!heard.note(NOW + 2, NOW + 3));
    assert!(heard.note(AHEAD + 1, NOW + 4), "a sender who remembers goes on from there");
    assert_eq!(heard.ahead(), [(AHEAD, AHEAD + 1)]);
    assert_eq!(heard.greatest(), AHEAD + 1);
}

#[test]
fn the_receivers_clock_that_was_ahead_shuts_nobody_out() {
    let mut heard = Heard::default();
    assert!(heard.note(NOW, AHEAD));
    assert!(heard.note(NOW + 1, NOW + 1));
}

#[test]
fn when_the_clock_has_caught_up_runs_are_no_longer_kept() {
    let mut heard = Heard::default();
    assert!(heard.note(AHEAD, NOW));
    assert!(heard.note(AHEAD + 7, AHEAD + 8));
    assert_eq!(heard, Heard { floor: AHEAD + 7, ahead: Vec::new() });
    assert!(!heard.is_new(AHEAD));
}

#[test]
fn however_often_a_clock_is_wrong_the_room_is_bounded_and_the_present_stays_open() {
    let mut heard = Heard::default();
    for n in 0..1000 {
        assert!(heard.note(AHEAD + n * n * DAY, NOW));
        assert!(heard.ahead().len() <= MAX_AHEAD);
    }
    assert!((0..1000).all(|n| !heard.is_new(AHEAD + n * n * DAY)));
    assert!(heard.note(NOW, NOW));
    assert!(heard.note(heard.greatest() + 1, NOW), "and so is what is above all");
}

#[test]
fn a_whole_life_with_a_clock_ahead_is_one_run() {
    let (mut heard, mut said) = (Heard::default(), AHEAD);
    for _ in 0..100 {
        said = next_generation(said, true, 0, NOW);
        assert!(heard.note(said, NOW));
    }
    assert_eq!(heard.ahead(), [(AHEAD + 1, AHEAD + 100)]);
}

#[test]
fn a_sender_goes_above_all_that_it_said_or_was_told() {
    assert_eq!(next_generation(0, false, 0, NOW), NOW);
    assert_eq!(next_generation(NOW, false, 0, NOW), NOW + 1);
    assert_eq!(next_generation(NOW, false, AHEAD, NOW), AHEAD + 1);
    assert_eq!(next_generation(u64::MAX, true, 0, NOW), u64::MAX);
}

#[test]
fn what_a_wrong_clock_said_counts_only_if_it_was_answered() {
    assert_eq!(next_generation(AHEAD, true, 0, NOW), AHEAD + 1);
    assert_eq!(next_generation(AHEAD, false, 0, NOW), NOW, "it was refused, for all one knows");
    assert_eq!(next_generation(AHEAD, true, NOW + 5, NOW), NOW + 6, "it is forgotten");
    assert_eq!(next_generation(NOW + MARGIN, false, 0, NOW), NOW + MARGIN + 1);
}

#[test]
fn of_who_is_no_contact_a_floor_is_left_that_is_not_ahead() {
    let mut gone = Gone::default();
    assert!(gone.admits(NOW + MARGIN, NOW) && !gone.admits(NOW + MARGIN + 1, NOW));
    let mut heard = Heard::default();
    assert!(heard.note(AHEAD, NOW));
    gone.forget(&heard, NOW, false);
    assert_eq!(gone, Gone { strangers: NOW + MARGIN, removed: Heard::default() });
    assert!(gone.heard(false).is_new(NOW + MARGIN + 1), "whoever comes later is heard");
    assert!(gone.heard(true).is_new(1), "whom the owner adds begins anew");
}

#[test]
fn a_floor_that_is_ahead_lets_in_who_was_told_of_it_and_moves_no_further() {
    let mut gone = Gone { strangers: AHEAD, ..Gone::default() };
    assert!(gone.admits(AHEAD + 1, NOW) && !gone.admits(AHEAD + 2, NOW));
    gone.forget(&Heard::of(u64::MAX, Vec::new()).unwrap(), NOW, false);
    assert_eq!(gone.strangers, AHEAD + 1);
}

#[test]
fn only_what_can_have_been_stored_is_read_back() {
    let good = Heard::of(5, alloc::vec![(7, 7), (9, 12)]).unwrap();
    assert!((0..=12).filter(|n| good.is_new(*n)).eq([6, 8]));
    for bad in [[(5, 6), (9, 9)], [(9, 9), (7, 7)], [(9, 8), (10, 10)], [(7, 9), (9, 12)]] {
        assert_eq!(Heard::of(5, bad.into()), None, "{bad:?}");
    }
    let many = (0..=MAX_AHEAD as u64).map(|n| (10 * n + 10, 10 * n + 11)).collect();
    assert_eq!(Heard::of(5, many), None);
}

proptest! {
    /// Whatever the clocks of both say, and whatever else was heard: nothing is heard twice.
    #[test]
    fn nothing_is_heard_twice(
        hellos in prop::collection::vec((1..60_u64, 0..60_u64, any::<bool>()), 1..200),
    ) {
        let (mut heard, mut before) = (Heard::default(), BTreeSet::new());
        let mut gone = Gone::default();
        for (generation, now, forget) in hellos {
            let new = gone.heard(true).is_new(generation) && heard.note(generation, now);
            prop_assert!(!new || before.insert(generation), "{generation} twice");
            let again = Heard::of(heard.floor(), heard.ahead().to_vec());
            prop_assert_eq!(again.as_ref(), Some(&heard), "it can be stored");
            if forget {
                gone.forget(&heard, now, true);
                heard = Heard::default();
                let removed = &gone.removed;
                prop_assert!(Heard::of(removed.floor(), removed.ahead().to_vec()).is_some());
            }
        }
    }

    /// Of strangers, too, nothing is heard twice while the receiver's clock only goes on.
    #[test]
    fn nothing_is_heard_twice_of_strangers(
        hellos in prop::collection::vec((0..3 * MARGIN, 0..MARGIN, any::<bool>()), 1..200),
    ) {
        let (mut gone, mut heard) = (Gone::default(), Gone::default().heard(false));
        let (mut before, mut now) = (BTreeSet::new(), 0);
        for (generation, later, forget) in hellos {
            now += later / 50;
            let new = gone.admits(generation, now) && heard.note(generation, now);
            prop_assert!(!new || before.insert(generation), "{generation} twice");
            if forget {
                gone.forget(&heard, now, false);
                heard = gone.heard(false);
            }
        }
    }
}
