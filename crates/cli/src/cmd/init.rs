//! Make a wallet.

use std::path::PathBuf;

use serde::Serialize;
use tally_core::card::Name;
use tally_core::id::NetworkId;
use tally_seal::tpm2::Address;
use tally_wallet::Wallet;

use crate::args::SealChoice;
use crate::context::Context;
use crate::error::CliError;
use crate::output::{Done, Report};

#[derive(Serialize)]
struct Made {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tpm: Option<String>,
    network: u16,
    #[serde(serialize_with = "crate::output::path")]
    wallet: PathBuf,
    #[serde(serialize_with = "crate::output::path")]
    state: PathBuf,
    opens_with: &'static str,
}

impl Report for Made {
    fn text(&self) -> String {
        let Self { name, device, network, wallet, state, opens_with, tpm } = self;
        let device = device.as_ref().map(|device| format!("  device   {device}\n"));
        let tpm = tpm.as_ref().map(|tpm| format!("  TPM      {tpm}, not enrolled yet\n"));
        let next = match &tpm {
            None => "give your card to others with `tally contact card --png card.png`",
            Some(_) => "have its TPM enrolled with `tally seal enroll --enroller ADDR`",
        };
        format!(
            "made a wallet for {name}\n  folder   {}\n{}{}  network  {network}\n  \
             opens with a {opens_with}\n  journal  {} (never restore this folder from a backup)\n\
             next: {next}\n",
            wallet.display(),
            device.unwrap_or_default(),
            tpm.unwrap_or_default(),
            state.display(),
        )
    }
}

/// Makes a new wallet.
pub fn run(
    at: &Context,
    name: &str,
    network: u16,
    seal: SealChoice,
    tpm: Option<Address>,
) -> Result<Done, CliError> {
    if seal == SealChoice::Software && tpm.is_some() {
        let next = "add --seal tpm2, or leave --tpm out";
        return Err(CliError::usage("USAGE", "a software seal has no TPM", next));
    }
    let valid = Name::new(name).ok_or_else(|| {
        let next = "use 1 to 64 bytes without control characters or blanks at the ends";
        CliError::usage("NAME", format!("{name:?} cannot be a name"), next)
    })?;
    let network = NetworkId::new(network).ok_or_else(|| {
        CliError::usage(
            "NETWORK",
            "network 0 does not exist",
            "use 1 to 65535; 3 is for local tests",
        )
    })?;
    at.check_new()?;
    let setup = at.setup()?;
    let wallet = match seal {
        SealChoice::Software => Wallet::create(&at.dir, &setup, valid, network)?,
        SealChoice::Tpm2 => {
            let address = tpm.unwrap_or_default();
            Wallet::create_for_tpm(&at.dir, &setup, valid, network, &address)?
        }
    };
    Ok(Done::new(&Made {
        name: name.into(),
        // One that waits for its TPM has no identity yet.
        device: (!wallet.awaits_enrollment()).then(|| wallet.device().id().to_string()),
        tpm: wallet.tpm().map(ToString::to_string),
        network: network.number(),
        wallet: at.dir.clone(),
        state: at.state.clone(),
        opens_with: wallet.seal_state().opens_with,
    }))
}
