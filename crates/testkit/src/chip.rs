//! A MODEL of a hardware seal, no seal: counters, and a key that signs what they did; or proofs that come
//! from elsewhere.
//!
//! What it signs is in a TPM's own form and is checked by production code; that a TPM keeps the promise
//! that the model makes is for the tests against one to show (`crates/seal/tests`).

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt;

use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::ecdsa::{Signature, SigningKey};
use tally_core::hash::sha256;
use tally_core::id::{NetworkId, TxId};
use tally_core::keys::{PublicKey, SecretKey};
use tally_core::predicate::Sealed;
use tally_core::seal::tpm::{Name, attest, audit_digest, counter_public_area, key_public_area};
use tally_core::seal::{
    AttestationKey, CERTIFICATE_VERSION, ClockInfo, Hardware, HardwareProof, SealCertificate,
    SealLabel, SealTerms, Slot, SlotProof, TpmAudit, TpmSeal,
};
use tally_core::time::Time;

/// How many counters a chip has.
const COUNTERS: u16 = 16;
/// What a counter shows when nothing was left yet.
const FIRST: u64 = 5;
/// How long a coin that arrives is locked to the counters, in seconds, as a wallet locks it.
const LOCK_SECONDS: u64 = 30 * 24 * 60 * 60;

/// Whoever vouches for every chip.
pub fn enroller() -> SecretKey {
    SecretKey::new([0xed; 32]).expect("a scalar")
}

/// What has become of a slot that is to be left for a payment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// The counter is at it.
    Open,
    /// It was left for this very payment, and the proof is here.
    Proved,
    /// It gives no proof any more: something that is not known here may have moved the counter.
    Moved,
}

/// Makes the proof that a slot was left for a payment.
type Prove = dyn FnMut(&Slot, &TxId) -> SlotProof;

/// What proves that a slot was left.
#[derive(Clone)]
enum Prover {
    /// A key in memory.
    Key(SigningKey),
    /// Something else. Whoever clones it has the same, not another.
    Other(Rc<RefCell<Prove>>),
}

/// Counters that only go up, whatever becomes of the disk beside them, and what they proved.
#[derive(Clone, Debug)]
pub struct Chip {
    prover: Prover,
    certificate: SealCertificate,
    values: Vec<u64>,
    proved: BTreeMap<Slot, (TxId, SlotProof)>,
    /// Whether it answers.
    pub is_here: bool,
}

impl Chip {
    /// A chip whose key is made of one byte, enrolled.
    pub fn new(seed: u8) -> Self {
        let key = SigningKey::from_slice(&[seed.max(1); 32]).expect("a scalar");
        let (x, y) = point(&key);
        let key_there = AttestationKey::from_coordinates(&x, &y);
        let tpm = TpmSeal { key: key_there, base: 0x0180_0000, counters: COUNTERS, firmware: 1 };
        let terms = SealTerms {
            version: CERTIFICATE_VERSION,
            network: NetworkId::LOCAL,
            hardware: Hardware::Tpm(tpm),
            label: SealLabel::new("a model").expect("short"),
            development: true,
            expires: Time::from_unix(4_000_000_000),
            enroller: PublicKey::clone(&enroller().public()),
        };
        let certificate = SealCertificate::issue(terms, &enroller());
        Self::of(certificate, COUNTERS, FIRST, Prover::Key(key))
    }

    /// A chip whose counters all begin at a value, and whose proofs come from elsewhere.
    pub fn proved_by(
        certificate: SealCertificate,
        first: u64,
        prove: impl FnMut(&Slot, &TxId) -> SlotProof + 'static,
    ) -> Self {
        let Hardware::Tpm(tpm) = certificate.terms().hardware else { unreachable!("a TPM") };
        Self::of(certificate, tpm.counters, first, Prover::Other(Rc::new(RefCell::new(prove))))
    }

    fn of(certificate: SealCertificate, counters: u16, first: u64, prover: Prover) -> Self {
        let values = vec![first; usize::from(counters)];
        Self { prover, certificate, values, proved: BTreeMap::new(), is_here: true }
    }

    /// Its enrollment.
    pub const fn certificate(&self) -> &SealCertificate {
        &self.certificate
    }

    /// The lock of a coin that arrives: under a counter that no coin is under.
    pub fn lock(&self, owner: &PublicKey, now: Time, taken: &[Slot]) -> Option<Sealed> {
        let is_free = |counter: &u32| taken.iter().all(|slot| slot.counter != *counter);
        let counters = u32::try_from(self.values.len()).ok()?;
        let counter = (0..counters).find(is_free).filter(|_| self.is_here)?;
        let slot = self.certificate.slot(counter, self.value(counter)?);
        Some(Sealed { key: owner.clone(), slot, until: now.plus(LOCK_SECONDS) })
    }

    /// What has become of a slot; nothing if the chip does not answer.
    pub fn fate(&self, slot: &Slot, tx: &TxId) -> Option<Fate> {
        if !self.is_here {
            return None;
        }
        match self.proved.get(slot) {
            Some((of, _)) if of == tx => Some(Fate::Proved),
            _ if self.value(slot.counter) == Some(slot.value) => Some(Fate::Open),
            _ => Some(Fate::Moved),
        }
    }

    /// Leaves a slot for a payment, and proves it; the same proof again for the same payment. Nothing
    /// if it cannot, ever.
    pub fn prove(&mut self, slot: &Slot, tx: &TxId) -> Option<SlotProof> {
        match self.fate(slot, tx)? {
            Fate::Proved => {}
            Fate::Open => {
                let proof = self.sign(slot, tx)?;
                *self.values.get_mut(usize::try_from(slot.counter).ok()?)? += 1;
                self.proved.insert(*slot, (*tx, proof));
            }
            Fate::Moved => return None,
        }
        self.proved.get(slot).map(|(_, proof)| proof.clone())
    }

    /// Loses what it proved, as another machine's folder does not have it; the counters stay.
    pub fn lose_proofs(&mut self) {
        self.proved.clear();
    }

    /// Loses the proof of one slot: power failed between its counter's step and the answer.
    pub fn lose_proof(&mut self, slot: &Slot) {
        self.proved.remove(slot);
    }

    fn value(&self, counter: u32) -> Option<u64> {
        self.values.get(usize::try_from(counter).ok()?).copied()
    }

    fn sign(&self, slot: &Slot, tx: &TxId) -> Option<SlotProof> {
        let key = match &self.prover {
            Prover::Key(key) => key,
            Prover::Other(prove) => return Some(prove.borrow_mut()(slot, tx)),
        };
        let Hardware::Tpm(tpm) = self.certificate.terms().hardware else { return None };
        let (x, y) = point(key);
        let counter = Name::of(&counter_public_area(tpm.handle(slot.counter)?));
        let digest = audit_digest(&counter, slot.value, tx.as_bytes())?;
        let clock = ClockInfo { clock: 1, resets: 0, restarts: 0, safe: true };
        let name = Name::of(&key_public_area(&x, &y));
        let signed = attest(&name, &clock, tpm.firmware, true, &digest);
        let signature: Signature = key.sign_prehash(&sha256(&signed)).ok()?;
        let signature = signature.normalize_s().to_bytes().into();
        Some(HardwareProof::TpmAudit(TpmAudit { signature, clock, exclusive: true }).into())
    }
}

impl fmt::Debug for Prover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prover(..)")
    }
}

fn point(key: &SigningKey) -> ([u8; 32], [u8; 32]) {
    let point = key.verifying_key().to_sec1_point(false);
    let bytes = |at: usize| point.as_bytes()[at..at + 32].try_into().expect("32 bytes");
    (bytes(1), bytes(33))
}
