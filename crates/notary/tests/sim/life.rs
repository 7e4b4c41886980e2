//! A random life of a network: what happens to it, and what must hold in spite of that.

use std::collections::{BTreeMap, BTreeSet};

use tally_core::id::Digest;
use tally_core::notary::TransactionHash;
use tally_notary::backend::{Batch, Outcome};
use tally_notary::rules::TallyEngine;
use tally_notary::validator::Submitted;
use tokio::sync::oneshot::Receiver;

use crate::request;
use crate::world::{Shape, World};

/// Coins that are fought over.
const COINS: usize = 24;

/// Things that happen in a life.
const EVENTS: usize = 28;

/// A stream of numbers from one seed: `SplitMix64` (Steele, Lea and Flood, 2014).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % end as u64).expect("below a usize")
    }

    fn happens(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        (!all.is_empty()).then(|| all[self.below(all.len())])
    }
}

/// How a seed's network is made.
pub fn shape(random: &mut Random) -> Shape {
    let validators = if random.happens(35) { 7 } else { 4 };
    let faulty = (validators - 1) / 3;
    let twins = if random.happens(40) { 1 + random.below(faulty.into()) as u8 } else { 0 };
    let skews = (0..validators).map(|_| match random.below(12) {
        0 => 15,
        1 => -15,
        _ => random.below(3) as i64 - 1,
    });
    let skews = skews.collect();
    let latency = [2, 10, 40, 120][random.below(4)];
    let latency = std::time::Duration::from_millis(latency);
    Shape { validators, twins, latency, lossy: random.happens(30), skews }
}

/// What the clients of a life remember.
#[derive(Default)]
pub struct Memory {
    waiting: Vec<(u64, u64, Receiver<Outcome>)>,
    certified: BTreeMap<u64, u64>,
    refused: BTreeMap<u64, BTreeSet<u64>>,
    roots: BTreeMap<u64, Digest>,
    pub asked: usize,
    pub crashes: usize,
}

impl Memory {
    fn ask(&mut self, world: &World, random: &mut Random) {
        let Some(node) = random.of(&world.up()) else { return };
        let (coin, payment) = (random.below(COINS) as u64, random.below(3) as u64);
        self.asked += 1;
        match world.validator(node).submit(Batch::from(request(coin, payment))) {
            Ok(Submitted::Waiting(receiver)) => self.waiting.push((coin, payment, receiver)),
            Ok(Submitted::Done(outcome)) => self.learn(coin, payment, outcome),
            // It is not ready, or full.
            Err(_) => {}
        }
    }

    fn learn(&mut self, coin: u64, payment: u64, outcome: Outcome) {
        match outcome {
            Outcome::Certified { .. } => {
                let first = self.certified.insert(coin, payment);
                assert!(first.is_none_or(|first| first == payment), "coin {coin} certified twice");
            }
            Outcome::Refused(conflict) => {
                assert_ne!(conflict.winner, transaction(coin, payment), "it lost against itself");
                self.refused.entry(coin).or_default().insert(payment);
            }
            Outcome::Queued => {}
        }
    }

    /// Takes the answers that have come, and looks at what the validators say.
    fn look(&mut self, world: &World) {
        for (coin, payment, mut receiver) in std::mem::take(&mut self.waiting) {
            match receiver.try_recv() {
                Ok(outcome) => self.learn(coin, payment, outcome),
                Err(tokio::sync::oneshot::error::TryRecvError::Empty) => {
                    self.waiting.push((coin, payment, receiver));
                }
                // The validator was killed: nobody knows.
                Err(tokio::sync::oneshot::error::TryRecvError::Closed) => {}
            }
        }
        for validator in world.honest() {
            let Some(certificate) = validator.certificate() else { continue };
            certificate.verify(&world.trust).expect("a quorum signed what an honest one shows");
            let (height, root) = (certificate.record.round, certificate.record.hash);
            let known = *self.roots.entry(height).or_insert(root);
            assert_eq!(known, root, "two roots were certified at height {height}");
        }
    }
}

fn transaction(coin: u64, payment: u64) -> TransactionHash {
    request(coin, payment).data.transaction
}

/// Lives a life, and checks what must hold all along.
pub async fn live(world: &mut World, random: &mut Random) -> Memory {
    let mut memory = Memory::default();
    world.pass(2_000).await;
    for _ in 0..EVENTS {
        happen(world, random, &mut memory).await;
        for _ in 0..random.below(6) {
            memory.ask(world, random);
        }
        let millis = [30, 200, 700, 1_500][random.below(4)];
        world.pass(millis).await;
        memory.look(world);
    }
    memory
}

async fn happen(world: &mut World, random: &mut Random, memory: &mut Memory) {
    let up = world.up();
    let down: Vec<_> =
        (0..world.nodes.len()).filter(|n| world.nodes[*n].running.is_empty()).collect();
    match random.below(10) {
        0 | 1 => {
            if let Some(node) = random.of(&up) {
                memory.crashes += 1;
                world.crash(node, random.below(256) as u8);
                if random.happens(25) && world.may_lose_disk() {
                    world.lose_disk(node);
                } else if random.happens(15) {
                    world.spoil(node);
                }
            }
        }
        2..=4 => {
            if let Some(node) = random.of(&down) {
                world.start(node).await;
            }
        }
        5 => {
            let group: Vec<_> = (0..world.nodes.len()).filter(|_| random.happens(40)).collect();
            world.isolate(&group).await;
        }
        6 | 7 => world.heal().await,
        8 => {
            if let Some(node) = random.of(&up) {
                let room =
                    if random.happens(60) { None } else { Some(random.below(20_000) as u64) };
                world.set_room(node, room);
            }
        }
        _ if random.happens(40) => {
            // The power fails for all of them at once.
            memory.crashes += up.len();
            for node in 0..world.nodes.len() {
                world.crash(node, random.below(256) as u8);
            }
            world.pass(500).await;
            for node in 0..world.nodes.len() {
                world.start(node).await;
            }
        }
        _ => {}
    }
}

/// Mends everything, and checks what must hold in the end.
pub async fn end(world: &mut World, memory: &mut Memory) {
    world.heal().await;
    for node in 0..world.nodes.len() {
        world.set_room(node, None);
        if world.nodes[node].running.is_empty() {
            world.start(node).await;
        }
    }
    progress(world).await;
    world.pass(3_000).await;
    memory.look(world);
    agree(world);
    for coin in 0..COINS as u64 {
        spends(world, memory, coin);
    }
    growth(world);
}

/// A request is certified in good time, and every honest validator shows it and is ready: at least a
/// quorum is honest, up and connected.
async fn progress(world: &World) {
    let fresh = request(1_000_000, 1);
    for second in 1..=180 {
        world.pass(1_000).await;
        if second % 60 == 0 {
            world.let_in().await;
        }
        let certified = world.honest().filter(|validator| {
            let outcome = validator.submit(Batch::from(fresh.clone()));
            let done = matches!(outcome, Ok(Submitted::Done(Outcome::Certified { .. })));
            done && validator.ready().is_ok()
        });
        if certified.count() == world.honest().count() {
            return;
        }
    }
    let heights: Vec<_> = world.honest().map(|v| (v.final_height(), v.applied_height())).collect();
    let why: Vec<_> = world.honest().map(|v| v.ready()).collect();
    panic!("no progress with a quorum: final and applied heights {heights:?}, {why:?}");
}

/// All honest validators have the same block at each height that they have.
fn agree(world: &World) {
    let mut blocks: BTreeMap<u64, [u8; 32]> = BTreeMap::new();
    for validator in world.honest() {
        assert_eq!(validator.failure(), None);
        for height in 1..=validator.final_height() {
            let stored = validator.reader().block(height).expect("it is readable");
            let hash = *stored.expect("it is there").block.hash().as_bytes();
            assert_eq!(*blocks.entry(height).or_insert(hash), hash, "two blocks at {height}");
        }
    }
}

/// Nothing that a client was told is contradicted, and all honest validators prove the same.
fn spends(world: &World, memory: &Memory, coin: u64) {
    // Who is ready may still be a few blocks behind, and then knows of no spend yet.
    let mut known: BTreeMap<u64, Option<TransactionHash>> = BTreeMap::new();
    for validator in world.honest().filter(|validator| validator.ready().is_ok()) {
        let wanted = request(coin, 0);
        let response = validator.inclusion(&wanted.state_id).expect("ready").proof;
        let found = response.leaf.as_ref().map(|leaf| leaf.data.transaction);
        if let Some(leaf) = &response.leaf {
            let engine = TallyEngine::default();
            response.verify(&leaf.data.spend(), &world.trust, &engine).expect("a proof");
        }
        let round = response.certificate.record.round;
        assert_eq!(*known.entry(round).or_insert(found), found, "coin {coin} has two winners");
    }
    let mut winner = None;
    for found in known.into_values() {
        assert!(winner.is_none() || found == winner, "coin {coin} has two winners, or none again");
        winner = found;
    }
    if let Some(payment) = memory.certified.get(&coin) {
        assert_eq!(winner, Some(transaction(coin, *payment)), "coin {coin} changed its owner");
    }
    for payment in memory.refused.get(&coin).into_iter().flatten() {
        assert_ne!(winner, Some(transaction(coin, *payment)), "coin {coin}: the refused one won");
    }
}

/// The tree only grew, from the empty one to what is certified now.
fn growth(world: &World) {
    let mut ready = world.honest().filter(|validator| validator.ready().is_ok());
    let validator = ready.next().expect("one is ready");
    let (mut from, to) = (0, validator.height().expect("ready"));
    let mut root = tally_tree::Digest::EMPTY;
    while from < to {
        let grown = validator.consistency(from, to).expect("it knows its blocks");
        for step in &grown.steps {
            let after = tally_tree::Digest::from(*step.root.as_bytes());
            step.proof.verify(&root, &after, &step.leaves).expect("the tree only grew");
            root = after;
        }
        assert_eq!(grown.after.record.hash.as_bytes(), root.as_bytes());
        from = grown.after.record.round;
    }
}
