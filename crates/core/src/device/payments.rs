//! Find payments without reading all of them: a payment costs the same after ten thousand others.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;

use super::{Incoming, Outgoing, OutgoingState};
use crate::amount::Amount;
use crate::id::{AssetId, CoinId, DeviceId, Link, Nonce, TxId};
use crate::tier::Tier;

const FIRST_TX: TxId = TxId::new([0; 32]);
const LAST_TX: TxId = TxId::new([0xff; 32]);

/// Payments to others, and which of them wait.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Sent {
    all: BTreeMap<TxId, Arc<Outgoing>>,
    waiting: BTreeSet<(DeviceId, u64, TxId)>,
    terms: BTreeSet<(DeviceId, Nonce)>,
    /// Payments of what was reserved, whose payees have not consented.
    unconsented: BTreeSet<TxId>,
    /// The payment that each link to a payee was followed by.
    links: BTreeMap<(DeviceId, Link), TxId>,
}

impl Sent {
    pub(super) fn all(&self) -> &BTreeMap<TxId, Arc<Outgoing>> {
        &self.all
    }

    /// Keeps a payment, or what is new of it.
    pub(super) fn put(&mut self, outgoing: Arc<Outgoing>) {
        let place = (outgoing.payee, outgoing.transaction.step.seq, outgoing.tx);
        let terms = (outgoing.payee, outgoing.payment.accept.nonce);
        let link = (outgoing.payee, outgoing.payment.offer.link);
        match outgoing.state {
            OutgoingState::Intent | OutgoingState::Signed => {
                self.waiting.insert(place);
            }
            OutgoingState::Receipted | OutgoingState::GivenUp => {
                self.waiting.remove(&place);
            }
        }
        if outgoing.unconsented().next().is_some() {
            self.unconsented.insert(outgoing.tx);
        } else {
            self.unconsented.remove(&outgoing.tx);
        }
        if outgoing.state != OutgoingState::GivenUp {
            self.terms.insert(terms);
            self.links.insert(link, outgoing.tx);
        } else if self.links.get(&link) == Some(&outgoing.tx) {
            // What was given up is as if it had never been: the same terms may be paid anew.
            self.terms.remove(&terms);
            self.links.remove(&link);
        }
        self.all.insert(outgoing.tx, outgoing);
    }

    /// Whether a payee was paid on these terms. It forgets them then, so they are good once.
    pub(super) fn on_terms(&self, payee: DeviceId, nonce: Nonce) -> bool {
        self.terms.contains(&(payee, nonce))
    }

    /// The payment to a payee that followed this link.
    pub(super) fn after(&self, payee: DeviceId, link: Link) -> Option<&Outgoing> {
        self.links.get(&(payee, link)).and_then(|tx| self.all.get(tx)).map(Arc::as_ref)
    }

    /// The latest payment to a payee.
    pub(super) fn last(&self, payee: DeviceId) -> Option<&Outgoing> {
        let (first, last) = (Link::new([0; 32]), Link::new([0xff; 32]));
        let sent = self.links.range((payee, first)..=(payee, last));
        sent.filter_map(|(_, tx)| self.all.get(tx).map(Arc::as_ref))
            .max_by_key(|o| o.transaction.step.seq)
    }

    /// Payments of what was reserved, whose payees have not consented.
    pub(super) fn unconsented(&self) -> impl Iterator<Item = &Outgoing> {
        self.unconsented.iter().filter_map(|tx| self.all.get(tx)).map(Arc::as_ref)
    }

    /// The payments to a payee that have no receipt, in the order of their steps.
    pub(super) fn waiting(&self, payee: DeviceId) -> impl Iterator<Item = &Outgoing> {
        let places = self.waiting.range((payee, 0, FIRST_TX)..=(payee, u64::MAX, LAST_TX));
        places.filter_map(|(_, _, tx)| self.all.get(tx)).map(Arc::as_ref)
    }
}

/// Payments and mints that were received, and what is still held of those that are not settled.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Received {
    all: BTreeMap<TxId, Arc<Incoming>>,
    pockets: BTreeMap<CoinId, TxId>,
    steps: BTreeSet<(DeviceId, u64, TxId)>,
    unsettled: BTreeMap<CoinId, Unsettled>,
    owed: BTreeMap<(AssetId, DeviceId, Tier), Owed>,
    owed_by_all: BTreeMap<(AssetId, Tier), Owed>,
}

/// A payment that is not settled, and what of it was counted as owed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Unsettled {
    payer: DeviceId,
    asset: AssetId,
    tier: Tier,
    counted: Amount,
}

/// What is owed: the sum over payments that are not settled.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Owed {
    /// A sum of fewer than 2^64 amounts of 64 bits.
    units: u128,
    /// How many payments it is of.
    pub(super) payments: u64,
}

impl Owed {
    /// What they bring together; what cannot be counted is above every limit.
    pub(super) fn amount(self) -> Amount {
        Amount::new(u64::try_from(self.units).unwrap_or(u64::MAX))
    }

    fn of(amount: Amount) -> Self {
        Self { units: amount.units().into(), payments: u64::from(!amount.is_zero()) }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            units: self.units.saturating_add(other.units),
            payments: self.payments.saturating_add(other.payments),
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            units: self.units.saturating_sub(other.units),
            payments: self.payments.saturating_sub(other.payments),
        }
    }
}

impl Received {
    pub(super) fn all(&self) -> &BTreeMap<TxId, Arc<Incoming>> {
        &self.all
    }

    /// The payment or mint that came into a pocket.
    pub(super) fn in_pocket(&self, pocket: &CoinId) -> Option<&Incoming> {
        self.pockets.get(pocket).and_then(|tx| self.all.get(tx)).map(Arc::as_ref)
    }

    /// The pocket that a payment came into.
    pub(super) fn pocket(incoming: &Incoming) -> CoinId {
        Incoming::coin(&incoming.tx)
    }

    /// Keeps a payment, or what is new of it, of which so much is left in its pocket.
    pub(super) fn put(&mut self, incoming: Arc<Incoming>, left: Amount) {
        let pocket = Self::pocket(&incoming);
        self.pockets.insert(pocket, incoming.tx);
        self.left(pocket, Amount::ZERO);
        self.unsettled.remove(&pocket);
        let Incoming { tx, payer, asset, tier, settled, accepted, ref hop, .. } = *incoming;
        if let Some(payer) = payer.filter(|_| !settled && accepted) {
            let counted = Amount::ZERO;
            self.unsettled.insert(pocket, Unsettled { payer, asset, tier, counted });
            self.left(pocket, left);
        }
        if let Some((payer, hop)) = payer.zip(hop.as_ref()) {
            self.steps.insert((payer, hop.tx.step.seq, tx));
        }
        self.all.insert(tx, incoming);
    }

    /// So much is left in a pocket: what was paid on is no longer at this owner's risk.
    pub(super) fn left(&mut self, pocket: CoinId, left: Amount) {
        let Some(unsettled) = self.unsettled.get_mut(&pocket) else { return };
        let (before, after) = (Owed::of(unsettled.counted), Owed::of(left));
        unsettled.counted = left;
        let Unsettled { payer, asset, tier, .. } = *unsettled;
        let theirs = self.owed.entry((asset, payer, tier)).or_default();
        *theirs = theirs.plus(after).minus(before);
        let all = self.owed_by_all.entry((asset, tier)).or_default();
        *all = all.plus(after).minus(before);
    }

    /// The payments that were steps of `payer` with these numbers, in order.
    pub(super) fn steps(
        &self,
        payer: DeviceId,
        first: u64,
        last: u64,
    ) -> impl DoubleEndedIterator<Item = &Incoming> {
        let last = last.max(first);
        let places = self.steps.range((payer, first, FIRST_TX)..=(payer, last, LAST_TX));
        places.filter_map(|(_, _, tx)| self.all.get(tx)).map(Arc::as_ref)
    }

    /// What one payer owes of an asset in payments of at most this tier.
    pub(super) fn owed_by(&self, payer: DeviceId, asset: AssetId, tier: Tier) -> Owed {
        let owed = self.owed.range((asset, payer, Tier::Signed)..=(asset, payer, tier));
        owed.fold(Owed::default(), |sum, (_, owed)| sum.plus(*owed))
    }

    /// What all payers owe of an asset in payments of at most this tier.
    pub(super) fn owed_by_all(&self, asset: AssetId, tier: Tier) -> Owed {
        let owed = self.owed_by_all.range((asset, Tier::Signed)..=(asset, tier));
        owed.fold(Owed::default(), |sum, (_, owed)| sum.plus(*owed))
    }
}
