//! The one place where a root becomes a certified one.

use super::super::state::StateId;
use super::super::trust::TrustBase;
use super::shard::ShardId;
use super::{UnicityCertificate, UnicitySeal};
use crate::id::{Digest, NetworkId};
use crate::time::Time;

/// Why a certificate shows nothing under a trust base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// It is of another network.
    #[error("the certificate is of another network: ask a notary of your own")]
    Network,
    /// Other validators were in charge.
    #[error("the certificate is of another epoch: get the trust base of that epoch")]
    Epoch,
    /// It is of another application of the network.
    #[error("the certificate is of another partition: ask the notary of this one")]
    Partition,
    /// It is of another shard of the partition.
    #[error("the certificate is of another shard: ask the notary of this one")]
    Shard,
    /// The shard ran under another configuration.
    #[error("the certificate is of a shard with another configuration: get a current trust base")]
    Configuration,
    /// A validator would not certify such a round.
    #[error("the certificate states a round that cannot be: ask for it again, or another notary")]
    Record,
    /// The seal is for something else.
    #[error("the seal does not belong to the round: ask for it again, or another notary")]
    SealHash,
    /// A validator's signature is not its own.
    #[error("a validator's signature is wrong: ask for it again, or another notary")]
    Signature,
    /// Too few validators signed.
    #[error("too few validators signed: ask again later, or another notary")]
    Quorum,
}

impl CertificateError {
    /// Stable code of this error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Network => "NOTARY_NETWORK",
            Self::Epoch => "NOTARY_EPOCH",
            Self::Partition => "NOTARY_PARTITION",
            Self::Shard => "NOTARY_SHARD",
            Self::Configuration => "NOTARY_CONFIGURATION",
            Self::Record => "NOTARY_RECORD",
            Self::SealHash => "NOTARY_SEAL_HASH",
            Self::Signature => "NOTARY_SIGNATURE",
            Self::Quorum => "NOTARY_QUORUM",
        }
    }
}

/// A root of the notary's tree for which a quorum of validators vouches. Only
/// [`UnicityCertificate::verify`] makes one, so whoever has one need not check signatures again.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct CertifiedRoot {
    network: NetworkId,
    claims: Claims,
}

/// What a certificate says of its tree, whoever vouches for it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(in super::super) struct Claims {
    pub(in super::super) round: u64,
    pub(in super::super) root: Digest,
    pub(in super::super) time: Time,
    pub(in super::super) shard: ShardId,
}

impl CertifiedRoot {
    /// The network.
    pub fn network(&self) -> NetworkId {
        self.network
    }

    /// The round after which the tree had this root.
    pub fn round(&self) -> u64 {
        self.claims.round
    }

    /// The root.
    pub fn root(&self) -> Digest {
        self.claims.root
    }

    /// Reference time of the round.
    pub fn time(&self) -> Time {
        self.claims.time
    }

    /// Whether the tree is the one that would hold this state.
    pub fn covers(&self, state: &StateId) -> bool {
        self.claims.shard.covers(state)
    }

    pub(in super::super) fn claims(&self) -> &Claims {
        &self.claims
    }
}

impl UnicityCertificate {
    /// Checks everything that a certificate states against a trust base (`WIRE-12` to `WIRE-16`): cheap
    /// checks first, then a signature of each known validator.
    ///
    /// # Errors
    /// [`CertificateError`], the first that applies in the order of its variants.
    pub fn verify(&self, trust: &TrustBase) -> Result<CertifiedRoot, CertificateError> {
        let pinned = trust.partition();
        if self.seal.network != trust.network() {
            return Err(CertificateError::Network);
        }
        if self.seal.epoch != trust.epoch() {
            return Err(CertificateError::Epoch);
        }
        if self.partition.id != pinned.id {
            return Err(CertificateError::Partition);
        }
        if *self.shard.id() != pinned.shard {
            return Err(CertificateError::Shard);
        }
        if self.configuration != pinned.configuration {
            return Err(CertificateError::Configuration);
        }
        if !self.record.is_sound() || !self.seal.is_sound(self.record.timestamp) {
            return Err(CertificateError::Record);
        }
        if self.seal.hash != self.root() {
            return Err(CertificateError::SealHash);
        }
        self.seal.verify_quorum(trust)?;
        Ok(CertifiedRoot { network: trust.network(), claims: self.claims() })
    }

    pub(in super::super) fn claims(&self) -> Claims {
        Claims {
            round: self.record.round,
            root: self.record.hash,
            time: self.record.timestamp,
            shard: self.shard.id().clone(),
        }
    }
}

impl UnicitySeal {
    /// Whether a validator may sign such a seal for a round at time `record`: numbered, and not made before it.
    fn is_sound(&self, record: Time) -> bool {
        self.round != 0 && self.timestamp >= record
    }

    /// Counts the stake of distinct known validators, each of whom must have signed. Names that the trust
    /// base does not have count nothing.
    fn verify_quorum(&self, trust: &TrustBase) -> Result<(), CertificateError> {
        let digest = self.signed_digest();
        let mut stake = 0u64;
        for (id, signature) in self.signatures.iter().flatten() {
            let Some(node) = trust.node(id) else { continue };
            if !node.key.verify(&digest, signature) {
                return Err(CertificateError::Signature);
            }
            stake = stake.saturating_add(node.stake);
        }
        if stake >= trust.quorum() { Ok(()) } else { Err(CertificateError::Quorum) }
    }
}
