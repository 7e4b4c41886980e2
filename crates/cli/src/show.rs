//! Say what happened in a wallet: to people in sentences, to programs as JSON.

mod own;

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;
use tally_core::amount::Amount;
use tally_core::device::{Device, Direction, Event};
use tally_core::id::{AssetId, DeviceId};
use tally_core::keys::PublicKey;
use tally_core::mint::MintStanding;
use tally_core::seal::SealTerms;
use tally_core::tier::Tier;
use tally_core::time::Time;

use crate::error::{CliError, Exit};
use crate::output::Report;

/// Digits of an id that are shown to people.
const SHORT: usize = 12;

/// What stands in the place of a tier for a coin that has not moved since it was minted.
pub const MINTED: &str = "Minted";

/// What a wallet calls things: enough to show events while the wallet is at work.
///
/// Anyone may take any name and any ticker. Where two have the same, people see digits beside it.
#[derive(Clone, Debug, Default)]
pub struct Names {
    contacts: BTreeMap<DeviceId, String>,
    keys: BTreeMap<PublicKey, DeviceId>,
    assets: BTreeMap<AssetId, (String, u8)>,
    /// How often each name of a contact is taken, without regard to case.
    named: BTreeMap<String, usize>,
    /// How often each ticker is taken.
    tickers: BTreeMap<String, usize>,
}

impl Names {
    /// What `device` calls its contacts and assets.
    pub fn of(device: &Device) -> Self {
        let contacts = device.contacts().iter();
        let assets = device.policies().iter();
        Self {
            named: counted(contacts.clone().map(|(_, c)| c.name.as_str().to_lowercase())),
            tickers: counted(assets.clone().map(|(_, p)| p.ticker.to_string())),
            keys: contacts.clone().map(|(id, c)| (c.owner.clone(), *id)).collect(),
            contacts: contacts
                .map(|(id, c)| (*id, c.name.as_str().to_owned()))
                .chain([(device.id(), "yourself".to_owned())])
                .collect(),
            assets: assets.map(|(id, p)| (*id, (p.ticker.to_string(), p.decimals))).collect(),
        }
    }
}

fn counted(names: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    counts
}

impl Names {
    /// Whether several contacts have this name.
    fn is_shared(&self, name: &str) -> bool {
        self.named.get(&name.to_lowercase()).is_some_and(|count| *count > 1)
    }

    /// Whether several assets have this ticker.
    fn is_shared_ticker(&self, ticker: &str) -> bool {
        self.tickers.get(ticker).is_some_and(|count| *count > 1)
    }

    /// The contact who has this key.
    pub fn of_key(&self, key: &PublicKey) -> Option<DeviceId> {
        self.keys.get(key).copied()
    }
}

/// Somebody's device.
#[derive(Serialize, Clone, PartialEq, Eq, Debug)]
pub struct Who {
    /// The device.
    pub device: String,
    /// The name on its card, if it is a contact.
    pub name: Option<String>,
    /// Whether another contact has the same name.
    #[serde(skip)]
    shared: bool,
}

impl Who {
    /// A device under the name that it has here.
    pub fn of(names: &Names, device: &DeviceId) -> Self {
        let name = names.contacts.get(device).cloned();
        let shared = name.as_deref().is_some_and(|name| names.is_shared(name));
        Self { device: device.to_string(), name, shared }
    }

    /// The name, or the start of the id; both, if another contact has the same name.
    pub fn text(&self) -> String {
        match &self.name {
            Some(name) if self.shared => format!("{name} ({})", short(&self.device)),
            Some(name) => name.clone(),
            None => short(&self.device).into(),
        }
    }
}

/// An amount with what it is of.
#[derive(Serialize, Clone, PartialEq, Eq, Debug)]
pub struct Money {
    /// With its decimal point.
    pub amount: String,
    /// In smallest units.
    pub units: u64,
    /// The asset's short name, if the asset is known.
    pub ticker: Option<String>,
    /// The asset.
    pub asset: String,
    /// Whether another asset has the same short name.
    #[serde(skip)]
    shared: bool,
}

impl Money {
    /// An amount of an asset under the name that it has here.
    pub fn of(names: &Names, asset: &AssetId, amount: Amount) -> Self {
        let known = names.assets.get(asset);
        let decimals = known.map_or(0, |(_, decimals)| *decimals);
        Self {
            amount: amount.display(decimals).to_string(),
            units: amount.units(),
            ticker: known.map(|(ticker, _)| ticker.clone()),
            asset: asset.to_string(),
            shared: known.is_some_and(|(ticker, _)| names.is_shared_ticker(ticker)),
        }
    }

    /// Such as `4.50 COIN`, or `4.50 COIN (4c2c31ff3ef2)` if two known assets are called so.
    pub fn text(&self) -> String {
        let asset = self.ticker.as_deref().unwrap_or_else(|| short(&self.asset));
        let digits = if self.shared { format!(" ({})", short(&self.asset)) } else { String::new() };
        format!("{} {asset}{digits}", self.amount)
    }
}

/// What a payment is worth: never the promise without what it rests on.
#[derive(Serialize, Clone, PartialEq, Eq, Debug)]
pub struct Worth {
    /// The tier's name.
    pub tier: &'static str,
    /// `FINAL` or `ACCEPTED AT RISK`.
    pub word: &'static str,
    /// What stops a second spend, and what to do.
    pub because: &'static str,
    /// What that rests on.
    pub assumption: &'static str,
    /// What the mints behind it rest on.
    pub minted: &'static str,
    /// What that rests on.
    pub mint_assumption: &'static str,
    /// What enrollers say of the seals that it rests on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub seals: Vec<String>,
    /// When to settle at the latest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settle_by: Option<String>,
}

impl Worth {
    /// What a payment of a tier is worth, of coins that were minted so.
    ///
    /// `seals` are the enrollments of the seals behind it: one that is for development is never shown
    /// as hardware.
    pub fn of(
        tier: Tier,
        minted: MintStanding,
        settle_by: Option<Time>,
        seals: &[SealTerms],
    ) -> Self {
        let toy = seals.iter().any(|terms| terms.development);
        let (word, because) = match tier {
            Tier::Signed => ("ACCEPTED AT RISK", "signed only, settle when online"),
            Tier::Bonded => ("ACCEPTED AT RISK", "signed and bonded, settle when online"),
            Tier::Reserved => {
                ("FINAL", "set aside for you beforehand, settle before the lock ends")
            }
            Tier::Sealed if toy => (
                "FOR DEVELOPMENT ONLY",
                "sealed by a TPM in software that can be copied and pay twice, settle at once",
            ),
            Tier::Sealed => ("FINAL", "sealed by hardware, settle before the lock ends"),
            Tier::Certified => ("FINAL", "certified by the network"),
        };
        let settle_by = settle_by.map(date);
        Self {
            tier: tier.name(),
            word,
            because,
            assumption: tier.assumption(),
            minted: minted.name(),
            mint_assumption: minted.assumption(),
            seals: if tier == Tier::Certified { Vec::new() } else { words(seals) },
            settle_by,
        }
    }

    /// The worth of what came in: a mint, or a payment of a tier.
    fn of_what(
        mint: bool,
        tier: Tier,
        minted: MintStanding,
        settle_by: Option<Time>,
        seals: &[SealTerms],
    ) -> Self {
        if mint { Self::of_mint(minted) } else { Self::of(tier, minted, settle_by, seals) }
    }

    /// What a mint is worth that has not moved: it rests on its issuers alone, unless it is certified.
    pub fn of_mint(minted: MintStanding) -> Self {
        if minted == MintStanding::Certified {
            return Self::of(Tier::Certified, minted, None, &[]);
        }
        Self {
            tier: MINTED,
            word: "ACCEPTED",
            because: "signed by its issuers, not moved since",
            assumption: minted.assumption(),
            minted: minted.name(),
            mint_assumption: minted.assumption(),
            seals: Vec::new(),
            settle_by: None,
        }
    }

    /// The lines on a payee's screen.
    pub fn lines(&self) -> String {
        let Self { tier, word, because, assumption, minted, mint_assumption, .. } = self;
        let by = self.settle_by.as_ref().map(|t| format!(" (by {t})")).unwrap_or_default();
        let mut lines = format!("  {word} - {because}{by}\n");
        lines += &self.seals.iter().map(|seal| format!("  {seal}\n")).collect::<String>();
        lines += &format!("  tier {tier}: {assumption}\n");
        if *minted == MintStanding::IssuersWord.name() && *tier != MINTED {
            lines += &format!("  minted on its issuers' word: {mint_assumption}\n");
        }
        lines
    }
}

/// What enrollers say of seals, each once.
pub fn words<'a>(seals: impl IntoIterator<Item = &'a SealTerms>) -> Vec<String> {
    let mut words: Vec<String> = seals.into_iter().map(ToString::to_string).collect();
    words.sort();
    words.dedup();
    words
}

/// One event.
#[derive(Serialize, Clone, PartialEq, Eq, Debug)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Shown {
    /// Money came in.
    Received {
        /// The payment or mint.
        tx: String,
        /// From whom; nobody for a mint.
        payer: Option<Who>,
        /// How much.
        #[serde(flatten)]
        money: Money,
        /// What it is worth.
        #[serde(flatten)]
        worth: Worth,
    },
    /// It is in the wallet, and the owner's policy does not accept it.
    Held {
        /// The payment.
        tx: String,
        /// From whom.
        payer: Option<Who>,
        /// How much.
        #[serde(flatten)]
        money: Money,
        /// What it would be worth.
        tier: &'static str,
        /// What the mints behind it rest on.
        minted: &'static str,
        /// What enrollers say of the seals behind it.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        seals: Vec<String>,
        /// Stable code.
        code: String,
        /// Why it is not accepted.
        reason: String,
    },
    /// It had come in before.
    Again {
        /// The payment.
        tx: String,
    },
    /// A payment is made.
    Paid {
        /// The payment.
        tx: String,
        /// To whom.
        payee: Who,
        /// How much.
        #[serde(flatten)]
        money: Money,
    },
    /// A payment to oneself is signed.
    Moved {
        /// The payment.
        tx: String,
        /// How much.
        #[serde(flatten)]
        money: Money,
        /// What it did: `refreshed` (or took back what is free again), `reserved` or `asked to release`.
        did: &'static str,
        /// For whom it is set aside, or who has still to consent.
        #[serde(skip_serializing_if = "Option::is_none")]
        contact: Option<Who>,
        /// When the lock ends.
        #[serde(skip_serializing_if = "Option::is_none")]
        until: Option<String>,
    },
    /// A contact asks to take back what is set aside for this wallet.
    ReleaseAsked {
        /// The release.
        tx: String,
        /// Who asks.
        from: Who,
        /// How much.
        #[serde(flatten)]
        money: Money,
    },
    /// The seal gave no proof, so nothing was paid.
    GivenUp {
        /// The payment.
        tx: String,
        /// To whom it was to go.
        payee: Who,
        /// How much.
        #[serde(flatten)]
        money: Money,
        /// When the last of its coins can move again.
        until: Option<String>,
    },
    /// The payee has it.
    Receipted {
        /// The payment.
        tx: String,
    },
    /// Refused here.
    Refused {
        /// Who sent it.
        from: Who,
        /// Stable code.
        code: String,
        /// What it means.
        reason: String,
    },
    /// Refused there.
    RefusedBy {
        /// Who refused.
        payee: Who,
        /// Stable code.
        code: String,
    },
    /// A device was convicted.
    Forked {
        /// Its key.
        key: String,
        /// The contact that it is, if it is one.
        contact: Option<Who>,
        /// What it did.
        did: &'static str,
    },
    /// A meeting is over.
    Met {
        /// With whom.
        contact: Who,
    },
    /// The wallet learnt of a step of its own.
    Recovered {
        /// The number of its last step.
        seq: u64,
    },
    /// The network has certified a payment or mint, and everything behind it.
    Settled {
        /// The payment or mint.
        tx: String,
        /// `in` or `out`.
        direction: &'static str,
        /// From or to whom; nobody for a mint.
        with: Option<Who>,
        /// How much.
        #[serde(flatten)]
        money: Money,
        /// Whether the owner accepts it.
        accepted: bool,
        /// What it rests on.
        assumption: &'static str,
    },
    /// The network has certified another payment of the same coin.
    Lost {
        /// The payment or mint that is lost.
        tx: String,
        /// `in` or `out`.
        direction: &'static str,
        /// From or to whom; nobody for a mint.
        with: Option<Who>,
        /// How much of it.
        #[serde(flatten)]
        money: Money,
        /// Whose key signed both.
        key: String,
        /// The contact that it is, if it is one.
        cheat: Option<Who>,
        /// The payment that won.
        winner: String,
    },
}

impl Shown {
    /// An event in the wallet that has these names.
    pub fn of(me: &Names, event: &Event) -> Self {
        let who = |device: &DeviceId| Who::of(me, device);
        match event {
            Event::Received { tx, payer, asset, amount, tier, minted, settle_by, seals } => {
                Self::Received {
                    tx: tx.to_string(),
                    payer: payer.as_ref().map(who),
                    money: Money::of(me, asset, *amount),
                    worth: Worth::of_what(payer.is_none(), *tier, *minted, *settle_by, seals),
                }
            }
            Event::Held { tx, payer, asset, amount, tier, minted, seals, reason } => Self::Held {
                seals: words(seals),
                tx: tx.to_string(),
                payer: payer.as_ref().map(who),
                money: Money::of(me, asset, *amount),
                tier: tier.name(),
                minted: minted.name(),
                code: reason.code.clone(),
                reason: reason.text.clone(),
            },
            Event::Again { tx } => Self::Again { tx: tx.to_string() },
            Event::Paid { tx, payee, asset, amount } => Self::Paid {
                tx: tx.to_string(),
                payee: who(payee),
                money: Money::of(me, asset, *amount),
            },
            Event::Moved { tx, asset, amount, owner, awaits } => {
                own::moved(me, tx, Money::of(me, asset, *amount), owner, awaits.as_ref())
            }
            Event::ReleaseAsked { tx, from, asset, amount } => {
                own::asked(tx, who(from), Money::of(me, asset, *amount))
            }
            Event::GivenUp { tx, payee, asset, amount, until } => Self::GivenUp {
                tx: tx.to_string(),
                payee: who(payee),
                money: Money::of(me, asset, *amount),
                until: until.map(date),
            },
            Event::Receipted { tx } => Self::Receipted { tx: tx.to_string() },
            Event::Refused { from, reason } => Self::Refused {
                from: who(from),
                code: reason.code.clone(),
                reason: reason.text.clone(),
            },
            Event::RefusedBy { payee, code } => Self::refused_by(who(payee), code),
            Event::Forked { key, contact, kind } => Self::Forked {
                key: key.to_string(),
                contact: contact.as_ref().map(who),
                did: kind.text(),
            },
            Event::Met { contact } => Self::Met { contact: who(contact) },
            Event::Recovered { seq } => Self::Recovered { seq: *seq },
            Event::Settled { tx, direction, with, asset, amount, accepted } => Self::Settled {
                tx: tx.to_string(),
                direction: way(*direction),
                with: with.as_ref().map(who),
                money: Money::of(me, asset, *amount),
                accepted: *accepted,
                assumption: Tier::Certified.assumption(),
            },
            Event::Lost { tx, direction, with, asset, amount, key, winner } => Self::Lost {
                tx: tx.to_string(),
                direction: way(*direction),
                with: with.as_ref().map(who),
                money: Money::of(me, asset, *amount),
                key: key.to_string(),
                cheat: me.of_key(key).as_ref().map(who),
                winner: winner.to_string(),
            },
        }
    }

    fn refused_by(payee: Who, code: &str) -> Self {
        Self::RefusedBy { payee, code: code.into() }
    }

    /// The refusal that the event is, as an error of the command that caused it.
    pub fn refusal(&self) -> Option<CliError> {
        match self {
            Self::Refused { code, reason, .. } => Some(CliError::refused(code, reason)),
            Self::RefusedBy { payee, code } => {
                let text = format!("{} refused: {}", payee.text(), advice(code));
                Some(CliError::refused(code, &text))
            }
            _ => None,
        }
    }

    /// Whether somebody was convicted.
    pub const fn is_fork(&self) -> bool {
        matches!(self, Self::Forked { .. })
    }
}

impl Report for Shown {
    fn text(&self) -> String {
        match self {
            Self::Received { payer: None, money, worth, .. } => {
                format!("minted for you: {}\n{}", money.text(), worth.lines())
            }
            Self::Received { payer: Some(payer), money, worth, .. } => {
                format!("received {} from {}\n{}", money.text(), payer.text(), worth.lines())
            }
            Self::Held { payer, money, tier, code, reason, seals, .. } => {
                let from = payer.as_ref().map_or_else(|| "a mint".into(), Who::text);
                format!(
                    "NOT FINAL: {} from {from} is in the wallet, but you do not accept it [{code}]\n  \
                     {reason}\n{}  tier {tier}: hand nothing over; settle it when online, or pay it back\n",
                    money.text(),
                    seals.iter().map(|seal| format!("  {seal}\n")).collect::<String>(),
                )
            }
            Self::Again { tx } => format!("received before: {} (nothing changed)\n", short(tx)),
            Self::Paid { tx, payee, money } => {
                format!("paid {} to {} ({})\n", money.text(), payee.text(), short(tx))
            }
            Self::Moved { .. } | Self::ReleaseAsked { .. } => own::text(self),
            Self::GivenUp { tx, payee, money, until } => {
                let until = until.as_deref().unwrap_or("now");
                format!(
                    "NOT PAID {} to {} ({}): the seal gave no proof\n  nothing is lost: its coins are locked until {until}, then your key alone moves them\n",
                    money.text(),
                    payee.text(),
                    short(tx),
                )
            }
            Self::Receipted { tx } => format!("the payee has it: {}\n", short(tx)),
            Self::Refused { from, code, reason } => {
                format!("REFUSED what {} sent [{code}]\n  {reason}\n", from.text())
            }
            Self::RefusedBy { payee, code } => {
                format!("{} refused [{code}]: {}\n", payee.text(), advice(code))
            }
            Self::Forked { key, contact, did } => {
                let who = contact.as_ref().map_or_else(|| short(key).to_owned(), Who::text);
                format!("FORK: {who} {did}. The proof is kept; the device is refused for good.\n")
            }
            Self::Met { contact } => {
                format!("met {}: both know what the other knew\n", contact.text())
            }
            Self::Recovered { seq } => format!("learnt of an own step: the last one is {seq}\n"),
            Self::Settled { direction, with, money, accepted, assumption, .. } => {
                let what = moved(direction, with.as_ref());
                let held = if *accepted { "" } else { " (you had not accepted it)" };
                format!("settled {} {what}: Certified{held}\n  {assumption}\n", money.text())
            }
            Self::Lost { direction, with, money, key, cheat, winner, .. } => {
                let what = moved(direction, with.as_ref());
                let who = cheat.as_ref().map_or_else(|| short(key).to_owned(), Who::text);
                format!(
                    "LOST {} {what}: {who} had signed the same coin away in payment {}, which the network certified first\n",
                    money.text(),
                    short(winner)
                )
            }
        }
    }
}

/// Which way value went.
const fn way(direction: Direction) -> &'static str {
    match direction {
        Direction::In => "in",
        Direction::Out => "out",
    }
}

/// Such as `from Alice`.
fn moved(direction: &str, with: Option<&Who>) -> String {
    match (with, direction) {
        (None, _) => "minted for you".into(),
        (Some(who), "in") => format!("from {}", who.text()),
        (Some(who), _) => format!("to {}", who.text()),
    }
}

/// Several events of one command.
#[derive(Serialize, Clone, PartialEq, Eq, Debug, Default)]
pub struct Events {
    /// In order.
    pub events: Vec<Shown>,
}

impl Events {
    /// The events of `me`'s wallet.
    pub fn of<'a>(me: &Device, events: impl IntoIterator<Item = &'a Event>) -> Self {
        let me = &Names::of(me);
        Self { events: events.into_iter().map(|event| Shown::of(me, event)).collect() }
    }

    /// The first refusal, as an error.
    ///
    /// # Errors
    /// [`CliError`] if there is one.
    pub fn check(&self) -> Result<(), CliError> {
        self.events.iter().find_map(Shown::refusal).map_or(Ok(()), Err)
    }
}

impl Report for Events {
    fn text(&self) -> String {
        self.events.iter().map(Report::text).collect()
    }

    fn exit(&self) -> Exit {
        let held = |event: &Shown| matches!(event, Shown::Held { .. });
        if self.events.iter().any(Shown::is_fork) {
            Exit::Conflict
        } else if self.events.iter().any(held) {
            Exit::Refused
        } else {
            Exit::Ok
        }
    }
}

/// The first digits of an id, for people.
pub fn short(id: &str) -> &str {
    id.get(..SHORT).unwrap_or(id)
}

/// A time, as a date in UTC.
pub fn date(time: Time) -> String {
    // Year 9999, beyond which dates have another form.
    const LAST: u64 = 253_402_300_799;
    let at = UNIX_EPOCH + Duration::from_secs(time.unix().min(LAST));
    humantime::format_rfc3339_seconds(at).to_string()
}

/// What a payer does about a refusal that a payee sent: only its code travels.
pub fn advice(code: &str) -> &'static str {
    match code {
        "ACCEPT_TIER" => "payments of this tier are not accepted there: pay with a stronger tier",
        "ACCEPT_PER_PAYMENT" => {
            "the payment is too large for its tier: pay less, or with a stronger tier"
        }
        "ACCEPT_PER_PAYER" => {
            "you owe too much there that is not settled: settle first, or pay with a stronger tier"
        }
        "ACCEPT_TOTAL" => "too much is not settled there: ask the payee to settle first",
        "ACCEPT_SETTLE_MARGIN" => "the coin's lock ends too soon: pay with another coin",
        "EVIDENCE_CERTIFICATION" => {
            "the payee does not believe the network that certified this: it needs its trust base (tally notary add)"
        }
        "ACCEPT_UNSETTLED" | "ACCEPT_CERTIFIED_AGE" => {
            "the payee wants you to settle earlier payments first: settle when online"
        }
        "UNLOCK_SLOT_PROOF" => {
            "the seal gave no proof for this payment: its coin waits for the end of its lock (tally status), pay with another"
        }
        "ENROLLMENT_ENROLLER"
        | "ENROLLMENT_REVOKED"
        | "ENROLLMENT_ENDS"
        | "ENROLLMENT_DEVELOPMENT" => {
            "your seal's enrollment does not count for this asset: renew it (tally seal enroll), or pay with another coin"
        }
        "BRICKED" => {
            "this device was proved to have paid twice with the same money: nobody takes it any more"
        }
        _ => "a rule of the protocol is broken: ask for a new invoice, and see `tally history`",
    }
}
