//! Know the seals that accepted enrollers vouch for, and check their proofs.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::id::{NetworkId, TxId};
use crate::keys::PublicKey;
use crate::seal::verify::Checker;
use crate::seal::{EnrollmentError, Revocation, SealCertificate, SealId, SealTerms};
use crate::seal::{Slot, SlotProof, SlotVerifier};
use crate::time::Time;

/// Most seals that one registry knows.
pub const MAX_SEALS: usize = 65_536;
/// Most certificates of one seal: one is renewed when it ends or when firmware is updated, and what
/// was proved under an older one stays proved.
pub const MAX_CERTIFICATES: usize = 4;

/// The seals that are known here, by the word of the enrollers that are accepted here.
///
/// A wallet tells it the revocations that it meets. A notary does not: a payee who took a payment
/// before it heard of a revocation must be able to settle it.
#[derive(Clone, Debug)]
pub struct Seals {
    network: NetworkId,
    enrollers: BTreeSet<PublicKey>,
    development: bool,
    seals: BTreeMap<SealId, Vec<Enrolled>>,
    revocations: BTreeMap<PublicKey, Revocation>,
}

/// A certificate that was checked.
#[derive(Clone, Debug)]
struct Enrolled {
    certificate: SealCertificate,
    checker: Checker,
}

impl Seals {
    /// Knows no seal yet, and accepts the word of `enrollers` on `network`.
    pub fn new(network: NetworkId, enrollers: impl IntoIterator<Item = PublicKey>) -> Self {
        Self {
            network,
            enrollers: enrollers.into_iter().collect(),
            development: false,
            seals: BTreeMap::new(),
            revocations: BTreeMap::new(),
        }
    }

    /// Accepts seals that are flagged as for development, which can be copied and pay twice. For
    /// networks without value only.
    #[must_use]
    pub fn with_development(mut self) -> Self {
        self.development = true;
        self
    }

    /// Takes a certificate, from a contact's card, a coin's evidence or an enroller. Taking one
    /// again changes nothing.
    ///
    /// # Errors
    /// [`EnrollmentError`] for the first rule that it breaks.
    pub fn learn(&mut self, certificate: SealCertificate) -> Result<SealId, EnrollmentError> {
        let seal = certificate.seal();
        if self.seals.get(&seal).is_some_and(|all| all.iter().any(|e| e.certificate == certificate))
        {
            return Ok(seal);
        }
        let terms = certificate.terms();
        if !self.enrollers.contains(&terms.enroller) {
            return Err(EnrollmentError::Enroller);
        }
        if terms.development && !self.development {
            return Err(EnrollmentError::Development);
        }
        if self.is_revoked(terms) {
            return Err(EnrollmentError::Revoked);
        }
        certificate.check(self.network)?;
        // A key that is none makes no proof, so nothing is lost by calling it badly signed.
        let checker = Checker::new(&terms.hardware).map_err(|_| EnrollmentError::Signature)?;
        self.make_room(&seal, &certificate)?;
        self.seals.entry(seal).or_default().push(Enrolled { certificate, checker });
        Ok(seal)
    }

    /// Takes an enroller's newest list of seals that it no longer vouches for.
    ///
    /// # Errors
    /// [`EnrollmentError`] for the first rule that it breaks.
    pub fn revoke(&mut self, list: Revocation) -> Result<(), EnrollmentError> {
        let enroller = list.terms().enroller();
        if !self.enrollers.contains(enroller) {
            return Err(EnrollmentError::Enroller);
        }
        let known = self.revocations.get(enroller).map(|known| known.terms().number());
        if known.is_some_and(|known| known >= list.terms().number()) {
            return Err(EnrollmentError::Stale);
        }
        list.check(self.network)?;
        self.revocations.insert(enroller.clone(), list);
        Ok(())
    }

    /// The revocations that are known, to pass on.
    pub fn revocations(&self) -> impl Iterator<Item = &Revocation> {
        self.revocations.values()
    }

    /// Of the certificates of a seal that still count, the one that ends last.
    pub fn certificate(&self, seal: &SealId) -> Option<&SealCertificate> {
        self.enrolled(seal).map(|e| &e.certificate).max_by_key(|c| c.terms().expires)
    }

    /// Forgets a seal.
    pub fn forget(&mut self, seal: &SealId) {
        self.seals.remove(seal);
    }

    fn enrolled(&self, seal: &SealId) -> impl Iterator<Item = &Enrolled> {
        let all = self.seals.get(seal).into_iter().flatten();
        all.filter(|e| !self.is_revoked(e.certificate.terms()))
    }

    fn is_revoked(&self, terms: &SealTerms) -> bool {
        let list = self.revocations.get(&terms.enroller);
        let seal = terms.hardware.seal();
        list.is_some_and(|list| list.terms().seals().binary_search(&seal).is_ok())
    }

    /// Drops the certificate of a seal that ends first, if there are too many; a new one that would
    /// end before all of them is refused.
    fn make_room(&mut self, seal: &SealId, new: &SealCertificate) -> Result<(), EnrollmentError> {
        let full = self.seals.len() >= MAX_SEALS;
        let Some(known) = self.seals.get_mut(seal) else {
            return if full { Err(EnrollmentError::TooMany) } else { Ok(()) };
        };
        if known.len() < MAX_CERTIFICATES {
            return Ok(());
        }
        let end = |e: &Enrolled| e.certificate.terms().expires;
        let first = known.iter().enumerate().min_by_key(|(_, e)| end(e));
        match first.map(|(at, e)| (at, end(e))) {
            Some((at, ends)) if ends < new.terms().expires => {
                known.swap_remove(at);
                Ok(())
            }
            _ => Err(EnrollmentError::TooMany),
        }
    }
}

impl SlotVerifier for Seals {
    fn proves(&self, slot: &Slot, tx_id: &TxId, proof: &SlotProof) -> bool {
        self.enrolled(&slot.seal).any(|e| e.checker.verify(slot, tx_id, proof).is_ok())
    }

    fn proves_until(&self, slot: &Slot, until: Time, tx_id: &TxId, proof: &SlotProof) -> bool {
        self.enrolled(&slot.seal)
            .filter(|e| e.certificate.terms().expires >= until)
            .any(|e| e.checker.verify(slot, tx_id, proof).is_ok())
    }
}
