//! Say of every file and code that people pass around what it is.
//!
//! An object is the six bytes `TALLY1` and the CBOR array of its kind and its content.

use alloc::vec::Vec;

use crate::card::Signed;
use crate::cbor::{Decode, DecodeError, Encode, Reader, Writer, from_bytes, record, to_bytes};
use crate::evidence::Minted;
use crate::fork::ForkProof;
use crate::notary::InclusionProof;
use crate::packet::Packet;
use crate::policy::Policy;

/// What every object begins with.
pub const MAGIC: &[u8; 6] = b"TALLY1";
/// Longest object, in bytes.
pub const MAX_OBJECT_FILE: usize = 300 * 1024;

/// A mint with the policy that it is checked under, so that its owner need not import it before.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct MintFile {
    /// The asset.
    pub policy: Policy,
    /// The mint.
    pub minted: Minted,
    /// What a network showed its issuer of the mint's serial, for whoever trusts that network.
    pub proof: Option<InclusionProof>,
}

record!(MintFile { policy, minted, proof });

/// An invoice with the policy of its asset, for whoever does not know the asset yet.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct InvoiceFile {
    /// The asset.
    pub policy: Policy,
    /// The signed invoice.
    pub invoice: Signed,
}

record!(InvoiceFile { policy, invoice });

/// Anything that people pass around.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[allow(clippy::large_enum_variant)]
pub enum Object {
    /// A contact card.
    Card(Signed),
    /// An asset.
    Policy(Policy),
    /// A mint.
    Mint(MintFile),
    /// An invoice.
    Invoice(InvoiceFile),
    /// A message between two devices: a payment or a receipt, encrypted.
    Packet(Packet),
    /// A proof that a device paid twice with the same money.
    Fork(ForkProof),
}

impl Object {
    /// The object's kind, for people.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Card(_) => "contact card",
            Self::Policy(_) => "asset",
            Self::Mint(_) => "mint",
            Self::Invoice(_) => "invoice",
            Self::Packet(_) => "encrypted packet",
            Self::Fork(_) => "fork proof",
        }
    }

    /// The object as a file or code.
    pub fn to_file(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(to_bytes(self));
        bytes
    }

    /// Reads a file or code.
    ///
    /// # Errors
    /// [`DecodeError::Unknown`] when it does not begin with [`MAGIC`], or another when it is no
    /// object.
    pub fn from_file(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > MAX_OBJECT_FILE {
            return Err(DecodeError::TooLarge);
        }
        let body = bytes.strip_prefix(MAGIC.as_slice()).ok_or(DecodeError::Unknown)?;
        from_bytes(body)
    }
}

impl Encode for Object {
    fn encode(&self, w: &mut Writer) {
        let mut pair = |kind: u64, body: &dyn Encode| {
            w.array(2);
            w.uint(kind);
            body.encode(w);
        };
        match self {
            Self::Card(x) => pair(1, x),
            Self::Policy(x) => pair(2, x),
            Self::Mint(x) => pair(3, x),
            Self::Invoice(x) => pair(4, x),
            Self::Packet(x) => pair(5, x),
            Self::Fork(x) => pair(6, x),
        }
    }
}

impl Decode for Object {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.variant(|r, kind, rest| {
            if rest != 1 {
                return Err(DecodeError::WrongLength);
            }
            match kind {
                1 => Decode::decode(r).map(Self::Card),
                2 => Decode::decode(r).map(Self::Policy),
                3 => Decode::decode(r).map(Self::Mint),
                4 => Decode::decode(r).map(Self::Invoice),
                5 => Decode::decode(r).map(Self::Packet),
                6 => Decode::decode(r).map(Self::Fork),
                _ => Err(DecodeError::Unknown),
            }
        })
    }
}
