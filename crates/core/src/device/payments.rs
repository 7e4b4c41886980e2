//! Find payments without reading all of them: a payment costs the same after ten thousand others.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;

use super::{Incoming, Outgoing, OutgoingState};
use crate::amount::Amount;
use crate::id::{AssetId, CoinId, DeviceId, Head, Link, Nonce, TxId};
use crate::tier::Tier;

const FIRST_TX: TxId = TxId::new([0; 32]);
const LAST_TX: TxId = TxId::new([0xff; 32]);

/// Payments to others, and which of them wait.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Sent {
    all: BTreeMap<TxId, Arc<Outgoing>>,
    waiting: BTreeSet<(DeviceId, u64, TxId)>,
    /// Those that are not signed yet, by the number of their step.
    pending: BTreeSet<(u64, TxId)>,
    /// Those that were never signed, given up ones too, by the head after their step.
    unsigned: BTreeMap<Head, TxId>,
    /// What was or will be paid on each of a payee's terms.
    terms: BTreeMap<(DeviceId, Nonce), TxId>,
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
        use OutgoingState::{GivenUp, Intent, Proving, Receipted, Signed};
        let (tx, step) = (outgoing.tx, outgoing.transaction.step);
        let place = (outgoing.payee, step.seq, tx);
        let (waits, pending, unsigned) = match outgoing.state {
            Proving | Intent => (true, true, true),
            Signed => (true, false, false),
            Receipted => (false, false, false),
            GivenUp => (false, false, true),
        };
        keep(&mut self.waiting, place, waits);
        keep(&mut self.pending, (step.seq, tx), pending);
        keep(&mut self.unconsented, tx, outgoing.unconsented().next().is_some());
        let after = step.head_after(&outgoing.transaction.link);
        keep_at(&mut self.unsigned, after, tx, unsigned);
        // What was given up is as if it had never been: the same terms may be paid anew.
        let counts = outgoing.state != GivenUp;
        let terms = (outgoing.payee, outgoing.payment.accept.nonce);
        keep_at(&mut self.terms, terms, tx, counts);
        let link = (outgoing.payee, outgoing.payment.offer.link);
        keep_at(&mut self.links, link, tx, counts);
        self.all.insert(tx, outgoing);
    }

    /// The payment on these terms, unless it was given up. A payee forgets them then, so they are good once.
    pub(super) fn on_terms(&self, payee: DeviceId, nonce: Nonce) -> Option<&Outgoing> {
        self.terms.get(&(payee, nonce)).and_then(|tx| self.get(tx))
    }

    /// The payments that are not signed yet, in the order of their steps.
    pub(super) fn pending(&self) -> impl DoubleEndedIterator<Item = &Outgoing> {
        self.pending.iter().filter_map(|(_, tx)| self.get(tx))
    }

    /// The payment that was never signed and whose step leads to this head.
    pub(super) fn unsigned(&self, head: &Head) -> Option<&Outgoing> {
        self.unsigned.get(head).and_then(|tx| self.get(tx))
    }

    fn get(&self, tx: &TxId) -> Option<&Outgoing> {
        self.all.get(tx).map(Arc::as_ref)
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

fn keep<T: Ord>(set: &mut BTreeSet<T>, item: T, whether: bool) {
    if whether {
        set.insert(item);
    } else {
        set.remove(&item);
    }
}

/// What is over leaves its place to what came into it since.
fn keep_at<K: Ord>(map: &mut BTreeMap<K, TxId>, key: K, tx: TxId, whether: bool) {
    if whether {
        map.insert(key, tx);
    } else if map.get(&key) == Some(&tx) {
        map.remove(&key);
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
