//! Remember every step of other devices that was seen, and notice when two contradict each other.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::evidence::Sighting;
use crate::fork::{Branch, ForkProof};
use crate::id::{CoinId, Head};
use crate::keys::PublicKey;
use crate::message::Seen;

/// The steps that were seen, by coin, by number and by head.
///
/// Each is kept under the key that signed it, so that nobody can stand in another's place.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Sightings {
    by_coin: BTreeMap<(PublicKey, CoinId), Branch>,
    by_seq: BTreeMap<(PublicKey, u64), CoinId>,
    by_head: BTreeMap<(PublicKey, Head), CoinId>,
}

impl Sightings {
    /// Every step, one for each coin that it spends.
    pub fn iter(&self) -> impl Iterator<Item = Sighting> {
        let sighting = |((key, _), branch): (&(PublicKey, CoinId), &Branch)| Sighting {
            key: key.clone(),
            branch: branch.clone(),
        };
        self.by_coin.iter().map(sighting)
    }

    /// The head after step `seq` of a device, if that step was seen.
    pub fn head_after(&self, key: &PublicKey, seq: u64) -> Option<Head> {
        self.at(key, seq).map(Branch::head_after)
    }

    /// The head before step `seq` of a device, if that step was seen.
    pub fn head_before(&self, key: &PublicKey, seq: u64) -> Option<Head> {
        self.at(key, seq).map(|branch| branch.step.head)
    }

    /// Whether a step of a device was seen from number `seq` on.
    pub(super) fn knows_from(&self, key: &PublicKey, seq: u64) -> bool {
        self.by_seq.range((key.clone(), seq)..=(key.clone(), u64::MAX)).next().is_some()
    }

    /// The branches of a device that were seen from number `seq` on.
    pub(super) fn branches_from(&self, key: &PublicKey, seq: u64) -> impl Iterator<Item = &Branch> {
        let (first, last) = (CoinId::new([0; 32]), CoinId::new([0xff; 32]));
        let theirs = self.by_coin.range((key.clone(), first)..=(key.clone(), last));
        theirs.map(|(_, branch)| branch).filter(move |branch| branch.step.seq >= seq)
    }

    /// The proof that `new` and something seen before contradict each other. Signatures were
    /// checked before a step comes here.
    pub fn contradiction(&self, new: &Sighting) -> Option<ForkProof> {
        let (key, branch) = (&new.key, &new.branch);
        let seq = branch.step.seq;
        let near = [seq.checked_sub(1), Some(seq), seq.checked_add(1)];
        let by_seq = near.into_iter().flatten().filter_map(|seq| self.at(key, seq));
        let of = |coin: &CoinId| self.by_coin.get(&(key.clone(), *coin));
        let by_head = self.by_head.get(&(key.clone(), branch.step.head)).and_then(of);
        let mut known = of(&branch.coin).into_iter().chain(by_head).chain(by_seq);
        let old = known.find(|old| old.conflict(branch).is_some())?;
        Some(ForkProof { key: key.clone(), a: old.clone().into(), b: branch.clone().into() })
    }

    /// Whether this very spend was seen before.
    pub fn has(&self, sighting: &Sighting) -> bool {
        let known = self.by_coin.get(&(sighting.key.clone(), sighting.branch.coin));
        known == Some(&sighting.branch)
    }

    /// Remembers a step. The first that was seen of a coin, a number or a head stays.
    pub(super) fn put(&mut self, sighting: Sighting) {
        let Sighting { key, branch } = sighting;
        self.by_seq.entry((key.clone(), branch.step.seq)).or_insert(branch.coin);
        self.by_head.entry((key.clone(), branch.step.head)).or_insert(branch.coin);
        self.by_coin.entry((key, branch.coin)).or_insert(branch);
    }

    /// Forgets the spend of a coin.
    pub(super) fn remove(&mut self, key: &PublicKey, coin: &CoinId) {
        let Some(branch) = self.by_coin.remove(&(key.clone(), *coin)) else { return };
        let (seq, head) = ((key.clone(), branch.step.seq), (key.clone(), branch.step.head));
        // A step may spend several coins: whichever is left goes on standing for it.
        let left = |same: fn(&Branch, &Branch) -> bool| {
            self.of(key).find(|(_, other)| same(other, &branch)).map(|(coin, _)| *coin)
        };
        let by_seq = left(|a, b| a.step.seq == b.step.seq);
        let by_head = left(|a, b| a.step.head == b.step.head);
        stand_in(&mut self.by_seq, seq, coin, by_seq);
        stand_in(&mut self.by_head, head, coin, by_head);
    }

    /// What was seen of one device, by coin.
    fn of(&self, key: &PublicKey) -> impl Iterator<Item = (&CoinId, &Branch)> {
        let (first, last) = (CoinId::new([0; 32]), CoinId::new([0xff; 32]));
        let of_key = self.by_coin.range((key.clone(), first)..=(key.clone(), last));
        of_key.map(|((_, coin), branch)| (coin, branch))
    }

    /// How many spends were seen.
    pub fn len(&self) -> usize {
        self.by_coin.len()
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.by_coin.is_empty()
    }

    /// How many spends by one key were seen.
    pub(super) fn count_of(&self, key: &PublicKey) -> usize {
        self.of(key).count()
    }

    /// The short form of `most` steps that were seen, after the first `skip`: those of `known` devices
    /// before those of strangers, of whom anyone can make any number, and the latest first.
    ///
    /// Who is convicted already needs no more comparing; but its steps keep their places, so that
    /// nobody's are passed over when somebody is convicted between two pages.
    pub(super) fn seen(
        &self,
        skip: usize,
        most: usize,
        known: impl Fn(&PublicKey) -> bool,
        convicted: impl Fn(&PublicKey) -> bool,
    ) -> Vec<Seen> {
        if skip >= self.by_coin.len() {
            return Vec::new();
        }
        let mut seen: Vec<_> = self.by_coin.iter().collect();
        seen.sort_by_cached_key(|((key, _), branch)| (!known(key), Reverse(branch.step.seq)));
        let page = seen.into_iter().skip(skip).take(most);
        page.filter(|((key, _), _)| !convicted(key))
            .map(|((key, _), branch)| Seen::of(key, branch))
            .collect()
    }

    /// For each device of which another has seen a step that does not fit what was seen here, one step
    /// that shows it: one convicts as well as many.
    pub(super) fn unlike(
        &self,
        others: &[Seen],
        convicted: impl Fn(&PublicKey) -> bool,
    ) -> Vec<Sighting> {
        let mut told: BTreeMap<[u8; 8], Vec<&Seen>> = BTreeMap::new();
        for other in others {
            told.entry(other.key).or_default().push(other);
        }
        let unlike = |key: &PublicKey| {
            let told = told.get(&Seen::key(key))?;
            let branch = told.iter().find_map(|other| self.unlike_one(key, other))?;
            Some(Sighting { key: key.clone(), branch: branch.clone() })
        };
        self.keys().filter(|key| !convicted(key)).filter_map(unlike).collect()
    }

    /// A step of a device that does not fit another that is told in short. What may not fit is near it
    /// by number, coin or head, so the cost does not grow with what was seen.
    fn unlike_one(&self, key: &PublicKey, other: &Seen) -> Option<&Branch> {
        let seq = other.seq;
        let near = [seq.checked_sub(1), Some(seq), seq.checked_add(1)];
        let by_seq = near.into_iter().flatten().filter_map(|seq| self.at(key, seq));
        let [first, last] =
            [0, 0xff].map(|rest| (key.clone(), CoinId::new(filled(&other.coin, rest))));
        let by_coin = self.by_coin.range(first..=last).map(|(_, branch)| branch);
        let [first, last] =
            [0, 0xff].map(|rest| (key.clone(), Head::new(filled(&other.before, rest))));
        let by_head = self.by_head.range(first..=last);
        let by_head = by_head.filter_map(|(_, coin)| self.by_coin.get(&(key.clone(), *coin)));
        by_seq.chain(by_coin).chain(by_head).find(|branch| !Seen::of(key, branch).fits(other))
    }

    /// The devices of which something was seen, each once.
    fn keys(&self) -> impl Iterator<Item = &PublicKey> {
        let mut last = None;
        self.by_coin.keys().map(|(key, _)| key).filter(move |key| last.replace(*key) != Some(*key))
    }

    fn at(&self, key: &PublicKey, seq: u64) -> Option<&Branch> {
        let coin = self.by_seq.get(&(key.clone(), seq))?;
        self.by_coin.get(&(key.clone(), *coin))
    }
}

/// Puts another coin of the same step in the place of one that goes.
fn stand_in<K: Ord>(index: &mut BTreeMap<K, CoinId>, at: K, gone: &CoinId, other: Option<CoinId>) {
    if index.get(&at) != Some(gone) {
        return;
    }
    match other {
        Some(coin) => index.insert(at, coin),
        None => index.remove(&at),
    };
}

/// A hash that starts so, with the same byte after that.
fn filled(start: &[u8], rest: u8) -> [u8; 32] {
    let mut bytes = [rest; 32];
    bytes[..start.len()].copy_from_slice(start);
    bytes
}
