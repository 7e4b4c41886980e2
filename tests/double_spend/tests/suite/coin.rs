//! Coins, their owners and what they sign.

use std::sync::atomic::{AtomicU64, Ordering};

use tally_core::cbor::{Blob, to_bytes};
use tally_core::hash::sha256;
use tally_core::id::{CoinId, TxId};
use tally_core::keys::SecretKey;
use tally_core::notary::{CertificationData, CertificationRequest};
use tally_core::predicate::{Predicate, Unlock, consent_digest, spend_digest};
use tally_core::time::Time;

/// Bytes that no other call gives.
fn fresh() -> [u8; 32] {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    sha256(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes())
}

/// Somebody who was not there before.
pub fn somebody() -> SecretKey {
    SecretKey::new(fresh()).expect("a hash that is no scalar was never seen")
}

/// A coin that was not there before.
pub fn coin() -> CoinId {
    CoinId::new(fresh())
}

/// A transaction that was not there before: to a notary it is no more than its hash.
pub fn transaction() -> TxId {
    TxId::new(fresh())
}

/// What a payee sends to a notary: that the owner of `key` gives `coin` away in `tx`.
pub fn spend(key: &SecretKey, coin: CoinId, tx: TxId) -> CertificationRequest {
    spend_until(key, coin, tx, None)
}

/// The same, to be certified before a deadline.
pub fn spend_until(
    key: &SecretKey,
    coin: CoinId,
    tx: TxId,
    deadline: Option<Time>,
) -> CertificationRequest {
    CertificationRequest::new(CertificationData::signed(key, coin.into(), tx.into(), deadline))
}

/// Two payments with one new coin, by one new owner.
pub fn two_payments() -> [CertificationRequest; 2] {
    let (owner, coin) = (somebody(), coin());
    [spend(&owner, coin, transaction()), spend(&owner, coin, transaction())]
}

/// The spend of a coin under one of Tally's own predicates.
pub fn unlocked(
    predicate: &Predicate,
    coin: CoinId,
    tx: TxId,
    unlock: &Unlock,
) -> CertificationRequest {
    let unlock = Blob::new(to_bytes(unlock)).expect("an unlock is short");
    CertificationRequest::new(CertificationData {
        predicate: predicate.to_wire(),
        source: coin.into(),
        transaction: tx.into(),
        expires_at: None,
        unlock,
    })
}

/// The owner's signature alone.
pub fn alone(owner: &SecretKey, coin: CoinId, tx: TxId) -> Unlock {
    Unlock::Signature(owner.sign(&spend_digest(&coin, &tx)))
}

/// The owner's signature with the payee's consent.
pub fn together(owner: &SecretKey, payee: &SecretKey, coin: CoinId, tx: TxId) -> Unlock {
    let consent = payee.sign(&consent_digest(&coin, &tx));
    Unlock::Reserved(owner.sign(&spend_digest(&coin, &tx)), consent)
}
