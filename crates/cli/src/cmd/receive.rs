//! Take in a mint, or what another device sent by file or picture.

use std::path::Path;

use serde::Serialize;
use tally_core::object::Object;
use tally_core::packet::Packet;

use crate::args::Deliver;
use crate::carrier::{self, Delivered};
use crate::context::Context;
use crate::error::{CliError, Exit};
use crate::output::{Done, Out, Report};
use crate::show::Events;

#[derive(Serialize)]
struct Received {
    #[serde(flatten)]
    events: Events,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<Delivered>,
}

impl Report for Received {
    fn text(&self) -> String {
        let answer = self.answer.as_ref().map(Delivered::text).unwrap_or_default();
        self.events.text() + &answer
    }

    fn exit(&self) -> Exit {
        self.events.exit()
    }
}

/// Takes in an object that is for this wallet.
pub fn run(at: &Context, out: Out, file: &Path, deliver: &Deliver) -> Result<Done, CliError> {
    carrier::check(deliver)?;
    match carrier::load(file)?.object {
        Object::Mint(file) => {
            let mut wallet = at.open()?;
            let asset = file.policy.id();
            let known = wallet.device().policies().contains_key(&asset);
            let events = wallet.receive_mint_file(file)?;
            let events = Events::of(wallet.device(), &events);
            events.check()?;
            if !known {
                out.note(&format!(
                    "This asset was not known here: {asset}. Tickers are not unique: compare the digits with the issuer's."
                ));
            }
            Ok(Done::new(&Received { events, answer: None }))
        }
        Object::Packet(packet) => packet_in(at, out, &packet, deliver),
        other => Err(carrier::wrong_kind(&other, "a mint or payment")),
    }
}

fn packet_in(at: &Context, out: Out, packet: &Packet, deliver: &Deliver) -> Result<Done, CliError> {
    let mut wallet = at.open()?;
    let (events, answers) = wallet.receive_packet(&packet.to_wire())?;
    let events = Events::of(wallet.device(), &events);
    let wanted = deliver.out.is_some() || deliver.png.is_some() || deliver.qr;
    let answer = match answers.last() {
        Some(answer) if wanted => {
            let packet = Packet::from_wire(answer)?;
            Some(carrier::deliver(&Object::Packet(packet), deliver, out)?)
        }
        _ => None,
    };
    events.check()?;
    Ok(Done::new(&Received { events, answer }))
}
