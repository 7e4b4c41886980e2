//! Bind a wallet to the counters of a TPM, and do with them what the device asks.
//!
//! The order of a sealed payment: the intent is durable, the journal knows the step, every slot is
//! proved, and only then is anything signed. So where the seal gives no proof, nothing was signed, and
//! the payment is given up (`docs/wallet.md`).

use std::ops::{Deref, DerefMut};

use tally_agent::Proved;
use tally_core::cbor::from_bytes;
use tally_core::device::{Device, Input, World};
use tally_core::id::TxId;
use tally_core::predicate::Predicate;
use tally_core::seal::{SealCertificate, SealIdentity, Slot, TpmProofs};
use tally_seal::software::{Place, SoftwareSeal};
use tally_seal::tpm2::{Address, AwayTpm, SlotFault, Tpm2Seal, TpmError};
use tally_seal::{Seal, SealError, SlotFate};
use zeroize::Zeroizing;

use crate::wallet::now;
use crate::{StoreError, Wallet, WalletError};

/// How long a coin that arrives is locked to this device's hardware, in seconds: until then it pays at
/// tier `Sealed`, and if the hardware breaks it waits that long.
pub const LOCK_SECONDS: u64 = 30 * 24 * 60 * 60;

/// The record of where a wallet's TPM is, and the one of its enrollment.
pub(crate) const TPM: &str = "tpm";
pub(crate) const ENROLLMENT: &str = "enrollment";

/// What signs for a wallet.
pub(crate) enum DeviceSeal {
    Software(Box<SoftwareSeal>),
    Tpm(Box<Tpm2Seal>),
    /// A TPM that is not there, or is not the one that was enrolled any more.
    Away(Box<AwayTpm>),
}

impl Deref for DeviceSeal {
    type Target = dyn Seal;
    fn deref(&self) -> &Self::Target {
        match self {
            Self::Software(seal) => seal.as_ref(),
            Self::Tpm(seal) => seal.as_ref(),
            Self::Away(seal) => seal.as_ref(),
        }
    }
}

impl DerefMut for DeviceSeal {
    fn deref_mut(&mut self) -> &mut Self::Target {
        match self {
            Self::Software(seal) => seal.as_mut(),
            Self::Tpm(seal) => seal.as_mut(),
            Self::Away(seal) => seal.as_mut(),
        }
    }
}

impl DeviceSeal {
    /// The seal of a wallet whose keystore is open, with its TPM if it has one. `meta` gives the
    /// wallet's records.
    pub(crate) fn of<'a>(
        place: &Place,
        software: SoftwareSeal,
        meta: impl Fn(&str) -> Option<&'a [u8]>,
    ) -> Result<Self, WalletError> {
        let (Some(address), Some(certificate)) = (meta(TPM), meta(ENROLLMENT)) else {
            return Ok(Self::Software(Box::new(software)));
        };
        let certificate: SealCertificate = from_bytes(certificate).map_err(|_| damaged())?;
        let address = address_of(address)?.ok_or_else(damaged)?;
        match Tpm2Seal::connect(&address, &certificate) {
            Ok(chip) => {
                let seal = Tpm2Seal::join(place, software, chip, certificate)?;
                Ok(Self::Tpm(Box::new(seal)))
            }
            Err(SealError::Tpm(why)) if AwayTpm::is_lasting(&why) => {
                let seal = AwayTpm::open(place, software, certificate, why)?;
                Ok(Self::Away(Box::new(seal)))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The owner key, for a backup.
    pub(crate) fn export(&self) -> Zeroizing<[u8; 32]> {
        match self {
            Self::Software(seal) => seal.export(),
            Self::Tpm(seal) => seal.keystore().export(),
            Self::Away(seal) => seal.keystore().export(),
        }
    }
}

impl Wallet {
    /// The seal gave no proof. If it never will, the device is told which slots are gone; and if
    /// anything but this wallet has moved a counter, the wallet may have been set back, and only
    /// receives from now on.
    pub(crate) fn without_proof(
        &mut self,
        tx: &TxId,
        slots: &[Slot],
        error: SealError,
    ) -> Result<Proved, WalletError> {
        let set_back = match &error {
            SealError::Tpm(TpmError::Slot { fault: SlotFault::Burned, .. })
            | SealError::Tpm(TpmError::CounterDeleted { .. } | TpmError::Cleared) => false,
            // After a Clear nothing but the Clear has moved it.
            SealError::Tpm(TpmError::Slot { fault: SlotFault::Moved, .. })
                if matches!(&self.seal, DeviceSeal::Away(_)) =>
            {
                false
            }
            SealError::Tpm(TpmError::Slot { .. }) => true,
            // The hardware is not there, or busy: the payment waits for it.
            _ => return Err(error.into()),
        };
        let mut lost: Vec<Slot> = Vec::new();
        for slot in slots {
            if self.seal.fate(slot, tx)? != SlotFate::Open {
                lost.push(*slot);
            }
        }
        Ok(Proved::Never { lost, set_back })
    }

    /// Before a restored wallet signs again: the coins whose counters have moved on since wait for
    /// their locks to end. With `given_up`, so do all that its hardware says nothing about.
    pub(crate) fn look_at_counters(&mut self, given_up: bool) -> Result<(), WalletError> {
        let mut slots = Vec::new();
        for slot in sealed_slots(self.device()) {
            // No transaction has this number, so that no earlier proof counts for it.
            match self.seal.fate(&slot, &TxId::new([0; 32])) {
                Ok(SlotFate::Open) => {}
                Err(SealError::Tpm(_)) if given_up => slots.push(slot),
                fate => {
                    fate?;
                    slots.push(slot);
                }
            }
        }
        if !slots.is_empty() {
            self.run(vec![Input::SlotsLost { tx: None, slots }], &mut |_| {})?;
        }
        Ok(())
    }
}

/// The slots of a device's own seal under which its coins are.
pub(crate) fn sealed_slots(device: &Device) -> Vec<Slot> {
    let mine = device.me().seal;
    let coins = device.ledger().pockets().filter_map(|p| p.coin.as_ref());
    let sealed = coins.filter_map(|(_, coin)| match &coin.owner {
        Predicate::Sealed(sealed) => Some(sealed.slot),
        _ => None,
    });
    sealed.filter(|slot| mine == SealIdentity::Hardware(slot.seal)).collect()
}

/// Where a wallet's TPM is, from its record; an empty one is none.
pub(crate) fn address_of(record: &[u8]) -> Result<Option<Address>, WalletError> {
    if record.is_empty() {
        return Ok(None);
    }
    let text = std::str::from_utf8(record).map_err(|_| damaged())?;
    Ok(Some(text.parse().map_err(SealError::Tpm)?))
}

pub(crate) fn damaged() -> StoreError {
    StoreError::Damaged("its seal's record cannot be read".into())
}

/// What the device decides by when no notary is asked.
pub(crate) fn world() -> World<'static> {
    World { now: now(), seals: &TpmProofs, notary: None }
}
