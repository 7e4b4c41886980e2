//! Say who may move a coin, and so what an offline payment with it is worth.
//!
//! [`Predicate::check`] is the one function that unlocks a coin: a payee runs it, and so does a
//! notary, or offline and online spends could disagree (spec `PRED-1` to `PRED-8`).

mod engine;

pub use engine::TallyEngine;

use crate::cbor::{Decode, DecodeError, Encode, Reader, Writer, from_bytes, record, to_bytes};
use crate::hash::{Tag, hash, sha256};
use crate::id::{CoinId, Digest, TxId};
use crate::keys::{PublicKey, Signature};
use crate::notary::WirePredicate;
use crate::seal::{Judge, SealCertificate, SealRefusal, Slot, SlotProof};
use crate::tier::Tier;
use crate::time::Time;

/// Engine number, on the notary's wire, of the predicates that only Tally knows.
pub const ENGINE_TALLY: u64 = 84;
const CODE_SEALED: u8 = 1;
const CODE_RESERVED: u8 = 2;

/// Who may move a coin.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Predicate {
    /// Whoever has the key. Byte for byte the signature predicate of the notary's wire format.
    Signature(PublicKey),
    /// Whoever has the key, once: with the proof that a hardware counter left its slot for this
    /// transaction. From `until` on, the key alone, so that a broken seal loses nobody's money.
    Sealed(Sealed),
    /// The key and the payee together; from `until` on, the key alone.
    Reserved(Reserved),
}

/// The terms of [`Predicate::Sealed`].
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Sealed {
    /// The owner.
    pub key: PublicKey,
    /// The one counter value that lets the coin move.
    pub slot: Slot,
    /// When the lock ends.
    pub until: Time,
}

record!(Sealed { key, slot, until });

/// The terms of [`Predicate::Reserved`].
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Reserved {
    /// The owner.
    pub key: PublicKey,
    /// Whom the value is set aside for.
    pub payee: PublicKey,
    /// When the lock ends.
    pub until: Time,
}

record!(Reserved { key, payee, until });

/// What unlocks a predicate for one transaction.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Unlock {
    /// The owner's signature.
    Signature(Signature),
    /// The owner's signature and the seal's proof for this transaction.
    Sealed(Signature, SlotProof),
    /// The owner's signature, and the payee's on [`consent_digest`].
    Reserved(Signature, Signature),
}

/// Why a predicate stays locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnlockError {
    /// The kind of unlock does not open this predicate.
    #[error("the coin is not unlocked the way its owner rule asks: refuse the payment")]
    Mismatch,
    /// The owner's signature is not the owner's, or not on this transaction.
    #[error("the owner's signature does not fit: refuse the payment")]
    OwnerSignature,
    /// The payee's signature is not the payee's, or not on this transaction.
    #[error("the payee's signature does not fit: refuse the payment")]
    PayeeSignature,
    /// The seal's proof does not count.
    #[error("the seal's proof does not count: {0}")]
    SlotProof(SealRefusal),
    /// The owner's signature alone does not suffice before the lock's end.
    #[error(
        "the coin is locked and the lock has not ended: wait for its end (tally status), or for the proof that unlocks it"
    )]
    Locked,
}

impl UnlockError {
    /// Stable code of this error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Mismatch => "UNLOCK_MISMATCH",
            Self::OwnerSignature => "UNLOCK_OWNER_SIGNATURE",
            Self::PayeeSignature => "UNLOCK_PAYEE_SIGNATURE",
            Self::SlotProof(_) => "UNLOCK_SLOT_PROOF",
            Self::Locked => "UNLOCK_LOCKED",
        }
    }
}

/// What an owner signs to spend `coin` in `tx`: `SHA-256(CBOR [coin, tx])`.
///
/// It is also what a notary certifies, with the coin as source state and the transaction as
/// transaction hash, so a payment signed offline is settled as it is.
pub fn spend_digest(coin: &CoinId, tx: &TxId) -> Digest {
    let mut w = Writer::new();
    w.array(2);
    coin.encode(&mut w);
    tx.encode(&mut w);
    Digest::new(sha256(&w.into_bytes()))
}

/// What the payee of a reservation signs to let `coin` move in `tx`: `H("consent", coin, tx)`.
///
/// It is not what an owner signs: else the payee's consent to somebody's step could be shown around
/// as a step of its own, and convict it.
pub fn consent_digest(coin: &CoinId, tx: &TxId) -> Digest {
    Digest::new(hash(Tag::Consent, &[coin, tx]))
}

impl Predicate {
    /// The owner's key.
    pub fn key(&self) -> &PublicKey {
        match self {
            Self::Signature(key) => key,
            Self::Sealed(sealed) => &sealed.key,
            Self::Reserved(reserved) => &reserved.key,
        }
    }

    /// When the lock ends, if there is one.
    pub fn until(&self) -> Option<Time> {
        match self {
            Self::Signature(_) => None,
            Self::Sealed(sealed) => Some(sealed.until),
            Self::Reserved(reserved) => Some(reserved.until),
        }
    }

    /// The slot of hardware that the coin is bound to, if it is, whether or not its lock has ended.
    pub fn slot(&self) -> Option<Slot> {
        match self {
            Self::Sealed(sealed) => Some(sealed.slot),
            Self::Signature(_) | Self::Reserved(_) => None,
        }
    }

    /// For whom the coin was set aside, if it was, whether or not its lock has ended.
    pub fn reservation(&self) -> Option<&Reserved> {
        match self {
            Self::Reserved(reserved) => Some(reserved),
            Self::Signature(_) | Self::Sealed(_) => None,
        }
    }

    /// For whom the coin is set aside at `now`, if it is.
    pub fn reserved_for(&self, now: Time) -> Option<&PublicKey> {
        let reserved = self.reservation().filter(|reserved| now < reserved.until);
        reserved.map(|reserved| &reserved.payee)
    }

    /// The predicate under which the change of a coin goes back to its owner, unless a counter is
    /// at its end. The lock's end stays where it was.
    pub fn of_change(&self) -> Option<Self> {
        match self {
            Self::Sealed(sealed) => {
                let slot = sealed.slot.next()?;
                Some(Self::Sealed(Sealed { slot, ..sealed.clone() }))
            }
            other => Some(other.clone()),
        }
    }

    /// Whether `unlock` moves `coin` in `tx` at time `now`: the one function that decides it. Where a
    /// seal had to prove something, gives the certificate under which the proof counts.
    ///
    /// # Errors
    /// [`UnlockError`] for the first rule that it breaks.
    pub fn check<'a>(
        &self,
        coin: &CoinId,
        tx: &TxId,
        unlock: &Unlock,
        now: Time,
        judge: &Judge<'a>,
    ) -> Result<Option<&'a SealCertificate>, UnlockError> {
        let digest = spend_digest(coin, tx);
        if !self.key().verify(&digest, unlock.owner_signature()) {
            return Err(UnlockError::OwnerSignature);
        }
        match (self, unlock) {
            (Self::Signature(_), Unlock::Signature(_)) => Ok(None),
            (Self::Sealed(_) | Self::Reserved(_), Unlock::Signature(_)) => {
                if self.until().is_some_and(|until| now >= until) {
                    Ok(None)
                } else {
                    Err(UnlockError::Locked)
                }
            }
            (Self::Sealed(sealed), Unlock::Sealed(_, proof)) => {
                let verdict = judge.proved(&sealed.slot, sealed.until, tx, proof);
                verdict.map(Some).map_err(UnlockError::SlotProof)
            }
            (Self::Reserved(reserved), Unlock::Reserved(_, payee)) => {
                if reserved.payee.verify(&consent_digest(coin, tx), payee) {
                    Ok(None)
                } else {
                    Err(UnlockError::PayeeSignature)
                }
            }
            (Self::Signature(_) | Self::Reserved(_), Unlock::Sealed(..))
            | (Self::Signature(_) | Self::Sealed(_), Unlock::Reserved(..)) => {
                Err(UnlockError::Mismatch)
            }
        }
    }

    /// What an uncertified spend of this predicate by `unlock` is worth to `viewer` at `now`.
    ///
    /// A lock that has ended holds nobody back, and a reservation binds the owner only towards the
    /// payee that it names, who had to sign too.
    pub fn tier(&self, unlock: &Unlock, now: Time, viewer: Option<&PublicKey>) -> Tier {
        match (self, unlock) {
            (Self::Sealed(sealed), Unlock::Sealed(..)) if now < sealed.until => Tier::Sealed,
            (Self::Reserved(reserved), Unlock::Reserved(..))
                if now < reserved.until && viewer == Some(&reserved.payee) =>
            {
                Tier::Reserved
            }
            (Self::Signature(_) | Self::Sealed(_) | Self::Reserved(_), _) => Tier::Signed,
        }
    }

    /// What a spend of this predicate will be worth to `viewer` if it is unlocked at `now` the way
    /// the predicate asks.
    pub fn expected_tier(&self, now: Time, viewer: &PublicKey) -> Tier {
        match self {
            Self::Sealed(sealed) if now < sealed.until => Tier::Sealed,
            Self::Reserved(r) if now < r.until && r.payee == *viewer => Tier::Reserved,
            Self::Signature(_) | Self::Sealed(_) | Self::Reserved(_) => Tier::Signed,
        }
    }

    /// The predicate as the notary's wire carries it, which is also its encoding.
    pub fn to_wire(&self) -> WirePredicate {
        let (code, params) = match self {
            Self::Signature(key) => return WirePredicate::signature(key),
            Self::Sealed(sealed) => (CODE_SEALED, to_bytes(sealed)),
            Self::Reserved(reserved) => (CODE_RESERVED, to_bytes(reserved)),
        };
        WirePredicate::new(ENGINE_TALLY, &[code], &params)
            .expect("a predicate of ours is far below the wire's limit")
    }

    /// The predicate that the notary's wire carries.
    ///
    /// # Errors
    /// [`DecodeError`] when it is none of ours.
    pub fn from_wire(wire: &WirePredicate) -> Result<Self, DecodeError> {
        if let Some(key) = wire.signature_key() {
            return PublicKey::in_form(key).map(Self::Signature);
        }
        let params = wire.params.as_slice();
        match (wire.engine, wire.code.as_slice()) {
            (ENGINE_TALLY, [CODE_SEALED]) => from_bytes(params).map(Self::Sealed),
            (ENGINE_TALLY, [CODE_RESERVED]) => from_bytes(params).map(Self::Reserved),
            _ => Err(DecodeError::Unknown),
        }
    }
}

impl Unlock {
    /// Reads an unlock whose kind, and number of items behind it, were read before.
    pub(crate) fn decode_variant(
        r: &mut Reader<'_>,
        kind: u64,
        rest: u64,
    ) -> Result<Self, DecodeError> {
        match (kind, rest) {
            (1, 2) => Ok(Self::Sealed(Decode::decode(r)?, Decode::decode(r)?)),
            (2, 2) => Ok(Self::Reserved(Decode::decode(r)?, Decode::decode(r)?)),
            (1 | 2, _) => Err(DecodeError::WrongLength),
            _ => Err(DecodeError::Unknown),
        }
    }

    /// The owner's signature, which every unlock has.
    pub fn owner_signature(&self) -> &Signature {
        match self {
            Self::Signature(s) | Self::Sealed(s, _) | Self::Reserved(s, _) => s,
        }
    }
}

impl Encode for Predicate {
    fn encode(&self, w: &mut Writer) {
        self.to_wire().encode(w);
    }
}

impl Decode for Predicate {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::from_wire(&WirePredicate::decode(r)?)
    }
}

impl Encode for Unlock {
    fn encode(&self, w: &mut Writer) {
        match self {
            Self::Signature(owner) => owner.encode(w),
            Self::Sealed(owner, proof) => {
                w.array(3);
                w.uint(1);
                owner.encode(w);
                proof.encode(w);
            }
            Self::Reserved(owner, payee) => {
                w.array(3);
                w.uint(2);
                owner.encode(w);
                payee.encode(w);
            }
        }
    }
}

impl Decode for Unlock {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if r.is_bytes()? {
            return Signature::decode(r).map(Self::Signature);
        }
        r.variant(Self::decode_variant)
    }
}

#[cfg(test)]
pub(crate) mod tests;
