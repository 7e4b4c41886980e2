use std::fs;
use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;
use tally_core::device::Position;
use tally_core::seal::SealId;

use super::*;
use crate::machine::{Differs, Factor};
use crate::unlock::Passphrase;

/// A machine that shows two names.
#[derive(Clone, Copy)]
struct Named(&'static str, &'static str);

impl Machine for Named {
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint {
            hardware: Factor::new(&[("board serial", self.0.into())]),
            environment: Factor::new(&[("machine id", self.1.into())]),
        }
    }
}

const HERE: Named = Named("board", "system");
const ELSEWHERE: Named = Named("other board", "other system");

struct World {
    root: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    /// A wallet's folder, and the state folder of the machine that it is on.
    fn place(&self, wallet: &str, machine: &str) -> Place {
        Place::new(self.root.path().join(wallet), self.root.path().join(machine).join("state"))
    }

    fn create(&self) -> SoftwareSeal {
        create_in(&self.place("wallet", "here"), &passphrase("open"))
    }

    fn open(&self) -> Result<SoftwareSeal, SealError> {
        SoftwareSeal::open(&self.place("wallet", "here"), &HERE, &passphrase("open"))
    }

    fn copy_folder(&self, from: &str, to: &str) {
        let (from, to) = (self.root.path().join(from), self.root.path().join(to));
        fs::create_dir_all(&to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

fn passphrase(text: &str) -> Unlock {
    Unlock::Passphrase(Passphrase::new(Zeroizing::new(text.into())).unwrap())
}

fn create_in(place: &Place, unlock: &Unlock) -> SoftwareSeal {
    let entropy = Entropy::new([9; 32]);
    SoftwareSeal::create(place, &HERE, unlock, KdfParams::WEAK_FOR_TESTS, entropy).unwrap()
}

fn code<T>(result: Result<T, SealError>) -> &'static str {
    result.err().expect("an error").code()
}

fn head(n: u8) -> Head {
    Head::new([n; 32])
}

/// The next step, after one that the journal holds.
fn step(n: u8, head_after: Head) -> Entry {
    let before = Position { seq: u64::from(n) - 1, head: head(n - 1) };
    Entry { to: Position { seq: n.into(), head: head_after }, from: vec![before] }
}

#[test]
fn what_was_created_opens_again_with_the_same_keys() {
    let world = World::new();
    let seal = world.create();
    let (owner, keys) = (seal.owner_key(), Purpose::ALL.map(|p| seal.derive(p)));
    drop(seal);
    let seal = world.open().unwrap();
    assert_eq!(seal.owner_key(), owner);
    assert_eq!(Purpose::ALL.map(|p| seal.derive(p)), keys);
    assert_eq!(seal.identity(), SealIdentity::Software);
}

#[test]
fn signatures_verify_and_are_the_same_bytes_each_time() {
    let world = World::new();
    let digest = Digest::new([7; 32]);
    let first = world.create().sign(&digest).unwrap();
    let mut seal = world.open().unwrap();
    assert_eq!(seal.sign(&digest).unwrap(), first);
    assert!(seal.owner_key().verify(&digest, &first));
    assert_ne!(seal.sign(&Digest::new([8; 32])).unwrap(), first);
}

#[test]
fn derived_keys_differ_by_purpose_and_by_device() {
    let world = World::new();
    let seal = world.create();
    let place = world.place("second", "here");
    let entropy = Entropy::new([1; 32]);
    let params = KdfParams::WEAK_FOR_TESTS;
    let other = SoftwareSeal::create(&place, &HERE, &passphrase("open"), params, entropy).unwrap();
    let mut keys: Vec<_> =
        Purpose::ALL.iter().flat_map(|p| [*seal.derive(*p), *other.derive(*p)]).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 2 * Purpose::ALL.len());
}

#[test]
fn a_slot_proof_is_refused_with_its_own_code() {
    let slot = Slot { seal: SealId::new(Digest::new([0; 32])), counter: 0, value: 0 };
    let proof = World::new().create().prove(&slot, &TxId::new([0; 32]));
    assert_eq!(code(proof), "SEAL_NO_COUNTERS");
}

#[test]
fn a_wrong_passphrase_opens_nothing() {
    let world = World::new();
    drop(world.create());
    let place = world.place("wallet", "here");
    let wrong = passphrase("opem");
    assert_eq!(code(SoftwareSeal::open(&place, &HERE, &wrong)), "SEAL_WRONG_PASSPHRASE");
    let entropy = Entropy::new([2; 32]);
    let rebound = SoftwareSeal::rebind(&place, &ELSEWHERE, &wrong, entropy);
    assert_eq!(code(rebound), "SEAL_WRONG_PASSPHRASE");
    world.open().unwrap();
}

#[test]
fn a_copied_folder_does_not_open_on_another_machine_until_rebound() {
    let world = World::new();
    let owner = world.create().owner_key();
    world.copy_folder("wallet", "copy");
    let place = world.place("copy", "there");
    for (machine, expected) in [
        (Named("x", HERE.1), Differs::Hardware),
        (Named(HERE.0, "x"), Differs::Environment),
        (ELSEWHERE, Differs::Both),
    ] {
        let error = SoftwareSeal::open(&place, &machine, &passphrase("open")).unwrap_err();
        assert_eq!(error.code(), "SEAL_OTHER_MACHINE");
        assert!(matches!(error, SealError::OtherMachine { differs } if differs == expected));
    }
    let entropy = Entropy::new([2; 32]);
    let unlock = passphrase("open");
    let rebound = SoftwareSeal::rebind(&place, &ELSEWHERE, &unlock, entropy).unwrap();
    assert_eq!(rebound.owner_key(), owner);
    drop(rebound);
    SoftwareSeal::open(&place, &ELSEWHERE, &unlock).unwrap();
    assert_eq!(code(SoftwareSeal::open(&place, &HERE, &unlock)), "SEAL_OTHER_MACHINE");
}

#[test]
fn a_rebound_wallet_that_took_steps_misses_its_journal_until_it_adopts_one() {
    let world = World::new();
    world.create().observe(&step(1, head(1))).unwrap();
    world.copy_folder("wallet", "copy");
    let place = world.place("copy", "there");
    let (unlock, entropy) = (passphrase("open"), Entropy::new([2; 32]));
    let mut seal = SoftwareSeal::rebind(&place, &ELSEWHERE, &unlock, entropy).unwrap();
    for seq in 0..2 {
        assert_eq!(seal.check(seq, &head(1)), Rollback::Missing);
    }
    assert_eq!(code(seal.observe(&step(1, head(1)))), "SEAL_ROLLED_BACK");
    assert_eq!(code(seal.observe(&step(2, head(2)))), "SEAL_ROLLED_BACK");
    seal.adopt(5, &head(5)).unwrap();
    seal.observe(&step(6, head(6))).unwrap();
    assert_eq!(seal.check(6, &head(6)), Rollback::None);
}

#[test]
fn a_folder_set_back_on_the_same_machine_is_noticed() {
    let world = World::new();
    let mut seal = world.create();
    world.copy_folder("wallet", "backup");
    assert_eq!(seal.check(0, &head(0)), Rollback::FirstUse);
    for n in 1..=3 {
        seal.observe(&step(n, head(n))).unwrap();
    }
    drop(seal);
    fs::remove_dir_all(world.root.path().join("wallet")).unwrap();
    world.copy_folder("backup", "wallet");
    let mut seal = world.open().unwrap();
    assert_eq!(seal.check(0, &head(0)), Rollback::Behind { journal_seq: 3 });
    assert_eq!(code(seal.observe(&step(1, head(9)))), "SEAL_ROLLED_BACK");
    assert_eq!(code(seal.observe(&step(3, head(9)))), "SEAL_ROLLED_BACK");
    assert_eq!(seal.check(3, &head(3)), Rollback::None);
}

#[test]
fn a_lost_journal_is_told_apart_from_a_new_wallet() {
    let world = World::new();
    let mut seal = world.create();
    let journal = world.place("wallet", "here").journal(&seal.owner_key());
    assert_eq!(seal.check(0, &head(0)), Rollback::FirstUse);
    seal.observe(&step(1, head(1))).unwrap();
    drop(seal);
    fs::remove_file(journal).unwrap();
    let mut seal = world.open().unwrap();
    for seq in 0..3 {
        assert_eq!(seal.check(seq, &head(1)), Rollback::Missing);
    }
    assert_eq!(code(seal.observe(&step(2, head(2)))), "SEAL_ROLLED_BACK");
}

#[test]
fn a_crash_between_first_record_and_flag_loses_neither() {
    let world = World::new();
    drop(world.create());
    world.copy_folder("wallet", "before");
    world.open().unwrap().observe(&step(1, head(1))).unwrap();
    world.copy_folder("before", "wallet");
    let mut seal = world.open().unwrap();
    assert_eq!(seal.check(1, &head(1)), Rollback::None);
    seal.observe(&step(1, head(1))).unwrap();
    assert!(seal.keystore.journal_expected());
    drop(seal);
    assert!(world.open().unwrap().keystore.journal_expected());
}

#[test]
fn one_device_is_open_once_also_as_a_copy_of_its_folder() {
    let world = World::new();
    let seal = world.create();
    world.copy_folder("wallet", "copy");
    assert_eq!(code(world.open()), "SEAL_IN_USE");
    let other_state = world.place("wallet", "there");
    let opened = SoftwareSeal::open(&other_state, &HERE, &passphrase("open"));
    assert_eq!(code(opened), "SEAL_IN_USE");
    let copy = world.place("copy", "here");
    assert_eq!(code(SoftwareSeal::open(&copy, &HERE, &passphrase("open"))), "SEAL_IN_USE");
    drop(seal);
    SoftwareSeal::open(&copy, &HERE, &passphrase("open")).unwrap();
}

#[test]
fn a_changed_passphrase_replaces_the_old_one_and_keeps_the_device() {
    let world = World::new();
    let mut seal = world.create();
    seal.observe(&step(1, head(1))).unwrap();
    let owner = seal.owner_key();
    drop(seal);
    let place = world.place("wallet", "here");
    let file = Unlock::KeyFile(place.key_file());
    let change = |old: &Unlock, new: &Unlock, n| {
        let (params, entropy) = (KdfParams::WEAK_FOR_TESTS, Entropy::new([n; 32]));
        SoftwareSeal::change_passphrase(&place, &HERE, old, new, params, entropy)
    };
    assert_eq!(code(change(&passphrase("no"), &passphrase("b"), 1)), "SEAL_WRONG_PASSPHRASE");
    drop(change(&passphrase("open"), &passphrase("b"), 2).unwrap());
    assert_eq!(code(world.open()), "SEAL_WRONG_PASSPHRASE");
    drop(change(&passphrase("b"), &file, 3).unwrap());
    assert_eq!(code(SoftwareSeal::open(&place, &HERE, &passphrase("b"))), "SEAL_UNLOCK");
    let seal = change(&file, &passphrase("c"), 4).unwrap();
    assert_eq!(seal.owner_key(), owner);
    assert_eq!(seal.check(1, &head(1)), Rollback::None);
    assert!(seal.keystore.journal_expected());
    drop(seal);
    assert_eq!(code(SoftwareSeal::open(&place, &HERE, &file)), "SEAL_UNLOCK");
    SoftwareSeal::open(&place, &HERE, &passphrase("c")).unwrap();
}

#[test]
fn a_key_file_opens_only_while_it_is_there_and_private() {
    let world = World::new();
    let place = world.place("wallet", "here");
    let unlock = Unlock::KeyFile(place.key_file());
    drop(create_in(&place, &unlock));
    let open = || SoftwareSeal::open(&place, &HERE, &unlock);
    drop(open().unwrap());
    fs::set_permissions(place.key_file(), fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(code(open()), "SEAL_KEY_FILE_EXPOSED");
    let right = fs::read(place.key_file()).unwrap();
    let mut wrong = right.clone();
    wrong[20] = if wrong[20] == b'0' { b'1' } else { b'0' };
    files::replace(&place.key_file(), &wrong).unwrap();
    assert_eq!(code(open()), "SEAL_WRONG_PASSPHRASE");
    fs::remove_file(place.key_file()).unwrap();
    assert_eq!(code(open()), "SEAL_KEY_FILE_MISSING");
    files::replace(&place.key_file(), &right).unwrap();
    open().unwrap();
}

#[test]
fn files_and_folders_are_for_their_owner_only() {
    let world = World::new();
    let place = world.place("wallet", "here");
    let unlock = Unlock::KeyFile(place.key_file());
    let mut seal = create_in(&place, &unlock);
    seal.observe(&step(1, head(1))).unwrap();
    for (path, mode) in [
        (place.dir.clone(), 0o700),
        (place.state.clone(), 0o700),
        (place.keystore(), 0o600),
        (place.key_file(), 0o600),
        (place.journal(&seal.owner_key()), 0o600),
    ] {
        let found = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{}", path.display());
    }
}

#[test]
fn a_keystore_is_never_replaced_by_a_new_one() {
    let world = World::new();
    let owner = world.create().owner_key();
    let place = world.place("wallet", "here");
    let params = KdfParams::WEAK_FOR_TESTS;
    let again =
        SoftwareSeal::create(&place, &HERE, &passphrase("open"), params, Entropy::new([1; 32]));
    assert_eq!(code(again), "SEAL_EXISTS");
    assert_eq!(world.open().unwrap().owner_key(), owner);
}

#[test]
fn a_folder_without_a_keystore_is_told() {
    assert_eq!(code(World::new().open()), "SEAL_MISSING");
}

#[test]
fn a_place_that_cannot_be_written_is_told_and_nothing_is_lost() {
    let world = World::new();
    drop(world.create());
    let file = world.root.path().join("file");
    fs::write(&file, "").unwrap();
    let blocked = Place::new(file.join("wallet"), world.root.path().join("s"));
    let params = KdfParams::WEAK_FOR_TESTS;
    let unlock = passphrase("open");
    let created = SoftwareSeal::create(&blocked, &HERE, &unlock, params, Entropy::new([1; 32]));
    assert_eq!(code(created), "SEAL_IO");
    let blocked = Place::new(world.root.path().join("wallet"), file.join("state"));
    assert_eq!(code(SoftwareSeal::open(&blocked, &HERE, &unlock)), "SEAL_IO");
    let entropy = Entropy::new([2; 32]);
    assert_eq!(code(SoftwareSeal::rebind(&blocked, &ELSEWHERE, &unlock, entropy)), "SEAL_IO");
    world.open().unwrap();
}

#[test]
fn a_read_only_folder_cannot_be_rebound_and_still_opens() {
    let world = World::new();
    drop(world.create());
    let dir = world.root.path().join("wallet");
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o500)).unwrap();
    // Permission bits do not bind the superuser.
    let privileged = fs::write(dir.join("probe"), "").is_ok();
    if !privileged {
        let place = world.place("wallet", "here");
        let (unlock, entropy) = (passphrase("open"), Entropy::new([2; 32]));
        let rebound = SoftwareSeal::rebind(&place, &ELSEWHERE, &unlock, entropy);
        assert_eq!(code(rebound), "SEAL_IO");
    }
    world.open().unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn nothing_secret_shows() {
    let seal = World::new().create();
    let shown = format!("{seal:?} {:?} {}", passphrase("hunter2"), seal.state());
    assert!(!shown.contains("hunter2"));
    let hex: String = seal.master.expose().iter().take(4).map(|b| format!("{b:02x}")).collect();
    assert!(!shown.contains(&hex));
}

#[test]
fn the_state_names_what_the_seal_is_bound_to() {
    let state = World::new().create().state();
    assert_eq!(state.bound_to, ["board serial", "machine id"]);
    assert_eq!(state.opens_with, "passphrase");
    assert_eq!(state.counters, None);
}

#[test]
fn a_seal_is_used_through_its_trait_alone() {
    let mut seal: Box<dyn Seal> = Box::new(World::new().create());
    let digest = Digest::new([7; 32]);
    let signature = seal.sign(&digest).unwrap();
    assert!(seal.owner_key().verify(&digest, &signature));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_damaged_keystore_file_has_its_code_and_never_panics(
        cut in prop::option::of(0usize..396), at in 0usize..396, flip in 1u8..,
    ) {
        let world = World::new();
        drop(world.create());
        let path = world.place("wallet", "here").keystore();
        let mut bytes = fs::read(&path).unwrap();
        match cut {
            Some(cut) => bytes.truncate(cut),
            None => bytes[at] ^= flip,
        }
        fs::write(&path, bytes).unwrap();
        prop_assert_eq!(code(world.open()), "SEAL_DAMAGED");
    }
}

#[test]
fn what_was_exported_makes_the_same_keys_elsewhere_and_expects_its_journal() {
    let world = World::new();
    let mut seal = world.create();
    seal.observe(&step(1, head(1))).unwrap();
    let (secret, owner) = (seal.export(), seal.owner_key());
    let keys = Purpose::ALL.map(|p| seal.derive(p));
    let import = |place: &Place| {
        let entropy = Entropy::new([8; 32]);
        let (unlock, params) = (passphrase("new"), KdfParams::WEAK_FOR_TESTS);
        SoftwareSeal::import(place, &ELSEWHERE, &unlock, params, entropy, &secret)
    };
    let place = world.place("imported", "elsewhere");
    let imported = import(&place).unwrap();
    assert_eq!(imported.owner_key(), owner);
    assert_eq!(Purpose::ALL.map(|p| imported.derive(p)), keys);
    assert_eq!(imported.check(1, &head(1)), Rollback::Missing);
    drop(imported);
    assert_eq!(code(import(&place)), "SEAL_EXISTS");
    let imported = SoftwareSeal::open(&place, &ELSEWHERE, &passphrase("new")).unwrap();
    assert_eq!(imported.check(0, &head(0)), Rollback::Missing);
}
