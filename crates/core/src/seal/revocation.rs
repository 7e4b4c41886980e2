//! Take enrollments back: an enroller's signed list of seals that its word no longer holds for.

use crate::cbor::{Decode, DecodeError, Encode, List, Reader, Writer, record};
use crate::hash::{Tag, hash};
use crate::id::{Digest, NetworkId};
use crate::keys::{PublicKey, SecretKey, Signature};
use crate::seal::{EnrollmentError, SealId};

/// The version of revocation lists that this program reads and writes.
pub const REVOCATION_VERSION: u8 = 1;
/// Most seals on one list.
pub const MAX_REVOKED: usize = 4096;

/// Seals in ascending order, each once.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Revoked(List<SealId, MAX_REVOKED>);

/// What an enroller takes back.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct RevocationTerms {
    version: u8,
    network: NetworkId,
    enroller: PublicKey,
    number: u64,
    seals: Revoked,
}

record!(RevocationTerms { version, network, enroller, number, seals });

impl RevocationTerms {
    /// The list number `number` of an enroller; a list with a higher number replaces it. Order and
    /// repetition of `seals` do not matter.
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`] above [`MAX_REVOKED`] seals.
    pub fn new(
        network: NetworkId,
        enroller: PublicKey,
        number: u64,
        mut seals: alloc::vec::Vec<SealId>,
    ) -> Result<Self, DecodeError> {
        seals.sort_unstable();
        seals.dedup();
        let seals = Revoked(List::new(seals)?);
        Ok(Self { version: REVOCATION_VERSION, network, enroller, number, seals })
    }

    /// Whose list it is.
    pub const fn enroller(&self) -> &PublicKey {
        &self.enroller
    }

    /// The list's number.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// The seals, in ascending order.
    pub fn seals(&self) -> &[SealId] {
        &self.seals.0
    }

    /// Whether the enroller takes its word for this seal back.
    pub fn takes_back(&self, seal: &SealId) -> bool {
        self.seals().binary_search(seal).is_ok()
    }
}

/// A signed list of seals that an enroller no longer vouches for, 34 bytes a seal. It is passed on
/// like a fork proof.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Revocation {
    terms: RevocationTerms,
    signature: Signature,
}

record!(Revocation { terms, signature });

impl Revocation {
    /// Signs a list with the enroller's key.
    pub fn issue(terms: RevocationTerms, enroller: &SecretKey) -> Self {
        let signature = enroller.sign(&Self::digest(&terms));
        Self { terms, signature }
    }

    /// Joins a list and the enroller's signature on [`Revocation::digest`].
    pub const fn new(terms: RevocationTerms, signature: Signature) -> Self {
        Self { terms, signature }
    }

    /// What an enroller signs: `H("revocation", terms)`.
    pub fn digest(terms: &RevocationTerms) -> Digest {
        Digest::new(hash(Tag::Revocation, &[terms]))
    }

    /// The list.
    pub const fn terms(&self) -> &RevocationTerms {
        &self.terms
    }

    /// Whether it is what it says: of a known version, for `network`, signed by its enroller.
    ///
    /// # Errors
    /// [`EnrollmentError`] for the first rule that it breaks.
    pub fn check(&self, network: NetworkId) -> Result<(), EnrollmentError> {
        if self.terms.version != REVOCATION_VERSION {
            return Err(EnrollmentError::Version);
        }
        if self.terms.network != network {
            return Err(EnrollmentError::Network);
        }
        if !self.terms.enroller.verify(&Self::digest(&self.terms), &self.signature) {
            return Err(EnrollmentError::Signature);
        }
        Ok(())
    }
}

impl Encode for Revoked {
    fn encode(&self, w: &mut Writer) {
        self.0.encode(w);
    }
}

impl Decode for Revoked {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let seals: List<SealId, MAX_REVOKED> = Decode::decode(r)?;
        if seals.windows(2).all(|pair| pair[0] < pair[1]) {
            Ok(Self(seals))
        } else {
            Err(DecodeError::Unsorted)
        }
    }
}
