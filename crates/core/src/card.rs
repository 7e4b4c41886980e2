//! Say who a device is: the signed card that two people exchange once.

mod invisible;
mod session_key;

use alloc::string::String;
use alloc::vec::Vec;

use crate::cbor::{
    Blob, Bytes, Decode, DecodeError, Encode, Reader, Writer, from_bytes, record, to_bytes,
};
use crate::fields::Fields;
use crate::hash::{Tag, hash};
use crate::id::{DeviceId, Digest, NetworkId};
use crate::keys::{PublicKey, SecretKey, Signature};
use crate::seal::{SealCertificate, SealIdentity};

pub use session_key::{SESSION_KEY_BYTES, is_session_key};

/// The card version that this program writes.
pub const CARD_VERSION: u8 = 2;
/// The card version that this program reads as well: the same without a map of fields.
pub const OLD_CARD_VERSION: u8 = 1;
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
    /// What else it says. A card of version 1 says nothing else.
    pub fields: Fields,
    /// An enroller's word for the seal's hardware, if it is enrolled.
    pub enrollment: Option<SealCertificate>,
}

impl Card {
    /// The device that the card is of.
    pub fn device(&self) -> DeviceId {
        DeviceId::of(&self.owner, &self.seal)
    }

    /// Whether something can be encrypted to the device (spec `CARD-7`).
    ///
    /// # Errors
    /// [`SignedError::SessionKey`] if not.
    pub fn check_session_key(&self) -> Result<(), SignedError> {
        if is_session_key(self.session_key.as_slice()) {
            Ok(())
        } else {
            Err(SignedError::SessionKey)
        }
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
    /// The card's session key is none: nothing can be encrypted to it.
    #[error(
        "nothing can be encrypted to the session key of this card: ask its owner for a new one"
    )]
    SessionKey,
    /// A field that this program does not know, and may not overlook.
    #[error(
        "the card, invoice or hello has a field that this program must know and does not: update it"
    )]
    Field,
    /// A version that this program does not know.
    #[error(
        "the card, invoice or hello is of a version that this program does not know: update it, or ask for a newer one"
    )]
    Version,
    /// The signature is not by the key that it should be by.
    #[error("the signature does not fit: the card, invoice or hello was altered, ask for it again")]
    Signature,
}

impl SignedError {
    /// Stable code of this error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Decode(e) => e.code(),
            Self::Enrollment => "SIGNED_ENROLLMENT",
            Self::Field => "SIGNED_FIELD",
            Self::SessionKey => "SIGNED_SESSION_KEY",
            Self::Version => "SIGNED_VERSION",
            Self::Signature => "SIGNED_SIGNATURE",
        }
    }
}

impl Signed {
    /// What the signer of `payload` signs for the purpose `tag`.
    pub fn digest(tag: Tag, payload: &[u8]) -> Digest {
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

    /// The version of the object, which is its first field: it says which form the rest has.
    ///
    /// # Errors
    /// [`DecodeError`] if the payload does not begin as an object with a version does.
    pub fn version(&self) -> Result<u64, DecodeError> {
        Reader::new(self.payload.as_slice()).variant(|_, version, _| Ok(version))
    }

    /// The card, if it is signed by its own owner (spec `CARD-2`).
    ///
    /// # Errors
    /// [`SignedError`] for the first rule that it breaks.
    pub fn open_card(&self) -> Result<Card, SignedError> {
        let known = [OLD_CARD_VERSION, CARD_VERSION].map(u64::from);
        if !known.contains(&self.version()?) {
            return Err(SignedError::Version);
        }
        let card: Card = from_bytes(self.payload.as_slice())?;
        self.verify(Tag::Card, &card.owner)?;
        if !card.fields.are_understood() {
            return Err(SignedError::Field);
        }
        if !card.enrollment.as_ref().is_none_or(|e| card.is_enrolled_by(e)) {
            return Err(SignedError::Enrollment);
        }
        card.check_session_key()?;
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

/// How many items a card of this version has without an enrollment.
const fn items(version: u8) -> u64 {
    if version == OLD_CARD_VERSION { 6 } else { 7 }
}

/// An enrollment comes last, and is left out when there is none.
impl Encode for Card {
    fn encode(&self, w: &mut Writer) {
        w.array(items(self.version) + u64::from(self.enrollment.is_some()));
        self.version.encode(w);
        self.network.encode(w);
        self.name.encode(w);
        self.owner.encode(w);
        self.seal.encode(w);
        self.session_key.encode(w);
        if self.version != OLD_CARD_VERSION {
            self.fields.encode(w);
        }
        if let Some(enrollment) = &self.enrollment {
            enrollment.encode(w);
        }
    }
}

impl Decode for Card {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.counted(items(OLD_CARD_VERSION), items(CARD_VERSION) + 1, |r, n| {
            let version = u8::decode(r)?;
            let enrolled = match n.checked_sub(items(version)) {
                Some(0) => false,
                Some(1) => true,
                _ => return Err(DecodeError::WrongLength),
            };
            let plain = version == OLD_CARD_VERSION;
            Ok(Self {
                version,
                network: Decode::decode(r)?,
                name: Decode::decode(r)?,
                owner: Decode::decode(r)?,
                seal: Decode::decode(r)?,
                session_key: Decode::decode(r)?,
                fields: if plain { Fields::default() } else { Decode::decode(r)? },
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
