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
        if self.by_seq.get(&seq) == Some(coin) {
            self.by_seq.remove(&seq);
        }
        if self.by_head.get(&head) == Some(coin) {
            self.by_head.remove(&head);
        }
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
        let (first, last) = (CoinId::new([0; 32]), CoinId::new([0xff; 32]));
        self.by_coin.range((key.clone(), first)..=(key.clone(), last)).count()
    }

    /// The short form of `most` steps that were seen: those of `known` devices before those of
    /// strangers, of whom anyone can make any number, and the latest first.
    ///
    /// Who is convicted already needs no more comparing. `page` counts in steps of `most`.
    pub(super) fn seen(
        &self,
        page: u32,
        most: usize,
        known: impl Fn(&PublicKey) -> bool,
        convicted: impl Fn(&PublicKey) -> bool,
    ) -> Vec<Seen> {
        let skip = usize::try_from(page).unwrap_or(usize::MAX).saturating_mul(most);
        if skip >= self.by_coin.len() && page > 0 {
            return Vec::new();
        }
        let steps = self.by_coin.iter().filter(|((key, _), _)| !convicted(key));
        let mut seen: Vec<_> = steps.collect();
        seen.sort_by_cached_key(|((key, _), branch)| (!known(key), Reverse(branch.step.seq)));
        seen.into_iter()
            .skip(skip)
            .take(most)
            .map(|((key, _), branch)| Seen::of(key, branch))
            .collect()
    }

    /// The steps that do not fit something that another device has seen.
    pub(super) fn unlike(
        &self,
        others: &[Seen],
        most: usize,
        convicted: impl Fn(&PublicKey) -> bool,
    ) -> Vec<Sighting> {
        let unlike = |s: &Sighting| {
            if convicted(&s.key) {
                return false;
            }
            let mine = Seen::of(&s.key, &s.branch);
            others.iter().any(|other| !mine.fits(other))
        };
        self.iter().filter(unlike).take(most).collect()
    }

    fn at(&self, key: &PublicKey, seq: u64) -> Option<&Branch> {
        let coin = self.by_seq.get(&(key.clone(), seq))?;
        self.by_coin.get(&(key.clone(), *coin))
    }
}
