//! Check that hardware left a slot for one transaction: from bytes alone, no hardware is asked.

use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::ecdsa::{Signature, VerifyingKey};

use crate::cbor::DecodeError;
use crate::hash::sha256;
use crate::id::TxId;
use crate::seal::tpm::{Name, attest, audit_digest, counter_public_area, key_public_area};
use crate::seal::{
    AttestationKey, Hardware, HardwareProof, SealCertificate, SealId, Slot, SlotProof, TpmAudit,
    TpmSeal,
};

/// Why a slot proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SlotError {
    /// The proof's bytes are of no known kind of hardware (structural).
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The slot is of another seal than the certificate.
    #[error("the coin is bound to another seal than this one: ask for that seal's enrollment")]
    Seal,
    /// The seal has no such counter, or its counter can count no further.
    #[error("the seal has no such counter, or it is at its end: the lock's end frees the coin")]
    Counter,
    /// The certificate's attestation key is no point of its curve.
    #[error("the seal's key is no key: its enroller made a mistake, enroll it again")]
    Key,
    /// The hardware did not sign that the counter left this slot for this transaction.
    #[error("the seal's proof is not for this payment: its counter may have paid somebody else")]
    Signature,
}

impl SlotError {
    /// Stable code of this error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Decode(e) => e.code(),
            Self::Seal => "SLOT_SEAL",
            Self::Counter => "SLOT_COUNTER",
            Self::Key => "SLOT_KEY",
            Self::Signature => "SLOT_SIGNATURE",
        }
    }
}

/// Whether `proof` shows that the counter of `slot` left it for exactly `tx_id`.
///
/// There is one such transaction for each slot, ever, if the certificate's hardware is genuine and
/// unbroken and its model keeps the highest count over deletion and clearing (spec `SEAL-1`).
/// Whether the certificate is to be believed is not checked here: see `Seals`.
///
/// # Errors
/// [`SlotError`] for the first rule that it breaks.
pub fn verify_slot(
    certificate: &SealCertificate,
    slot: &Slot,
    tx_id: &TxId,
    proof: &SlotProof,
) -> Result<(), SlotError> {
    Checker::new(&certificate.terms().hardware)?.verify(slot, tx_id, proof)
}

/// The low-S form of a P-256 signature R‖S, as slot proofs carry it; none when it is no signature.
pub fn low_s(signature: &[u8; 64]) -> Option<[u8; 64]> {
    Signature::from_slice(signature).ok().map(|s| s.normalize_s().to_bytes().into())
}

/// A seal's hardware with what every check of its proofs needs.
#[derive(Clone, Debug)]
pub(crate) struct Checker {
    seal: SealId,
    tpm: TpmSeal,
    key: VerifyingKey,
    name: Name,
}

impl Checker {
    pub(crate) fn new(hardware: &Hardware) -> Result<Self, SlotError> {
        let Hardware::Tpm(tpm) = hardware;
        let (key, name) = key_and_name(&tpm.key)?;
        Ok(Self { seal: hardware.seal(), tpm: *tpm, key, name })
    }

    pub(crate) fn verify(
        &self,
        slot: &Slot,
        tx_id: &TxId,
        proof: &SlotProof,
    ) -> Result<(), SlotError> {
        if slot.seal != self.seal {
            return Err(SlotError::Seal);
        }
        let handle = self.tpm.handle(slot.counter).ok_or(SlotError::Counter)?;
        let counter = Name::of(&counter_public_area(handle));
        let digest =
            audit_digest(&counter, slot.value, tx_id.as_bytes()).ok_or(SlotError::Counter)?;
        let HardwareProof::TpmAudit(TpmAudit { signature, clock, exclusive }) = proof.try_into()?;
        let signed = attest(&self.name, &clock, self.tpm.firmware, exclusive, &digest);
        // With S negated the signature would verify too: a proof has one form.
        let low = low_s(&signature).is_some_and(|low| low == signature);
        let signature = Signature::from_slice(&signature).map_err(|_| SlotError::Signature)?;
        if low && self.key.verify_prehash(&sha256(&signed), &signature).is_ok() {
            Ok(())
        } else {
            Err(SlotError::Signature)
        }
    }
}

/// The key in the form that verifies, and the Name that it has in its TPM.
fn key_and_name(key: &AttestationKey) -> Result<(VerifyingKey, Name), SlotError> {
    let key = VerifyingKey::from_sec1_bytes(key.as_bytes()).map_err(|_| SlotError::Key)?;
    let point = key.to_sec1_point(false);
    let coordinate = |bytes: &[u8]| <[u8; 32]>::try_from(bytes).map_err(|_| SlotError::Key);
    let (x, y) = point.x().zip(point.y()).ok_or(SlotError::Key)?;
    let name = Name::of(&key_public_area(&coordinate(x)?, &coordinate(y)?));
    Ok((key, name))
}
