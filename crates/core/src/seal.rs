//! Say which seal keeps a device from forking, and check what it proves.
//!
//! A *seal* is what signs for a device. A software seal promises nothing about the future; a
//! hardware seal owns counters that only move forward, and proves for which transaction a counter
//! left a *slot*. How such a proof is checked depends on the hardware, so the verifier takes a
//! [`SlotVerifier`]; [`NoSeals`] accepts none, which is right wherever no hardware is enrolled.

use crate::cbor::{Blob, Decode, DecodeError, Encode, Reader, Writer, record};
use crate::id::{Digest, TxId};

/// Longest proof that a seal may give for one slot, in bytes.
pub const MAX_SLOT_PROOF: usize = 512;

/// Which seal a device has. Part of its identity: another seal is another device.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum SealIdentity {
    /// A key in software: it can be copied, and a copy can fork.
    Software,
    /// Hardware, named by the hash of its enrollment certificate.
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

/// A hardware seal: the hash of its enrollment certificate.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct SealId(Digest);

impl SealId {
    /// Takes the certificate's hash.
    pub const fn new(certificate: Digest) -> Self {
        Self(certificate)
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

/// Checks slot proofs against the seals that are trusted. Pure: no hardware is asked.
pub trait SlotVerifier {
    /// Whether `proof` shows that the counter left `slot` for exactly `tx_id`.
    ///
    /// An implementation must hold that no two transactions ever both have a proof for one slot,
    /// under the assumption that the seal's hardware is genuine and unbroken.
    fn proves(&self, slot: &Slot, tx_id: &TxId, proof: &SlotProof) -> bool;
}

/// Accepts no slot proof: for a verifier that trusts no enrolled hardware.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NoSeals;

impl SlotVerifier for NoSeals {
    fn proves(&self, _: &Slot, _: &TxId, _: &SlotProof) -> bool {
        false
    }
}
