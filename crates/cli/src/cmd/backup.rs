//! Back a wallet up, and bring it back.

use std::path::{Path, PathBuf};

use serde::Serialize;
use tally_core::device::{Meeting, Mode};
use tally_wallet::Wallet;

use super::view::mode;
use crate::args::Backup;
use crate::context::Context;
use crate::error::{CliError, Exit};
use crate::output::{Done, Out, Report};

#[derive(Serialize)]
struct BackedUp {
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
        }
        text
    }
}

fn restored(wallet: &Wallet) -> Done {
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
    })
}

/// Makes a wallet from a backup.
pub fn restore(at: &Context, file: &Path, passphrase: Option<&Path>) -> Result<Done, CliError> {
    let passphrase = at.passphrase(passphrase)?;
    let wallet = tally_wallet::restore(file, &passphrase, &at.dir, &at.setup()?)?;
    Ok(restored(&wallet))
}

/// Confirms that everyone who was paid since the backup has been met.
///
/// Whoever is given up on may have been paid since the backup, and convict this wallet of a fork.
pub fn recover(
    at: &Context,
    out: Out,
    give_up: &[String],
    nothing_paid: bool,
    without_tpm: bool,
) -> Result<Done, CliError> {
    let mut wallet = at.open()?;
    for name in give_up {
        let contact = wallet.find_contact(name)?;
        wallet.give_up(contact)?;
    }
    if nothing_paid && *wallet.device().mode() != Mode::Normal {
        out.note(
            "WARNING: nobody confirms that this is the wallet's latest step. If it has paid anybody since the backup, its next payment is a fork: it is proved to all, and this identity is refused for good.",
        );
    }
    if without_tpm {
        wallet.confirm_recovery_without_tpm(nothing_paid)?;
    } else {
        wallet.confirm_recovery(nothing_paid)?;
    }
    Ok(restored(&wallet))
}
