//! Name every 32-byte identity with a type of its own.

use core::fmt;

use crate::cbor::{Decode, DecodeError, Encode, Reader, Writer};

/// Makes a 32-byte identity: `Copy`, ordered, hex in `Debug` and `Display`, a byte string in CBOR.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Takes 32 bytes as they are.
            pub const fn new(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The 32 bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// Parses 64 hexadecimal digits.
            pub fn from_hex(text: &str) -> Option<Self> {
                from_hex(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(f, &self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl Encode for $name {
            fn encode(&self, w: &mut Writer) {
                w.bytes(&self.0);
            }
        }

        impl Decode for $name {
            fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
                <[u8; 32]>::decode(r).map(Self)
            }
        }
    };
}

id! {
    /// An asset: the hash of its policy document.
    AssetId
}
id! {
    /// A coin: the hash of the transaction that made it and of its index there.
    CoinId
}
id! {
    /// The hash of a transaction's body.
    BodyHash
}
id! {
    /// A transaction: the hash of body, link and step.
    TxId
}
id! {
    /// The state that is spent when a serial number of an asset is minted.
    SerialId
}
id! {
    /// A device: the hash of its owner key and seal identity.
    DeviceId
}
id! {
    /// The head of the hash chain that two devices share.
    Link
}
id! {
    /// A payee's challenge: the hash of its device and a nonce.
    Challenge
}
id! {
    /// The head of the hash chain of everything that a device signed.
    Head
}
id! {
    /// The root of a device's tree.
    Root
}
id! {
    /// A 32-byte value that is signed.
    Digest
}

impl From<tally_tree::Digest> for Root {
    fn from(root: tally_tree::Digest) -> Self {
        Self(*root.as_bytes())
    }
}

impl From<Root> for tally_tree::Digest {
    fn from(root: Root) -> Self {
        Self::from(root.0)
    }
}

impl From<CoinId> for tally_tree::Key {
    fn from(id: CoinId) -> Self {
        Self::from(id.0)
    }
}

/// A payee's fresh 16 bytes, which make a payment unique.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Nonce([u8; 16]);

impl Nonce {
    /// Takes 16 bytes as they are.
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl Encode for Nonce {
    fn encode(&self, w: &mut Writer) {
        w.bytes(&self.0);
    }
}

impl Decode for Nonce {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        <[u8; 16]>::decode(r).map(Self)
    }
}

/// The network that a coin lives on: 16 bits, not zero. Objects of another network are refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct NetworkId(u16);

impl NetworkId {
    /// The network of local tests and demonstrations, in the numbering of the notary's wire format.
    pub const LOCAL: Self = Self(3);

    /// Takes any number but zero.
    pub const fn new(number: u16) -> Option<Self> {
        if number == 0 { None } else { Some(Self(number)) }
    }

    /// The number.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Whether it is a network without value, where a seal that can be copied may count.
    pub const fn is_development(self) -> bool {
        self.0 == Self::LOCAL.0
    }
}

impl fmt::Display for NetworkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Encode for NetworkId {
    fn encode(&self, w: &mut Writer) {
        self.0.encode(w);
    }
}

impl Decode for NetworkId {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::new(u16::decode(r)?).ok_or(DecodeError::OutOfRange)
    }
}

fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|b| write!(f, "{b:02x}"))
}

/// Parses exactly `2 N` hexadecimal digits.
pub fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = u8::try_from(high << 4 | low).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn hex_round_trips_and_rejects_everything_else() {
        let id = CoinId::new([0xa5; 32]);
        assert_eq!(CoinId::from_hex(&id.to_string()), Some(id));
        assert_eq!(CoinId::from_hex(&id.to_string()[1..]), None);
        assert_eq!(CoinId::from_hex(&"zz".repeat(32)), None);
        assert_eq!(from_hex::<1>("+1"), None);
    }

    #[test]
    fn network_zero_does_not_exist() {
        assert_eq!(NetworkId::new(0), None);
        assert_eq!(crate::cbor::from_bytes::<NetworkId>(&[0]), Err(DecodeError::OutOfRange));
    }
}
