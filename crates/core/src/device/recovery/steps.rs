//! Keep the steps of one's own that were learnt from others, and know which are missing.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::cbor::{Decode, DecodeError, Encode, List, Reader, Writer, record};
use crate::device::MAX_ALL_TERMS;
use crate::evidence::Hop;
use crate::fork::{Branch, steps_conflict};
use crate::id::{CoinId, Head, Link, Nonce, TxId};
use crate::keys::PublicKey;
use crate::message::Told;
use crate::transaction::{MAX_INPUTS, Step, Transaction};

/// Most forms of one step that are kept: of an unlock, another's part may be bent on the way.
const MAX_FORMS: usize = 4;
/// Most stretches of missing steps; above, two become one with what is between them.
const MAX_GAPS: usize = 4096;

/// A step of this device's own that it learnt from others, and that it signed itself.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct OwnStep {
    /// Its transaction.
    pub tx: TxId,
    /// The step.
    pub step: Step,
    /// The link after it.
    pub link: Link,
    /// The transaction with what unlocks it, in the forms in which it was told; none if it is known
    /// by branches only.
    pub forms: List<Hop, MAX_FORMS>,
    /// Its branches, if nobody told it whole.
    pub branches: List<Branch, MAX_INPUTS>,
    /// Whether all of its coins were here and it has moved them.
    pub done: bool,
}

record!(OwnStep { tx, step, link, forms, branches, done });

impl OwnStep {
    pub(super) fn new(told: &Told) -> Self {
        let (step, link) = match told {
            Told::Whole(hop) => (hop.tx.step, hop.tx.link),
            Told::Branch(branch) => (branch.step, branch.link),
        };
        let (forms, branches) = (List::default(), List::default());
        Self { tx: told.tx_id(), step, link, forms, branches, done: false }
    }

    /// Takes over what is told of the step; says whether that was new.
    pub(super) fn learn(&mut self, told: &Told) -> bool {
        match told {
            Told::Whole(hop) => {
                let new = !self.done && !self.forms.contains(hop) && self.forms.len() < MAX_FORMS;
                if new {
                    self.forms = pushed(&self.forms, hop);
                    self.branches = List::default();
                }
                new
            }
            Told::Branch(branch) => {
                let new = !self.is_whole() && !self.branches.contains(branch);
                let new = new && self.branches.len() < MAX_INPUTS;
                if new {
                    self.branches = pushed(&self.branches, branch);
                }
                new
            }
        }
    }

    /// Whether all that it spends is known.
    pub fn is_whole(&self) -> bool {
        !self.forms.is_empty()
    }

    /// The head after it.
    pub fn head_after(&self) -> Head {
        self.step.head_after(&self.link)
    }

    /// Whether whoever signs this step and that transaction convicts itself by their steps (FORK-2).
    pub(super) fn contradicts(&self, tx: &Transaction) -> bool {
        steps_conflict((&self.step, &self.link), (&tx.step, &tx.link)).is_some()
    }

    /// The coins that it spends, as far as they are known.
    pub fn spends(&self) -> Vec<CoinId> {
        match self.forms.first() {
            Some(hop) => hop.tx.body.inputs.to_vec(),
            None => self.branches.iter().map(|branch| branch.coin).collect(),
        }
    }
}

fn pushed<T: Clone, const MAX: usize>(list: &List<T, MAX>, item: &T) -> List<T, MAX> {
    List::truncated(list.iter().chain([item]).cloned().collect())
}

/// The steps that were learnt, by number.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(in crate::device) struct OwnSteps {
    all: BTreeMap<u64, Arc<OwnStep>>,
    /// Those of which not all has been moved here.
    open: BTreeMap<u64, Arc<OwnStep>>,
    /// The open step that spends each coin.
    spends: BTreeMap<CoinId, u64>,
    /// The latest payment to each key.
    paid: BTreeMap<PublicKey, (u64, Link)>,
}

impl OwnSteps {
    pub(in crate::device) fn put(&mut self, step: Arc<OwnStep>) {
        let seq = step.step.seq;
        if let Some(old) = self.open.remove(&seq) {
            for coin in old.spends() {
                self.spends.remove(&coin);
            }
        }
        if !step.done {
            self.spends.extend(step.spends().into_iter().map(|coin| (coin, seq)));
            self.open.insert(seq, Arc::clone(&step));
        }
        let payee = step.forms.first().and_then(|hop| hop.tx.body.outputs.first());
        if let Some(payee) = payee.map(|coin| coin.owner.key()) {
            let last = self.paid.get(payee).is_none_or(|(last, _)| *last <= seq);
            last.then(|| self.paid.insert(payee.clone(), (seq, step.link)));
        }
        self.all.insert(seq, step);
    }

    /// Takes over steps that were stored before each had a record.
    pub(in crate::device) fn take_over(&mut self, hops: &[Hop]) {
        for told in hops.iter().cloned().map(Told::Whole) {
            let mut step = self.get(told.seq()).cloned().unwrap_or_else(|| OwnStep::new(&told));
            step.learn(&told);
            self.put(Arc::new(step));
        }
    }

    pub(super) fn get(&self, seq: u64) -> Option<&OwnStep> {
        self.all.get(&seq).map(Arc::as_ref)
    }

    /// Every step, in order.
    pub(super) fn all(&self) -> impl Iterator<Item = &OwnStep> {
        self.all.values().map(Arc::as_ref)
    }

    /// The numbers among these of steps that are known whole.
    pub(super) fn whole_among(&self, missing: &Missing) -> Vec<u64> {
        let stretches = missing.0.iter();
        let known = stretches.flat_map(|(first, last)| self.all.range(*first..=*last));
        known.filter(|(_, step)| step.is_whole()).map(|(seq, _)| *seq).collect()
    }

    /// The step with the highest number.
    pub(super) fn last(&self) -> Option<&OwnStep> {
        self.all.last_key_value().map(|(_, step)| step.as_ref())
    }

    /// The steps of which not all has been moved here, in order.
    pub(super) fn open(&self) -> impl Iterator<Item = &Arc<OwnStep>> {
        self.open.values()
    }

    pub(super) fn is_open(&self, seq: u64) -> bool {
        self.open.contains_key(&seq)
    }

    /// The open step that spends a coin.
    pub(super) fn spending(&self, coin: &CoinId) -> Option<&OwnStep> {
        self.spends.get(coin).and_then(|seq| self.get(*seq))
    }

    /// The number and the link of the latest payment to a key.
    pub(in crate::device) fn last_to(&self, key: &PublicKey) -> Option<(u64, Link)> {
        self.paid.get(key).copied()
    }

    /// Whether a step was learnt that is this transaction.
    pub(super) fn has(&self, tx: &TxId) -> bool {
        self.all().any(|step| step.tx == *tx)
    }

    /// The steps after `from` and up to `to` that are not known whole.
    pub(super) fn missing(&self, from: u64, to: u64) -> Missing {
        let mut missing = Missing::default();
        let mut next = from.saturating_add(1);
        let whole = self.all.range(next..).filter(|(_, step)| step.is_whole());
        for seq in whole.map(|(seq, _)| *seq).chain([to.saturating_add(1)]) {
            if seq > to.saturating_add(1) {
                continue;
            }
            if next < seq {
                missing.add(next, seq.saturating_sub(1));
            }
            next = next.max(seq.saturating_add(1));
        }
        missing
    }
}

/// Numbers of steps, as stretches from a first one to a last one.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Missing(BTreeMap<u64, u64>);

impl Missing {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many steps are missing.
    pub fn count(&self) -> u64 {
        let sizes =
            self.0.iter().map(|(first, last)| last.saturating_sub(*first).saturating_add(1));
        sizes.fold(0, u64::saturating_add)
    }

    /// The lowest number.
    pub fn first(&self) -> Option<u64> {
        self.0.first_key_value().map(|(first, _)| *first)
    }

    /// The highest number.
    pub fn last(&self) -> Option<u64> {
        self.0.last_key_value().map(|(_, last)| *last)
    }

    /// Whether this step is missing.
    pub fn contains(&self, seq: u64) -> bool {
        self.0.range(..=seq).next_back().is_some_and(|(_, last)| seq <= *last)
    }

    /// Adds a stretch.
    pub(super) fn add(&mut self, first: u64, last: u64) {
        let (mut first, mut last) = (first, last);
        let touching =
            |(f, l): &(u64, u64)| *f <= last.saturating_add(1) && first <= l.saturating_add(1);
        let touched: Vec<(u64, u64)> =
            self.0.iter().map(|(f, l)| (*f, *l)).filter(touching).collect();
        for (f, l) in touched {
            self.0.remove(&f);
            (first, last) = (first.min(f), last.max(l));
        }
        self.0.insert(first, last);
        self.limit();
    }

    /// Adds all stretches of another set.
    pub(super) fn extend(&mut self, other: &Self) {
        other.0.iter().for_each(|(first, last)| self.add(*first, *last));
    }

    /// A step is not missing any more.
    pub(super) fn found(&mut self, seq: u64) {
        let Some((first, last)) = self.0.range(..=seq).next_back().map(|(f, l)| (*f, *l)) else {
            return;
        };
        if seq > last {
            return;
        }
        self.0.remove(&first);
        if first < seq {
            self.0.insert(first, seq.saturating_sub(1));
        }
        if seq < last {
            self.0.insert(seq.saturating_add(1), last);
        }
        self.limit();
    }

    /// Above the limit, what is between two stretches is missing too: that leaves more in question,
    /// never less.
    fn limit(&mut self) {
        while self.0.len() > MAX_GAPS {
            let Some((low, _)) = self.0.pop_first() else { return };
            let Some((_, high)) = self.0.pop_first() else { return };
            self.0.insert(low, high);
        }
    }
}

impl Encode for Missing {
    fn encode(&self, w: &mut Writer) {
        let flat: Vec<u64> = self.0.iter().flat_map(|(first, last)| [*first, *last]).collect();
        flat.as_slice().encode(w);
    }
}

impl Decode for Missing {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let flat = r.list(MAX_GAPS.saturating_mul(2), u64::decode)?;
        let mut stretches = BTreeMap::new();
        let mut free = 0u64;
        for pair in flat.chunks(2) {
            let &[first, last] = pair else { return Err(DecodeError::WrongLength) };
            if first < free || last < first {
                return Err(DecodeError::OutOfRange);
            }
            free = last.saturating_add(1);
            stretches.insert(first, last);
        }
        Ok(Self(stretches))
    }
}

/// What a restore leaves open.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Recovered {
    /// The terms that had been given before the restore, so that a coin paid on them may be one that
    /// was here before.
    pub before: BTreeSet<Nonce>,
    /// The steps of this device's own that nobody has told whole.
    pub missing: Missing,
}

impl Encode for Recovered {
    fn encode(&self, w: &mut Writer) {
        let before: Vec<Nonce> = self.before.iter().copied().collect();
        w.array(2);
        before.as_slice().encode(w);
        self.missing.encode(w);
    }
}

impl Decode for Recovered {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.record(2, |r| {
            let before: Vec<Nonce> = r.list(MAX_ALL_TERMS, Decode::decode)?;
            if !before.is_sorted_by(|a, b| a < b) {
                return Err(DecodeError::OutOfRange);
            }
            let before = before.into_iter().collect();
            Ok(Self { before, missing: Decode::decode(r)? })
        })
    }
}
