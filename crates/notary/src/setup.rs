//! Make a network: its validators' keys, its genesis, and what each validator is configured with.
//!
//! | file | holds | who may see it |
//! |---|---|---|
//! | `genesis.json` | the validators and when the network begins | everybody |
//! | `trust-base.json` | what wallets check certificates with | everybody, by a way that they trust |
//! | `NAME/config.json` | addresses and limits of one validator | its operator |
//! | `NAME/keys.json` | its two secret keys, mode 0600 | nobody but the validator |
//! | `NAME/data/` | its store | its operator |

mod config;
mod genesis;
mod keys;
mod make;

pub use config::{Config, MAX_ENROLLERS, enroller};
pub use genesis::{Genesis, GenesisValidator};
pub use keys::Keys;
pub use make::{Made, Plan, init};

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use tally_core::notary::TrustBaseError;

/// Longest file of a network's setup that is read.
pub const MAX_SETUP_FILE: u64 = 1 << 20;

/// Why a network cannot be made, or a validator not be configured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// A file cannot be read or written.
    #[error("{0} cannot be read or written: look at its folder's rights and room: {1}")]
    File(PathBuf, #[source] io::Error),
    /// A file is there already, and may be in use.
    #[error("{0} is there already: choose another folder")]
    Exists(PathBuf),
    /// A file is not the JSON that it should be.
    #[error("{0} is not readable: correct it: {1}")]
    Json(PathBuf, #[source] serde_json::Error),
    /// A field of a file does not hold what it should.
    #[error("`{field}` in {path} is not valid: correct it")]
    Field {
        /// The file.
        path: PathBuf,
        /// Its field.
        field: &'static str,
    },
    /// Others than the owner can read the keys.
    #[error(
        "others can read {0}: run `chmod 600` on it, and make new keys if somebody has read it"
    )]
    Rights(PathBuf),
    /// The number of validators is not one of 1, 4, 7 and so on.
    #[error(
        "{0} validators: a network has 1, 4, 7, … up to 100, of which less than a third may fail"
    )]
    Count(usize),
    /// The configuration names a validator that the genesis does not, or has not this key.
    #[error("{0} is not a validator of this genesis with these keys: use the files made together")]
    Stranger(String),
    /// The validators make no trust base.
    #[error(transparent)]
    TrustBase(#[from] TrustBaseError),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: try again later")]
    Random,
}

impl SetupError {
    /// Stable code of this error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::File(..) => "SETUP_FILE",
            Self::Exists(_) => "SETUP_EXISTS",
            Self::Json(..) => "SETUP_JSON",
            Self::Field { .. } => "SETUP_FIELD",
            Self::Rights(_) => "SETUP_RIGHTS",
            Self::Count(_) => "SETUP_COUNT",
            Self::Stranger(_) => "SETUP_STRANGER",
            Self::TrustBase(error) => error.code(),
            Self::Random => "SETUP_RANDOM",
        }
    }
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, SetupError> {
    let failed = |error| SetupError::File(path.into(), error);
    let size = fs::metadata(path).map_err(failed)?.len();
    if size > MAX_SETUP_FILE {
        return Err(failed(io::ErrorKind::FileTooLarge.into()));
    }
    let text = fs::read(path).map_err(failed)?;
    serde_json::from_slice(&text).map_err(|error| SetupError::Json(path.into(), error))
}

/// Writes a new file, and never over an old one.
fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), SetupError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => SetupError::Exists(path.into()),
        _ => SetupError::File(path.into(), error),
    };
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(mode).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
}

#[cfg(test)]
mod tests;
