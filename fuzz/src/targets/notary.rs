use std::sync::{Arc, OnceLock};

use tally_core::id::{Digest, NetworkId};
use tally_core::keys::SecretKey;
use tally_core::notary::token::Token;
use tally_core::notary::{
    CertificationData, CertificationRequest, NoEngine, NodeId, Partition, ProofResponse, RootNode,
    ShardId, StateHash, TransactionHash, TrustBase, UnicityCertificate,
};
use tally_notary::backend::Batch;
use tally_notary::block::{Block, Entry};
use tally_notary::call::{Body, MAX_CALLS, MAX_ID, Request, parse};
use tally_notary::certify::SealMessage;
use tally_notary::store::Store;
use tally_notary::store::disk::{Disk, MemoryDisk};
use tally_notary::verify_log::{Fetch, Options, Start, verify_log};
use tally_testkit::NOW;

use super::core::canonical;

/// What a node answers has one encoding; a certificate that nobody signed certifies nothing.
pub fn proof(bytes: &[u8]) {
    canonical::<ProofResponse>(bytes);
    if let Some(certificate) = canonical::<UnicityCertificate>(bytes) {
        assert!(certificate.verify(&strangers()).is_err());
    }
}

/// A request has one encoding, and can be checked.
pub fn request(bytes: &[u8]) {
    if let Some(request) = canonical::<CertificationRequest>(bytes) {
        let _ = request.verify(&ShardId::whole(), &NoEngine, NOW);
    }
}

/// A token has one encoding; without the validators' signatures it is worth nothing.
pub fn token(bytes: &[u8]) {
    if let Some(token) = canonical::<Token>(bytes) {
        assert!(token.verify(&strangers(), &NoEngine).is_err());
    }
}

/// Whatever a client posts, there is an answer to give, under an id that is JSON.
pub fn call(bytes: &[u8]) {
    let answerable = |request: &Request| {
        let id = request.id.as_str();
        assert!(id.len() <= MAX_ID && serde_json::from_str::<serde_json::Value>(id).is_ok());
        assert!(request.method.is_some() || request.call.is_err());
    };
    match parse(bytes) {
        Body::One(request) => answerable(&request),
        Body::Many(requests) => {
            assert!((1..=MAX_CALLS).contains(&requests.len()));
            requests.iter().for_each(answerable);
        }
    }
}

/// A batch has one encoding and spends no state twice.
pub fn batch(bytes: &[u8]) {
    let Ok(entry) = Entry::decode(bytes) else { return };
    assert_eq!(entry.as_bytes(), bytes);
    let states: std::collections::BTreeSet<_> =
        entry.requests().iter().map(|request| request.state_id).collect();
    assert_eq!(states.len(), entry.requests().len());
}

/// A block has one encoding, and its batches are where it says.
pub fn block(bytes: &[u8]) {
    let Ok(block) = Block::decode(bytes) else { return };
    assert_eq!(block.encode(), bytes);
    assert_eq!(block.size(), bytes.len());
    for (entry, at) in block.entries().iter().zip(block.offsets()) {
        assert!(bytes[at..].starts_with(entry.as_bytes()));
    }
}

/// What validators tell each other has one encoding.
pub fn gossip(bytes: &[u8]) {
    if let Ok(message) = SealMessage::decode(bytes) {
        assert_eq!(message.encode(), bytes);
    }
}

/// A store in which any bytes were changed is opened as far as it is whole, or refused.
pub fn store(bytes: &[u8]) {
    let Some(([file, high, low], content)) = bytes.split_first_chunk() else { return };
    let disk = MemoryDisk::default();
    let genesis = Block::genesis(Digest::new([9; 32]), NOW);
    let made = two_blocks(&disk, &genesis);
    let names = disk.names().expect("memory lists its files");
    let name = &names[usize::from(*file) % names.len()];
    let at = u64::from(u16::from_be_bytes([*high, *low]));
    let written = disk.open(name).and_then(|file| file.write_at(at, content));
    assert!(made && written.is_ok());
    let Ok((store, _)) = Store::open(Arc::new(disk.clone()), &genesis) else { return };
    assert!(store.height() <= 2);
    for height in 1..=store.height() {
        let block = store.reader().block(height);
        assert!(
            block.is_err() || block.is_ok_and(|b| b.is_some_and(|b| b.block.height() == height))
        );
    }
    let again = Store::open(Arc::new(disk), &genesis).map(|(store, _)| store.height());
    assert_eq!(again.ok(), Some(store.height()));
}

/// A network's first two blocks, one of which spends a state.
fn two_blocks(disk: &MemoryDisk, genesis: &Block) -> bool {
    let Ok((mut store, recovered)) = Store::open(Arc::new(disk.clone()), genesis) else {
        return false;
    };
    let mut ledger = recovered.ledger;
    [vec![entry()], Vec::new()].into_iter().enumerate().all(|(i, entries)| {
        let tip = ledger.last_final();
        let Ok(block) = ledger.build(&tip.hash, tip.header.time.plus(1), entries) else {
            return false;
        };
        let seal = Digest::new([i as u8; 32]);
        store.commit(&[(Arc::clone(&block), seal)]).is_ok() && ledger.finalize(block).is_ok()
    })
}

/// A batch of one spend.
fn entry() -> Entry {
    static ENTRY: OnceLock<Entry> = OnceLock::new();
    ENTRY
        .get_or_init(|| {
            let key = SecretKey::new([0x22; 32]).expect("a scalar");
            let (source, transaction) = (StateHash::new([1; 32]), TransactionHash::new([2; 32]));
            let data = CertificationData::signed(&key, source, transaction, None);
            Entry::new(Batch::from(CertificationRequest::new(data))).expect("a short batch")
        })
        .clone()
}

/// Whatever a node answers, a check of its log ends, and does not find anything to be certified.
pub fn audit(bytes: &[u8]) {
    struct Node<'a>(std::slice::Split<'a, u8, fn(&u8) -> bool>);
    impl Fetch for Node<'_> {
        fn post(&mut self, _: &str) -> Result<String, String> {
            let answer = self.0.next().ok_or("no more answers")?;
            String::from_utf8(answer.to_vec()).map_err(|error| error.to_string())
        }
    }
    let newline: fn(&u8) -> bool = |byte| *byte == b'\n';
    for start in [Start::Empty, Start::Height(1)] {
        let options = Options { spots: 2, ..Options::default() };
        let mut node = Node(bytes.split(newline));
        if let Ok(audit) = verify_log(&mut node, &strangers(), start, &options, &mut |_| ()) {
            assert_eq!((audit.certificates, audit.checkpoint.height), (0, 0));
        }
    }
}

/// Validators who never signed anything.
fn strangers() -> TrustBase {
    let key = SecretKey::new([0x77; 32]).expect("a scalar").public();
    let id = NodeId::new("nobody").expect("a short name");
    let nodes = vec![RootNode { id, key, stake: 1 }];
    let configuration = Digest::new([0; 32]);
    let partition = Partition { id: 1, shard: ShardId::whole(), configuration };
    TrustBase::new(NetworkId::LOCAL, 1, partition, nodes, 1).expect("one node is a majority")
}
