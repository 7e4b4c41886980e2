//! Say what happened in a wallet: to people in sentences, to programs as JSON.

mod advice;
mod apart;
pub(crate) mod fork;
mod locked;
mod names;
mod own;
mod pending;
mod worth;

pub use advice::advice;
pub use apart::{SetApart, Why};
pub use locked::Locked;
pub use names::{Money, Names, Who};
pub use own::consented;
pub use pending::Pending;
pub use worth::{MINTED, Worth, words};

use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;
use tally_core::device::{Device, Direction, Event, RejectReason};
use tally_core::id::DeviceId;
use tally_core::tier::Tier;
use tally_core::time::Time;

use crate::error::{CliError, Exit};
use crate::output::Report;

/// Digits of an id that are shown to people.
const SHORT: usize = 12;

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
        /// What it did: `refreshed`, `took back`, `reserved` or `asked to release`.
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
        /// What of this wallet's it touches, `money` or `contact`.
        #[serde(skip_serializing_if = "Option::is_none")]
        touches: Option<&'static str>,
    },
    /// This wallet's own key was proved to have signed two steps that contradict each other.
    Accused {
        /// What it did.
        did: &'static str,
    },
    /// A meeting is over.
    Met {
        /// With whom.
        contact: Who,
    },
    /// A contact says that it has seen a later step of this wallet's, and shows none that it signed.
    Claimed {
        /// Who says so.
        contact: Who,
        /// The number of the step.
        seq: u64,
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
            Event::Paid { tx, payee, asset, amount } => {
                let money = Money::of(me, asset, *amount);
                Self::Paid { tx: tx.to_string(), payee: who(payee), money }
            }
            Event::Moved { tx, asset, amount, owner, released, awaits } => {
                let money = Money::of(me, asset, *amount);
                own::moved(me, tx, money, owner, *released, awaits.as_ref())
            }
            Event::ReleaseAsked { tx, from, asset, amount } => {
                own::asked(tx, who(from), Money::of(me, asset, *amount))
            }
            Event::GivenUp { tx, payee, asset, amount, until } => {
                let (tx, money) = (tx.to_string(), Money::of(me, asset, *amount));
                Self::GivenUp { tx, payee: who(payee), money, until: until.map(date) }
            }
            Event::Receipted { tx } => Self::Receipted { tx: tx.to_string() },
            Event::Refused { from, reason } => Self::refused(who(from), reason),
            Event::RefusedBy { payee, code } => {
                Self::RefusedBy { payee: who(payee), code: code.clone() }
            }
            Event::Forked { key, contact, kind, concern } => Self::Forked {
                key: key.to_string(),
                contact: contact.as_ref().map(who),
                did: kind.text(),
                touches: fork::touches(*concern),
            },
            Event::Accused { kind } => Self::Accused { did: kind.text() },
            Event::Met { contact } => Self::Met { contact: who(contact) },
            Event::Claimed { contact, seq } => Self::Claimed { contact: who(contact), seq: *seq },
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

    fn refused(from: Who, reason: &RejectReason) -> Self {
        Self::Refused { from, code: reason.code.clone(), reason: reason.text.clone() }
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

    /// Whether somebody was convicted of what touches this wallet's money or contacts, or its own key
    /// accused. Of strangers anyone can make any number.
    pub const fn is_fork(&self) -> bool {
        match self {
            Self::Forked { touches, .. } => touches.is_some(),
            Self::Accused { .. } => true,
            _ => false,
        }
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
            Self::Forked { key, contact, did, touches } => fork::text(
                &contact.as_ref().map_or_else(|| short(key).to_owned(), Who::text),
                did,
                *touches,
            ),
            Self::Accused { did } => fork::accused(did),
            Self::Met { contact } => {
                format!("met {}: both know what the other knew\n", contact.text())
            }
            Self::Claimed { contact, seq } => format!(
                "{} claims to have seen step {seq} of this wallet and does not show it: nothing changes\n",
                contact.text()
            ),
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

    /// The payment that is made, if one is.
    pub fn paid(&self) -> Option<&str> {
        self.events.iter().find_map(|event| match event {
            Shown::Paid { tx, .. } => Some(tx.as_str()),
            _ => None,
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_shown_with_its_source() {
        let contact = DeviceId::new([7; 32]);
        let shown = Shown::of(&Names::default(), &Event::Claimed { contact, seq: 99 });
        let text = shown.text();
        assert!(text.contains(&contact.to_string()[..SHORT]) && text.contains("step 99"), "{text}");
        let json = serde_json::to_value(&shown).expect("JSON");
        assert_eq!((&json["event"], &json["seq"]), (&"claimed".into(), &99.into()));
        assert_eq!(json["contact"]["device"], contact.to_string());
    }
}
