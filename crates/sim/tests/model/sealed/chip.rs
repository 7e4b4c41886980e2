//! A MODEL of a hardware seal, no seal: one counter, and a key that signs what the counter did.
//!
//! It is here so that every order of events can be explored. What it signs is in a TPM's own form and
//! is checked by the production [`verify_slot`]; that a TPM keeps the promise that the model makes is
//! for the tests against one to show (`crates/seal/tests`).

use std::collections::{BTreeSet, HashMap};
use std::sync::{LazyLock, Mutex};

use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::ecdsa::{Signature, SigningKey};
use tally_core::hash::sha256;
use tally_core::id::{NetworkId, TxId};
use tally_core::seal::tpm::{Name, attest, audit_digest, counter_public_area, key_public_area};
use tally_core::seal::{
    AttestationKey, CERTIFICATE_VERSION, ClockInfo, Hardware, HardwareProof, SealCertificate,
    SealLabel, SealTerms, Slot, SlotError, SlotProof, SlotVerifier, TpmAudit, TpmSeal, verify_slot,
};
use tally_core::time::Time;
use tally_testkit::enroller;

/// What the counter shows when a model starts.
pub(super) const FIRST: u64 = 5;

/// What the hardware keeps, and what it proved: whoever owns it keeps the proofs.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Counter {
    pub(super) value: u64,
    pub(super) proved: BTreeSet<(u64, TxId)>,
}

impl Counter {
    pub(super) fn new() -> Self {
        Self { value: FIRST, proved: BTreeSet::new() }
    }

    /// Leaves a slot for a transaction and attests it, if the counter is at that slot.
    pub(super) fn prove(&mut self, value: u64, tx: TxId) -> Option<()> {
        self.burn(value)?;
        self.proved.insert((value, tx));
        Some(())
    }

    /// Leaves a slot, and loses power before it attests anything.
    pub(super) fn burn(&mut self, value: u64) -> Option<()> {
        let at = self.value == value;
        self.value += u64::from(at);
        at.then_some(())
    }

    pub(super) fn has_proved(&self, value: u64, tx: TxId) -> bool {
        self.proved.contains(&(value, tx))
    }
}

/// The one enrolled piece of hardware of all models here.
pub(super) fn certificate() -> &'static SealCertificate {
    static CERTIFICATE: LazyLock<SealCertificate> = LazyLock::new(|| {
        let (x, y) = point();
        let key = AttestationKey::from_coordinates(&x, &y);
        let tpm = TpmSeal { key, base: 0x0180_0000, counters: 1, firmware: 1 };
        let terms = SealTerms {
            version: CERTIFICATE_VERSION,
            network: NetworkId::LOCAL,
            hardware: Hardware::Tpm(tpm),
            label: SealLabel::new("a model").expect("short"),
            development: true,
            expires: Time::from_unix(4_000_000_000),
            enroller: enroller().public(),
        };
        SealCertificate::issue(terms, &enroller())
    });
    &CERTIFICATE
}

/// The slot at which the counter shows `value`.
pub(super) fn slot(value: u64) -> Slot {
    certificate().slot(0, value)
}

/// What the hardware signs when its counter leaves `value` for `tx`. The same each time.
pub(super) fn proof(value: u64, tx: TxId) -> SlotProof {
    type Proofs = HashMap<(u64, TxId), SlotProof>;
    static SIGNED: LazyLock<Mutex<Proofs>> = LazyLock::new(Mutex::default);
    let mut signed = SIGNED.lock().expect("nobody fails with it in hand");
    signed.entry((value, tx)).or_insert_with(|| sign(value, tx)).clone()
}

fn sign(value: u64, tx: TxId) -> SlotProof {
    let Hardware::Tpm(tpm) = certificate().terms().hardware else { unreachable!("a TPM") };
    let (x, y) = point();
    let counter = Name::of(&counter_public_area(tpm.base));
    let digest = audit_digest(&counter, value, tx.as_bytes()).expect("not at its end");
    let clock = ClockInfo { clock: 1, resets: 0, restarts: 0, safe: true };
    let name = Name::of(&key_public_area(&x, &y));
    let signed = attest(&name, &clock, tpm.firmware, true, &digest);
    let signature: Signature = key().sign_prehash(&sha256(&signed)).expect("32 bytes");
    let signature = signature.normalize_s().to_bytes().into();
    HardwareProof::TpmAudit(TpmAudit { signature, clock, exclusive: true }).into()
}

fn key() -> SigningKey {
    SigningKey::from_slice(&[0x5e; 32]).expect("a scalar")
}

fn point() -> ([u8; 32], [u8; 32]) {
    let point = key().verifying_key().to_sec1_point(false);
    let bytes = |at: usize| point.as_bytes()[at..at + 32].try_into().expect("32 bytes");
    (bytes(1), bytes(33))
}

/// The production check of a proof, with a memory: a model asks the same question very often.
pub(super) struct Remembering;

impl SlotVerifier for Remembering {
    fn attests(
        &self,
        certificate: &SealCertificate,
        slot: &Slot,
        tx: &TxId,
        proof: &SlotProof,
    ) -> Result<(), SlotError> {
        type Question = (SealCertificate, Slot, TxId, SlotProof);
        static KNOWN: LazyLock<Mutex<HashMap<Question, Result<(), SlotError>>>> =
            LazyLock::new(Mutex::default);
        let question = (certificate.clone(), *slot, *tx, proof.clone());
        let mut known = KNOWN.lock().expect("nobody fails with it in hand");
        *known.entry(question).or_insert_with(|| verify_slot(certificate, slot, tx, proof))
    }
}
