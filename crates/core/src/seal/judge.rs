//! Decide whether a slot proof counts. Nothing else decides it.
//!
//! A payee asks before the payer signs ([`Judge::vouched`]) and after ([`Judge::proved`]), a payer
//! before it signs, a notary before it certifies, and a viewer of what was certified. They differ in
//! what they trust, which is data: the fields of [`Judge`]. The rules are one list, `CHECKS`, and each
//! certificate at hand is held against it in its order. No rule asks for the time of day: a notary
//! must decide tomorrow as a payee did today.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use crate::id::{NetworkId, TxId};
use crate::keys::PublicKey;
use crate::seal::{
    EnrollmentError, Hardware, NoSeals, Revocation, SealCertificate, SealId, SealRefusal, Slot,
    SlotError, SlotProof, SlotVerifier,
};
use crate::time::Time;

/// The certificate under which something counts, or why nothing does.
pub type Verdict<'a> = Result<&'a SealCertificate, SealRefusal>;

/// Certificates that are known, by seal.
pub type Certificates = BTreeMap<SealId, Vec<SealCertificate>>;

/// The newest revocation list of each enroller.
pub type Revocations = BTreeMap<PublicKey, Revocation>;

static NO_CERTIFICATES: Certificates = Certificates::new();

/// What a verifier knows of seals, whichever coin it is asked about.
#[derive(Clone, Copy)]
pub struct KnownSeals<'a> {
    /// Checks what hardware signed.
    pub proofs: &'a dyn SlotVerifier,
    /// The certificates that are known here. Where they came from does not matter: each is checked.
    pub certificates: &'a Certificates,
    /// The revocations to take into account, if any. A payment that was accepted before its seal was
    /// revoked is judged without them (spec `SEAL-14`).
    pub revocations: Option<&'a Revocations>,
}

impl<'a> KnownSeals<'a> {
    /// Knows no certificate but those that come with a proof, and takes no revocations.
    pub const fn none(proofs: &'a dyn SlotVerifier) -> Self {
        Self { proofs, certificates: &NO_CERTIFICATES, revocations: None }
    }
}

impl Default for KnownSeals<'_> {
    /// Trusts no hardware.
    fn default() -> Self {
        Self::none(&NoSeals)
    }
}

impl fmt::Debug for KnownSeals<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownSeals")
            .field("certificates", self.certificates)
            .field("revocations", &self.revocations)
            .finish_non_exhaustive()
    }
}

/// Whose word for a seal counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Word<'a> {
    /// That of the enrollers whom the coin's asset names and, where the network's list is known, the
    /// network too: for a payer and a payee.
    Asset {
        /// The enrollers in the asset's policy.
        named: &'a [PublicKey],
        /// The network's enrollers, where they are known.
        network: Option<&'a [PublicKey]>,
    },
    /// That of the network's enrollers: for a notary, who sees no assets.
    Network(&'a [PublicKey]),
    /// That of any enroller, and no revocation undoes it: for a spend that a notary has certified, and
    /// for a device's own step.
    Decided,
}

/// Decides whether slot proofs count, by what is trusted.
#[derive(Clone, Copy, Debug)]
pub struct Judge<'a> {
    /// The network that the coin is on.
    pub network: NetworkId,
    /// What is known of seals.
    pub seals: KnownSeals<'a>,
    /// Whose word counts.
    pub word: Word<'a>,
    /// Certificates that came with the coin, unchecked.
    pub came: &'a [SealCertificate],
}

impl<'a> Judge<'a> {
    /// For a notary whose network has these enrollers. It keeps nothing, so that every validator
    /// decides the same, and takes no revocations: who was paid before hearing of one must be able to
    /// settle (spec `SEAL-14`, `SEAL-20`).
    pub const fn of_notary(
        network: NetworkId,
        proofs: &'a dyn SlotVerifier,
        enrollers: &'a [PublicKey],
    ) -> Self {
        let (seals, word) = (KnownSeals::none(proofs), Word::Network(enrollers));
        Self { network, seals, word, came: &[] }
    }

    /// For whoever looks at what a notary has certified: the notary decided whose word counts.
    pub const fn of_certified(network: NetworkId, proofs: &'a dyn SlotVerifier) -> Self {
        Self { network, seals: KnownSeals::none(proofs), word: Word::Decided, came: &[] }
    }

    /// Whether a proof for `slot` would count, of a coin whose lock ends at `until`: all that can be
    /// said before there is one.
    ///
    /// # Errors
    /// [`SealRefusal`]: what the certificate broke that got furthest.
    pub fn vouched(&self, slot: &Slot, until: Time) -> Verdict<'a> {
        self.decide(&Question { slot, until, left: None }, &CHECKS)
    }

    /// Whether `proof` shows that the counter left `slot` for `tx_id`, under a certificate that counts
    /// for a coin whose lock ends at `until`.
    ///
    /// # Errors
    /// [`SealRefusal`]: what the certificate broke that got furthest.
    pub fn proved(&self, slot: &Slot, until: Time, tx_id: &TxId, proof: &SlotProof) -> Verdict<'a> {
        self.decide(&Question { slot, until, left: Some((tx_id, proof)) }, &CHECKS)
    }

    fn decide(&self, question: &Question<'_>, checks: &[Check]) -> Verdict<'a> {
        let known = self.seals.certificates.get(&question.slot.seal).into_iter().flatten();
        let mut refusal = SealRefusal::Slot(SlotError::Seal);
        let mut furthest = 0;
        for certificate in known.chain(self.came) {
            let broken = |check: &Check| check(self, question, certificate).err();
            let broken = (0_usize..).zip(checks).find_map(|(at, check)| Some((at, broken(check)?)));
            match broken {
                None => return Ok(certificate),
                Some((at, why)) if at >= furthest => (furthest, refusal) = (at, why),
                Some(_) => {}
            }
        }
        Err(refusal)
    }
}

/// What is asked of a certificate.
struct Question<'a> {
    slot: &'a Slot,
    /// When the coin's lock ends.
    until: Time,
    /// For which transaction the slot was left, and what is to prove it, if it was.
    left: Option<(&'a TxId, &'a SlotProof)>,
}

type Check = fn(&Judge<'_>, &Question<'_>, &SealCertificate) -> Result<(), SealRefusal>;

/// Every rule, the cheapest first, so that what anybody can make up costs no signature check.
const CHECKS: [Check; 8] =
    [of_seal, has_counter, is_named, is_for_value, covers_lock, stands, is_issued, proves];

/// `SEAL-6`: the certificate is of the slot's seal.
fn of_seal(_: &Judge<'_>, asked: &Question<'_>, of: &SealCertificate) -> Result<(), SealRefusal> {
    if of.seal() == asked.slot.seal { Ok(()) } else { Err(SlotError::Seal.into()) }
}

/// `SEAL-6`, `SEAL-9`: the seal has the slot's counter, and it can leave the slot.
fn has_counter(
    _: &Judge<'_>,
    asked: &Question<'_>,
    of: &SealCertificate,
) -> Result<(), SealRefusal> {
    let Hardware::Tpm(tpm) = &of.terms().hardware;
    let there = tpm.handle(asked.slot.counter).is_some() && asked.slot.next().is_some();
    if there { Ok(()) } else { Err(SlotError::Counter.into()) }
}

/// `SEAL-12`, `SEAL-18`, `SEAL-20`: the enroller is one whose word counts.
fn is_named(judge: &Judge<'_>, _: &Question<'_>, of: &SealCertificate) -> Result<(), SealRefusal> {
    let enroller = &of.terms().enroller;
    let counts = match judge.word {
        Word::Asset { named, network } => {
            named.contains(enroller) && network.is_none_or(|network| network.contains(enroller))
        }
        Word::Network(network) => network.contains(enroller),
        Word::Decided => true,
    };
    if counts { Ok(()) } else { Err(EnrollmentError::Enroller.into()) }
}

/// `SEAL-12`: hardware that can be copied counts on a network for development only.
fn is_for_value(
    judge: &Judge<'_>,
    _: &Question<'_>,
    of: &SealCertificate,
) -> Result<(), SealRefusal> {
    let counts = !of.terms().development || judge.network.is_development();
    if counts { Ok(()) } else { Err(EnrollmentError::Development.into()) }
}

/// `SEAL-13`: the certificate lasts until the lock's end.
fn covers_lock(
    _: &Judge<'_>,
    asked: &Question<'_>,
    of: &SealCertificate,
) -> Result<(), SealRefusal> {
    if of.terms().expires >= asked.until { Ok(()) } else { Err(EnrollmentError::Ends.into()) }
}

/// `SEAL-14`: its enroller has not taken it back, as far as that counts here.
fn stands(judge: &Judge<'_>, _: &Question<'_>, of: &SealCertificate) -> Result<(), SealRefusal> {
    let lists = match judge.word {
        Word::Asset { .. } | Word::Network(_) => judge.seals.revocations,
        Word::Decided => None,
    };
    let list = lists.and_then(|lists| lists.get(&of.terms().enroller));
    let revoked = list.is_some_and(|list| list.terms().takes_back(&of.seal()));
    if revoked { Err(EnrollmentError::Revoked.into()) } else { Ok(()) }
}

/// `SEAL-5`: the enroller that it names issued it, for this network.
fn is_issued(judge: &Judge<'_>, _: &Question<'_>, of: &SealCertificate) -> Result<(), SealRefusal> {
    Ok(of.check(judge.network)?)
}

/// `SEAL-7` to `SEAL-11`: the hardware signed that its counter left the slot for the transaction.
fn proves(
    judge: &Judge<'_>,
    asked: &Question<'_>,
    of: &SealCertificate,
) -> Result<(), SealRefusal> {
    match asked.left {
        Some((tx, proof)) => Ok(judge.seals.proofs.attests(of, asked.slot, tx, proof)?),
        None => Ok(()),
    }
}

/// Whether an enroller's list is to be heard: by an enroller whose word counts for some asset here,
/// newer than what is known of it, and signed by it for this network (spec `SEAL-14`).
///
/// # Errors
/// [`EnrollmentError`] for the first of these that does not hold.
pub fn hear(
    list: &Revocation,
    network: NetworkId,
    counts: impl Fn(&PublicKey) -> bool,
    known: &Revocations,
) -> Result<(), EnrollmentError> {
    let terms = list.terms();
    if !counts(terms.enroller()) {
        return Err(EnrollmentError::Enroller);
    }
    let known = known.get(terms.enroller()).map(|known| known.terms().number());
    if known.is_some_and(|known| known >= terms.number()) {
        return Err(EnrollmentError::Stale);
    }
    list.check(network)
}

#[cfg(all(test, feature = "p256"))]
mod tests;
