//! The keys with which validators agree and connect.

use std::fmt;

use bytes::Bytes;
use commonware_codec::{DecodeExt as _, Encode as _};
use commonware_cryptography::Signer as _;
use commonware_cryptography::ed25519::{PrivateKey, PublicKey};
use zeroize::Zeroizing;

/// A validator's key for votes and connections (Ed25519). It shows nothing of itself.
#[derive(Clone)]
pub struct VoteKey(pub(super) PrivateKey);

/// Who a validator is to the others: the public half of its [`VoteKey`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VoteId(pub(super) PublicKey);

impl VoteKey {
    /// The key that these bytes are; nothing if they are none.
    pub fn new(bytes: &[u8; 32]) -> Option<Self> {
        PrivateKey::decode(Bytes::copy_from_slice(bytes)).ok().map(Self)
    }

    /// Its bytes, to be kept secret.
    pub fn expose(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.0.encode().as_ref().to_vec())
    }

    /// Its public half.
    pub fn id(&self) -> VoteId {
        VoteId(self.0.public_key())
    }
}

impl fmt::Debug for VoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VoteKey({:?})", self.id())
    }
}

impl VoteId {
    /// The key that these bytes are; nothing if they are none.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        PublicKey::decode(Bytes::copy_from_slice(bytes)).ok().map(Self)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_ref()
    }
}

impl fmt::Debug for VoteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes()[..6].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
