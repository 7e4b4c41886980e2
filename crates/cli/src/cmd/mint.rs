//! Make new money.

use std::path::Path;

use serde::Serialize;
use tally_core::card::Card;
use tally_core::object::{MintFile, Object};
use tally_wallet::Wallet;

use super::asset::{parse_amount, policy_of};
use crate::args::Deliver;
use crate::carrier::{self, Delivered};
use crate::context::Context;
use crate::error::CliError;
use crate::output::{Done, Out, Report};
use crate::show::{Money, Names};

#[derive(Serialize)]
struct Made {
    #[serde(flatten)]
    money: Money,
    to: String,
    device: String,
    serial: u64,
    tx: String,
    #[serde(flatten)]
    delivered: Delivered,
}

impl Report for Made {
    fn text(&self) -> String {
        format!(
            "minted {} for {} (serial {})\n{}",
            self.money.text(),
            self.to,
            self.serial,
            self.delivered.text()
        )
    }
}

/// Makes money for somebody.
pub fn run(
    at: &Context,
    out: Out,
    asset: &str,
    amount: &str,
    to: &str,
    deliver: &Deliver,
) -> Result<Done, CliError> {
    carrier::require(deliver)?;
    let mut wallet = at.open()?;
    let asset = wallet.find_asset(asset)?;
    let amount = parse_amount(wallet.device(), &asset, amount)?;
    let card = find_card(&wallet, to)?;
    let minted = wallet.mint(asset, amount, &card)?;
    let (serial, tx) = (minted.mint.body.serial, minted.mint.body.id().to_string());
    let policy = policy_of(wallet.device(), &asset)?;
    let object = Object::Mint(MintFile { policy, minted });
    let delivered = carrier::deliver(&object, deliver, out)?;
    let money = Money::of(&Names::of(wallet.device()), &asset, amount);
    let (to, device) = (card.name.as_str().into(), card.device().to_string());
    Ok(Done::new(&Made { money, to, device, serial, tx, delivered }))
}

/// The card of a contact, in a file, or of this wallet itself.
fn find_card(wallet: &Wallet, to: &str) -> Result<Card, CliError> {
    let path = Path::new(to);
    if path.is_file() {
        return match carrier::load(path)?.object {
            Object::Card(card) => Ok(card.open_card()?),
            other => Err(carrier::wrong_kind(&other, "a contact card")),
        };
    }
    let own = wallet.card().open_card()?;
    if to.eq_ignore_ascii_case(own.name.as_str()) {
        return Ok(own);
    }
    let device = wallet.find_contact(to)?;
    let contact = wallet.device().contacts().get(&device);
    let contact = contact
        .ok_or(tally_wallet::WalletError::NotFound { what: "contact", name: to.to_owned() })?;
    Ok(contact.card.open_card()?)
}
