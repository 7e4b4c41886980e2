//! Proofs that a device paid twice with the same money.

use serde::Serialize;
use tally_core::fork::ForkProof;
use tally_core::keys::PublicKey;
use tally_core::object::Object;
use tally_wallet::Wallet;

use crate::args::{Deliver, ForkCommand};
use crate::carrier::{self, Delivered};
use crate::context::Context;
use crate::error::{CliError, Exit};
use crate::output::{Done, Out, Report};
use crate::show::{Events, short};

/// Least digits by which a key is named.
const MIN_DIGITS: usize = 6;

/// Does what is asked with forks.
pub fn run(at: &Context, out: Out, command: ForkCommand) -> Result<Done, CliError> {
    match command {
        ForkCommand::List => {
            let wallet = at.open()?;
            let forks = wallet.device().forks().values();
            let forks = forks.map(|proof| Fork::of(&wallet, proof)).collect::<Result<_, _>>()?;
            Ok(Done::new(&Listed { forks }))
        }
        ForkCommand::Export { key, deliver } => export(at, out, &key, &deliver),
        ForkCommand::Import { file } => {
            let proof = match carrier::load(&file)?.object {
                Object::Fork(proof) => proof,
                other => return Err(carrier::wrong_kind(&other, "a fork proof")),
            };
            proof.check()?;
            let mut wallet = at.open()?;
            let events = wallet.import_fork(proof.clone())?;
            let events = Events::of(wallet.device(), &events).events;
            let known = events.is_empty();
            let device = wallet.device();
            let disputed = device.ledger().pockets().any(|pocket| device.is_in_dispute(pocket));
            Ok(Done::new(&Imported { fork: Fork::of(&wallet, &proof)?, known, disputed }))
        }
    }
}

#[derive(Serialize)]
struct Fork {
    key: String,
    contact: Option<String>,
    kind: String,
    did: &'static str,
    a: String,
    b: String,
    bytes: usize,
}

impl Fork {
    fn of(wallet: &Wallet, proof: &ForkProof) -> Result<Self, CliError> {
        let kind = proof.check()?;
        let contact = wallet.device().contacts().values().find(|c| c.owner == proof.key);
        Ok(Self {
            key: proof.key.to_string(),
            contact: contact.map(|c| c.name.as_str().to_owned()),
            kind: format!("{kind:?}").to_lowercase(),
            did: kind.text(),
            a: proof.a.tx_id().to_string(),
            b: proof.b.tx_id().to_string(),
            bytes: tally_core::cbor::to_bytes(proof).len(),
        })
    }

    fn text(&self) -> String {
        format!(
            "{}  {}  {}: payments {} and {} ({} bytes of proof)\n",
            short(&self.key),
            self.contact.as_deref().unwrap_or("(no contact)"),
            self.did,
            short(&self.a),
            short(&self.b),
            self.bytes
        )
    }
}

#[derive(Serialize)]
struct Listed {
    forks: Vec<Fork>,
}

impl Report for Listed {
    fn text(&self) -> String {
        if self.forks.is_empty() {
            return "no forks known\n".into();
        }
        self.forks.iter().map(Fork::text).collect()
    }
}

#[derive(Serialize)]
struct Imported {
    #[serde(flatten)]
    fork: Fork,
    known: bool,
    /// Whether money of this wallet's is in dispute now.
    disputed: bool,
}

impl Report for Imported {
    fn text(&self) -> String {
        let note = if self.known { "known before" } else { "proved; refused for good" };
        let next = if self.disputed { crate::show::fork::DISPUTED } else { "" };
        format!("{note}: {}{next}", self.fork.text())
    }
}

#[derive(Serialize)]
struct Exported {
    #[serde(flatten)]
    fork: Fork,
    #[serde(flatten)]
    delivered: Delivered,
}

impl Report for Exported {
    fn text(&self) -> String {
        self.fork.text() + &self.delivered.text()
    }
}

fn export(at: &Context, out: Out, name: &str, deliver: &Deliver) -> Result<Done, CliError> {
    carrier::require(deliver)?;
    let wallet = at.open()?;
    let key = find(&wallet, name)?;
    let proof = wallet.device().forks().get(&key).ok_or_else(|| unknown(name))?;
    let delivered = carrier::deliver(&Object::Fork(proof.clone()), deliver, out)?;
    Ok(Done::new(&Exported { fork: Fork::of(&wallet, proof)?, delivered }))
}

/// A convicted key, by its first digits or its contact's name.
fn find(wallet: &Wallet, name: &str) -> Result<PublicKey, CliError> {
    let forks = wallet.device().forks();
    let digits = name.to_lowercase();
    let starts =
        |key: &&PublicKey| digits.len() >= MIN_DIGITS && key.to_string().starts_with(&digits);
    let mut found = forks.keys().filter(starts);
    if let (Some(key), None) = (found.next(), found.next()) {
        return Ok(key.clone());
    }
    let contact = wallet.find_contact(name).map_err(|_| unknown(name))?;
    let contact = wallet.device().contacts().get(&contact).ok_or_else(|| unknown(name))?;
    Ok(contact.owner.clone())
}

fn unknown(name: &str) -> CliError {
    CliError::new(
        Exit::Failure,
        "FORK_UNKNOWN",
        format!("no single fork of {name:?} is known here"),
        "see `tally fork list`, and give at least 6 digits of the key",
    )
}
