//! Make a wallet.

use std::path::PathBuf;

use serde::Serialize;
use tally_core::card::Name;
use tally_core::id::NetworkId;
use tally_wallet::Wallet;

use crate::context::Context;
use crate::error::CliError;
use crate::output::{Done, Report};

#[derive(Serialize)]
struct Made {
    name: String,
    device: String,
    network: u16,
    wallet: PathBuf,
    state: PathBuf,
    opens_with: &'static str,
}

impl Report for Made {
    fn text(&self) -> String {
        let Self { name, device, network, wallet, state, opens_with } = self;
        format!(
            "made a wallet for {name}\n  folder   {}\n  device   {device}\n  network  {network}\n  \
             opens with a {opens_with}\n  journal  {} (never restore this folder from a backup)\n\
             next: give your card to others with `tally contact card --png card.png`\n",
            wallet.display(),
            state.display(),
        )
    }
}

/// Makes a new wallet.
pub fn run(at: &Context, name: &str, network: u16) -> Result<Done, CliError> {
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
    let wallet = Wallet::create(&at.dir, &at.setup()?, valid, network)?;
    Ok(Done::new(&Made {
        name: name.into(),
        device: wallet.device().id().to_string(),
        network: network.number(),
        wallet: at.dir.clone(),
        state: at.state.clone(),
        opens_with: wallet.seal_state().opens_with,
    }))
}
