//! The one error of this crate: what happened, and what to do next.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::journal::Rollback;
use crate::machine::Differs;
use crate::tpm2::TpmError;

/// Why a seal did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// A slot proof was asked of a seal without hardware counters.
    #[error(
        "this seal has no hardware counters, so it cannot prove a slot: pay with a coin that a signature alone moves"
    )]
    NoCounters,
    /// The passphrase or key file is not the one of this keystore.
    #[error(
        "the passphrase or key file does not open this keystore: try again, or name the right key file"
    )]
    WrongPassphrase,
    /// A passphrase or key file that this keystore cannot take.
    #[error("{why}")]
    Unlock {
        /// What is wrong with it, and what to do.
        why: &'static str,
    },
    /// The key file is missing, readable by others, or not a key file.
    #[error("key file {}: {fault}", path.display())]
    KeyFile {
        /// The key file.
        path: PathBuf,
        /// What is wrong with it.
        fault: KeyFileFault,
    },
    /// The keystore's bytes are not what was written.
    #[error("the keystore is damaged ({why}): restore this file from a backup")]
    Damaged {
        /// What does not fit.
        why: String,
    },
    /// The keystore is bound to another machine.
    #[error(
        "this wallet is locked to another machine or user ({differs}): if it is your wallet and you moved it here on purpose, run `tally seal rebind`, and never use both copies"
    )]
    OtherMachine {
        /// Which of the two factors is not the one the keystore was bound to.
        differs: Differs,
    },
    /// A keystore exists where a new one should go.
    #[error("{} holds a keystore already: open it, or choose another folder", path.display())]
    Exists {
        /// The existing keystore.
        path: PathBuf,
    },
    /// No keystore in the folder.
    #[error("there is no keystore at {}: name the wallet's folder, or make a new wallet", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Another process has this seal open.
    #[error("another program has this wallet open: close it, then try again")]
    InUse,
    /// The journal does not agree that this step may be signed.
    #[error("nothing was signed: {0}")]
    RolledBack(Rollback),
    /// A file could not be read or written.
    #[error("cannot {doing} {}: {source}; check the path, its permissions and the free space", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// The TPM did not do it.
    #[error(transparent)]
    Tpm(#[from] TpmError),
}

impl SealError {
    /// Stable code of this error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoCounters => "SEAL_NO_COUNTERS",
            Self::WrongPassphrase => "SEAL_WRONG_PASSPHRASE",
            Self::Unlock { .. } => "SEAL_UNLOCK",
            Self::KeyFile { fault, .. } => fault.code(),
            Self::Damaged { .. } => "SEAL_DAMAGED",
            Self::OtherMachine { .. } => "SEAL_OTHER_MACHINE",
            Self::Exists { .. } => "SEAL_EXISTS",
            Self::Missing { .. } => "SEAL_MISSING",
            Self::InUse => "SEAL_IN_USE",
            Self::RolledBack(_) => "SEAL_ROLLED_BACK",
            Self::Io { .. } => "SEAL_IO",
            Self::Tpm(e) => e.code(),
        }
    }

    /// Wraps what the system answered when `doing` something at `path`.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, path: path.to_owned(), source }
    }

    pub(crate) fn damaged(why: impl fmt::Display) -> Self {
        Self::Damaged { why: why.to_string() }
    }
}

/// What is wrong with a key file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KeyFileFault {
    /// It is not there.
    #[error("not found: put the key file back; without it this keystore cannot be opened")]
    Missing,
    /// Its permission bits let other users read or change it.
    #[error("other users of this computer can read it (mode {mode:03o}): run `chmod 600` on it")]
    Exposed {
        /// The permission bits found.
        mode: u32,
    },
    /// Its text is not that of a key file.
    #[error("this is no key file, or it is damaged: restore it from a backup")]
    Damaged,
}

impl KeyFileFault {
    const fn code(self) -> &'static str {
        match self {
            Self::Missing => "SEAL_KEY_FILE_MISSING",
            Self::Exposed { .. } => "SEAL_KEY_FILE_EXPOSED",
            Self::Damaged => "SEAL_KEY_FILE_DAMAGED",
        }
    }
}
