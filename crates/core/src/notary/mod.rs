//! Speak the notary's wire format (Unicity generation 4), and check what a notary answers.
//!
//! A payer asks with a [`CertificationRequest`]; the answer is a [`ProofResponse`]: a [`LeafProof`] that
//! the first spend of a state is in the notary's tree, and the [`UnicityCertificate`] by which a quorum of
//! validators vouches for that tree's root. [`InclusionProof::verify`] checks both against a [`TrustBase`].
//! Many leaves under one certificate cost its signatures once: [`UnicityCertificate::verify`] gives a
//! [`CertifiedRoot`], and [`LeafProof::verify`] takes it.
//!
//! What a certificate shows rests on fewer than a third of the validators (by stake) being malicious, on
//! SHA-256 having no collisions, and on the trust base coming from someone honest. The format is not
//! ours, so hashes here are plain SHA-256 over CBOR (`spec/notary-wire.md`, `WIRE-1` to `WIRE-27`).
//!
//! ```
//! use tally_core::cbor::{from_bytes, to_bytes};
//! use tally_core::keys::SecretKey;
//! use tally_core::notary::{CertificationData, CertificationRequest, StateHash, TransactionHash};
//!
//! let key = SecretKey::new([0x22; 32])?;
//! let (source, transaction) = (StateHash::new([1; 32]), TransactionHash::new([2; 32]));
//! let request = CertificationRequest::new(CertificationData::signed(&key, source, transaction, None));
//!
//! let bytes = to_bytes(&request);
//! assert_eq!(bytes.len(), 223);
//! assert_eq!(from_bytes::<CertificationRequest>(&bytes)?, request);
//! // Another transaction that spends the same state asks for the same leaf: one of them gets it.
//! let other = CertificationData::signed(&key, source, TransactionHash::new([3; 32]), None);
//! assert_eq!(CertificationRequest::new(other).state_id, request.state_id);
//! # Ok::<(), tally_core::cbor::DecodeError>(())
//! ```

mod certificate;
mod predicate;
mod presence;
mod proof;
mod request;
mod state;
pub mod token;
mod trust;

pub use certificate::{
    CertificateError, CertifiedRoot, InputRecord, MAX_SHARD_BITS, MAX_SIGNATURES, MAX_STEPS,
    MAX_SUMMARY, ShardId, ShardTreeCertificate, TreeStep, UnicityCertificate, UnicitySeal,
    UnicityTreeCertificate,
};
pub use predicate::{
    ENGINE_BUILT_IN, ENGINE_TALLY, Engine, MAX_CODE, MAX_PARAMS, MAX_UNLOCK, NoEngine,
    WirePredicate,
};
pub use presence::{Presence, PresenceError};
pub use proof::{Certified, InclusionProof, LeafProof, ProofError, ProofResponse};
pub use request::{CertificationData, CertificationRequest, RequestError};
pub use state::{LeafValue, Spend, StateHash, StateId, TransactionHash};
pub use trust::{MAX_NODE_ID, MAX_NODES, NodeId, Partition, RootNode, TrustBase, TrustBaseError};

use crate::cbor::{DecodeError, Reader};

/// Implements encoding for a struct as `tag([version, fields…])`, with one version only (`WIRE-1`, `WIRE-2`).
macro_rules! tagged_record {
    ($name:ident, $tag:literal, version $version:literal { $($field:ident),+ $(,)? }) => {
        impl $crate::cbor::Encode for $name {
            fn encode(&self, w: &mut $crate::cbor::Writer) {
                w.tag($tag);
                w.array(1 + $crate::cbor::count!($($field)+));
                w.uint($version);
                $( self.$field.encode(w); )+
            }
        }
        impl $crate::cbor::Decode for $name {
            fn decode(
                r: &mut $crate::cbor::Reader<'_>,
            ) -> Result<Self, $crate::cbor::DecodeError> {
                r.tagged($tag, |r| {
                    r.record(1 + $crate::cbor::count!($($field)+), |r| {
                        $crate::notary::version(r, $version)?;
                        Ok(Self { $( $field: $crate::cbor::Decode::decode(r)?, )+ })
                    })
                })
            }
        }
    };
}

pub(crate) use tagged_record;

/// Reads a version number, of which each object has one.
fn version(r: &mut Reader<'_>, known: u64) -> Result<(), DecodeError> {
    if r.uint()? == known { Ok(()) } else { Err(DecodeError::Unknown) }
}

#[cfg(test)]
pub(crate) mod tests;
