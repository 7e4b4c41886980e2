//! Let an owner say which payments to accept: the rules of [`AcceptPolicy`].
//!
//! Defaults are safe: a payment that rests on a signature alone is accepted up to 5 whole units,
//! and up to 20 outstanding of one payer (spec `ACCEPT-1` to `ACCEPT-8`).

use crate::amount::Amount;
use crate::cbor::record;
use crate::tier::Tier;
use crate::time::Time;

/// Limits on payments of one tier, in whole units of the asset. Absent means no limit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct TierLimits {
    /// Whether payments of this tier are accepted at all.
    pub accept: bool,
    /// Most that one payment may bring.
    pub per_payment: Option<u64>,
    /// Most that one payer may owe in payments that are not settled.
    pub per_payer: Option<u64>,
    /// Most that all payers may owe together.
    pub total: Option<u64>,
}

record!(TierLimits { accept, per_payment, per_payer, total });

/// What an owner accepts.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct AcceptPolicy {
    /// For tier `Signed`.
    pub signed: TierLimits,
    /// For tier `Bonded`.
    pub bonded: TierLimits,
    /// For tier `Reserved`.
    pub reserved: TierLimits,
    /// For tier `Sealed`.
    pub sealed: TierLimits,
    /// For tier `Certified`.
    pub certified: TierLimits,
    /// Least time, in seconds, between accepting a coin and the end of a lock that it rests on.
    pub settle_margin: u64,
    /// Most payments of one payer that are not settled.
    pub max_unsettled: Option<u64>,
    /// Oldest that the payer's last certified transaction may be, in seconds.
    pub max_certified_age: Option<u64>,
}

record!(AcceptPolicy {
    signed,
    bonded,
    reserved,
    sealed,
    certified,
    settle_margin,
    max_unsettled,
    max_certified_age,
});

impl Default for AcceptPolicy {
    fn default() -> Self {
        let open = TierLimits { accept: true, ..TierLimits::default() };
        let signed = TierLimits { per_payment: Some(5), per_payer: Some(20), ..open };
        Self {
            signed,
            bonded: open,
            reserved: open,
            sealed: open,
            certified: open,
            settle_margin: 24 * 60 * 60,
            max_unsettled: Some(100),
            max_certified_age: None,
        }
    }
}

/// What a payment is, in the respects that a policy rules on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Facts {
    /// Its tier.
    pub tier: Tier,
    /// What it brings.
    pub amount: Amount,
    /// Digits behind the asset's decimal point.
    pub decimals: u8,
    /// What the payer owes already, at this tier or below, unsettled.
    pub payer_outstanding: Amount,
    /// What all payers owe already, at this tier or below, unsettled.
    pub total_outstanding: Amount,
    /// How many payments of this payer are unsettled.
    pub payer_unsettled: u64,
    /// The earliest end of a lock that the tier rests on.
    pub settle_by: Option<Time>,
    /// Reference time of the payer's last certified transaction.
    pub certified_at: Option<Time>,
}

/// Why a payment is refused although it is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Payments of this tier are not accepted.
    #[error("the payee does not accept this tier for so much: pay less, or with a stronger tier")]
    Tier,
    /// The payment is above the tier's limit.
    #[error("the payment is too large for its tier: pay less, or with a stronger tier")]
    PerPayment,
    /// The payer would owe too much that is not settled.
    #[error(
        "this payer owes too much that is not settled: settle first, or pay with a stronger tier"
    )]
    PerPayer,
    /// All payers would owe too much that is not settled.
    #[error("too much is not settled in this wallet: settle first")]
    Total,
    /// A lock that the tier rests on ends too soon.
    #[error("the payment's lock ends before it could be settled: pay with another coin")]
    SettleMargin,
    /// The payer has too many payments that are not settled.
    #[error("this payer has too many payments that are not settled: settle first")]
    Unsettled,
    /// The payer's last certified transaction is too old, or there is none.
    #[error("the payer has not been online for too long: let the payer settle first")]
    CertifiedAge,
}

impl Refusal {
    /// Stable code of this refusal.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Tier => "ACCEPT_TIER",
            Self::PerPayment => "ACCEPT_PER_PAYMENT",
            Self::PerPayer => "ACCEPT_PER_PAYER",
            Self::Total => "ACCEPT_TOTAL",
            Self::SettleMargin => "ACCEPT_SETTLE_MARGIN",
            Self::Unsettled => "ACCEPT_UNSETTLED",
            Self::CertifiedAge => "ACCEPT_CERTIFIED_AGE",
        }
    }
}

impl AcceptPolicy {
    /// The limits for one tier.
    pub fn limits(&self, tier: Tier) -> &TierLimits {
        match tier {
            Tier::Signed => &self.signed,
            Tier::Bonded => &self.bonded,
            Tier::Reserved => &self.reserved,
            Tier::Sealed => &self.sealed,
            Tier::Certified => &self.certified,
        }
    }

    /// The limits for one tier, to change them.
    pub fn limits_mut(&mut self, tier: Tier) -> &mut TierLimits {
        match tier {
            Tier::Signed => &mut self.signed,
            Tier::Bonded => &mut self.bonded,
            Tier::Reserved => &mut self.reserved,
            Tier::Sealed => &mut self.sealed,
            Tier::Certified => &mut self.certified,
        }
    }

    /// Decides on one payment.
    ///
    /// # Errors
    /// [`Refusal`] for the first rule that it breaks.
    pub fn check(&self, facts: &Facts, now: Time) -> Result<(), Refusal> {
        let limits = self.limits(facts.tier);
        let above = |limit: Option<u64>, owed: Amount| {
            // A limit that cannot be counted in smallest units is above every amount.
            let limit = limit.and_then(|units| Amount::whole(units, facts.decimals));
            limit.is_some_and(|limit| {
                owed.checked_add(facts.amount).is_none_or(|after| after > limit)
            })
        };
        // A lock that has ended holds nobody back, however little time the owner asks for.
        let margin = |end: Time| end <= now || end.since(now) < self.settle_margin;
        let stale = |max: u64| facts.certified_at.is_none_or(|at| now.since(at) > max);
        if !limits.accept {
            Err(Refusal::Tier)
        } else if above(limits.per_payment, Amount::ZERO) {
            Err(Refusal::PerPayment)
        } else if above(limits.per_payer, facts.payer_outstanding) {
            Err(Refusal::PerPayer)
        } else if above(limits.total, facts.total_outstanding) {
            Err(Refusal::Total)
        } else if facts.settle_by.is_some_and(margin) {
            Err(Refusal::SettleMargin)
        } else if self.max_unsettled.is_some_and(|max| facts.payer_unsettled >= max) {
            Err(Refusal::Unsettled)
        } else if self.max_certified_age.is_some_and(stale) {
            Err(Refusal::CertifiedAge)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
