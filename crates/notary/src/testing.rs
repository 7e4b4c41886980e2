//! Spends for tests: numbers in place of keys, coins and payments.

use tally_core::id::Digest;
use tally_core::keys::SecretKey;
use tally_core::notary::{
    CertificationData, CertificationRequest, ShardId, StateHash, StateId, TransactionHash,
};
use tally_core::time::Time;

use crate::backend::Batch;
use crate::block::{Block, Entry};
use crate::ledger::{Base, Ledger, Tip};
use crate::rules::{Rules, TallyEngine};

pub(crate) const START: Time = Time::from_unix(1_755_000_000);

pub(crate) fn key() -> SecretKey {
    SecretKey::new([7; 32]).expect("a small scalar")
}

pub(crate) fn word(number: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    bytes
}

/// The request to spend coin `coin` in payment `payment`.
pub(crate) fn request(coin: u64, payment: u64) -> CertificationRequest {
    request_until(coin, payment, None)
}

pub(crate) fn request_until(coin: u64, payment: u64, end: Option<Time>) -> CertificationRequest {
    let (source, transaction) = (StateHash::new(word(coin)), TransactionHash::new(word(payment)));
    CertificationRequest::new(CertificationData::signed(&key(), source, transaction, end))
}

pub(crate) fn state(coin: u64) -> StateId {
    request(coin, 0).state_id
}

/// The batch in which payment `payment` spends these coins.
pub(crate) fn entry(coins: &[u64], payment: u64) -> Entry {
    let requests = coins.iter().map(|coin| request(*coin, payment)).collect();
    Entry::new(Batch::new(requests).expect("a batch")).expect("a short batch")
}

pub(crate) fn genesis() -> Block {
    Block::genesis(Digest::new([9; 32]), START)
}

pub(crate) fn ledger() -> Ledger {
    Ledger::new(Tip::from(&genesis()), Base::default())
}

pub(crate) fn rules() -> Rules {
    Rules { shard: ShardId::whole(), engine: TallyEngine::default() }
}
