//! Spends for tests: numbers in place of keys, coins and payments.

use tally_core::cbor::{Blob, from_bytes};
use tally_core::fork::{ForkProof, Spending};
use tally_core::id::{CoinId, Digest, NetworkId, TxId};
use tally_core::keys::SecretKey;
use tally_core::notary::{
    CertificationData, CertificationRequest, NodeId, Partition, RootNode, ShardId, StateHash,
    StateId, TransactionHash, TrustBase, UnicityCertificate,
};
use tally_core::predicate::{Predicate, Sealed, Unlock, spend_digest};
use tally_core::seal::{SealCertificate, SealTerms, Slot, SlotProof};
use tally_core::time::Time;

use crate::backend::Batch;
use crate::block::{Block, Entry, Header};
use crate::certify;
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

/// The key of validator `number`.
pub(crate) fn validator_key(number: u8) -> SecretKey {
    SecretKey::new([100 + number; 32]).expect("a small scalar")
}

pub(crate) fn validator(number: u8) -> NodeId {
    NodeId::new(&format!("validator-{number}")).expect("a short name")
}

/// A network of four.
pub(crate) fn trust() -> TrustBase {
    let nodes = (0..4).map(|number| RootNode {
        id: validator(number),
        key: validator_key(number).public(),
        stake: 1,
    });
    let partition =
        Partition { id: 1, shard: ShardId::whole(), configuration: Digest::new([9; 32]) };
    TrustBase::new(NetworkId::LOCAL, 1, partition, nodes.collect(), 3).expect("a trust base")
}

/// A certificate of this height, which nobody signed.
pub(crate) fn certificate(height: u64) -> UnicityCertificate {
    let header = Header { height, ..genesis().header().clone() };
    certify::unsigned(&trust(), &header, genesis().hash(), Digest::new(word(height)))
        .expect("one shard")
}

/// The proof that the device of key `number` gave one coin away twice.
pub(crate) fn fork(number: u8) -> ForkProof {
    let key = SecretKey::new([number; 32]).expect("a small scalar");
    let side = |payment: u64| {
        let (coin, tx) = (CoinId::new(word(1)), TxId::new(word(payment)));
        Spending { coin, tx, signature: key.sign(&spend_digest(&coin, &tx)) }
    };
    ForkProof { key: key.public(), a: side(1).into(), b: side(2).into() }
}

/// The request to spend a sealed coin at `now`, long before its lock ends, by a proof that a TPM made
/// (`spec/vectors/seal-slots.json`), under an enrollment by the enroller of this key.
pub(crate) fn sealed(enroller: &SecretKey, now: Time) -> CertificationRequest {
    const SLOTS: &str = include_str!("../../../spec/vectors/seal-slots.json");
    let all: serde_json::Value = serde_json::from_str(SLOTS).expect("JSON");
    let field = |name: &str| {
        let text = all["valid"][0][name].as_str().expect("text");
        crate::hex::decode(text).expect("digits")
    };
    let recorded: SealCertificate = from_bytes(&field("certificate")).expect("it decodes");
    let terms = SealTerms {
        network: NetworkId::LOCAL,
        development: false,
        expires: now.plus(2_000),
        enroller: enroller.public(),
        ..recorded.terms().clone()
    };
    let slot: Slot = from_bytes(&field("slot")).expect("it decodes");
    let proof = SlotProof::new(field("proof")).expect("short");
    let (coin, tx) = (CoinId::new(word(1)), TxId::new(field("tx_id").try_into().expect("32")));
    let until = now.plus(1_000);
    let predicate = Predicate::Sealed(Sealed { key: key().public(), slot, until });
    let unlock = Unlock::Sealed(key().sign(&spend_digest(&coin, &tx)), proof);
    let unlock = unlock.to_wire(&predicate, Some(&SealCertificate::issue(terms, enroller)));
    CertificationRequest::new(CertificationData {
        predicate: predicate.to_wire(),
        source: StateHash::from(coin),
        transaction: TransactionHash::from(tx),
        expires_at: None,
        unlock: Blob::new(unlock).expect("short"),
    })
}
