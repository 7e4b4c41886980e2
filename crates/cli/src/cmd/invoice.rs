//! Ask for a payment.

use std::time::Duration;

use serde::Serialize;
use tally_core::invoice::Invoice;
use tally_core::object::{InvoiceFile, Object};

use super::asset::{parse_amount, policy_of};
use crate::args::Deliver;
use crate::carrier::{self, Delivered};
use crate::context::Context;
use crate::error::CliError;
use crate::output::{Done, Out, Report};
use crate::show::{Money, Names, date};

#[derive(Serialize)]
struct Asked {
    #[serde(flatten)]
    money: Money,
    expires_at: String,
    least_tier: &'static str,
    #[serde(flatten)]
    delivered: Delivered,
}

impl Report for Asked {
    fn text(&self) -> String {
        format!(
            "an invoice for {}, until {}, tier {} or stronger\n{}",
            self.money.text(),
            self.expires_at,
            self.least_tier,
            self.delivered.text()
        )
    }
}

/// Makes an invoice.
pub fn run(
    at: &Context,
    out: Out,
    asset: &str,
    amount: &str,
    valid_for: Duration,
    deliver: &Deliver,
) -> Result<Done, CliError> {
    carrier::require(deliver)?;
    let mut wallet = at.open()?;
    let asset = wallet.find_asset(asset)?;
    let amount = parse_amount(wallet.device(), &asset, amount)?;
    let signed = wallet.invoice(asset, amount, valid_for.as_secs())?;
    let (invoice, _) = Invoice::open(&signed)?;
    let policy = policy_of(wallet.device(), &asset)?;
    let object = Object::Invoice(InvoiceFile { policy, invoice: signed });
    let delivered = carrier::deliver(&object, deliver, out)?;
    Ok(Done::new(&Asked {
        money: Money::of(&Names::of(wallet.device()), &asset, amount),
        expires_at: date(invoice.expires_at),
        least_tier: invoice.least.name(),
        delivered,
    }))
}
