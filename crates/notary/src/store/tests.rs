use proptest::prelude::*;
use tally_core::id::NetworkId;
use tally_core::notary::{StateId, UnicityTreeCertificate};

use super::disk::{Folder, MemoryDisk};
use super::*;
use crate::ledger::Tip;
use crate::testing::{certificate, entry, genesis, state, word};

/// A ledger and the store behind it.
struct Scene {
    disk: Arc<dyn Disk>,
    store: Store,
    recovered: Recovered,
}

const LIMIT: u64 = 4_000;

fn open(disk: &MemoryDisk) -> Scene {
    open_on(Arc::new(disk.clone()))
}

fn open_on(disk: Arc<dyn Disk>) -> Scene {
    let (store, recovered) =
        Store::open_with(Arc::clone(&disk), &genesis(), LIMIT).expect("a store");
    Scene { disk, store, recovered }
}

impl Scene {
    /// Makes the next block final and durable.
    fn advance(&mut self, entries: Vec<Entry>) -> Result<(), StoreError> {
        let ledger = &mut self.recovered.ledger;
        let tip = ledger.last_final();
        let time = tip.header.time.plus(1);
        let made = ledger.build(&tip.hash, time, entries).expect("a block");
        self.store.commit(&[(Arc::clone(&made), seal(made.block.height()))])?;
        ledger.finalize(made).expect("next");
        Ok(())
    }

    fn tip(&self) -> Tip {
        self.recovered.ledger.last_final()
    }
}

fn seal(height: u64) -> Digest {
    Digest::new(word(height))
}

#[test]
fn a_store_that_is_opened_again_has_the_same_tree_and_the_same_blocks() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = || Arc::new(Folder::new(folder.path()).expect("a folder"));
    let mut scene = open_on(disk());
    for height in 1..30 {
        let entries = vec![entry(&[height, 100 + height], height), entry(&[1], 99)];
        scene.advance(entries).expect("room");
    }
    let (tip, names) = (scene.tip(), scene.disk.names().expect("names"));
    assert!(names.iter().filter(|name| name.starts_with("blocks-")).count() > 2);
    drop(scene);
    let scene = open_on(disk());
    assert_eq!(scene.tip(), tip);
    assert_eq!(scene.recovered.seals, [seal(29)]);
    assert_eq!(scene.recovered.ledger.base().count(), 58);
    let reader = scene.store.reader();
    for height in 1..30 {
        let stored = reader.block(height).expect("a whole file").expect("stored");
        assert_eq!((stored.block.height(), stored.seal), (height, seal(height)));
        assert!(matches!(stored.outcomes[1], crate::ledger::EntryOutcome::Refused(_)));
        let number = scene.recovered.ledger.base().number(&state(100 + height)).expect("spent");
        let (request, time) = reader.request(number).expect("stored");
        assert_eq!((request.state_id, time), (state(100 + height), stored.block.header().time));
        assert_eq!(
            reader.leaves_after(height).expect("whole").expect("there").0,
            2 * height as u32
        );
    }
    assert!(reader.block(30).expect("a whole file").is_none());
}

#[test]
fn the_tree_is_that_of_the_newest_certificate_and_later_blocks_wait_beside_it() {
    let disk = MemoryDisk::default();
    let mut scene = open(&disk);
    for height in 1..=9 {
        scene.advance(vec![entry(&[height], height)]).expect("room");
        if height == 3 || height == 6 {
            scene.store.put_certificate(&certificate(height)).expect("room");
        }
    }
    let tip = scene.tip();
    let scene = open(&disk);
    let ledger = &scene.recovered.ledger;
    assert_eq!(ledger.applied().header.height, 6);
    assert_eq!(scene.recovered.certificate, Some(certificate(6)));
    assert_eq!(ledger.waiting().count(), 3);
    assert_eq!(scene.recovered.seals, [6, 7, 8, 9].map(seal));
    assert_eq!(scene.tip(), tip);
    assert_eq!(scene.store.reader().certificate(3).expect("whole"), Some(certificate(3)));
    assert_eq!(scene.store.reader().certificate(4).expect("whole"), None);
}

#[test]
fn a_block_that_does_not_follow_is_not_stored() {
    let mut scene = open(&MemoryDisk::default());
    scene.advance(vec![]).expect("room");
    let root = scene.tip().hash;
    let ledger = &scene.recovered.ledger;
    let next = ledger.build(&root, scene.tip().header.time, vec![]).expect("a block");
    let first = ledger.waiting().next().expect("final").clone();
    let mut commit = |executed: &Arc<Executed>| {
        scene.store.commit(&[(Arc::clone(executed), seal(1))]).map_err(|error| error.code())
    };
    assert_eq!(commit(&first), Err("STORE_ORDER"));
    assert_eq!(commit(&next), Ok(()));
    assert_eq!(commit(&next), Err("STORE_ORDER"));
}

#[test]
fn the_files_of_another_network_are_refused() {
    let disk = MemoryDisk::default();
    drop(open(&disk));
    let other = Block::genesis(seal(5), genesis().header().time);
    let opened = Store::open(Arc::new(disk), &other).map(drop);
    assert_eq!(opened.map_err(|error| error.code()), Err("STORE_NETWORK"));
}

#[test]
fn a_damaged_file_before_the_last_is_noticed() {
    let disk = MemoryDisk::default();
    let mut scene = open(&disk);
    for height in 1..30 {
        scene.advance(vec![entry(&[height], height)]).expect("room");
    }
    disk.spoil("blocks-0000000000000001", 300);
    let spoilt = scene.store.reader().block(1).map(drop);
    assert_eq!(spoilt.map_err(|error| error.code()), Err("STORE_DAMAGED"));
    disk.remove("heights").expect("it is there");
    let opened = Store::open(Arc::new(disk), &genesis()).map(drop);
    assert_eq!(opened.map_err(|error| error.code()), Err("STORE_DAMAGED"));
}

#[test]
fn a_full_disk_is_said_to_be_full_and_loses_nothing() {
    let disk = MemoryDisk::default();
    let mut scene = open(&disk);
    scene.advance(vec![entry(&[1], 1)]).expect("room");
    let tip = scene.tip();
    disk.set_room(Some(100));
    let refused = scene.advance(vec![entry(&[2], 2)]).map_err(|error| error.code());
    assert_eq!(refused, Err("STORE_FULL"));
    disk.set_room(None);
    let mut scene = open(&disk);
    assert_eq!(scene.tip(), tip);
    scene.advance(vec![entry(&[2], 2)]).expect("room");
}

#[test]
fn one_fork_proof_is_kept_for_each_key_with_a_lasting_number() {
    let disk = MemoryDisk::default();
    let mut log = ForkLog::open(&disk).expect("a log");
    let proof = crate::testing::fork(1);
    assert_eq!(log.keep(proof.clone()).expect("room"), (1, false));
    assert_eq!(log.keep(proof.clone()).expect("room"), (1, true));
    let other = crate::testing::fork(2);
    assert_eq!(log.keep(other.clone()).expect("room"), (2, false));
    disk.crash(0);
    let log = ForkLog::open(&disk).expect("a log");
    assert_eq!(log.since(0, 10), [(1, proof), (2, other.clone())]);
    assert_eq!(log.since(2, 10), [(2, other)]);
    assert!(log.since(3, 10).is_empty());
    assert_eq!(log.count(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever part of what was not synced a crash leaves behind.
    #[test]
    fn no_crash_loses_a_block_that_was_committed(
        runs in prop::collection::vec((1u64..6, any::<u8>(), any::<bool>()), 1..6),
    ) {
        let disk = MemoryDisk::default();
        let mut height = 0;
        for (blocks, kept, certified) in runs {
            let mut scene = open(&disk);
            prop_assert_eq!(scene.tip().header.height, height);
            for _ in 0..blocks {
                height += 1;
                scene.advance(vec![entry(&[height, 1000 + height], height)]).expect("room");
                if certified {
                    scene.store.put_certificate(&certificate(height)).expect("room");
                }
            }
            let tip = scene.tip();
            disk.crash(kept);
            let scene = open(&disk);
            prop_assert_eq!(scene.tip(), tip);
            let ledger = &scene.recovered.ledger;
            for spent in 1..=ledger.applied().header.height {
                prop_assert!(ledger.base().number(&state(spent)).is_some());
            }
        }
    }

    #[test]
    fn spoilt_frames_never_panic(at in 0usize..600, to: u8) {
        let mut scene = open(&MemoryDisk::default());
        scene.advance(vec![entry(&[1, 2], 1), entry(&[1], 2)]).expect("room");
        let stored = scene.store.reader().block(1).expect("whole").expect("there");
        let mut bytes = stored.encode();
        let at = at % bytes.len();
        bytes[at] = to;
        if let Ok(stored) = Stored::decode(&bytes) {
            stored.leaves();
        }
    }
}

#[test]
fn certificates_of_tests_are_of_their_height() {
    let certificate = certificate(3);
    assert_eq!(certificate.record.round, 3);
    assert_eq!(certificate.seal.network, NetworkId::new(3).expect("not 0"));
    assert_eq!(
        certificate.partition,
        UnicityTreeCertificate { id: 1, steps: tally_core::cbor::List::default() }
    );
    assert_ne!(state(1), StateId::new(word(1)));
}
