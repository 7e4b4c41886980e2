//! Wrap what travels between two devices: an encrypted envelope, with a hello before the first.
//!
//! On the wire a packet is the byte 1 and the envelope, or the byte 5 and the CBOR array of hello
//! and envelope: between people who know each other, one byte is all that is added. The hello is
//! encrypted to its receiver (see the transport); what is in it is a [`Hello`].

use alloc::vec::Vec;

use crate::card::{Card, Signed, SignedError};
use crate::cbor::{
    Blob, Bytes, Decode, DecodeError, Encode, Reader, Writer, from_bytes, record, to_bytes,
};
use crate::fields::Fields;
use crate::hash::{Tag, hash};
use crate::id::{DeviceId, Digest};
use crate::keys::Signature;

/// The hello version that this program reads and writes.
pub const HELLO_VERSION: u8 = 1;
/// Longest envelope, in bytes.
pub const MAX_ENVELOPE: usize = 250 * 1024;
/// Longest encrypted hello, in bytes: with the longest envelope it fits a packet.
pub const MAX_HELLO: usize = 5 * 1024;
/// Longest packet on the wire, in bytes.
pub const MAX_PACKET: usize = 256 * 1024;

const PLAIN: u8 = 1;
/// The numbers 2 to 4 are taken: a hello that was not encrypted, and what is said on connections.
const WITH_HELLO: u8 = 5;

/// What a hello says to its receiver, signed by who says it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Hello {
    /// Version of this form.
    pub version: u8,
    /// The sender's card: whoever gets it may be a stranger.
    pub card: Signed,
    /// Grows with the sender's clock and with every hello of the pair, so that an old one cannot come
    /// again.
    pub generation: u64,
    /// What else the sender says.
    pub fields: Fields,
    /// The sender's signature on [`Hello::digest`].
    pub signature: Signature,
}

record!(Hello { version, card, generation, fields, signature });

/// A hello whose rules all hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Greeted {
    /// What was said.
    pub hello: Hello,
    /// Who said it.
    pub card: Card,
    /// What the sender signed: both sides bind the session's secret to it.
    pub digest: Digest,
}

impl Hello {
    /// What the sender signs, which is all that the receiver acts upon: `H("hello", version, card, to,
    /// generation, fields, KEM ciphertext)`.
    pub fn digest(
        card: &Signed,
        to: &DeviceId,
        generation: u64,
        fields: &Fields,
        ciphertext: &[u8],
    ) -> Digest {
        let ciphertext = Bytes(ciphertext);
        let parts: [&dyn Encode; 6] = [&HELLO_VERSION, card, to, &generation, fields, &ciphertext];
        Digest::new(hash(Tag::Hello, &parts))
    }

    /// Reads what was in a hello that came to the device `to` in this KEM ciphertext (spec `HELLO-1`).
    ///
    /// # Errors
    /// [`SignedError`] for the first rule that it breaks.
    pub fn open(text: &[u8], to: &DeviceId, ciphertext: &[u8]) -> Result<Greeted, SignedError> {
        let version = Reader::new(text).variant(|_, version, _| Ok(version))?;
        if version != u64::from(HELLO_VERSION) {
            return Err(SignedError::Version);
        }
        let hello: Self = from_bytes(text)?;
        let card = hello.card.open_card()?;
        let Self { card: signed, generation, fields, signature, .. } = &hello;
        let digest = Self::digest(signed, to, *generation, fields, ciphertext);
        if !card.owner.verify(&digest, signature) {
            return Err(SignedError::Signature);
        }
        if !fields.are_understood() {
            return Err(SignedError::Field);
        }
        Ok(Greeted { hello, card, digest })
    }
}

/// One message between two devices, encrypted.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Packet {
    /// The opening of the session, encrypted to the receiver, if it is new.
    pub hello: Option<Blob<MAX_HELLO>>,
    /// The encrypted message.
    pub envelope: Blob<MAX_ENVELOPE>,
}

struct Opening {
    hello: Blob<MAX_HELLO>,
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
    fn encode(&self, w: &mut Writer) {
        w.bytes(&self.to_wire());
    }
}

impl Decode for Packet {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::from_wire(r.bytes(MAX_PACKET)?)
    }
}
