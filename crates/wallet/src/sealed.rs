//! Bind a wallet to the counters of a TPM, and do with them what the device asks.
//!
//! The order of a sealed payment: its step is durable, every slot is proved, that is durable, the
//! journal knows the step, and only then is anything signed. So where the seal gives no proof, nothing
//! was signed and no journal counts it, and the payment is given up (`docs/wallet.md`).

use std::ops::{Deref, DerefMut};

use tally_agent::{Guard, Proved};
use tally_core::cbor::from_bytes;
use tally_core::device::{Device, Input, Sign, World};
use tally_core::id::TxId;
use tally_core::keys::SecretKey;
use tally_core::predicate::Predicate;
use tally_core::seal::{SealCertificate, SealIdentity, Slot, TpmProofs};
use tally_seal::software::{Held, Place, SoftwareSeal};
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

/// The locks of a seal, for as long as an agent lives.
#[derive(Debug)]
pub(crate) struct Alone {
    _locks: Held,
}

impl Guard for Alone {}

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

    /// Whether its counters cannot be asked. After a Clear they can: what they gave is gone.
    pub(crate) fn is_away(&self) -> bool {
        match self {
            Self::Away(seal) => *seal.why() != TpmError::Cleared,
            Self::Software(_) | Self::Tpm(_) => false,
        }
    }

    /// The keystore, which every seal has.
    fn keystore(&self) -> &SoftwareSeal {
        match self {
            Self::Software(seal) => seal,
            Self::Tpm(seal) => seal.keystore(),
            Self::Away(seal) => seal.keystore(),
        }
    }

    /// What keeps other processes away.
    pub(crate) fn held(&self) -> Alone {
        Alone { _locks: self.keystore().held() }
    }

    /// The owner's key, if nothing but memory is between it and a signature.
    pub(crate) fn key_in_memory(&self) -> Option<SecretKey> {
        match self {
            Self::Software(seal) => Some(seal.owner().clone()),
            Self::Tpm(_) | Self::Away(_) => None,
        }
    }

    /// The owner key, for a backup.
    pub(crate) fn export(&self) -> Zeroizing<[u8; 32]> {
        self.keystore().export()
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

    /// Tells the device whether its counters can be asked. What a Clear took is answered for.
    pub(crate) fn tell_away(&mut self, away: bool) -> Result<(), WalletError> {
        self.run(vec![Input::Away(away)], &mut |_| {})
    }

    /// Looks whether a TPM that did not answer is back.
    pub(crate) fn look_for_tpm(&mut self) -> Result<(), WalletError> {
        if !self.device().is_away() || !matches!(self.seal, DeviceSeal::Tpm(_)) {
            return Ok(());
        }
        match self.seal.lock(now(), &[]) {
            Ok(_) | Err(SealError::Tpm(TpmError::Slot { .. })) => self.tell_away(false),
            Err(SealError::Tpm(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Tells the device of the slots that give no proof any more: the coins under them wait for their
    /// locks to end, and what was to leave them and is not signed is given up. With `given_up`, so it is
    /// with all that the hardware says nothing about.
    pub(crate) fn look_at_counters(&mut self, given_up: bool) -> Result<(), WalletError> {
        // No transaction has this number, so that no earlier proof counts for it.
        let none = TxId::new([0; 32]);
        let coins = sealed_slots(self.device()).into_iter().map(|slot| (slot, none));
        let pending = self.device().pending().map(|o| self.device().to_sign(o, now()));
        let pending = pending.flat_map(|sign| match sign {
            Sign::Prove { tx, slots } => slots.into_iter().map(|slot| (slot, tx)).collect(),
            Sign::Spend { .. } | Sign::Receipt { .. } | Sign::Consent { .. } => Vec::new(),
        });
        let asked: Vec<(Slot, TxId)> = coins.chain(pending).collect();
        let mut slots = Vec::new();
        for (slot, tx) in asked {
            match self.seal.fate(&slot, &tx) {
                Ok(SlotFate::Open) => {}
                Ok(SlotFate::Proved) if tx != none => {}
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

/// The slots of a device's own seal under which its coins are. What a payment that is not signed would
/// leave as change is no coin yet.
pub(crate) fn sealed_slots(device: &Device) -> Vec<Slot> {
    let mine = device.me().seal;
    let ready = device.ledger().pockets().filter(|pocket| pocket.is_ready());
    let coins = ready.filter_map(|p| p.coin.as_ref());
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
