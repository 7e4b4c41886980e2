//! Check proofs under certificates that come along with them.

use alloc::vec::Vec;

use crate::id::{NetworkId, TxId};
use crate::keys::PublicKey;
use crate::seal::{SealCertificate, Slot, SlotProof, SlotVerifier, Vouch, verify_slot};
use crate::time::Time;

/// Checks proofs under certificates that somebody else judges, as a device does by each asset's
/// policy. By itself it knows no seal, and accepts no proof.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TpmProofs;

impl SlotVerifier for TpmProofs {
    fn proves(&self, _: &Slot, _: &TxId, _: &SlotProof) -> bool {
        false
    }

    fn attests(
        &self,
        certificate: &SealCertificate,
        slot: &Slot,
        tx_id: &TxId,
        proof: &SlotProof,
    ) -> bool {
        verify_slot(certificate, slot, tx_id, proof).is_ok()
    }
}

/// Accepts proofs under certificates by some enrollers, whatever the asset: what a notary runs, who
/// sees no assets. It keeps nothing, so every validator decides the same, today and later.
///
/// It takes no revocations: who was paid before hearing of one must be able to settle (`SEAL-14`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrollers {
    /// The network on which they count.
    pub network: NetworkId,
    /// Whose word counts.
    pub enrollers: Vec<PublicKey>,
}

impl SlotVerifier for Enrollers {
    fn proves(&self, _: &Slot, _: &TxId, _: &SlotProof) -> bool {
        false
    }

    fn proves_for(
        &self,
        vouch: &Vouch<'_>,
        slot: &Slot,
        until: Time,
        tx_id: &TxId,
        proof: &SlotProof,
    ) -> bool {
        let development = self.network.is_development();
        let counts = |certificate: &&SealCertificate| {
            certificate.covers(slot, until, &self.enrollers, development).is_ok()
                && certificate.check(self.network).is_ok()
        };
        let mut counting = vouch.certificates.iter().filter(counts);
        counting.any(|certificate| verify_slot(certificate, slot, tx_id, proof).is_ok())
    }
}

/// Checks the proofs of spends that a notary has certified: there it was decided whose word counts,
/// and what is left is that the proof is one, under a certificate that its enroller signed.
///
/// Only for looking at what is certified. Whoever decides what may move has [`Enrollers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CertifiedProofs(pub NetworkId);

impl SlotVerifier for CertifiedProofs {
    fn proves(&self, _: &Slot, _: &TxId, _: &SlotProof) -> bool {
        false
    }

    fn proves_for(
        &self,
        vouch: &Vouch<'_>,
        slot: &Slot,
        until: Time,
        tx_id: &TxId,
        proof: &SlotProof,
    ) -> bool {
        vouch.certificates.iter().any(|certificate| {
            let enroller = [certificate.terms().enroller.clone()];
            certificate.covers(slot, until, &enroller, true).is_ok()
                && certificate.check(self.0).is_ok()
                && verify_slot(certificate, slot, tx_id, proof).is_ok()
        })
    }
}
