//! Show what a wallet holds and did.

use std::collections::BTreeMap;

use serde::Serialize;
use tally_core::amount::Amount;
use tally_core::device::{Device, Mode, OutgoingState};
use tally_core::id::AssetId;
use tally_core::keys::PublicKey;
use tally_core::mint::MintStanding;
use tally_core::predicate::Predicate;
use tally_core::tier::Tier;
use tally_core::time::Time;

use crate::context::{Context, now};
use crate::error::CliError;
use crate::output::{Done, Report};
use crate::show::{Locked, MINTED, Money, Names, Pending, SetApart, Who, Why, date, short, words};

#[derive(Serialize)]
struct Identity {
    name: String,
    device: String,
    key: String,
    network: u16,
    seal: String,
    mode: &'static str,
    seq: u64,
    head: String,
    root: String,
}

impl Report for Identity {
    fn text(&self) -> String {
        let Self { name, device, key, network, seal, mode, seq, head, root } = self;
        format!(
            "name     {name}\ndevice   {device}\nkey      {key}\nnetwork  {network}\nseal     {seal}\n\
             mode     {mode}\nstep     {seq}\nhead     {head}\nroot     {root}\n"
        )
    }
}

/// Shows who the wallet is.
pub fn id(at: &Context) -> Result<Done, CliError> {
    let wallet = at.open()?;
    let device = wallet.device();
    Ok(Done::new(&Identity {
        name: wallet.name().as_str().into(),
        device: device.id().to_string(),
        key: device.me().owner.to_string(),
        network: device.me().network.number(),
        seal: format!("{:?}", wallet.seal_state().kind).to_lowercase(),
        mode: mode(device),
        seq: device.seq(),
        head: device.head().to_string(),
        root: device.ledger().root().to_string(),
    }))
}

/// Whether a device may sign, in words.
pub fn mode(device: &Device) -> &'static str {
    match device.mode() {
        Mode::Normal => "normal",
        Mode::ReceiveOnly => "receive only",
    }
}

#[derive(Serialize)]
struct Balance {
    mode: &'static str,
    assets: Vec<Held>,
    /// Payments that are not signed yet: what they pay is in none of the assets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pending: Vec<Pending>,
    /// What a restore left set apart, with what to do. What is spent is in none of the assets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    set_apart: Vec<SetApart>,
    /// What pays nobody until its lock ends; it is among the assets too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    locked: Vec<Locked>,
}

#[derive(Serialize)]
struct Held {
    #[serde(flatten)]
    total: Money,
    at_risk: Money,
    tiers: Vec<OfTier>,
    /// What is set aside, for whom and until when; it is among the tiers too.
    reserved: Vec<Aside>,
}

#[derive(Serialize)]
struct Aside {
    #[serde(flatten)]
    money: Money,
    payee: Option<Who>,
    until: String,
}

/// Coins that are shown in one line: their tier, whether they never moved, what their mints rest on,
/// and whether they are valid now.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    tier: Tier,
    fresh: bool,
    minted: MintStanding,
    verified: bool,
    disputed: bool,
    pending: bool,
}

#[derive(Serialize)]
struct OfTier {
    tier: &'static str,
    minted: &'static str,
    #[serde(flatten)]
    money: Money,
    coins: u64,
    uncertified: u32,
    verified: bool,
    /// Whether somebody behind it was proved to have paid twice: the first to settle keeps it.
    disputed: bool,
    /// Whether it waits for somebody's consent, for the payment whose change it is, or the end of a lock.
    pending: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    settle_by: Option<String>,
    assumption: &'static str,
    /// What enrollers say of the seals behind it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    seals: Vec<String>,
}

impl Report for Balance {
    fn text(&self) -> String {
        let mut text = String::new();
        if self.mode != "normal" {
            text += "This wallet receives only: see `tally doctor`.\n";
        }
        text += &self.pending.iter().map(Pending::text).collect::<String>();
        text += &self.set_apart.iter().map(SetApart::text).collect::<String>();
        text += &self.locked.iter().map(Locked::text).collect::<String>();
        if self.assets.is_empty() {
            return text + "nothing yet\n";
        }
        for held in &self.assets {
            text += &format!("{}\n", held.total.text());
            for of in &held.tiers {
                let by = of.settle_by.as_ref().map(|t| format!(", settle by {t}"));
                let bad = match (of.disputed, of.verified, of.pending) {
                    (true, ..) => {
                        "  IN DISPUTE: settle now, the first to settle keeps it (tally settle)"
                    }
                    (.., true) => "  waits for consent, for its payment, or the end of its lock",
                    (_, true, _) => "",
                    (_, false, _) => "  NO LONGER VALID",
                };
                text += &format!(
                    "  {} {}{}{bad}\n{}    {}\n",
                    of.money.amount,
                    of.tier,
                    by.unwrap_or_default(),
                    of.seals.iter().map(|seal| format!("    {seal}\n")).collect::<String>(),
                    of.assumption
                );
            }
            for aside in &held.reserved {
                let whom = aside.payee.as_ref().map_or_else(|| "somebody".into(), Who::text);
                text += &format!(
                    "  of it reserved for {whom} until {}: {}\n",
                    aside.until, aside.money.amount
                );
            }
            if held.at_risk.units > 0 {
                text += &format!("  at risk until settled: {}\n", held.at_risk.amount);
            }
        }
        text
    }
}

/// Shows what the wallet holds.
pub fn balance(at: &Context) -> Result<Done, CliError> {
    let wallet = at.open()?;
    let device = wallet.device();
    let names = Names::of(device);
    let mut assets: BTreeMap<AssetId, BTreeMap<Kind, OfTier>> = BTreeMap::new();
    for (holding, verified) in wallet.holdings()? {
        if Why::of(device, &holding.pocket) == Some(Why::Spent) {
            continue;
        }
        let asset = holding.coin.asset;
        let tiers = assets.entry(asset).or_default();
        let minted = holding.minted;
        // Nothing behind it is certified, and nothing behind it moved: it rests on its issuers.
        let fresh = holding.uncertified == 0 && holding.certified_at.is_none();
        let (tier, assumption) = if fresh {
            (MINTED, minted.assumption())
        } else {
            (holding.tier.name(), holding.tier.assumption())
        };
        let pocket = wallet.device().ledger().pocket(&holding.pocket);
        let pending = pocket.is_some_and(|pocket| !pocket.is_ready());
        let disputed = pocket.is_some_and(|pocket| device.is_in_dispute(pocket));
        let kind = Kind { tier: holding.tier, fresh, minted, verified, disputed, pending };
        let of = tiers.entry(kind).or_insert_with(|| OfTier {
            tier,
            minted: minted.name(),
            money: Money::of(&names, &asset, Amount::ZERO),
            coins: 0,
            uncertified: 0,
            verified,
            disputed,
            pending,
            settle_by: None,
            assumption,
            seals: Vec::new(),
        });
        if holding.tier != Tier::Certified
            && let Some(pocket) = device.ledger().pocket(&holding.pocket)
        {
            of.seals.extend(words(device.seals_in(&pocket.evidence)));
            of.seals.sort();
            of.seals.dedup();
        }
        let sum = Amount::new(of.money.units).checked_add(holding.coin.amount);
        of.money = Money::of(&names, &asset, sum.unwrap_or(Amount::new(u64::MAX)));
        of.coins += 1;
        of.uncertified = of.uncertified.max(holding.uncertified);
        let by = holding.settle_by.map(date);
        of.settle_by = [of.settle_by.take(), by].into_iter().flatten().min();
    }
    let held = assets.into_iter().map(|(asset, tiers)| {
        let sum = |wanted: &dyn Fn(&OfTier) -> bool| {
            let of = tiers.values().filter(|of| wanted(of)).map(|of| Amount::new(of.money.units));
            let sum = Amount::checked_sum(of).unwrap_or(Amount::new(u64::MAX));
            Money::of(&names, &asset, sum)
        };
        let total = sum(&|of| of.verified);
        // What was minted and has not moved since, no payer can have spent twice.
        let at_risk = sum(&|of| of.tier == Tier::Signed.name() && of.uncertified > 0);
        let reserved = set_aside(wallet.device(), &names, &asset);
        Held { total, at_risk, tiers: tiers.into_values().rev().collect(), reserved }
    });
    let assets = held.collect();
    let pending = Pending::all(device, &names);
    let set_apart = SetApart::all(device, &names);
    let locked = Locked::all(device, &names, now());
    Ok(Done::new(&Balance { mode: mode(device), assets, pending, set_apart, locked }))
}

/// What of an asset is set aside now, by whom and how long.
fn set_aside(device: &Device, names: &Names, asset: &AssetId) -> Vec<Aside> {
    let mut sums: BTreeMap<(PublicKey, Time), Amount> = BTreeMap::new();
    for (_, coin) in device.ledger().reserved().filter_map(|pocket| pocket.coin.as_ref()) {
        if let (Predicate::Reserved(reserved), true) = (&coin.owner, coin.asset == *asset)
            && now() < reserved.until
        {
            let sum = sums.entry((reserved.payee.clone(), reserved.until)).or_default();
            *sum = sum.checked_add(coin.amount).unwrap_or(*sum);
        }
    }
    let aside = |((payee, until), sum): ((PublicKey, Time), Amount)| Aside {
        money: Money::of(names, asset, sum),
        payee: names.of_key(&payee).map(|device| Who::of(names, &device)),
        until: date(until),
    };
    sums.into_iter().map(aside).collect()
}

#[derive(Serialize)]
struct History {
    entries: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    at: String,
    direction: &'static str,
    with: Option<Who>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    #[serde(flatten)]
    money: Money,
    tier: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    minted: Option<&'static str>,
    state: &'static str,
    tx: String,
}

impl Report for History {
    fn text(&self) -> String {
        if self.entries.is_empty() {
            return "nothing yet\n".into();
        }
        let line = |e: &Entry| {
            let tier = e.tier.map(|tier| format!(", {tier}")).unwrap_or_default();
            let with = match (&e.with, e.direction) {
                (None, _) => "minted for you".into(),
                (Some(who), "in") => format!("from {}", who.text()),
                (Some(who), "own") => match &e.until {
                    Some(until) => format!("reserved for {} until {until}", who.text()),
                    None => "to yourself".into(),
                },
                (Some(who), _) => format!("to {}", who.text()),
            };
            let sign = match e.direction {
                "in" => '+',
                "own" => '=',
                _ => '-',
            };
            format!(
                "{}  {sign}{}  {with}  [{}{tier}]  {}\n",
                e.at,
                e.money.text(),
                e.state,
                short(&e.tx)
            )
        };
        self.entries.iter().map(line).collect()
    }
}

/// Lists payments and mints, newest first.
pub fn history(at: &Context, limit: Option<usize>) -> Result<Done, CliError> {
    let wallet = at.open()?;
    let device = wallet.device();
    let names = Names::of(device);
    let mut entries = Vec::new();
    for incoming in device.incoming().values() {
        let entry = Entry {
            at: date(incoming.at),
            direction: "in",
            with: incoming.payer.as_ref().map(|payer| Who::of(&names, payer)),
            until: None,
            money: Money::of(&names, &incoming.asset, incoming.amount),
            tier: incoming.payer.map(|_| incoming.tier.name()),
            minted: Some(incoming.minted.name()),
            state: match (incoming.accepted, incoming.settled) {
                _ if device.has_lost(&incoming.tx) => "lost",
                (_, true) => "settled",
                (true, false) => "not settled",
                (false, false) => "held, not accepted",
            },
            tx: incoming.tx.to_string(),
        };
        entries.push(((incoming.at, 0), entry));
    }
    for outgoing in device.outgoing().values() {
        let offer = &outgoing.payment.offer;
        let reserved = outgoing.transaction.body.outputs.first().and_then(|o| match &o.owner {
            Predicate::Reserved(reserved) if outgoing.payee == device.id() => Some(reserved),
            _ => None,
        });
        let whom = reserved.and_then(|reserved| names.of_key(&reserved.payee));
        let entry = Entry {
            at: date(outgoing.at),
            direction: if outgoing.payee == device.id() { "own" } else { "out" },
            with: whom.or(Some(outgoing.payee)).map(|device| Who::of(&names, &device)),
            until: reserved.map(|reserved| date(reserved.until)),
            money: Money::of(&names, &offer.asset, offer.amount),
            tier: None,
            minted: None,
            state: match outgoing.state {
                OutgoingState::Proving => "not signed yet, waits for the TPM's proof",
                OutgoingState::Intent => "not signed yet",
                _ if device.has_lost(&outgoing.tx) => "lost",
                _ if device.settled_at(&outgoing.tx).is_some() => "settled",
                OutgoingState::Signed if outgoing.payee == device.id() => {
                    "signed, waits for consent or the end of the lock"
                }
                OutgoingState::Signed => "signed, waits for the payee",
                OutgoingState::Receipted if outgoing.payee == device.id() => "not settled",
                OutgoingState::Receipted => "the payee has it",
                OutgoingState::GivenUp => "given up: the seal gave no proof, nothing was paid",
            },
            tx: outgoing.tx.to_string(),
        };
        entries.push(((outgoing.at, outgoing.transaction.step.seq), entry));
    }
    // Within one second, what was paid came after what it was paid with.
    entries.sort_by(|(a, x), (b, y)| b.cmp(a).then_with(|| x.tx.cmp(&y.tx)));
    let entries = entries.into_iter().map(|(_, entry)| entry);
    let entries = entries.take(limit.unwrap_or(usize::MAX)).collect();
    Ok(Done::new(&History { entries }))
}
