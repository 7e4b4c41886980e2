//! Ask for a payment.

use std::time::Duration;

use serde::Serialize;
use tally_core::invoice::Invoice;
use tally_core::object::{InvoiceFile, Object};
use tally_core::policy::Policy;
use tally_core::predicate::Predicate;
use tally_wallet::Wallet;

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
    /// What the coin is going to be locked by.
    asks_for: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    locked_until: Option<String>,
    /// Why a wallet with hardware asks for a signature alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    no_lock: Option<&'static str>,
    #[serde(flatten)]
    delivered: Delivered,
}

impl Report for Asked {
    fn text(&self) -> String {
        let mut text = format!(
            "an invoice for {}, until {}, tier {} or stronger\n",
            self.money.text(),
            self.expires_at,
            self.least_tier,
        );
        if let Some(until) = &self.locked_until {
            text += &format!("  the coin is going to be locked to your TPM until {until}\n");
        }
        if let Some(why) = self.no_lock {
            text += &format!("  the coin is going to be under your signature alone: {why}\n");
        }
        text + &self.delivered.text()
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
    if valid_for.as_secs() == 0 {
        let what = "an invoice that holds for less than a second can be paid by nobody";
        return Err(CliError::usage("USAGE", what, "let it hold longer, such as --valid-for 15m"));
    }
    let mut wallet = at.open()?;
    let asset = wallet.find_asset(asset)?;
    let amount = parse_amount(wallet.device(), &asset, amount)?;
    let signed = wallet.invoice(asset, amount, valid_for.as_secs())?;
    let (invoice, _) = Invoice::open(&signed)?;
    let policy = policy_of(wallet.device(), &asset)?;
    let (asks_for, locked_until) = match &invoice.accept.owner {
        Predicate::Sealed(sealed) => ("sealed", Some(date(sealed.until))),
        _ => ("signature", None),
    };
    let no_lock = locked_until.is_none().then(|| no_lock(&wallet, &policy)).flatten();
    let object = Object::Invoice(InvoiceFile { policy, invoice: signed });
    let delivered = carrier::deliver(&object, deliver, out)?;
    Ok(Done::new(&Asked {
        money: Money::of(&Names::of(wallet.device()), &asset, amount),
        expires_at: date(invoice.expires_at),
        least_tier: invoice.least.name(),
        asks_for,
        locked_until,
        no_lock,
        delivered,
    }))
}

/// Why a wallet with hardware asks for a signature alone; nothing for one without.
fn no_lock(wallet: &Wallet, policy: &Policy) -> Option<&'static str> {
    let terms = wallet.enrollment()?.terms();
    let state = wallet.seal_state();
    Some(if !policy.offline.enrollers.contains(&terms.enroller) {
        "this asset does not name your enroller, so your seal does not count for it"
    } else if state.fault.is_some() {
        "the TPM does not answer (tally seal status)"
    } else if state.counters.is_some_and(|counters| counters.free == 0) {
        "every counter is taken: spend coins, merge them with `tally refresh` when online, or wait for open invoices to end"
    } else {
        "your enrollment does not count any more: renew it (tally seal enroll)"
    })
}
