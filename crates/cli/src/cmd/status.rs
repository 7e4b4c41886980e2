//! Say what is certified, what is at risk, and what is locked until when.

use std::collections::BTreeMap;

use serde::Serialize;
use tally_core::device::{Device, Outgoing, OutgoingState};
use tally_core::evidence::{Claims, Holding};
use tally_core::id::CoinId;
use tally_core::predicate::Predicate;
use tally_core::tier::Tier;
use tally_core::time::Time;
use tally_wallet::CoinLock;

use super::view::mode;
use crate::context::{Context, now};
use crate::error::CliError;
use crate::output::{Done, Report};
use crate::show::{Money, Names, Pending, SetApart, Who, Why, date, short, words};

#[derive(Serialize)]
struct Status {
    mode: &'static str,
    coins: Vec<Coin>,
    payments: Vec<Payment>,
    /// Payments that are not signed yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pending: Vec<Pending>,
    /// What a restore left set apart, with what to do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    set_apart: Vec<SetApart>,
    lost: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    notary: Option<Seen>,
}

#[derive(Serialize)]
struct Coin {
    coin: String,
    #[serde(flatten)]
    money: Money,
    /// `certified`, `at risk`, `fresh` (minted, and not moved), `lost`, `set apart`,
    /// `freed, not certified yet`, `spent by an unknown payment`, `waits for consent`,
    /// `waits for its payment` (its change, or what is paid to oneself), `in dispute` or `not valid`.
    state: &'static str,
    tier: &'static str,
    minted: &'static str,
    uncertified: u32,
    evidence_bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    settle_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lock: Option<Lock>,
    /// What enrollers say of the seals behind it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    seals: Vec<String>,
}

#[derive(Serialize)]
struct Lock {
    kind: &'static str,
    until: String,
    ended: bool,
    /// Of a lock to this wallet's own hardware: its counter, and what becomes of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    counter: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    standing: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payee: Option<Who>,
}

#[derive(Serialize)]
struct Payment {
    tx: String,
    to: Who,
    #[serde(flatten)]
    money: Money,
    state: &'static str,
    /// Whether it was never made.
    #[serde(skip)]
    given_up: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    certified_at: Option<String>,
}

#[derive(Serialize)]
struct Seen {
    validators: usize,
    asked: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    round: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    splits: usize,
}

impl Report for Status {
    fn text(&self) -> String {
        let mut text = String::new();
        if self.mode != "normal" {
            text += "This wallet receives only: see `tally doctor`.\n";
        }
        if self.coins.is_empty() {
            text += "no coins\n";
        }
        text += &self.coins.iter().map(Coin::text).collect::<String>();
        for payment in &self.payments {
            let paid = if payment.given_up { "not paid" } else { "paid" };
            text += &format!(
                "{paid} {} to {}  {}  {}\n",
                payment.money.text(),
                payment.to.text(),
                payment.state,
                short(&payment.tx)
            );
        }
        text += &self.pending.iter().map(Pending::text).collect::<String>();
        text += &self.set_apart.iter().map(SetApart::text).collect::<String>();
        text + &match &self.notary {
            None => "no notary: what is at risk stays so (tally notary add)\n".to_owned(),
            Some(seen) => {
                let last = match (seen.round, &seen.time) {
                    (Some(round), Some(time)) => format!("last seen in round {round}, {time}"),
                    _ => "not asked yet".into(),
                };
                let split =
                    if seen.splits > 0 { "  SPLIT VIEW: see `tally notary list`" } else { "" };
                format!("notary of {} validators, {last}{split}\n", seen.validators)
            }
        }
    }
}

impl Coin {
    fn text(&self) -> String {
        let mut text = format!("{}  {}  [{}]", self.money.text(), self.state, self.tier);
        if let Some(by) = &self.settle_by {
            text += &format!("  settle by {by}");
        }
        if let Some(lock) = &self.lock {
            let whom = lock.payee.as_ref().map(|who| format!(" for {}", who.text()));
            let (kind, until, whom) = (lock.kind, &lock.until, whom.unwrap_or_default());
            let then = match (lock.ended, kind) {
                (true, _) => " (ended: yours alone)",
                (false, "reserved") => ", then yours alone",
                (false, _) => "",
            };
            text += &format!("  {kind}{whom} until {until}{then}");
        }
        text += &format!("  {}\n", short(&self.coin));
        if let Some(Lock { because: Some(because), counter, until, .. }) = &self.lock {
            let counter = counter.map(|counter| format!(" by counter {counter}"));
            text += &format!("  locked{} until {until}: {because}\n", counter.unwrap_or_default());
        }
        text + &self.seals.iter().map(|seal| format!("  {seal}\n")).collect::<String>()
    }
}

/// Shows where everything stands; asks nobody.
pub fn run(at: &Context) -> Result<Done, CliError> {
    let mut wallet = at.open()?;
    let locks = wallet.locks();
    let locks: BTreeMap<CoinId, CoinLock> = locks.into_iter().map(|l| (l.coin, l)).collect();
    let device = wallet.device();
    let names = Names::of(device);
    let now = now();
    let coins = wallet.holdings()?;
    let coins = coins.iter().map(|(holding, valid)| {
        let coin = coin(device, &names, holding, *valid, now);
        with_own_lock(coin, locks.get(&holding.id))
    });
    let outgoing = device.outgoing().values();
    // What was paid to oneself is among the coins, unless somebody has still to consent.
    let shown = |outgoing: &Outgoing| {
        let done = matches!(outgoing.state, OutgoingState::Receipted | OutgoingState::GivenUp);
        let pending = matches!(outgoing.state, OutgoingState::Proving | OutgoingState::Intent);
        !pending && (outgoing.payee != device.id() || !done)
    };
    let payments = outgoing.filter(|outgoing| shown(outgoing)).map(|outgoing| {
        let offer = &outgoing.payment.offer;
        let certified_at = device.settled_at(&outgoing.tx);
        Payment {
            tx: outgoing.tx.to_string(),
            to: Who::of(&names, &outgoing.payee),
            money: Money::of(&names, &offer.asset, offer.amount),
            state: match (certified_at, outgoing.state) {
                _ if device.has_lost(&outgoing.tx) => "lost",
                (Some(_), _) => "certified",
                (None, OutgoingState::Proving | OutgoingState::Intent) => "not signed yet",
                (None, OutgoingState::Signed) if outgoing.payee == device.id() => {
                    "signed, waits for consent or the end of the lock"
                }
                (None, OutgoingState::Signed) => "signed, waits for the payee, not certified",
                (None, OutgoingState::Receipted) => "receipted, not certified",
                (None, OutgoingState::GivenUp) => "given up, nothing was paid",
            },
            given_up: !outgoing.is_signed(),
            certified_at: certified_at.map(date),
        }
    });
    let notary = wallet.notaries().map(|notaries| Seen {
        validators: notaries.trust().nodes().count(),
        asked: notaries.endpoints().len(),
        round: notaries.kept().map(|kept| kept.record.round),
        time: notaries.kept().map(|kept| date(kept.record.timestamp)),
        splits: notaries.splits().len(),
    });
    let lost = u64::try_from(device.lost().len()).unwrap_or(u64::MAX);
    let (coins, payments) = (coins.collect(), payments.collect());
    let pending = Pending::all(device, &names);
    let (mode, set_apart) = (mode(device), SetApart::all(device, &names));
    Ok(Done::new(&Status { mode, coins, payments, pending, set_apart, lost, notary }))
}

fn coin(device: &Device, names: &Names, holding: &Holding, valid: bool, now: Time) -> Coin {
    let pocket = device.ledger().pocket(&holding.pocket);
    let lost = pocket.is_some_and(|pocket| device.is_lost(pocket));
    let claims = pocket.map(|pocket| pocket.evidence.claims(device.policies())).unwrap_or_default();
    let certified = !claims.is_empty() && claims.iter().all(Claims::certified);
    let moved = holding.uncertified > 0 || holding.certified_at.is_some();
    let apart = Why::of(device, &holding.pocket).map(Why::state);
    let state = match (lost, valid, apart) {
        (true, ..) => "lost",
        _ if pocket.is_some_and(|pocket| device.is_in_dispute(pocket)) => "in dispute",
        (_, _, Some(apart)) => apart,
        _ if device.pending().any(|o| o.transaction.made().any(|(id, _)| id == holding.id)) => {
            "waits for its payment"
        }
        _ if pocket.is_some_and(|pocket| !pocket.is_ready()) => "waits for consent",
        (_, false, _) => "not valid",
        _ if certified => "certified",
        _ if holding.tier == Tier::Signed => "at risk",
        _ if !moved => "fresh",
        _ => "not certified yet",
    };
    let owner = &holding.coin.owner;
    let lock = owner.until().map(|until| Lock {
        kind: match owner {
            Predicate::Reserved(_) => "reserved",
            _ => "sealed",
        },
        until: date(until),
        ended: now >= until,
        counter: None,
        standing: None,
        because: None,
        payee: match owner {
            Predicate::Reserved(r) => names.of_key(&r.payee).map(|device| Who::of(names, &device)),
            _ => None,
        },
    });
    Coin {
        coin: holding.id.to_string(),
        money: Money::of(names, &holding.coin.asset, holding.coin.amount),
        state,
        tier: if moved { holding.tier.name() } else { crate::show::MINTED },
        minted: holding.minted.name(),
        uncertified: holding.uncertified,
        evidence_bytes: pocket.map_or(0, |p| tally_core::cbor::to_bytes(&p.evidence).len()),
        settle_by: holding.settle_by.map(date),
        lock,
        seals: match (certified, pocket) {
            (false, Some(pocket)) => words(device.seals_in(&pocket.evidence)),
            _ => Vec::new(),
        },
    }
}

/// What becomes of the lock to this wallet's own hardware that a coin is under.
fn with_own_lock(mut coin: Coin, own: Option<&CoinLock>) -> Coin {
    if let (Some(lock), Some(own)) = (&mut coin.lock, own) {
        lock.counter = Some(own.slot.counter);
        lock.standing = Some(own.standing.name());
        lock.because = Some(own.standing.to_string());
    }
    coin
}
