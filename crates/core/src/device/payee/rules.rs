//! What has to hold of an offer and of the payment that follows it, each rule once.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::accept::Facts;
use crate::amount::Amount;
use crate::device::{Contact, Device, DeviceError, Mode, RecoveryError, World};
use crate::evidence::{
    Evidence, EvidenceError, Holding, MAX_ENROLLMENTS, MAX_HOPS, MAX_UNCERTIFIED, Sighting,
    Verified, oldest,
};
use crate::id::{AssetId, CoinId, DeviceId, TxId};
use crate::keys::PublicKey;
use crate::message::{Offer, Payment};
use crate::predicate::{Predicate, Sealed, UnlockError};
use crate::seal::SealCertificate;
use crate::tier::Tier;
use crate::time::Time;
use crate::trade::{self, Source, TradeError};
use crate::transaction::{MAX_INPUTS, Transaction};

/// An offer whose coins were verified.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(in crate::device) struct Checked {
    holdings: Verified<BTreeMap<CoinId, Holding>>,
    pub(in crate::device) sources: Vec<Source>,
}

/// A payment all of whose rules hold, and what it brings.
pub(super) struct Accepted {
    pub(super) tx: TxId,
    pub(super) transaction: Transaction,
    pub(super) coin: Holding,
    /// Under which the seals behind it count.
    pub(super) enrollments: Vec<SealCertificate>,
    pub(super) sightings: Vec<Sighting>,
}

impl Device {
    pub(super) fn check_terms(
        &self,
        world: &World<'_>,
        from: &DeviceId,
        payment: &Payment,
    ) -> Result<(), TradeError> {
        let (offer, accept) = (&payment.offer, &payment.accept);
        let Some(terms) = self.terms.get(&accept.nonce) else {
            // A device that lost its memory does not know the terms that it gave.
            let lost = self.mode == Mode::ReceiveOnly;
            return if lost { Ok(()) } else { Err(TradeError::Terms) };
        };
        let for_them = terms.payer.is_none_or(|payer| payer == *from);
        if !for_them || terms.asset != offer.asset || terms.owner != accept.owner {
            Err(TradeError::Terms)
        } else if offer.amount < terms.amount {
            Err(TradeError::Amount)
        } else if world.now >= terms.expires_at.plus(super::MAX_LATE) {
            Err(TradeError::TermsExpired)
        } else {
            Ok(())
        }
    }

    /// Checks all of an offer that does not need the payer's signature.
    pub(super) fn check_offer(
        &self,
        world: &World<'_>,
        from: &DeviceId,
        offer: &Offer,
    ) -> Result<Checked, DeviceError> {
        let payer = self.contact(from)?;
        if self.is_bricked(&payer.owner) {
            return Err(TradeError::Fork.into());
        }
        if offer.link != payer.received {
            return Err(TradeError::Link.into());
        }
        let holdings = self.verify_incoming(world, &offer.evidence)?;
        let sources = sources_of(offer, &holdings, payer)?;
        self.check_pockets(offer, &sources)?;
        self.check_history(payer, offer)?;
        Ok(Checked { holdings, sources })
    }

    /// What would be refused once the payer has signed is refused before.
    pub(super) fn check_offline(
        &self,
        world: &World<'_>,
        offer: &Offer,
        checked: &Checked,
    ) -> Result<(), DeviceError> {
        let tier = checked.expected_tier(world.now, &self.me.owner);
        let policy = self.policies.get(&offer.asset).ok_or(EvidenceError::UnknownAsset)?;
        for source in &checked.sources {
            let came = &offer.evidence.enrollments;
            match &source.coin.owner {
                Predicate::Sealed(Sealed { slot, until, .. }) if world.now < *until => {
                    self.vouches(world, &offer.asset, slot, *until, came)?;
                }
                owner => match owner.reserved_for(world.now) {
                    Some(whom) if *whom != self.me.owner => {
                        return Err(EvidenceError::Unlock(UnlockError::Locked).into());
                    }
                    // Who lost its memory may have consented to another payment of it.
                    Some(_) if self.mode != Mode::Normal => {
                        return Err(RecoveryError::ReceiveOnly.into());
                    }
                    _ => {}
                },
            }
        }
        if !trade::keeps_aside(&checked.sources, offer.amount, &self.me.owner, world.now) {
            return Err(TradeError::Change.into());
        }
        let most = checked.inputs().iter().map(|input| input.uncertified).max();
        if most.is_some_and(|n| usize::try_from(n).unwrap_or(usize::MAX) >= MAX_UNCERTIFIED) {
            Err(EvidenceError::TooManyHops.into())
        } else if offer.evidence.hops.len() >= MAX_HOPS {
            Err(TradeError::Size.into())
        } else if !policy.offline.allows(offer.amount, tier) {
            Err(EvidenceError::OfflineRule.into())
        } else if checked.holdings.enrollments().len() + MAX_INPUTS >= MAX_ENROLLMENTS {
            Err(TradeError::Size.into())
        } else if !checked.all_behind(&offer.evidence) {
            Err(TradeError::Coins.into())
        } else {
            Ok(())
        }
    }

    fn check_pockets(&self, offer: &Offer, sources: &[Source]) -> Result<(), TradeError> {
        let total = Amount::checked_sum(sources.iter().map(|s| s.coin.amount));
        if offer.amount.is_zero() || total.is_none_or(|total| total < offer.amount) {
            return Err(TradeError::Amount);
        }
        let root = offer.root.into();
        let there = |(source, spend): (&Source, &crate::message::Spend)| {
            let leaf = trade::held(&source.link, source.coin.amount);
            spend.path.verify(&root, &source.pocket.into(), &leaf).is_ok()
        };
        let all = sources.iter().zip(offer.spends.iter()).all(there);
        if all { Ok(()) } else { Err(TradeError::Pocket) }
    }

    /// The payer's number and head must fit every step of it that was ever seen here, and come after
    /// its last payment to this device: this one extends the link that that one made.
    fn check_history(&self, payer: &Contact, offer: &Offer) -> Result<(), TradeError> {
        let last = self.incoming.steps(payer.device, 0, u64::MAX).next_back();
        let last = last.and_then(|incoming| incoming.hop.as_ref()).map(|hop| hop.tx.step.seq);
        if last.is_some_and(|last| offer.seq < last) {
            return Err(TradeError::Step);
        }
        let payer = &payer.owner;
        let known = self.sightings.head_after(payer, offer.seq);
        let next = offer.seq.checked_add(1).ok_or(TradeError::Step)?;
        let known = known.or_else(|| self.sightings.head_before(payer, next));
        if known.is_some_and(|head| head != offer.head) {
            return Err(TradeError::Step);
        }
        Ok(())
    }

    /// Checks what the payer signed.
    pub(super) fn check_payment(
        &self,
        world: &World<'_>,
        from: &DeviceId,
        payment: &Payment,
        checked: &Checked,
    ) -> Result<Accepted, DeviceError> {
        let Payment { offer, accept, commit } = payment;
        let network = self.me.network;
        let transaction = trade::transaction(offer, accept, &checked.sources, &self.id, network)?;
        if transaction.step.root != commit.root {
            return Err(TradeError::Root.into());
        }
        let payer = self.contact(from)?;
        let hop = payment.hop(&transaction);
        let (known, bricked) = (self.known(world), |key: &PublicKey| self.is_bricked(key));
        let trust = self.trusting(world, known, &bricked);
        let came = &offer.evidence.enrollments;
        let holdings = checked.holdings.extend(&hop, came, &trust, world.now)?;
        let tx = transaction.id();
        let coin = holdings.get().get(&CoinId::of(&tx, 0)).ok_or(TradeError::Coins)?.clone();
        let mut sightings = self.new_sightings(&checked.behind(&offer.evidence));
        sightings
            .extend(hop.branches().map(|branch| Sighting { key: payer.owner.clone(), branch }));
        let enrollments = holdings.enrollments().to_vec();
        Ok(Accepted { tx, transaction, coin, enrollments, sightings })
    }

    /// The steps of others that evidence shows and that were not seen before.
    pub(in crate::device) fn new_sightings(&self, evidence: &Evidence) -> Vec<Sighting> {
        let mut sightings = evidence.sightings();
        sightings.retain(|s| s.key != self.me.owner && !self.sightings.has(s));
        sightings
    }

    /// Whether the owner's policy takes so much of such coins from this payer.
    pub(super) fn acceptable(
        &self,
        world: &World<'_>,
        from: &DeviceId,
        asset: AssetId,
        amount: Amount,
        facts: &CoinFacts,
    ) -> Result<(), DeviceError> {
        let policy = self.policies.get(&asset);
        let policy = policy.ok_or(EvidenceError::UnknownAsset)?;
        let theirs = self.incoming.owed_by(*from, asset, facts.tier);
        let facts = Facts {
            tier: facts.tier,
            amount,
            decimals: policy.decimals,
            payer_outstanding: theirs.amount(),
            total_outstanding: self.incoming.owed_by_all(asset, facts.tier).amount(),
            payer_unsettled: theirs.payments,
            settle_by: facts.settle_by,
            certified_at: facts.certified_at,
        };
        self.accept.check(&facts, world.now).map_err(DeviceError::Refusal)
    }
}

/// What a policy needs to know of the coins that are paid with.
pub(super) struct CoinFacts {
    pub(super) tier: Tier,
    pub(super) settle_by: Option<Time>,
    pub(super) certified_at: Option<Time>,
}

pub(super) fn facts_of(coins: &[Holding], tier: Tier) -> CoinFacts {
    CoinFacts {
        tier,
        settle_by: coins.iter().filter_map(|c| c.settle_by).min(),
        certified_at: oldest(coins.iter().map(|c| c.certified_at)),
    }
}

impl Checked {
    /// What lies behind the coins, of all the evidence that came with them.
    pub(in crate::device) fn behind(&self, evidence: &Evidence) -> Evidence {
        evidence.behind_all(self.sources.iter().map(|source| source.id))
    }

    /// Whether that is all: what else was sent is nobody's business here.
    fn all_behind(&self, evidence: &Evidence) -> bool {
        let behind = self.behind(evidence);
        (behind.mints.len(), behind.hops.len()) == (evidence.mints.len(), evidence.hops.len())
    }

    fn inputs(&self) -> Vec<Holding> {
        let holding = |source: &Source| self.holdings.get().get(&source.id).cloned();
        self.sources.iter().filter_map(holding).collect()
    }

    /// What the payment will be worth if the payer unlocks every coin as its predicate asks.
    pub(super) fn expected_tier(&self, now: Time, viewer: &PublicKey) -> Tier {
        let of = |input: Holding| input.coin.owner.expected_tier(now, viewer).min(input.tier);
        self.inputs().into_iter().map(of).min().unwrap_or(Tier::Signed)
    }

    /// The locks that some of it rests on count even if the whole of it is worth a signature: they do
    /// once it is signed, and nothing is refused then that was not before.
    pub(super) fn facts(&self, tier: Tier, now: Time, viewer: &PublicKey) -> CoinFacts {
        let inputs = self.inputs();
        let owners = inputs.iter().map(|input| &input.coin.owner);
        let holding = owners.filter(|owner| owner.expected_tier(now, viewer) > Tier::Signed);
        let locks = holding.filter_map(Predicate::until);
        let facts = facts_of(&inputs, tier);
        let settle_by = facts.settle_by.into_iter().chain(locks).min();
        CoinFacts { settle_by, ..facts }
    }
}

/// The coins that an offer names, all of them the payer's and of the asset.
pub(in crate::device) fn sources_of(
    offer: &Offer,
    holdings: &Verified<BTreeMap<CoinId, Holding>>,
    payer: &Contact,
) -> Result<Vec<Source>, TradeError> {
    let made = offer.evidence.made();
    let mut named = BTreeSet::new();
    let mut sources = Vec::new();
    for spend in offer.spends.iter() {
        let id = made.get(usize::from(spend.coin)).ok_or(TradeError::Coins)?;
        let holding = holdings.get().get(id).ok_or(TradeError::Coins)?;
        let own = holding.coin.owner.key() == &payer.owner && holding.coin.asset == offer.asset;
        if !own || !named.insert(holding.pocket) {
            return Err(TradeError::Coins);
        }
        let (pocket, link) = (holding.pocket, holding.link);
        sources.push(Source { pocket, link, id: *id, coin: holding.coin.clone() });
    }
    if sources.is_empty() { Err(TradeError::Coins) } else { Ok(sources) }
}
