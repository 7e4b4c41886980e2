//! Find the wallet and what opens it.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use tally_core::id::{DeviceId, Head};
use tally_core::time::Time;
use tally_seal::journal::Rollback;
use tally_seal::machine::HostMachine;
use tally_seal::software::{Place, SoftwareSeal};
use tally_seal::unlock::{KdfParams, MAX_PASSPHRASE, Passphrase, Unlock};
use tally_seal::{Entropy, Seal};
use tally_wallet::{Setup, StoreError, Wallet, WalletError};
use zeroize::Zeroizing;

use crate::args::Global;
use crate::error::{CliError, Exit};

/// Where the wallet is, and what opens it.
#[derive(Clone, Debug)]
pub struct Context {
    /// The wallet's folder.
    pub dir: PathBuf,
    /// The folder of the seal's journal.
    pub state: PathBuf,
    passphrase_file: Option<PathBuf>,
}

impl Context {
    /// Works out the folders.
    ///
    /// # Errors
    /// [`CliError`] when neither a flag nor the environment says where they are.
    pub fn new(global: &Global) -> Result<Self, CliError> {
        Ok(Self {
            dir: place(global.wallet.as_deref(), "XDG_DATA_HOME", ".local/share")?,
            state: place(global.state_dir.as_deref(), "XDG_STATE_HOME", ".local/state")?,
            passphrase_file: global.passphrase_file.clone(),
        })
    }

    /// What the wallet needs to be made or opened.
    ///
    /// # Errors
    /// [`CliError`] when the passphrase cannot be read.
    pub fn setup(&self) -> Result<Setup, CliError> {
        Ok(Setup {
            unlock: self.unlock()?,
            kdf: KdfParams::default(),
            state_dir: self.state.clone(),
            machine: Box::new(HostMachine::new()),
        })
    }

    /// What opens the wallet.
    ///
    /// # Errors
    /// [`CliError`] when the passphrase cannot be read.
    pub fn unlock(&self) -> Result<Unlock, CliError> {
        match &self.passphrase_file {
            Some(file) => read_passphrase(file).map(Unlock::Passphrase),
            None => Ok(Unlock::KeyFile(self.place().key_file())),
        }
    }

    /// The passphrase in `file`, or else the wallet's own.
    ///
    /// # Errors
    /// [`CliError`] when there is none, or it cannot be read.
    pub fn passphrase(&self, file: Option<&Path>) -> Result<Passphrase, CliError> {
        let file = file.or(self.passphrase_file.as_deref()).ok_or_else(|| {
            CliError::usage(
                "PASSPHRASE_NEEDED",
                "a backup needs a passphrase, and this wallet opens with a key file",
                "write one into a file that only you can read, and name it with --backup-passphrase-file",
            )
        })?;
        read_passphrase(file)
    }

    /// Where the seal's files are.
    pub fn place(&self) -> Place {
        Place::new(&self.dir, &self.state)
    }

    /// Opens the wallet.
    ///
    /// # Errors
    /// [`CliError`] when it is not there, is in use, or does not open; and when it waits for its TPM
    /// to be enrolled.
    pub fn open(&self) -> Result<Wallet, CliError> {
        let wallet = self.open_any()?;
        if wallet.awaits_enrollment() {
            return Err(CliError::new(
                Exit::Refused,
                "SEAL_NOT_ENROLLED",
                "this wallet waits for its TPM to be enrolled, and has neither card nor coins before",
                "run `tally seal enroll --enroller ADDR`, or give the TPM up with `tally seal enroll --give-up`",
            ));
        }
        Ok(wallet)
    }

    /// Opens the wallet, also one that waits for its TPM to be enrolled.
    ///
    /// # Errors
    /// As [`Context::open`], but for that.
    pub fn open_any(&self) -> Result<Wallet, CliError> {
        match Wallet::open(&self.dir, &self.setup()?) {
            Err(WalletError::Store(StoreError::Missing(_))) if self.place().keystore().exists() => {
                Err(self.records_are_gone(
                    "if `tally init` was interrupted, run it again; else restore the wallet from a backup into another folder (tally restore)",
                ))
            }
            opened => Ok(opened?),
        }
    }

    /// Insists that no key lies in the folder that has signed payments before: a wallet that began
    /// anew with it would sign its first step again, which is a fork.
    ///
    /// # Errors
    /// [`CliError`] when there is one, or it does not open.
    pub fn check_new(&self) -> Result<(), CliError> {
        let (place, setup) = (self.place(), self.setup()?);
        if !place.keystore().exists() {
            return Ok(());
        }
        match Wallet::open(&self.dir, &setup) {
            Err(WalletError::Store(StoreError::Missing(_))) => {}
            // Whoever makes the wallet says what is there instead.
            _ => return Ok(()),
        }
        let seal = SoftwareSeal::open(&place, setup.machine.as_ref(), &setup.unlock)?;
        let genesis = Head::genesis(&DeviceId::of(&seal.owner_key(), &seal.identity()));
        if seal.check(0, &genesis) == Rollback::FirstUse {
            return Ok(());
        }
        Err(self.records_are_gone(
            "restore the wallet from a backup into another folder (tally restore), and keep this one",
        ))
    }

    fn records_are_gone(&self, next: &str) -> CliError {
        let what =
            format!("there is a wallet's key in {}, but its records are gone", self.dir.display());
        CliError::new(Exit::Failure, "WALLET_DAMAGED", what, next)
    }
}

/// The time, as this machine's clock has it.
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_unix(since.as_secs())
}

/// Fresh random bytes from the system.
///
/// # Errors
/// [`CliError`] when the system has none.
pub fn entropy() -> Result<Entropy, CliError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|e| {
        CliError::new(
            Exit::Failure,
            "RANDOM",
            format!("the system gives no random bytes ({e})"),
            "restart the computer, then try again",
        )
    })?;
    Ok(Entropy::new(bytes))
}

/// Reads a passphrase: the first line of a file, or of the standard input.
///
/// # Errors
/// [`CliError`] when it cannot be read, or is no passphrase.
pub fn read_passphrase(file: &Path) -> Result<Passphrase, CliError> {
    let limit = MAX_PASSPHRASE as u64 + 3;
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_PASSPHRASE + 3));
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|f| f.take(limit).read_to_end(&mut bytes))
    };
    let unreadable = |why: String| {
        let what = format!("the passphrase in {} cannot be read ({why})", file.display());
        let next = "name a text file with the passphrase as its first line";
        CliError::new(Exit::Failure, "PASSPHRASE_FILE", what, next)
    };
    read.map_err(|e| unreadable(e.to_string()))?;
    let text = std::str::from_utf8(&bytes).map_err(|_| unreadable("it is no text".into()))?;
    let line = text.lines().next().unwrap_or_default();
    Ok(Passphrase::new(Zeroizing::new(line.to_owned()))?)
}

fn place(flag: Option<&Path>, variable: &str, below_home: &str) -> Result<PathBuf, CliError> {
    if let Some(dir) = flag {
        return Ok(dir.to_owned());
    }
    let absolute = |name: &str| {
        let path = std::env::var_os(name).map(PathBuf::from)?;
        path.is_absolute().then_some(path)
    };
    absolute(variable)
        .or_else(|| absolute("HOME").map(|home| home.join(below_home)))
        .map(|base| base.join("tally"))
        .ok_or_else(|| {
            CliError::usage(
                "NO_FOLDER",
                "nothing says where the wallet is: HOME is not set",
                "name its folder with --wallet, and set TALLY_STATE to a folder outside of it",
            )
        })
}
