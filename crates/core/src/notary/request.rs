//! Ask the notary to certify a spend.

use super::certificate::ShardId;
use super::predicate::{Engine, MAX_UNLOCK, WirePredicate, unlocked};
use super::state::{Spend, StateHash, StateId, TransactionHash, signed_digest};
use super::tagged_record;
use crate::cbor::Blob;
use crate::keys::SecretKey;
use crate::time::Time;

/// A spend and the proof that its owner allowed it: `39031([2, predicate, source, transaction, expires_at, unlock])`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct CertificationData {
    /// What locks the state.
    pub predicate: WirePredicate,
    /// The state that is spent.
    pub source: StateHash,
    /// The transaction that spends it.
    pub transaction: TransactionHash,
    /// The time from which the notary must not certify it any more. The transaction's hash must cover it.
    pub expires_at: Option<Time>,
    /// What unlocks the predicate: for a signature, 65 bytes R‖S‖V.
    pub unlock: Blob<MAX_UNLOCK>,
}

tagged_record!(CertificationData, 39031, version 2 {
    predicate, source, transaction, expires_at, unlock
});

impl CertificationData {
    /// A spend that one key's signature unlocks, signed by it. The same arguments always give the same bytes.
    pub fn signed(
        key: &SecretKey,
        source: StateHash,
        transaction: TransactionHash,
        expires_at: Option<Time>,
    ) -> Self {
        let signature = key.sign(&signed_digest(&source, &transaction));
        let unlock = Blob::new(signature.as_bytes().into()).expect("a signature is short");
        Self {
            predicate: WirePredicate::signature(&key.public()),
            source,
            transaction,
            expires_at,
            unlock,
        }
    }

    /// The spend that this data claims; whether it is the one that was meant is for the caller to know.
    pub fn spend(&self) -> Spend<'_> {
        Spend {
            predicate: &self.predicate,
            source: self.source,
            transaction: self.transaction,
            expires_at: self.expires_at,
        }
    }
}

/// What a client sends: `39030([1, state_id, data, count])`. With a signature, 223 bytes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct CertificationRequest {
    /// Where the spend goes in the tree: known from `data`, and sent so that a router need not read that.
    pub state_id: StateId,
    /// The spend.
    pub data: CertificationData,
    /// How many requests an aggregating client bundled; 0 counts as 1.
    pub count: u64,
}

tagged_record!(CertificationRequest, 39030, version 1 { state_id, data, count });

/// Why a notary refuses a request. Codes are the status words of the wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// A signature predicate's key is no point of the curve.
    #[error("the public key is not a valid one: make the request again with the owner's key")]
    PublicKeyFormat,
    /// The state id is not that of the predicate and the source state.
    #[error("the state id does not belong to the request: let the library compute it")]
    StateIdMismatch,
    /// Another shard holds this state.
    #[error("another shard holds this state: send the request there")]
    Shard,
    /// A signature predicate needs 65 bytes.
    #[error("the signature does not have 65 bytes: sign again")]
    SignatureFormat,
    /// The predicate is not unlocked.
    #[error("the owner did not allow this transaction: it needs the owner's signature or proof")]
    NotAuthenticated,
    /// The deadline has passed.
    #[error("the request came after its deadline: make a new transaction")]
    Expired,
}

impl RequestError {
    /// The status word of this error, as a notary answers it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::PublicKeyFormat => "INVALID_PUBLIC_KEY_FORMAT",
            Self::StateIdMismatch => "STATE_ID_MISMATCH",
            Self::Shard => "INVALID_SHARD",
            Self::SignatureFormat => "INVALID_SIGNATURE_FORMAT",
            Self::NotAuthenticated => "SIGNATURE_VERIFICATION_FAILED",
            Self::Expired => "REQUEST_EXPIRED",
        }
    }
}

impl CertificationRequest {
    /// A request for `data`.
    pub fn new(data: CertificationData) -> Self {
        Self { state_id: data.spend().state_id(), data, count: 0 }
    }

    /// Checks a request as a notary must before it takes it, at reference time `at` (`WIRE-22`). Cheap
    /// checks come before the signature.
    ///
    /// # Errors
    /// [`RequestError`], whose code is the answer's status.
    pub fn verify(
        &self,
        shard: &ShardId,
        engine: &dyn Engine,
        at: Time,
    ) -> Result<(), RequestError> {
        self.check(shard, engine, at).map_err(|error| {
            // Asked last, for it costs a fifth of a signature, which shows it too; told first.
            let predicate = &self.data.predicate;
            let no_key = predicate.is_signature() && predicate.as_signature().is_none();
            if no_key { RequestError::PublicKeyFormat } else { error }
        })
    }

    fn check(&self, shard: &ShardId, engine: &dyn Engine, at: Time) -> Result<(), RequestError> {
        let (spend, unlock) = (self.data.spend(), self.data.unlock.as_slice());
        if spend.state_id() != self.state_id {
            return Err(RequestError::StateIdMismatch);
        }
        if !shard.covers(&self.state_id) {
            return Err(RequestError::Shard);
        }
        if spend.predicate.is_signature() && unlock.len() != 65 {
            return Err(RequestError::SignatureFormat);
        }
        if spend.expires_at.is_some_and(|deadline| at >= deadline) {
            return Err(RequestError::Expired);
        }
        if !unlocked(&spend, unlock, engine, at) {
            return Err(RequestError::NotAuthenticated);
        }
        Ok(())
    }
}
