//! Check an object as far as it can be checked with nothing but itself.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use tally_core::evidence::{Evidence, Trust};
use tally_core::id::NetworkId;
use tally_core::invoice::Invoice;
use tally_core::object::{InvoiceFile, MintFile, Object};
use tally_core::seal::KnownSeals;

use super::inspect::{self, Fact};
use crate::carrier;
use crate::context::now;
use crate::error::{CliError, Exit};
use crate::output::{Done, Report};

#[derive(Serialize)]
struct Checked {
    kind: &'static str,
    valid: bool,
    checked: Vec<&'static str>,
    facts: Vec<Fact>,
}

impl Report for Checked {
    fn text(&self) -> String {
        let checked: String = self.checked.iter().map(|what| format!("  ok  {what}\n")).collect();
        format!("valid {}\n{checked}", self.kind)
    }
}

/// Checks an object; an error says which rule it breaks.
pub fn run(file: &Path, network: Option<u16>) -> Result<Done, CliError> {
    let loaded = carrier::load(file)?;
    let object = &loaded.object;
    let found = network_of(object)?;
    if let (Some(wanted), Some(found)) = (network, found)
        && wanted != found.number()
    {
        return Err(CliError::new(
            Exit::Refused,
            "NETWORK_FOREIGN",
            format!("the object is of network {found}, and {wanted} is wanted"),
            "ask for one of your network",
        ));
    }
    let checked = check(object)?;
    let facts = inspect::of(object);
    Ok(Done::new(&Checked { kind: object.kind(), valid: true, checked, facts }))
}

fn network_of(object: &Object) -> Result<Option<NetworkId>, CliError> {
    Ok(match object {
        Object::Card(signed) => Some(signed.open_card()?.network),
        Object::Policy(policy) => Some(policy.network),
        Object::Mint(file) => Some(file.policy.network),
        Object::Invoice(file) => Some(Invoice::open(&file.invoice)?.1.network),
        // Whom and which network a packet is for shows to its receiver only.
        Object::Packet(_) | Object::Fork(_) => None,
    })
}

fn check(object: &Object) -> Result<Vec<&'static str>, CliError> {
    match object {
        Object::Card(card) => {
            card.open_card()?;
            Ok(vec!["its owner signed it; compare the digits of the device with the person's"])
        }
        Object::Policy(policy) => {
            policy.check()?;
            Ok(vec!["the document makes sense; whether to trust its issuers is your decision"])
        }
        Object::Mint(file) => mint(file),
        Object::Invoice(file) => invoice(file),
        Object::Packet(_) => Ok(vec![ENCRYPTED]),
        Object::Fork(proof) => {
            proof.check()?;
            Ok(vec!["the two payments contradict each other", "one device signed both"])
        }
    }
}

const ENCRYPTED: &str = "the rest is encrypted: only its receiver can check it";

fn mint(file: &MintFile) -> Result<Vec<&'static str>, CliError> {
    file.policy.check()?;
    let policies = BTreeMap::from([(file.policy.id(), file.policy.clone())]);
    let bricked = |_: &_| false;
    let trust = Trust {
        network: file.policy.network,
        policies: &policies,
        notary: None,
        seals: KnownSeals::default(),
        bricked: &bricked,
        viewer: None,
    };
    let evidence = Evidence::of_minted(file.minted.clone());
    evidence
        .verify(&trust, now())
        .map_err(|error| CliError::refused(error.code(), &error.to_string()))?;
    let once = if file.proof.is_some() {
        "one serial mints once if the issuers are honest: the network's proof beside it is checked by `tally receive`, in a wallet that knows the network"
    } else {
        "one serial mints once if the issuers are honest: no network has certified it"
    };
    Ok(vec![
        "the asset's document makes sense",
        "enough of its issuers signed, within its maximum supply",
        once,
    ])
}

fn invoice(file: &InvoiceFile) -> Result<Vec<&'static str>, CliError> {
    file.policy.check()?;
    let (invoice, _) = Invoice::open(&file.invoice)?;
    if invoice.asset != file.policy.id() {
        let text = "the invoice is of another asset than the document beside it: ask for it again";
        return Err(CliError::refused("INVOICE_ASSET", text));
    }
    if invoice.expires_at <= now() {
        let text = "the invoice has expired: ask for a new one";
        return Err(CliError::refused("INVOICE_EXPIRED", text));
    }
    Ok(vec![
        "the payee signed it and its card",
        "it is of the asset beside it",
        "it has not expired",
    ])
}
