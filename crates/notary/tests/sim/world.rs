//! Validators under one seed: simulated links, disks in memory, clocks that differ.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use commonware_cryptography::Signer as _;
use commonware_cryptography::ed25519::{PrivateKey, PublicKey};
use commonware_p2p::simulated::{
    Config, Control, Link, Manager, Network, Oracle, SplitOrigin, SplitTarget,
};
use commonware_p2p::{Receiver, Recipients, Sender};
use commonware_runtime::deterministic::Context;
use commonware_runtime::{Clock as _, Handle, IoBuf, Spawner as _, Supervisor as _};
use commonware_utils::{NZUsize, probability};
use tally_core::id::{Digest, NetworkId};
use tally_core::keys::SecretKey;
use tally_core::notary::{NodeId, Partition, RootNode, ShardId, TrustBase};
use tally_core::time::Time;
use tally_notary::block::Block;
use tally_notary::certify::Sealer;
use tally_notary::engine::{Links, Parts, Tuning, channel, channel_quotas, max_message, start};
use tally_notary::mempool::Limits;
use tally_notary::rules::{Rules, TallyEngine};
use tally_notary::store::disk::{Disk as _, MemoryDisk};
use tally_notary::store::{ForkLog, Store};
use tally_notary::validator::{Clock, Setup, Validator};

/// When the simulated world begins.
pub const BEGIN: u64 = 1_755_000_000;

type Peer = (PublicKey, PublicKey);

/// One running copy of a validator.
pub struct Running {
    pub validator: Validator,
    task: Handle<()>,
}

/// One validator's things that outlive a crash.
pub struct Node {
    key: PrivateKey,
    name: NodeId,
    seal_key: SecretKey,
    /// Seconds that its clock is ahead; negative: behind.
    pub skew: i64,
    disk: MemoryDisk,
    starts: u32,
    disks: u32,
    /// None while it is down, two if it is a twin.
    pub running: Vec<Running>,
    pub twin: bool,
}

/// Everything.
pub struct World {
    pub context: Context,
    oracle: Oracle<PublicKey, Context>,
    pub nodes: Vec<Node>,
    names: BTreeMap<PublicKey, NodeId>,
    genesis: Block,
    pub trust: TrustBase,
    tuning: Tuning,
    /// Sets its files apart from those of another world under the same runtime.
    pub label: &'static str,
    latency: Duration,
    lossy: bool,
}

pub struct Shape {
    pub validators: u8,
    pub twins: u8,
    pub latency: Duration,
    pub lossy: bool,
    pub skews: Vec<i64>,
}

impl Shape {
    /// A network in which nothing goes wrong by itself.
    pub fn calm(validators: u8) -> Self {
        let latency = Duration::from_millis(10);
        Self { validators, twins: 0, latency, lossy: false, skews: Vec::new() }
    }
}

pub fn node_name(number: usize) -> NodeId {
    NodeId::new(&format!("v{number}")).expect("a short name")
}

impl World {
    /// Makes a network and starts all its validators.
    pub async fn new(context: Context, shape: Shape) -> Self {
        let mut world = Self::still(context, shape).await;
        for number in 0..world.nodes.len() {
            world.start(number).await;
        }
        world
    }

    /// Makes a network and starts none of its validators.
    pub async fn still(context: Context, shape: Shape) -> Self {
        let nodes: Vec<Node> = (0..shape.validators)
            .map(|number| Node {
                key: PrivateKey::from_seed(u64::from(number)),
                name: node_name(number.into()),
                seal_key: SecretKey::new([100 + number; 32]).expect("a scalar"),
                skew: shape.skews.get(usize::from(number)).copied().unwrap_or(0),
                disk: MemoryDisk::default(),
                starts: 0,
                disks: 0,
                running: Vec::new(),
                twin: number < shape.twins,
            })
            .collect();
        let keys: Vec<PublicKey> = nodes.iter().map(|node| node.key.public_key()).collect();
        let config = Config {
            max_size: max_message(shape.validators.into()),
            max_peers_per_set: NZUsize!(16),
            disconnect_on_block: true,
            tracked_peer_sets: NZUsize!(3),
        };
        let (network, oracle) =
            Network::new_with_peers(context.child("network"), config, keys).await;
        network.start();
        let roots = nodes.iter().map(|node| RootNode {
            id: node.name.clone(),
            key: node.seal_key.public(),
            stake: 1,
        });
        let configuration = Digest::new([9; 32]);
        let partition = Partition { id: 1, shard: ShardId::whole(), configuration };
        let quorum = u64::from(shape.validators) * 2 / 3 + 1;
        let trust = TrustBase::new(NetworkId::LOCAL, 1, partition, roots.collect(), quorum)
            .expect("a trust base");
        let names = nodes.iter().map(|node| (node.key.public_key(), node.name.clone())).collect();
        let world = Self {
            context,
            oracle,
            nodes,
            names,
            genesis: Block::genesis(configuration, Time::from_unix(BEGIN)),
            trust,
            tuning: Tuning::simulated(),
            label: "",
            latency: shape.latency,
            lossy: shape.lossy,
        };
        for (a, b) in world.pairs() {
            world.connect(&a, &b).await;
        }
        world
    }

    /// Whether one more validator may forget its votes: it counts as malicious from then on.
    pub fn may_lose_disk(&self) -> bool {
        let faulty = self.nodes.iter().filter(|node| node.twin || node.disks > 0).count();
        faulty < (self.nodes.len() - 1) / 3
    }

    fn key(&self, number: usize) -> PublicKey {
        self.nodes[number].key.public_key()
    }

    fn pairs(&self) -> Vec<Peer> {
        let keys: Vec<_> = (0..self.nodes.len()).map(|number| self.key(number)).collect();
        let all = keys.iter().flat_map(|a| keys.iter().map(move |b| (a.clone(), b.clone())));
        all.filter(|(a, b)| a != b).collect()
    }

    async fn connect(&self, a: &PublicKey, b: &PublicKey) {
        let success_rate = if self.lossy { probability!(0.98) } else { probability!(1.0) };
        let link = Link { latency: self.latency, jitter: self.latency / 4, success_rate };
        // It may be there already.
        let _ = self.oracle.add_link(a.clone(), b.clone(), link).await;
    }

    /// Cuts all links between these validators and the others.
    pub async fn isolate(&self, group: &[usize]) {
        let inside: Vec<_> = group.iter().map(|number| self.key(*number)).collect();
        for (a, b) in self.pairs() {
            if inside.contains(&a) != inside.contains(&b) {
                let _ = self.oracle.remove_link(a, b).await;
            }
        }
    }

    /// Mends all links.
    pub async fn heal(&self) {
        for (a, b) in self.pairs() {
            let _ = self.oracle.remove_link(a.clone(), b.clone()).await;
            self.connect(&a, &b).await;
        }
    }

    /// Lets everybody in again who was shut out, as the network does after a minute.
    pub async fn let_in(&self) {
        for (by, peer) in self.oracle.blocked().await.expect("the network runs") {
            self.oracle.unblock(by, peer).await.expect("the network runs");
        }
    }

    /// Kills a validator; of what it did not sync, this many 256ths survive.
    pub fn crash(&mut self, number: usize, kept: u8) {
        let node = &mut self.nodes[number];
        node.running.drain(..).for_each(|running| running.task.abort());
        node.disk.crash(kept);
    }

    /// Takes a stopped validator's disk away.
    pub fn lose_disk(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        assert!(node.running.is_empty(), "it is stopped");
        node.disk = MemoryDisk::default();
        node.disks += 1;
    }

    /// Spoils the last record of a stopped validator's store.
    pub fn spoil(&self, number: usize) {
        let disk = &self.nodes[number].disk;
        let names = disk.names().expect("it is in memory");
        let last = names.iter().rfind(|name| name.starts_with("blocks-")).expect("there is one");
        let size = disk.size(last).expect("it is there");
        // The head alone is no record.
        if size > 52 {
            disk.spoil(last, size - 1);
        }
    }

    /// Limits how much a validator can still write.
    pub fn set_room(&self, number: usize, room: Option<u64>) {
        self.nodes[number].disk.set_room(room);
    }

    /// Starts a validator that is down. Whoever starts it has made room on its disk.
    pub async fn start(&mut self, number: usize) {
        self.nodes[number].disk.set_room(None);
        let control = self.oracle.control(self.key(number));
        let mut channels = Vec::new();
        for (id, quota) in (0..).zip(channel_quotas()) {
            channels.push(control.register(id, quota).await.expect("the network runs"));
        }
        if !self.nodes[number].twin {
            let disk = self.nodes[number].disk.clone();
            let channels = channels.try_into().unwrap_or_else(|_| panic!("eight"));
            self.run(number, "", disk, channels).await;
            return;
        }
        let router = self.split(number);
        let context = self.context.child("split").with_attribute("start", number);
        let (mut one, mut two) = (Vec::new(), Vec::new());
        for (sender, receiver) in channels {
            let side = router.clone();
            let forward = move |origin: SplitOrigin, _: &Recipients<PublicKey>, _: &IoBuf| {
                Some(Recipients::Some(side[usize::from(origin == SplitOrigin::Secondary)].clone()))
            };
            let side = router.clone();
            let route = move |(from, _): &(PublicKey, IoBuf)| match (
                side[0].contains(from),
                side[1].contains(from),
            ) {
                (true, true) => SplitTarget::Both,
                (true, false) => SplitTarget::Primary,
                _ => SplitTarget::Secondary,
            };
            let (a, b) = sender.split_with(forward);
            let (c, d) = receiver.split_with(context.child("router"), route);
            one.push((a, c));
            two.push((b, d));
        }
        let disk = self.nodes[number].disk.clone();
        let one = one.try_into().unwrap_or_else(|_| panic!("eight"));
        self.run(number, "", disk, one).await;
        let two = two.try_into().unwrap_or_else(|_| panic!("eight"));
        self.run(number, "twin-", MemoryDisk::default(), two).await;
    }

    /// Whom each half of a twin talks to: one peer talks to both.
    fn split(&self, number: usize) -> Arc<[Vec<PublicKey>; 2]> {
        let others: Vec<_> =
            (0..self.nodes.len()).filter(|other| *other != number).map(|o| self.key(o)).collect();
        let half = others.len().div_ceil(2);
        Arc::new([others[..half + 1].to_vec(), others[half..].to_vec()])
    }

    async fn run<S, R>(
        &mut self,
        number: usize,
        half: &'static str,
        disk: MemoryDisk,
        channels: [(S, R); channel::COUNT],
    ) where
        S: Sender<PublicKey = PublicKey>,
        R: Receiver<PublicKey = PublicKey>,
    {
        let (store, recovered) =
            Store::open_with(Arc::new(disk.clone()), &self.genesis, 20_000).expect("a store");
        let forks = ForkLog::open(&disk).expect("a log");
        let node = &mut self.nodes[number];
        node.starts += 1;
        let context = self.context.child("validator").with_attribute("number", number);
        let context = context.with_attribute("start", format!("{half}{}", node.starts));
        let setup = Setup {
            trust: self.trust.clone(),
            sealer: Sealer::new(node.name.clone(), node.seal_key.clone()),
            rules: Rules { shard: ShardId::whole(), engine: TallyEngine::default() },
            limits: Limits::default(),
            clock: clock(context.child("clock"), node.skew),
        };
        let (validator, outgoing) =
            Validator::new(setup, recovered, store.reader(), forks).expect("one shard");
        let parts = Parts {
            key: node.key.clone(),
            names: self.names.clone(),
            genesis: self.genesis.clone(),
            validator: validator.clone(),
            outgoing,
            store,
            tuning: self.tuning,
            prefix: format!("{}{half}{number}-{}-", self.label, node.disks),
        };
        let peers: Manager<PublicKey, Context> = self.oracle.manager();
        let blocker: Control<PublicKey, Context> = self.oracle.control(node.key.public_key());
        let links = Links { channels, peers, blocker };
        let task = context.spawn(move |context| async move {
            if let Some(engine) = start(context, parts, links).await {
                let _ = engine.await;
            }
        });
        node.running.push(Running { validator, task });
    }

    /// Lets time pass.
    pub async fn pass(&self, millis: u64) {
        self.context.sleep(Duration::from_millis(millis)).await;
    }

    /// The validators that run and are honest.
    pub fn honest(&self) -> impl Iterator<Item = &Validator> {
        let honest = self.nodes.iter().filter(|node| !node.twin);
        honest.flat_map(|node| &node.running).map(|running| &running.validator)
    }

    /// Numbers of the honest validators that run.
    pub fn up(&self) -> Vec<usize> {
        let up = |number: &usize| {
            let node = &self.nodes[*number];
            !node.twin && !node.running.is_empty()
        };
        (0..self.nodes.len()).filter(up).collect()
    }

    pub fn validator(&self, number: usize) -> &Validator {
        &self.nodes[number].running[0].validator
    }
}

fn clock(context: Context, skew: i64) -> Clock {
    Clock::new(move || {
        let now = context.current().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Time::from_unix(now.saturating_add_signed(skew))
    })
}

/// When the runtime's clock begins.
pub fn beginning() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(BEGIN)
}
