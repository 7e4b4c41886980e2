//! The payee's side of a trade.

mod rules;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use rules::{Accepted, facts_of};
pub(super) use rules::{Checked, sources_of};

use super::{
    Change, Contact, Device, DeviceError, Event, Incoming, Learnt, Output, Pocket, RejectReason,
    Sign, Terms, World,
};
use crate::accept::Facts;
use crate::amount::Amount;
use crate::evidence::{Evidence, EvidenceError, Holding, Hop, Minted, Sighting, Witness};
use crate::fork::ForkProof;
use crate::id::{AssetId, DeviceId, Link, Nonce, TxId};
use crate::keys::Signature;
use crate::message::{Accept, Commit, Message, Offer, Payment, Receipt, Refuse};
use crate::predicate::{Predicate, Unlock};
use crate::seal::SealTerms;
use crate::tier::Tier;
use crate::time::Time;
use crate::trade::{self, TradeError};

/// How long a payee's terms hold for an offer that it answered, in seconds.
pub(super) const OFFER_LIFETIME: u64 = 600;
/// How long a payment that was signed in time may travel, in seconds: to refuse it would lose it.
pub(super) const MAX_LATE: u64 = 30 * 24 * 60 * 60;
/// Most invoices that are open at once; the ones that end first are given up.
pub(super) const MAX_TERMS: usize = 1024;
/// Most terms that are open for one payer who offers something: a payer has the same ones until it pays.
pub(super) const MAX_TERMS_OF_ONE: usize = 4;
/// Most terms that are open for all strangers who offer something.
pub(super) const MAX_TERMS_OF_STRANGERS: usize = 256;
/// Most terms that are open for all contacts who offer something.
const MAX_TERMS_OF_CONTACTS: usize = 1024;
/// Most terms that are open at once.
pub(super) const MAX_ALL_TERMS: usize = MAX_TERMS + MAX_TERMS_OF_STRANGERS + MAX_TERMS_OF_CONTACTS;

/// An offer that was answered. It does not survive a restart: the payer then sends all in one.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Open {
    at: Time,
    offer: Offer,
    accept: Accept,
    checked: Checked,
}

/// Why an offer is not answered.
enum NotAnswered {
    /// It does not fit what is known, and may be half of a fork.
    Unfit(DeviceError),
    /// What lies behind it is a fork.
    Fork(Box<ForkProof>),
    /// Somebody does not want it so: this device, its owner or the asset's issuer.
    Refused(DeviceError),
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
        Ok(self.open_terms(nonce, terms))
    }

    fn open_terms(&mut self, nonce: Nonce, terms: Terms) -> Output {
        // None is given up for its age: one wrong clock would forget what payers have signed on.
        let mut output = Output::default();
        // Nobody's terms make room for another kind's: offers cost nothing, and evict no invoice.
        match terms.payer {
            None => self.limit_terms(&mut output, MAX_TERMS, |_, payer| payer.is_none()),
            Some(one) => {
                self.limit_terms(&mut output, MAX_TERMS_OF_ONE, |_, payer| payer == Some(one));
                let strange = self.is_stranger(&one);
                let most = if strange { MAX_TERMS_OF_STRANGERS } else { MAX_TERMS_OF_CONTACTS };
                self.limit_terms(&mut output, most, |me, payer| {
                    payer.is_some_and(|payer| me.is_stranger(&payer) == strange)
                });
            }
        }
        self.add(&mut output, [Change::Terms(nonce, Some(terms))]);
        output
    }

    /// Gives up the terms that end first, of those of a kind, until one more is not above `most`.
    pub(super) fn limit_terms(
        &mut self,
        output: &mut Output,
        most: usize,
        of_kind: impl Fn(&Self, Option<DeviceId>) -> bool,
    ) {
        let of_kind = self.terms.iter().filter(|(_, terms)| of_kind(self, terms.payer));
        let mut ends: Vec<_> = of_kind.map(|(nonce, terms)| (terms.expires_at, *nonce)).collect();
        ends.sort_unstable();
        let over = (ends.len() + 1).saturating_sub(most);
        let gone = ends.into_iter().take(over).map(|(_, nonce)| Change::Terms(nonce, None));
        self.add(output, gone);
    }

    /// The weakest tier of a payment of so much that the owner would accept now, as would be every
    /// stronger one that a payment can be of: what an invoice says, so that a payer who cannot reach
    /// it does not sign.
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
                // No payment is of this tier yet, so that it is refused is no gap.
                (Err(_), Some(_)) if tier == Tier::Bonded => {}
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
        let checked = match self.judge_offer(world, &from, &offer) {
            Ok(checked) => checked,
            Err(NotAnswered::Unfit(error)) => {
                return self.contradicted(from, &offer, error, Vec::new());
            }
            Err(NotAnswered::Fork(proof)) => {
                let convicted = self.convict(*proof).unwrap_or_default();
                return Ok(self.refusing(convicted, from, TradeError::Fork.into()));
            }
            Err(NotAnswered::Refused(error)) => return Err(error),
        };
        let accept = self.given_for(&from, &offer.asset).cloned().unwrap_or_else(|| {
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
        let mut output = self.open_terms(nonce, terms);
        output.send.push((from, Message::Accept(accept.clone())));
        if let Some(other) = self.makes_room(&self.offers, &from) {
            self.offers.remove(&other);
        }
        self.offers.insert(from, Open { at: world.now, offer, accept, checked });
        Ok(output)
    }

    /// Whether the answer to an offer gives a lock of this device's hardware, if one is free. Only then is the
    /// hardware asked: an offer costs nothing, and one that is refused moves nothing here.
    pub fn gives_lock_for(&self, world: &World<'_>, from: &DeviceId, offer: &Offer) -> bool {
        self.enrollment().is_some()
            && self.given_for(from, &offer.asset).is_none()
            && self.judge_offer(world, from, offer).is_ok()
    }

    /// Whether an offer is answered, in the order in which it is checked.
    fn judge_offer(
        &self,
        world: &World<'_>,
        from: &DeviceId,
        offer: &Offer,
    ) -> Result<Checked, NotAnswered> {
        let checked = self.check_offer(world, from, offer).map_err(NotAnswered::Unfit)?;
        let refused = NotAnswered::Refused;
        self.check_mints(&offer.evidence).map_err(|error| refused(error.into()))?;
        self.check_offline(world, offer, &checked).map_err(refused)?;
        match self.contradiction_in(&self.new_sightings(&offer.evidence)) {
            Some(proof) => return Err(NotAnswered::Fork(Box::new(proof))),
            None => self.would_accept(world, from, offer, &checked).map_err(refused)?,
        }
        Ok(checked)
    }

    /// What this device answered a payer who has not paid yet. It gets the same terms again: whichever
    /// answer reaches it is a good one.
    fn given_for(&self, from: &DeviceId, asset: &AssetId) -> Option<&Accept> {
        let accept = self.offers.get(from).map(|open| &open.accept)?;
        let terms = self.terms.get(&accept.nonce)?;
        Some(accept).filter(|_| terms.asset == *asset)
    }

    /// Checks what is offered against the owner's policy.
    fn would_accept(
        &self,
        world: &World<'_>,
        from: &DeviceId,
        offer: &Offer,
        checked: &Checked,
    ) -> Result<(), DeviceError> {
        let tier = checked.expected_tier(world.now, &self.me.owner);
        let facts = checked.facts(tier, world.now, &self.me.owner);
        self.acceptable(world, from, offer.asset, offer.amount, &facts)
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
            let sign = alloc::vec![self.receipt(tx)];
            let (events, learnt) =
                (alloc::vec![Event::Again { tx }], alloc::vec![Learnt::Again { tx }]);
            return Ok(Output { sign, events, learnt, ..Output::default() });
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
        let holdings = self.verify_incoming(world, &offer.evidence).ok()?;
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
        let Accepted { tx, transaction, coin, enrollments, sightings } = accepted;
        let evidence = payment.evidence_after(&transaction)?.behind(&coin.id);
        // More than fit is what came along, which does.
        let evidence = evidence.clone().enrolled(enrollments).unwrap_or(evidence);
        let contact = self.contact(&from)?.clone();
        // Whoever pays what is wanted is no stranger.
        let stranger = contact.stranger.filter(|_| refused.is_some());
        let contact = Contact { received: transaction.link, stranger, ..contact };
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
        let foreign = !self.gave_lock(&payment.accept.nonce, &coin.coin.owner);
        let foreign = foreign.then_some(Change::Foreign(pocket.id));
        let mut output = self.record(foreign);
        self.add(
            &mut output,
            [
                Change::Incoming(Arc::new(incoming)),
                Change::Pocket(Arc::new(pocket)),
                Change::Contact(Box::new(contact)),
            ],
        );
        let pocket = Incoming::coin(&tx);
        self.came_in_doubt(&mut output, pocket, Some(&payment.accept.nonce));
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
        output.learnt.push(Learnt::Received { tx, payer: from });
        self.take_waiting(world, &mut output, &pocket, Some(&from));
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
        let holdings = self.verify_incoming(world, &evidence)?;
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
        let foreign = self.is_slot_in_use(&holding.coin.owner);
        let mut output = self.record(foreign.then_some(Change::Foreign(holding.pocket)));
        self.add(
            &mut output,
            [
                Change::Incoming(Arc::new(incoming)),
                Change::Pocket(Arc::new(pocket_of(holding, evidence.clone()))),
            ],
        );
        // A slot is for one coin: whoever paid these terms as well would lock theirs under a slot
        // that is spent.
        let met = self.terms.iter().filter(|(_, terms)| {
            matches!(terms.owner, Predicate::Sealed(_)) && terms.owner == holding.coin.owner
        });
        let met: Vec<Change> = met.map(|(nonce, _)| Change::Terms(*nonce, None)).collect();
        self.add(&mut output, met);
        self.remember_mints(&mut output, &evidence);
        output.events.push(event);
        let pocket = Incoming::coin(&tx);
        self.came_in_doubt(&mut output, pocket, None);
        self.take_waiting(world, &mut output, &pocket, None);
        Ok(output)
    }
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
