//! The seal: what keeps this device from forking.

use std::path::Path;

use serde::Serialize;
use tally_seal::machine::HostMachine;
use tally_seal::software::SoftwareSeal;
use tally_seal::unlock::{KdfParams, Unlock};
use tally_seal::{Seal, SealState};

use crate::args::SealCommand;
use crate::context::{Context, entropy, read_passphrase};
use crate::error::CliError;
use crate::output::{Done, Report};

#[derive(Serialize)]
struct Shown {
    kind: String,
    opens_with: &'static str,
    bound_to: Vec<&'static str>,
    stops: Vec<&'static str>,
    does_not_stop: Vec<&'static str>,
    #[serde(skip)]
    text: String,
}

impl Shown {
    fn of(state: &SealState, note: &str) -> Self {
        Self {
            kind: format!("{:?}", state.kind).to_lowercase(),
            opens_with: state.opens_with,
            bound_to: state.bound_to.clone(),
            stops: state.stops.clone(),
            does_not_stop: state.does_not_stop.clone(),
            text: format!("{note}{state}"),
        }
    }
}

impl Report for Shown {
    fn text(&self) -> String {
        self.text.clone()
    }
}

/// Does what is asked with the seal.
pub fn run(at: &Context, command: SealCommand) -> Result<Done, CliError> {
    match command {
        SealCommand::Status => Ok(Done::new(&Shown::of(&at.open()?.seal_state(), ""))),
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
