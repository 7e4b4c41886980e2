//! The wallet.
use std::path::{Path, PathBuf};

use tally_core::accept::AcceptPolicy;
use tally_core::amount::Amount;
use tally_core::card::{Card, Name, Signed};
use tally_core::device::{Device, Event};
use tally_core::evidence::{Holding, Minted};
use tally_core::fork::ForkProof;
use tally_core::id::{AssetId, DeviceId, NetworkId, TxId};
use tally_core::policy::{AssetKind, Policy, Ticker};
use tally_seal::SealState;
use tally_seal::machine::Machine;
use tally_seal::unlock::{KdfParams, Passphrase, Unlock};
use tally_transport::Channel;

use crate::{Finding, WalletError};

/// How a wallet is opened, and where what lies outside of its folder is.
pub struct Setup {
    /// What opens the keystore.
    pub unlock: Unlock,
    /// The cost of a passphrase guess, for keystores and backups that are written.
    pub kdf: KdfParams,
    /// Folder of the seal's journal, outside of the wallet's folder.
    pub state_dir: PathBuf,
    /// The machine that the keystore is bound to.
    pub machine: Box<dyn Machine>,
}

/// A person's wallet.
pub struct Wallet {
    device: Device,
    card: Signed,
    name: Name,
}
#[allow(unused, missing_docs)]
impl Wallet {
    pub fn create(
        dir: &Path,
        setup: &Setup,
        name: Name,
        network: NetworkId,
    ) -> Result<Self, WalletError> {
        no()
    }
    pub fn open(dir: &Path, setup: &Setup) -> Result<Self, WalletError> {
        no()
    }
    pub fn device(&self) -> &Device {
        &self.device
    }
    pub fn card(&self) -> &Signed {
        &self.card
    }
    pub fn name(&self) -> &Name {
        &self.name
    }
    pub fn find_contact(&self, text: &str) -> Result<DeviceId, WalletError> {
        no()
    }
    pub fn find_asset(&self, text: &str) -> Result<AssetId, WalletError> {
        no()
    }
    pub fn add_contact(&mut self, card: Signed) -> Result<DeviceId, WalletError> {
        no()
    }
    pub fn add_policy(&mut self, policy: Policy) -> Result<AssetId, WalletError> {
        no()
    }
    pub fn create_asset(
        &mut self,
        ticker: Ticker,
        decimals: u8,
        max_supply: Option<Amount>,
        kind: AssetKind,
    ) -> Result<AssetId, WalletError> {
        no()
    }
    pub fn mint(
        &mut self,
        asset: AssetId,
        amount: Amount,
        to: &Card,
    ) -> Result<Minted, WalletError> {
        no()
    }
    pub fn receive_mint(&mut self, minted: Minted) -> Result<Vec<Event>, WalletError> {
        no()
    }
    pub fn invoice(
        &mut self,
        asset: AssetId,
        amount: Amount,
        valid_for_secs: u64,
    ) -> Result<Signed, WalletError> {
        no()
    }
    pub fn pay_invoice(&mut self, invoice: &Signed) -> Result<(Vec<u8>, Vec<Event>), WalletError> {
        no()
    }
    pub fn receive_packet(
        &mut self,
        bytes: &[u8],
    ) -> Result<(Vec<Event>, Vec<Vec<u8>>), WalletError> {
        no()
    }
    pub fn resend(&mut self, payee: DeviceId) -> Result<Vec<Vec<u8>>, WalletError> {
        no()
    }
    pub fn pay_over(
        &mut self,
        channel: &mut dyn Channel,
        payee: DeviceId,
        asset: AssetId,
        amount: Amount,
        show: &mut dyn FnMut(&Event),
    ) -> Result<TxId, WalletError> {
        no()
    }
    pub fn serve_one(
        &mut self,
        channel: &mut dyn Channel,
        show: &mut dyn FnMut(&Event),
    ) -> Result<(), WalletError> {
        no()
    }
    pub fn sync_over(
        &mut self,
        channel: &mut dyn Channel,
        contact: DeviceId,
        show: &mut dyn FnMut(&Event),
    ) -> Result<(), WalletError> {
        no()
    }
    pub fn set_accept_policy(&mut self, policy: AcceptPolicy) -> Result<(), WalletError> {
        no()
    }
    pub fn import_fork(&mut self, proof: ForkProof) -> Result<Vec<Event>, WalletError> {
        no()
    }
    pub fn confirm_recovery(&mut self) -> Result<(), WalletError> {
        no()
    }
    pub fn holdings(&self) -> Result<Vec<(Holding, bool)>, WalletError> {
        no()
    }
    pub fn seal_state(&self) -> SealState {
        unreachable!("the seal is kept once a wallet opens")
    }
    pub fn check(&self) -> Vec<Finding> {
        Vec::new()
    }
    pub fn backup(&self, passphrase: Passphrase, out: &Path) -> Result<(), WalletError> {
        no()
    }
}
/// Restores a backup: the wallet receives only until it is confirmed.
#[allow(unused, missing_docs)]
pub fn restore(
    file: &Path,
    passphrase: &Passphrase,
    dir: &Path,
    setup: &Setup,
) -> Result<Wallet, WalletError> {
    no()
}
fn no<T>() -> Result<T, WalletError> {
    Err(WalletError::Mint("this is not there yet"))
}
/// Store.
#[derive(Debug, thiserror::Error)]
#[error("store")]
pub struct StoreError;
/// Peer.
#[derive(Debug, thiserror::Error)]
#[error("peer")]
pub struct PeerError;
/// Backup.
#[derive(Debug, thiserror::Error)]
#[error("backup")]
pub struct BackupError;
#[allow(missing_docs)]
impl StoreError {
    pub fn code(&self) -> &'static str {
        "WALLET_STORE"
    }
}
#[allow(missing_docs)]
impl PeerError {
    pub fn code(&self) -> &'static str {
        "PEER"
    }
}
#[allow(missing_docs)]
impl BackupError {
    pub fn code(&self) -> &'static str {
        "BACKUP"
    }
}
