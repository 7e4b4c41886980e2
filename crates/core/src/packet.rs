//! Wrap what travels between two devices: an encrypted envelope, with a hello before the first.
//!
//! On the wire a packet is the byte 1 and the envelope, or the byte 2 and the CBOR array of hello
//! and envelope: between people who know each other, one byte is all that is added.

use alloc::vec::Vec;

use crate::card::{Card, Signed, SignedError};
use crate::cbor::{Blob, Decode, DecodeError, Encode, from_bytes, record, to_bytes};
use crate::hash::{Tag, hash};
use crate::id::{DeviceId, Digest};
use crate::keys::Signature;

/// Longest envelope, in bytes.
pub const MAX_ENVELOPE: usize = 250 * 1024;
/// Longest packet on the wire, in bytes.
pub const MAX_PACKET: usize = 256 * 1024;
/// Longest ciphertext that opens a session, in bytes.
pub const MAX_CIPHERTEXT: usize = 2048;

const PLAIN: u8 = 1;
const WITH_HELLO: u8 = 2;

/// The opening of an encrypted session, signed by who opens it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Hello {
    /// The sender's card: whoever gets it may be a stranger.
    pub card: Signed,
    /// For whom.
    pub to: DeviceId,
    /// Grows with every hello of the pair, so that an old one cannot come again.
    pub generation: u64,
    /// The session's secret, encrypted to the receiver's session key.
    pub ciphertext: Blob<MAX_CIPHERTEXT>,
    /// The sender's signature on [`Hello::digest`].
    pub signature: Signature,
}

record!(Hello { card, to, generation, ciphertext, signature });

impl Hello {
    /// What both sides bind the session to, and the sender signs with the ciphertext.
    pub fn context(from: &DeviceId, to: &DeviceId, generation: u64) -> [u8; 32] {
        hash(Tag::Hello, &[from, to, &generation])
    }

    /// What the sender signs: `H("hello", from, to, generation, ciphertext)`.
    pub fn digest(
        from: &DeviceId,
        to: &DeviceId,
        generation: u64,
        ciphertext: &Blob<MAX_CIPHERTEXT>,
    ) -> Digest {
        Digest::new(hash(Tag::Hello, &[from, to, &generation, ciphertext]))
    }

    /// Checks card and signature; gives the sender's card (spec `HELLO-1`).
    ///
    /// # Errors
    /// [`SignedError`] for the first rule that it breaks.
    pub fn open(&self) -> Result<Card, SignedError> {
        let card = self.card.open_card()?;
        let digest = Self::digest(&card.device(), &self.to, self.generation, &self.ciphertext);
        if card.owner.verify(&digest, &self.signature) {
            Ok(card)
        } else {
            Err(SignedError::Signature)
        }
    }
}

/// One message between two devices, encrypted.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Packet {
    /// The opening of the session, if it is new.
    pub hello: Option<Hello>,
    /// The encrypted message.
    pub envelope: Blob<MAX_ENVELOPE>,
}

struct Opening {
    hello: Hello,
    envelope: Blob<MAX_ENVELOPE>,
}

record!(Opening { hello, envelope });

impl Packet {
    /// The packet as it travels.
    pub fn to_wire(&self) -> Vec<u8> {
        match &self.hello {
            None => {
                let mut bytes = alloc::vec![PLAIN];
                bytes.extend_from_slice(self.envelope.as_slice());
                bytes
            }
            Some(hello) => {
                let envelope = self.envelope.clone();
                let mut bytes = alloc::vec![WITH_HELLO];
                bytes.extend(to_bytes(&Opening { hello: hello.clone(), envelope }));
                bytes
            }
        }
    }

    /// Reads a packet.
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes are none.
    pub fn from_wire(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > MAX_PACKET {
            return Err(DecodeError::TooLarge);
        }
        match bytes.split_first() {
            None => Err(DecodeError::Truncated),
            Some((&PLAIN, envelope)) => {
                Ok(Self { hello: None, envelope: Blob::new(envelope.to_vec())? })
            }
            Some((&WITH_HELLO, rest)) => {
                let Opening { hello, envelope } = from_bytes(rest)?;
                Ok(Self { hello: Some(hello), envelope })
            }
            Some(_) => Err(DecodeError::Unknown),
        }
    }
}

impl Encode for Packet {
    fn encode(&self, w: &mut crate::cbor::Writer) {
        w.bytes(&self.to_wire());
    }
}

impl Decode for Packet {
    fn decode(r: &mut crate::cbor::Reader<'_>) -> Result<Self, DecodeError> {
        Self::from_wire(r.bytes(MAX_PACKET)?)
    }
}
