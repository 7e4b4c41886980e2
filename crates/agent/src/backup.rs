//! Write all that a device needs to come back into one encrypted file, and read it.
//!
//! ```text
//! "TALLYBAK1" ‖ memory KiB (4) ‖ passes (4) ‖ lanes (4) ‖ salt (16) ‖ nonce (24) ‖ ciphertext ‖ tag (16)
//! ```
//! The key is argon2id of a passphrase, at the cost and with the salt that the header says; whoever has
//! the passphrase stretches it. XChaCha20-Poly1305 authenticates all that stands before the ciphertext.
//! Inside: the master secret (32), then three lists of pairs (meta, records, issued), each with its
//! number of pairs (4) and each item with its length (4) before it. Numbers are big-endian. Sessions
//! are not in it: one from a backup must never be used again.

mod bytes;
#[cfg(test)]
mod tests;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use tally_core::card::Name;
use tally_core::cbor::{Decode, from_bytes, to_bytes};
use tally_core::device::Change;
use tally_core::id::{AssetId, NetworkId};
use zeroize::Zeroizing;

use self::bytes::{Bytes, Pairs, length, put};
use crate::Issued;

/// How a backup begins.
pub const MAGIC: &[u8; 9] = b"TALLYBAK1";
/// Longest backup, in bytes.
pub const MAX_BACKUP: usize = 512 * 1024 * 1024;
/// Most memory that a passphrase is stretched with, in KiB.
pub const MAX_MEMORY_KIB: u32 = 256 * 1024;
/// Most passes over that memory.
pub const MAX_PASSES: u32 = 16;
/// Most lanes that the memory is split in.
pub const MAX_LANES: u32 = 4;

const HEADER: usize = 9 + 12 + 16 + 24;
const TAG: usize = 16;
/// Under which names the owner's name and the network are kept.
const NAME: &str = "name";
const NETWORK: &str = "network";

/// Why bytes are no backup, or cannot become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
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
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotABackup => "BACKUP_NOT_A_BACKUP",
            Self::WrongPassphrase => "BACKUP_WRONG_PASSPHRASE",
            Self::TooLarge => "BACKUP_TOO_LARGE",
        }
    }
}

/// What stands before the ciphertext: how a passphrase becomes the key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Memory of argon2id, in KiB.
    pub memory_kib: u32,
    /// Its passes over that memory.
    pub passes: u32,
    /// Its lanes.
    pub lanes: u32,
    /// Its salt.
    pub salt: [u8; 16],
    /// The nonce of the encryption. It is never used again with the same key, nor is the salt.
    pub nonce: [u8; 24],
}

impl Header {
    /// Reads the header of a backup. A cost over the limits is not asked of whoever opens it.
    ///
    /// # Errors
    /// [`BackupError::NotABackup`], [`BackupError::TooLarge`].
    pub fn of(file: &[u8]) -> Result<Self, BackupError> {
        if file.len() > MAX_BACKUP {
            return Err(BackupError::TooLarge);
        }
        let header = file.get(..HEADER).ok_or(BackupError::NotABackup)?;
        let mut input = Bytes(header.strip_prefix(MAGIC).ok_or(BackupError::NotABackup)?);
        let (memory_kib, passes, lanes) = (input.number()?, input.number()?, input.number()?);
        let (salt, nonce) = (input.array()?, input.array()?);
        let header = Self { memory_kib, passes, lanes, salt, nonce };
        if header.is_payable() { Ok(header) } else { Err(BackupError::NotABackup) }
    }

    const fn is_payable(&self) -> bool {
        self.lanes >= 1
            && self.lanes <= MAX_LANES
            && self.passes >= 1
            && self.passes <= MAX_PASSES
            && self.memory_kib >= 8 * self.lanes
            && self.memory_kib <= MAX_MEMORY_KIB
    }

    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for cost in [self.memory_kib, self.passes, self.lanes] {
            bytes.extend(cost.to_be_bytes());
        }
        bytes.extend(self.salt);
        bytes.extend(self.nonce);
        bytes
    }
}

/// What a backup holds: all that an agent starts from but its sessions, and the secret that its keys come
/// from.
#[derive(Clone, PartialEq, Eq)]
pub struct Backup {
    /// The seal's master secret.
    pub secret: Zeroizing<[u8; 32]>,
    /// The owner's name.
    pub name: Name,
    /// The network.
    pub network: NetworkId,
    /// The device's records.
    pub changes: Vec<Change>,
    /// What was issued.
    pub issued: Vec<(AssetId, Issued)>,
    /// Records of the shell, by name.
    pub meta: BTreeMap<String, Vec<u8>>,
}

impl Backup {
    /// The file, encrypted with the key that the header's salt gives.
    ///
    /// # Errors
    /// [`BackupError::TooLarge`].
    pub fn seal(&self, header: &Header, key: &[u8; 32]) -> Result<Vec<u8>, BackupError> {
        let plain = self.plain()?;
        let mut file = header.to_bytes();
        let payload = Payload { msg: &plain, aad: &file };
        let text = XChaCha20Poly1305::new(key.into()).encrypt(&header.nonce.into(), payload);
        file.extend(text.map_err(|_| BackupError::TooLarge)?);
        Ok(file)
    }

    /// Opens a backup with the key that its header's salt gives.
    ///
    /// # Errors
    /// [`BackupError`].
    pub fn open(file: &[u8], key: &[u8; 32]) -> Result<Self, BackupError> {
        let nonce = Header::of(file)?.nonce;
        let (aad, msg) = file.split_at_checked(HEADER).ok_or(BackupError::NotABackup)?;
        let opened =
            XChaCha20Poly1305::new(key.into()).decrypt(&nonce.into(), Payload { msg, aad });
        Self::read(&Zeroizing::new(opened.map_err(|_| BackupError::WrongPassphrase)?))
    }

    fn plain(&self) -> Result<Zeroizing<Vec<u8>>, BackupError> {
        let mut meta = self.meta.clone();
        meta.insert(NAME.into(), to_bytes(&self.name));
        meta.insert(NETWORK.into(), to_bytes(&self.network));
        let meta: Pairs = meta.into_iter().map(|(key, value)| (key.into_bytes(), value)).collect();
        let records: Pairs =
            self.changes.iter().filter_map(|c| Some((c.key(), c.value()?))).collect();
        let issued = self.issued.iter();
        let issued: Pairs =
            issued.map(|(asset, i)| (asset.as_bytes().to_vec(), issued_bytes(*i))).collect();
        let lists = [meta, records, issued];
        let long = lists.iter().map(length).fold(self.secret.len(), usize::saturating_add);
        if long > MAX_BACKUP - HEADER - TAG {
            return Err(BackupError::TooLarge);
        }
        // All at once: a buffer that grows leaves the secret behind where it was.
        let mut plain = Zeroizing::new(Vec::with_capacity(long));
        plain.extend_from_slice(self.secret.as_slice());
        lists.iter().try_for_each(|list| put(&mut plain, list))?;
        Ok(plain)
    }

    fn read(plain: &[u8]) -> Result<Self, BackupError> {
        let mut input = Bytes(plain);
        let secret = Zeroizing::new(input.array()?);
        let (pairs, records, issued) = (input.pairs()?, input.pairs()?, input.pairs()?);
        if !input.0.is_empty() {
            return Err(BackupError::NotABackup);
        }
        let mut meta = BTreeMap::new();
        for [key, value] in pairs {
            let key = core::str::from_utf8(key).map_err(|_| BackupError::NotABackup)?;
            meta.entry(String::from(key)).or_insert_with(|| value.to_vec());
        }
        let named = |key| meta.get(key).ok_or(BackupError::NotABackup);
        let (name, network) = (decode(named(NAME)?)?, decode(named(NETWORK)?)?);
        let changes = records.iter().map(|[_, value]| decode(value)).collect::<Result<_, _>>()?;
        let issued = issued.into_iter().map(issued_of).collect::<Result<_, _>>()?;
        Ok(Self { secret, name, network, changes, issued, meta })
    }
}

impl core::fmt::Debug for Backup {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Backup").field("name", &self.name).finish_non_exhaustive()
    }
}

fn decode<T: Decode>(bytes: &[u8]) -> Result<T, BackupError> {
    from_bytes(bytes).map_err(|_| BackupError::NotABackup)
}

fn issued_bytes(issued: Issued) -> Vec<u8> {
    [issued.next.to_be_bytes(), issued.total.to_be_bytes()].concat()
}

fn issued_of([asset, value]: [&[u8]; 2]) -> Result<(AssetId, Issued), BackupError> {
    let asset = AssetId::new(asset.try_into().map_err(|_| BackupError::NotABackup)?);
    let mut value = Bytes(value);
    let next = u64::from_be_bytes(value.array()?);
    Ok((asset, Issued { next, total: u64::from_be_bytes(value.array()?) }))
}
