//! Pay somebody.

use std::path::Path;

use serde::Serialize;
use tally_core::device::Event;
use tally_core::id::DeviceId;
use tally_core::object::Object;
use tally_core::packet::Packet;
use tally_transport::tcp::{self, Limits};
use tally_wallet::{Wallet, WalletError};

use super::asset::parse_amount;
use super::settle::{self, Settled};
use crate::args::{Deliver, Pay};
use crate::carrier::{self, Delivered};
use crate::context::Context;
use crate::error::{CliError, Exit};
use crate::output::{Done, Out, Report};
use crate::show::Events;

#[derive(Serialize)]
struct Paid {
    #[serde(flatten)]
    events: Events,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment: Option<Delivered>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wire: Option<Wire>,
    #[serde(skip_serializing_if = "Option::is_none")]
    settled: Option<Settled>,
}

#[derive(Serialize)]
struct Wire {
    sent_bytes: u64,
    received_bytes: u64,
}

impl Report for Paid {
    fn text(&self) -> String {
        let payment = self.payment.as_ref().map(|delivered| {
            delivered.text()
                + "Signing was the payment: give this to the payee, as often as it takes.\n"
        });
        let settled = self.settled.as_ref().map(Report::text).unwrap_or_default();
        self.events.text() + &payment.unwrap_or_default() + &settled
    }

    fn payment(&self) -> Option<String> {
        self.events.paid().map(str::to_owned)
    }

    fn exit(&self) -> Exit {
        self.settled.as_ref().map_or(self.events.exit(), Report::exit)
    }
}

/// Pays an invoice, or a contact who listens.
pub fn run(at: &Context, out: Out, pay: &Pay) -> Result<Done, CliError> {
    match (&pay.invoice, &pay.contact, &pay.amount, &pay.asset, &pay.connect) {
        (Some(invoice), ..) => by_invoice(at, out, invoice, &pay.deliver, pay.online),
        (None, Some(contact), Some(amount), Some(asset), Some(connect)) => {
            over_tcp(at, out, [contact, amount, asset, connect], pay.online)
        }
        _ => Err(CliError::usage(
            "USAGE",
            "either an invoice, or contact, amount, asset and address are needed",
            "see `tally pay --help`",
        )),
    }
}

fn by_invoice(
    at: &Context,
    out: Out,
    file: &Path,
    deliver: &Deliver,
    online: bool,
) -> Result<Done, CliError> {
    carrier::require(deliver)?;
    let invoice = match carrier::load(file)?.object {
        Object::Invoice(file) => file.invoice,
        other => return Err(carrier::wrong_kind(&other, "an invoice")),
    };
    let mut wallet = at.open()?;
    before(&mut wallet, out, online)?;
    let (packet, events) = wallet.pay_invoice(&invoice)?;
    let events = Events::of(wallet.device(), &events);
    events.check()?;
    let object = Object::Packet(Packet::from_wire(&packet)?);
    // The payment is signed: whatever happens to the file, `resend` gives it again.
    let payment = carrier::deliver(&object, deliver, out).map_err(|error| made(&events, error))?;
    let settled = after(&mut wallet, out, online, &events)?;
    Ok(Done::new(&Paid { events, payment: Some(payment), wire: None, settled }))
}

fn over_tcp(
    at: &Context,
    out: Out,
    [contact, amount, asset, address]: [&str; 4],
    online: bool,
) -> Result<Done, CliError> {
    let mut wallet = at.open()?;
    wallet.device().may_step().map_err(WalletError::from)?;
    before(&mut wallet, out, online)?;
    let payee = wallet.find_contact(contact)?;
    let asset = wallet.find_asset(asset)?;
    let amount = parse_amount(wallet.device(), &asset, amount)?;
    let mut channel = tcp::connect(address, &Limits::default())?;
    let mut seen: Vec<Event> = Vec::new();
    let paid =
        wallet.pay_over(&mut channel, payee, asset, amount, &mut |event| seen.push(event.clone()));
    paid.map_err(|error| unpaid(&wallet, payee, error.into()))?;
    let events = Events::of(wallet.device(), &seen);
    let wire = Wire { sent_bytes: channel.sent_bytes(), received_bytes: channel.received_bytes() };
    drop(channel);
    let settled = after(&mut wallet, out, online, &events)?;
    Ok(Done::new(&Paid { events, payment: None, wire: Some(wire), settled }))
}

/// Says of a payment that a connection kept from being made that it is not made.
fn unpaid(wallet: &Wallet, payee: DeviceId, error: CliError) -> CliError {
    let begun = error.payment.is_some() || wallet.device().pending().any(|o| o.payee == payee);
    if begun || error.exit != Exit::Unreachable {
        return error;
    }
    let message = format!("{}; nothing was paid", error.message);
    CliError { message, next: "pay again when the payee is there".into(), ..error }
}

/// Before an online payment, what it is paid with is certified: so a network that is not there, or a
/// race that is lost, stops it before anything is signed.
fn before(wallet: &mut Wallet, out: Out, online: bool) -> Result<(), CliError> {
    if !online {
        return Ok(());
    }
    wallet.device().may_step().map_err(WalletError::from)?;
    let next = "nothing was paid: see `tally status`, then pay again";
    let settling = wallet.settle(&mut |progress| settle::note(out, progress), &mut |_| {});
    let settling = settling.map_err(CliError::from).map_err(|why| match why.exit {
        Exit::Unreachable => CliError::new(
            why.exit,
            "PAY_ONLINE",
            format!("what pays cannot be certified now ({}): {}", why.code, why.message),
            next,
        ),
        _ => why,
    })?;
    let settled = Settled::of(wallet, settling, &[]);
    match settled.exit() {
        Exit::Ok => Ok(()),
        exit => Err(CliError::new(exit, "PAY_ONLINE", settled.text().trim_end().to_owned(), next)),
    }
}

/// Says of a payment that is signed, and could not be written where it was to go, that it is made.
fn made(events: &Events, error: CliError) -> CliError {
    let payment = events.paid().map(str::to_owned);
    let message = format!("the payment is made, but could not be written: {}", error.message);
    let next = "do not pay anew: write it to another place with `tally resend`".to_owned();
    CliError { exit: Exit::Unshown, message, next, payment, ..error }
}

fn after(
    wallet: &mut Wallet,
    out: Out,
    online: bool,
    events: &Events,
) -> Result<Option<Settled>, CliError> {
    if !online {
        return Ok(None);
    }
    let mut seen = Vec::new();
    let mut show = |event: &Event| seen.push(event.clone());
    let settled = wallet.settle(&mut |progress| settle::note(out, progress), &mut show);
    let settling = settled.map_err(CliError::from).map_err(|error| CliError {
        next: "the payment is made, do not pay anew: have it certified with `tally settle`".into(),
        payment: events.paid().map(str::to_owned),
        ..error
    })?;
    Ok(Some(Settled::of(wallet, settling, &seen)))
}
