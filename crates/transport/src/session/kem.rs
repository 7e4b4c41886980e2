//! Agree a root key with X-Wing (draft-connolly-cfrg-xwing-kem): X25519 and ML-KEM-768 in one.
//!
//! The root key stays secret as long as *either* of the two is unbroken. The hello proves that the
//! responder holds its key; that the initiator is who it says is for the caller to check, by a
//! signature over the ciphertext and the context.

use alloc::boxed::Box;
use core::fmt;

use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use x_wing::{
    DecapsulationKeyRejectNonContrib, Decapsulator, EncapsulationKey, KeyExport, TryDecapsulate,
};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::SessionError;
use super::keys::{self, Key};

const ROOT: &[u8] = b"tally/v1/session/root";

/// A key-agreement secret: 32 bytes, wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct KemSecret([u8; Self::BYTES]);

impl KemSecret {
    /// Length of the seed, in bytes.
    pub const BYTES: usize = x_wing::DECAPSULATION_KEY_SIZE;

    /// Makes the secret from 32 uniformly random bytes, which the caller keeps as its stored form.
    pub fn from_seed(seed: [u8; Self::BYTES]) -> Self {
        Self(seed)
    }

    /// The public key that goes on the contact card.
    pub fn public(&self) -> KemPublic {
        KemPublic(self.expanded().encapsulation_key().clone())
    }

    fn expanded(&self) -> DecapsulationKeyRejectNonContrib {
        DecapsulationKeyRejectNonContrib::from(self.0)
    }
}

impl fmt::Debug for KemSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KemSecret(..)")
    }
}

/// A contact's key-agreement public key: 1,216 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct KemPublic(EncapsulationKey);

impl KemPublic {
    /// Length of the key, in bytes.
    pub const BYTES: usize = x_wing::ENCAPSULATION_KEY_SIZE;

    /// Reads a public key.
    ///
    /// # Errors
    /// [`SessionError::Key`] if the length or the encoding of its ML-KEM part is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SessionError> {
        EncapsulationKey::try_from(bytes).map(Self).map_err(|_| SessionError::Key("public key"))
    }

    /// The key as bytes.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        self.0.to_bytes().into()
    }
}

impl fmt::Debug for KemPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.to_bytes();
        write!(f, "KemPublic({:02x?}..)", &bytes[..8])
    }
}

/// What the initiator sends in its hello: 1,120 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct KemCiphertext(Box<[u8; Self::BYTES]>);

impl KemCiphertext {
    /// Length of the ciphertext, in bytes.
    pub const BYTES: usize = x_wing::CIPHERTEXT_SIZE;

    /// Reads a ciphertext; any bytes of the right length are one.
    ///
    /// # Errors
    /// [`SessionError::Key`] if the length is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SessionError> {
        let bytes = <[u8; Self::BYTES]>::try_from(bytes);
        bytes.map(|bytes| Self(Box::new(bytes))).map_err(|_| SessionError::Key("ciphertext"))
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

/// Starts a hello to the holder of `their` key.
///
/// `context` is whatever both sides must agree on (both device ids and the generation, at least): a
/// side with another context gets another root key. `randomness` is 64 uniformly random bytes, used
/// for nothing else; whoever learns them learns the root key.
pub fn initiate(
    their: &KemPublic,
    context: &[u8],
    randomness: &[u8; 64],
) -> (KemCiphertext, RootKey) {
    let randomness = Zeroizing::new(*randomness);
    let (ciphertext, mut shared) = their.0.encapsulate_deterministic((&*randomness).into());
    let ciphertext = KemCiphertext(Box::new(ciphertext.into()));
    let root = root_key(&shared, their, &ciphertext, context);
    shared.zeroize();
    (ciphertext, root)
}

/// Answers a hello: the root key that its initiator holds, if it was meant for `secret` and `context`.
///
/// A ciphertext for another key or a different context yields an unrelated root key, not an error:
/// the first envelope then fails to open.
///
/// # Errors
/// [`SessionError::Key`] if the X25519 part is a point that hides no secret.
pub fn accept(
    secret: &KemSecret,
    ciphertext: &KemCiphertext,
    context: &[u8],
) -> Result<RootKey, SessionError> {
    let expanded = secret.expanded();
    let mut shared = expanded
        .try_decapsulate(ciphertext.as_bytes().into())
        .map_err(|_| SessionError::Key("ciphertext"))?;
    let root = root_key(&shared, &secret.public(), ciphertext, context);
    shared.zeroize();
    Ok(root)
}

fn root_key(shared: &[u8], to: &KemPublic, ciphertext: &KemCiphertext, context: &[u8]) -> RootKey {
    let hkdf = Hkdf::<Sha256>::new(Some(ROOT), shared);
    let to = Sha256::digest(to.to_bytes());
    let ciphertext = Sha256::digest(ciphertext.as_bytes());
    let context = Sha256::digest(context);
    RootKey(keys::expand(&hkdf, &[&to, &ciphertext, &context]))
}
