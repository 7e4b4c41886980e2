//! Say what must be true of any group of devices, whatever happened to them.

use std::collections::{BTreeMap, BTreeSet};

use tally_core::amount::Amount;
use tally_core::device::Device;
use tally_core::evidence::Sighting;
use tally_core::fork::Branch;
use tally_core::id::{AssetId, DeviceId, TxId};
use tally_core::keys::PublicKey;

/// A promise that does not hold.
#[derive(Clone, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum Violation {
    /// Somebody's pockets do not hold what came in less what went out.
    #[error("a wallet holds {held} units, but {due} came in and did not go out")]
    Balance {
        /// What the pockets hold.
        held: u64,
        /// What they should.
        due: u64,
    },
    /// A payment came in that no honest payer made, or with another amount.
    #[error("a payment came in that its payer does not know as such: {0}")]
    FromNowhere(TxId),
    /// One payment came in twice.
    #[error("one payment came in at two places: {0}")]
    Twice(TxId),
    /// The honest wallets and what is on its way to them are not what was minted for them.
    #[error("there are {there} units, but {minted} were minted")]
    Total {
        /// Units in wallets or on their way.
        there: u64,
        /// Units that were minted.
        minted: u64,
    },
    /// A coin is in no wallet, though somebody has the payment that it is of.
    #[error("{0} units are in no wallet, though somebody knows of them")]
    Gone(u64),
    /// Somebody honest was convicted.
    #[error("an honest device was convicted: {0}")]
    Convicted(DeviceId),
    /// Two honest people know contradicting steps, and one cannot prove it.
    #[error("a contradiction was seen, but not everybody who met can prove it")]
    Unproved,
    /// A device did not take what it should always take.
    #[error("a device fails at what it should always do: {0}")]
    Device(&'static str),
    /// Everybody met, and yet a payment among honest people has not arrived.
    #[error("{0} units are on their way for ever")]
    Stuck(u64),
    /// A restored wallet met everybody, and yet may not pay again.
    #[error("a restored wallet met everybody and still receives only")]
    NotRecovered,
    /// An honest device signed two transactions for one step.
    #[error("an honest device signed two payments at step {0}")]
    TwoSuccessors(u64),
}

/// Every honest wallet holds what came in less what went out, and value comes only from the payer.
///
/// # Errors
/// The first promise that does not hold.
pub fn conserves(honest: &[&Device], asset: &AssetId) -> Result<(), Violation> {
    let payers: BTreeMap<DeviceId, &Device> = honest.iter().map(|d| (d.id(), *d)).collect();
    let mut came_in = BTreeSet::new();
    for device in honest {
        balances(device, asset)?;
        for incoming in device.incoming().values().filter(|i| i.asset == *asset) {
            if !came_in.insert(incoming.tx) {
                return Err(Violation::Twice(incoming.tx));
            }
            let Some(payer) = incoming.payer.and_then(|id| payers.get(&id)) else { continue };
            let made = payer.outgoing().get(&incoming.tx).is_some_and(|outgoing| {
                outgoing.payee == device.id()
                    && outgoing.is_signed()
                    && outgoing.payment.offer.amount == incoming.amount
            });
            if !made {
                return Err(Violation::FromNowhere(incoming.tx));
            }
        }
    }
    Ok(())
}

fn balances(device: &Device, asset: &AssetId) -> Result<(), Violation> {
    let incoming = device.incoming().values().filter(|i| i.asset == *asset).map(|i| i.amount);
    let outgoing = device.outgoing().values().map(|o| &o.payment.offer);
    let outgoing = outgoing.filter(|offer| offer.asset == *asset).map(|offer| offer.amount);
    let held = units(device.ledger().balances().get(asset).copied());
    let (came, went) = (sum(incoming), sum(outgoing));
    match came.checked_sub(went) {
        Some(due) if due == held => Ok(()),
        due => Err(Violation::Balance { held, due: due.unwrap_or(0) }),
    }
}

/// Among people all of whom are honest: what was minted is in a wallet, or on its way to one.
///
/// # Errors
/// The promise does not hold.
pub fn nothing_is_lost(all: &[&Device], asset: &AssetId, minted: u64) -> Result<(), Violation> {
    let held = all.iter().map(|d| units(d.ledger().balances().get(asset).copied()));
    let there = held.fold(0, u64::saturating_add).saturating_add(on_its_way(all, asset));
    if there == minted { Ok(()) } else { Err(Violation::Total { there, minted }) }
}

/// Units that were paid by one of these people to another, who does not have them yet.
pub fn on_its_way(all: &[&Device], asset: &AssetId) -> u64 {
    let came_in: BTreeSet<&TxId> = all.iter().flat_map(|d| d.incoming().keys()).collect();
    let made = all.iter().flat_map(|d| d.outgoing().values());
    let made = made.filter(|o| o.payment.offer.asset == *asset && !came_in.contains(&o.tx));
    sum(made.map(|o| o.payment.offer.amount))
}

/// Nobody honest is convicted by anybody honest.
///
/// # Errors
/// The promise does not hold.
pub fn convicts_nobody_honest(honest: &[&Device]) -> Result<(), Violation> {
    let convicted = |device: &&&Device| {
        let key = &device.me().owner;
        honest.iter().any(|judge| judge.is_bricked(key))
    };
    match honest.iter().find(convicted) {
        Some(device) => Err(Violation::Convicted(device.id())),
        None => Ok(()),
    }
}

/// Whoever is known by two people to have contradicted itself is convicted by both.
///
/// # Errors
/// The promise does not hold.
pub fn proves_contradictions(met: &[&Device]) -> Result<(), Violation> {
    for (i, one) in met.iter().enumerate() {
        for other in &met[i + 1..] {
            for key in contradicting(one, other) {
                if !one.is_bricked(&key) || !other.is_bricked(&key) {
                    return Err(Violation::Unproved);
                }
            }
        }
    }
    Ok(())
}

/// The keys of which two devices together have seen steps that contradict each other.
pub fn contradicting(one: &Device, other: &Device) -> BTreeSet<PublicKey> {
    let theirs: Vec<Sighting> = other.sightings().iter().collect();
    let contradicts = |mine: &Sighting| {
        let same = theirs.iter().filter(|their| their.key == mine.key);
        same.map(|their| &their.branch)
            .any(|branch: &Branch| branch.conflict(&mine.branch).is_some())
    };
    one.sightings().iter().filter(contradicts).map(|mine| mine.key).collect()
}

fn units(amount: Option<Amount>) -> u64 {
    amount.unwrap_or_default().units()
}

fn sum(amounts: impl Iterator<Item = Amount>) -> u64 {
    amounts.map(Amount::units).fold(0, u64::saturating_add)
}
