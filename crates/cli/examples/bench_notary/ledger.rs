//! The tree in this process, and a validator that starts with a million leaves.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tally_core::cbor::Blob;
use tally_core::keys::SecretKey;
use tally_core::notary::{
    CertificationData, CertificationRequest, LeafValue, NodeId, StateHash, StateId, TransactionHash,
};
use tally_core::predicate::Predicate;
use tally_core::time::Time;
use tally_notary::backend::Batch;
use tally_notary::block::Entry;
use tally_notary::certify::{Collector, Sealer, unsigned};
use tally_notary::devnet::{Devnet, Options};
use tally_notary::ledger::{Base, Ledger, Round, Tip};
use tally_notary::setup::{Genesis, Keys};
use tally_notary::store::Store;
use tally_notary::store::disk::Folder;
use tally_tree::Tree;

use super::{Failure, LIMIT, load};

/// Leaves of one block.
const BATCH: u32 = 10_000;

/// Requests of one block on the disk.
const BLOCK: u32 = 4_000;

/// What the tree does here.
pub struct Figures {
    /// Leaves a second: into a tree, and into one with the numbers of its leaves.
    pub rates: [f64; 2],
    pub bytes: f64,
    pub proofs: f64,
}

fn word(number: u32) -> [u8; 32] {
    tally_core::hash::sha256(&number.to_be_bytes())
}

/// Fills a tree, and one with the numbers of its leaves, and proves leaves of that.
pub fn tree(leaves: u32) -> Figures {
    let (mut bare, mut base) = (Tree::new(), Base::default());
    let time = Time::from_unix(1);
    let mut last = Vec::new();
    for first in (0..leaves).step_by(BATCH as usize) {
        let pairs: Vec<_> = (first..leaves.min(first + BATCH))
            .map(|number| {
                let value = LeafValue::of(&TransactionHash::new(word(number)), time);
                (StateId::new(word(number)).into(), value.into())
            })
            .collect();
        let round =
            Round { height: u64::from(first / BATCH + 1), time, leaves: pairs.len() as u32 };
        let begin = Instant::now();
        bare.insert_batch(&pairs).expect("new leaves");
        let alone = begin.elapsed();
        base.extend(&[round], &pairs).expect("new leaves");
        last.push([alone, begin.elapsed() - alone].map(|time| time.as_secs_f64()));
    }
    let end = &last[last.len().saturating_sub(10)..];
    let rates = [0, 1].map(|which| {
        f64::from(BATCH) * end.len() as f64 / end.iter().map(|times| times[which]).sum::<f64>()
    });
    assert_eq!(bare.root(), base.tree().root());
    drop(bare);
    let bytes = base.memory_bytes() as f64 / f64::from(leaves);
    let wanted: Vec<_> = (0..200_000)
        .map(|n: u32| StateId::new(word(n.wrapping_mul(7_919) % leaves)).into())
        .collect();
    let begin = Instant::now();
    for key in &wanted {
        std::hint::black_box(base.tree().prove(key).expect("a leaf"));
    }
    Figures { rates, bytes, proofs: wanted.len() as f64 / begin.elapsed().as_secs_f64() }
}

/// From the start of a process whose store has so many leaves until it proves one of them.
pub fn restart(program: &Path, leaves: u32) -> Result<Duration, Failure> {
    let folder = tempfile::tempdir()?;
    let mut network = Devnet::prepare(folder.path(), &Options::processes(4, program))?;
    let state = fill(&network, folder.path(), leaves)?;
    let begin = Instant::now();
    network.launch(0)?;
    let url = &network.urls()[0];
    while !load::is_proved(url, &state) {
        if begin.elapsed() > LIMIT {
            return Err("the validator does not prove what it has".into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(begin.elapsed())
}

/// Writes blocks into the first validator's store, the last one with a certificate. A state that is spent.
fn fill(network: &Devnet, folder: &Path, leaves: u32) -> Result<StateId, Failure> {
    let genesis = Genesis::load(&folder.join("genesis.json"))?;
    let data = network.config(0).1.data.join("ledger");
    std::fs::create_dir_all(&data)?;
    let (mut store, recovered) = Store::open(Arc::new(Folder::new(&data)?), &genesis.block())?;
    let mut ledger: Ledger = recovered.ledger;
    let mut seal = tally_core::id::Digest::new([0; 32]);
    let mut state = None;
    for first in (0..leaves).step_by(BLOCK as usize) {
        let entries = (first..leaves.min(first + BLOCK)).map(unsigned_entry);
        let tip: Tip = ledger.last_final();
        let executed = ledger.build(&tip.hash, genesis.time, entries.collect())?;
        let (header, hash) = (executed.block.header(), executed.block.hash());
        let certificate = unsigned(network.trust_base(), header, hash, seal)?;
        seal = certificate.seal.signed_digest();
        store.commit(&[(Arc::clone(&executed), seal)])?;
        state = executed.block.entries().first().map(|entry| entry.requests()[0].state_id);
        let height = header.height;
        ledger.finalize(executed)?;
        ledger.apply(height)?;
        if first + BLOCK >= leaves {
            let mut collector = Collector::new(network.trust_base().clone(), 0);
            collector.open(certificate.clone());
            let made = (0..4).find_map(|number| {
                let keys = Keys::load(&network.config(number).1.keys).ok()?;
                let node = NodeId::new(&network.config(number).1.name).ok()?;
                let share = Sealer::new(node.clone(), keys.seal).sign(&certificate);
                collector.share(height, node, share)
            });
            store.put_certificate(&made.ok_or("no quorum")?)?;
        }
    }
    state.ok_or_else(|| "no leaves".into())
}

/// A spend whose signature nobody will look at: what is in a store was checked before.
fn unsigned_entry(number: u32) -> Entry {
    let key = SecretKey::new([7; 32]).expect("a scalar").public();
    let data = CertificationData {
        predicate: Predicate::Signature(key).to_wire(),
        source: StateHash::new(word(number)),
        transaction: TransactionHash::new(word(number)),
        expires_at: None,
        unlock: Blob::new(vec![0; 65]).expect("short"),
    };
    Entry::new(Batch::from(CertificationRequest::new(data))).expect("short")
}
