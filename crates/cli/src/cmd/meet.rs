//! Meet a contact: send again what waits, or compare what both have seen.

use serde::Serialize;
use tally_core::device::Event;
use tally_core::object::Object;
use tally_core::packet::Packet;
use tally_transport::tcp::{self, Limits};

use crate::args::Deliver;
use crate::carrier::{self, Delivered};
use crate::context::Context;
use crate::error::CliError;
use crate::output::{Done, Out, Report};
use crate::show::Events;

#[derive(Serialize)]
struct Resent {
    waiting: usize,
    #[serde(flatten)]
    events: Events,
    written: Vec<Delivered>,
}

impl Report for Resent {
    fn text(&self) -> String {
        if self.waiting == 0 {
            return "nothing waits for this contact\n".into();
        }
        let written: String = self.written.iter().map(Delivered::text).collect();
        format!("{} waiting\n{}{written}", self.waiting, self.events.text())
    }
}

/// Compares with a contact who listens.
pub fn sync(at: &Context, contact: &str, address: &str) -> Result<Done, CliError> {
    let mut wallet = at.open()?;
    let contact = wallet.find_contact(contact)?;
    let mut channel = tcp::connect(address, &Limits::default())?;
    let mut seen: Vec<Event> = Vec::new();
    wallet.sync_over(&mut channel, contact, &mut |event| seen.push(event.clone()))?;
    let events = Events::of(wallet.device(), &seen);
    events.check()?;
    Ok(Done::new(&events))
}

/// Sends again what waits for a contact.
pub fn resend(
    at: &Context,
    out: Out,
    contact: &str,
    connect: Option<&str>,
    deliver: &Deliver,
) -> Result<Done, CliError> {
    if connect.is_none() {
        carrier::require(deliver)?;
    }
    let mut wallet = at.open()?;
    let payee = wallet.find_contact(contact)?;
    let Some(address) = connect else {
        let packets = wallet.resend(payee)?;
        let waiting = packets.len();
        let mut written = Vec::new();
        for (number, packet) in packets.iter().enumerate() {
            let object = Object::Packet(Packet::from_wire(packet)?);
            written.push(carrier::deliver(&object, &numbered(deliver, number), out)?);
        }
        return Ok(Done::new(&Resent { waiting, events: Events::default(), written }));
    };
    let mut seen: Vec<Event> = Vec::new();
    let waiting = wallet.waiting(&payee);
    if waiting > 0 {
        let mut channel = tcp::connect(address, &Limits::default())?;
        wallet.resend_over(&mut channel, payee, &mut |event| seen.push(event.clone()))?;
    }
    let events = Events::of(wallet.device(), &seen);
    events.check()?;
    Ok(Done::new(&Resent { waiting, events, written: Vec::new() }))
}

/// The first goes where it was asked to go, each further one beside it with its number.
fn numbered(deliver: &Deliver, number: usize) -> Deliver {
    let beside = |path: &std::path::PathBuf| {
        if number == 0 {
            return path.clone();
        }
        let mut name = path.clone().into_os_string();
        name.push(format!(".{}", number + 1));
        name.into()
    };
    Deliver {
        out: deliver.out.as_ref().map(beside),
        png: deliver.png.as_ref().map(beside),
        qr: deliver.qr,
    }
}
