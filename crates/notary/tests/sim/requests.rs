//! Requests by number: coins of one owner, and payments of them that contradict each other.

use tally_core::keys::SecretKey;
use tally_core::notary::{CertificationData, CertificationRequest, StateHash, TransactionHash};

fn word(number: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    bytes[8..16].copy_from_slice(&number.to_be_bytes());
    bytes
}

/// The request to spend coin `coin` in payment `payment`.
pub fn request(coin: u64, payment: u64) -> CertificationRequest {
    let key = SecretKey::new([7; 32]).expect("a scalar");
    let (source, transaction) = (StateHash::new(word(coin)), TransactionHash::new(word(payment)));
    CertificationRequest::new(CertificationData::signed(&key, source, transaction, None))
}
