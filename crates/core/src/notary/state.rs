//! Name a state, a transaction and a leaf, and derive one from another.

use super::predicate::WirePredicate;
use crate::cbor::{Encode, Writer, to_bytes};
use crate::hash::sha256;
use crate::id::{CoinId, Digest, SerialId, TxId};
use crate::time::Time;

/// Makes a 32-byte name of the wire format, a byte string in CBOR.
macro_rules! name32 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub struct $name($crate::id::Digest);

        impl $name {
            /// Takes 32 bytes as they are.
            pub const fn new(bytes: [u8; 32]) -> Self {
                Self($crate::id::Digest::new(bytes))
            }

            /// The 32 bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                self.0.as_bytes()
            }

            /// Parses 64 hexadecimal digits.
            pub fn from_hex(text: &str) -> Option<Self> {
                $crate::id::Digest::from_hex(text).map(Self)
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                core::fmt::Display::fmt(&self.0, f)
            }
        }

        impl $crate::cbor::Encode for $name {
            fn encode(&self, w: &mut $crate::cbor::Writer) {
                self.0.encode(w);
            }
        }

        impl $crate::cbor::Decode for $name {
            fn decode(r: &mut $crate::cbor::Reader<'_>) -> Result<Self, $crate::cbor::DecodeError> {
                $crate::id::Digest::decode(r).map(Self)
            }
        }
    };
}

pub(super) use name32;

name32! {
    /// The state that a transaction spends: for a Tally coin, its [`CoinId`]; for a mint, its [`SerialId`].
    StateHash
}
name32! {
    /// The transaction that spends a state: for Tally, its [`TxId`].
    TransactionHash
}
name32! {
    /// Where a spend is in the notary's tree: the hash of the predicate and of the state that it locks (`WIRE-4`).
    ///
    /// The transaction is no part of it, so two spends of one state compete for one leaf.
    StateId
}
name32! {
    /// What a leaf of the notary's tree holds: the hash of the transaction and of its reference time (`WIRE-6`).
    LeafValue
}

impl StateId {
    /// `SHA-256(CBOR [predicate, source])`.
    pub fn of(predicate: &WirePredicate, source: &StateHash) -> Self {
        let mut w = Writer::new();
        w.array(2);
        predicate.encode(&mut w);
        source.encode(&mut w);
        Self::new(sha256(&w.into_bytes()))
    }
}

impl LeafValue {
    /// `SHA-256(CBOR [transaction, reference_time])`, where the reference time is that of the round in
    /// which the leaf was made.
    pub fn of(transaction: &TransactionHash, reference_time: Time) -> Self {
        let mut w = Writer::new();
        w.array(2);
        transaction.encode(&mut w);
        reference_time.encode(&mut w);
        Self::new(sha256(&w.into_bytes()))
    }
}

/// What a proof has to prove: that this transaction spends this state, which this predicate locks.
///
/// The verifier makes it from the transaction that it holds, never from the proof.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Spend<'a> {
    /// What locks the state.
    pub predicate: &'a WirePredicate,
    /// The state.
    pub source: StateHash,
    /// The transaction.
    pub transaction: TransactionHash,
    /// The time from which the transaction may no longer be certified, if it says one.
    pub expires_at: Option<Time>,
}

impl Spend<'_> {
    /// The leaf's place in the notary's tree.
    pub fn state_id(&self) -> StateId {
        StateId::of(self.predicate, &self.source)
    }

    /// What the owner of the state signs: `SHA-256(CBOR [source, transaction])` (`WIRE-5`).
    ///
    /// For a Tally transaction that is what each input's owner signs in airplane mode, so a payment is
    /// settled later as it is.
    pub fn signed_digest(&self) -> Digest {
        signed_digest(&self.source, &self.transaction)
    }
}

pub(super) fn signed_digest(source: &StateHash, transaction: &TransactionHash) -> Digest {
    Digest::new(sha256(&to_bytes([*source.as_bytes(), *transaction.as_bytes()].as_slice())))
}

impl From<CoinId> for StateHash {
    fn from(id: CoinId) -> Self {
        Self::new(*id.as_bytes())
    }
}

impl From<SerialId> for StateHash {
    fn from(id: SerialId) -> Self {
        Self::new(*id.as_bytes())
    }
}

impl From<TxId> for TransactionHash {
    fn from(id: TxId) -> Self {
        Self::new(*id.as_bytes())
    }
}

impl From<StateId> for tally_tree::Key {
    fn from(id: StateId) -> Self {
        Self::from(*id.as_bytes())
    }
}

impl From<LeafValue> for tally_tree::Value {
    fn from(value: LeafValue) -> Self {
        Self::from(*value.as_bytes())
    }
}
