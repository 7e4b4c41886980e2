//! Make a wallet for a TPM, bind it to the TPM once that is enrolled, and take renewed enrollments.

use std::path::{Path, PathBuf};

use tally_agent::Batch;
use tally_core::card::Name;
use tally_core::cbor::{from_bytes, to_bytes};
use tally_core::device::{DeviceError, Input};
use tally_core::id::NetworkId;
use tally_core::seal::{Revocation, SealCertificate, SealIdentity};
use tally_seal::software::{Place, SoftwareSeal};
use tally_seal::tpm2::{Address, Chip, Tpm2Seal};
use tally_seal::{Counters, Purpose, SealError, SealState};
use tally_transport::session::KemSecret;

use crate::sealed::{DeviceSeal, ENROLLMENT, TPM};
use crate::store::Store;
use crate::wallet::{Setup, now, own_card};
use crate::{PeerError, Wallet, WalletError};

impl Wallet {
    /// Makes a wallet that is to be bound to the TPM at `address`, once that is enrolled: until then
    /// it has no identity to show, see [`Wallet::awaits_enrollment`].
    ///
    /// # Errors
    /// As [`Wallet::create`]; [`WalletError::Seal`] when the TPM does not answer.
    pub fn create_for_tpm(
        dir: &Path,
        setup: &Setup,
        name: Name,
        network: NetworkId,
        address: &Address,
    ) -> Result<Self, WalletError> {
        // Before anything is made: it is there, and its owner may use it.
        drop(Chip::open(address).map_err(SealError::Tpm)?);
        let meta = vec![(TPM, address.to_string().into_bytes())];
        Self::create_with(dir, setup, &name, network, Batch { meta, ..Batch::default() })
    }

    /// Where the wallet's TPM is, if it has one or waits for its enrollment.
    pub const fn tpm(&self) -> Option<&Address> {
        self.tpm.as_ref()
    }

    /// Whether it was made for a TPM that is not enrolled yet. Its card would name another device
    /// than it is going to be: it must not be shown to anyone.
    pub fn awaits_enrollment(&self) -> bool {
        self.device().me().seal == SealIdentity::Software && self.tpm.is_some()
    }

    /// Where an enrollment that was begun is kept.
    pub fn enrollment_file(dir: &Path) -> PathBuf {
        dir.join("enrollment")
    }

    /// The enrollment of the wallet's TPM, if it has one.
    pub fn enrollment(&self) -> Option<&SealCertificate> {
        self.seal.certificate()
    }

    /// Whether the enroller has taken the enrollment back, as far as this wallet has heard.
    pub fn is_seal_revoked(&self) -> bool {
        let Some(certificate) = self.enrollment() else { return false };
        let list = self.device().revocations().get(&certificate.terms().enroller);
        list.is_some_and(|list| list.terms().seals().contains(&certificate.seal()))
    }

    /// Makes it a wallet without hardware again, which was made for a TPM and is not bound to one.
    ///
    /// # Errors
    /// [`WalletError::Device`] when it is bound; [`WalletError::Store`].
    pub fn forget_tpm(&mut self) -> Result<(), WalletError> {
        if self.device().me().seal != SealIdentity::Software {
            return Err(DeviceError::NotForMe.into());
        }
        // An empty record is none.
        let meta = vec![(TPM, Vec::new())];
        self.keep(Batch { meta, ..Batch::default() })?;
        self.tpm = None;
        Ok(())
    }

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
        let same = wallet.device().me().seal == SealIdentity::Hardware(certificate.seal());
        if !same && (wallet.was_used() || wallet.device().me().seal != SealIdentity::Software) {
            return Err(DeviceError::NotForMe.into());
        }
        let network = wallet.network;
        certificate.check(network).map_err(DeviceError::from)?;
        let name = wallet.name.clone();
        // Others take the newer of two cards, also if this clock was ahead when the first was made.
        let before = wallet.card.open_card().map_err(DeviceError::from)?.fields.time();
        let made = before.map_or_else(now, |before| now().max(before.plus(1)));
        // Only one process and one handle may have the keystore, the TPM and the records.
        drop(wallet);
        let place = Place::new(dir, &setup.state_dir);
        let software = SoftwareSeal::open(&place, setup.machine.as_ref(), &setup.unlock)?;
        let seal = Tpm2Seal::open(&place, software, address, certificate.clone())?;
        let mut seal = DeviceSeal::Tpm(Box::new(seal));
        let kem = KemSecret::from_seed(*seal.derive(Purpose::Kem));
        let card = own_card(&mut *seal, &kem, &name, network, made)?;
        let address = address.to_string().into_bytes();
        let enrollment = to_bytes(&certificate);
        let meta = vec![("card", to_bytes(&card)), (TPM, address), (ENROLLMENT, enrollment)];
        let count = place.count(&seal.owner_key());
        drop(seal);
        let mut store = Store::open(dir, false)?;
        store.mark_at(&count);
        // Only what was read can be written to.
        store.load()?;
        store.write(&Batch { meta, ..Batch::default() })?;
        drop(store);
        let mut wallet = Self::open(dir, setup)?;
        wallet.act(Input::Enrolled(Box::new(certificate)), &mut |_| {})?;
        // Whoever knows the older card hears of the enrollment with the next hello.
        let card = Box::new(wallet.card.clone());
        wallet.give(tally_agent::Input::Renew { card }, &mut |_| {})?;
        Ok(wallet)
    }

    /// What the seal is worth.
    pub fn seal_state(&self) -> SealState {
        let mut state = self.seal.state();
        if let (Some(counters), DeviceSeal::Tpm(_)) = (&mut state.counters, &self.seal) {
            let mut taken: Vec<u32> =
                self.device().taken(now()).iter().map(|s| s.counter).collect();
            taken.sort_unstable();
            taken.dedup();
            let taken = u32::try_from(taken.len()).unwrap_or(u32::MAX);
            *counters = Counters { free: counters.total.saturating_sub(taken), ..*counters };
        }
        state
    }

    /// The TPM was cleared, and its counters were made anew for a renewed enrollment: the coins under
    /// their older values wait for the end of their locks.
    ///
    /// # Errors
    /// [`WalletError::Seal`] when the TPM does not answer; [`WalletError::Store`].
    pub fn counters_made_anew(&mut self) -> Result<(), WalletError> {
        self.look_at_counters(false)
    }

    /// Takes over an enroller's list of seals that it no longer vouches for; it goes on to others at
    /// each meeting. Gives how many seals are on it.
    ///
    /// # Errors
    /// [`WalletError::Peer`] when it is none; [`WalletError::Device`] when no asset here names the
    /// enroller, it is badly signed, or not newer than the one that is known.
    pub fn import_revocation(&mut self, list: &[u8]) -> Result<usize, WalletError> {
        let list: Revocation = from_bytes(list).map_err(PeerError::Decode)?;
        let seals = list.terms().seals().len();
        self.act(Input::Revoked(Box::new(list)), &mut |_| {})?;
        Ok(seals)
    }

    fn was_used(&self) -> bool {
        let device = self.device();
        device.seq() > 0
            || !device.contacts().is_empty()
            || !device.incoming().is_empty()
            || !device.terms().is_empty()
            || self.has_issued()
    }
}
