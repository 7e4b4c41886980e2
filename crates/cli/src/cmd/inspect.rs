//! Show what any object is. No wallet and no keys are needed.

use std::io::Read;
use std::path::Path;

use serde::Serialize;
use tally_core::card::{Card, Signed};
use tally_core::fork::{Branch, ForkProof};
use tally_core::invoice::Invoice;
use tally_core::notary::InclusionProof;
use tally_core::object::{InvoiceFile, MintFile, Object};
use tally_core::packet::Packet;
use tally_core::policy::Policy;
use tally_core::seal::SealIdentity;

use super::asset::kind;
use crate::carrier;
use crate::error::CliError;
use crate::output::{Done, Report};
use crate::show::date;

const BACKUP_MAGIC: &[u8] = b"TALLYBAK1";

/// One fact: its name and its value.
#[derive(Serialize, Clone, PartialEq, Eq, Debug)]
pub struct Fact {
    /// What is said.
    pub name: &'static str,
    /// What it is.
    pub value: String,
}

/// What an object says of itself.
#[derive(Serialize, Clone, PartialEq, Eq, Debug)]
pub struct Facts {
    /// Its kind.
    pub kind: &'static str,
    /// Its size as an object file, in bytes.
    pub bytes: usize,
    /// Whether it was read from a picture.
    pub picture: bool,
    /// What it says.
    pub facts: Vec<Fact>,
}

impl Report for Facts {
    fn text(&self) -> String {
        let from = if self.picture { ", from a picture" } else { "" };
        let mut text = format!("{} ({} bytes{from})\n", self.kind, self.bytes);
        for fact in &self.facts {
            text += &format!("  {:<14} {}\n", fact.name, fact.value);
        }
        text
    }
}

/// Shows what an object says of itself; nothing is checked but its form.
pub fn run(file: &Path) -> Result<Done, CliError> {
    if let Some(facts) = backup(file) {
        return Ok(Done::new(&facts));
    }
    let loaded = carrier::load(file)?;
    let facts = of(&loaded.object);
    let (kind, picture) = (loaded.object.kind(), loaded.picture);
    Ok(Done::new(&Facts { kind, bytes: loaded.size, picture, facts }))
}

/// What a backup's header says: all else in it is encrypted. Its form is in the wallet's documentation.
fn backup(file: &Path) -> Option<Facts> {
    let mut header = [0; BACKUP_MAGIC.len() + 12];
    let mut open = std::fs::File::open(file).ok().filter(|_| file.is_file())?;
    open.read_exact(&mut header).ok()?;
    let numbers = header.strip_prefix(BACKUP_MAGIC)?;
    let number = |at: usize| -> Option<u32> {
        Some(u32::from_be_bytes(numbers.get(at..at + 4)?.try_into().ok()?))
    };
    let key = format!(
        "a passphrase, by argon2id: {} KiB, {} passes, {} lanes",
        number(0)?,
        number(4)?,
        number(8)?
    );
    let bytes = usize::try_from(open.metadata().ok()?.len()).ok()?;
    let facts = vec![
        fact("version", 1),
        fact("opens with", key),
        fact("content", "encrypted: the wallet's key and all its records"),
    ];
    Some(Facts { kind: "backup", bytes, picture: false, facts })
}

/// What an object says of itself.
pub fn of(object: &Object) -> Vec<Fact> {
    match object {
        Object::Card(signed) => card(signed),
        Object::Policy(policy) => asset(policy),
        Object::Mint(file) => mint(file),
        Object::Invoice(file) => invoice(file),
        Object::Packet(found) => packet(found),
        Object::Fork(proof) => fork(proof),
    }
}

fn fact(name: &'static str, value: impl ToString) -> Fact {
    Fact { name, value: value.to_string() }
}

fn card(signed: &Signed) -> Vec<Fact> {
    match signed.open_card() {
        Ok(card) => card_facts(&card),
        Err(error) => vec![fact("not valid", error)],
    }
}

fn card_facts(card: &Card) -> Vec<Fact> {
    let seal = match &card.seal {
        SealIdentity::Software => "software".to_owned(),
        SealIdentity::Hardware(seal) => seal.to_string(),
    };
    let mut facts = vec![
        fact("name", card.name.as_str()),
        fact("device", card.device()),
        fact("key", &card.owner),
        fact("seal", seal),
        fact("network", card.network),
        fact("session key", format!("{} bytes", card.session_key.as_slice().len())),
    ];
    facts.extend(card.fields.time().map(|time| fact("made", date(time))));
    if let Some(enrollment) = &card.enrollment {
        facts.push(fact("enrolled", enrollment.terms()));
        facts.push(fact("enrolled until", date(enrollment.terms().expires)));
        facts.push(fact("enroller", &enrollment.terms().enroller));
    }
    facts
}

fn asset(policy: &Policy) -> Vec<Fact> {
    let show = |amount: tally_core::amount::Amount| amount.display(policy.decimals).to_string();
    let no_limit = || "no limit".to_owned();
    let mut facts = vec![
        fact("ticker", &policy.ticker),
        fact("asset", policy.id()),
        fact("kind", kind(policy)),
        fact("decimals", policy.decimals),
        fact("max supply", policy.max_supply.map_or_else(no_limit, show)),
        fact("network", policy.network),
        fact("threshold", format!("{} of {}", policy.threshold, policy.issuers.len())),
    ];
    facts.extend(policy.issuers.iter().map(|issuer| fact("issuer", issuer)));
    let offline = &policy.offline;
    let tiers = if offline.sealed_only { "sealed or stronger" } else { "any" };
    facts.push(fact("offline tiers", tiers));
    facts.push(fact("offline cap", offline.cap.map_or_else(no_limit, show)));
    facts.extend(offline.enrollers.iter().map(|enroller| fact("enroller", enroller)));
    facts
}

fn mint(file: &MintFile) -> Vec<Fact> {
    let body = &file.minted.mint.body;
    let decimals = file.policy.decimals;
    let mut facts = vec![
        fact("amount", format!("{} {}", body.amount.display(decimals), file.policy.ticker)),
        fact("for key", body.owner.key()),
        fact("lock until", body.owner.until().map_or_else(|| "no lock".into(), date)),
        fact("serial", body.serial),
        fact("issued before", body.issued_before.display(decimals)),
        fact("mint", body.id()),
        fact("signatures", file.minted.mint.signatures.len()),
        fact("certified", file.proof.as_ref().map_or_else(|| "no".into(), shown_by)),
    ];
    facts.extend(asset(&file.policy));
    facts
}

/// What stands in a proof that nobody has checked here: that takes the network's trust base.
fn shown_by(proof: &InclusionProof) -> String {
    let record = &proof.certificate.record;
    format!("in round {} of its network, to be checked by its receiver", record.round)
}

fn invoice(file: &InvoiceFile) -> Vec<Fact> {
    let (invoice, card) = match Invoice::open(&file.invoice) {
        Ok(opened) => opened,
        Err(error) => return vec![fact("not valid", error)],
    };
    let amount = invoice.amount.display(file.policy.decimals);
    let mut facts = vec![
        fact("amount", format!("{amount} {}", file.policy.ticker)),
        fact("asset", invoice.asset),
        fact("payee", card.name.as_str()),
        fact("device", card.device()),
        fact("expires at", date(invoice.expires_at)),
        fact("least tier", invoice.least),
        fact("network", card.network),
    ];
    // What an uncertified payment to these terms can be worth at most is the payer's affair.
    if let Some(until) = invoice.accept.owner.until() {
        facts.push(fact("lock until", date(until)));
    }
    facts
}

fn packet(packet: &Packet) -> Vec<Fact> {
    let mut facts = vec![fact("content", "encrypted: a payment, a receipt or a refusal")];
    facts.push(fact("envelope", format!("{} bytes", packet.envelope.as_slice().len())));
    match &packet.hello {
        None => facts.push(fact("session", "goes on with one that both sides have")),
        Some(hello) => {
            let size = hello.as_slice().len();
            facts.push(fact("session", "opens one; who says so shows to its receiver only"));
            facts.push(fact("hello", format!("{size} bytes")));
        }
    }
    facts
}

fn fork(proof: &ForkProof) -> Vec<Fact> {
    let mut facts = vec![fact("device key", &proof.key)];
    match proof.check() {
        Ok(kind) => {
            facts.push(fact("fork kind", format!("{kind:?}").to_lowercase()));
            facts.push(fact("it", kind.text()));
        }
        Err(error) => facts.push(fact("not valid", error)),
    }
    for side in [&proof.a, &proof.b] {
        facts.push(fact("payment", side.tx_id()));
        facts.push(fact("  coin", side.coin()));
        facts.extend(side.step().into_iter().flat_map(step_facts));
    }
    facts
}

fn step_facts(branch: &Branch) -> [Fact; 2] {
    [fact("  step", branch.step.seq), fact("  head before", branch.step.head)]
}
