//! What does not work: recipes for a hardware seal that look right and that an owner breaks. Each
//! is broken here on a TPM, so that nobody proposes it again.

mod common;

use std::fs;
use std::path::Path;

use common::owner::{self, Certified};
use common::{Scene, UNTIL, certificate, enroller, tx};
use tally_core::fork::{ForkKind, ForkProof, Side, Spending};
use tally_core::hash::sha256;
use tally_core::id::{CoinId, NetworkId};
use tally_core::predicate::spend_digest;
use tally_core::seal::tpm::{
    COUNTER_ATTRIBUTES, Name, SLOT_TAG, audit_digest, counter_public_area,
};
use tally_core::seal::{
    EnrollmentError, Judge, KnownSeals, Revocation, RevocationTerms, Revocations, Slot, SlotProof,
    TpmProofs, Word, verify_slot,
};
use tally_seal::Seal;
use tally_seal::tpm2::{Attested, AuditSession, Chip};

const INDEX: u32 = 0x0181_0000;

/// The recipe's payee: takes a payment if the history's head is extended by it.
fn takes(before: [u8; 32], payment: &[u8], certified: &Certified, name: &[u8]) -> bool {
    certified.name == name && certified.content == sha256(&[&before, payment].concat())
}

#[test]
fn an_extend_index_of_the_owners_is_deleted_replayed_and_forks() {
    let scene = Scene::new();
    let mut chip = scene.chip();
    let history = [&b"yesterday"[..], b"this morning"];
    let replay = |chip: &mut _| {
        owner::define(chip, INDEX, owner::COMMON | owner::EXTEND, 32).expect("made");
        history.iter().fold([0; 32], |head, step| {
            owner::extend(chip, INDEX, step).expect("extended");
            sha256(&[&head[..], step].concat())
        })
    };
    let head = replay(&mut chip);
    let name = owner::certify(&mut chip, INDEX, 32, b"enroll").name;
    owner::extend(&mut chip, INDEX, b"to Bob").expect("extended");
    let bob = owner::certify(&mut chip, INDEX, 32, b"Bob's nonce");
    assert!(takes(head, b"to Bob", &bob, &name));

    owner::undefine(&mut chip, INDEX).expect("deleted");
    assert_eq!(replay(&mut chip), head);
    owner::extend(&mut chip, INDEX, b"to Carol").expect("extended");
    let carol = owner::certify(&mut chip, INDEX, 32, b"Carol's nonce");
    assert!(takes(head, b"to Carol", &carol, &name), "the fork that this recipe allows");
}

#[test]
fn certifying_a_counter_with_the_payment_as_nonce_certifies_two_payments() {
    let scene = Scene::new();
    let mut chip = scene.chip();
    let handle = scene.counters.base;
    owner::increment(&mut chip, handle).expect("it counts");
    let bob = owner::certify(&mut chip, handle, 8, tx(1).as_bytes());
    let carol = owner::certify(&mut chip, handle, 8, tx(2).as_bytes());
    assert_eq!((bob.name, bob.content), (carol.name, carol.content));
    assert_ne!(bob.nonce, carol.nonce);
}

#[test]
fn a_tpm_certifies_whatever_balance_its_owner_wrote() {
    let scene = Scene::new();
    let mut chip = scene.chip();
    owner::define(&mut chip, INDEX, owner::COMMON, 8).expect("made");
    owner::write(&mut chip, INDEX, &10_u64.to_be_bytes()).expect("written");
    let poor = owner::certify(&mut chip, INDEX, 8, b"nonce");
    owner::write(&mut chip, INDEX, &1000_u64.to_be_bytes()).expect("written");
    let rich = owner::certify(&mut chip, INDEX, 8, b"nonce");
    assert_eq!(poor.name, rich.name);
    assert_eq!(rich.content, 1000_u64.to_be_bytes());
}

/// The slot proof's session on a counter of the owner's make, as the recipe's verifier takes it:
/// the value that the counter left, and what the TPM signed.
fn leave(chip: &mut Chip, message: u8) -> (u64, [u8; 32], Attested) {
    let key = chip.key_handle();
    let tpm = chip.tpm();
    let mut session = AuditSession::start(tpm).expect("a session");
    let value = session.read_counter(tpm, INDEX).expect("a value");
    session.hash_message(tpm, tx(message).as_bytes()).expect("hashed");
    session.increment_counter(tpm, INDEX).expect("it counts");
    session.read_counter(tpm, INDEX).expect("a value");
    let attested = session.attest(tpm, key, SLOT_TAG).expect("attested");
    session.end(tpm).expect("ended");
    let mut area = counter_public_area(INDEX);
    let attributes = COUNTER_ATTRIBUTES | owner::ORDERLY;
    area[6..10].copy_from_slice(&attributes.to_be_bytes());
    let name = Name::of(&area);
    let digest = audit_digest(&name, value, tx(message).as_bytes()).expect("not at its end");
    (value, digest, attested)
}

#[test]
fn an_orderly_counter_forgets_values_over_a_clear_and_forks() {
    let scene = Scene::new();
    let pay = |message, slots: usize| {
        let mut chip = scene.chip();
        let orderly = owner::COMMON | owner::COUNTER | owner::ORDERLY;
        owner::define(&mut chip, INDEX, orderly, 8).expect("made");
        owner::increment(&mut chip, INDEX).expect("it counts");
        let left = (0..slots).map(|_| {
            let (value, digest, attested) = leave(&mut chip, message);
            assert!(attested.bytes.ends_with(&digest), "it attests this slot for this message");
            value
        });
        let left: Vec<u64> = left.collect();
        owner::clear(&mut chip).expect("the owner may");
        left
    };
    let (bob, carol) = (pay(1, 4), pay(2, 4));
    let forked = carol.iter().any(|slot| bob.contains(slot));
    assert!(forked, "the fork that this recipe allows: {bob:?} {carol:?}");
}

/// Pays one slot of a TPM in software twice, by setting the state file of the TPM itself back.
fn pay_twice(scene: &mut Scene, slot: &Slot) -> [SlotProof; 2] {
    scene.swtpm.cut_power();
    let (state, backup) = (scene.swtpm.dir().to_owned(), scene.dir.path().join("backup"));
    copy(&state, &backup);
    [1, 2].map(|byte| {
        copy(&backup, &state);
        scene.swtpm.switch_on().expect("it starts");
        // The owner's files are the owner's to delete.
        let _ = fs::remove_dir_all(scene.dir.path().join("state"));
        let proof = scene.seal().prove(slot, &tx(byte)).expect("a proof");
        scene.swtpm.cut_power();
        proof
    })
}

/// The whole of this TPM is a file, and whoever copies the file copies the counter: this is why
/// enrollment asks for a hardware maker's certificate, and marks a TPM in software for good.
#[test]
fn a_tpm_whose_state_can_be_restored_forks_and_is_never_shown_as_hardware() {
    let mut scene = Scene::new();
    let slot = scene.seal().lock(UNTIL, &[]).expect("a free counter").slot;
    let enrolled = certificate(scene.counters);
    let [bob, carol] = pay_twice(&mut scene, &slot);
    assert_eq!(verify_slot(&enrolled, &slot, &tx(1), &bob), Ok(()));
    let forked = verify_slot(&enrolled, &slot, &tx(2), &carol);
    assert_eq!(forked, Ok(()), "the fork that a TPM in software allows");
    assert!(enrolled.terms().to_string().starts_with("DEVELOPMENT ONLY, can be copied"));
    let (named, came) = ([enroller().public()], [enrolled]);
    let value = NetworkId::new(9).expect("not zero");
    let judge = Judge { came: &came, ..Judge::of_notary(value, &TpmProofs, &named) };
    let refused = judge.proved(&slot, UNTIL, &tx(1), &bob);
    assert_eq!(refused, Err(EnrollmentError::Development.into()), "where there is value");
}

#[test]
fn what_a_restored_tpm_paid_twice_convicts_its_owner_and_ends_its_enrollment() {
    let mut scene = Scene::new();
    let mut seal = scene.seal();
    let (slot, key) = (seal.lock(UNTIL, &[]).expect("a free counter").slot, seal.owner_key());
    let coin = CoinId::new([5; 32]);
    // The owner's key signs both payments, as it must for either payee to take one.
    let mut spending = |byte| {
        let signature = seal.sign(&spend_digest(&coin, &tx(byte))).expect("signed");
        Side::Spending(Spending { coin, tx: tx(byte), signature })
    };
    let (a, b) = (spending(1), spending(2));
    drop(seal);
    let [bob, carol] = pay_twice(&mut scene, &slot);
    let local = NetworkId::LOCAL;
    let (named, came) = ([enroller().public()], [certificate(scene.counters)]);
    let counts = |revocations: &Revocations| {
        let seals = KnownSeals { revocations: Some(revocations), ..KnownSeals::none(&TpmProofs) };
        let word = Word::Asset { named: &named, network: None };
        let judge = Judge { network: local, seals, word, came: &came };
        let proved = |byte, proof| judge.proved(&slot, UNTIL, &tx(byte), proof).is_ok();
        [proved(1, &bob), proved(2, &carol)]
    };
    assert_eq!(counts(&Revocations::new()), [true, true], "no payee alone can tell");

    // As soon as the two payments meet, the two signatures are a proof that anyone can check.
    let proof = ForkProof { key: key.clone(), a: a.clone(), b };
    assert_eq!(proof.check(), Ok(ForkKind::Coin));
    let honest = ForkProof { key, a: a.clone(), b: a };
    assert!(honest.check().is_err(), "one payment is no fork");
    // Two proofs of one slot convict the hardware itself: its enroller takes its word back.
    let list = vec![slot.seal];
    let terms = RevocationTerms::new(local, enroller().public(), 1, list).expect("a short list");
    let list = Revocation::issue(terms, &enroller());
    assert_eq!(counts(&[(enroller().public(), list)].into()), [false, false]);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        if entry.file_type().expect("a type").is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
        }
    }
}
