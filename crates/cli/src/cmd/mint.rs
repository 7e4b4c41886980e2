//! Make new money.

use std::path::Path;

use serde::Serialize;
use tally_core::amount::Amount;
use tally_core::card::Card;
use tally_core::evidence::Minted;
use tally_core::id::AssetId;
use tally_core::invoice::Invoice;
use tally_core::notary::InclusionProof;
use tally_core::object::{MintFile, Object};
use tally_core::predicate::Predicate;
use tally_wallet::{Wallet, WalletError};

use super::asset::{parse_amount, policy_of};
use crate::args::Deliver;
use crate::carrier::{self, Delivered};
use crate::context::{Context, now};
use crate::error::{CliError, Exit};
use crate::output::{Done, Out, Report};
use crate::show::{Money, Names, date};

#[derive(Serialize)]
struct Made {
    #[serde(flatten)]
    money: Money,
    to: String,
    device: String,
    serial: u64,
    tx: String,
    /// Until when its coin is locked to the receiver's seal.
    #[serde(skip_serializing_if = "Option::is_none")]
    lock: Option<String>,
    /// Whether the network has certified the serial; nothing if the wallet has no notary.
    #[serde(skip_serializing_if = "Option::is_none")]
    certified: Option<bool>,
    #[serde(flatten)]
    delivered: Delivered,
}

impl Report for Made {
    fn text(&self) -> String {
        format!(
            "minted {} for {} (serial {}{})\n{}{}",
            self.money.text(),
            self.to,
            self.serial,
            match self.certified {
                None => "",
                Some(true) => ", certified: it mints once",
                Some(false) => ", not certified yet",
            },
            match &self.lock {
                Some(until) => format!("  locked to the receiver's seal until {until}\n"),
                None => String::new(),
            },
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
    let (card, minted) = match asked(to, &asset, amount)? {
        Some((card, owner)) => (card, wallet.mint_under(asset, amount, owner)?),
        None => {
            let card = find_card(&wallet, to)?;
            let minted = wallet.mint(asset, amount, &card)?;
            (card, minted)
        }
    };
    let lock = match &minted.mint.body.owner {
        Predicate::Sealed(sealed) => Some(date(sealed.until)),
        _ => None,
    };
    let (serial, tx) = (minted.mint.body.serial, minted.mint.body.id().to_string());
    let proof = certify(&mut wallet, out, &minted)?;
    let certified = wallet.notaries().map(|_| proof.is_some());
    let policy = policy_of(wallet.device(), &asset)?;
    let object = Object::Mint(MintFile { policy, minted, proof });
    let delivered = carrier::deliver(&object, deliver, out)?;
    let money = Money::of(&Names::of(wallet.device()), &asset, amount);
    let (to, device) = (card.name.as_str().into(), card.device().to_string());
    Ok(Done::new(&Made { money, to, device, serial, tx, lock, certified, delivered }))
}

/// Has the serial certified, if there is a network to ask. A network that is not there keeps nobody
/// from minting: the receiver settles.
fn certify(
    wallet: &mut Wallet,
    out: Out,
    minted: &Minted,
) -> Result<Option<InclusionProof>, CliError> {
    if wallet.notaries().is_none() {
        return Ok(None);
    }
    match wallet.certify_mint(minted) {
        Ok(proof) => Ok(Some(proof)),
        Err(WalletError::Notary(error)) => {
            out.note(&format!("the serial is not certified yet: {error}"));
            Ok(None)
        }
        Err(other) => Err(other.into()),
    }
}

/// What an invoice asks for, if `to` is a file with one: whose it is, and under what the money goes.
fn asked(to: &str, asset: &AssetId, amount: Amount) -> Result<Option<(Card, Predicate)>, CliError> {
    let path = Path::new(to);
    if !path.is_file() {
        return Ok(None);
    }
    let Object::Invoice(file) = carrier::load(path)?.object else { return Ok(None) };
    let (invoice, card) = Invoice::open(&file.invoice)?;
    if invoice.asset != *asset || invoice.amount != amount {
        let what = "the invoice asks for another asset or amount";
        let next = "mint what it asks for, or ask for another invoice";
        return Err(CliError::usage("MINT_INVOICE", what, next));
    }
    if invoice.expires_at <= now() {
        let next = "ask for another invoice";
        return Err(CliError::new(Exit::Refused, "MINT_INVOICE", "the invoice is over", next));
    }
    Ok(Some((card, invoice.accept.owner)))
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
    let contact = contact.ok_or(WalletError::NotFound { what: "contact", name: to.to_owned() })?;
    Ok(contact.card.open_card()?)
}
