//! Pay oneself: make several coins into one, set value aside for a contact, and take it back.
//!
//! Such a payment is a step like any other, with this device as its payee: what it pays comes into a
//! pocket of its own, change stays where it was. Its challenge follows from the head before it, so
//! nothing has to be remembered for it (spec `OWN-1` to `OWN-6`).

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::payer::{Draft, Form};
use super::{
    Change, ContactError, Device, DeviceError, Event, Outgoing, OutgoingState, Output, Pocket,
    World,
};
use crate::amount::Amount;
use crate::evidence::{Claims, Evidence};
use crate::id::{AssetId, DeviceId, Link, Nonce, TxId};
use crate::keys::Signature;
use crate::message::{Accept, Message};
use crate::predicate::{Predicate, Reserved, Unlock};
use crate::time::Time;
use crate::trade::TradeError;
use crate::transaction::MAX_INPUTS;

/// Longest time for which value is set aside, in seconds: a year.
pub const MAX_RESERVATION: u64 = 366 * 24 * 60 * 60;

/// Why value cannot be set aside, taken back or made into one coin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OwnError {
    /// The lock would have ended, or would hold the value for more than a year.
    #[error("the lock must end between now and a year from now: choose another end")]
    Until,
    /// There is enough of the asset, but not of what is certified.
    #[error("not enough of this is certified, and only what is can be moved so: settle first")]
    Uncertified,
    /// Nothing is set aside for the contact, or the lock has ended.
    #[error("nothing is reserved for this contact: see your balance")]
    Nothing,
}

impl OwnError {
    /// Stable code of this error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Until => "OWN_UNTIL",
            Self::Uncertified => "OWN_UNCERTIFIED",
            Self::Nothing => "OWN_NOTHING",
        }
    }
}

impl Outgoing {
    /// The reservations that it spends and whose payees have not consented.
    pub fn unconsented(&self) -> impl Iterator<Item = &Reserved> {
        let spends = self.sources.iter().zip(self.payment.commit.unlocks.iter());
        let alone = spends.filter(|(_, unlock)| matches!(unlock, Unlock::Signature(_)));
        alone.filter_map(|(source, _)| source.coin.owner.reservation())
    }

    /// Whether it is good only once somebody has consented.
    pub fn awaits_consent(&self, now: Time) -> bool {
        self.unconsented().any(|reserved| now < reserved.until)
    }
}

impl Device {
    /// Makes one coin of the smallest coins of an asset, as many as one step can spend.
    pub(super) fn refresh(
        &mut self,
        world: &World<'_>,
        asset: AssetId,
    ) -> Result<Output, DeviceError> {
        self.may_step()?;
        let mut coins: Vec<&Pocket> = self.movable(world, &asset).collect();
        if coins.is_empty() {
            return Err(self.why_none(world, &asset));
        }
        coins.sort_by_key(|pocket| pocket.amount());
        let mut picked = Vec::new();
        let mut evidence = Evidence::default();
        for pocket in coins {
            let Ok(more) = evidence.merge(&pocket.evidence) else { break };
            picked.push(pocket);
            evidence = more;
            if picked.len() == MAX_INPUTS {
                break;
            }
        }
        let amount = sum(&picked)?;
        let owner = self.predicate_for(world, &asset);
        let draft = self.own_draft(world, &picked, amount)?;
        self.pay_myself(world, draft, owner)
    }

    /// Sets value aside for a contact.
    pub(super) fn reserve(
        &mut self,
        world: &World<'_>,
        payee: DeviceId,
        asset: AssetId,
        amount: Amount,
        until: Time,
    ) -> Result<Output, DeviceError> {
        let payee = self.may_pay(&payee)?.owner.clone();
        if amount.is_zero() {
            return Err(TradeError::Amount.into());
        }
        if until <= world.now || until > world.now.plus(MAX_RESERVATION) {
            return Err(OwnError::Until.into());
        }
        let usable = |pocket: &Pocket| self.is_movable(world, pocket);
        let picked = self.ledger.pick(&asset, amount, MAX_INPUTS, usable);
        let Some(picked) = picked else {
            let any = self
                .ledger
                .pick(&asset, amount, MAX_INPUTS, |p| p.reserved_for(world.now).is_none());
            return Err(match any {
                Some(_) => self.why_none(world, &asset),
                None => self.not_enough(&asset, amount),
            });
        };
        let key = self.me.owner.clone();
        let owner = Predicate::Reserved(Reserved { key, payee, until });
        let draft = self.own_draft(world, &picked, amount)?;
        self.pay_myself(world, draft, owner)
    }

    /// Takes back what is set aside for a contact, or asks again for its consent.
    pub(super) fn release(
        &mut self,
        world: &World<'_>,
        payee: DeviceId,
        asset: AssetId,
    ) -> Result<Output, DeviceError> {
        let key = self.may_pay(&payee)?.owner.clone();
        let theirs = |pocket: &&Pocket| {
            let asset = pocket.coin.as_ref().is_some_and(|(_, coin)| coin.asset == asset);
            asset && self.is_free(pocket) && pocket.reserved_for(world.now) == Some(&key)
        };
        let picked: Vec<&Pocket> = self.ledger.reserved().filter(theirs).take(MAX_INPUTS).collect();
        if picked.is_empty() {
            let asked = |o: &&Outgoing| {
                o.state == OutgoingState::Signed
                    && o.payment.offer.asset == asset
                    && o.awaits_consent(world.now)
                    && self.asks(o) == Some(payee)
            };
            let asked = self.outgoing.waiting(self.id).find(asked).ok_or(OwnError::Nothing)?;
            let message = Message::Release(asked.payment.clone());
            return Ok(Output { send: alloc::vec![(payee, message)], ..Output::default() });
        }
        let amount = sum(&picked)?;
        let owner = self.predicate_for(world, &asset);
        let draft = self.own_draft(world, &picked, amount)?;
        self.pay_myself(world, draft, owner)
    }

    /// The step that pays this device itself: its payee's challenge comes from the head before it.
    pub(super) fn pay_myself(
        &mut self,
        world: &World<'_>,
        draft: Draft,
        owner: Predicate,
    ) -> Result<Output, DeviceError> {
        let mut nonce = [0; 16];
        nonce.copy_from_slice(&self.head.as_bytes()[..16]);
        let accept = Accept { nonce: Nonce::new(nonce), owner };
        self.intend(world, self.id, draft, accept, Form::Payment)
    }

    pub(super) fn own_draft(
        &self,
        world: &World<'_>,
        picked: &[&Pocket],
        amount: Amount,
    ) -> Result<Draft, DeviceError> {
        let evidence = self.evidence_of(picked)?;
        let link = Link::first(&self.id, &self.id);
        self.draft_from(world, picked, evidence, link, amount)
    }

    /// A payment to oneself is signed. Unless somebody has to consent, it is done.
    pub(super) fn moved(
        &mut self,
        outgoing: Outgoing,
        awaits: bool,
    ) -> Result<Output, DeviceError> {
        if !awaits {
            return self.done(Outgoing { state: OutgoingState::Receipted, ..outgoing });
        }
        let asked = self.asks(&outgoing).ok_or(ContactError::Unknown)?;
        let message = Message::Release(outgoing.payment.clone());
        let event = moved_event(&outgoing, Some(asked));
        let mut output = self.record([Change::Outgoing(Arc::new(outgoing))]);
        output.events.extend(event);
        output.send.push((asked, message));
        Ok(output)
    }

    /// What a payment leaves here is complete.
    fn done(&mut self, outgoing: Outgoing) -> Result<Output, DeviceError> {
        let own = outgoing.payee == self.id;
        let event = moved_event(&outgoing, None).filter(|_| own);
        let pockets = self.left_pockets(&outgoing)?;
        let mut output = self.record([Change::Outgoing(Arc::new(outgoing))]);
        self.add(&mut output, pockets.into_iter().map(|p| Change::Pocket(Arc::new(p))));
        output.events.extend(event);
        Ok(output)
    }

    /// Whose consent a payment to oneself needs.
    pub(super) fn asks(&self, outgoing: &Outgoing) -> Option<DeviceId> {
        if outgoing.payee != self.id {
            return None;
        }
        let key = outgoing.sources.iter().find_map(|source| source.coin.owner.reservation());
        let key = &key?.payee;
        self.contacts.values().find(|contact| contact.owner == *key).map(|c| c.device)
    }

    /// Takes over the consents of whoever has `key`, if there are any, with the payment's new state.
    pub(super) fn with_consents(
        &mut self,
        mut outgoing: Outgoing,
        key: &crate::keys::PublicKey,
        consents: &[Signature],
    ) -> Result<Output, DeviceError> {
        if consents.is_empty() {
            return Ok(self.record([Change::Outgoing(Arc::new(outgoing))]));
        }
        let unlocks = &outgoing.payment.commit.unlocks;
        let unlocks =
            super::consent::consented(&outgoing.sources, unlocks, &outgoing.tx, key, consents)?;
        outgoing.payment.commit.unlocks = crate::cbor::List::truncated(unlocks);
        self.done(outgoing)
    }

    /// A notary shows the consents that a payee gave when it settled.
    pub(super) fn learn_consents(
        &mut self,
        tx: TxId,
        consents: &[Signature],
    ) -> Result<Output, DeviceError> {
        let outgoing = self.outgoing.all().get(&tx).ok_or(DeviceError::NotWaiting)?;
        let outgoing = Outgoing::clone(outgoing);
        let payee = outgoing.unconsented().map(|reserved| reserved.payee.clone()).next();
        let key = payee.ok_or(DeviceError::NotWaiting)?;
        if consents.is_empty() {
            return Err(TradeError::Receipt.into());
        }
        let state = match outgoing.state {
            OutgoingState::Signed if outgoing.payee == self.id => OutgoingState::Receipted,
            state => state,
        };
        self.with_consents(Outgoing { state, ..outgoing }, &key, consents)
    }

    /// Whether the clock says of a lock, for whose payee's consent this device waits, what it did not say
    /// before: that it has ended, or that it has not.
    pub fn has_moved_locks(&self, now: Time) -> bool {
        let mut waits = self.outgoing.unconsented();
        waits.any(|outgoing| self.is_freed(outgoing, now) || self.is_locked_again(outgoing, now))
    }

    /// What waits for consents is good without them once the locks have ended. A clock that was wrong for a
    /// moment ends none: what is locked again waits again.
    pub(super) fn look_at_locks(&mut self, now: Time) -> Output {
        let mut output = self.lock_again(now);
        output.extend(self.end_locks(now));
        output
    }

    fn lock_again(&mut self, now: Time) -> Output {
        let locked = self.outgoing.unconsented().filter(|o| self.is_locked_again(o, now));
        let locked: Vec<Outgoing> = locked.cloned().collect();
        let mut output = Output::default();
        for outgoing in locked {
            let left = self.left_by(&outgoing).filter(|pocket| pocket.is_ready());
            let waits = left.map(|p| Pocket { evidence: Evidence::default(), ..p.clone() });
            let waits: Vec<Pocket> = waits.collect();
            // Who has receipted it has it; only what is left of it waits.
            let own = outgoing.payee == self.id;
            let state = if own { OutgoingState::Signed } else { outgoing.state };
            self.add(&mut output, [Change::Outgoing(Arc::new(Outgoing { state, ..outgoing }))]);
            self.add(&mut output, waits.into_iter().map(|p| Change::Pocket(Arc::new(p))));
        }
        output
    }

    /// Whether what a payment left here was taken for free, and is not: it waits for a consent that did not
    /// come, and the network has not certified it without.
    fn is_locked_again(&self, outgoing: &Outgoing, now: Time) -> bool {
        let is_certified = |pocket: &Pocket| {
            let mut hops = pocket.evidence.hops.iter().filter(|hop| hop.tx.id() == outgoing.tx);
            hops.any(|hop| hop.witnesses.iter().all(|witness| witness.certified.is_some()))
        };
        outgoing.awaits_consent(now)
            && outgoing.is_signed()
            && self.left_by(outgoing).any(|pocket| pocket.is_ready() && !is_certified(pocket))
    }

    /// The pockets that hold what a payment left to this device.
    pub(super) fn left_by<'a>(
        &'a self,
        outgoing: &'a Outgoing,
    ) -> impl Iterator<Item = &'a Pocket> {
        let others = usize::from(outgoing.payee != self.id);
        let left = outgoing.transaction.made().skip(others);
        left.filter_map(|(coin, _)| self.ledger.holding(&coin))
    }

    fn end_locks(&mut self, now: Time) -> Output {
        let freed = self.outgoing.unconsented().filter(|outgoing| self.is_freed(outgoing, now));
        let mut freed: Vec<Outgoing> = freed.cloned().collect();
        freed.sort_by_key(|outgoing| outgoing.transaction.step.seq);
        let mut output = Output::default();
        for outgoing in freed {
            let own = outgoing.payee == self.id && outgoing.state == OutgoingState::Signed;
            let state = if own { OutgoingState::Receipted } else { outgoing.state };
            if let Ok(more) = self.done(Outgoing { state, ..outgoing }) {
                output.extend(more);
            }
        }
        output
    }

    fn is_freed(&self, outgoing: &Outgoing, now: Time) -> bool {
        !outgoing.awaits_consent(now)
            && (self.left_by(outgoing).any(|pocket| !pocket.is_ready())
                || (outgoing.payee == self.id && outgoing.state == OutgoingState::Signed))
    }

    /// The coins of an asset that can be moved to oneself.
    fn movable<'a>(
        &'a self,
        world: &'a World<'_>,
        asset: &'a AssetId,
    ) -> impl Iterator<Item = &'a Pocket> {
        let of_asset = |p: &&Pocket| p.coin.as_ref().is_some_and(|(_, coin)| coin.asset == *asset);
        self.ledger.pockets().filter(of_asset).filter(|pocket| self.is_movable(world, pocket))
    }

    /// Whether a coin is wholly certified, free and not set aside: value at somebody's risk must not
    /// look as if it were not, and a lock on it would hold nobody.
    fn is_movable(&self, world: &World<'_>, pocket: &Pocket) -> bool {
        self.is_free(pocket)
            && pocket.reserved_for(world.now).is_none()
            && self.can_move(pocket)
            && self.locked_pocket(world, pocket).is_ok()
            && pocket.evidence.claims(&self.policies).iter().all(Claims::certified)
    }

    /// Whether a coin can be spent, and is not set apart after a restore.
    pub(super) fn is_free(&self, pocket: &Pocket) -> bool {
        pocket.is_ready() && self.ledger.apart(&pocket.id).is_none()
    }

    fn why_none(&self, world: &World<'_>, asset: &AssetId) -> DeviceError {
        let of_asset = |p: &&Pocket| p.coin.as_ref().is_some_and(|(_, coin)| coin.asset == *asset);
        let apart = |p: &&Pocket| self.ledger.apart(&p.id).is_some();
        let coins = || self.ledger.pockets().filter(of_asset).filter(|p| !apart(p));
        let away = |p: &Pocket| self.locked_pocket(world, p) == Err(DeviceError::SealAway);
        if coins().any(away) {
            DeviceError::SealAway
        } else if coins().any(|pocket| !pocket.amount().is_zero()) {
            OwnError::Uncertified.into()
        } else {
            self.not_enough(asset, Amount::ZERO)
        }
    }
}

pub(super) fn sum(picked: &[&Pocket]) -> Result<Amount, DeviceError> {
    let sum = Amount::checked_sum(picked.iter().map(|pocket| pocket.amount()));
    sum.ok_or(TradeError::Amount.into())
}

fn moved_event(outgoing: &Outgoing, awaits: Option<DeviceId>) -> Option<Event> {
    let coin = outgoing.transaction.body.outputs.first()?;
    let mut sources = outgoing.sources.iter();
    Some(Event::Moved {
        tx: outgoing.tx,
        asset: coin.asset,
        amount: coin.amount,
        owner: coin.owner.clone(),
        released: sources.all(|source| matches!(source.coin.owner, Predicate::Reserved(_))),
        awaits,
    })
}
