//! Every way in which a TPM can be of no use has its own code, and says what to do.

mod common;

use common::owner;
use common::proxy::{Fate, Proxy};
use common::{Scene, UNTIL, certificate, tx};
use tally_core::seal::TpmSeal;
use tally_seal::tpm2::swtpm::SoftwareTpm;
use tally_seal::tpm2::{Address, Chip, Tpm2Seal, TpmError};
use tally_seal::{Seal, SealError};

fn refused(opened: Result<Tpm2Seal, SealError>, code: &str, says: &str) {
    let error = opened.expect_err("refused");
    assert_eq!(error.code(), code);
    assert!(error.to_string().contains(says), "{error}");
}

#[test]
fn absent() {
    let mut scene = Scene::with(1);
    scene.swtpm.cut_power();
    refused(scene.try_seal(), "TPM_ABSENT", "no TPM at unix:");
    let nowhere = Address::Device(scene.dir.path().join("tpmrm0"));
    refused(scene.seal_at(&nowhere), "TPM_ABSENT", "switch it on");
}

#[test]
fn in_use_by_another_program() {
    let scene = Scene::with(1);
    let _open = scene.seal();
    let path = scene.place();
    let unlock = tally_seal::unlock::Unlock::KeyFile(path.key_file());
    let machine = tally_seal::machine::HostMachine::new();
    let again = tally_seal::software::SoftwareSeal::open(&path, &machine, &unlock);
    assert_eq!(again.expect_err("open already").code(), "SEAL_IN_USE");
}

#[test]
fn locked_out_or_busy() {
    for (response, code, says) in
        [(0x921, "TPM_LOCKED_OUT", "wrong passwords"), (0x12f, "TPM_OWNER_AUTH", "password")]
    {
        let scene = Scene::with(1);
        let proxy = Proxy::start(&scene.dir.path().join("line"), &scene.swtpm.address());
        proxy.rule(move |command| match command {
            0x131 => Fate::Refuse(response),
            _ => Fate::Pass,
        });
        refused(scene.seal_at(&proxy.address()), code, says);
    }
}

#[test]
fn no_space_for_counters() {
    let dir = tempfile::tempdir().expect("a folder");
    let swtpm = SoftwareTpm::start(dir.path()).expect("a TPM in software");
    let mut chip = Chip::open(&swtpm.address()).expect("a TPM");
    // Fill it with other things, then with counters, which it keeps some room for.
    let mut handle = 0x0190_0000;
    for (kind, size) in [(0, 2048), (0, 512), (0, 64), (0, 8), (owner::COUNTER, 8)] {
        while owner::define(&mut chip, handle, owner::COMMON | kind, size).is_ok() {
            handle += 1;
        }
    }
    let base = chip.free_base().expect("a range of handles");
    let error = chip.make_counters(base, 16).expect_err("full");
    assert_eq!(error.code(), "TPM_NO_SPACE");
    // With a little room there are fewer.
    for freed in handle - 3..handle {
        owner::undefine(&mut chip, freed).expect("freed");
    }
    let some = chip.make_counters(base, 256).expect("some");
    assert!((1..=3).contains(&some.counters), "{}", some.counters);
}

#[test]
fn a_hierarchy_with_a_password_shows_before_a_counter_moves() {
    let scene = Scene::with(1);
    let mut chip = scene.chip();
    owner::set_password(&mut chip, owner::RH_OWNER, b"mine");
    let base = chip.free_base().expect("a range of handles");
    let error = chip.make_counters(base, 1).expect_err("it has a password");
    assert_eq!(error.code(), "TPM_OWNER_AUTH");
    assert!(error.to_string().contains("owner hierarchy"), "{error}");
    drop(chip);
    // What is made already does not need the owner.
    let mut seal = scene.seal();
    let slot = seal.lock(UNTIL, &[]).expect("a free counter").slot;
    seal.prove(&slot, &tx(1)).expect("a proof");
    owner::set_password(seal.chip(), owner::RH_ENDORSEMENT, b"mine");
    drop(seal);
    refused(scene.try_seal(), "TPM_OWNER_AUTH", "endorsement hierarchy");
}

#[test]
fn one_counter_deleted_or_all_cleared() {
    let scene = Scene::with(3);
    let mut seal = scene.seal();
    let slot = certificate(scene.counters).slot(1, 1);
    owner::undefine(seal.chip(), scene.counters.base + 1).expect("the owner may");
    let gone = seal.prove(&slot, &tx(1)).expect_err("it is gone");
    assert_eq!(gone.code(), "TPM_COUNTER_DELETED");
    assert!(gone.to_string().contains("counter 1"), "{gone}");
    drop(seal);
    // The others still work, and a new coin goes under one of them.
    let mut seal = scene.seal();
    let (first, taken) = (seal.lock(UNTIL, &[]).expect("a free counter").slot, slot);
    assert_eq!(first.counter, 0);
    let next = seal.lock(UNTIL, &[first]).expect("a free counter").slot;
    assert_eq!(next.counter, 2, "not {taken:?}");
    seal.prove(&first, &tx(1)).expect("a proof");
    owner::clear(seal.chip()).expect("the owner may");
    drop(seal);
    refused(scene.try_seal(), "TPM_CLEARED", "enroll again");
}

#[test]
fn a_counter_replaced_by_something_else_is_gone() {
    let scene = Scene::with(1);
    let mut chip = scene.chip();
    let base = scene.counters.base;
    owner::undefine(&mut chip, base).expect("the owner may");
    owner::define(&mut chip, base, owner::COMMON, 8).expect("made");
    owner::write(&mut chip, base, &[0; 8]).expect("written");
    assert_eq!(chip.value(&scene.counters, 0), Err(TpmError::CounterDeleted { counter: 0 }));
    let error = chip.make_counters(base, 1).expect_err("it is in the way");
    assert_eq!(error, TpmError::CounterDeleted { counter: 0 });
}

#[test]
fn making_counters_again_after_a_power_cut_keeps_those_that_are_there() {
    let mut scene = Scene::with(2);
    let value = scene.chip().value(&scene.counters, 0).expect("a value");
    let base = scene.counters.base;
    // Cut between making the third and bringing it to its first value.
    let counting = owner::COMMON | owner::COUNTER;
    owner::define(&mut scene.chip(), base + 2, counting, 8).expect("made");
    scene.swtpm.cut_power();
    scene.swtpm.switch_on().expect("it starts");
    let mut chip = scene.chip();
    let all = chip.make_counters(base, 4).expect("made");
    assert_eq!(all.counters, 4);
    assert_eq!(chip.value(&all, 0), Ok(value));
    chip.check(&all).expect("all are there");
    assert_ne!(chip.free_base().expect("another range"), base);
    chip.delete_counters(&all).expect("deleted");
    chip.delete_counters(&all).expect("deleted before");
    assert_eq!(chip.check(&all), Err(TpmError::Cleared));
    assert_eq!(chip.free_base().expect("a range"), base);
}

#[test]
fn another_firmware_than_the_enrolled_one() {
    let scene = Scene::with(1);
    let older = TpmSeal { firmware: scene.counters.firmware - 1, ..scene.counters };
    let certificate = certificate(older);
    let address = scene.swtpm.address();
    let opened = Tpm2Seal::open(&scene.place(), scene.software(), &address, certificate);
    refused(opened, "TPM_FIRMWARE", "the seal stays the same");
}

#[test]
fn an_answer_that_makes_no_sense() {
    let scene = Scene::with(1);
    let mut chip = scene.chip();
    let unknown = chip.tpm().execute(0x7fff_ffff, &[], 0, &[]).expect_err("no such command");
    assert_eq!(unknown.code(), "TPM_UNEXPECTED");
    let nonsense = chip.tpm().execute(0x14e, &[1, 2], 1, &[]).expect_err("no such handles");
    assert_eq!(nonsense.code(), "TPM_UNEXPECTED");
}

#[test]
fn the_state_of_a_seal_says_what_it_is() {
    let scene = Scene::with(4);
    let mut seal = scene.seal();
    let slot = seal.lock(UNTIL, &[]).expect("a free counter").slot;
    seal.lock(UNTIL, &[slot]).expect("a free counter");
    let text = seal.state().to_string();
    for part in ["seal: TPM 2.0", "hardware counters: 3 of 4 free", "DEVELOPMENT ONLY"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("sealed by hardware"), "{text}");
}
