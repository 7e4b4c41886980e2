//! Name what waits for the seal: how much, to whom, until when, and what to do.

use serde::Serialize;
use tally_core::device::{Device, Outgoing, OutgoingState};
use tally_core::predicate::Predicate;

use super::{Money, Names, Who, date, short};

/// What to do about a payment that waits for a proof.
const BRING_BACK: &str = "bring the TPM back and open the wallet, or give up on it: `tally recover --without-tpm` takes the payment back, and its coins wait for the end of their locks";
/// What to do about one that may have been signed before a backup was restored.
const WAIT: &str = "nothing is lost: it is signed as it was when its lock ends, or taken over from whoever has it (tally sync)";

/// A payment that has taken its step and is not signed, so it is not made.
#[derive(Serialize)]
pub struct Pending {
    tx: String,
    to: Who,
    #[serde(flatten)]
    money: Money,
    /// `proof` or `signature`.
    waits_for: &'static str,
    /// When its key alone moves it.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    /// What to do.
    pub next: &'static str,
}

impl Pending {
    /// All that waits, in the order of the steps.
    pub fn all(device: &Device, names: &Names) -> Vec<Self> {
        device.pending().map(|outgoing| Self::of(names, outgoing)).collect()
    }

    fn of(names: &Names, outgoing: &Outgoing) -> Self {
        let owners = outgoing.sources.iter().map(|source| &source.coin.owner);
        let sealed = owners.filter(|owner| matches!(owner, Predicate::Sealed(_)));
        let locks = sealed.filter_map(Predicate::until);
        let offer = &outgoing.payment.offer;
        let proving = outgoing.state == OutgoingState::Proving;
        Self {
            tx: outgoing.tx.to_string(),
            to: Who::of(names, &outgoing.payee),
            money: Money::of(names, &offer.asset, offer.amount),
            waits_for: if proving { "proof" } else { "signature" },
            until: locks.max().map(date),
            next: if proving { BRING_BACK } else { WAIT },
        }
    }

    /// What waits, in a line.
    pub fn what(&self) -> String {
        let until = self.until.as_ref().map(|until| format!(", at most until {until}"));
        format!(
            "{} to {} is not paid yet: it waits for the {}{}  {}",
            self.money.text(),
            self.to.text(),
            if self.waits_for == "proof" { "TPM's proof" } else { "signature" },
            until.unwrap_or_default(),
            short(&self.tx)
        )
    }

    /// The same with what to do.
    pub fn text(&self) -> String {
        format!("{}\n  next: {}\n", self.what(), self.next)
    }
}
