//! Write a wallet into one encrypted file, and come back from it: the files, the passphrase and the seal.
//! What the bytes are is for [`tally_agent::backup`] to say.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use subtle::ConstantTimeEq;
use tally_agent::Batch;
use tally_agent::backup::{self, Backup, Header, MAX_BACKUP};
use tally_agent::recovery::holds_latest;
use tally_core::device::{Device, Input, Me};
use tally_core::id::TxId;
use tally_seal::SlotFate;
use tally_seal::software::{Place, SoftwareSeal};
use tally_seal::unlock::{KdfParams, Passphrase};

use crate::sealed::{DeviceSeal, ENROLLMENT, TPM, sealed_slots, world};
use crate::settle::NOTARY;
use crate::store::{OBSERVED, Store};
use crate::wallet::{entropy, is_begun, random};
use crate::{Setup, StoreError, Wallet, WalletError};

/// Why a backup could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The system refused.
    #[error("cannot {doing} {}: {why}; check the path, its permissions and the free space", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system answered.
        why: String,
    },
    /// There is a file of this name.
    #[error("{} exists and was left as it is: choose another name", .0.display())]
    Exists(PathBuf),
    /// The bytes are no backup, or do not open.
    #[error(transparent)]
    Bytes(#[from] backup::BackupError),
}

impl BackupError {
    /// Stable code of this error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "BACKUP_IO",
            Self::Exists(_) => "BACKUP_EXISTS",
            Self::Bytes(error) => error.code(),
        }
    }
}

impl Wallet {
    /// Writes everything that is needed to rebuild this wallet into one encrypted file, which must
    /// not exist yet.
    ///
    /// # Errors
    /// [`WalletError::Backup`].
    pub fn backup(&self, passphrase: Passphrase, out: &Path) -> Result<(), WalletError> {
        let loaded = self.store.load()?.ok_or_else(|| StoreError::Missing(self.dir.clone()))?;
        let backup = Backup {
            secret: self.seal.export(),
            name: self.name.clone(),
            network: self.network,
            changes: loaded.changes,
            issued: loaded.issued,
            // What the journal of today knows says nothing beside a later journal.
            meta: loaded.meta.into_iter().filter(|(name, _)| name != OBSERVED).collect(),
        };
        let (memory_kib, passes, lanes) = self.kdf.parts();
        let (salt, nonce) = (random()?, random()?);
        let header = Header { memory_kib, passes, lanes, salt, nonce };
        let key = passphrase.stretch(self.kdf, &salt)?;
        let file = backup.seal(&header, &key).map_err(BackupError::from)?;
        Ok(write_new(out, &file)?)
    }
}

/// Rebuilds a wallet from a backup, in a folder that has none.
///
/// The wallet receives only: it meets everyone whom it paid since the backup, and then its owner
/// confirms ([`Wallet::confirm_recovery`]). A wallet that is sealed by a TPM, restored beside it,
/// goes on at once if the TPM's counters and the journal show that nothing was paid since.
///
/// # Errors
/// [`WalletError::Backup`], [`StoreError::Exists`], [`WalletError::Seal`].
pub fn restore(
    file: &Path,
    passphrase: &Passphrase,
    dir: &Path,
    setup: &Setup,
) -> Result<Wallet, WalletError> {
    let Backup { secret, name, network, changes, issued, mut meta } = open(file, passphrase)?;
    // Whom the owner chose to believe comes back too, and the seal that the device is named by.
    let kept = [NOTARY, TPM, ENROLLMENT];
    let meta = kept.into_iter().filter_map(|key| Some((key, meta.remove(key)?))).collect();
    let mut batch = Batch { changes, issued, meta, ..Batch::default() };
    Store::make_dir(dir)?;
    if is_begun(dir)? {
        return Err(StoreError::Exists(dir.to_owned()).into());
    }
    let place = Place::new(dir, &setup.state_dir);
    let machine = setup.machine.as_ref();
    let imported =
        SoftwareSeal::import(&place, machine, &setup.unlock, setup.kdf, entropy()?, &secret);
    let seal = match imported {
        // A crash may have come between the keystore and the records.
        Err(tally_seal::SealError::Exists { .. }) => {
            SoftwareSeal::open(&place, machine, &setup.unlock)?
        }
        imported => imported?,
    };
    if !bool::from(seal.export().as_slice().ct_eq(secret.as_slice())) {
        return Err(StoreError::Exists(dir.to_owned()).into());
    }
    let kept = |key: &str| batch.meta.iter().find(|(k, _)| *k == key).map(|(_, v)| v.as_slice());
    let mut seal = DeviceSeal::of(&place, seal, kept)?;
    let me = Me { owner: seal.owner_key(), seal: seal.identity(), network };
    let mut device = Device::new(me);
    batch.changes.iter().cloned().for_each(|change| device.apply(change));
    if !is_confirmed(&mut seal, &device) {
        let restored = device.handle(&world(), Input::Restored);
        batch.changes.extend(restored.map(|output| output.changes).unwrap_or_default());
    }
    Wallet::begin(dir, setup, seal, &name, network, batch)
}

fn is_confirmed(seal: &mut DeviceSeal, device: &Device) -> bool {
    // No transaction has this number, so that no earlier proof counts for it.
    let none = TxId::new([0; 32]);
    let open = sealed_slots(device).into_iter();
    let open = open.map(|slot| matches!(seal.fate(&slot, &none), Ok(SlotFate::Open)));
    let open: Vec<bool> = open.collect();
    holds_latest(device, seal.journal(), &open)
}

fn open(path: &Path, passphrase: &Passphrase) -> Result<Backup, WalletError> {
    let bytes = read(path)?;
    let header = Header::of(&bytes).map_err(BackupError::from)?;
    let params = KdfParams::new(header.memory_kib, header.passes, header.lanes);
    let params = params.ok_or(BackupError::Bytes(backup::BackupError::NotABackup))?;
    let key = passphrase.stretch(params, &header.salt)?;
    Ok(Backup::open(&bytes, &key).map_err(BackupError::from)?)
}

fn read(path: &Path) -> Result<Vec<u8>, BackupError> {
    let failed = |e: std::io::Error| BackupError::Io {
        doing: "read",
        path: path.to_owned(),
        why: e.to_string(),
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MAX_BACKUP as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > MAX_BACKUP {
        return Err(backup::BackupError::TooLarge.into());
    }
    Ok(bytes)
}

/// Writes a file that is whole or has no name, and keeps one that is there.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), BackupError> {
    let write = || {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        written.inspect_err(|_| {
            // The first error is the one to report.
            let _ = std::fs::remove_file(path);
        })
    };
    write().map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists => BackupError::Exists(path.to_owned()),
        _ => BackupError::Io { doing: "write", path: path.to_owned(), why: e.to_string() },
    })
}
