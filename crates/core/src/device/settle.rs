//! Settle: have a notary certify what is not certified yet, and live with what it says.
//!
//! [`Device::unsettled`] says what is to be certified, most urgent first. All of it follows from what
//! is durable, so a driver that dies starts again from there, and a notary gives the same answer as
//! often as it is asked (spec `SETTLE-1` to `SETTLE-8`).
//!
//! | durable | the notary has | after a restart |
//! |---|---|---|
//! | a payment or coin, not certified | nothing | ask |
//! | the same | certified it | ask again: the same answer, whose proof is then stored |
//! | its certification | the same | nothing |
//! | the same as in row 1 | certified another spend | ask again: the same answer, then [`Lost`] |

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{
    Change, Device, DeviceError, Direction, Event, Incoming, Outgoing, OutgoingState, Output,
    Pocket, World,
};
use crate::amount::Amount;
use crate::cbor::record;
use crate::evidence::{Claim, Claims, Evidence, EvidenceError, Settlement};
use crate::fork::{ForkProof, Spending};
use crate::id::{CoinId, TxId};
use crate::keys::PublicKey;
use crate::notary::{CertifiedRoot, InclusionProof, Spend};
use crate::predicate::{Predicate, TallyEngine, Unlock};
use crate::seal::Judge;
use crate::time::Time;

/// One coin of this device, or one payment by it, with everything behind it that is not certified.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Unsettled {
    /// The earliest end of a lock that it rests on: settle before.
    pub until: Option<Time>,
    /// When it came in or went out.
    pub at: Time,
    /// Everything behind it that a notary can certify, in order, certified or not.
    pub claims: Vec<Claims>,
}

/// The spends of which a settlement's proofs were checked.
type Checked = BTreeMap<(CoinId, TxId), Claim>;

/// A race that was lost: the notary holds another spend of the state.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Lost {
    /// The state that was spent twice: a coin, or the serial of a mint.
    pub source: CoinId,
    /// The transaction that this device knew, and that can never be certified.
    pub loser: TxId,
    /// The transaction that the notary has certified.
    pub winner: TxId,
    /// Whose key signed both.
    pub key: PublicKey,
    /// Reference time of the round that certified the winner.
    pub at: Time,
}

record!(Lost { source, loser, winner, key, at });

/// The races that were lost, and what was certified of this device's own payments.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Outcomes {
    lost: BTreeMap<CoinId, Lost>,
    losers: BTreeSet<TxId>,
    /// Payments by this device of which everything is certified, with the round's time.
    settled: BTreeMap<TxId, Time>,
}

impl Outcomes {
    pub(super) fn lose(&mut self, lost: Lost) {
        self.losers.insert(lost.loser);
        self.lost.insert(lost.source, lost);
    }

    pub(super) fn settle(&mut self, tx: TxId, at: Time) {
        self.settled.insert(tx, at);
    }

    /// Whether something in the history lost its race, so that nothing after it is worth anything.
    pub(super) fn ruins(&self, evidence: &Evidence) -> bool {
        let lost = |tx: TxId| self.losers.contains(&tx);
        !self.losers.is_empty()
            && (evidence.hops.iter().any(|hop| lost(hop.tx.id()))
                || evidence.mints.iter().any(|minted| lost(minted.mint.body.id())))
    }
}

/// Whose history a settlement is looked for in.
enum Whose<'a> {
    Coin(&'a Pocket),
    Payment(&'a Outgoing),
    /// Of the coins in a payment that waits for the seal.
    Waiting(&'a Outgoing),
}

impl Device {
    /// What is to be certified: everything behind the coins that are here, and the payments that
    /// were made from here. The earliest end of a lock comes first, then what is oldest.
    ///
    /// What lost its race is not in it.
    pub fn unsettled(&self) -> Vec<Unsettled> {
        let mut all: Vec<Unsettled> =
            self.histories().map(|(whose, e)| self.open(&whose, &e)).collect();
        all.retain(|unsettled| !unsettled.claims.iter().all(Claims::certified));
        all.sort_by_key(|u| (u.until.is_none(), u.until, u.at));
        all
    }

    /// The races that were lost, by the state that was spent twice.
    pub fn lost(&self) -> &BTreeMap<CoinId, Lost> {
        &self.outcomes.lost
    }

    /// When the notary certified a payment of this device's, with everything behind it.
    pub fn settled_at(&self, tx: &TxId) -> Option<Time> {
        self.outcomes.settled.get(tx).copied()
    }

    /// Whether a pocket's coin is worth nothing, since something behind it lost its race.
    pub fn is_lost(&self, pocket: &Pocket) -> bool {
        self.outcomes.ruins(&pocket.evidence)
    }

    /// Whether a payment or mint, in or out, is worth nothing, since it or something behind it lost its
    /// race.
    pub fn has_lost(&self, tx: &TxId) -> bool {
        let pocket = self.ledger.pocket(&Incoming::coin(tx));
        let sent = self.outgoing.all().get(tx);
        self.outcomes.losers.contains(tx)
            || pocket.is_some_and(|pocket| self.is_lost(pocket))
            || sent.is_some_and(|sent| self.outcomes.ruins(&sent.payment.offer.evidence))
    }

    /// The histories that are not wholly certified and not lost.
    fn histories(&self) -> impl Iterator<Item = (Whose<'_>, Evidence)> {
        let coins = self.ledger.pockets().filter(|pocket| pocket.is_ready());
        let coins = coins.map(|p| (Whose::Coin(p), self.with_own_enrollments(p.evidence.clone())));
        let signed = |o: &&Arc<Outgoing>| {
            matches!(o.state, OutgoingState::Signed | OutgoingState::Receipted)
                && !self.outcomes.settled.contains_key(&o.tx)
        };
        let payments = self.outgoing.all().values().filter(signed).filter_map(|outgoing| {
            let evidence = outgoing.payment.evidence_after(&outgoing.transaction).ok()?;
            Some((Whose::Payment(outgoing), self.with_own_enrollments(evidence)))
        });
        let waiting = self.outgoing.pending().map(|outgoing| {
            let evidence = outgoing.payment.offer.evidence.clone();
            (Whose::Waiting(outgoing), self.with_own_enrollments(evidence))
        });
        coins.chain(payments).chain(waiting).filter(|(_, evidence)| !self.outcomes.ruins(evidence))
    }

    fn open(&self, whose: &Whose<'_>, evidence: &Evidence) -> Unsettled {
        let claims = evidence.claims(&self.policies);
        let at = match whose {
            Whose::Payment(outgoing) | Whose::Waiting(outgoing) => Some(outgoing.at),
            Whose::Coin(pocket) => self.came_in(&pocket.id).map(|incoming| incoming.at),
        };
        let until = claims.iter().filter_map(Claims::until).min();
        Unsettled { until, at: at.unwrap_or(Time::from_unix(0)), claims }
    }

    /// The payment or mint that came into a pocket.
    fn came_in(&self, pocket: &CoinId) -> Option<&Incoming> {
        self.incoming.in_pocket(pocket)
    }

    /// The notary has certified spends: every history that they are in takes them over.
    pub(super) fn certified(
        &mut self,
        world: &World<'_>,
        settlement: &Settlement,
    ) -> Result<Output, DeviceError> {
        let validators = world.notary.ok_or(EvidenceError::Certification)?;
        let root = settlement.certificate.verify(validators);
        let root = root.map_err(|_| EvidenceError::Certification)?;
        let mut changes = Vec::new();
        let mut settled = BTreeSet::new();
        let mut checked = Checked::new();
        for (whose, evidence) in self.histories() {
            if !self.check_proofs(world, &evidence, settlement, &root, &mut checked)? {
                continue;
            }
            // One that has no room for the certificate stays open, and holds up no other.
            let Ok(evidence) = evidence.settled_by(settlement) else { continue };
            let whole = self.settled_in(&evidence, &settled);
            settled.extend(whole);
            let evidence = self.without_own_enrollments(evidence);
            match whose {
                Whose::Coin(pocket) if pocket.evidence != evidence => {
                    changes.push(Change::Pocket(Arc::new(Pocket { evidence, ..pocket.clone() })));
                }
                Whose::Waiting(outgoing) if outgoing.payment.offer.evidence != evidence => {
                    let mut waiting = outgoing.clone();
                    waiting.payment.offer.evidence = evidence;
                    changes.push(Change::Outgoing(Arc::new(waiting)));
                }
                Whose::Coin(_) | Whose::Waiting(_) => {}
                Whose::Payment(outgoing) => {
                    let claims = evidence.claims(&self.policies);
                    if claims.iter().all(Claims::certified) {
                        changes.push(Change::Settled { tx: outgoing.tx, at: root.time() });
                    }
                }
            }
        }
        let mut output = Output::default();
        for change in changes {
            output.events.extend(self.settled_payment(&change));
            self.add(&mut output, [change]);
        }
        for tx in settled {
            let Some(incoming) = self.incoming.all().get(&tx).filter(|i| !i.settled) else {
                continue;
            };
            let incoming = Incoming { settled: true, ..Incoming::clone(incoming) };
            output.events.push(settled_event(&incoming));
            self.add(&mut output, [Change::Incoming(Arc::new(incoming))]);
        }
        self.free_certified(&mut output);
        Ok(output)
    }

    /// Checks every proof of the settlement that speaks of this history, each spend once for all histories that
    /// it is in; says whether any does.
    fn check_proofs(
        &self,
        world: &World<'_>,
        evidence: &Evidence,
        settlement: &Settlement,
        root: &CertifiedRoot,
        checked: &mut Checked,
    ) -> Result<bool, EvidenceError> {
        let mut any = false;
        for claim in evidence.claims(&self.policies).into_iter().flat_map(|claims| claims.spends) {
            let Some(proof) = settlement.proof(&claim.source, &claim.tx) else { continue };
            any = true;
            let spend = (claim.source, claim.tx);
            let claim = Claim { certified: false, ..claim };
            if checked.get(&spend) != Some(&claim) {
                claim.check(proof, root, &self.decided(world, &evidence.enrollments))?;
                checked.insert(spend, claim);
            }
        }
        Ok(any)
    }

    /// The payments and mints to this device in a history up to which everything is certified, but these.
    fn settled_in(&self, evidence: &Evidence, known: &BTreeSet<TxId>) -> Vec<TxId> {
        let whole = |tx: &TxId| {
            let behind = evidence.behind(&Incoming::coin(tx));
            behind.claims(&self.policies).iter().all(Claims::certified)
        };
        let hops = evidence.hops.iter().map(|hop| hop.tx.id());
        let all = hops.chain(evidence.mints.iter().map(|minted| minted.mint.body.id()));
        let mine = |tx: &TxId| self.incoming.all().get(tx).is_some_and(|i| !i.settled);
        let new = |tx: &TxId| !known.contains(tx) && mine(tx);
        all.filter(new).filter(|tx| whole(tx)).collect()
    }

    fn settled_payment(&self, change: &Change) -> Option<Event> {
        let Change::Settled { tx, .. } = change else { return None };
        let outgoing = self.outgoing.all().get(tx)?;
        let offer = &outgoing.payment.offer;
        Some(Event::Settled {
            tx: *tx,
            direction: Direction::Out,
            with: Some(outgoing.payee),
            asset: offer.asset,
            amount: offer.amount,
            accepted: true,
        })
    }

    /// The notary shows that another transaction was the first to spend a state: whoever signed both
    /// is convicted, and what came after the other one is struck.
    pub(super) fn lose(
        &mut self,
        world: &World<'_>,
        source: CoinId,
        proof: &InclusionProof,
    ) -> Result<Output, DeviceError> {
        if self.outcomes.lost.contains_key(&source) {
            return Ok(Output::default());
        }
        let claim = self.claim_of(&source).ok_or(DeviceError::NotWaiting)?;
        let (lost, winner) = lost(world, self.decided(world, &[]), &claim, proof)?;
        let key = lost.key.clone();
        let loser = Spending {
            coin: source,
            tx: claim.tx,
            signature: claim.unlock.owner_signature().clone(),
        };
        let own = key == self.me.owner;
        let fork = ForkProof { key, a: loser.into(), b: winner.into() };
        let mut output = self.add_fork(world, fork)?;
        // The owner's word freed the coin of a lost payment, knowing that it may have spent it. Else what
        // the network has certified is a step of this device's that it does not know.
        if own && !self.was_freed(&claim.tx) {
            output.extend(self.restored(world));
        }
        let before: BTreeSet<CoinId> = self.struck();
        let paid: BTreeSet<TxId> = self.ruined_payments();
        let serial = self.mint_of(&lost);
        self.add(&mut output, serial);
        self.add(&mut output, [Change::Lost(Box::new(lost.clone()))]);
        let coins = self.struck().into_iter().filter(|pocket| !before.contains(pocket));
        output.events.extend(coins.filter_map(|pocket| self.lost_coin(&pocket, &lost)));
        let payments = self.ruined_payments().into_iter().filter(|tx| !paid.contains(tx));
        output.events.extend(payments.filter_map(|tx| self.lost_payment(&tx, &lost)));
        Ok(output)
    }

    /// The mint that won a serial, to be the one that counts from now on.
    fn mint_of(&self, lost: &Lost) -> Option<Change> {
        let loser = |minted: &&crate::evidence::Minted| minted.mint.body.id() == lost.loser;
        self.histories().find_map(|(_, evidence)| {
            let body = &evidence.mints.iter().find(loser)?.mint.body;
            let (asset, serial, mint) = (body.asset, body.serial, Some(lost.winner));
            Some(Change::Minted { asset, serial, mint })
        })
    }

    /// The spend of a state that this device knows and that is not certified.
    fn claim_of(&self, source: &CoinId) -> Option<Claim> {
        let spends = |(_, evidence): (Whose<'_>, Evidence)| {
            let claims = evidence.claims(&self.policies).into_iter();
            claims.flat_map(|claims| claims.spends).find(|c| c.source == *source && !c.certified)
        };
        self.histories().find_map(spends)
    }

    /// The pockets whose coins are lost.
    pub(super) fn struck(&self) -> BTreeSet<CoinId> {
        let lost = self.ledger.pockets().filter(|pocket| self.is_lost(pocket));
        lost.map(|pocket| pocket.id).collect()
    }

    /// The payments of this device's that rest on something lost.
    fn ruined_payments(&self) -> BTreeSet<TxId> {
        self.outgoing.all().keys().filter(|tx| self.has_lost(tx)).copied().collect()
    }

    fn lost_coin(&self, pocket: &CoinId, lost: &Lost) -> Option<Event> {
        let pocket = self.ledger.pocket(pocket)?;
        let (_, coin) = pocket.coin.as_ref()?;
        let incoming = self.came_in(&pocket.id);
        Some(Event::Lost {
            tx: incoming.map_or(lost.loser, |incoming| incoming.tx),
            direction: Direction::In,
            with: incoming.and_then(|incoming| incoming.payer),
            asset: coin.asset,
            amount: coin.amount,
            key: lost.key.clone(),
            winner: lost.winner,
        })
    }

    fn lost_payment(&self, tx: &TxId, lost: &Lost) -> Option<Event> {
        let outgoing = self.outgoing.all().get(tx)?;
        let offer = &outgoing.payment.offer;
        Some(Event::Lost {
            tx: *tx,
            direction: Direction::Out,
            with: Some(outgoing.payee),
            asset: offer.asset,
            amount: offer.amount,
            key: lost.key.clone(),
            winner: lost.winner,
        })
    }

    /// What is left in a pocket at its owner's risk: nothing of what is lost.
    pub(super) fn at_stake(&self, pocket: &Pocket) -> Amount {
        let gone = self.is_lost(pocket) || self.ledger.is_spent(&pocket.id);
        if gone { Amount::ZERO } else { pocket.amount() }
    }
}

/// Checks that the notary holds another spend of a claim's state, signed by the same owner.
fn lost(
    world: &World<'_>,
    judge: Judge<'_>,
    claim: &Claim,
    proof: &InclusionProof,
) -> Result<(Lost, Spending), DeviceError> {
    let (winner, at) = winner(world, judge, claim.source, &claim.owner, proof)?;
    if winner.tx == claim.tx {
        return Err(EvidenceError::Certification.into());
    }
    let key = Predicate::key(&claim.owner).clone();
    Ok((Lost { source: claim.source, loser: claim.tx, winner: winner.tx, key, at }, winner))
}

/// Checks that the notary holds a spend of a state, signed by its owner; says which and when.
pub(super) fn winner(
    world: &World<'_>,
    judge: Judge<'_>,
    source: CoinId,
    owner: &Predicate,
    proof: &InclusionProof,
) -> Result<(Spending, Time), DeviceError> {
    let refused = || DeviceError::from(EvidenceError::Certification);
    let trust = world.notary.ok_or_else(refused)?;
    let leaf = proof.leaf.as_ref().ok_or_else(refused)?;
    let tx = TxId::new(*leaf.data.transaction.as_bytes());
    let wire = owner.to_wire();
    let spend = Spend {
        predicate: &wire,
        source: source.into(),
        transaction: leaf.data.transaction,
        expires_at: leaf.data.expires_at,
    };
    let engine = TallyEngine { judge };
    let certified = proof.verify(&spend, trust, &engine).map_err(|_| refused())?;
    let unlock = Unlock::from_wire(owner, leaf.data.unlock.as_slice());
    let signature = unlock.map_err(|_| refused())?.0.owner_signature().clone();
    Ok((Spending { coin: source, tx, signature }, certified.reference_time()))
}

fn settled_event(incoming: &Incoming) -> Event {
    let Incoming { tx, payer, asset, amount, accepted, .. } = *incoming;
    Event::Settled { tx, direction: Direction::In, with: payer, asset, amount, accepted }
}
