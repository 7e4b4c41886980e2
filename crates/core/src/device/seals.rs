//! Know whose hardware counts, and bind coins that arrive to it.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::payee::MAX_LATE;
use super::{Change, Contact, Device, DeviceError, Output, World};
use crate::card::Card;
use crate::cbor::{from_bytes, record};
use crate::evidence::{Evidence, EvidenceError, Holding, Verified};
use crate::id::{AssetId, CoinId, Nonce};
use crate::keys::PublicKey;
use crate::predicate::{Predicate, Sealed};
use crate::seal::{
    Certificates, EnrollmentError, Judge, KnownSeals, Revocation, Revocations, SealCertificate,
    SealId, SealIdentity, SealRefusal, SealTerms, Slot, Word, hear,
};
use crate::time::Time;

/// Most enrollments of one seal that are kept: one is renewed when it ends or firmware is updated.
const MAX_KEPT: usize = 4;

/// A slot from which the seal gives no proof any more, and why it was asked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Burned {
    /// The slot.
    pub slot: Slot,
    /// When that was found.
    pub at: Time,
}

record!(Burned { slot, at });

/// The seals that are known, and what has become of this device's own slots.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Enrolled {
    /// Enrollments that were checked: of contacts, from their cards, and of this device.
    certificates: Certificates,
    revocations: Revocations,
    burned: BTreeMap<Slot, Burned>,
    /// A free slot of this device's seal, for a coin that arrives. It does not survive a restart.
    lock: Option<Sealed>,
    /// Whether its counters cannot be asked now. It does not survive a restart either.
    away: bool,
}

impl Enrolled {
    pub(super) fn add(&mut self, certificate: SealCertificate) {
        let known = self.certificates.entry(certificate.seal()).or_default();
        if known.contains(&certificate) {
            return;
        }
        known.push(certificate);
        known.sort_by_key(|c| core::cmp::Reverse(c.terms().expires));
        known.truncate(MAX_KEPT);
    }

    /// Takes the enrollment from a contact's card, which was checked when it was added.
    pub(super) fn add_contact(&mut self, contact: &Contact) {
        let card = from_bytes::<Card>(contact.card.payload()).ok();
        if let Some(enrollment) = card.and_then(|card| card.enrollment) {
            self.add(enrollment);
        }
    }

    /// Drops the enrollment from the card of a contact that is gone, unless another's card has it.
    pub(super) fn remove_contact<'a>(
        &mut self,
        gone: &Contact,
        mine: &SealIdentity,
        mut left: impl Iterator<Item = &'a Contact>,
    ) {
        let card = from_bytes::<Card>(gone.card.payload()).ok();
        let gone = card.map(|card| card.seal).filter(|seal| seal != mine);
        let Some(SealIdentity::Hardware(seal)) = gone else { return };
        let same = |other: &Contact| {
            let card = from_bytes::<Card>(other.card.payload()).ok();
            card.is_some_and(|card| card.seal == SealIdentity::Hardware(seal))
        };
        if !left.any(same) {
            self.certificates.remove(&seal);
        }
    }

    pub(super) fn revoke(&mut self, revocation: Revocation) {
        self.revocations.insert(revocation.terms().enroller().clone(), revocation);
    }

    pub(super) fn burn(&mut self, burned: Burned) {
        self.burned.insert(burned.slot, burned);
    }

    /// The enrollments of a seal that are known here.
    fn of(&self, seal: &SealId) -> &[SealCertificate] {
        self.certificates.get(seal).map_or(&[], Vec::as_slice)
    }
}

impl Device {
    /// What is known of seals here, for what comes in or goes out.
    pub(super) fn known<'a>(&'a self, world: &World<'a>) -> KnownSeals<'a> {
        let Enrolled { certificates, revocations, .. } = &self.enrolled;
        KnownSeals { proofs: world.seals, certificates, revocations: Some(revocations) }
    }

    /// Who judges what a notary has decided, or this device itself: nobody's word is asked for.
    pub(super) fn decided<'a>(
        &'a self,
        world: &World<'a>,
        came: &'a [SealCertificate],
    ) -> Judge<'a> {
        let (network, seals) = (self.me.network, self.known(world));
        Judge { network, seals, word: Word::Decided, came }
    }

    /// Checks the history of coins that this device holds by all that it knows, and says what they are
    /// worth now. Who was paid before it heard of a revocation has a coin as good as its chip (spec
    /// `SEAL-14`).
    ///
    /// # Errors
    /// [`EvidenceError`] for the first rule that it breaks.
    pub fn verify(
        &self,
        world: &World<'_>,
        evidence: &Evidence,
    ) -> Result<Verified<BTreeMap<CoinId, Holding>>, EvidenceError> {
        self.verify_by(KnownSeals { revocations: None, ..self.known(world) }, world, evidence)
    }

    /// Checks a history that comes in: no seal on a revocation counts in it.
    pub(super) fn verify_incoming(
        &self,
        world: &World<'_>,
        evidence: &Evidence,
    ) -> Result<Verified<BTreeMap<CoinId, Holding>>, EvidenceError> {
        self.verify_by(self.known(world), world, evidence)
    }

    fn verify_by(
        &self,
        known: KnownSeals<'_>,
        world: &World<'_>,
        evidence: &Evidence,
    ) -> Result<Verified<BTreeMap<CoinId, Holding>>, EvidenceError> {
        let bricked = |key: &PublicKey| self.is_bricked(key);
        evidence.verify(&self.trusting(world, known, &bricked), world.now)
    }

    /// This device's own enrollment, the one that ends last.
    pub fn enrollment(&self) -> Option<&SealCertificate> {
        match self.me.seal {
            SealIdentity::Hardware(seal) => self.enrolled.of(&seal).first(),
            SealIdentity::Software => None,
        }
    }

    /// The revocations that are known, by enroller.
    pub fn revocations(&self) -> &Revocations {
        &self.enrolled.revocations
    }

    /// The slots from which this device's seal gives no proof any more.
    pub fn burned(&self) -> impl Iterator<Item = &Burned> {
        self.enrolled.burned.values()
    }

    /// What enrollers say of the seals that proved something in a history that was taken: never show
    /// the tier `Sealed` without it. All that is kept with it counted when it came.
    pub fn seals_in<'a>(&'a self, evidence: &'a Evidence) -> Vec<&'a SealTerms> {
        let of = |seal: SealId| {
            let kept = evidence.enrollments.iter().find(|e| e.seal() == seal);
            kept.or_else(|| self.enrollment().filter(|own| own.seal() == seal))
        };
        evidence.seals().into_iter().filter_map(of).map(SealCertificate::terms).collect()
    }

    /// Whether a slot's seal counts for an asset until `until`, by what is known here.
    ///
    /// # Errors
    /// [`SealRefusal`] for the reason that it does not.
    pub fn vouches(
        &self,
        world: &World<'_>,
        asset: &AssetId,
        slot: &Slot,
        until: Time,
        came: &[SealCertificate],
    ) -> Result<(), SealRefusal> {
        let policy = self.policies.get(asset).ok_or(EnrollmentError::Enroller)?;
        let word = Word::Asset { named: &policy.offline.enrollers, network: None };
        let judge = Judge { network: self.me.network, seals: self.known(world), word, came };
        judge.vouched(slot, until).map(drop)
    }

    /// The slots of this device's seal that are taken at `now`: by a coin, or by terms that are open.
    pub fn taken(&self, now: Time) -> Vec<Slot> {
        let given = self.ledger.pockets().filter(|pocket| !self.ledger.is_foreign(&pocket.id));
        let coins = given.filter_map(|pocket| pocket.coin.as_ref()?.1.owner.slot());
        let open = self.terms.values().filter(|terms| now < terms.expires_at.plus(MAX_LATE));
        let terms = open.filter_map(|terms| terms.owner.slot());
        coins.chain(terms).collect()
    }

    /// The driver found a free slot for a coin that arrives, or none.
    pub(super) fn lock(&mut self, lock: Option<Sealed>) {
        self.enrolled.lock = lock;
    }

    /// The predicate for a coin of an asset that arrives: under the free slot, if there is one and this
    /// device's seal counts for the asset; else the key's, and then it is worth less when it is paid on.
    pub fn predicate_for(&self, world: &World<'_>, asset: &AssetId) -> Predicate {
        let plain = Predicate::Signature(self.me.owner.clone());
        let Some(sealed) = &self.enrolled.lock else { return plain };
        let mine = sealed.key == self.me.owner
            && self.me.seal == SealIdentity::Hardware(sealed.slot.seal)
            && world.now < sealed.until
            && self.taken(world.now).iter().all(|slot| slot.counter != sealed.slot.counter);
        let counts = || self.vouches(world, asset, &sealed.slot, sealed.until, &[]).is_ok();
        if mine && counts() { Predicate::Sealed(sealed.clone()) } else { plain }
    }

    /// Whether this device could move a coin under this predicate, one day: who names another key or
    /// another seal has paid somebody else.
    pub(super) fn is_mine(&self, owner: &Predicate) -> bool {
        let seal = match owner {
            Predicate::Sealed(sealed) => self.me.seal == SealIdentity::Hardware(sealed.slot.seal),
            Predicate::Signature(_) => true,
            Predicate::Reserved(_) => false,
        };
        seal && owner.key() == &self.me.owner
    }

    /// Whether this device gave the lock under which a payment comes, in terms that are open, to one coin.
    /// A slot that it did not give says nothing of its hardware: the counter may be elsewhere, or in use.
    pub(super) fn gave_lock(&self, nonce: &Nonce, owner: &Predicate) -> bool {
        let given = self.terms.get(nonce).is_some_and(|terms| terms.owner == *owner);
        matches!(owner, Predicate::Signature(_)) || (given && !self.is_slot_in_use(owner))
    }

    /// Whether a coin that is here is under the slot of this lock.
    pub(super) fn is_slot_in_use(&self, lock: &Predicate) -> bool {
        let given = self.ledger.pockets().filter(|pocket| !self.ledger.is_foreign(&pocket.id));
        let mut here = given.filter_map(|pocket| pocket.coin.as_ref());
        lock.slot().is_some_and(|slot| here.any(|(_, coin)| coin.owner.slot() == Some(slot)))
    }

    /// When a pocket's coin can be moved again, if it cannot be now: its slot gives no proof, or is not
    /// one that this device gave, and its key alone moves it once the lock has ended. Nothing is lost.
    pub fn locked_until(&self, pocket: &CoinId, owner: &Predicate, now: Time) -> Option<Time> {
        let Predicate::Sealed(sealed) = owner else { return None };
        let stuck = self.enrolled.burned.contains_key(&sealed.slot)
            || self.ledger.is_foreign(pocket)
            || self.me.seal != SealIdentity::Hardware(sealed.slot.seal);
        Some(sealed.until).filter(|until| stuck && now < *until)
    }

    /// The slot that has to be left to spend a coin; none if its key alone moves it: the slot gives no
    /// proof, or its lock has ended and its counter cannot be asked.
    pub(super) fn slot_to_leave(
        &self,
        pocket: &CoinId,
        owner: &Predicate,
        now: Time,
    ) -> Option<Slot> {
        let Predicate::Sealed(sealed) = owner else { return None };
        let without = self.enrolled.burned.contains_key(&sealed.slot)
            || self.ledger.is_foreign(pocket)
            || (self.enrolled.away && now >= sealed.until);
        Some(sealed.slot).filter(|_| !without)
    }

    /// The driver found that the seal's counters cannot be asked, or can be again.
    pub(super) fn set_away(&mut self, away: bool) {
        self.enrolled.away = away;
    }

    /// Whether the seal's counters cannot be asked, as far as this device was told.
    pub fn is_away(&self) -> bool {
        self.enrolled.away
    }

    /// The device was enrolled, or its enrollment was renewed.
    pub(super) fn enroll(&mut self, certificate: SealCertificate) -> Result<Output, DeviceError> {
        certificate.check(self.me.network)?;
        if self.me.seal != SealIdentity::Hardware(certificate.seal()) {
            return Err(DeviceError::NotForMe);
        }
        Ok(self.record([Change::Enrollment(Box::new(certificate))]))
    }

    /// Whether some asset here names an enroller.
    pub(super) fn hears(&self, enroller: &PublicKey) -> bool {
        self.policies.values().any(|policy| policy.offline.enrollers.contains(enroller))
    }

    /// The enrollers that assets here name.
    pub(super) fn heard_enrollers(&self) -> BTreeSet<&PublicKey> {
        self.policies.values().flat_map(|policy| policy.offline.enrollers.iter()).collect()
    }

    /// An enroller takes enrollments back. It is heard if some asset here names it.
    pub(super) fn revoked(&mut self, list: Revocation) -> Result<Output, DeviceError> {
        hear(&list, self.me.network, |by| self.hears(by), &self.enrolled.revocations)?;
        // What was checked of an open offer may rest on it.
        self.offers.clear();
        Ok(self.record([Change::Revocation(Box::new(list))]))
    }

    /// A history with this device's own enrollments, as a notary or a stranger needs it.
    pub fn with_own_enrollments(&self, evidence: Evidence) -> Evidence {
        let SealIdentity::Hardware(seal) = self.me.seal else { return evidence };
        let all = evidence.enrollments.iter().cloned();
        let all = all.chain(self.enrolled.of(&seal).iter().cloned());
        evidence.clone().enrolled(all).unwrap_or(evidence)
    }

    /// The same without them, as it is kept and offered: whoever is paid has the card.
    pub(super) fn without_own_enrollments(&self, evidence: Evidence) -> Evidence {
        let SealIdentity::Hardware(seal) = self.me.seal else { return evidence };
        let others = evidence.enrollments.iter().filter(|e| e.seal() != seal).cloned();
        evidence.clone().enrolled(others).unwrap_or(evidence)
    }
}
