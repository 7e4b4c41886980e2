//! Write a wallet into one encrypted file, and come back from it.
//!
//! ```text
//! "TALLYBAK1" ‖ memory KiB (4) ‖ passes (4) ‖ lanes (4) ‖ salt (16) ‖ nonce (24) ‖ ciphertext ‖ tag (16)
//! ```
//! The key is argon2id of the passphrase; XChaCha20-Poly1305 authenticates all that stands before the
//! ciphertext. Inside: the master secret (32), then three lists of pairs (meta, records, issued), each with its
//! number of pairs (4) and each item with its length (4) before it. Numbers are big-endian. Sessions
//! are not in it: one from a backup must never be used again.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use subtle::ConstantTimeEq;
use tally_agent::{Batch, Issued};
use tally_core::card::Name;
use tally_core::cbor::{Decode, from_bytes};
use tally_core::device::{Device, Input, Me, Mode};
use tally_core::id::{AssetId, NetworkId, TxId};
use tally_core::seal::Slot;
use tally_seal::SlotFate;
use tally_seal::journal::Rollback;
use tally_seal::software::{Place, SoftwareSeal};
use tally_seal::unlock::{KdfParams, Passphrase};
use zeroize::Zeroizing;

use crate::sealed::{DeviceSeal, ENROLLMENT, TPM, sealed_slots, world};
use crate::settle::NOTARY;
use crate::store::Store;
use crate::wallet::{entropy, is_begun, random};
use crate::{Setup, StoreError, Wallet, WalletError};

const MAGIC: &[u8; 9] = b"TALLYBAK1";
const HEADER: usize = 9 + 12 + 16 + 24;
/// Longest backup, in bytes.
pub(crate) const MAX_BACKUP: usize = 512 * 1024 * 1024;

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
    /// The file is no backup.
    #[error("this is no backup of a wallet, or it was cut short: choose another file")]
    NotABackup,
    /// The passphrase is wrong, or the file was altered.
    #[error("the passphrase does not open this backup, or the backup was altered: try again")]
    WrongPassphrase,
    /// The backup is larger than this program reads.
    #[error("the backup is over the limit of 512 MiB: it cannot be read or written")]
    TooLarge,
}

impl BackupError {
    /// Stable code of this error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "BACKUP_IO",
            Self::Exists(_) => "BACKUP_EXISTS",
            Self::NotABackup => "BACKUP_NOT_A_BACKUP",
            Self::WrongPassphrase => "BACKUP_WRONG_PASSPHRASE",
            Self::TooLarge => "BACKUP_TOO_LARGE",
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
        let mut plain = Zeroizing::new(Vec::new());
        plain.extend_from_slice(self.seal.export().as_slice());
        let meta = loaded.meta.into_iter().map(|(key, value)| (key.into_bytes(), value));
        put(&mut plain, meta.collect())?;
        let changes = loaded.changes.iter();
        put(&mut plain, changes.filter_map(|c| Some((c.key(), c.value()?))).collect())?;
        let issued = loaded.issued.iter();
        let issued = issued.map(|(asset, i)| (asset.as_bytes().to_vec(), issued_bytes(*i)));
        put(&mut plain, issued.collect())?;
        let (memory, passes, lanes) = self.kdf.parts();
        let mut file = MAGIC.to_vec();
        [memory, passes, lanes].iter().for_each(|n| file.extend(n.to_be_bytes()));
        let (salt, nonce) = (random::<16>()?, random::<24>()?);
        file.extend(salt);
        file.extend(nonce);
        let key = passphrase.stretch(self.kdf, &salt)?;
        let payload = Payload { msg: &plain, aad: &file };
        let text = XChaCha20Poly1305::new((&*key).into()).encrypt(&nonce.into(), payload);
        file.extend(text.map_err(|_| BackupError::TooLarge)?);
        if file.len() > MAX_BACKUP {
            return Err(BackupError::TooLarge.into());
        }
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
    let plain = open(file, passphrase)?;
    let Contents { secret, name, network, mut batch } = Contents::read(&plain)?;
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

/// Whether the hardware that a device is sealed by, and the journal beside it, both say that the
/// backup holds its latest step: every coin is at its slot, and the journal knows this very step.
///
/// Without hardware the journal alone is not believed: it may have been set back with the backup.
fn is_confirmed(seal: &mut DeviceSeal, device: &Device) -> bool {
    let slots = sealed_slots(device);
    let at_rest = *device.mode() == Mode::Normal && device.pending().next().is_none();
    let at = device.entry().to;
    // No transaction has this number, so that no earlier proof counts for it.
    let open = |slot: &Slot| matches!(seal.fate(slot, &TxId::new([0; 32])), Ok(SlotFate::Open));
    let all_open = !slots.is_empty() && slots.iter().all(open);
    at_rest && all_open && seal.check(at.seq, &at.head) == Rollback::None
}

fn open(path: &Path, passphrase: &Passphrase) -> Result<Zeroizing<Vec<u8>>, WalletError> {
    let bytes = read(path)?;
    let header = bytes.get(..HEADER).ok_or(BackupError::NotABackup)?;
    let mut input = Bytes(header.strip_prefix(MAGIC).ok_or(BackupError::NotABackup)?);
    let (memory, passes, lanes) = (input.number()?, input.number()?, input.number()?);
    let params = KdfParams::new(memory, passes, lanes).ok_or(BackupError::NotABackup)?;
    let (salt, nonce) = (input.array::<16>()?, input.array::<24>()?);
    let key = passphrase.stretch(params, &salt)?;
    let payload = Payload { msg: bytes.get(HEADER..).unwrap_or_default(), aad: header };
    let plain = XChaCha20Poly1305::new((&*key).into()).decrypt(&nonce.into(), payload);
    Ok(Zeroizing::new(plain.map_err(|_| BackupError::WrongPassphrase)?))
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
    if bytes.len() > MAX_BACKUP { Err(BackupError::TooLarge) } else { Ok(bytes) }
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

/// What a backup holds.
struct Contents {
    secret: Zeroizing<[u8; 32]>,
    name: Name,
    network: NetworkId,
    batch: Batch,
}

impl Contents {
    fn read(plain: &[u8]) -> Result<Self, BackupError> {
        let mut input = Bytes(plain);
        let secret = Zeroizing::new(input.array()?);
        let (meta, records, issued) = (input.pairs()?, input.pairs()?, input.pairs()?);
        if !input.0.is_empty() {
            return Err(BackupError::NotABackup);
        }
        let mut batch = Batch::default();
        for [_, value] in records {
            batch.changes.push(decode(value)?);
        }
        for [asset, value] in issued {
            let asset = AssetId::new(asset.try_into().map_err(|_| BackupError::NotABackup)?);
            let mut value = Bytes(value);
            let next = u64::from_be_bytes(value.array()?);
            batch.issued.push((asset, Issued { next, total: u64::from_be_bytes(value.array()?) }));
        }
        // Whom the owner chose to believe comes back too, and the seal that the device is named by.
        for kept in [NOTARY, TPM, ENROLLMENT] {
            let found = meta.iter().find(|[key, _]| *key == kept.as_bytes());
            batch.meta.extend(found.map(|[_, value]| (kept, value.to_vec())));
        }
        let (name, network) = (named(&meta, b"name")?, named(&meta, b"network")?);
        Ok(Self { secret, name, network, batch })
    }
}

fn named<T: Decode>(meta: &[[&[u8]; 2]], key: &[u8]) -> Result<T, BackupError> {
    let found = meta.iter().find(|[k, _]| *k == key);
    decode(found.ok_or(BackupError::NotABackup)?[1])
}

fn decode<T: Decode>(bytes: &[u8]) -> Result<T, BackupError> {
    from_bytes(bytes).map_err(|_| BackupError::NotABackup)
}

fn issued_bytes(issued: Issued) -> Vec<u8> {
    [issued.next.to_be_bytes(), issued.total.to_be_bytes()].concat()
}

fn put(out: &mut Vec<u8>, pairs: Vec<(Vec<u8>, Vec<u8>)>) -> Result<(), BackupError> {
    let number = |n: usize| u32::try_from(n).map_err(|_| BackupError::TooLarge);
    out.extend(number(pairs.len())?.to_be_bytes());
    for item in pairs.iter().flat_map(|(key, value)| [key, value]) {
        out.extend(number(item.len())?.to_be_bytes());
        out.extend_from_slice(item);
    }
    Ok(())
}

/// Bytes that are read from the front.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], BackupError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(BackupError::NotABackup)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn number(&mut self) -> Result<u32, BackupError> {
        self.array().map(u32::from_be_bytes)
    }

    fn item(&mut self) -> Result<&'a [u8], BackupError> {
        let length = usize::try_from(self.number()?).map_err(|_| BackupError::NotABackup)?;
        let (item, rest) = self.0.split_at_checked(length).ok_or(BackupError::NotABackup)?;
        self.0 = rest;
        Ok(item)
    }

    fn pairs(&mut self) -> Result<Vec<[&'a [u8]; 2]>, BackupError> {
        (0..self.number()?).map(|_| Ok([self.item()?, self.item()?])).collect()
    }
}
