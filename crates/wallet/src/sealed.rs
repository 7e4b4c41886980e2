//! Bind a wallet to the counters of a TPM, and do with them what the device asks.
//!
//! The order of a sealed payment: the intent is durable, the journal knows the step, every slot is
//! proved, and only then is anything signed. So where the seal gives no proof, nothing was signed, and
//! the payment is given up (`docs/wallet.md`).

use std::ops::{Deref, DerefMut};
use std::path::Path;

use tally_core::cbor::{from_bytes, to_bytes};
use tally_core::device::{DeviceError, Input, SpendToSign, World};
use tally_core::id::TxId;
use tally_core::predicate::{Predicate, Unlock, spend_digest};
use tally_core::seal::{SealCertificate, SealIdentity, Slot, SlotProof, TpmProofs};
use tally_seal::software::{Place, SoftwareSeal};
use tally_seal::tpm2::{Address, SlotFault, Tpm2Seal, TpmError};
use tally_seal::{Purpose, Seal, SealError, SlotFate};
use tally_transport::session::KemSecret;
use zeroize::Zeroizing;

use crate::store::{Batch, Loaded, Store};
use crate::wallet::{Setup, now};
use crate::{StoreError, Wallet, WalletError};

/// How long a coin that arrives is locked to this device's hardware, in seconds: until then it pays at
/// tier `Sealed`, and if the hardware breaks it waits that long.
pub const LOCK_SECONDS: u64 = 30 * 24 * 60 * 60;

/// The record of where a wallet's TPM is, and the one of its enrollment.
const TPM: &str = "tpm";
const ENROLLMENT: &str = "enrollment";

/// What signs for a wallet.
pub(crate) enum DeviceSeal {
    Software(Box<SoftwareSeal>),
    Tpm(Box<Tpm2Seal>),
}

impl Deref for DeviceSeal {
    type Target = dyn Seal;
    fn deref(&self) -> &Self::Target {
        match self {
            Self::Software(seal) => seal.as_ref(),
            Self::Tpm(seal) => seal.as_ref(),
        }
    }
}

impl DerefMut for DeviceSeal {
    fn deref_mut(&mut self) -> &mut Self::Target {
        match self {
            Self::Software(seal) => seal.as_mut(),
            Self::Tpm(seal) => seal.as_mut(),
        }
    }
}

impl DeviceSeal {
    /// The seal of a wallet whose keystore is open, with its TPM if it has one.
    pub(crate) fn of(
        place: &Place,
        software: SoftwareSeal,
        loaded: &Loaded,
    ) -> Result<Self, WalletError> {
        let (Some(address), Some(certificate)) = (loaded.meta(TPM), loaded.meta(ENROLLMENT)) else {
            return Ok(Self::Software(Box::new(software)));
        };
        let damaged = || StoreError::Damaged("its seal's record cannot be read".into());
        let certificate: SealCertificate = from_bytes(certificate).map_err(|_| damaged())?;
        let address = std::str::from_utf8(address).map_err(|_| damaged())?;
        let address: Address = address.parse().map_err(SealError::Tpm)?;
        let seal = Tpm2Seal::open(place, software, &address, certificate)?;
        Ok(Self::Tpm(Box::new(seal)))
    }

    /// The owner key, for a backup.
    pub(crate) fn export(&self) -> Zeroizing<[u8; 32]> {
        match self {
            Self::Software(seal) => seal.export(),
            Self::Tpm(seal) => seal.keystore().export(),
        }
    }
}

impl Wallet {
    /// Binds a wallet to an enrolled TPM, or takes over a renewed enrollment of it.
    ///
    /// The seal is part of a device's identity, so only a wallet that has given its card to nobody,
    /// with no contact and no payment, can be bound (spec `DEV-1`).
    ///
    /// # Errors
    /// [`WalletError::Device`] when the wallet was used before, or the certificate is not of its
    /// network; [`WalletError::Seal`] when the TPM is not the one that was enrolled.
    pub fn bind_to_tpm(
        dir: &Path,
        setup: &Setup,
        address: &Address,
        certificate: SealCertificate,
    ) -> Result<Self, WalletError> {
        let wallet = Self::open(dir, setup)?;
        let same = wallet.device.me().seal == SealIdentity::Hardware(certificate.seal());
        if !same && (wallet.was_used() || wallet.device.me().seal != SealIdentity::Software) {
            return Err(DeviceError::NotForMe.into());
        }
        let network = wallet.network;
        certificate.check(network).map_err(DeviceError::Enrollment)?;
        let name = wallet.name.clone();
        // Only one process and one handle may have the keystore, the TPM and the records.
        drop(wallet);
        let place = Place::new(dir, &setup.state_dir);
        let software = SoftwareSeal::open(&place, setup.machine.as_ref(), &setup.unlock)?;
        let seal = Tpm2Seal::open(&place, software, address, certificate.clone())?;
        let mut seal = DeviceSeal::Tpm(Box::new(seal));
        let kem = KemSecret::from_seed(*seal.derive(Purpose::Kem));
        let card = crate::wallet::own_card(&mut *seal, &kem, &name, network)?;
        let address = address.to_string().into_bytes();
        let enrollment = to_bytes(&certificate);
        let meta = vec![("card", to_bytes(&card)), (TPM, address), (ENROLLMENT, enrollment)];
        drop(seal);
        Store::open(dir, false)?.write(&Batch { meta, ..Batch::default() })?;
        let mut wallet = Self::open(dir, setup)?;
        wallet.act(Input::Enrolled(Box::new(certificate)), &mut |_| {})?;
        // Whoever knows the older card hears of the enrollment with the next hello.
        let contacts: Vec<_> = wallet.peers.keys().copied().collect();
        for contact in contacts {
            if let Some(peer) = wallet.peers.get_mut(&contact) {
                peer.lines.clear();
                wallet.touched.insert(contact);
            }
        }
        wallet.persist(Batch::default())?;
        Ok(wallet)
    }

    fn was_used(&self) -> bool {
        let device = &self.device;
        device.seq() > 0
            || !device.contacts().is_empty()
            || !device.incoming().is_empty()
            || !device.terms().is_empty()
            || !self.issued.is_empty()
    }

    /// Tells the device which counter is free for a coin that arrives. Without one, or without an
    /// answer of the hardware, the coin is taken under its key alone.
    pub(crate) fn find_counter(&mut self) -> Result<(), WalletError> {
        if self.device.enrollment().is_none() {
            return Ok(());
        }
        let taken = self.device.taken();
        let lock = self.seal.lock(now().plus(LOCK_SECONDS), &taken).ok();
        self.device.handle(&world(), Input::Lock(lock))?;
        Ok(())
    }

    /// Asks the seal for what a payment needs. Every slot is proved before anything is signed.
    pub(crate) fn prove_and_sign(
        &mut self,
        tx: TxId,
        inputs: &[SpendToSign],
    ) -> Result<Vec<Input>, WalletError> {
        let mut proofs: Vec<Option<SlotProof>> = Vec::new();
        for input in inputs {
            let Some(slot) = input.slot else {
                proofs.push(None);
                continue;
            };
            match self.seal.prove(&slot, &tx) {
                Ok(proof) => proofs.push(Some(proof)),
                Err(error) => return self.without_proof(tx, inputs, error),
            }
        }
        let mut unlocks = Vec::new();
        for (input, proof) in inputs.iter().zip(proofs) {
            let signature = self.seal.sign(&spend_digest(&input.coin, &tx))?;
            unlocks.push(match proof {
                Some(proof) => Unlock::Sealed(signature, proof),
                None => Unlock::Signature(signature),
            });
        }
        Ok(vec![Input::Signed { tx, unlocks }])
    }

    /// The seal gave no proof. If it never will, the device is told which slots are gone; and if
    /// anything but this wallet has moved a counter, the wallet may have been set back, and only
    /// receives from now on.
    fn without_proof(
        &mut self,
        tx: TxId,
        inputs: &[SpendToSign],
        error: SealError,
    ) -> Result<Vec<Input>, WalletError> {
        let set_back = match &error {
            SealError::Tpm(TpmError::Slot { fault: SlotFault::Burned, .. })
            | SealError::Tpm(TpmError::CounterDeleted { .. }) => false,
            SealError::Tpm(TpmError::Slot { .. }) => true,
            // The hardware is not there, or busy: the payment waits for it.
            _ => return Err(error.into()),
        };
        let mut slots: Vec<Slot> = Vec::new();
        for slot in inputs.iter().filter_map(|input| input.slot) {
            if self.seal.fate(&slot, &tx)? != SlotFate::Open {
                slots.push(slot);
            }
        }
        let mut all = vec![Input::SlotsLost { tx: Some(tx), slots }];
        if set_back {
            all.push(Input::Restored);
        }
        Ok(all)
    }

    /// Before a restored wallet signs again: the coins whose counters have moved on since wait for
    /// their locks to end.
    pub(crate) fn look_at_counters(&mut self) -> Result<(), WalletError> {
        let mine = self.device.me().seal;
        let coins = self.device.ledger().pockets().filter_map(|p| p.coin.as_ref());
        let sealed = coins.filter_map(|(_, coin)| match &coin.owner {
            Predicate::Sealed(sealed) => Some(sealed.slot),
            _ => None,
        });
        let sealed: Vec<Slot> =
            sealed.filter(|slot| mine == SealIdentity::Hardware(slot.seal)).collect();
        let mut slots = Vec::new();
        for slot in sealed {
            // No transaction has this number, so that no earlier proof counts for it.
            if self.seal.fate(&slot, &TxId::new([0; 32]))? != SlotFate::Open {
                slots.push(slot);
            }
        }
        if !slots.is_empty() {
            self.run(vec![Input::SlotsLost { tx: None, slots }], None, &mut |_| {})?;
        }
        Ok(())
    }
}

/// What the device decides by when no notary is asked.
pub(crate) fn world() -> World<'static> {
    World { now: now(), seals: &TpmProofs, notary: None }
}
