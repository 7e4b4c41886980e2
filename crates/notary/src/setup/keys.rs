//! Make and keep a validator's secret keys.

use std::fmt;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tally_core::id::from_hex;
use tally_core::keys::SecretKey;
use zeroize::{Zeroize, Zeroizing};

use super::{SetupError, read_json, write_new};
use crate::engine::VoteKey;
use crate::hex;

/// A validator's two secret keys. It shows nothing of them.
pub struct Keys {
    /// For votes and connections.
    pub vote: VoteKey,
    /// For seals.
    pub seal: SecretKey,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    vote_key: String,
    seal_key: String,
}

impl Drop for File {
    fn drop(&mut self) {
        self.vote_key.zeroize();
        self.seal_key.zeroize();
    }
}

impl Keys {
    /// New keys, from the system's random numbers.
    ///
    /// # Errors
    /// [`SetupError::Random`].
    pub fn random() -> Result<Self, SetupError> {
        let vote = loop {
            if let Some(key) = VoteKey::new(&*random()?) {
                break key;
            }
        };
        let seal = loop {
            if let Ok(key) = SecretKey::new(*random()?) {
                break key;
            }
        };
        Ok(Self { vote, seal })
    }

    /// Reads a key file, which nobody but its owner may be able to read.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn load(path: &Path) -> Result<Self, SetupError> {
        use std::os::unix::fs::PermissionsExt as _;
        let failed = |error| SetupError::File(path.into(), error);
        if fs::metadata(path).map_err(failed)?.permissions().mode() & 0o077 != 0 {
            return Err(SetupError::Rights(path.into()));
        }
        let file: File = read_json(path)?;
        let key = |text: &str| from_hex::<32>(text).map(Zeroizing::new);
        let wrong = |field| SetupError::Field { path: path.into(), field };
        let vote = key(&file.vote_key).and_then(|bytes| VoteKey::new(&bytes));
        let seal = key(&file.seal_key).and_then(|bytes| SecretKey::new(*bytes).ok());
        Ok(Self {
            vote: vote.ok_or_else(|| wrong("voteKey"))?,
            seal: seal.ok_or_else(|| wrong("sealKey"))?,
        })
    }

    /// Writes a new key file that only its owner can read.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn save(&self, path: &Path) -> Result<(), SetupError> {
        let file = File {
            vote_key: hex::encode(&self.vote.expose()),
            seal_key: hex::encode(self.seal.expose()),
        };
        let text = serde_json::to_string_pretty(&file).expect("texts are always JSON");
        write_new(path, &Zeroizing::new(text + "\n"), 0o600)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

fn random() -> Result<Zeroizing<[u8; 32]>, SetupError> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes).map_err(|_| SetupError::Random)?;
    Ok(bytes)
}
