//! Derive every key from another by HKDF-SHA256 (RFC 5869) with a label from one closed list, and
//! wrap 32-byte secrets with XChaCha20-Poly1305.

use std::fmt;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use hkdf::Hkdf;
use sha2::Sha256;
use tally_core::cbor::{Decode, DecodeError, Encode, Reader, Writer};
use tally_core::keys::SecretKey;
use zeroize::Zeroizing;

use crate::Purpose;

/// 32 bytes from a cryptographic random generator, used up by one operation.
///
/// All that the operation needs at random (keys, salts, nonces) is derived from them.
pub struct Entropy(Key);

impl Entropy {
    /// Takes 32 random bytes. Using the same bytes twice makes the same keys twice.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Key::new(bytes))
    }

    pub(crate) fn key(&self, label: Label) -> Key {
        self.0.expand(label)
    }

    /// The first `N` bytes of the key for `label`, as a salt or nonce.
    pub(crate) fn public<const N: usize>(&self, label: Label) -> [u8; N] {
        const { assert!(N <= 32) };
        let key = self.0.expand(label);
        std::array::from_fn(|i| key.expose()[i])
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy(…)")
    }
}

/// What a derived key is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Label {
    /// Of the master secret: the owner's signing key.
    Owner,
    /// Of the master secret: what [`Purpose`] names.
    For(Purpose),
    /// Of the master secret: authenticates the journal.
    Journal,
    /// Of the master secret: authenticates the keystore's public part.
    Keystore,
    /// Of the passphrase and the machine: opens the slot for daily use.
    Bound,
    /// Of the passphrase alone: opens the slot for `rebind`.
    Rebind,
    /// Of a key file's secret: stands where a passphrase's argon2 hash would.
    KeyFile,
    /// Of fresh entropy.
    NewMaster,
    /// Of fresh entropy.
    NewDataKey,
    /// Of fresh entropy.
    NewKeyFile,
    /// Of fresh entropy.
    NewSalt,
    /// Of fresh entropy: nonce of the slot for daily use.
    NewBoundNonce,
    /// Of fresh entropy: nonce of the slot for `rebind`.
    NewRebindNonce,
    /// Of fresh entropy: nonce of the master secret's box.
    NewSecretNonce,
    /// Of fresh entropy: what an enroller agrees on a credential's seed with.
    NewEphemeral,
    /// Of fresh entropy: the rest of it, for the longer curve.
    NewEphemeralRest,
    /// Of fresh entropy: the secret in a credential.
    NewCredential,
    /// Of fresh entropy: what the attestations of an enrollment are made for.
    NewChallenge,
    /// Of fresh entropy: what makes one request differ from the next.
    NewRequest,
}

impl Label {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 21] = [
        Self::Owner,
        Self::For(Purpose::Kem),
        Self::For(Purpose::Database),
        Self::For(Purpose::Backup),
        Self::Journal,
        Self::Keystore,
        Self::Bound,
        Self::Rebind,
        Self::KeyFile,
        Self::NewMaster,
        Self::NewDataKey,
        Self::NewKeyFile,
        Self::NewSalt,
        Self::NewBoundNonce,
        Self::NewRebindNonce,
        Self::NewSecretNonce,
        Self::NewEphemeral,
        Self::NewEphemeralRest,
        Self::NewCredential,
        Self::NewChallenge,
        Self::NewRequest,
    ];

    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Owner => "tally/v1/seal/owner",
            Self::For(Purpose::Kem) => "tally/v1/seal/kem",
            Self::For(Purpose::Database) => "tally/v1/seal/database",
            Self::For(Purpose::Backup) => "tally/v1/seal/backup",
            Self::Journal => "tally/v1/seal/journal",
            Self::Keystore => "tally/v1/seal/keystore",
            Self::Bound => "tally/v1/seal/bound",
            Self::Rebind => "tally/v1/seal/rebind",
            Self::KeyFile => "tally/v1/seal/key-file",
            Self::NewMaster => "tally/v1/seal/new/master",
            Self::NewDataKey => "tally/v1/seal/new/data-key",
            Self::NewKeyFile => "tally/v1/seal/new/key-file",
            Self::NewSalt => "tally/v1/seal/new/salt",
            Self::NewBoundNonce => "tally/v1/seal/new/bound-nonce",
            Self::NewRebindNonce => "tally/v1/seal/new/rebind-nonce",
            Self::NewSecretNonce => "tally/v1/seal/new/secret-nonce",
            Self::NewEphemeral => "tally/v1/seal/new/ephemeral",
            Self::NewEphemeralRest => "tally/v1/seal/new/ephemeral-rest",
            Self::NewCredential => "tally/v1/seal/new/credential",
            Self::NewChallenge => "tally/v1/seal/new/challenge",
            Self::NewRequest => "tally/v1/seal/new/request",
        }
    }
}

/// A secret of 32 uniformly random bytes. Wiped when dropped, and shows nothing of itself.
#[derive(Clone)]
pub(crate) struct Key(Zeroizing<[u8; 32]>);

impl Key {
    pub(crate) fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(crate) fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn into_bytes(self) -> Zeroizing<[u8; 32]> {
        self.0
    }

    /// The key for `label` below this one.
    pub(crate) fn expand(&self, label: Label) -> Self {
        Self::combine(&[self], label)
    }

    /// The key for `label` that needs all of `keys` to compute.
    pub(crate) fn combine(keys: &[&Self], label: Label) -> Self {
        let mut material = Zeroizing::new(Vec::with_capacity(32 * keys.len()));
        for key in keys {
            material.extend_from_slice(key.expose());
        }
        let mut out = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(None, &material)
            .expand(label.text().as_bytes(), out.as_mut_slice())
            .expect("32 bytes are one block of SHA-256");
        Self(out)
    }

    /// The owner's signing key below this master secret. One master in 2^127 has none.
    pub(crate) fn signing_key(&self) -> Result<SecretKey, DecodeError> {
        SecretKey::new(*self.expand(Label::Owner).expose())
    }

    /// Encrypts this key under `key`. A nonce serves once per key.
    pub(crate) fn wrap(&self, key: &Self, nonce: [u8; 24], context: &[u8]) -> Wrapped {
        let text = XChaCha20Poly1305::new(key.expose().into())
            .encrypt(&nonce.into(), Payload { msg: self.expose(), aad: context })
            .expect("32 bytes are below the cipher's limit");
        let text = text.try_into().expect("32 bytes of text and 16 of tag");
        Wrapped { nonce, text }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// A 32-byte secret, encrypted and authenticated with XChaCha20-Poly1305.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Wrapped {
    nonce: [u8; 24],
    text: [u8; 48],
}

impl Wrapped {
    /// The secret, if it was wrapped under `key` in this `context`.
    pub(crate) fn unwrap(&self, key: &Key, context: &[u8]) -> Option<Key> {
        let cipher = XChaCha20Poly1305::new(key.expose().into());
        let payload = Payload { msg: &self.text, aad: context };
        let plain = Zeroizing::new(cipher.decrypt(&self.nonce.into(), payload).ok()?);
        let mut bytes = Zeroizing::new([0; 32]);
        bytes.copy_from_slice(plain.get(..32)?);
        Some(Key(bytes))
    }
}

impl Encode for Wrapped {
    fn encode(&self, w: &mut Writer) {
        w.array(2);
        self.nonce.encode(w);
        self.text.encode(w);
    }
}

impl Decode for Wrapped {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.record(2, |r| Ok(Self { nonce: Decode::decode(r)?, text: Decode::decode(r)? }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_label_gives_a_different_key() {
        let texts: BTreeSet<_> = Label::ALL.iter().map(|l| l.text()).collect();
        let root = Key::new([7; 32]);
        let keys: BTreeSet<_> = Label::ALL.iter().map(|l| *root.expand(*l).expose()).collect();
        assert_eq!((texts.len(), keys.len()), (Label::ALL.len(), Label::ALL.len()));
    }

    #[test]
    fn a_wrapped_key_opens_with_its_key_and_context_only() {
        let (secret, key) = (Key::new([1; 32]), Key::new([2; 32]));
        let wrapped = secret.wrap(&key, [3; 24], b"here");
        assert_eq!(wrapped.unwrap(&key, b"here").unwrap().expose(), secret.expose());
        assert!(wrapped.unwrap(&key, b"there").is_none());
        assert!(wrapped.unwrap(&secret, b"here").is_none());
        for at in 0..48 {
            let mut bent = wrapped.clone();
            bent.text[at] ^= 1;
            assert!(bent.unwrap(&key, b"here").is_none());
        }
    }

    #[test]
    fn secrets_do_not_show() {
        assert_eq!(
            format!("{:?} {:?}", Key::new([9; 32]), Entropy::new([9; 32])),
            "Key(…) Entropy(…)"
        );
    }
}
