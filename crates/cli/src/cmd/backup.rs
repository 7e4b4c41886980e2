//! Back a wallet up, and bring it back.

use std::path::{Path, PathBuf};

use serde::Serialize;
use tally_core::device::Meeting;
use tally_wallet::Wallet;

use super::view::mode;
use crate::args::Backup;
use crate::context::{Context, now};
use crate::error::{CliError, Exit};
use crate::output::{Done, Report};
use crate::show::{Locked, Names, SetApart};

#[derive(Serialize)]
struct BackedUp {
    #[serde(serialize_with = "crate::output::path")]
    file: PathBuf,
    bytes: u64,
    step: u64,
}

impl Report for BackedUp {
    fn text(&self) -> String {
        format!(
            "written: {} ({} bytes, at step {})\nIt holds the key: whoever has it and its passphrase has the money.\n",
            self.file.display(),
            self.bytes,
            self.step
        )
    }
}

/// Writes the whole wallet into one encrypted file.
pub fn backup(at: &Context, backup: &Backup) -> Result<Done, CliError> {
    let passphrase = at.passphrase(backup.backup_passphrase_file.as_deref())?;
    let wallet = at.open()?;
    wallet.backup(passphrase, &backup.file)?;
    let bytes = std::fs::metadata(&backup.file).map(|found| found.len()).map_err(|e| {
        CliError::new(
            Exit::Failure,
            "FILE_IO",
            format!("the backup is not there after it was written ({e})"),
            "write it to another place",
        )
    })?;
    let step = wallet.device().seq();
    Ok(Done::new(&BackedUp { file: backup.file.clone(), bytes, step }))
}

#[derive(Serialize)]
struct Restored {
    name: String,
    device: String,
    mode: &'static str,
    step: u64,
    to_meet: Vec<String>,
    /// How many steps of its own, up to the latest, it does not know.
    missing_steps: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    set_apart: Vec<SetApart>,
    /// What waits for the end of its lock, because its counter gives no proof any more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    locked: Vec<Locked>,
}

impl Report for Restored {
    fn text(&self) -> String {
        let mut text = format!("{}: step {}, {}\n", self.name, self.step, self.mode);
        if self.mode != "normal" {
            text += "It receives only: after this backup it may have paid, and paying from an old state would be a fork.\n\
                     next: meet everyone whom you may have paid since (`tally sync`), then `tally recover`\n";
            if !self.to_meet.is_empty() {
                text += &format!("still to meet: {}\n", self.to_meet.join(", "));
            }
        } else if self.missing_steps > 0 {
            text += &format!("{} of its own steps are not known here\n", self.missing_steps);
            text += &self.set_apart.iter().map(SetApart::text).collect::<String>();
        }
        text + &self.locked.iter().map(Locked::text).collect::<String>()
    }
}

/// What is shown of a wallet that was restored.
pub fn restored(wallet: &Wallet) -> Done {
    let device = wallet.device();
    let unmet = device.contacts().values().filter(|contact| contact.met == Meeting::Due);
    let mode = mode(device);
    let to_meet =
        if mode == "normal" { Vec::new() } else { unmet.map(|c| c.name.as_str().into()).collect() };
    Done::new(&Restored {
        name: wallet.name().as_str().into(),
        device: device.id().to_string(),
        mode,
        step: device.seq(),
        to_meet,
        missing_steps: device.missing().count(),
        set_apart: SetApart::all(device, &Names::of(device)),
        locked: Locked::all(device, &Names::of(device), now()),
    })
}

/// Makes a wallet from a backup.
pub fn restore(at: &Context, file: &Path, passphrase: Option<&Path>) -> Result<Done, CliError> {
    let passphrase = at.passphrase(passphrase)?;
    let wallet = tally_wallet::restore(file, &passphrase, &at.dir, &at.setup()?)?;
    Ok(restored(&wallet))
}
