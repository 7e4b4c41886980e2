//! Check that hardware left a slot for one transaction: from bytes alone, no hardware is asked.

use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::ecdsa::{Signature, VerifyingKey};

use crate::hash::sha256;
use crate::id::TxId;
use crate::seal::tpm::{Name, attest, audit_digest, counter_public_area, key_public_area};
use crate::seal::{
    AttestationKey, Hardware, HardwareProof, SealCertificate, Slot, SlotError, SlotProof,
    SlotVerifier, TpmAudit,
};

/// Whether `proof` shows that the counter of `slot` left it for exactly `tx_id`.
///
/// There is one such transaction for each slot, ever, if the certificate's hardware is genuine and
/// unbroken and its model keeps the highest count over deletion and clearing (spec `SEAL-1`).
/// Whether the certificate is to be believed is for a [`Judge`](crate::seal::Judge) to say.
///
/// # Errors
/// [`SlotError`] for the first rule that it breaks.
pub fn verify_slot(
    certificate: &SealCertificate,
    slot: &Slot,
    tx_id: &TxId,
    proof: &SlotProof,
) -> Result<(), SlotError> {
    let Hardware::Tpm(tpm) = &certificate.terms().hardware;
    let (key, name) = key_and_name(&tpm.key)?;
    if slot.seal != certificate.seal() {
        return Err(SlotError::Seal);
    }
    let handle = tpm.handle(slot.counter).ok_or(SlotError::Counter)?;
    let counter = Name::of(&counter_public_area(handle));
    let digest = audit_digest(&counter, slot.value, tx_id.as_bytes()).ok_or(SlotError::Counter)?;
    let HardwareProof::TpmAudit(TpmAudit { signature, clock, exclusive }) = proof.try_into()?;
    let signed = attest(&name, &clock, tpm.firmware, exclusive, &digest);
    // With S negated the signature would verify too: a proof has one form.
    let low = low_s(&signature).is_some_and(|low| low == signature);
    let signature = Signature::from_slice(&signature).map_err(|_| SlotError::Signature)?;
    if low && key.verify_prehash(&sha256(&signed), &signature).is_ok() {
        Ok(())
    } else {
        Err(SlotError::Signature)
    }
}

/// Checks what TPMs signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TpmProofs;

impl SlotVerifier for TpmProofs {
    fn attests(
        &self,
        certificate: &SealCertificate,
        slot: &Slot,
        tx_id: &TxId,
        proof: &SlotProof,
    ) -> Result<(), SlotError> {
        verify_slot(certificate, slot, tx_id, proof)
    }
}

/// The low-S form of a P-256 signature R‖S, as slot proofs carry it; none when it is no signature.
pub fn low_s(signature: &[u8; 64]) -> Option<[u8; 64]> {
    Signature::from_slice(signature).ok().map(|s| s.normalize_s().to_bytes().into())
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
