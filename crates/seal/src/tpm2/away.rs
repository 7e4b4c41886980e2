//! Keep a device going whose TPM is not there, or is not the one that was enrolled any more.

use std::fmt;

use tally_core::device::{Entry, Position};
use tally_core::id::{Digest, Head, TxId};
use tally_core::keys::{PublicKey, Signature};
use tally_core::predicate::Sealed;
use tally_core::seal::{SealCertificate, SealIdentity, Slot, SlotProof};
use tally_core::time::Time;
use zeroize::Zeroizing;

use super::slots::{Course, SlotJournal};
use super::{SlotFault, TpmError};
use crate::journal::Rollback;
use crate::software::{Place, SoftwareSeal};
use crate::{Counters, Purpose, Seal, SealError, SealState, SlotFate};

/// What is left of a [`Tpm2Seal`](super::Tpm2Seal) without its TPM: the keystore, the enrollment, and
/// the proofs that were made.
///
/// The device stays who it is: it receives under its key alone, and pays with coins that its key
/// alone moves. A coin under a slot waits for the TPM, or for the end of its lock.
pub struct AwayTpm {
    software: SoftwareSeal,
    certificate: SealCertificate,
    slots: SlotJournal,
    why: TpmError,
}

impl AwayTpm {
    /// Whether a device goes on without its TPM when this is what is wrong with it. Other errors are
    /// of the moment: try again.
    pub const fn is_lasting(why: &TpmError) -> bool {
        matches!(
            why,
            TpmError::Absent { .. }
                | TpmError::Cleared
                | TpmError::OtherTpm
                | TpmError::Firmware { .. }
                | TpmError::OwnerAuth { .. }
        )
    }

    /// Joins an opened keystore and its enrollment; `why` is what is wrong with the TPM.
    ///
    /// # Errors
    /// [`SealError::Damaged`], [`SealError::Io`].
    pub fn open(
        place: &Place,
        software: SoftwareSeal,
        certificate: SealCertificate,
        why: TpmError,
    ) -> Result<Self, SealError> {
        let owner = software.owner_key();
        let slots = SlotJournal::open(&place.in_state(&owner, "slots"), certificate.seal())?;
        Ok(Self { software, certificate, slots, why })
    }

    /// The keystore.
    pub const fn keystore(&self) -> &SoftwareSeal {
        &self.software
    }

    /// What is wrong with the TPM.
    pub const fn why(&self) -> &TpmError {
        &self.why
    }

    /// A proof that was made stays good. All else is as the TPM is: gone for good after a Clear,
    /// unknown otherwise.
    fn course(&self, slot: &Slot, tx_id: &TxId) -> Result<Course, SealError> {
        if slot.seal != self.certificate.seal() {
            return Ok(Course::No(SlotFault::Foreign));
        }
        match self.slots.course(slot, tx_id, slot.value) {
            Course::Leave if self.why == TpmError::Cleared => Ok(Course::No(SlotFault::Moved)),
            Course::Leave => Err(self.why.clone().into()),
            known => Ok(known),
        }
    }
}

impl Seal for AwayTpm {
    fn owner_key(&self) -> PublicKey {
        self.software.owner_key()
    }

    fn identity(&self) -> SealIdentity {
        SealIdentity::Hardware(self.certificate.seal())
    }

    fn certificate(&self) -> Option<&SealCertificate> {
        Some(&self.certificate)
    }

    fn sign(&mut self, digest: &Digest) -> Result<Signature, SealError> {
        self.software.sign(digest)
    }

    fn lock(&mut self, _: Time, _: &[Slot]) -> Result<Sealed, SealError> {
        Err(self.why.clone().into())
    }

    fn prove(&mut self, slot: &Slot, tx_id: &TxId) -> Result<SlotProof, SealError> {
        match self.course(slot, tx_id)? {
            Course::Done(proof) => Ok(proof),
            Course::No(fault) => Err(TpmError::Slot { slot: *slot, fault }.into()),
            Course::Leave => Err(self.why.clone().into()),
        }
    }

    fn fate(&mut self, slot: &Slot, tx_id: &TxId) -> Result<SlotFate, SealError> {
        match self.course(slot, tx_id)? {
            Course::Done(_) => Ok(SlotFate::Proved),
            Course::No(fault) => Ok(SlotFate::Lost(fault)),
            Course::Leave => Err(self.why.clone().into()),
        }
    }

    fn state(&self) -> SealState {
        let tally_core::seal::Hardware::Tpm(tpm) = self.certificate.terms().hardware else {
            return self.software.state();
        };
        let counters = Counters { free: 0, total: tpm.counters.into() };
        let state = self.software.state().on_tpm(&self.certificate, counters);
        SealState { fault: Some(self.why.to_string()), ..state }
    }

    fn derive(&self, purpose: Purpose) -> Zeroizing<[u8; 32]> {
        self.software.derive(purpose)
    }

    fn check(&self, seq: u64, head: &Head) -> Rollback {
        self.software.check(seq, head)
    }

    fn journal(&self) -> Option<Position> {
        self.software.journal()
    }

    fn observe(&mut self, entry: &Entry) -> Result<(), SealError> {
        self.software.observe(entry)
    }

    fn adopt(&mut self, seq: u64, head: &Head) -> Result<(), SealError> {
        self.software.adopt(seq, head)
    }
}

impl fmt::Debug for AwayTpm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwayTpm")
            .field("seal", &self.certificate.seal())
            .field("why", &self.why)
            .finish_non_exhaustive()
    }
}
