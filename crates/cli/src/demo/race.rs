//! Act two: the network comes up, and both payees race to settle what Alice signed twice.

use std::thread;
use std::time::Instant;

use serde::Serialize;
use tally_core::device::Event;
use tally_core::evidence::Claim;
use tally_notary::devnet::Devnet;
use tally_transport::http::Url;
use tally_wallet::{Settling, Wallet, WalletError};

use super::{Story, broken, expect, round, screen_of};
use crate::error::{CliError, Exit};
use crate::output::Report;
use crate::show::{Events, short};

/// How many validators the story's network has: one of them may fail.
const VALIDATORS: usize = 4;

/// How the race went.
#[derive(Serialize, Debug)]
pub struct Race {
    validators: usize,
    ready_milliseconds: f64,
    certified: &'static str,
    lost: &'static str,
    winner: String,
    unspent_in_round: u64,
    spent_in_round: u64,
    settle_milliseconds: f64,
}

/// What one of the two came to.
struct Side {
    who: &'static str,
    settling: Settling,
    events: Vec<Event>,
}

impl Story<'_> {
    /// The network comes up; Bob and Carol learn of it, and settle at the same time.
    pub(super) fn race(&mut self) -> Result<(), CliError> {
        let (_network, ready) = self.start_network()?;
        let claim = last_claim(&self.bob)?;
        expect(last_claim(&self.carol)?.source == claim.source, "both claim the same coin")?;
        let before = self.bob.look_up_state(claim.state_id())?;
        expect(!before.spent, "the coin is unspent for the network")?;
        self.say(&format!(
            "\n8. Days later there is a network: {VALIDATORS} validators on this machine, ready after {ready} ms; one of them\n   \
             may fail or lie. Bob asks for the coin that Alice signed away twice. The answer is an exclusion proof\n   \
             under the root of round {}, signed by a quorum: nobody has spent it there yet.",
            before.round
        ))?;
        let (bob, carol) = (&mut self.bob, &mut self.carol);
        let began = Instant::now();
        let (bobs, carols) = thread::scope(|scope| {
            let bob = scope.spawn(|| settle("Bob", bob));
            let carol = settle("Carol", carol);
            (bob.join(), carol)
        });
        let bobs = bobs.map_err(|_| broken("Bob's settlement ends"))??;
        let milliseconds = round(began.elapsed().as_secs_f64() * 1e3);
        let (won, lost) = sides(bobs, carols?)?;
        let race = lost.settling.lost.first().ok_or_else(|| broken("one of them lost"))?;
        expect(won.settling.certified.contains(&race.winner), "what won is the other's payment")?;
        let after = self.carol.look_up_state(claim.state_id())?;
        expect(after.spent, "the coin is spent for the network")?;
        let loser = if lost.who == "Bob" { &self.bob } else { &self.carol };
        expect(loser.device().forks().contains_key(&race.key), "the loser holds the proof")?;
        let winner = race.winner.to_string();
        let screen = |wallet: &Wallet, side: &Side| {
            let told = |e: &&Event| matches!(e, Event::Lost { .. } | Event::Settled { .. });
            let last = side.events.iter().rfind(told);
            screen_of(side.who, &Events::of(wallet.device(), last).text())
        };
        let (bobs, carols) = if won.who == "Bob" { (&won, &lost) } else { (&lost, &won) };
        let screens = screen(&self.bob, bobs) + &screen(&self.carol, carols);
        let text = format!(
            "\n9. Bob and Carol settle at the same moment, each with another validator: {milliseconds} ms for everything\n   \
             behind their coins. Exactly one payment is certified.\n{screens}   \
             {} is paid for good, as long as fewer than a third of the validators are malicious. {} has lost the\n   \
             money, and not to a mystery: the certified payment {} is signed by the same key, which is the fork\n   \
             proof, and the network shows it to everyone. The coin's inclusion proof of round {} replaces the\n   \
             exclusion proof of round {}.",
            won.who,
            lost.who,
            short(&winner),
            after.round,
            before.round
        );
        self.outcome.race = Some(Race {
            validators: VALIDATORS,
            ready_milliseconds: ready,
            certified: won.who,
            lost: lost.who,
            winner: winner.clone(),
            unspent_in_round: before.round,
            spent_in_round: after.round,
            settle_milliseconds: milliseconds,
        });
        self.outcome.assumptions.push("fewer than a third of the validators are malicious");
        self.say(&text)
    }
    /// Starts a network, and gives Bob and Carol two validators each; says how many milliseconds it took.
    fn start_network(&mut self) -> Result<(Devnet, f64), CliError> {
        let began = Instant::now();
        let network = Devnet::start(&self.root.join("network"), VALIDATORS).map_err(|e| {
            let next = "free some ports and space, then run it again";
            CliError::new(Exit::Failure, e.code(), e.to_string(), next)
        })?;
        let ready = round(began.elapsed().as_secs_f64() * 1e3);
        let trust = std::fs::read(network.trust_base_path()).map_err(|e| {
            let what = format!("the trust base cannot be read ({e})");
            CliError::new(Exit::Failure, "TRUST_FILE", what, "free some space there")
        })?;
        // Each asks two validators, so that one of them is honest; the other way round, so that the
        // two settle with different ones.
        let urls = network.urls();
        let [first, second, ..] = urls.as_slice() else {
            return Err(broken("two validators listen"));
        };
        for (wallet, asked) in
            [(&mut self.bob, [first, second]), (&mut self.carol, [second, first])]
        {
            for url in asked {
                wallet.add_notary(Url::new(url)?, &trust)?;
            }
        }
        Ok((network, ready))
    }
}

/// The spend behind the latest payment in a payee's wallet.
fn last_claim(wallet: &Wallet) -> Result<Claim, CliError> {
    let unsettled = wallet.device().unsettled();
    let claims = unsettled.iter().flat_map(|unsettled| unsettled.claims.iter());
    let longest = unsettled.iter().map(|u| u.claims.len()).max().unwrap_or(0);
    let of = unsettled.iter().find(|u| u.claims.len() == longest);
    let last = of.and_then(|u| u.claims.last()).or(claims.last());
    let spend = last.and_then(|claims| claims.spends.first()).cloned();
    spend.ok_or_else(|| broken("there is something to settle"))
}

fn settle(who: &'static str, wallet: &mut Wallet) -> Result<Side, WalletError> {
    let mut events = Vec::new();
    let settling = wallet.settle(&mut |_| {}, &mut |e| events.push(e.clone()))?;
    Ok(Side { who, settling, events })
}

/// Who won, and who lost.
fn sides(a: Side, b: Side) -> Result<(Side, Side), CliError> {
    match (a.settling.lost.len(), b.settling.lost.len()) {
        (0, 1) => Ok((a, b)),
        (1, 0) => Ok((b, a)),
        _ => Err(broken("exactly one of them loses")),
    }
}
