//! Say who a device is: the signed card that two people exchange once.

mod invisible;

use alloc::string::String;
use alloc::vec::Vec;

use crate::cbor::{
    Blob, Decode, DecodeError, Encode, Reader, Writer, from_bytes, record, to_bytes,
};
use crate::hash::{Tag, hash};
use crate::id::{DeviceId, Digest, NetworkId};
use crate::keys::{PublicKey, SecretKey, Signature};
use crate::seal::{SealCertificate, SealIdentity};

/// The card version that this program reads and writes.
pub const CARD_VERSION: u8 = 1;
/// Longest display name, in bytes of UTF-8.
pub const MAX_NAME: usize = 64;
/// Longest session key of a device, in bytes.
pub const MAX_SESSION_KEY: usize = 2048;
/// Longest payload under a signature, in bytes.
pub const MAX_SIGNED: usize = 8192;

/// A name for people: 1 to 64 bytes without characters that do not show. Anyone may take any name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Name(String);

impl Name {
    /// Takes `text` if it is a name.
    pub fn new(text: &str) -> Option<Self> {
        let fits = (1..=MAX_NAME).contains(&text.len())
            && text == text.trim()
            && !text.chars().any(|c| c.is_control() || invisible::is_invisible(c));
        fits.then(|| Self(text.into()))
    }

    /// The characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a device says of itself.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Card {
    /// Version of this form.
    pub version: u8,
    /// The network that the device is on.
    pub network: NetworkId,
    /// Name for people.
    pub name: Name,
    /// The device's key.
    pub owner: PublicKey,
    /// The device's seal.
    pub seal: SealIdentity,
    /// The key under which others open encrypted sessions; its form is the transport's affair.
    pub session_key: Blob<MAX_SESSION_KEY>,
    /// An enroller's word for the seal's hardware, if it is enrolled.
    pub enrollment: Option<SealCertificate>,
}

impl Card {
    /// The device that the card is of.
    pub fn device(&self) -> DeviceId {
        DeviceId::of(&self.owner, &self.seal)
    }

    /// Whether the enrollment is of this card's seal, on this network, and its enroller's.
    fn is_enrolled_by(&self, enrollment: &SealCertificate) -> bool {
        self.seal == SealIdentity::Hardware(enrollment.seal())
            && enrollment.check(self.network).is_ok()
    }
}

/// The bytes of an object with the signature on exactly these bytes. The object is read from them.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Signed {
    payload: Blob<MAX_SIGNED>,
    signature: Signature,
}

record!(Signed { payload, signature });

/// Why a signed object is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignedError {
    /// The payload is not the object that it should be (structural).
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The enrollment in a card is not of the card's own seal, or not as its enroller signed it.
    #[error("the card's enrollment is not of its seal: ask for the card again")]
    Enrollment,
    /// A version that this program does not know.
    #[error("the card or invoice is of an unknown version: update this program")]
    Version,
    /// The signature is not by the key that it should be by.
    #[error("the signature does not fit: the card or invoice was altered, ask for it again")]
    Signature,
}

impl SignedError {
    /// Stable code of this error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Decode(e) => e.code(),
            Self::Enrollment => "SIGNED_ENROLLMENT",
            Self::Version => "SIGNED_VERSION",
            Self::Signature => "SIGNED_SIGNATURE",
        }
    }
}

impl Signed {
    /// What the signer of `payload` signs for the purpose `tag`.
    pub fn digest(tag: Tag, payload: &[u8]) -> Digest {
        struct Bytes<'a>(&'a [u8]);
        impl Encode for Bytes<'_> {
            fn encode(&self, w: &mut Writer) {
                w.bytes(self.0);
            }
        }
        Digest::new(hash(tag, &[&Bytes(payload)]))
    }

    /// Joins a payload and its signature.
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`] above [`MAX_SIGNED`] bytes.
    pub fn new(payload: Vec<u8>, signature: Signature) -> Result<Self, DecodeError> {
        Ok(Self { payload: Blob::new(payload)?, signature })
    }

    /// Signs a card.
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`] above [`MAX_SIGNED`] bytes.
    pub fn card(card: &Card, key: &SecretKey) -> Result<Self, DecodeError> {
        let payload = to_bytes(card);
        let signature = key.sign(&Self::digest(Tag::Card, &payload));
        Self::new(payload, signature)
    }

    /// The card, if it is signed by its own owner (spec `CARD-2`).
    ///
    /// # Errors
    /// [`SignedError`] for the first rule that it breaks.
    pub fn open_card(&self) -> Result<Card, SignedError> {
        let card: Card = from_bytes(self.payload.as_slice())?;
        if card.version != CARD_VERSION {
            return Err(SignedError::Version);
        }
        self.verify(Tag::Card, &card.owner)?;
        if !card.enrollment.as_ref().is_none_or(|e| card.is_enrolled_by(e)) {
            return Err(SignedError::Enrollment);
        }
        Ok(card)
    }

    /// The signed bytes.
    pub fn payload(&self) -> &[u8] {
        self.payload.as_slice()
    }

    /// Whether `key` signed the payload for the purpose `tag`.
    ///
    /// # Errors
    /// [`SignedError::Signature`] if not.
    pub fn verify(&self, tag: Tag, key: &PublicKey) -> Result<(), SignedError> {
        let digest = Self::digest(tag, self.payload.as_slice());
        if key.verify(&digest, &self.signature) { Ok(()) } else { Err(SignedError::Signature) }
    }
}

/// An enrollment comes last, and is left out when there is none.
impl Encode for Card {
    fn encode(&self, w: &mut Writer) {
        w.array(if self.enrollment.is_some() { 7 } else { 6 });
        self.version.encode(w);
        self.network.encode(w);
        self.name.encode(w);
        self.owner.encode(w);
        self.seal.encode(w);
        self.session_key.encode(w);
        if let Some(enrollment) = &self.enrollment {
            enrollment.encode(w);
        }
    }
}

impl Decode for Card {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.optional_tail(6, 7, |r, enrolled| {
            Ok(Self {
                version: Decode::decode(r)?,
                network: Decode::decode(r)?,
                name: Decode::decode(r)?,
                owner: Decode::decode(r)?,
                seal: Decode::decode(r)?,
                session_key: Decode::decode(r)?,
                enrollment: if enrolled { Some(Decode::decode(r)?) } else { None },
            })
        })
    }
}

impl Encode for Name {
    fn encode(&self, w: &mut Writer) {
        w.text(&self.0);
    }
}

impl Decode for Name {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::new(r.text(MAX_NAME)?).ok_or(DecodeError::OutOfRange)
    }
}

#[cfg(test)]
mod tests;
