//! Say which seal keeps a device from forking, and check what it proves.
//!
//! A *seal* is what signs for a device. A software seal promises nothing about the future; a
//! hardware seal owns counters that only move forward, and proves for which transaction a counter
//! left a *slot* (spec `SEAL-1` to `SEAL-16`). [`SealCertificate`] says whose hardware it is by an
//! enroller's word, [`HardwareProof`] is what the hardware signed, [`tpm`] rebuilds what that was.
//!
//! Whether a proof counts is for a [`Judge`] to say, and for nothing else. Checking what hardware
//! signed needs its curve, P-256, which is behind the feature `p256`: with it, `verify_slot` checks
//! one proof under one certificate, and `TpmProofs` brings that to a judge. [`NoSeals`] accepts no
//! proof, which is right wherever no hardware is enrolled.

mod certificate;
mod judge;
mod proof;
mod refusal;
mod revocation;
pub mod tpm;

#[cfg(feature = "p256")]
mod verify;

#[cfg(feature = "p256")]
pub use verify::{TpmProofs, low_s, verify_slot};

pub use certificate::{
    AttestationKey, CERTIFICATE_VERSION, EnrollmentError, Hardware, MAX_CERTIFICATE, MAX_COUNTERS,
    MAX_SEAL_LABEL, SealCertificate, SealLabel, SealTerms, TpmSeal,
};
pub use judge::{Certificates, Judge, KnownSeals, Revocations, Verdict, Word, hear};
pub use proof::{ClockInfo, HardwareProof, MAX_TPM_PROOF, TpmAudit};
pub use refusal::{SealRefusal, SlotError};
pub use revocation::{MAX_REVOKED, REVOCATION_VERSION, Revocation, RevocationTerms};

use crate::cbor::{Blob, Decode, DecodeError, Encode, Reader, Writer, record};
use crate::id::{Digest, TxId};

/// Longest proof that a seal of any kind may give for one slot, in bytes.
pub const MAX_SLOT_PROOF: usize = 512;

/// Which seal a device has. Part of its identity: another seal is another device.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum SealIdentity {
    /// A key in software: it can be copied, and a copy can fork.
    Software,
    /// Hardware, named by the hash of what its proofs are checked against.
    Hardware(SealId),
}

impl Encode for SealIdentity {
    fn encode(&self, w: &mut Writer) {
        match self {
            Self::Software => {
                w.array(1);
                w.uint(0);
            }
            Self::Hardware(id) => {
                w.array(2);
                w.uint(1);
                id.encode(w);
            }
        }
    }
}

impl Decode for SealIdentity {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.variant(|r, kind, rest| match (kind, rest) {
            (0, 0) => Ok(Self::Software),
            (1, 1) => SealId::decode(r).map(Self::Hardware),
            (0 | 1, _) => Err(DecodeError::WrongLength),
            _ => Err(DecodeError::Unknown),
        })
    }
}

/// A hardware seal: the hash of the key and the counters that its enrollment certificate names.
///
/// It names the hardware and not the certificate, so that a certificate can be renewed, and it
/// names all that a slot's one proof is checked against (spec `SEAL-3`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct SealId(Digest);

impl SealId {
    /// Takes the hash.
    pub const fn new(hardware: Digest) -> Self {
        Self(hardware)
    }

    /// The hash's bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

impl core::fmt::Display for SealId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

impl Encode for SealId {
    fn encode(&self, w: &mut Writer) {
        self.0.encode(w);
    }
}

impl Decode for SealId {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Digest::decode(r).map(Self)
    }
}

/// One value of one hardware counter: a coin bound to it can move once, when the counter leaves it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Slot {
    /// The seal that owns the counter.
    pub seal: SealId,
    /// Which of the seal's counters.
    pub counter: u32,
    /// The counter's value.
    pub value: u64,
}

record!(Slot { seal, counter, value });

impl Slot {
    /// The slot that the counter reaches by leaving this one, unless it is at its end.
    pub fn next(self) -> Option<Self> {
        self.value.checked_add(1).map(|value| Self { value, ..self })
    }
}

/// What a seal gives as proof that a counter left a slot for one transaction.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SlotProof(Blob<MAX_SLOT_PROOF>);

impl SlotProof {
    /// Takes the proof's bytes.
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`] above [`MAX_SLOT_PROOF`] bytes.
    pub fn new(bytes: alloc::vec::Vec<u8>) -> Result<Self, DecodeError> {
        Blob::new(bytes).map(Self)
    }

    /// The proof's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl Encode for SlotProof {
    fn encode(&self, w: &mut Writer) {
        self.0.encode(w);
    }
}

impl Decode for SlotProof {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Blob::decode(r).map(Self)
    }
}

/// Checks what hardware signed, under a certificate that somebody else judges. Pure: no hardware is
/// asked.
pub trait SlotVerifier {
    /// Whether `proof` shows, under exactly this certificate, that the counter left `slot` for exactly
    /// `tx_id`.
    ///
    /// An implementation must hold that no two transactions ever both have a proof for one slot,
    /// under the assumption that the seal's hardware is genuine and unbroken.
    ///
    /// # Errors
    /// [`SlotError`] for the first rule that it breaks.
    fn attests(
        &self,
        certificate: &SealCertificate,
        slot: &Slot,
        tx_id: &TxId,
        proof: &SlotProof,
    ) -> Result<(), SlotError>;
}

/// Accepts no slot proof: for a verifier that trusts no enrolled hardware.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NoSeals;

impl SlotVerifier for NoSeals {
    fn attests(
        &self,
        _: &SealCertificate,
        _: &Slot,
        _: &TxId,
        _: &SlotProof,
    ) -> Result<(), SlotError> {
        Err(SlotError::Signature)
    }
}

#[cfg(all(test, feature = "p256"))]
mod tests;
