//! Sign and verify for owners: secp256k1 ECDSA, low-S, 65 bytes R‖S‖V, nonces by RFC 6979.
//!
//! A suite stands beside each key, so that another signature scheme can join; no code outside this
//! module assumes a length of 33 or 65 bytes (spec `KEY-1` to `KEY-5`).

use core::fmt;

use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, SecretKey as Scalar};
use zeroize::Zeroizing;

use crate::cbor::{Decode, DecodeError, Encode, Reader, Writer};
use crate::id::Digest;

/// Suite number of secp256k1 ECDSA.
const SUITE_SECP256K1: u8 = 1;

/// Longest key of any suite, with its suite byte.
const MAX_KEY: usize = 34;

/// Longest signature of any suite.
const MAX_SIGNATURE: usize = 65;

/// A public key, in the form of its suite.
///
/// Decoding does not check that a key is a point of its curve: a key that is none verifies no
/// signature, so nothing that is signed comes to rest on it (spec `KEY-5`).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey([u8; 33]);

impl PublicKey {
    /// Takes bytes that have the form of a compressed secp256k1 point, and may yet be none.
    ///
    /// # Errors
    /// [`DecodeError::OutOfRange`] when they do not begin as one.
    pub fn in_form(bytes: &[u8; 33]) -> Result<Self, DecodeError> {
        match bytes[0] {
            2 | 3 => Ok(Self(*bytes)),
            _ => Err(DecodeError::OutOfRange),
        }
    }

    /// Takes a compressed secp256k1 point.
    ///
    /// # Errors
    /// [`DecodeError::OutOfRange`] when the bytes are no point of the curve.
    pub fn secp256k1(bytes: &[u8; 33]) -> Result<Self, DecodeError> {
        secp256k1::PublicKey::from_byte_array_compressed(*bytes)
            .map(|_| Self(*bytes))
            .map_err(|_| DecodeError::OutOfRange)
    }

    /// The key's bytes in the form of its suite, as an outside format carries them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether `signature` is this key's, on `digest`.
    ///
    /// The key is recovered from the signature and compared, so that R, S and V are all bound;
    /// high-S signatures are refused, so each signature has one form.
    pub fn verify(&self, digest: &Digest, signature: &Signature) -> bool {
        #[cfg(feature = "count")]
        crate::count::one(&crate::count::CHECKED);
        signature.recover(digest).is_some_and(|key| key == *self)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl Encode for PublicKey {
    fn encode(&self, w: &mut Writer) {
        let mut bytes = [SUITE_SECP256K1; MAX_KEY];
        bytes[1..].copy_from_slice(&self.0);
        w.bytes(&bytes);
    }
}

impl Decode for PublicKey {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match r.bytes(MAX_KEY)? {
            [SUITE_SECP256K1, key @ ..] => {
                Self::in_form(key.try_into().map_err(|_| DecodeError::WrongLength)?)
            }
            [] => Err(DecodeError::WrongLength),
            _ => Err(DecodeError::Unknown),
        }
    }
}

/// A signature, in the form R‖S‖V for secp256k1.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signature([u8; 65]);

impl Signature {
    /// Takes 65 bytes R‖S‖V; only [`PublicKey::verify`] says whether they are a signature.
    pub const fn secp256k1(bytes: [u8; 65]) -> Self {
        Self(bytes)
    }

    /// The signature's bytes in the form of its suite, as an outside format carries them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn recover(&self, digest: &Digest) -> Option<PublicKey> {
        let (rs, v) = self.0.split_at(64);
        let id = RecoveryId::try_from(i32::from(v[0])).ok()?;
        let signature = RecoverableSignature::from_compact(rs, id).ok()?;
        let standard = signature.to_standard();
        let mut low = standard;
        low.normalize_s();
        if low != standard {
            return None;
        }
        let key = signature.recover(Message::from_digest(*digest.as_bytes())).ok()?;
        Some(PublicKey(key.serialize()))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(")?;
        self.0[..8].iter().try_for_each(|b| write!(f, "{b:02x}"))?;
        f.write_str("…)")
    }
}

impl Encode for Signature {
    fn encode(&self, w: &mut Writer) {
        w.bytes(&self.0);
    }
}

impl Decode for Signature {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bytes = r.bytes(MAX_SIGNATURE)?;
        bytes.try_into().map(Self).map_err(|_| DecodeError::WrongLength)
    }
}

/// A secret key. It is wiped when dropped, and shows nothing of itself.
#[derive(Clone)]
pub struct SecretKey(Zeroizing<[u8; 32]>);

impl SecretKey {
    /// Takes 32 bytes, which must be a scalar of the curve: random bytes are, but for one chance in
    /// 2^127.
    ///
    /// # Errors
    /// [`DecodeError::OutOfRange`] when they are zero or not below the group order.
    pub fn new(bytes: [u8; 32]) -> Result<Self, DecodeError> {
        let bytes = Zeroizing::new(bytes);
        let mut scalar = Scalar::from_secret_bytes(*bytes).map_err(|_| DecodeError::OutOfRange)?;
        scalar.non_secure_erase();
        Ok(Self(bytes))
    }

    /// The key's bytes, for a keystore to encrypt.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The public key.
    pub fn public(&self) -> PublicKey {
        self.with_scalar(|scalar| {
            PublicKey(secp256k1::PublicKey::from_secret_key(scalar).serialize())
        })
    }

    /// Signs 32 bytes. The same key and digest always give the same signature (RFC 6979), so a
    /// payment that is signed again after a crash is the same bytes.
    pub fn sign(&self, digest: &Digest) -> Signature {
        #[cfg(feature = "count")]
        crate::count::one(&crate::count::MADE);
        self.with_scalar(|scalar| {
            let message = Message::from_digest(*digest.as_bytes());
            let signature = RecoverableSignature::sign_ecdsa_recoverable(message, scalar);
            let (id, rs) = signature.serialize_compact();
            let mut bytes = [0; 65];
            bytes[..64].copy_from_slice(&rs);
            bytes[64] = id.to_u8();
            Signature(bytes)
        })
    }

    fn with_scalar<T>(&self, f: impl FnOnce(&Scalar) -> T) -> T {
        let mut scalar = Scalar::from_secret_bytes(*self.0).expect("checked when the key was made");
        let result = f(&scalar);
        scalar.non_secure_erase();
        result
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn key(byte: u8) -> SecretKey {
        SecretKey::new([byte; 32]).expect("a small scalar")
    }

    /// secp256k1's group order, big-endian.
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xfe, 0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36,
        0x41, 0x41,
    ];

    /// The other signature that plain ECDSA would accept: S negated, the parity bit of V flipped.
    fn negated(signature: &Signature) -> Signature {
        let mut bytes = signature.0;
        let mut borrow = 0i32;
        for i in (0..32).rev() {
            let d = i32::from(ORDER[i]) - i32::from(bytes[32 + i]) - borrow;
            borrow = i32::from(d < 0);
            bytes[32 + i] = u8::try_from(d.rem_euclid(256)).expect("a byte");
        }
        bytes[64] ^= 1;
        Signature(bytes)
    }

    #[test]
    fn a_signature_verifies_under_its_key_only() {
        let digest = Digest::new([7; 32]);
        let signature = key(1).sign(&digest);
        assert!(key(1).public().verify(&digest, &signature));
        assert!(!key(2).public().verify(&digest, &signature));
        assert!(!key(1).public().verify(&Digest::new([8; 32]), &signature));
    }

    #[test]
    fn signing_twice_gives_the_same_bytes() {
        let digest = Digest::new([7; 32]);
        assert_eq!(key(1).sign(&digest), key(1).sign(&digest));
    }

    #[test]
    fn the_high_s_twin_of_a_signature_is_refused() {
        let digest = Digest::new([7; 32]);
        let signature = key(1).sign(&digest);
        assert!(!key(1).public().verify(&digest, &negated(&signature)));
        assert_eq!(negated(&negated(&signature)), signature);
    }

    #[test]
    fn keys_of_another_form_do_not_decode() {
        let mut other_form = crate::cbor::to_bytes(&key(1).public());
        other_form[3] = 4;
        assert_eq!(crate::cbor::from_bytes::<PublicKey>(&other_form), Err(DecodeError::OutOfRange));
        assert!(SecretKey::new([0; 32]).is_err());
        assert!(SecretKey::new(ORDER).is_err());
        let mut other_suite = crate::cbor::to_bytes(&key(1).public());
        other_suite[2] = 2;
        assert_eq!(crate::cbor::from_bytes::<PublicKey>(&other_suite), Err(DecodeError::Unknown));
    }

    #[test]
    fn a_key_that_is_no_point_verifies_nothing() {
        // No point of the curve has 5 as its x.
        let mut bytes = [0; 33];
        (bytes[0], bytes[32]) = (2, 5);
        assert_eq!(PublicKey::secp256k1(&bytes), Err(DecodeError::OutOfRange));
        let no_point = PublicKey::in_form(&bytes).expect("begins like one");
        let digest = Digest::new([7; 32]);
        assert!(!no_point.verify(&digest, &key(1).sign(&digest)));
    }

    #[test]
    fn secrets_do_not_show() {
        assert_eq!(alloc::format!("{:?}", key(0x5a)), "SecretKey(…)");
    }

    proptest! {
        #[test]
        fn every_flipped_bit_of_a_signature_is_noticed(byte in 0usize..65, bit in 0u8..8) {
            let digest = Digest::new([7; 32]);
            let mut bytes: Vec<u8> = key(1).sign(&digest).as_bytes().into();
            bytes[byte] ^= 1 << bit;
            let bytes: [u8; 65] = bytes.try_into().expect("65 bytes");
            prop_assert!(!key(1).public().verify(&digest, &Signature(bytes)));
        }
    }
}
