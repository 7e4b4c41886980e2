//! Pay somebody.

use std::path::Path;

use serde::Serialize;
use tally_core::device::Event;
use tally_core::object::Object;
use tally_core::packet::Packet;
use tally_transport::tcp::{self, Limits};

use super::asset::parse_amount;
use crate::args::{Deliver, Pay};
use crate::carrier::{self, Delivered};
use crate::context::Context;
use crate::error::CliError;
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
        self.events.text() + &payment.unwrap_or_default()
    }
}

/// Pays an invoice, or a contact who listens.
pub fn run(at: &Context, out: Out, pay: &Pay) -> Result<Done, CliError> {
    match (&pay.invoice, &pay.contact, &pay.amount, &pay.asset, &pay.connect) {
        (Some(invoice), ..) => by_invoice(at, out, invoice, &pay.deliver),
        (None, Some(contact), Some(amount), Some(asset), Some(connect)) => {
            over_tcp(at, contact, amount, asset, connect)
        }
        _ => Err(CliError::usage(
            "USAGE",
            "either an invoice, or contact, amount, asset and address are needed",
            "see `tally pay --help`",
        )),
    }
}

fn by_invoice(at: &Context, out: Out, file: &Path, deliver: &Deliver) -> Result<Done, CliError> {
    carrier::require(deliver)?;
    let invoice = match carrier::load(file)?.object {
        Object::Invoice(file) => file.invoice,
        other => return Err(carrier::wrong_kind(&other, "an invoice")),
    };
    let mut wallet = at.open()?;
    let (packet, events) = wallet.pay_invoice(&invoice)?;
    let events = Events::of(wallet.device(), &events);
    events.check()?;
    let object = Object::Packet(Packet::from_wire(&packet)?);
    // The payment is signed: whatever happens to the file, `resend` gives it again.
    let payment = carrier::deliver(&object, deliver, out).map_err(|error| CliError {
        next: format!("{}; the payment is made: give it with `tally resend`", error.next),
        ..error
    })?;
    Ok(Done::new(&Paid { events, payment: Some(payment), wire: None }))
}

fn over_tcp(
    at: &Context,
    contact: &str,
    amount: &str,
    asset: &str,
    address: &str,
) -> Result<Done, CliError> {
    let mut wallet = at.open()?;
    let payee = wallet.find_contact(contact)?;
    let asset = wallet.find_asset(asset)?;
    let amount = parse_amount(wallet.device(), &asset, amount)?;
    let mut channel = tcp::connect(address, &Limits::default())?;
    let mut seen: Vec<Event> = Vec::new();
    wallet.pay_over(&mut channel, payee, asset, amount, &mut |event| seen.push(event.clone()))?;
    let events = Events::of(wallet.device(), &seen);
    let wire = Wire { sent_bytes: channel.sent_bytes(), received_bytes: channel.received_bytes() };
    Ok(Done::new(&Paid { events, payment: None, wire: Some(wire) }))
}
