//! Move one's own value: make it one coin, set it aside for a contact, take it back.

use std::path::Path;
use std::time::SystemTime;

use serde::Serialize;
use tally_core::device::Event;
use tally_core::object::Object;
use tally_core::packet::Packet;
use tally_core::time::Time;
use tally_wallet::{Moved, Wallet};

use super::asset::parse_amount;
use super::settle::{self, Settled};
use crate::args::{Deliver, Release};
use crate::carrier::{self, Delivered};
use crate::context::{Context, now};
use crate::error::{CliError, Exit};
use crate::output::{Done, Out, Report};
use crate::show::{Events, consented};

/// What a payment to oneself came to.
#[derive(Serialize)]
struct MovedOwn {
    tx: String,
    certified: bool,
    settled: Settled,
}

impl Report for MovedOwn {
    fn text(&self) -> String {
        let next = if self.certified {
            "certified; back up the wallet: an older backup does not know of it (tally backup)\n"
        } else {
            "signed, but not certified: it counts for nobody else until `tally settle` is through\n"
        };
        self.settled.text() + next
    }

    fn exit(&self) -> Exit {
        self.settled.exit()
    }
}

fn done(wallet: &Wallet, moved: Moved, seen: &[Event]) -> Done {
    let Moved { tx, certified, settling } = moved;
    let settled = Settled::of(wallet, settling, seen);
    Done::new(&MovedOwn { tx: tx.to_string(), certified, settled })
}

/// Makes one coin of several.
pub fn refresh(at: &Context, out: Out, asset: Option<&str>) -> Result<Done, CliError> {
    let mut wallet = at.open()?;
    let asset = match asset {
        Some(name) => wallet.find_asset(name)?,
        None => only_asset(&wallet, "tally refresh ASSET")?,
    };
    let mut seen = Vec::new();
    let mut show = |event: &Event| seen.push(event.clone());
    let moved = wallet.refresh(asset, &mut |progress| settle::note(out, progress), &mut show)?;
    Ok(done(&wallet, moved, &seen))
}

/// The asset that is held, if it is one; `named` is the command that names one.
pub fn only_asset(wallet: &Wallet, named: &str) -> Result<tally_core::id::AssetId, CliError> {
    let balances = wallet.device().ledger().balances();
    let mut held = balances.iter().filter(|(_, amount)| !amount.is_zero());
    match (held.next(), held.next()) {
        (Some((asset, _)), None) => Ok(*asset),
        (None, _) => {
            Err(tally_wallet::WalletError::from(tally_core::device::DeviceError::InsufficientFunds)
                .into())
        }
        _ => Err(CliError::usage(
            "USAGE",
            "the wallet has more than one asset",
            &format!("name one: {named}"),
        )),
    }
}

/// Sets value aside for a contact.
pub fn reserve(
    at: &Context,
    out: Out,
    [contact, amount, asset]: [&str; 3],
    until: Time,
) -> Result<Done, CliError> {
    let mut wallet = at.open()?;
    let payee = wallet.find_contact(contact)?;
    let asset = wallet.find_asset(asset)?;
    let amount = parse_amount(wallet.device(), &asset, amount)?;
    let mut seen = Vec::new();
    let mut show = |event: &Event| seen.push(event.clone());
    let mut progress = |progress| settle::note(out, progress);
    let moved = wallet.reserve(payee, asset, amount, until, &mut progress, &mut show)?;
    Ok(done(&wallet, moved, &seen))
}

/// Reads the end of a lock: a date, or how long from now.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_until(text: &str) -> Result<Time, String> {
    if let Ok(span) = humantime::parse_duration(text) {
        return Ok(now().plus(span.as_secs()));
    }
    let at = humantime::parse_rfc3339_weak(text).map_err(|_| {
        "give a time such as 2h or 7d, or a date such as 2030-01-31T12:00:00Z".to_owned()
    })?;
    let since = at.duration_since(SystemTime::UNIX_EPOCH).map_err(|e| e.to_string())?;
    Ok(Time::from_unix(since.as_secs()))
}

/// What is next for who asked.
const ASKED: &str = "Give this to the contact, who answers with `tally release --agree`; take the answer in with\n\
    `tally receive`. Without an answer the value comes back when the lock ends.";
/// What is next for who consented.
const CONSENTED: &str =
    "You have consented: what was reserved for you pays you no more. Give this back.";

#[derive(Serialize)]
struct Asked {
    #[serde(flatten)]
    events: Events,
    packet: Delivered,
    /// Whether this wallet has consented: then it is not told how to.
    #[serde(skip)]
    agreed: bool,
}

impl Report for Asked {
    fn text(&self) -> String {
        let (asked, next) = if self.agreed {
            (consented(&self.events), CONSENTED)
        } else {
            (self.events.text(), ASKED)
        };
        format!("{asked}{}{next}\n", self.packet.text())
    }
}

/// Asks a contact to let value go that is set aside for it, or consents to that.
pub fn release(at: &Context, out: Out, release: &Release) -> Result<Done, CliError> {
    carrier::require(&release.deliver)?;
    match (&release.agree, &release.contact, &release.asset) {
        (Some(file), ..) => agree(at, out, file, &release.deliver),
        (None, Some(contact), Some(asset)) => ask(at, out, [contact, asset], &release.deliver),
        _ => Err(CliError::usage(
            "USAGE",
            "either a contact and an asset, or --agree and a file are needed",
            "see `tally release --help`",
        )),
    }
}

fn ask(
    at: &Context,
    out: Out,
    [contact, asset]: [&str; 2],
    deliver: &Deliver,
) -> Result<Done, CliError> {
    let mut wallet = at.open()?;
    let payee = wallet.find_contact(contact)?;
    let asset = wallet.find_asset(asset)?;
    let (packet, events) = wallet.release_reserved(payee, asset)?;
    let events = Events::of(wallet.device(), &events);
    let packet = carrier::deliver(&Object::Packet(Packet::from_wire(&packet)?), deliver, out)?;
    Ok(Done::new(&Asked { events, packet, agreed: false }))
}

fn agree(at: &Context, out: Out, file: &Path, deliver: &Deliver) -> Result<Done, CliError> {
    let packet = match carrier::load(file)?.object {
        Object::Packet(packet) => packet,
        other => return Err(carrier::wrong_kind(&other, "a request to release")),
    };
    let mut wallet = at.open()?;
    let (events, answer) = wallet.agree_to_release(&packet.to_wire())?;
    let events = Events::of(wallet.device(), &events);
    let packet = carrier::deliver(&Object::Packet(Packet::from_wire(&answer)?), deliver, out)?;
    Ok(Done::new(&Asked { events, packet, agreed: true }))
}
