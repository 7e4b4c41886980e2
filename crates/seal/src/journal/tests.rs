use super::*;
use proptest::prelude::*;

fn key() -> Key {
    Key::new([1; 32])
}

fn head(n: u64) -> Head {
    Head::new([n as u8; 32])
}

/// The next step, after one that the journal holds.
fn entry(seq: u64, head_after: Head) -> Entry {
    let before = Position { seq: seq - 1, head: head(seq - 1) };
    Entry { to: Position { seq, head: head_after }, from: vec![before] }
}

fn open(path: &Path) -> Journal {
    Journal::open(path, key()).unwrap()
}

/// A journal that has seen the steps 1 to `n`.
fn journal(n: u64) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let mut journal = open(&path);
    for seq in 1..=n {
        journal.observe(false, &entry(seq, head(seq))).unwrap();
    }
    (dir, path)
}

#[test]
fn the_latest_step_survives_and_is_compared() {
    for n in 1..5 {
        let (_dir, path) = journal(n);
        let journal = open(&path);
        assert_eq!(journal.check(true, n, &head(n)), Rollback::None);
        assert_eq!(journal.check(true, n, &head(9)), Rollback::Contradiction);
        assert_eq!(journal.check(true, n - 1, &head(9)), Rollback::Behind { journal_seq: n });
        assert_eq!(journal.check(true, n + 1, &head(9)), Rollback::Ahead { journal_seq: n });
    }
}

#[test]
fn first_use_and_loss_are_told_apart() {
    let (_dir, path) = journal(0);
    let mut journal = open(&path);
    assert_eq!(journal.check(false, 0, &head(0)), Rollback::FirstUse);
    assert_eq!(journal.check(false, 1, &head(1)), Rollback::Missing);
    assert_eq!(journal.check(true, 0, &head(0)), Rollback::Missing);
    let error = journal.observe(true, &entry(1, head(1))).unwrap_err();
    assert!(matches!(error, SealError::RolledBack(Rollback::Missing)));
    assert!(!path.exists());
}

#[test]
fn an_older_or_other_step_is_not_observed_and_the_same_one_is_free() {
    let (_dir, path) = journal(3);
    let before = std::fs::read(&path).unwrap();
    let mut journal = open(&path);
    journal.observe(true, &entry(3, head(3))).unwrap();
    for (seq, head, expected) in
        [(2, head(2), Rollback::Behind { journal_seq: 3 }), (3, head(9), Rollback::Contradiction)]
    {
        let error = journal.observe(true, &entry(seq, head)).unwrap_err();
        assert!(matches!(error, SealError::RolledBack(told) if told == expected));
        assert_eq!(error.code(), "SEAL_ROLLED_BACK");
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_step_after_the_next_one_is_not_observed() {
    let (_dir, path) = journal(3);
    let error = open(&path).observe(true, &entry(5, head(5))).unwrap_err();
    let expected = Rollback::Ahead { journal_seq: 3 };
    assert!(matches!(error, SealError::RolledBack(told) if told == expected));
    let (_dir, path) = journal(0);
    assert!(open(&path).observe(false, &entry(2, head(2))).is_err());
    open(&path).observe(false, &entry(1, head(1))).unwrap();
}

#[test]
fn steps_that_were_never_signed_are_passed_over() {
    let at = |seq, head| Position { seq, head };
    let to = at(6, head(6));
    for (from, there) in [
        (vec![at(5, head(5)), at(3, head(3))], true),
        (vec![at(5, head(5)), at(3, head(9))], false),
        (vec![at(5, head(5)), at(2, head(2))], false),
        (vec![], false),
    ] {
        let (_dir, path) = journal(3);
        assert_eq!(
            open(&path).observe(true, &Entry { to, from: from.clone() }).is_ok(),
            there,
            "{from:?}"
        );
        let now = if there { to } else { at(3, head(3)) };
        assert_eq!(open(&path).check(true, now.seq, &now.head), Rollback::None, "{from:?}");
    }
}

#[test]
fn a_torn_write_leaves_the_step_before() {
    for n in 2..4 {
        for kept in 0..100 {
            let (_dir, path) = journal(n);
            let mut bytes = std::fs::read(&path).unwrap();
            let at = usize::try_from(offset(n - 1)).unwrap();
            bytes[at + kept..at + RECORD].fill(0xee);
            std::fs::write(&path, bytes).unwrap();
            let mut journal = open(&path);
            let told = journal.check(true, n, &head(n));
            assert_eq!(told, Rollback::Ahead { journal_seq: n - 1 });
            assert_eq!(journal.check(true, n - 1, &head(n - 1)), Rollback::None);
            journal.observe(true, &entry(n, head(n))).unwrap();
            assert_eq!(open(&path).check(true, n, &head(n)), Rollback::None);
        }
    }
}

#[test]
fn a_journal_without_a_whole_record_is_unreadable_until_adopted() {
    for damage in [vec![], vec![0; JOURNAL], vec![0xff; 10], vec![0xff; 2 * JOURNAL]] {
        let (_dir, path) = journal(3);
        std::fs::write(&path, damage).unwrap();
        let mut journal = open(&path);
        assert_eq!(journal.check(true, 3, &head(3)), Rollback::Unreadable);
        assert!(journal.observe(true, &entry(4, head(4))).is_err());
        journal.adopt(3, &head(3)).unwrap();
        journal.observe(true, &entry(4, head(4))).unwrap();
        assert_eq!(open(&path).check(true, 4, &head(4)), Rollback::None);
    }
}

#[test]
fn a_journal_of_another_owner_is_unreadable() {
    let (_dir, path) = journal(3);
    let journal = Journal::open(&path, Key::new([2; 32])).unwrap();
    assert_eq!(journal.check(true, 3, &head(3)), Rollback::Unreadable);
}

#[test]
fn adopting_a_lower_step_holds_after_restart() {
    let (_dir, path) = journal(5);
    open(&path).adopt(2, &head(7)).unwrap();
    assert_eq!(open(&path).check(true, 2, &head(7)), Rollback::None);
}

#[test]
fn the_largest_record_fits_its_block() {
    let record = Record::new(u64::MAX, u64::MAX, head(255), &key());
    assert_eq!(Record::from_bytes(&record.to_bytes()).unwrap(), record);
}

proptest! {
    #[test]
    fn every_flipped_bit_of_a_record_is_noticed(at in 0..RECORD, flip in 1u8.., seq: u64) {
        let mut bytes = Record::new(seq, seq, head(1), &key()).to_bytes();
        bytes[at] ^= flip;
        let accepted = Record::from_bytes(&bytes).is_ok_and(|record| record.is_of(&key()));
        prop_assert!(!accepted);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        prop_assert!(Record::from_bytes(&bytes).is_err());
        prop_assert!(latest(&bytes, &key()).is_none());
    }

    #[test]
    fn after_any_history_the_last_observed_step_is_known(
        steps in prop::collection::vec((any::<u8>(), any::<bool>()), 1..20),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let mut journal = open(&path);
        let mut last = Position { seq: 0, head: head(0) };
        for (seq, (byte, restart)) in (1..).zip(steps) {
            let head = Head::new([byte; 32]);
            let to = Position { seq, head };
            journal.observe(false, &Entry { to, from: vec![last] }).unwrap();
            last = to;
            if restart {
                journal = open(&path);
            }
            prop_assert_eq!(journal.check(true, seq, &head), Rollback::None);
            let told = journal.check(true, seq - 1, &head);
            prop_assert_eq!(told, Rollback::Behind { journal_seq: seq });
        }
    }
}
