//! What each adversary gets, on a TPM: the rows of `spec/trust.md` that concern it.

mod common;

use std::fs;

use common::owner;
use common::{Scene, UNTIL, certificate, tx};
use tally_core::id::TxId;
use tally_core::seal::tpm::SLOT_TAG;
use tally_core::seal::{HardwareProof, Slot, SlotError, SlotProof, verify_slot};
use tally_seal::tpm2::swtpm::SoftwareTpm;
use tally_seal::tpm2::{AuditSession, Chip, SlotFault};
use tally_seal::{Seal, SlotFate};

fn fault(seal: &mut impl Seal, slot: &Slot, byte: u8) -> &'static str {
    seal.prove(slot, &tx(byte)).expect_err("no proof").code()
}

/// Whatever an owner's own program makes of a session, taken as proof for the slot and `tx(byte)`.
fn verify(scene: &Scene, slot: &Slot, byte: u8, proof: &SlotProof) -> Result<(), SlotError> {
    verify_slot(&certificate(scene.counters), slot, &tx(byte), proof)
}

fn patched_proof(chip: &mut Chip, handle: u32, message: &TxId) -> SlotProof {
    let key = chip.key_handle();
    let tpm = chip.tpm();
    let mut session = AuditSession::start(tpm).expect("a session");
    session.read_counter(tpm, handle).expect("a value");
    session.hash_message(tpm, message.as_bytes()).expect("hashed");
    session.increment_counter(tpm, handle).expect("it counts");
    session.read_counter(tpm, handle).expect("a value");
    let attested = session.attest(tpm, key, SLOT_TAG).expect("attested");
    session.end(tpm).expect("ended");
    HardwareProof::TpmAudit(attested.audit().expect("an attestation")).into()
}

#[test]
fn a_thief_with_a_copy_of_the_folder_and_another_tpm_proves_nothing() {
    let scene = Scene::new();
    drop(scene.seal());
    let other = SoftwareTpm::start(&scene.dir.path().join("other")).expect("a TPM");
    let opened = tally_seal::tpm2::Tpm2Seal::open(
        &scene.place(),
        scene.software(),
        &other.address(),
        certificate(scene.counters),
    );
    assert_eq!(opened.expect_err("another TPM").code(), "TPM_OTHER");
    // A patched program does not ask; its proofs are by another key.
    let mut chip = Chip::open(&other.address()).expect("a TPM");
    let base = scene.counters.base;
    let counters = chip.make_counters(base, 4).expect("counters");
    let value = chip.value(&counters, 0).expect("a value");
    let slot = certificate(scene.counters).slot(0, value);
    let proof = patched_proof(&mut chip, base, &tx(1));
    assert_eq!(verify(&scene, &slot, 1, &proof), Err(SlotError::Signature));
}

#[test]
fn an_owner_with_a_patched_wallet_gets_one_proof_for_one_payment() {
    let scene = Scene::new();
    let mut seal = scene.seal();
    let slot = seal.lock(UNTIL, &[]).expect("a free counter").slot;
    let bob = seal.prove(&slot, &tx(1)).expect("a proof");
    assert_eq!(verify(&scene, &slot, 1, &bob), Ok(()));
    assert_eq!(fault(&mut seal, &slot, 2), "TPM_SLOT_SPENT");
    // Patched: it does not ask its journal, and takes the TPM's word for Carol.
    drop(seal);
    let carol = patched_proof(&mut scene.chip(), scene.counters.base, &tx(2));
    assert_eq!(verify(&scene, &slot, 2, &carol), Err(SlotError::Signature));
    // It is the proof of the next slot, which Bob's coin is not under.
    let next = slot.next().expect("not at its end");
    assert_eq!(verify(&scene, &next, 2, &carol), Ok(()));
}

#[test]
fn deleting_and_making_the_counter_anew_gives_no_second_proof() {
    let scene = Scene::new();
    let handle = scene.counters.base;
    let mut chip = scene.chip();
    let value = chip.value(&scene.counters, 0).expect("a value");
    let slot = certificate(scene.counters).slot(0, value);
    let bob = patched_proof(&mut chip, handle, &tx(1));
    assert_eq!(verify(&scene, &slot, 1, &bob), Ok(()));
    owner::undefine(&mut chip, handle).expect("the owner may");
    chip.make_counters(handle, 1).expect("made anew");
    assert!(chip.value(&scene.counters, 0).expect("a value") > value + 1);
    let carol = patched_proof(&mut chip, handle, &tx(2));
    assert_eq!(verify(&scene, &slot, 2, &carol), Err(SlotError::Signature));
}

#[test]
fn clearing_the_tpm_gives_no_second_proof_and_keeps_the_key() {
    let scene = Scene::new();
    let handle = scene.counters.base;
    let mut chip = scene.chip();
    let value = chip.value(&scene.counters, 0).expect("a value");
    let slot = certificate(scene.counters).slot(0, value);
    let bob = patched_proof(&mut chip, handle, &tx(1));
    assert_eq!(verify(&scene, &slot, 1, &bob), Ok(()));
    owner::clear(&mut chip).expect("the owner may");
    drop(chip);
    let mut chip = scene.chip();
    assert_eq!(chip.key(), scene.counters.key);
    chip.make_counters(handle, 4).expect("made anew");
    assert!(chip.value(&scene.counters, 0).expect("a value") > value + 1);
    let carol = patched_proof(&mut chip, handle, &tx(2));
    assert_eq!(verify(&scene, &slot, 2, &carol), Err(SlotError::Signature));
}

#[test]
fn an_increment_belongs_to_one_session_and_interleaved_sessions_prove_nothing() {
    let scene = Scene::new();
    let handle = scene.counters.base;
    let mut chip = scene.chip();
    let value = chip.value(&scene.counters, 0).expect("a value");
    let key = chip.key_handle();
    let tpm = chip.tpm();
    let mut sessions = [
        AuditSession::start(tpm).expect("a session"),
        AuditSession::start(tpm).expect("a session"),
    ];
    for (n, session) in sessions.iter_mut().enumerate() {
        session.read_counter(tpm, handle).expect("a value");
        let message = tx(u8::try_from(n).expect("small"));
        session.hash_message(tpm, message.as_bytes()).expect("hashed");
    }
    for session in &mut sessions {
        session.increment_counter(tpm, handle).expect("it counts");
    }
    for session in &mut sessions {
        session.read_counter(tpm, handle).expect("a value");
    }
    for (n, session) in (0..).zip(sessions) {
        let attested = session.attest(tpm, key, SLOT_TAG).expect("attested");
        let proof: SlotProof = HardwareProof::TpmAudit(attested.audit().expect("one")).into();
        for at in [value, value + 1] {
            let slot = certificate(scene.counters).slot(0, at);
            assert_eq!(verify(&scene, &slot, n, &proof), Err(SlotError::Signature));
        }
        session.end(tpm).expect("ended");
    }
}

#[test]
fn commands_of_others_in_between_do_no_harm() {
    let scene = Scene::new();
    let mut chip = scene.chip();
    let (handle, other) = (scene.counters.base, scene.counters.base + 1);
    let value = chip.value(&scene.counters, 0).expect("a value");
    let key = chip.key_handle();
    let tpm = chip.tpm();
    let mut session = AuditSession::start(tpm).expect("a session");
    session.read_counter(tpm, handle).expect("a value");
    tpm.execute(0x134, &[other, other], 1, &[]).expect("another program's");
    session.hash_message(tpm, tx(1).as_bytes()).expect("hashed");
    session.increment_counter(tpm, handle).expect("it counts");
    tpm.execute(0x134, &[other, other], 1, &[]).expect("another program's");
    session.read_counter(tpm, handle).expect("a value");
    let attested = session.attest(tpm, key, SLOT_TAG).expect("attested");
    let audit = attested.audit().expect("an attestation");
    assert!(!audit.exclusive);
    let slot = certificate(scene.counters).slot(0, value);
    assert_eq!(verify(&scene, &slot, 1, &HardwareProof::TpmAudit(audit).into()), Ok(()));
    session.end(tpm).expect("ended");
}

#[test]
fn an_owner_who_restores_yesterdays_files_never_proves_a_slot_twice() {
    let scene = Scene::new();
    let mut seal = scene.seal();
    let slot = seal.lock(UNTIL, &[]).expect("a free counter").slot;
    seal.prove(&slot, &tx(1)).expect("a proof");
    drop(seal);
    fs::remove_dir_all(scene.dir.path().join("state")).expect("the state folder");
    let mut seal = scene.seal();
    for byte in [1, 2] {
        assert_eq!(fault(&mut seal, &slot, byte), "TPM_SLOT_MOVED");
        let fate = seal.fate(&slot, &tx(byte)).expect("it knows");
        assert_eq!(fate, SlotFate::Lost(SlotFault::Moved));
    }
}

#[test]
fn asking_again_gives_the_same_proof_also_after_a_restart_and_a_power_cut() {
    let mut scene = Scene::new();
    let mut seal = scene.seal();
    let slot = seal.lock(UNTIL, &[]).expect("a free counter").slot;
    assert_eq!(seal.fate(&slot, &tx(1)).expect("it knows"), SlotFate::Open);
    let proof = seal.prove(&slot, &tx(1)).expect("a proof");
    assert_eq!(seal.prove(&slot, &tx(1)).expect("the same"), proof);
    drop(seal);
    scene.swtpm.cut_power();
    scene.swtpm.switch_on().expect("it starts");
    let mut seal = scene.seal();
    assert_eq!(seal.fate(&slot, &tx(1)).expect("it knows"), SlotFate::Proved);
    assert_eq!(seal.prove(&slot, &tx(1)).expect("the same"), proof);
    // Deleting the counter afterwards takes nothing back.
    owner::undefine(seal.chip(), scene.counters.base).expect("the owner may");
    assert_eq!(seal.prove(&slot, &tx(1)).expect("the same"), proof);
}

#[test]
fn one_coin_a_counter_and_change_under_the_next_slot() {
    let scene = Scene::new();
    let mut seal = scene.seal();
    let mut taken = Vec::new();
    for _ in 0..scene.counters.counters {
        let lock = seal.lock(UNTIL, &taken).expect("a free counter");
        assert_eq!((&lock.key, lock.until), (&seal.owner_key(), UNTIL));
        assert!(taken.iter().all(|slot: &Slot| slot.counter != lock.slot.counter));
        taken.push(lock.slot);
    }
    assert_eq!(seal.lock(UNTIL, &taken).expect_err("all taken").code(), "TPM_NO_FREE_COUNTER");
    let change = taken[2].next().expect("not at its end");
    seal.prove(&taken[2], &tx(1)).expect("a proof");
    let proof = seal.prove(&change, &tx(2)).expect("a proof of the next slot");
    assert_eq!(verify(&scene, &change, 2, &proof), Ok(()));
    taken.remove(2);
    assert_eq!(seal.lock(UNTIL, &taken).expect("free again").slot.value, change.value + 1);
}

#[test]
fn a_lock_does_not_outlast_the_enrollment() {
    let scene = Scene::new();
    let mut seal = scene.seal();
    let expires = seal.certificate().expect("enrolled").terms().expires;
    assert_eq!(seal.lock(expires.plus(1), &[]).expect("a free counter").until, expires);
}

#[test]
fn slots_that_are_not_this_seals_or_not_reached_are_left_alone() {
    let scene = Scene::new();
    let mut seal = scene.seal();
    let slot = seal.lock(UNTIL, &[]).expect("a free counter").slot;
    let ahead = slot.next().expect("not at its end");
    assert_eq!(fault(&mut seal, &ahead, 1), "TPM_SLOT_AHEAD");
    let foreign = Slot { counter: 4, ..slot };
    assert_eq!(fault(&mut seal, &foreign, 1), "TPM_SLOT_FOREIGN");
    let other = tally_core::seal::SealId::new(tally_core::id::Digest::new([1; 32]));
    assert_eq!(fault(&mut seal, &Slot { seal: other, ..slot }, 1), "TPM_SLOT_FOREIGN");
    assert_eq!(seal.fate(&slot, &tx(1)).expect("it knows"), SlotFate::Open);
}
