//! Say what became of value that was set aside, taken back or made into one coin.

use tally_core::id::{DeviceId, TxId};
use tally_core::predicate::Predicate;

use super::{Events, Money, Names, Shown, Who, date, short};
use crate::output::Report;

/// A payment to oneself.
pub fn moved(
    me: &Names,
    tx: &TxId,
    money: Money,
    owner: &Predicate,
    released: bool,
    awaits: Option<&DeviceId>,
) -> Shown {
    let reserved = match owner {
        Predicate::Reserved(reserved) => Some(reserved),
        _ => None,
    };
    let whom = reserved.and_then(|reserved| me.of_key(&reserved.payee));
    let did = match (reserved, awaits) {
        (Some(_), _) => "reserved",
        (None, Some(_)) => "asked to release",
        (None, None) if released => "took back",
        (None, None) => "refreshed",
    };
    let contact = whom.as_ref().or(awaits).map(|device| Who::of(me, device));
    let until = reserved.map(|reserved| date(reserved.until));
    Shown::Moved { tx: tx.to_string(), money, did, contact, until }
}

/// A contact asks to take back what is set aside.
pub fn asked(tx: &TxId, from: Who, money: Money) -> Shown {
    Shown::ReleaseAsked { tx: tx.to_string(), from, money }
}

/// Its lines.
pub fn text(shown: &Shown) -> String {
    match shown {
        Shown::Moved { tx, money, contact: Some(who), until: Some(until), .. } => format!(
            "reserved {} for {} until {until} ({})\n  until then it pays nobody else, and then it is yours alone again\n",
            money.text(),
            who.text(),
            short(tx)
        ),
        Shown::Moved { tx, money, contact: Some(who), .. } => {
            format!("asked {} to release {} ({})\n", who.text(), money.text(), short(tx))
        }
        Shown::Moved { tx, money, did, .. } => {
            format!("{did} {} ({})\n", money.text(), short(tx))
        }
        Shown::ReleaseAsked { .. } => {
            asks(shown) + "  to consent: tally release --agree FILE --out ANSWER\n"
        }
        _ => String::new(),
    }
}

/// What is shown to whoever has just consented.
pub fn consented(events: &Events) -> String {
    let line = |shown: &Shown| match shown {
        Shown::ReleaseAsked { .. } => asks(shown),
        other => other.text(),
    };
    events.events.iter().map(line).collect()
}

fn asks(shown: &Shown) -> String {
    let Shown::ReleaseAsked { tx, from, money } = shown else { return String::new() };
    let (from, money) = (from.text(), money.text());
    format!("{from} asks to take back {money} that is reserved for you ({})\n", short(tx))
}
