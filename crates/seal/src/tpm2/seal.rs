//! Seal a device with the counters of a TPM.

use std::fmt;

use tally_core::device::{Entry, Position};
use tally_core::id::{Digest, Head, TxId};
use tally_core::keys::{PublicKey, Signature};
use tally_core::predicate::Sealed;
use tally_core::seal::{
    Hardware, SealCertificate, SealIdentity, Slot, SlotProof, TpmSeal, verify_slot,
};
use tally_core::time::Time;
use zeroize::Zeroizing;

use super::session::Interrupted;
use super::slots::{Course, SlotJournal};
use super::{Address, Chip, SlotFault, TpmError};
use crate::files::Lock;
use crate::journal::Rollback;
use crate::software::{Place, SoftwareSeal};
use crate::{Counters, Purpose, Seal, SealError, SealState, SlotFate};

/// A TPM 2.0 as seal: its counters bind coins, and a keystore signs beside it.
///
/// The owner key is the keystore's, on a curve that no TPM has; whoever copies the keystore can
/// sign with it, but a coin under a slot of this seal does not move by that before its lock ends.
///
/// While one exists, no other process of this user has the same seal open.
pub struct Tpm2Seal {
    software: SoftwareSeal,
    certificate: SealCertificate,
    tpm: TpmSeal,
    chip: Chip,
    slots: SlotJournal,
    taken: usize,
    _lock: Lock,
}

impl Tpm2Seal {
    /// Joins an opened keystore, the TPM at `address`, and the certificate under which the two were
    /// enrolled. Proves once, without a counter, that the TPM attests what the certificate says.
    ///
    /// # Errors
    /// [`SealError::Tpm`]: absent, another TPM or firmware, cleared, a counter deleted;
    /// [`SealError::InUse`], [`SealError::Damaged`], [`SealError::Io`].
    pub fn open(
        place: &Place,
        software: SoftwareSeal,
        address: &Address,
        certificate: SealCertificate,
    ) -> Result<Self, SealError> {
        let lock = Lock::file(&place.in_state(&software.owner_key(), "tpm-lock"))?;
        let chip = Self::connect(address, &certificate)?;
        Self::with(place, software, chip, certificate, lock)
    }

    /// The TPM at `address`, if it is the one that was enrolled: the first half of [`Tpm2Seal::open`],
    /// for whoever goes on without it.
    ///
    /// # Errors
    /// [`SealError::Tpm`] as [`Tpm2Seal::open`].
    pub fn connect(address: &Address, certificate: &SealCertificate) -> Result<Chip, SealError> {
        let tpm = tpm_of(certificate)?;
        let mut chip = Chip::open(address)?;
        match chip.check(&tpm) {
            // The other counters' coins can still be paid; this one says so when it is asked.
            Ok(()) | Err(TpmError::CounterDeleted { .. }) => Ok(chip),
            Err(e) => Err(e.into()),
        }
    }

    /// Joins a keystore to the TPM that [`Tpm2Seal::connect`] found: the second half.
    ///
    /// # Errors
    /// [`SealError::InUse`], [`SealError::Damaged`], [`SealError::Io`].
    pub fn join(
        place: &Place,
        software: SoftwareSeal,
        chip: Chip,
        certificate: SealCertificate,
    ) -> Result<Self, SealError> {
        let lock = Lock::file(&place.in_state(&software.owner_key(), "tpm-lock"))?;
        Self::with(place, software, chip, certificate, lock)
    }

    fn with(
        place: &Place,
        software: SoftwareSeal,
        chip: Chip,
        certificate: SealCertificate,
        lock: Lock,
    ) -> Result<Self, SealError> {
        let tpm = tpm_of(&certificate)?;
        let path = place.in_state(&software.owner_key(), "slots");
        let slots = SlotJournal::open(&path, certificate.seal())?;
        Ok(Self { software, certificate, tpm, chip, slots, taken: 0, _lock: lock })
    }

    /// The keystore that signs beside the TPM.
    pub const fn keystore(&self) -> &SoftwareSeal {
        &self.software
    }

    /// The TPM, for whoever wants to look at it.
    pub const fn chip(&mut self) -> &mut Chip {
        &mut self.chip
    }

    fn fault(slot: &Slot, fault: SlotFault) -> SealError {
        TpmError::Slot { slot: *slot, fault }.into()
    }

    fn course(&mut self, slot: &Slot, tx_id: &TxId) -> Result<Course, SealError> {
        if slot.seal != self.certificate.seal() || self.tpm.handle(slot.counter).is_none() {
            return Ok(Course::No(SlotFault::Foreign));
        }
        // A proof that was made stays good, whatever has become of its counter.
        if let done @ Course::Done(_) = self.slots.course(slot, tx_id, slot.value) {
            return Ok(done);
        }
        let value = self.chip.value(&self.tpm, slot.counter)?;
        Ok(self.slots.course(slot, tx_id, value))
    }
}

impl Seal for Tpm2Seal {
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

    fn lock(&mut self, until: Time, taken: &[Slot]) -> Result<Sealed, SealError> {
        let seal = self.certificate.seal();
        let mut is_taken = vec![false; self.tpm.counters.into()];
        for slot in taken.iter().filter(|slot| slot.seal == seal) {
            if let Some(taken) = is_taken.get_mut(slot.counter as usize) {
                *taken = true;
            }
        }
        self.taken = is_taken.iter().filter(|taken| **taken).count();
        for (counter, _) in (0..).zip(&is_taken).filter(|(_, taken)| !**taken) {
            let value = match self.chip.value(&self.tpm, counter) {
                Err(TpmError::CounterDeleted { .. }) => continue,
                value => value?,
            };
            let until = until.min(self.certificate.terms().expires);
            let slot = Slot { seal, counter, value };
            return Ok(Sealed { key: self.owner_key(), slot, until });
        }
        let last = u32::from(self.tpm.counters.saturating_sub(1));
        Err(Self::fault(&Slot { seal, counter: last, value: 0 }, SlotFault::NoneFree))
    }

    fn prove(&mut self, slot: &Slot, tx_id: &TxId) -> Result<SlotProof, SealError> {
        match self.course(slot, tx_id)? {
            Course::Done(proof) => return Ok(proof),
            Course::No(fault) => return Err(Self::fault(slot, fault)),
            Course::Leave => {}
        }
        self.slots.intend(slot, tx_id)?;
        let proof = match self.chip.prove(&self.tpm, slot, tx_id) {
            Ok(proof) => proof,
            Err(Interrupted::Before(e)) => return Err(e.into()),
            Err(Interrupted::After) => return Err(Self::fault(slot, SlotFault::Burned)),
        };
        if let Err(why) = verify_slot(&self.certificate, slot, tx_id, &proof) {
            return Err(TpmError::Unexpected {
                command: "TPM_CC_GetSessionAuditDigest".into(),
                what: format!("a proof that does not verify ({})", why.code()),
            }
            .into());
        }
        self.slots.done(slot, tx_id, proof.clone())?;
        Ok(proof)
    }

    fn fate(&mut self, slot: &Slot, tx_id: &TxId) -> Result<SlotFate, SealError> {
        Ok(match self.course(slot, tx_id) {
            Ok(Course::Leave) => SlotFate::Open,
            Ok(Course::Done(_)) => SlotFate::Proved,
            Ok(Course::No(fault)) => SlotFate::Lost(fault),
            Err(SealError::Tpm(TpmError::CounterDeleted { .. })) => {
                SlotFate::Lost(SlotFault::Moved)
            }
            Err(e) => return Err(e),
        })
    }

    fn state(&self) -> SealState {
        let total = u32::from(self.tpm.counters);
        let taken = u32::try_from(self.taken).unwrap_or(total);
        let counters = Counters { free: total.saturating_sub(taken), total };
        self.software.state().on_tpm(&self.certificate, counters)
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

fn tpm_of(certificate: &SealCertificate) -> Result<TpmSeal, SealError> {
    match certificate.terms().hardware {
        Hardware::Tpm(tpm) => Ok(tpm),
        _ => Err(SealError::damaged("its enrollment is not a TPM's")),
    }
}

impl fmt::Debug for Tpm2Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tpm2Seal")
            .field("owner", &self.software.owner_key())
            .field("seal", &self.certificate.seal())
            .finish_non_exhaustive()
    }
}
