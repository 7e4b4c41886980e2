//! Exchange contact cards.

use serde::Serialize;
use tally_core::card::SignedError;
use tally_core::device::Meeting;
use tally_core::object::Object;

use crate::args::{ContactCommand, Deliver};
use crate::carrier::{self, Delivered};
use crate::context::Context;
use crate::error::CliError;
use crate::output::{Done, Out, Report};
use crate::show::short;

/// Does what is asked with contacts.
pub fn run(at: &Context, out: Out, command: ContactCommand) -> Result<Done, CliError> {
    match command {
        ContactCommand::Card(deliver) => card(at, out, &deliver),
        ContactCommand::Add { file } => {
            let loaded = carrier::load(&file)?;
            let card = match loaded.object {
                Object::Card(card) => card,
                // An invoice carries its payee's card.
                Object::Invoice(file) => tally_core::invoice::Invoice::open(&file.invoice)?.0.card,
                other => return Err(carrier::wrong_kind(&other, "a contact card")),
            };
            let mut wallet = at.open()?;
            let device = wallet.add_contact(card)?;
            let name = wallet.device().contacts().get(&device).map(|c| c.name.as_str().to_owned());
            let name = name.unwrap_or_default();
            Ok(Done::new(&Added { name, device: device.to_string() }))
        }
        ContactCommand::List => list(at),
        ContactCommand::Remove { name } => remove(at, &name),
    }
}

#[derive(Serialize)]
struct Given {
    name: String,
    device: String,
    #[serde(flatten)]
    delivered: Delivered,
}

impl Report for Given {
    fn text(&self) -> String {
        let Self { name, device, delivered } = self;
        format!("the card of {name} ({})\n{}", short(device), delivered.text())
    }
}

fn card(at: &Context, out: Out, deliver: &Deliver) -> Result<Done, CliError> {
    carrier::require(deliver)?;
    let wallet = at.open()?;
    let delivered = carrier::deliver(&Object::Card(wallet.card().clone()), deliver, out)?;
    let name = wallet.name().as_str().into();
    Ok(Done::new(&Given { name, device: wallet.device().id().to_string(), delivered }))
}

#[derive(Serialize)]
struct Added {
    name: String,
    device: String,
}

impl Report for Added {
    fn text(&self) -> String {
        format!(
            "{} is a contact now ({})\nAnyone may take any name: compare the digits with what the other device shows.\n",
            self.name,
            short(&self.device)
        )
    }
}

#[derive(Serialize)]
struct Removed {
    removed: String,
    device: String,
}

impl Report for Removed {
    fn text(&self) -> String {
        format!("{} is no contact any more ({})\n", self.removed, short(&self.device))
    }
}

fn remove(at: &Context, name: &str) -> Result<Done, CliError> {
    let mut wallet = at.open()?;
    let device = wallet.find_contact(name)?;
    let known = wallet.device().contacts().get(&device).map(|c| c.name.as_str().to_owned());
    wallet.remove_contact(device)?;
    let removed = known.unwrap_or_default();
    Ok(Done::new(&Removed { removed, device: device.to_string() }))
}

#[derive(Serialize)]
struct Listed {
    contacts: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    name: String,
    device: String,
    key: String,
    link: String,
    bricked: bool,
    met_since_restore: bool,
    stranger: bool,
    /// The code of why nothing can be encrypted to the contact.
    #[serde(skip_serializing_if = "Option::is_none")]
    unreachable: Option<&'static str>,
}

impl Report for Listed {
    fn text(&self) -> String {
        if self.contacts.is_empty() {
            return "no contacts yet: add a card with `tally contact add FILE`\n".into();
        }
        let line = |c: &Entry| {
            let note = match c {
                Entry { bricked: true, .. } => "  REFUSED FOR GOOD: paid twice",
                Entry { unreachable: Some(_), .. } => {
                    "  CANNOT BE PAID: nothing can be encrypted to this card; ask for a new one"
                }
                Entry { stranger: true, .. } => "  a stranger: came by itself and has not paid",
                _ => "",
            };
            format!("{}  {}{note}\n", short(&c.device), c.name)
        };
        self.contacts.iter().map(line).collect()
    }
}

fn list(at: &Context) -> Result<Done, CliError> {
    let wallet = at.open()?;
    let device = wallet.device();
    let contacts = device.contacts().values().map(|contact| Entry {
        name: contact.name.as_str().into(),
        device: contact.device.to_string(),
        key: contact.owner.to_string(),
        link: contact.link.to_string(),
        bricked: device.forks().contains_key(&contact.owner),
        met_since_restore: contact.met == Meeting::Met,
        stranger: contact.stranger.is_some(),
        unreachable: contact.check_session_key().err().map(SignedError::code),
    });
    Ok(Done::new(&Listed { contacts: contacts.collect() }))
}
