//! The subscription file, and the file of what was used.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tally_core::id::from_hex;

use super::month::Month;
use crate::hex;

/// Longest subscription file, in bytes.
pub const MAX_SUBSCRIPTION_FILE: u64 = 16 << 20;

/// Most keys in it.
pub const MAX_KEYS: usize = 50_000;

/// Why a subscription file is not usable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuotaError {
    /// It cannot be read.
    #[error("cannot read {0}: {1}: check the path and its permissions")]
    Read(PathBuf, String),
    /// It is too long.
    #[error("{0} has more than {MAX_SUBSCRIPTION_FILE} bytes or {MAX_KEYS} keys")]
    TooLarge(PathBuf),
    /// It does not say what it should.
    #[error("{0} is no subscription file: {1}")]
    Content(PathBuf, String),
}

impl QuotaError {
    /// Stable code of this error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Read(..) => "QUOTA_READ",
            Self::TooLarge(_) => "QUOTA_TOO_LARGE",
            Self::Content(..) => "QUOTA_CONTENT",
        }
    }
}

/// SHA-256 of a key: what the files and the memory have in its place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct KeyHash(pub(super) [u8; 32]);

/// How much somebody may ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    /// Calls a second, and as many at once; no limit if none.
    pub per_second: Option<u32>,
    /// Calls a calendar month in UTC; no limit if none.
    pub per_month: Option<u64>,
    /// Whether the network may be asked to record something.
    pub may_certify: bool,
}

/// Who may ask how much.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscriptions {
    anonymous: Allowance,
    keys: BTreeMap<KeyHash, Allowance>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    anonymous: Anonymous,
    keys: Vec<Key>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Anonymous {
    #[serde(default)]
    per_second: Option<u32>,
    may_certify: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    /// For the operator only.
    #[serde(rename = "name")]
    _name: String,
    sha256: String,
    #[serde(default)]
    per_second: Option<u32>,
    #[serde(default)]
    per_month: Option<u64>,
}

impl Subscriptions {
    /// Reads a file.
    ///
    /// # Errors
    /// [`QuotaError`].
    pub fn read(path: &Path) -> Result<Self, QuotaError> {
        let bytes = read(path)?;
        Self::parse(&bytes).map_err(|why| QuotaError::Content(path.into(), why))
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let document: Document = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        if document.keys.len() > MAX_KEYS {
            return Err(format!("it has more than {MAX_KEYS} keys"));
        }
        let anonymous = Allowance {
            per_second: document.anonymous.per_second,
            per_month: None,
            may_certify: document.anonymous.may_certify,
        };
        let mut keys = BTreeMap::new();
        for (i, key) in document.keys.into_iter().enumerate() {
            let hash = from_hex(&key.sha256)
                .ok_or_else(|| format!("sha256 of key {i} is not 64 hexadecimal digits"))?;
            let (per_second, per_month) = (key.per_second, key.per_month);
            let allowance = Allowance { per_second, per_month, may_certify: true };
            if keys.insert(KeyHash(hash), allowance).is_some() {
                return Err(format!("key {i} is there twice"));
            }
        }
        Ok(Self { anonymous, keys })
    }

    /// What everybody may ask, by address.
    pub fn anonymous(&self) -> Allowance {
        self.anonymous.clone()
    }

    pub(super) fn key(&self, key: &KeyHash) -> Option<Allowance> {
        self.keys.get(key).cloned()
    }
}

/// What was used in a month.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) month: Month,
    pub(super) used: BTreeMap<KeyHash, u64>,
}

#[derive(Serialize, Deserialize)]
struct UsageDocument {
    month: Month,
    used: BTreeMap<String, u64>,
}

impl Usage {
    /// Reads what was written; nothing was used if there is no file yet.
    pub(super) fn read(path: &Path) -> Result<Self, QuotaError> {
        if matches!(path.try_exists(), Ok(false)) {
            return Ok(Self::default());
        }
        let content = |why: String| QuotaError::Content(path.into(), why);
        let document: UsageDocument =
            serde_json::from_slice(&read(path)?).map_err(|error| content(error.to_string()))?;
        let used = document.used.iter().map(|(key, used)| Some((KeyHash(from_hex(key)?), *used)));
        let used = used.collect::<Option<_>>();
        let used = used.ok_or_else(|| content("a key is not 64 hexadecimal digits".into()))?;
        Ok(Self { month: document.month, used })
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        let used = self.used.iter().map(|(key, used)| (hex::encode(&key.0), *used)).collect();
        let document = UsageDocument { month: self.month, used };
        serde_json::to_vec(&document).expect("text keys and numbers are JSON")
    }
}

fn read(path: &Path) -> Result<Vec<u8>, QuotaError> {
    let refused = |error: std::io::Error| match error.kind() {
        ErrorKind::FileTooLarge => QuotaError::TooLarge(path.into()),
        _ => QuotaError::Read(path.into(), error.to_string()),
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(refused)?;
    file.take(MAX_SUBSCRIPTION_FILE + 1).read_to_end(&mut bytes).map_err(refused)?;
    if bytes.len() as u64 > MAX_SUBSCRIPTION_FILE {
        return Err(QuotaError::TooLarge(path.into()));
    }
    Ok(bytes)
}
