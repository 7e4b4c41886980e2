//! Say which payments to accept.

use serde::Serialize;
use tally_core::accept::{AcceptPolicy, TierLimits};
use tally_core::tier::Tier;

use crate::args::{PolicyCommand, PolicySet, YesNo};
use crate::context::Context;
use crate::error::CliError;
use crate::output::{Done, Report};

/// Shows or changes the acceptance policy.
pub fn run(at: &Context, command: PolicyCommand) -> Result<Done, CliError> {
    let mut wallet = at.open()?;
    if let PolicyCommand::Set(set) = command {
        let mut policy = wallet.device().accept_policy().clone();
        change(&mut policy, &set)?;
        wallet.set_accept_policy(policy)?;
    }
    Ok(Done::new(&Shown::of(wallet.device().accept_policy())))
}

fn change(policy: &mut AcceptPolicy, set: &PolicySet) -> Result<(), CliError> {
    if let Some(name) = &set.tier {
        let tier = Tier::parse(name).ok_or_else(|| {
            let next = "use signed, bonded, reserved, sealed or certified";
            CliError::usage("TIER", format!("{name:?} is no tier"), next)
        })?;
        let limits = policy.limits_mut(tier);
        limits.accept = set.accept.map_or(limits.accept, |accept| accept == YesNo::Yes);
        limits.per_payment = set.per_payment.map_or(limits.per_payment, |limit| limit.0);
        limits.per_payer = set.per_payer.map_or(limits.per_payer, |limit| limit.0);
        limits.total = set.total.map_or(limits.total, |limit| limit.0);
    }
    policy.settle_margin = set.settle_margin.map_or(policy.settle_margin, |time| time.as_secs());
    policy.max_unsettled = set.max_unsettled.map_or(policy.max_unsettled, |limit| limit.0);
    policy.max_certified_age = set.max_certified_age.map_or(policy.max_certified_age, |age| age.0);
    Ok(())
}

#[derive(Serialize)]
struct Shown {
    tiers: Vec<OfTier>,
    settle_margin_seconds: u64,
    max_unsettled: Option<u64>,
    max_certified_age_seconds: Option<u64>,
}

#[derive(Serialize)]
struct OfTier {
    tier: &'static str,
    accept: bool,
    per_payment: Option<u64>,
    per_payer: Option<u64>,
    total: Option<u64>,
    assumption: &'static str,
}

impl Shown {
    fn of(policy: &AcceptPolicy) -> Self {
        let of = |tier: &Tier| {
            let TierLimits { accept, per_payment, per_payer, total } = *policy.limits(*tier);
            let assumption = tier.assumption();
            OfTier { tier: tier.name(), accept, per_payment, per_payer, total, assumption }
        };
        Self {
            tiers: Tier::ALL.iter().rev().map(of).collect(),
            settle_margin_seconds: policy.settle_margin,
            max_unsettled: policy.max_unsettled,
            max_certified_age_seconds: policy.max_certified_age,
        }
    }
}

impl Report for Shown {
    fn text(&self) -> String {
        let limit = |limit: Option<u64>| limit.map_or("no limit".into(), |n: u64| n.to_string());
        let mut text = format!(
            "{:<10} {:<7} {:>12} {:>12} {:>12}   (in whole units)\n",
            "tier", "accept", "a payment", "a payer", "in total"
        );
        for of in &self.tiers {
            let accept = if of.accept { "yes" } else { "no" };
            text += &format!(
                "{:<10} {accept:<7} {:>12} {:>12} {:>12}\n",
                of.tier,
                limit(of.per_payment),
                limit(of.per_payer),
                limit(of.total)
            );
        }
        let time = |seconds| {
            humantime::format_duration(std::time::Duration::from_secs(seconds)).to_string()
        };
        let age = self.max_certified_age_seconds.map_or("no limit".into(), time);
        text + &format!(
            "time to settle before a lock ends: at least {}\n\
             unsettled payments of one payer: {}\n\
             age of the payer's last certified transaction: {age}\n",
            time(self.settle_margin_seconds),
            limit(self.max_unsettled),
        )
    }
}
