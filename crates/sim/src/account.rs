//! Account for every unit that was minted among honest people, some of whom came back from backups.
//!
//! The book has every payment that was ever signed, whatever its sides forgot since. In the end each coin
//! that it knows of is in its owner's wallet, or nobody can know of it any more: for each that is in none,
//! [`Book::account`] finds out which.

use std::collections::{BTreeMap, BTreeSet};

use tally_core::device::{Apart, Change, Device};
use tally_core::id::{AssetId, CoinId, DeviceId, TxId};
use tally_core::transaction::Transaction;
use tally_testkit::Person;

use crate::check::Violation;

/// Everything that was minted and signed.
#[derive(Debug, Default)]
pub struct Book {
    mints: BTreeMap<CoinId, u64>,
    signed: BTreeMap<TxId, Signed>,
}

/// A payment that was signed.
#[derive(Clone, Debug)]
struct Signed {
    payer: DeviceId,
    transaction: Transaction,
    /// Whether its payer came back from a backup that does not have it.
    payer_forgot: bool,
}

/// What is in no wallet, in units, because nobody knows it any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Forgotten {
    /// Paid by somebody who was restored from a backup made before, to somebody who never got it or forgot
    /// it too: no device has the payment, though others may tell of its step.
    pub payments: u64,
    /// Spent by a step of which only branches are left: no device knows what it made.
    pub steps: u64,
}

impl Forgotten {
    /// All of it.
    pub const fn units(&self) -> u64 {
        self.payments.saturating_add(self.steps)
    }
}

impl Book {
    /// Writes down the coins that people begin with.
    pub fn mints(&mut self, people: &[Person]) {
        for person in people {
            let coins = person.device().ledger().pockets().filter_map(|p| p.coin.as_ref());
            self.mints.extend(coins.map(|(id, coin)| (*id, coin.amount.units())));
        }
    }

    /// Units that were minted.
    pub fn minted(&self) -> u64 {
        self.mints.values().sum()
    }

    /// How many payments were ever signed.
    pub fn payments(&self) -> usize {
        self.signed.len()
    }

    /// Writes down what somebody has signed by now.
    pub fn signs(&mut self, device: &Device) {
        for outgoing in device.outgoing().values().filter(|outgoing| outgoing.is_signed()) {
            self.signed.entry(outgoing.tx).or_insert_with(|| Signed {
                payer: device.id(),
                transaction: outgoing.transaction.clone(),
                payer_forgot: false,
            });
        }
    }

    /// Writes down what somebody does not know any more who just came back from a backup.
    pub fn restores(&mut self, device: &Device) {
        let theirs = self.signed.iter_mut().filter(|(_, signed)| signed.payer == device.id());
        for (tx, signed) in theirs {
            signed.payer_forgot |= !device.outgoing().contains_key(tx);
        }
    }

    /// Once all of these people, who are honest, have met: every coin is with its owner, or forgotten.
    ///
    /// # Errors
    /// A coin is in no wallet though somebody knows the payment that it is of, or in one though it is spent.
    pub fn account(&self, people: &[Person], asset: &AssetId) -> Result<Forgotten, Violation> {
        let known = self.known(people);
        let mut coins = self.mints.clone();
        for tx in &known {
            let made = self.signed[tx].transaction.made();
            coins.extend(made.map(|(id, coin)| (id, coin.amount.units())));
        }
        for coin in known.iter().flat_map(|tx| self.signed[tx].transaction.body.inputs.iter()) {
            coins.remove(coin);
        }
        let held: BTreeSet<CoinId> = people.iter().flat_map(|p| held(p.device())).collect();
        let mut forgotten = Forgotten::default();
        for (coin, units) in coins.iter().filter(|(coin, _)| !held.contains(*coin)) {
            match self.why_nobody_has(coin, &known, people) {
                Some(Why::Payment) => forgotten.payments += units,
                Some(Why::Step) => forgotten.steps += units,
                None => return Err(Violation::Gone(*units)),
            }
        }
        let (there, minted) = (people.iter().map(|p| p.balance(asset)).sum::<u64>(), self.minted());
        if there + forgotten.units() == minted {
            Ok(forgotten)
        } else {
            Err(Violation::Total { there: there + forgotten.units(), minted })
        }
    }

    /// The transactions that some device knows whole, in whatever of its records.
    fn known(&self, people: &[Person]) -> BTreeSet<TxId> {
        let changes = people.iter().flat_map(|person| person.disk.changes());
        let known: BTreeSet<TxId> = changes.flat_map(|change| told_whole(&change)).collect();
        self.signed.keys().filter(|tx| known.contains(*tx)).copied().collect()
    }

    fn why_nobody_has(
        &self,
        coin: &CoinId,
        known: &BTreeSet<TxId>,
        people: &[Person],
    ) -> Option<Why> {
        if self.is_spent_by_a_branch(coin, known, people) {
            return Some(Why::Step);
        }
        // The first coin that a transaction makes is the one that is paid.
        let pays =
            |signed: &Signed| signed.transaction.made().next().is_some_and(|(id, _)| id == *coin);
        let tx = known.iter().find(|tx| pays(&self.signed[*tx]))?;
        let has_payment = |person: &Person| {
            let device = person.device();
            device.outgoing().contains_key(tx) || device.incoming().contains_key(tx)
        };
        let nobody_has_it = self.signed[tx].payer_forgot && !people.iter().any(has_payment);
        nobody_has_it.then_some(Why::Payment)
    }

    /// Whether somebody saw the coin spent by a payment that its payer forgot, and nobody knows the payment.
    fn is_spent_by_a_branch(
        &self,
        coin: &CoinId,
        known: &BTreeSet<TxId>,
        people: &[Person],
    ) -> bool {
        let is_forgotten = |tx: &TxId| {
            let signed = self.signed.get(tx);
            signed.is_some_and(|signed| signed.payer_forgot) && !known.contains(tx)
        };
        let mut seen = people.iter().flat_map(|person| person.device().sightings().iter());
        seen.any(|seen| seen.branch.coin == *coin && is_forgotten(&seen.branch.tx_id()))
    }
}

/// Why a coin is in no wallet, if that is nobody's fault.
enum Why {
    Payment,
    Step,
}

/// The coins in somebody's wallet that are not known to be spent.
fn held(device: &Device) -> Vec<CoinId> {
    let spent = device.set_apart().filter(|(_, apart)| matches!(apart, Apart::Spent(_)));
    let spent: BTreeSet<CoinId> = spent.map(|(pocket, _)| pocket.id).collect();
    let pockets = device.ledger().pockets().filter(|pocket| !spent.contains(&pocket.id));
    pockets.filter_map(|pocket| pocket.coin.as_ref()).map(|(id, _)| *id).collect()
}

/// The transactions that a record has whole.
fn told_whole(change: &Change) -> Vec<TxId> {
    match change {
        Change::Outgoing(outgoing) if outgoing.is_signed() => vec![outgoing.tx],
        Change::Incoming(incoming) => vec![incoming.tx],
        Change::Pocket(pocket) => pocket.evidence.hops.iter().map(|hop| hop.tx.id()).collect(),
        Change::OwnStep(step) if step.is_whole() => vec![step.tx],
        _ => Vec::new(),
    }
}
