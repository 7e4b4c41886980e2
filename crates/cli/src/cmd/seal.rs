//! The seal: what keeps this device from forking.

use std::path::Path;

use serde::Serialize;
use tally_core::seal::SealIdentity;
use tally_seal::machine::HostMachine;
use tally_seal::software::SoftwareSeal;
use tally_seal::unlock::{KdfParams, Unlock};
use tally_seal::{Seal, SealState};
use tally_transport::file;
use tally_wallet::Wallet;

use crate::args::SealCommand;
use crate::context::{Context, entropy, read_passphrase};
use crate::error::CliError;
use crate::output::{Done, Out, Report};
use crate::show::date;

/// Longest list of revoked seals, in bytes.
const MAX_LIST: usize = 1024 * 1024;

#[derive(Serialize)]
struct Shown {
    kind: String,
    opens_with: &'static str,
    bound_to: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tpm: Option<String>,
    /// Whether the TPM is still to be enrolled.
    waits: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    seal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    counters: Option<Counted>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enrolled: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    /// Whether the wallet has heard that its enroller took the enrollment back.
    revoked: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
    stops: Vec<&'static str>,
    does_not_stop: Vec<&'static str>,
    #[serde(skip)]
    text: String,
}

#[derive(Serialize)]
struct Counted {
    free: u32,
    total: u32,
}

impl Shown {
    fn of(state: &SealState, note: &str) -> Self {
        Self {
            kind: format!("{:?}", state.kind).to_lowercase(),
            opens_with: state.opens_with,
            bound_to: state.bound_to.clone(),
            tpm: None,
            waits: false,
            seal: match &state.identity {
                SealIdentity::Hardware(seal) => Some(seal.to_string()),
                SealIdentity::Software => None,
            },
            counters: state.counters.map(|c| Counted { free: c.free, total: c.total }),
            enrolled: state.enrolled.clone(),
            expires: None,
            revoked: false,
            fault: state.fault.clone(),
            stops: state.stops.clone(),
            does_not_stop: state.does_not_stop.clone(),
            text: format!("{note}{state}"),
        }
    }

    fn of_wallet(wallet: &Wallet) -> Self {
        let shown = Self::of(&wallet.seal_state(), "");
        let tpm = wallet.tpm().map(ToString::to_string);
        let expires = wallet.enrollment().map(|c| date(c.terms().expires));
        let mut text = shown.text.clone();
        match (&tpm, &expires) {
            (Some(tpm), Some(expires)) => {
                text += &format!("TPM: {tpm}, enrolled until {expires}\n");
            }
            (Some(tpm), None) => {
                text += &format!(
                    "TPM: {tpm}, NOT ENROLLED YET: run `tally seal enroll`; the wallet has no card before that\n"
                );
            }
            _ => {}
        }
        let (revoked, waits) = (wallet.is_seal_revoked(), wallet.awaits_enrollment());
        if revoked {
            text += "TAKEN BACK by its enroller: payees who heard of it refuse what it seals; ask the enroller\n";
        }
        Self { tpm, expires, revoked, waits, text, ..shown }
    }
}

impl Report for Shown {
    fn text(&self) -> String {
        self.text.clone()
    }
}

#[derive(Serialize)]
struct Heard {
    revoked: usize,
}

impl Report for Heard {
    fn text(&self) -> String {
        format!(
            "heard of {} revoked seals; contacts hear of them at the next meeting\n",
            self.revoked
        )
    }
}

/// Does what is asked with the seal.
pub fn run(at: &Context, out: Out, command: SealCommand) -> Result<Done, CliError> {
    match command {
        SealCommand::Status => Ok(Done::new(&Shown::of_wallet(&at.open_any()?))),
        SealCommand::Enroll(args) => super::enroll::run(at, &args),
        SealCommand::Audit(args) => super::audit::run(out, &args),
        SealCommand::Revoked { file } => {
            let list = file::read(&file, MAX_LIST)?;
            let revoked = at.open()?.import_revocation(&list)?;
            Ok(Done::new(&Heard { revoked }))
        }
        SealCommand::Rebind => {
            let place = at.place();
            let machine = HostMachine::new();
            let seal = SoftwareSeal::rebind(&place, &machine, &at.unlock()?, entropy()?)?;
            let note = "bound to this machine now. Never use a copy elsewhere: two copies fork.\n\
                        If it ever paid, it receives only until `tally recover`.\n";
            Ok(Done::new(&Shown::of(&seal.state(), note)))
        }
        SealCommand::Passphrase { new_passphrase_file, .. } => {
            passphrase(at, new_passphrase_file.as_deref())
        }
    }
}

fn passphrase(at: &Context, new: Option<&Path>) -> Result<Done, CliError> {
    let place = at.place();
    let old = at.unlock()?;
    let new = match new {
        Some(file) => Unlock::Passphrase(read_passphrase(file)?),
        None => Unlock::KeyFile(place.key_file()),
    };
    let machine = HostMachine::new();
    let seal = SoftwareSeal::change_passphrase(
        &place,
        &machine,
        &old,
        &new,
        KdfParams::default(),
        entropy()?,
    )?;
    let note = match (&old, &new) {
        (Unlock::KeyFile(file), Unlock::Passphrase(_)) => {
            format!("changed. Delete the old key file: {}\n", file.display())
        }
        _ => "changed. Copies of the old keystore still open the old way.\n".into(),
    };
    Ok(Done::new(&Shown::of(&seal.state(), &note)))
}
