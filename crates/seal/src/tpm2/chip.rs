//! The part of a TPM that is a seal: an attestation key, and a pool of counters.

use tally_core::id::TxId;
use tally_core::seal::tpm::{COUNTER_ATTRIBUTES, Name, counter_public_area, key_public_area};
use tally_core::seal::{AttestationKey, HardwareProof, MAX_COUNTERS, Slot, SlotProof, TpmSeal};
use tpm2_protocol::data::TpmRcBase;

use super::session::{self, Interrupted};
use super::tpm::{Loaded, Tpm};
use super::wire::{Fields, malformed};
use super::{Address, TpmError};

/// How many counters a seal gets when nothing else is asked for.
pub const DEFAULT_COUNTERS: u16 = 16;

/// Where the first pool of counters goes, in the range of handles that is the owner's.
pub(super) const FIRST_BASE: u32 = 0x0180_7a00;
/// Pools that may lie behind each other: one for each wallet on the machine.
pub(super) const MAX_POOLS: u32 = 64;
/// WRITTEN is the TPM's to set.
const WRITTEN: u32 = 0x2000_0000;

/// A TPM with its attestation key loaded.
#[derive(Debug)]
pub struct Chip {
    tpm: Tpm,
    loaded: Loaded,
    key: AttestationKey,
    firmware: u64,
}

impl Chip {
    /// Opens the TPM and makes its attestation key, which is the same each time.
    ///
    /// # Errors
    /// [`TpmError`]: absent, busy, locked out, or its endorsement hierarchy has a password.
    pub fn open(address: &Address) -> Result<Self, TpmError> {
        let mut tpm = Tpm::open(address)?;
        let firmware = tpm.firmware()?;
        let loaded = tpm.create_attestation_key()?;
        let key = key_of(&loaded.public)
            .ok_or_else(|| malformed(tpm2_protocol::data::TpmCc::CreatePrimary))?;
        Ok(Self { tpm, loaded, key, firmware })
    }

    /// The attestation key.
    pub const fn key(&self) -> AttestationKey {
        self.key
    }

    /// Version of the firmware.
    pub const fn firmware(&self) -> u64 {
        self.firmware
    }

    /// Four letters that name the maker, such as `IFX` or `IBM` (a TPM in software).
    ///
    /// # Errors
    /// What the TPM answers.
    pub fn maker(&mut self) -> Result<String, TpmError> {
        Ok(self.tpm.maker()?)
    }

    /// The TPM itself.
    pub const fn tpm(&mut self) -> &mut Tpm {
        &mut self.tpm
    }

    /// The handle of the attestation key, while this is open.
    pub const fn key_handle(&self) -> u32 {
        self.loaded.handle
    }

    /// The Name of the attestation key.
    pub fn key_name(&self) -> Name {
        Name::of(&self.loaded.public)
    }

    /// Where the counters of a new seal are to go: a base that no index lies behind.
    ///
    /// # Errors
    /// [`TpmError::NoSpace`] when there are too many pools already.
    pub fn free_base(&mut self) -> Result<u32, TpmError> {
        let used = self.tpm.handles(FIRST_BASE)?;
        let pool = u32::from(MAX_COUNTERS);
        let bases = (0..MAX_POOLS).map(|n| FIRST_BASE + n * pool);
        bases
            .into_iter()
            .find(|base| !used.iter().any(|h| (*base..*base + pool).contains(h)))
            .ok_or(TpmError::NoSpace { made: 0 })
    }

    /// Makes counters from `base` on, as many as there is room for up to `wanted`, and brings each
    /// to its first value. Those that are there already stay, so that it can be done again after a
    /// power cut.
    ///
    /// # Errors
    /// [`TpmError::NoSpace`] when there is no room for one; [`TpmError::OwnerAuth`];
    /// [`TpmError::CounterDeleted`] when something else lies at one of the handles.
    pub fn make_counters(&mut self, base: u32, wanted: u16) -> Result<TpmSeal, TpmError> {
        let mut made = 0;
        for handle in (base..).take(wanted.clamp(1, MAX_COUNTERS).into()) {
            match self.make_counter(handle, u32::from(made)) {
                Ok(()) => made += 1,
                Err(TpmError::NoSpace { .. }) if made > 0 => break,
                Err(e) => return Err(e),
            }
        }
        Ok(TpmSeal { key: self.key, base, counters: made, firmware: self.firmware })
    }

    fn make_counter(&mut self, handle: u32, counter: u32) -> Result<(), TpmError> {
        let written = counter_public_area(handle);
        match self.tpm.nv_public(handle) {
            Ok(public) if public.area == written => return Ok(()),
            Ok(public) if public.area == unwritten(written) => {}
            Ok(_) => return Err(TpmError::CounterDeleted { counter }),
            Err(e) if e.is_no_such_handle() => {
                self.tpm.nv_define(handle, COUNTER_ATTRIBUTES & !WRITTEN, 8)?;
            }
            Err(e) => return Err(e.into()),
        }
        Ok(self.tpm.nv_increment(handle)?)
    }

    /// Deletes a seal's counters. No proof for any of their slots can be made any more.
    ///
    /// # Errors
    /// What the TPM answers.
    pub fn delete_counters(&mut self, seal: &TpmSeal) -> Result<(), TpmError> {
        for handle in (seal.base..).take(seal.counters.into()) {
            match self.tpm.nv_undefine(handle) {
                Err(e) if e.base() == Some(TpmRcBase::Handle) => {}
                done => done?,
            }
        }
        Ok(())
    }

    /// Whether this TPM is the one that was enrolled as `seal`, and every counter is still there.
    ///
    /// # Errors
    /// [`TpmError::OtherTpm`], [`TpmError::Firmware`], [`TpmError::Cleared`],
    /// [`TpmError::CounterDeleted`], [`TpmError::OwnerAuth`].
    pub fn check(&mut self, seal: &TpmSeal) -> Result<(), TpmError> {
        if self.key != seal.key {
            return Err(TpmError::OtherTpm);
        }
        if self.firmware != seal.firmware {
            return Err(TpmError::Firmware { enrolled: seal.firmware, now: self.firmware });
        }
        let mut first_gone = None;
        let mut there = 0;
        for counter in 0..u32::from(seal.counters) {
            match self.check_counter(seal, counter) {
                Ok(()) => there += 1,
                Err(TpmError::CounterDeleted { .. }) => {
                    first_gone.get_or_insert(counter);
                }
                Err(e) => return Err(e),
            }
        }
        session::rehearse(&mut self.tpm, self.loaded.handle)?;
        match first_gone {
            Some(_) if there == 0 => Err(TpmError::Cleared),
            Some(counter) => Err(TpmError::CounterDeleted { counter }),
            None => Ok(()),
        }
    }

    fn check_counter(&mut self, seal: &TpmSeal, counter: u32) -> Result<(), TpmError> {
        let gone = TpmError::CounterDeleted { counter };
        let Some(handle) = seal.handle(counter) else { return Err(gone) };
        match self.tpm.nv_public(handle) {
            Ok(public) if public.area == counter_public_area(handle) => Ok(()),
            Err(e) if !e.is_no_such_handle() => Err(e.into()),
            _ => Err(gone),
        }
    }

    /// The value that a counter is at.
    ///
    /// # Errors
    /// [`TpmError::CounterDeleted`] and what else the TPM answers.
    pub fn value(&mut self, seal: &TpmSeal, counter: u32) -> Result<u64, TpmError> {
        self.check_counter(seal, counter)?;
        let handle = seal.handle(counter).ok_or(TpmError::CounterDeleted { counter })?;
        Ok(self.tpm.nv_read_counter(handle)?)
    }

    /// Moves a counter out of a slot that it is at, and has the TPM attest for which transaction.
    /// The caller has made its intent durable.
    pub(crate) fn prove(
        &mut self,
        seal: &TpmSeal,
        slot: &Slot,
        tx_id: &TxId,
    ) -> Result<SlotProof, Interrupted> {
        let gone = TpmError::CounterDeleted { counter: slot.counter };
        let handle = seal.handle(slot.counter).ok_or(Interrupted::Before(gone))?;
        let key = self.loaded.handle;
        session::audit_increment(&mut self.tpm, key, handle, slot.value, tx_id.as_bytes())
            .map(|audit| HardwareProof::TpmAudit(audit).into())
    }
}

impl Drop for Chip {
    fn drop(&mut self) {
        // Behind no resource manager the key would stay and take room; behind one it does no harm.
        let _ = self.tpm.flush(self.loaded.handle);
    }
}

fn unwritten(mut area: [u8; 14]) -> [u8; 14] {
    area[6] &= !0x20;
    area
}

/// The attestation key's point, if the public area is exactly that of one.
pub(crate) fn key_of(public: &[u8]) -> Option<AttestationKey> {
    let mut r = Fields::new(public);
    r.take(20)?;
    let (x, y) = (padded(r.sized()?)?, padded(r.sized()?)?);
    (key_public_area(&x, &y) == public).then(|| AttestationKey::from_coordinates(&x, &y))
}

fn padded(number: &[u8]) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    bytes.get_mut(32_usize.checked_sub(number.len())?..)?.copy_from_slice(number);
    Some(bytes)
}
