//! Check that the first spend of a state is in a certified tree.

use tally_tree::{ExclusionCertificate, InclusionCertificate, MAX_CERTIFICATE_BYTES};

use super::certificate::{CertificateError, CertifiedRoot, Claims, UnicityCertificate};
use super::predicate::{Engine, unlocked};
use super::request::CertificationData;
use super::state::{LeafValue, Spend, StateId};
use super::trust::TrustBase;
use super::version;
use crate::cbor::{Decode, DecodeError, Encode, Reader, Writer, record};
use crate::time::Time;

const TAG: u64 = 39033;
const VERSION: u64 = 1;

/// Why a proof does not show that a spend is certified. Codes of the rules that the wire format has are its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The notary has not certified any spend of the state yet.
    #[error("the spend is not certified yet: ask again in a second")]
    Pending,
    /// Another transaction spent the state first.
    #[error("another transaction spent this first: the payment cannot be certified")]
    TransactionHashMismatch,
    /// The proof is about another predicate, state or deadline.
    #[error("the proof is about something else: ask for it again, or another notary")]
    CertificationDataMismatch,
    /// It was certified at or after its deadline.
    #[error("the spend was certified after its deadline: do not accept it")]
    RequestExpired,
    /// The leaf claims to be younger than the round that certifies it.
    #[error("the proof is from the future of its own round: ask another notary")]
    ReferenceTimeAfterRound,
    /// The leaf is not in the tree.
    #[error("the proof does not lead to the certified root: ask for it again, or another notary")]
    PathInvalid,
    /// Another shard holds the state.
    #[error("the proof is from a shard that does not hold this state: ask that shard's notary")]
    ShardIdMismatch,
    /// The certificate is not vouched for.
    #[error("the proof's certificate is not valid: {0}")]
    InvalidTrustBase(#[from] CertificateError),
    /// The owner did not allow the transaction.
    #[error("the owner did not allow this transaction: do not accept it")]
    NotAuthenticated,
}

impl ProofError {
    /// Stable code of this error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Pending => "NOT_CERTIFIED_YET",
            Self::TransactionHashMismatch => "TRANSACTION_HASH_MISMATCH",
            Self::CertificationDataMismatch => "CERTIFICATION_DATA_MISMATCH",
            Self::RequestExpired => "REQUEST_EXPIRED",
            Self::ReferenceTimeAfterRound => "REFERENCE_TIME_AFTER_ROUND",
            Self::PathInvalid => "PATH_INVALID",
            Self::ShardIdMismatch => "SHARD_ID_MISMATCH",
            Self::InvalidTrustBase(_) => "INVALID_TRUSTBASE",
            Self::NotAuthenticated => "NOT_AUTHENTICATED",
        }
    }
}

/// A spend that is the first of its state in a certified tree. Only a verifier makes one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Certified {
    state: StateId,
    round: u64,
    certified_at: Time,
    reference_time: Time,
}

impl Certified {
    /// The state that is spent.
    pub fn state_id(&self) -> StateId {
        self.state
    }

    /// The round whose root the proof leads to; the spend may be older.
    pub fn round(&self) -> u64 {
        self.round
    }

    /// Reference time of that round.
    pub fn certified_at(&self) -> Time {
        self.certified_at
    }

    /// Reference time of the round in which the spend itself was certified.
    pub fn reference_time(&self) -> Time {
        self.reference_time
    }
}

impl CertifiedRoot {
    /// Checks that the tree holds `spend`, made at `reference_time` (`WIRE-18`). The owner's
    /// permission is not in question here: a caller that has no [`LeafProof`] must check it.
    ///
    /// # Errors
    /// [`ProofError`], the first that applies.
    pub fn includes(
        &self,
        spend: &Spend<'_>,
        reference_time: Time,
        path: &InclusionCertificate,
    ) -> Result<Certified, ProofError> {
        self.claims().include(spend, reference_time, path)
    }

    /// Checks that no spend of `state` is in the tree, so that it was unspent at this round (`WIRE-21`).
    ///
    /// # Errors
    /// [`ProofError::PathInvalid`] or [`ProofError::ShardIdMismatch`] if the certificate does not show that.
    pub fn excludes(&self, state: &StateId, path: &ExclusionCertificate) -> Result<(), ProofError> {
        path.verify(&self.claims().tree_root(), &(*state).into())
            .map_err(|_| ProofError::PathInvalid)?;
        if self.covers(state) { Ok(()) } else { Err(ProofError::ShardIdMismatch) }
    }
}

impl Claims {
    fn tree_root(&self) -> tally_tree::Digest {
        (*self.root.as_bytes()).into()
    }

    fn include(
        &self,
        spend: &Spend<'_>,
        reference_time: Time,
        path: &InclusionCertificate,
    ) -> Result<Certified, ProofError> {
        if spend.expires_at.is_some_and(|deadline| reference_time >= deadline) {
            return Err(ProofError::RequestExpired);
        }
        if reference_time > self.time {
            return Err(ProofError::ReferenceTimeAfterRound);
        }
        let state = spend.state_id();
        let value = LeafValue::of(&spend.transaction, reference_time);
        path.verify(&self.tree_root(), &state.into(), &value.into())
            .map_err(|_| ProofError::PathInvalid)?;
        if !self.shard.covers(&state) {
            return Err(ProofError::ShardIdMismatch);
        }
        Ok(Certified { state, round: self.round, certified_at: self.time, reference_time })
    }
}

/// A spend with its place in the tree: all that is particular to one leaf of a round.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct LeafProof {
    /// The spend, and what unlocked it.
    pub data: CertificationData,
    /// Reference time of the round in which the leaf was made.
    pub reference_time: Time,
    /// The way from the leaf to the root.
    pub path: InclusionCertificate,
}

impl LeafProof {
    /// Checks that `expected` is certified under a root that was verified before (`WIRE-17`, `WIRE-18`, `WIRE-20`).
    ///
    /// # Errors
    /// [`ProofError`], the first that applies in the order of its variants.
    pub fn verify(
        &self,
        expected: &Spend<'_>,
        root: &CertifiedRoot,
        engine: &dyn Engine,
    ) -> Result<Certified, ProofError> {
        let certified = self.check(expected, root.claims())?;
        self.authenticate(expected, engine)?;
        Ok(certified)
    }

    fn check(&self, expected: &Spend<'_>, claims: &Claims) -> Result<Certified, ProofError> {
        let stated = self.data.spend();
        if stated.transaction != expected.transaction {
            return Err(ProofError::TransactionHashMismatch);
        }
        if stated != *expected {
            return Err(ProofError::CertificationDataMismatch);
        }
        claims.include(expected, self.reference_time, &self.path)
    }

    fn authenticate(&self, expected: &Spend<'_>, engine: &dyn Engine) -> Result<(), ProofError> {
        if unlocked(expected, self.data.unlock.as_slice(), engine, self.reference_time) {
            Ok(())
        } else {
            Err(ProofError::NotAuthenticated)
        }
    }
}

/// A notary's answer about a state: `39033([1, data, reference_time, path, certificate])`.
///
/// The first three are there together, or, as long as no spend of the state is certified, all null.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct InclusionProof {
    /// The first spend of the state, if any.
    pub leaf: Option<LeafProof>,
    /// The latest certificate.
    pub certificate: UnicityCertificate,
}

impl InclusionProof {
    /// Checks that `expected` is certified by the validators of `trust` (`WIRE-17` to `WIRE-20`).
    ///
    /// # Errors
    /// [`ProofError`], the first that applies in the order of its variants.
    pub fn verify(
        &self,
        expected: &Spend<'_>,
        trust: &TrustBase,
        engine: &dyn Engine,
    ) -> Result<Certified, ProofError> {
        let leaf = self.leaf.as_ref().ok_or(ProofError::Pending)?;
        let certified = leaf.check(expected, &self.certificate.claims())?;
        self.certificate.verify(trust)?;
        leaf.authenticate(expected, engine)?;
        Ok(certified)
    }
}

impl Encode for InclusionProof {
    fn encode(&self, w: &mut Writer) {
        w.tag(TAG);
        w.array(5);
        w.uint(VERSION);
        match &self.leaf {
            None => (0..3).for_each(|_| w.null()),
            Some(leaf) => {
                leaf.data.encode(w);
                leaf.reference_time.encode(w);
                w.bytes(&leaf.path.encode());
            }
        }
        self.certificate.encode(w);
    }
}

impl Decode for InclusionProof {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.tagged(TAG, |r| {
            r.record(5, |r| {
                version(r, VERSION)?;
                Ok(Self { leaf: leaf(r)?, certificate: Decode::decode(r)? })
            })
        })
    }
}

/// Three fields, or three nulls: anything between is of the wrong type.
fn leaf(r: &mut Reader<'_>) -> Result<Option<LeafProof>, DecodeError> {
    if r.null()? {
        let both = r.null()? && r.null()?;
        return if both { Ok(None) } else { Err(DecodeError::WrongType) };
    }
    let data = Decode::decode(r)?;
    let reference_time = Decode::decode(r)?;
    let path = InclusionCertificate::decode(r.bytes(MAX_CERTIFICATE_BYTES)?)
        .map_err(|_| DecodeError::WrongLength)?;
    Ok(Some(LeafProof { data, reference_time, path }))
}

/// The whole answer, untagged: `[block_number, proof]`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ProofResponse {
    /// The round that the notary was in. Nobody vouches for it: use [`Certified::round`].
    pub block_number: u64,
    /// The answer.
    pub proof: InclusionProof,
}

record!(ProofResponse { block_number, proof });
