//! Hash everything one way: `H(tag, x…) = SHA-256(CBOR [tag, x…])`.
//!
//! The tag is a text from one closed list, so a hash made for one purpose is never one for another
//! (spec `HASH-1`, `HASH-2`). Two places follow an outside format instead: the nodes of the tree,
//! and the notary's wire.

use sha2::{Digest as _, Sha256};

use crate::cbor::{Encode, Writer};

/// What a hash is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// Identity of an asset: its policy document.
    Asset,
    /// Identity of a coin: the transaction that made it, and its index there.
    Coin,
    /// A transaction's body.
    Body,
    /// A transaction: body, link and step.
    Tx,
    /// A mint.
    Mint,
    /// The state that a mint's serial number spends.
    Serial,
    /// Identity of a device.
    Device,
    /// The first head of a device.
    Genesis,
    /// A device's next head.
    Head,
    /// The first link of two devices.
    Pair,
    /// The next link of two devices.
    Link,
    /// A payee's challenge.
    Challenge,
    /// A leaf of the device's tree.
    Held,
    /// What a payee signs to say that it has a payment.
    Receipt,
    /// What a device signs to vouch for its contact card.
    Card,
    /// What a payee signs to ask for a payment.
    Invoice,
    /// What a device signs to open a session.
    Hello,
    /// What the payee of a reservation signs to let it move.
    Consent,
    /// Identity of a hardware seal.
    Seal,
    /// What an enroller signs to vouch for a hardware seal.
    Enrollment,
    /// What an enroller signs to take that back.
    Revocation,
    /// What a validator signs to say that it is there now.
    Presence,
}

impl Tag {
    /// Every tag, for tests and for the specification's table.
    pub const ALL: [Self; 22] = [
        Self::Asset,
        Self::Coin,
        Self::Body,
        Self::Tx,
        Self::Mint,
        Self::Serial,
        Self::Device,
        Self::Genesis,
        Self::Head,
        Self::Pair,
        Self::Link,
        Self::Challenge,
        Self::Held,
        Self::Receipt,
        Self::Card,
        Self::Invoice,
        Self::Hello,
        Self::Consent,
        Self::Seal,
        Self::Enrollment,
        Self::Revocation,
        Self::Presence,
    ];

    /// The text that stands first in the hashed array.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Asset => "tally/v1/asset",
            Self::Coin => "tally/v1/coin",
            Self::Body => "tally/v1/body",
            Self::Tx => "tally/v1/tx",
            Self::Mint => "tally/v1/mint",
            Self::Serial => "tally/v1/serial",
            Self::Device => "tally/v1/device",
            Self::Genesis => "tally/v1/genesis",
            Self::Head => "tally/v1/head",
            Self::Pair => "tally/v1/pair",
            Self::Link => "tally/v1/link",
            Self::Challenge => "tally/v1/challenge",
            Self::Held => "tally/v1/held",
            Self::Receipt => "tally/v1/receipt",
            Self::Card => "tally/v1/card",
            Self::Invoice => "tally/v1/invoice",
            Self::Hello => "tally/v1/hello",
            Self::Consent => "tally/v1/consent",
            Self::Seal => "tally/v1/seal",
            Self::Enrollment => "tally/v1/enrollment",
            Self::Revocation => "tally/v1/revocation",
            Self::Presence => "tally/v1/presence",
        }
    }
}

/// `H(tag, fields…)`: 32 bytes.
///
/// ```
/// use tally_core::hash::{hash, Tag};
/// assert_ne!(hash(Tag::Coin, &[&1u64]), hash(Tag::Body, &[&1u64]));
/// ```
pub fn hash(tag: Tag, fields: &[&dyn Encode]) -> [u8; 32] {
    let mut w = Writer::new();
    w.array(1 + fields.len() as u64);
    w.text(tag.text());
    for field in fields {
        field.encode(&mut w);
    }
    sha256(&w.into_bytes())
}

/// Plain SHA-256, for the two places that follow an outside format.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_distinct() {
        for (i, a) in Tag::ALL.iter().enumerate() {
            for b in &Tag::ALL[i + 1..] {
                assert_ne!(a.text(), b.text());
            }
        }
    }

    #[test]
    fn the_preimage_is_the_cbor_array_of_tag_and_fields() {
        let mut preimage = alloc::vec![0x83, 0x6f];
        preimage.extend_from_slice(b"tally/v1/serial");
        preimage.extend_from_slice(&[0x18, 0x2a, 0x41, 0x07]);
        assert_eq!(hash(Tag::Serial, &[&42u64, &[7u8]]), sha256(&preimage));
    }
}
