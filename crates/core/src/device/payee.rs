//! The payee's side of a trade.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{
    Change, Contact, Device, DeviceError, Event, Incoming, Mode, Output, Pocket, RecoveryError,
    RejectReason, Sign, Terms, World,
};
use crate::accept::Facts;
use crate::amount::Amount;
use crate::evidence::{
    Evidence, EvidenceError, Holding, Hop, MAX_ENROLLMENTS, MAX_HOPS, MAX_UNCERTIFIED, Minted,
    Sighting, Verified, Witness, oldest,
};
use crate::id::{AssetId, CoinId, DeviceId, Link, Nonce, TxId};
use crate::keys::{PublicKey, Signature};
use crate::message::{Accept, Commit, Message, Offer, Payment, Receipt, Refuse};
use crate::predicate::{Predicate, Sealed, Unlock, UnlockError};
use crate::seal::SealTerms;
use crate::tier::Tier;
use crate::time::Time;
use crate::trade::{self, Source, TradeError};
use crate::transaction::{MAX_INPUTS, Transaction};

/// How long a payee's terms hold for an offer that it answered, in seconds.
pub(super) const OFFER_LIFETIME: u64 = 600;
/// How long a payment that was signed in time may travel, in seconds: to refuse it would lose it.
const MAX_LATE: u64 = 30 * 24 * 60 * 60;
/// Most terms that are open at once; the ones that end first are given up.
const MAX_TERMS: usize = 1024;

/// An offer that was answered. It does not survive a restart: the payer then sends all in one.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Open {
    at: Time,
    offer: Offer,
    accept: Accept,
    checked: Checked,
}

/// An offer whose coins were verified.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Checked {
    holdings: Verified<BTreeMap<CoinId, Holding>>,
    pub(super) sources: Vec<Source>,
}

/// A payment all of whose rules hold, and what it brings.
struct Accepted {
    tx: TxId,
    transaction: Transaction,
    coin: Holding,
    sightings: Vec<Sighting>,
}

impl Device {
    /// The owner asks for a payment.
    pub(super) fn ask(
        &mut self,
        world: &World<'_>,
        nonce: Nonce,
        terms: Terms,
    ) -> Result<Output, DeviceError> {
        if terms.amount.is_zero() {
            return Err(TradeError::Amount.into());
        }
        if !self.policies.contains_key(&terms.asset) {
            return Err(EvidenceError::UnknownAsset.into());
        }
        if terms.owner.key() != &self.me.owner {
            return Err(DeviceError::NotForMe);
        }
        self.least_tier(world, terms.asset, terms.amount)?;
        Ok(self.open_terms(world.now, nonce, terms))
    }

    fn open_terms(&mut self, now: Time, nonce: Nonce, terms: Terms) -> Output {
        let over = self.terms.iter().filter(|(_, terms)| terms.expires_at.plus(MAX_LATE) <= now);
        let over: Vec<Change> = over.map(|(nonce, _)| Change::Terms(*nonce, None)).collect();
        let mut output = self.record(over);
        while self.terms.len() >= MAX_TERMS {
            let first = self.terms.iter().min_by_key(|(_, terms)| terms.expires_at);
            let Some(first) = first.map(|(nonce, _)| *nonce) else { break };
            self.add(&mut output, [Change::Terms(first, None)]);
        }
        self.add(&mut output, [Change::Terms(nonce, Some(terms))]);
        output
    }

    /// The weakest tier of a payment of so much that the owner would accept now, as would be every
    /// stronger one: what an invoice says, so that a payer who cannot reach it does not sign.
    ///
    /// What depends on the payer or the coin, its other debts or the end of a lock, is not in it.
    ///
    /// # Errors
    /// [`DeviceError::Refusal`] when no payment of so much would be accepted.
    pub fn least_tier(
        &self,
        world: &World<'_>,
        asset: AssetId,
        amount: Amount,
    ) -> Result<Tier, DeviceError> {
        let policy = self.policies.get(&asset).ok_or(EvidenceError::UnknownAsset)?;
        let mut least = None;
        for tier in Tier::ALL.into_iter().rev() {
            let facts = Facts {
                tier,
                amount,
                decimals: policy.decimals,
                payer_outstanding: Amount::ZERO,
                total_outstanding: self.incoming.owed_by_all(asset, tier).amount(),
                payer_unsettled: 0,
                settle_by: None,
                certified_at: Some(world.now),
            };
            match (self.accept.check(&facts, world.now), least) {
                (Ok(()), _) => least = Some(tier),
                (Err(refusal), None) => return Err(DeviceError::Refusal(refusal)),
                (Err(_), Some(_)) => break,
            }
        }
        Ok(least.unwrap_or(Tier::Certified))
    }

    /// Message 1: everything is checked that can be before the payer signs.
    pub(super) fn offered(
        &mut self,
        world: &World<'_>,
        from: DeviceId,
        offer: Offer,
        nonce: Nonce,
    ) -> Result<Output, DeviceError> {
        let checked = match self.check_offer(world, &from, &offer) {
            Ok(checked) => checked,
            Err(error) => return self.contradicted(from, &offer, error, Vec::new()),
        };
        self.check_mints(&offer.evidence)?;
        self.check_offline(world, &offer, &checked)?;
        if let Some(output) = self.convict_from(&self.new_sightings(&offer.evidence)) {
            return Ok(self.refusing(output, from, TradeError::Fork.into()));
        }
        let tier = checked.expected_tier(world.now, &self.me.owner);
        self.acceptable(
            world,
            &from,
            offer.asset,
            offer.amount,
            &checked.facts(tier, world.now, &self.me.owner),
        )?;
        // Until the payer pays, it gets the same terms: whichever answer reaches it is a good one.
        let given = self.offers.get(&from).map(|open| open.accept.clone()).filter(|accept| {
            self.terms.get(&accept.nonce).is_some_and(|terms| terms.asset == offer.asset)
        });
        let accept = given.unwrap_or_else(|| {
            let owner = self.predicate_for(world, &offer.asset);
            Accept { nonce, owner }
        });
        let Accept { nonce, owner } = accept.clone();
        let terms = Terms {
            payer: Some(from),
            asset: offer.asset,
            // It is the payer who says how much; an offer may overtake one that it replaces.
            amount: Amount::new(1),
            owner,
            expires_at: world.now.plus(OFFER_LIFETIME),
        };
        let mut output = self.open_terms(world.now, nonce, terms);
        output.send.push((from, Message::Accept(accept.clone())));
        self.offers.insert(from, Open { at: world.now, offer, accept, checked });
        Ok(output)
    }

    /// Message 3, to an offer that was answered.
    pub(super) fn committed(
        &mut self,
        world: &World<'_>,
        from: DeviceId,
        commit: Commit,
    ) -> Result<Output, DeviceError> {
        let open = self.offers.get(&from).cloned().ok_or(TradeError::Turn)?;
        let fresh = world.now.since(open.at) < OFFER_LIFETIME;
        let payment = Payment { offer: open.offer, accept: open.accept, commit };
        // What was checked long ago is checked again: locks end, and devices are convicted.
        let output = self.paid(world, from, &payment, Some(open.checked).filter(|_| fresh))?;
        self.offers.remove(&from);
        Ok(output)
    }

    /// Messages 1 to 3 in one.
    pub(super) fn paid_at_once(
        &mut self,
        world: &World<'_>,
        from: DeviceId,
        payment: &Payment,
    ) -> Result<Output, DeviceError> {
        self.paid(world, from, payment, None)
    }

    pub(super) fn paid(
        &mut self,
        world: &World<'_>,
        from: DeviceId,
        payment: &Payment,
        checked: Option<Checked>,
    ) -> Result<Output, DeviceError> {
        if let Some(tx) = self.received_before(&from, payment) {
            let events = alloc::vec![Event::Again { tx }];
            return Ok(Output { sign: alloc::vec![self.receipt(tx)], events, ..Output::default() });
        }
        let agreed = self.check_terms(world, &from, payment);
        if !self.is_mine(&payment.accept.owner) {
            agreed?;
            // Whoever lost its memory does not know its terms, but its keys it does.
            if payment.accept.owner.key() != &self.me.owner {
                return Err(TradeError::Terms.into());
            }
        }
        let checked = match checked {
            // The relation may have moved since the offer was answered.
            Some(checked) if payment.offer.link == self.contact(&from)?.received => checked,
            _ => match self.check_offer(world, &from, &payment.offer) {
                Ok(checked) => checked,
                Err(error) => {
                    let signed = self.signed_steps(world, &from, payment).unwrap_or_default();
                    return self.contradicted(from, &payment.offer, error, signed);
                }
            },
        };
        if let Some(output) = self.ask_consent(world, from, payment, &checked)? {
            return Ok(output);
        }
        let accepted = self.check_payment(world, &from, payment, &checked)?;
        let convicted = self.convict_from(&accepted.sightings);
        if self.is_bricked(&self.contact(&from)?.owner) {
            return Ok(self.refusing(convicted.unwrap_or_default(), from, TradeError::Fork.into()));
        }
        let verdict = match &convicted {
            Some(_) => Err(TradeError::Fork.into()),
            None => agreed.map_err(DeviceError::from).and_then(|()| {
                self.check_mints(&payment.offer.evidence)?;
                let facts = facts_of(core::slice::from_ref(&accepted.coin), accepted.coin.tier);
                let Offer { asset, amount, .. } = payment.offer;
                self.acceptable(world, &from, asset, amount, &facts)
            }),
        };
        let mut output = convicted.unwrap_or_default();
        output.extend(self.take(world, from, payment, accepted, verdict.err())?);
        Ok(output)
    }

    /// The payment, if it was received before: then it is receipted again and nothing else.
    fn received_before(&self, from: &DeviceId, payment: &Payment) -> Option<TxId> {
        let seq = payment.offer.seq.checked_add(1)?;
        let same = |incoming: &&Incoming| {
            incoming.hop.as_ref().is_some_and(|hop| {
                hop.tx.step.head == payment.offer.head
                    && hop.tx.step.root == payment.commit.root
                    && same_unlocks(hop, &payment.commit.unlocks)
            })
        };
        self.incoming.steps(*from, seq, seq).find(same).map(|incoming| incoming.tx)
    }

    fn check_terms(
        &self,
        world: &World<'_>,
        from: &DeviceId,
        payment: &Payment,
    ) -> Result<(), TradeError> {
        let (offer, accept) = (&payment.offer, &payment.accept);
        let Some(terms) = self.terms.get(&accept.nonce) else {
            // A device that lost its memory does not know the terms that it gave.
            let lost = matches!(self.mode, Mode::ReceiveOnly(_));
            return if lost { Ok(()) } else { Err(TradeError::Terms) };
        };
        let for_them = terms.payer.is_none_or(|payer| payer == *from);
        if !for_them || terms.asset != offer.asset || terms.owner != accept.owner {
            Err(TradeError::Terms)
        } else if offer.amount < terms.amount {
            Err(TradeError::Amount)
        } else if world.now >= terms.expires_at.plus(MAX_LATE) {
            Err(TradeError::TermsExpired)
        } else {
            Ok(())
        }
    }

    /// Checks all of an offer that does not need the payer's signature.
    fn check_offer(
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
        let (known, bricked) = (self.known(world), |key: &PublicKey| self.is_bricked(key));
        let holdings = offer.evidence.verify(&self.trusting(world, &known, &bricked), world.now)?;
        let sources = sources_of(offer, &holdings, payer)?;
        self.check_pockets(offer, &sources)?;
        self.check_history(payer, offer)?;
        Ok(Checked { holdings, sources })
    }

    /// What the payer of a payment that does not fit has signed all the same: a copy of a wallet that
    /// stands where the wallet stood before convicts itself.
    fn signed_steps(
        &self,
        world: &World<'_>,
        from: &DeviceId,
        payment: &Payment,
    ) -> Option<Vec<Sighting>> {
        let Payment { offer, accept, .. } = payment;
        let payer = self.contact(from).ok()?;
        let (known, bricked) = (self.known(world), |key: &PublicKey| self.is_bricked(key));
        let holdings =
            offer.evidence.verify(&self.trusting(world, &known, &bricked), world.now).ok()?;
        let sources = sources_of(offer, &holdings, payer).ok()?;
        let network = self.me.network;
        let transaction = trade::transaction(offer, accept, &sources, &self.id, network).ok()?;
        let hop = payment.hop(&transaction);
        let signed = hop.branches().filter(|branch| branch.signed_by(&payer.owner));
        Some(signed.map(|branch| Sighting { key: payer.owner.clone(), branch }).collect())
    }

    /// A payer whose step contradicts what was seen may have signed that step, or have shown, in the
    /// history of its coins, the signed step that convicts it. That history was verified before.
    fn contradicted(
        &mut self,
        from: DeviceId,
        offer: &Offer,
        error: DeviceError,
        mut steps: Vec<Sighting>,
    ) -> Result<Output, DeviceError> {
        if matches!(error, DeviceError::Trade(TradeError::Step)) {
            steps.extend(offer.evidence.sightings());
            steps.retain(|step| step.key != self.me.owner);
        }
        match self.convict_from(&steps) {
            Some(output) => Ok(self.refusing(output, from, TradeError::Fork.into())),
            // What was signed may contradict what others have seen.
            None => {
                let output = self.remember_refused(from, steps);
                Ok(self.refusing(output, from, error))
            }
        }
    }

    /// What would be refused once the payer has signed is refused before.
    fn check_offline(
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
        let most = checked.inputs().iter().map(|input| input.uncertified).max();
        if most.is_some_and(|n| usize::try_from(n).unwrap_or(usize::MAX) >= MAX_UNCERTIFIED) {
            Err(EvidenceError::TooManyHops.into())
        } else if offer.evidence.hops.len() >= MAX_HOPS {
            Err(TradeError::Size.into())
        } else if !policy.offline.allows(offer.amount, tier) {
            Err(EvidenceError::OfflineRule.into())
        } else if offer.evidence.enrollments.len() + MAX_INPUTS >= MAX_ENROLLMENTS {
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
    fn check_payment(
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
        let trust = self.trusting(world, &known, &bricked);
        let holdings = checked.holdings.extend(&hop, &trust, world.now)?;
        let tx = transaction.id();
        let coin = holdings.get().get(&CoinId::of(&tx, 0)).ok_or(TradeError::Coins)?.clone();
        let mut sightings = self.new_sightings(&checked.behind(&offer.evidence));
        sightings
            .extend(hop.branches().map(|branch| Sighting { key: payer.owner.clone(), branch }));
        Ok(Accepted { tx, transaction, coin, sightings })
    }

    /// The steps of others that evidence shows and that were not seen before.
    pub(super) fn new_sightings(&self, evidence: &Evidence) -> Vec<Sighting> {
        let mut sightings = evidence.sightings();
        sightings.retain(|s| s.key != self.me.owner && !self.sightings.has(s));
        sightings
    }

    /// Whether the owner's policy takes so much of such coins from this payer.
    fn acceptable(
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

    /// The payer has signed, and the coin is this device's once the changes are durable.
    ///
    /// If the terms or the owner's policy say no, the value is kept all the same, for it is nobody
    /// else's any more; but nothing is final, and payer and owner are told why.
    fn take(
        &mut self,
        world: &World<'_>,
        from: DeviceId,
        payment: &Payment,
        accepted: Accepted,
        refused: Option<DeviceError>,
    ) -> Result<Output, DeviceError> {
        let Accepted { tx, transaction, coin, sightings } = accepted;
        let payer = self.contact(&from)?;
        let evidence = payment.evidence_after(&transaction)?.behind(&coin.id);
        let evidence = self.with_enrollments_of(payer, evidence);
        let contact = self.contact(&from)?.clone();
        // Whoever pays is no stranger.
        let contact = Contact { received: transaction.link, stranger: None, ..contact };
        let incoming = Incoming {
            tx,
            payer: Some(from),
            at: world.now,
            asset: coin.coin.asset,
            amount: coin.amount(),
            tier: coin.tier,
            minted: coin.minted,
            settled: false,
            accepted: refused.is_none(),
            hop: Some(payment.hop(&transaction)),
            after: self.seq,
        };
        let seals = self.seals_in(&evidence).into_iter().cloned().collect();
        let event = received(&incoming, coin.settle_by, seals, refused.as_ref());
        let received = transaction.link;
        let pocket = pocket_of(&coin, evidence.clone());
        let mut output = self.record([
            Change::Incoming(Arc::new(incoming)),
            Change::Pocket(Arc::new(pocket)),
            Change::Contact(Box::new(contact)),
        ]);
        if let Some(error) = refused {
            let refuse = Refuse { code: error.code().into(), link: received };
            output.send.push((from, Message::Refuse(refuse)));
        } else {
            self.add(&mut output, [Change::Terms(payment.accept.nonce, None)]);
        }
        self.remember_steps(&mut output, sightings);
        self.remember_mints(&mut output, &evidence);
        output.sign.push(self.receipt(tx));
        output.events.push(event);
        self.take_waiting(world, &mut output, &from);
        Ok(output)
    }

    fn receipt(&self, tx: TxId) -> Sign {
        Sign::Receipt { tx, digest: Receipt::digest(&tx, &self.id) }
    }

    /// The seal has signed a receipt: it goes to the payer.
    pub(super) fn receipt_signed(
        &mut self,
        tx: TxId,
        signature: Signature,
    ) -> Result<Output, DeviceError> {
        let incoming = self.incoming.all().get(&tx).ok_or(DeviceError::NotWaiting)?;
        let payer = incoming.payer.ok_or(DeviceError::NotWaiting)?;
        let consents = incoming.hop.as_ref().map(|hop| self.consents_in(hop));
        let consents = consents.unwrap_or_default();
        let message = Message::Receipt(Receipt { tx, signature, consents });
        Ok(Output { send: alloc::vec![(payer, message)], ..Output::default() })
    }

    /// The owner receives a mint.
    pub(super) fn receive_mint(
        &mut self,
        world: &World<'_>,
        minted: Box<Minted>,
    ) -> Result<Output, DeviceError> {
        let tx = minted.mint.body.id();
        if self.incoming.all().contains_key(&tx) {
            return Ok(Output { events: alloc::vec![Event::Again { tx }], ..Output::default() });
        }
        let evidence = Evidence::of_minted(*minted);
        let (known, bricked) = (self.known(world), |key: &PublicKey| self.is_bricked(key));
        let holdings = evidence.verify(&self.trusting(world, &known, &bricked), world.now)?;
        let holding = holdings.get().values().next().ok_or(DeviceError::NotForMe)?;
        if holding.coin.owner.key() != &self.me.owner {
            return Err(DeviceError::NotForMe);
        }
        self.check_mints(&evidence)?;
        let incoming = Incoming {
            tx,
            payer: None,
            at: world.now,
            asset: holding.coin.asset,
            amount: holding.amount(),
            tier: holding.tier,
            minted: holding.minted,
            settled: holding.certified_at.is_some(),
            accepted: true,
            hop: None,
            after: self.seq,
        };
        let event = received(&incoming, None, Vec::new(), None);
        let mut output = self.record([
            Change::Incoming(Arc::new(incoming)),
            Change::Pocket(Arc::new(pocket_of(holding, evidence.clone()))),
        ]);
        // A slot is for one coin: whoever paid these terms as well would lock theirs under a slot
        // that is spent.
        let met = self.terms.iter().filter(|(_, terms)| {
            matches!(terms.owner, Predicate::Sealed(_)) && terms.owner == holding.coin.owner
        });
        let met: Vec<Change> = met.map(|(nonce, _)| Change::Terms(*nonce, None)).collect();
        self.add(&mut output, met);
        self.remember_mints(&mut output, &evidence);
        output.events.push(event);
        Ok(output)
    }
}

/// What a policy needs to know of the coins that are paid with.
struct CoinFacts {
    tier: Tier,
    settle_by: Option<Time>,
    certified_at: Option<Time>,
}

fn facts_of(coins: &[Holding], tier: Tier) -> CoinFacts {
    CoinFacts {
        tier,
        settle_by: coins.iter().filter_map(|c| c.settle_by).min(),
        certified_at: oldest(coins.iter().map(|c| c.certified_at)),
    }
}

impl Checked {
    /// What lies behind the coins, of all the evidence that came with them.
    pub(super) fn behind(&self, evidence: &Evidence) -> Evidence {
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
    fn expected_tier(&self, now: Time, viewer: &PublicKey) -> Tier {
        let of = |input: Holding| input.coin.owner.expected_tier(now, viewer).min(input.tier);
        self.inputs().into_iter().map(of).min().unwrap_or(Tier::Signed)
    }

    /// The locks that some of it rests on count even if the whole of it is worth a signature: they do
    /// once it is signed, and nothing is refused then that was not before.
    fn facts(&self, tier: Tier, now: Time, viewer: &PublicKey) -> CoinFacts {
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
pub(super) fn sources_of(
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

/// Whether these unlocks are those of a payment that was taken, whose payee's consents a payer who
/// sends it again may not have.
fn same_unlocks(hop: &Hop, unlocks: &[Unlock]) -> bool {
    let same = |(witness, unlock): (&Witness, &Unlock)| match (&witness.unlock, unlock) {
        (Unlock::Reserved(owner, _), Unlock::Signature(signature)) => owner == signature,
        (known, unlock) => known == unlock,
    };
    hop.witnesses.len() == unlocks.len() && hop.witnesses.iter().zip(unlocks).all(same)
}

fn pocket_of(holding: &Holding, evidence: Evidence) -> Pocket {
    let link: Link = holding.link;
    let coin = Some((holding.id, holding.coin.clone()));
    Pocket { id: holding.pocket, link, coin, evidence }
}

fn received(
    incoming: &Incoming,
    settle_by: Option<Time>,
    seals: Vec<SealTerms>,
    refused: Option<&DeviceError>,
) -> Event {
    let Incoming { tx, payer, asset, amount, tier, minted, .. } = *incoming;
    match refused.map(RejectReason::from) {
        None => Event::Received { tx, payer, asset, amount, tier, minted, settle_by, seals },
        Some(reason) => Event::Held { tx, payer, asset, amount, tier, minted, seals, reason },
    }
}
