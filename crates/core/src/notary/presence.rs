//! Tell a validator that is there now from one whose old answers are replayed (`WIRE-28`).
//!
//! Anybody can repeat a certificate, and a certificate never grows old by itself. So a client sends a
//! nonce that nobody has seen, and a validator signs it together with the latest certificate that it
//! has. Both are under one signature: whoever passes the nonce on to a validator can pass back only
//! what that validator shows.

use super::certificate::{CertificateError, CertifiedRoot, UnicityCertificate};
use super::trust::{NodeId, TrustBase};
use crate::cbor::record;
use crate::hash::{Tag, hash};
use crate::id::Digest;
use crate::keys::{SecretKey, Signature};

/// A validator's answer to a nonce.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Presence {
    /// The validator.
    pub node: NodeId,
    /// The latest certificate that it has.
    pub certificate: UnicityCertificate,
    /// Its signature on the nonce and on the certificate's seal.
    pub signature: Signature,
}

record!(Presence { node, certificate, signature });

/// Why an answer to a nonce shows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PresenceError {
    /// The trust base has no validator of this name.
    #[error("it names no validator of the network: ask an address of the network's operator")]
    Unknown,
    /// The certificate is not vouched for.
    #[error("the certificate that it shows is not valid: {0}")]
    Certificate(#[from] CertificateError),
    /// The signature is not that validator's on this nonce and certificate.
    #[error("it does not answer under the key of the validator that it names: ask another one")]
    Signature,
}

impl PresenceError {
    /// Stable code of this error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unknown => "PRESENCE_UNKNOWN",
            Self::Certificate(error) => error.code(),
            Self::Signature => "PRESENCE_SIGNATURE",
        }
    }
}

impl Presence {
    /// Answers a nonce, by the validator `node` with its key for seals.
    pub fn sign(
        node: NodeId,
        key: &SecretKey,
        nonce: &Digest,
        certificate: UnicityCertificate,
    ) -> Self {
        let signature = key.sign(&signed_digest(&node, nonce, &certificate));
        Self { node, certificate, signature }
    }

    /// Checks that a validator of `trust` answered this nonce: the root is the latest that it shows.
    ///
    /// # Errors
    /// [`PresenceError`], the first that applies in the order of its variants.
    pub fn verify(
        &self,
        trust: &TrustBase,
        nonce: &Digest,
    ) -> Result<CertifiedRoot, PresenceError> {
        let node = trust.node(&self.node).ok_or(PresenceError::Unknown)?;
        let root = self.certificate.verify(trust)?;
        let digest = signed_digest(&self.node, nonce, &self.certificate);
        if node.key.verify(&digest, &self.signature) {
            Ok(root)
        } else {
            Err(PresenceError::Signature)
        }
    }
}

/// A hash under a tag of its own, over an array. What a validator signs otherwise is the hash of a
/// tagged item, the seal (`WIRE-11`): no nonce makes one into the other.
fn signed_digest(node: &NodeId, nonce: &Digest, certificate: &UnicityCertificate) -> Digest {
    let seal = certificate.seal.signed_digest();
    Digest::new(hash(Tag::Presence, &[node, nonce, &seal]))
}
