//! Turn what a person knows, or a file that only they can read, into a key.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use argon2::{Algorithm, Argon2, Block, Version};
use tally_core::cbor::{Decode, DecodeError, Encode, Reader, Writer};
use tally_core::id::from_hex;
use zeroize::{Zeroize, Zeroizing};

use crate::secret::{Entropy, Key, Label};
use crate::{KeyFileFault, SealError, files};

/// Longest passphrase, in bytes of UTF-8.
pub const MAX_PASSPHRASE: usize = 1024;

/// Most memory that a keystore may ask for, in KiB.
pub const MAX_MEMORY_KIB: u32 = 256 * 1024;

/// Most passes over that memory.
pub const MAX_PASSES: u32 = 16;

/// Most lanes that the memory may be split in.
pub const MAX_LANES: u32 = 4;

/// What opens a keystore.
#[derive(Clone, Debug)]
pub enum Unlock {
    /// Something the owner knows.
    Passphrase(Passphrase),
    /// A file that only the owner can read; it is made with the keystore when it does not exist.
    KeyFile(PathBuf),
}

/// A passphrase, as typed. Wiped when dropped, and shows nothing of itself.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Takes 1 to [`MAX_PASSPHRASE`] bytes.
    ///
    /// # Errors
    /// [`SealError::Unlock`] when it is empty or longer.
    pub fn new(text: Zeroizing<String>) -> Result<Self, SealError> {
        match text.len() {
            0 => Err(SealError::Unlock {
                why: "the passphrase is empty: choose one, or use a key file",
            }),
            1..=MAX_PASSPHRASE => Ok(Self(text)),
            _ => Err(SealError::Unlock {
                why: "the passphrase is longer than 1,024 bytes: choose a shorter one",
            }),
        }
    }

    /// A 32-byte key made of the passphrase by argon2id, at the cost of `params`: for a file that
    /// its owner opens with a passphrase of its own, such as a backup.
    ///
    /// # Errors
    /// [`SealError::Unlock`] when there is not enough memory.
    pub fn stretch(
        &self,
        params: KdfParams,
        salt: &[u8; 16],
    ) -> Result<Zeroizing<[u8; 32]>, SealError> {
        Ok(stretch(self, params, salt)?.into_bytes())
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(…)")
    }
}

/// Cost of one guess at a passphrase: parameters of argon2id (RFC 9106).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KdfParams {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl KdfParams {
    /// Memory and passes of RFC 9106's second recommendation, on one lane: 64 MiB, 3 passes.
    pub const STRONG: Self = Self { memory_kib: 64 * 1024, passes: 3, lanes: 1 };

    /// Next to no protection: for tests, which open many keystores.
    pub const WEAK_FOR_TESTS: Self = Self { memory_kib: 8, passes: 1, lanes: 1 };

    /// Takes memory in KiB, passes and lanes, if they are within argon2's and this module's limits.
    pub const fn new(memory_kib: u32, passes: u32, lanes: u32) -> Option<Self> {
        let fits = lanes >= 1
            && lanes <= MAX_LANES
            && passes >= 1
            && passes <= MAX_PASSES
            && memory_kib >= 8 * lanes
            && memory_kib <= MAX_MEMORY_KIB;
        if fits { Some(Self { memory_kib, passes, lanes }) } else { None }
    }

    /// Memory in KiB, passes and lanes, as [`KdfParams::new`] takes them.
    pub const fn parts(self) -> (u32, u32, u32) {
        (self.memory_kib, self.passes, self.lanes)
    }
}

impl Default for KdfParams {
    fn default() -> Self {
        Self::STRONG
    }
}

/// How a keystore's unlock key is made from what the owner gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Method {
    /// By argon2id from a passphrase.
    Passphrase(KdfParams),
    /// By HKDF from a key file's 32 random bytes, which need no stretching.
    KeyFile,
}

impl Encode for Method {
    fn encode(&self, w: &mut Writer) {
        match self {
            Self::Passphrase(params) => {
                w.array(4);
                w.uint(0);
                params.memory_kib.encode(w);
                params.passes.encode(w);
                params.lanes.encode(w);
            }
            Self::KeyFile => {
                w.array(1);
                w.uint(1);
            }
        }
    }
}

impl Decode for Method {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.variant(|r, kind, rest| match (kind, rest) {
            (0, 3) => {
                let (memory, passes, lanes) = (u32::decode(r)?, u32::decode(r)?, u32::decode(r)?);
                KdfParams::new(memory, passes, lanes)
                    .map(Self::Passphrase)
                    .ok_or(DecodeError::OutOfRange)
            }
            (1, 0) => Ok(Self::KeyFile),
            (0 | 1, _) => Err(DecodeError::WrongLength),
            _ => Err(DecodeError::Unknown),
        })
    }
}

impl Unlock {
    /// How a new keystore is to make its unlock key. Makes the key file when it does not exist.
    pub(crate) fn prepare(
        &self,
        params: KdfParams,
        entropy: &Entropy,
    ) -> Result<Method, SealError> {
        let Self::KeyFile(path) = self else {
            return Ok(Method::Passphrase(params));
        };
        match read_key_file(path) {
            Ok(_) => {}
            Err(SealError::KeyFile { fault: KeyFileFault::Missing, .. }) => {
                write_key_file(path, &entropy.key(Label::NewKeyFile))?;
            }
            Err(e) => return Err(e),
        }
        Ok(Method::KeyFile)
    }

    /// The unlock key. For a passphrase this takes the time and memory that `method` says.
    pub(crate) fn key(&self, method: Method, salt: &[u8; 16]) -> Result<Key, SealError> {
        match (self, method) {
            (Self::Passphrase(passphrase), Method::Passphrase(params)) => {
                stretch(passphrase, params, salt)
            }
            (Self::KeyFile(path), Method::KeyFile) => {
                Ok(read_key_file(path)?.expand(Label::KeyFile))
            }
            (Self::Passphrase(_), Method::KeyFile) => Err(SealError::Unlock {
                why: "this keystore opens with a key file, not with a passphrase: name the key file",
            }),
            (Self::KeyFile(_), Method::Passphrase(_)) => Err(SealError::Unlock {
                why: "this keystore opens with a passphrase, not with a key file: give the passphrase",
            }),
        }
    }
}

fn stretch(passphrase: &Passphrase, params: KdfParams, salt: &[u8; 16]) -> Result<Key, SealError> {
    let cost = argon2::Params::new(params.memory_kib, params.passes, params.lanes, Some(32))
        .expect("within argon2's limits since the parameters were made");
    let no_memory = || SealError::Unlock {
        why: "not enough free memory to try the passphrase: close other programs, then try again",
    };
    let mut memory = Vec::new();
    memory.try_reserve_exact(cost.block_count()).map_err(|_| no_memory())?;
    memory.resize(cost.block_count(), Block::new());
    let mut out = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, cost)
        .hash_password_into_with_memory(
            passphrase.0.as_bytes(),
            salt,
            out.as_mut_slice(),
            memory.as_mut_slice(),
        )
        .expect("salt, output and passphrase lengths are within argon2's limits");
    memory.iter_mut().for_each(Zeroize::zeroize);
    Ok(Key::new(*out))
}

/// What stands before a key file's 64 hexadecimal digits.
const KEY_FILE_MARK: &str = "tally-key-v1:";

/// Length of a key file: mark, digits, line end.
const MAX_KEY_FILE: usize = KEY_FILE_MARK.len() + 64 + 1;

fn read_key_file(path: &Path) -> Result<Key, SealError> {
    let fault = |fault| SealError::KeyFile { path: path.to_owned(), fault };
    let failed = |e: io::Error| match e.kind() {
        io::ErrorKind::NotFound => fault(KeyFileFault::Missing),
        _ => SealError::io("read", path)(e),
    };
    // Opening a pipe would wait for its other end.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(fault(KeyFileFault::Damaged));
    }
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(fault(KeyFileFault::Exposed { mode }));
    }
    let text = Zeroizing::new(files::read_from(&file, MAX_KEY_FILE).map_err(failed)?);
    std::str::from_utf8(&text)
        .ok()
        .and_then(|text| text.strip_prefix(KEY_FILE_MARK))
        .and_then(|text| from_hex(text.strip_suffix('\n').unwrap_or(text)))
        .map(Key::new)
        .ok_or_else(|| fault(KeyFileFault::Damaged))
}

fn write_key_file(path: &Path, key: &Key) -> Result<(), SealError> {
    let mut text = Zeroizing::new(String::with_capacity(MAX_KEY_FILE));
    text.push_str(KEY_FILE_MARK);
    for byte in key.expose() {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(nibble), 16).expect("a nibble is below 16"));
        }
    }
    text.push('\n');
    files::replace(path, text.as_bytes())
}

#[cfg(test)]
mod tests;
