//! Settle: have the network certify what was paid offline.

use serde::Serialize;
use tally_core::device::{Event, Lost};
use tally_wallet::{Progress, Settling, Wallet};

use super::notaries::Split;
use crate::context::Context;
use crate::error::{CliError, Exit};
use crate::output::{Done, Out, Report};
use crate::show::{Events, Names, Who, date, short};

/// What a settlement has come to.
#[derive(Serialize, Default)]
pub struct Settled {
    certified: Vec<String>,
    lost: Vec<Race>,
    locked: Vec<Locked>,
    undecided: Vec<Undecided>,
    #[serde(flatten)]
    events: Events,
    splits: Vec<Split>,
    doubts: Vec<Doubted>,
}

/// Whose answer was not believed. It kept nothing from being settled.
#[derive(Serialize)]
struct Doubted {
    code: String,
    reason: String,
}

#[derive(Serialize)]
struct Race {
    source: String,
    loser: String,
    winner: String,
    certified_at: String,
    key: String,
    cheat: Option<Who>,
    own: bool,
}

#[derive(Serialize)]
struct Locked {
    tx: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
}

#[derive(Serialize)]
struct Undecided {
    tx: String,
    code: String,
    reason: String,
    #[serde(skip)]
    exit: Option<Exit>,
}

impl Settled {
    /// What is shown of a settlement.
    pub fn of(wallet: &Wallet, settling: Settling, events: &[Event]) -> Self {
        let names = Names::of(wallet.device());
        let race = |lost: &Lost| Race {
            source: lost.source.to_string(),
            loser: lost.loser.to_string(),
            winner: lost.winner.to_string(),
            certified_at: date(lost.at),
            key: lost.key.to_string(),
            cheat: names.of_key(&lost.key).map(|device| Who::of(&names, &device)),
            own: lost.key == wallet.device().me().owner,
        };
        let locked = settling
            .locked
            .into_iter()
            .map(|(tx, until)| Locked { tx: tx.to_string(), until: until.map(date) });
        let undecided = settling.failed.into_iter().map(|(tx, error)| {
            let (code, reason) = (error.code().to_owned(), error.to_string());
            let exit = CliError::from(tally_wallet::WalletError::from(error)).exit;
            Undecided { tx: tx.to_string(), code, reason, exit: Some(exit) }
        });
        let doubts = settling
            .doubts
            .iter()
            .map(|doubt| Doubted { code: doubt.code().to_owned(), reason: doubt.to_string() });
        Self {
            certified: settling.certified.iter().map(ToString::to_string).collect(),
            lost: settling.lost.iter().map(race).collect(),
            locked: locked.collect(),
            undecided: undecided.collect(),
            events: Events::of(wallet.device(), events),
            splits: settling.splits.iter().map(Split::of).collect(),
            doubts: doubts.collect(),
        }
    }
}

impl Race {
    fn text(&self) -> String {
        let who = match (&self.cheat, self.own) {
            (_, true) => "this wallet's own key".to_owned(),
            (Some(who), _) => who.text(),
            (None, _) => short(&self.key).to_owned(),
        };
        let next = if self.own {
            "a copy of this wallet paid first: this one receives only from now on (tally doctor)"
        } else {
            "the proof is kept and published, and its signer is refused for good (tally fork list)"
        };
        format!(
            "LOST THE RACE: {who} signed payments {} and {}; the network certified the second at {}\n  {next}\n",
            short(&self.loser),
            short(&self.winner),
            self.certified_at
        )
    }
}

impl Report for Settled {
    fn text(&self) -> String {
        let mut text = self.events.text();
        text += &self.lost.iter().map(Race::text).collect::<String>();
        for locked in &self.locked {
            let until = locked.until.as_deref().unwrap_or("its lock ends");
            text += &format!(
                "locked: payment {} is its payee's to settle until {until}\n",
                short(&locked.tx)
            );
        }
        for undecided in &self.undecided {
            let Undecided { tx, code, reason, .. } = undecided;
            text += &format!("not decided: {} [{code}] {reason}\n", short(tx));
        }
        text += &self.splits.iter().map(Split::text).collect::<String>();
        for Doubted { code, reason } in &self.doubts {
            text += &format!("not believed: [{code}] {reason}\n");
        }
        if self.certified.is_empty() && text.is_empty() {
            return "everything is settled\n".into();
        }
        text + &format!("{} newly certified\n", self.certified.len())
    }

    fn exit(&self) -> Exit {
        if !self.lost.is_empty() || !self.splits.is_empty() {
            return Exit::Conflict;
        }
        let undecided = self.undecided.iter().find_map(|undecided| undecided.exit);
        undecided.unwrap_or(self.events.exit())
    }
}

/// Settles.
pub fn run(at: &Context, out: Out) -> Result<Done, CliError> {
    let mut wallet = at.open()?;
    let mut seen = Vec::new();
    let mut show = |event: &Event| seen.push(event.clone());
    let settling = wallet.settle(&mut |progress| note(out, progress), &mut show)?;
    Ok(Done::new(&Settled::of(&wallet, settling, &seen)))
}

/// Says how far a settlement has come.
pub fn note(out: Out, progress: Progress) {
    if progress.total > 0 {
        out.note(&format!("certified or decided: {} of {}", progress.decided, progress.total));
    }
}
