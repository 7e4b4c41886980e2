//! The payer's side of a trade.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::payee::OFFER_LIFETIME;
use super::{
    Apart, Change, Contact, ContactError, Device, DeviceError, Event, Learnt, Mode, OnTerms,
    Outgoing, OutgoingState, Output, Pocket, RecoveryError, World,
};
use crate::accept::Refusal;
use crate::amount::Amount;
use crate::cbor::List;
use crate::evidence::{Evidence, EvidenceError, Hop, MAX_HOPS, MAX_UNCERTIFIED, Trust, Witness};
use crate::id::{AssetId, CoinId, DeviceId, TxId};
use crate::invoice::Invoice;
use crate::keys::PublicKey;
use crate::message::{Accept, Commit, Message, Offer, Payment, Receipt, Room, Spend};
use crate::predicate::{Predicate, Unlock, UnlockError};
use crate::tier::Tier;
use crate::time::Time;
use crate::trade::{self, Source, TradeError};
use crate::transaction::{MAX_INPUTS, Transaction};

/// Most bytes of a payment beside its offer, with which it must fit a message.
pub(super) const MAX_BESIDE_OFFER: usize = 6 * 1024;

/// An offer that is out. It binds nobody, and does not survive a restart.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Draft {
    at: Time,
    offer: Offer,
    sources: Vec<Source>,
    /// How often it was made anew, for what this device holds had changed meanwhile.
    again: u32,
}

/// How often an offer is made anew: whoever is paid all the time can pay all the same.
const MAX_AGAIN: u32 = 8;

/// How a signed payment goes out first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As message 3 of a trade whose messages 1 and 2 the payee remembers.
    Commit,
    /// All in one.
    Payment,
}

impl Device {
    pub(super) fn offer(
        &mut self,
        world: &World<'_>,
        payee: DeviceId,
        asset: AssetId,
        amount: Amount,
    ) -> Result<Output, DeviceError> {
        let draft = self.draft(world, payee, asset, amount, Tier::Signed)?;
        let message = Message::Offer(draft.offer.clone());
        self.drafts.insert(payee, draft);
        Ok(Output { send: alloc::vec![(payee, message)], ..Output::default() })
    }

    /// Pays an invoice: the payee's terms are known, so the intent follows at once.
    pub(super) fn pay_invoice(
        &mut self,
        world: &World<'_>,
        payee: DeviceId,
        invoice: &Invoice,
    ) -> Result<Output, DeviceError> {
        self.may_step()?;
        self.may_begin(payee, invoice.accept.nonce)?;
        if world.now >= invoice.expires_at {
            return Err(TradeError::TermsExpired.into());
        }
        let draft = self.draft(world, payee, invoice.asset, invoice.amount, invoice.least)?;
        self.intend(world, payee, draft, invoice.accept.clone(), Form::Payment)
    }

    /// The payee's terms are here: the step is taken, unless the offer is no longer true.
    pub(super) fn accepted(
        &mut self,
        world: &World<'_>,
        payee: DeviceId,
        accept: Accept,
    ) -> Result<Output, DeviceError> {
        // The same terms may have come twice; the offer that is out now still waits for its own.
        if self.on_terms(payee, accept.nonce) != OnTerms::Nothing {
            return Err(TradeError::Turn.into());
        }
        let draft = self.drafts.remove(&payee).ok_or(TradeError::Turn)?;
        // A payee who stays silent does not keep a claim on the offer.
        if world.now.since(draft.at) >= OFFER_LIFETIME {
            return Err(TradeError::Turn.into());
        }
        let link = self.contact(&payee)?.link;
        let now = (self.head, self.ledger.root(), link);
        if (draft.offer.head, draft.offer.root, draft.offer.link) != now {
            return self.offer_anew(world, payee, &draft);
        }
        self.intend(world, payee, draft, accept, Form::Commit)
    }

    /// This device was paid, or has paid, since it offered something: it offers the same from where it
    /// stands now. The payee answers with the same terms.
    fn offer_anew(
        &mut self,
        world: &World<'_>,
        payee: DeviceId,
        before: &Draft,
    ) -> Result<Output, DeviceError> {
        if before.again >= MAX_AGAIN {
            return Err(TradeError::Turn.into());
        }
        let Offer { asset, amount, .. } = before.offer;
        let draft = self.draft(world, payee, asset, amount, Tier::Signed)?;
        let message = Message::Offer(draft.offer.clone());
        self.drafts.insert(payee, Draft { again: before.again + 1, ..draft });
        Ok(Output { send: alloc::vec![(payee, message)], ..Output::default() })
    }

    pub(super) fn may_pay(&self, payee: &DeviceId) -> Result<&Contact, DeviceError> {
        self.may_step()?;
        let contact = self.contact(payee)?;
        if self.is_bricked(&contact.owner) {
            return Err(ContactError::Bricked.into());
        }
        contact.check_session_key()?;
        Ok(contact)
    }

    /// Whether this device signs anything now: to be asked before anybody else is.
    ///
    /// # Errors
    /// [`DeviceError`] for the reason that it does not.
    pub fn may_step(&self) -> Result<(), DeviceError> {
        if self.mode != Mode::Normal {
            return Err(RecoveryError::ReceiveOnly.into());
        }
        Ok(())
    }

    fn draft(
        &self,
        world: &World<'_>,
        payee: DeviceId,
        asset: AssetId,
        amount: Amount,
        least: Tier,
    ) -> Result<Draft, DeviceError> {
        let contact = self.may_pay(&payee)?;
        if amount.is_zero() {
            return Err(TradeError::Amount.into());
        }
        if self.proves_for(payee) {
            return Err(TradeError::Waiting.into());
        }
        let payee = &contact.owner;
        let mut picked = self.pick(world, payee, &asset, amount, least)?;
        // What is left of coins that are set aside stays so, as long as any of them.
        picked.sort_by_key(|pocket| {
            let aside = pocket.reserved_for(world.now).is_some();
            pocket.coin.as_ref().and_then(|(_, coin)| coin.owner.until()).filter(|_| aside)
        });
        picked.iter().try_for_each(|pocket| self.locked_pocket(world, pocket))?;
        self.check_before(world.now, payee, &picked, amount)?;
        let evidence = self.evidence_of(&picked)?;
        if !picked.iter().all(|pocket| self.reaches(world, pocket, payee, least)) {
            return Err(DeviceError::Refusal(Refusal::Tier));
        }
        self.draft_from(world, &picked, evidence, contact.link, amount)
    }

    /// The coins for a payment: what is reserved for the payee before what is not.
    fn pick(
        &self,
        world: &World<'_>,
        payee: &PublicKey,
        asset: &AssetId,
        amount: Amount,
        least: Tier,
    ) -> Result<Vec<&Pocket>, DeviceError> {
        let usable = |p: &Pocket| {
            self.can_move(p)
                && self.locked_pocket(world, p).is_ok()
                && p.reserved_for(world.now).is_none_or(|whom| whom == payee)
                && self.reaches(world, p, payee, least)
        };
        let pick = |which: &dyn Fn(&Pocket) -> bool| {
            self.ledger.pick(asset, amount, MAX_INPUTS, |p| which(p) && usable(p))
        };
        let reserved = |p: &Pocket| p.reserved_for(world.now).is_some();
        let in_time = |p: &Pocket| !self.ends_soon(p, world.now);
        let any_reserved = self.ledger.reserved().next().is_some();
        let first = if any_reserved { pick(&|p| reserved(p) && in_time(p)) } else { None };
        let picked = first.or_else(|| pick(&|p| !reserved(p) && in_time(p)));
        let picked = picked.or_else(|| pick(&in_time)).or_else(|| pick(&|_| true));
        // If only coins that cannot move would do, what follows says why they cannot.
        let picked = picked.or_else(|| self.ledger.pick(asset, amount, MAX_INPUTS, |_| true));
        picked.ok_or_else(|| self.not_enough(asset, amount))
    }

    /// Whether a pocket's lock leaves whoever is paid with it less time to settle than this device asks for
    /// itself: others are taken to ask for as much.
    fn ends_soon(&self, pocket: &Pocket, now: Time) -> bool {
        let until = pocket.coin.as_ref().and_then(|(_, coin)| coin.owner.until());
        let margin = self.accept.settle_margin;
        until.is_some_and(|until| until > now && until.since(now) < margin)
    }

    /// Why this amount of an asset is not there.
    pub(super) fn not_enough(&self, asset: &AssetId, amount: Amount) -> DeviceError {
        let of =
            |pocket: &Pocket| pocket.coin.as_ref().is_some_and(|(_, coin)| coin.asset == *asset);
        let mut apart = self.set_apart().filter(|(_, apart)| !matches!(apart, Apart::Spent(_)));
        let all = self.ledger.balances().get(asset).copied().unwrap_or_default();
        if amount <= all && apart.any(|(pocket, _)| of(pocket)) {
            return RecoveryError::SetApart.into();
        }
        DeviceError::InsufficientFunds
    }

    /// An offer of these pockets, behind whose coins is this evidence.
    pub(super) fn draft_from(
        &self,
        world: &World<'_>,
        picked: &[&Pocket],
        evidence: Evidence,
        link: crate::id::Link,
        amount: Amount,
    ) -> Result<Draft, DeviceError> {
        let made = evidence.made();
        let first = picked.first().and_then(|pocket| pocket.coin.as_ref());
        let asset = first.ok_or(TradeError::Coins)?.1.asset;
        let mut spends = Vec::new();
        let mut sources = Vec::new();
        for pocket in picked {
            let source = pocket.source().ok_or(TradeError::Coins)?;
            let place = made.iter().position(|id| *id == source.id);
            let place = place.and_then(|place| u16::try_from(place).ok());
            let path = self.ledger.prove(&pocket.id);
            let (coin, path) = place.zip(path).ok_or(TradeError::Coins)?;
            spends.push(Spend { coin, path });
            sources.push(source);
        }
        let spends = List::new(spends).map_err(|_| TradeError::Size)?;
        let (seq, head, root) = (self.seq, self.head, self.ledger.root());
        let offer = Offer { seq, head, root, link, asset, amount, spends, evidence };
        if !Room::holds(&offer, MAX_BESIDE_OFFER) {
            return Err(TradeError::Size.into());
        }
        Ok(Draft { at: world.now, offer, sources, again: 0 })
    }

    /// What every payee would refuse once it is signed is not signed.
    fn check_before(
        &self,
        now: Time,
        payee: &PublicKey,
        picked: &[&Pocket],
        amount: Amount,
    ) -> Result<(), DeviceError> {
        let owners = || picked.iter().filter_map(|p| p.coin.as_ref()).map(|(_, coin)| &coin.owner);
        // Whom it is reserved for consents only to what it is paid.
        if owners().any(|o| o.reserved_for(now).is_some_and(|whom| whom != payee)) {
            return Err(EvidenceError::Unlock(UnlockError::Locked).into());
        }
        let tier = owners().map(|owner| owner.expected_tier(now, payee)).min();
        let assets = picked.iter().filter_map(|p| p.coin.as_ref()).map(|(_, coin)| coin.asset);
        for policy in assets.filter_map(|asset| self.policies.get(&asset)) {
            if !policy.offline.allows(amount, tier.unwrap_or(Tier::Signed)) {
                return Err(EvidenceError::OfflineRule.into());
            }
        }
        Ok(())
    }

    /// Why no payee would take the pocket's coin under its lock, if none would: its slot gives no
    /// proof, or nobody whose word counts for the asset vouches for the seal.
    pub(super) fn locked_pocket(
        &self,
        world: &World<'_>,
        pocket: &Pocket,
    ) -> Result<(), DeviceError> {
        let Some((_, coin)) = &pocket.coin else { return Ok(()) };
        let Predicate::Sealed(sealed) = &coin.owner else { return Ok(()) };
        if self.locked_until(&pocket.id, &coin.owner, world.now).is_some() {
            return Err(EvidenceError::Unlock(UnlockError::Locked).into());
        }
        if self.slot_to_leave(&pocket.id, &coin.owner, world.now).is_some() {
            if self.is_away() {
                return Err(DeviceError::SealAway);
            }
            self.vouches(world, &coin.asset, &sealed.slot, sealed.until, &[])?;
        }
        Ok(())
    }

    /// Whether a payment of the pocket's coin would be of a payee's least tier.
    fn reaches(&self, world: &World<'_>, pocket: &Pocket, payee: &PublicKey, least: Tier) -> bool {
        if least == Tier::Signed {
            return true;
        }
        let (known, bricked) = (self.known(world), |key: &PublicKey| self.is_bricked(key));
        let trust = Trust { viewer: Some(payee), ..self.trusting(world, known, &bricked) };
        let Some((id, coin)) = &pocket.coin else { return false };
        let verified = pocket.evidence.verify(&trust, world.now).ok();
        let before = verified.and_then(|all| all.get().get(id).map(|holding| holding.tier));
        before.is_some_and(|before| before.min(coin.owner.expected_tier(world.now, payee)) >= least)
    }

    /// Whether a payee could take the pocket's coin: it is not at the end of its offline life, not
    /// too long a story, and no convicted device is in what is not certified of it.
    pub(super) fn can_move(&self, pocket: &Pocket) -> bool {
        let evidence = &pocket.evidence;
        evidence.hops.len() < MAX_HOPS
            && !self.is_lost(pocket)
            && (evidence.hops.len() < MAX_UNCERTIFIED
                || evidence.longest_uncertified() < MAX_UNCERTIFIED)
            && !self.has_convicted(evidence)
    }

    /// Whether somebody who was proved to have paid twice is in what is not certified of a history.
    fn has_convicted(&self, evidence: &Evidence) -> bool {
        !self.forks.is_empty() && evidence.uncertified_keys().iter().any(|key| self.is_bricked(key))
    }

    /// Whether a pocket's coin is in dispute: somebody behind it was proved to have paid twice, and no
    /// network has decided yet. Nobody takes it, and the first to settle keeps it.
    pub fn is_in_dispute(&self, pocket: &Pocket) -> bool {
        pocket.coin.is_some() && !self.is_lost(pocket) && self.has_convicted(&pocket.evidence)
    }

    /// What lies behind several pockets. A coin at the end of its offline life is not offered:
    /// every payee would refuse it.
    pub(super) fn evidence_of(&self, pockets: &[&Pocket]) -> Result<Evidence, DeviceError> {
        let mut evidence = Evidence::default();
        for pocket in pockets {
            if pocket.evidence.longest_uncertified() >= MAX_UNCERTIFIED {
                return Err(EvidenceError::TooManyHops.into());
            }
            if !self.can_move(pocket) && pocket.evidence.hops.len() < MAX_HOPS {
                return Err(EvidenceError::Bricked.into());
            }
            evidence = evidence.merge(&pocket.evidence).map_err(|_| TradeError::Size)?;
        }
        // There must be room for the payment itself.
        if evidence.hops.len() >= MAX_HOPS {
            return Err(TradeError::Size.into());
        }
        Ok(evidence)
    }

    /// Takes the step: everything that a restart needs is in the changes, before the seal is asked.
    /// The payee may be this device.
    pub(super) fn intend(
        &mut self,
        world: &World<'_>,
        payee: DeviceId,
        draft: Draft,
        accept: Accept,
        form: Form,
    ) -> Result<Output, DeviceError> {
        self.may_step()?;
        let own = payee == self.id;
        let contact = if own { None } else { Some(self.may_pay(&payee)?.clone()) };
        let owner = contact.as_ref().map_or(&self.me.owner, |contact| &contact.owner);
        if accept.owner.key() != owner {
            return Err(TradeError::Terms.into());
        }
        self.may_begin(payee, accept.nonce)?;
        let Draft { offer, sources, .. } = draft;
        let transaction = trade::transaction(&offer, &accept, &sources, &payee, self.me.network)?;
        let (tx, step, link) = (transaction.id(), transaction.step, transaction.link);
        let made: Vec<_> = transaction.made_as(tx).map(|(id, coin)| (id, coin.clone())).collect();
        let (paid, change) = (made.first().filter(|_| own).cloned(), made.get(1).cloned());
        let commit = Commit { root: step.root, unlocks: List::default() };
        let proves = !self.slots_to_leave(&sources, world.now).is_empty();
        let outgoing = Arc::new(Outgoing {
            tx,
            payee,
            state: if proves { OutgoingState::Proving } else { OutgoingState::Intent },
            at: world.now,
            payment: Payment { offer, accept, commit },
            sources: List::truncated(sources.clone()),
            transaction,
            receipt: None,
            given_up: None,
        });
        let mut output = self.record([
            Change::Outgoing(Arc::clone(&outgoing)),
            Change::Step { seq: step.seq, head: step.head_after(&link) },
        ]);
        // Whoever is paid is no stranger.
        let contact = contact.map(|c| Contact { link, stranger: None, ..c });
        let contact = contact.map(|contact| Change::Contact(Box::new(contact)));
        self.add(&mut output, contact);
        self.move_pockets(&mut output, &sources, link, change);
        self.open_pocket(&mut output, link, paid);
        if form == Form::Commit {
            self.live.insert(tx);
        }
        output.sign.push(self.to_sign(&outgoing, world.now));
        Ok(output)
    }

    /// The pockets after a payment: spent out but for the last, which keeps the change. What lies
    /// behind the change is complete only once the payment is signed.
    pub(super) fn move_pockets(
        &mut self,
        output: &mut Output,
        sources: &[Source],
        link: crate::id::Link,
        change: Option<(CoinId, crate::coin::Coin)>,
    ) {
        let last = sources.len().saturating_sub(1);
        let moved = sources.iter().enumerate().map(|(i, source)| Pocket {
            id: source.pocket,
            link,
            coin: change.clone().filter(|_| i == last),
            evidence: Evidence::default(),
        });
        self.add(output, moved.map(|pocket| Change::Pocket(Arc::new(pocket))));
    }

    /// The pocket for what this device pays itself, which is not yet complete either.
    pub(super) fn open_pocket(
        &mut self,
        output: &mut Output,
        link: crate::id::Link,
        paid: Option<(CoinId, crate::coin::Coin)>,
    ) {
        let evidence = Evidence::default();
        let pocket = |(id, coin)| Pocket { id, link, coin: Some((id, coin)), evidence };
        self.add(output, paid.map(|paid| Change::Pocket(Arc::new(pocket(paid)))));
    }

    /// The seal has signed: the payment exists, and goes out.
    pub(super) fn signed(
        &mut self,
        now: Time,
        tx: TxId,
        unlocks: Vec<Unlock>,
    ) -> Result<Output, DeviceError> {
        let waiting = self.outgoing.all().get(&tx).filter(|o| o.state == OutgoingState::Intent);
        let mut outgoing = Outgoing::clone(waiting.ok_or(DeviceError::NotWaiting)?);
        if unlocks.len() != outgoing.transaction.body.inputs.len() {
            return Err(DeviceError::NotWaiting);
        }
        outgoing.state = OutgoingState::Signed;
        outgoing.payment.commit.unlocks = List::truncated(unlocks);
        let awaits = outgoing.awaits_consent(now);
        if outgoing.payee == self.id {
            return self.moved(outgoing, awaits);
        }
        let (payee, offer) = (outgoing.payee, &outgoing.payment.offer);
        let event = Event::Paid { tx, payee, asset: offer.asset, amount: offer.amount };
        let message = if self.live.remove(&tx) {
            Message::Commit(outgoing.payment.commit.clone())
        } else {
            Message::Payment(outgoing.payment.clone())
        };
        let pockets = if awaits { Vec::new() } else { self.left_pockets(&outgoing)? };
        let mut output = self.record([Change::Outgoing(Arc::new(outgoing))]);
        self.add(&mut output, pockets.into_iter().map(|p| Change::Pocket(Arc::new(p))));
        output.events.push(event);
        output.learnt.push(Learnt::Signed { tx, payee });
        output.send.push((payee, message));
        Ok(output)
    }

    /// The pockets with what a payment leaves to this device, now that all that lies behind them is
    /// signed: its change, and what it pays to itself.
    pub(super) fn left_pockets(&self, outgoing: &Outgoing) -> Result<Vec<Pocket>, DeviceError> {
        let evidence = outgoing.payment.evidence_after(&outgoing.transaction)?;
        let others = usize::from(outgoing.payee != self.id);
        let mine = outgoing.transaction.made().skip(others);
        let pockets = mine.map(|(coin, _)| self.left_pocket(&coin, &evidence));
        pockets.collect::<Result<Vec<_>, _>>().map(|all| all.into_iter().flatten().collect())
    }

    /// A restored device may sign behind steps that it took over since: what they left lacks what
    /// lies behind this one.
    fn left_pocket(
        &self,
        change: &CoinId,
        evidence: &Evidence,
    ) -> Result<Vec<Pocket>, DeviceError> {
        let change = *change;
        if let Some(pocket) = self.ledger.holding(&change) {
            let evidence = evidence.behind(&change);
            return Ok(alloc::vec![Pocket { evidence, ..pocket.clone() }]);
        }
        let whole = |pocket: &Pocket| -> Option<Pocket> {
            let (coin, _) = pocket.coin.as_ref()?;
            let mut inputs = pocket.evidence.hops.iter().flat_map(|hop| hop.tx.body.inputs.iter());
            let evidence = evidence.merge(&pocket.evidence).ok()?;
            let spends = inputs.any(|input| *input == change);
            spends.then(|| Pocket { evidence: evidence.behind(coin), ..pocket.clone() })
        };
        Ok(self.ledger.pockets().filter_map(whole).collect())
    }

    /// Everything that waits for a payee: to be signed, or to be sent again as it was.
    pub(super) fn retry(&self, now: Time, payee: DeviceId) -> Output {
        let mut output = Output::default();
        for outgoing in self.outgoing.waiting(payee) {
            match outgoing.state {
                OutgoingState::Proving | OutgoingState::Intent => {
                    let possible = self.can_sign(outgoing, now);
                    output.sign.extend(possible.then(|| self.to_sign(outgoing, now)));
                }
                OutgoingState::Signed => match self.asks(outgoing) {
                    Some(asked) => {
                        output.send.push((asked, Message::Release(outgoing.payment.clone())));
                    }
                    None => {
                        output.send.push((payee, Message::Payment(outgoing.payment.clone())));
                    }
                },
                OutgoingState::Receipted | OutgoingState::GivenUp => {}
            }
        }
        output
    }

    pub(super) fn receipted(
        &mut self,
        now: Time,
        from: DeviceId,
        receipt: &Receipt,
    ) -> Result<Output, DeviceError> {
        let outgoing = self.outgoing.all().get(&receipt.tx).ok_or(DeviceError::NotWaiting)?;
        if outgoing.payee != from && self.asks(outgoing) != Some(from) {
            return Err(DeviceError::NotWaiting);
        }
        match outgoing.state {
            OutgoingState::Receipted => return Ok(Output::default()),
            OutgoingState::Proving | OutgoingState::Intent | OutgoingState::GivenUp => {
                return Err(DeviceError::NotWaiting);
            }
            OutgoingState::Signed => {}
        }
        let digest = Receipt::digest(&receipt.tx, &from);
        let signer = self.contact(&from)?.owner.clone();
        if !signer.verify(&digest, &receipt.signature) {
            return Err(TradeError::Receipt.into());
        }
        // No signature covers the consents: without them the change would wait for the lock's end.
        if outgoing.awaits_consent(now) && receipt.consents.is_empty() {
            return Err(TradeError::Receipt.into());
        }
        let outgoing = Outgoing {
            state: OutgoingState::Receipted,
            receipt: Some(receipt.signature.clone()),
            ..Outgoing::clone(outgoing)
        };
        let mut output = self.with_consents(outgoing, &signer, &receipt.consents)?;
        output.events.push(Event::Receipted { tx: receipt.tx });
        output.learnt.push(Learnt::Receipted { tx: receipt.tx, by: from });
        Ok(output)
    }
}

impl Pocket {
    /// The pocket as something to pay with, unless it is spent out.
    pub(super) fn source(&self) -> Option<Source> {
        let (id, coin) = self.coin.clone()?;
        Some(Source { pocket: self.id, link: self.link, id, coin })
    }
}

impl Payment {
    /// The payment's last transaction, with what unlocks it.
    pub(super) fn hop(&self, transaction: &Transaction) -> Hop {
        let witness = |unlock: &Unlock| Witness { unlock: unlock.clone(), certified: None };
        let witnesses = self.commit.unlocks.iter().map(witness).collect();
        Hop { tx: transaction.clone(), witnesses: List::truncated(witnesses) }
    }

    /// The evidence of what the payment makes.
    pub(super) fn evidence_after(&self, transaction: &Transaction) -> Result<Evidence, TradeError> {
        self.offer.evidence.with(self.hop(transaction)).map_err(|_| TradeError::Size)
    }
}
