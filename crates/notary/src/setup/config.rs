//! What one validator is configured with.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tally_core::id::from_hex;
use tally_core::keys::PublicKey;

use super::{SetupError, read_json, write_new};

/// Most enrollers whose word a validator takes.
pub const MAX_ENROLLERS: usize = 64;

/// How much room a validator leaves on its disk, unless configured otherwise.
const RESERVE: u64 = 256 << 20;

/// What one validator is configured with. Paths are relative to the file's folder.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// Its name in the genesis.
    pub name: String,
    /// The genesis file.
    pub genesis: PathBuf,
    /// The key file.
    pub keys: PathBuf,
    /// The folder of its store.
    pub data: PathBuf,
    /// Where it listens for other validators.
    pub listen: SocketAddr,
    /// Where each validator is reached, by name: `host:port`. Its own entry is not used.
    pub peers: BTreeMap<String, String>,
    /// Where it listens for clients; port 0 takes a free one.
    pub rpc: SocketAddr,
    /// Who may ask how much; everybody anything, without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscriptions: Option<PathBuf>,
    /// Keys of those whose word for a hardware seal counts here, in hexadecimal. Without one, a sealed coin
    /// moves when its lock has ended. All validators of a network need the same list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub enrollers: Vec<String>,
    /// How many threads the engine may use.
    #[serde(default = "threads")]
    pub threads: usize,
    /// Bytes of its disk that it leaves free: with less, it accepts nothing new.
    #[serde(default = "reserve")]
    pub reserve: u64,
    /// Seconds that its clock is ahead of the machine's. Only for tests.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub clock_offset: i64,
}

impl Config {
    /// Reads a configuration file, and makes its paths absolute or relative to where the program runs.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn load(path: &Path) -> Result<Self, SetupError> {
        let mut config: Self = read_json(path)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for path in [&mut config.genesis, &mut config.keys, &mut config.data] {
            *path = folder.join(&*path);
        }
        config.subscriptions = config.subscriptions.map(|path| folder.join(path));
        config
            .enrollers()
            .ok_or_else(|| SetupError::Field { path: path.into(), field: "enrollers" })?;
        Ok(config)
    }

    /// The keys of those whose word for a hardware seal counts; nothing if one of them is no key, or there
    /// are more than [`MAX_ENROLLERS`].
    pub fn enrollers(&self) -> Option<Vec<PublicKey>> {
        if self.enrollers.len() > MAX_ENROLLERS {
            return None;
        }
        self.enrollers.iter().map(|text| enroller(text)).collect()
    }

    /// Writes a new configuration file.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn save(&self, path: &Path) -> Result<(), SetupError> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| SetupError::Json(path.into(), error))?;
        write_new(path, &(text + "\n"), 0o644)
    }

    /// A configuration with the usual limits.
    pub fn new(
        name: &str,
        listen: SocketAddr,
        rpc: SocketAddr,
        peers: BTreeMap<String, String>,
    ) -> Self {
        Self {
            name: name.into(),
            genesis: "../genesis.json".into(),
            keys: "keys.json".into(),
            data: "data".into(),
            listen,
            peers,
            rpc,
            subscriptions: None,
            enrollers: Vec::new(),
            threads: threads(),
            reserve: RESERVE,
            clock_offset: 0,
        }
    }
}

/// An enroller's public key, from its 66 hexadecimal digits.
pub fn enroller(text: &str) -> Option<PublicKey> {
    from_hex::<33>(text).and_then(|bytes| PublicKey::secp256k1(&bytes).ok())
}

fn threads() -> usize {
    2
}

fn reserve() -> u64 {
    RESERVE
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}
