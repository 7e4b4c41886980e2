//! Hold the keys to which hellos are encrypted: X-Wing (draft-connolly-cfrg-xwing-kem), which is
//! X25519 and ML-KEM-768 in one.
//!
//! What is encrypted to such a key stays secret as long as *either* of the two is unbroken.

use alloc::boxed::Box;
use core::fmt;

use hpke::kem::XWing;
use hpke::{Deserializable, Kem, Serializable};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::SessionError;
use super::keys::Key;

/// A key-agreement secret: 32 bytes, wiped when dropped, and the hash of its public key.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct KemSecret {
    seed: [u8; Self::BYTES],
    hash: [u8; 32],
}

impl KemSecret {
    /// Length of the seed, in bytes.
    pub const BYTES: usize = 32;

    /// Makes the secret from 32 uniformly random bytes, which the caller keeps as its stored form.
    pub fn from_seed(seed: [u8; Self::BYTES]) -> Self {
        let mut secret = Self { seed, hash: [0; 32] };
        secret.hash = secret.public().hash();
        secret
    }

    /// The public key that goes on the contact card.
    pub fn public(&self) -> KemPublic {
        KemPublic(XWing::sk_to_pk(&self.key()))
    }

    /// The hash of the public key.
    pub(super) fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    pub(super) fn key(&self) -> <XWing as Kem>::PrivateKey {
        Deserializable::from_bytes(&self.seed).expect("any 32 bytes are a seed of X-Wing")
    }
}

impl fmt::Debug for KemSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KemSecret(..)")
    }
}

/// A contact's key-agreement public key: 1,216 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct KemPublic(pub(super) <XWing as Kem>::PublicKey);

impl KemPublic {
    /// Length of the key, in bytes.
    pub const BYTES: usize = 1216;

    /// Reads a public key.
    ///
    /// # Errors
    /// [`SessionError::Key`] if the length or the encoding of its ML-KEM part is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SessionError> {
        Deserializable::from_bytes(bytes).map(Self).map_err(|_| SessionError::Key("public key"))
    }

    /// The key as bytes.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        self.0.to_bytes().into()
    }

    pub(super) fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.to_bytes()).into()
    }
}

impl fmt::Debug for KemPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.to_bytes();
        write!(f, "KemPublic({:02x?}..)", &bytes[..8])
    }
}

/// What a hello encrypts its secret in: 1,120 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct KemCiphertext(Box<[u8; Self::BYTES]>);

impl KemCiphertext {
    /// Length of the ciphertext, in bytes.
    pub const BYTES: usize = 1120;

    pub(super) fn new(bytes: [u8; Self::BYTES]) -> Self {
        Self(Box::new(bytes))
    }

    /// The ciphertext as bytes.
    pub fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

impl fmt::Debug for KemCiphertext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KemCiphertext({:02x?}..)", &self.0[..8])
    }
}

/// The secret that both sides hold after a hello: 32 bytes, wiped when dropped.
#[derive(Clone)]
pub struct RootKey(pub(super) Key);

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootKey(..)")
    }
}
