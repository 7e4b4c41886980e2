//! Run a validator on sockets and files.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use commonware_cryptography::ChaCha20Poly1305;
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::authenticated::lookup;
use commonware_p2p::{
    Address, AddressableManager as _, Blocker, Ingress, Provider, Receiver, Sender,
};
use commonware_runtime::tokio as runtime;
use commonware_runtime::{Clock as _, Handle, Quota, Runner as _, Spawner as _, Supervisor as _};
use commonware_stream::cups::{self, Cups};
use commonware_stream::sake::{self, Sake};
use commonware_utils::{Hostname, NZU32, NZUsize, ordered::Map};
use tally_core::notary::NodeId;
use tally_core::time::Time;
use tokio::sync::mpsc;

use super::keys::{VoteId, VoteKey};
use super::{Links, NAMESPACE, Parts, Tuning, channel_quotas, max_message, start};
use crate::block::Block;
use crate::store::Store;
use crate::validator::{Clock, Outgoing, Validator};

/// Most validators of a network.
pub const MAX_VALIDATORS: usize = 100;

/// Messages that wait inside the network.
const MAILBOX: NonZeroUsize = NZUsize!(1_024);

/// For how long a validator that broke the engine's rules is shut out. One that lost its disk votes again where it
/// had voted before, and contradicts itself: it must be let in again, to catch up.
const SHUT_OUT: Duration = Duration::from_secs(60);

/// How far the clocks of two validators may differ when they connect.
const MAX_CLOCK_DIFFERENCE: Duration = Duration::from_secs(10);

/// Where a validator is reached by the others: an address, or a name that is looked up for each attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeerAddress(Ingress);

impl PeerAddress {
    /// Reads `host:port`; nothing if it is not of that form.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Some(Self(Ingress::Socket(address)));
        }
        let (host, port) = text.rsplit_once(':')?;
        let host = Hostname::new(host).ok()?;
        Some(Self(Ingress::Dns { host, port: port.parse().ok()? }))
    }
}

/// What a validator is to the machine.
#[derive(Clone, Debug)]
pub struct Host {
    /// A folder for the engine's files.
    pub folder: PathBuf,
    /// How many threads it may use.
    pub threads: usize,
    /// Where it listens for the others.
    pub listen: SocketAddr,
    /// Where the others are, itself included.
    pub peers: BTreeMap<VoteId, PeerAddress>,
    /// Seconds that its clock is ahead of the machine's: for tests.
    pub clock_offset: i64,
}

/// What of a validator the engine drives.
pub struct Member {
    /// Its key for votes.
    pub key: VoteKey,
    /// Everybody's names.
    pub names: BTreeMap<VoteId, NodeId>,
    /// The first block.
    pub genesis: Block,
    /// What it knows.
    pub validator: Validator,
    /// What it wants to tell.
    pub outgoing: mpsc::Receiver<Outgoing>,
    /// Where final blocks go.
    pub store: Store,
    /// How long it waits for what.
    pub tuning: Tuning,
}

/// The engine while it runs.
pub struct Running(Handle<()>);

impl Running {
    /// Ends all work on new blocks, at once and for good. What is known can still be asked for.
    pub fn halt(&self) {
        self.0.abort();
    }
}

/// Starts a runtime on this thread and runs a validator on it until `serve` ends. `build` makes the
/// validator, given its clock.
///
/// # Errors
/// Those of `build`; `serve` is not called then.
///
/// # Panics
/// When the engine's files cannot be written, or the address cannot be listened at.
pub fn run<E, B, S>(host: Host, build: B, serve: S) -> Result<(), E>
where
    B: FnOnce(Clock) -> Result<Member, E>,
    S: AsyncFnOnce(Running, Validator),
{
    let config = runtime::Config::new()
        .with_storage_directory(&host.folder)
        .with_worker_threads(host.threads.max(1))
        .with_tcp_nodelay(Some(true));
    runtime::Runner::new(config).start(async move |context| {
        let member = build(clock(context.child("clock"), host.clock_offset))?;
        let links = connect(&context, &host, &member);
        let Member { key, names, genesis, validator, outgoing, store, tuning } = member;
        let names = names.into_iter().map(|(id, name)| (id.0, name)).collect();
        let key = key.0;
        let (serving, failing) = (validator.clone(), validator.clone());
        let parts = Parts {
            key,
            names,
            genesis,
            validator,
            outgoing,
            store,
            tuning,
            prefix: String::new(),
        };
        let engine = context.child("validator").spawn(async move |context| {
            match start(context, parts, links).await {
                Some(engine) => drop(engine.await),
                None => failing.fail(&"the engine cannot be started with these keys and files"),
            }
        });
        serve(Running(engine), serving).await;
        Ok(())
    })
}

fn clock(context: runtime::Context, offset: i64) -> Clock {
    Clock::new(move || {
        let now = context.current().duration_since(UNIX_EPOCH).unwrap_or_default();
        Time::from_unix(now.as_secs().saturating_add_signed(offset))
    })
}

/// Connects to the others, over and over.
fn connect(
    context: &runtime::Context,
    host: &Host,
    member: &Member,
) -> Links<
    impl Sender<PublicKey = PublicKey>,
    impl Receiver<PublicKey = PublicKey>,
    impl Provider<PublicKey = PublicKey>,
    impl Blocker<PublicKey = PublicKey>,
> {
    let handshake = Cups::<_, ChaCha20Poly1305>::new(
        Sake {
            signer: member.key.0.clone(),
            synchrony_bound: MAX_CLOCK_DIFFERENCE,
            max_handshake_age: MAX_CLOCK_DIFFERENCE,
            version: sake::Version::V1,
        },
        cups::Version::V1,
    );
    let count = u32::try_from(host.peers.len()).unwrap_or(u32::MAX);
    // The queues' memory is proportional to it.
    let most = NonZeroUsize::new(host.peers.len()).unwrap_or(NonZeroUsize::MIN);
    // Connections of two networks never meet: the first block's name is in what is signed.
    let namespace = [NAMESPACE, member.genesis.hash().as_bytes()].concat();
    let size = max_message(count);
    let mut config = lookup::Config::local(handshake, &namespace, host.listen, most, size, MAILBOX);
    // Who somebody is, his key says: validators may be behind a router, or move.
    config.bypass_ip_check = true;
    config.tracked_peer_sets = NZUsize!(1);
    config.peer_connection_cooldown = Duration::from_millis(500);
    config.block_duration = SHUT_OUT;
    config.dial_timeout = Duration::from_secs(5);
    config.dial_frequency = Duration::from_millis(200);
    config.allowed_handshake_rate_per_ip = Quota::per_second(NZU32!(64));
    let (mut network, mut oracle) = lookup::Network::new(context.child("network"), config);
    let peers = host.peers.iter().map(|(id, address)| (id.0.clone(), address.0.clone()));
    let unknown = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let address = |ingress: Ingress| match ingress {
        Ingress::Socket(address) => Address::Symmetric(address),
        ingress => Address::Asymmetric { ingress, egress: unknown },
    };
    oracle.track(0, Map::from_iter_dedup(peers.map(|(id, ingress)| (id, address(ingress)))));
    let quotas = channel_quotas();
    let channels = std::array::from_fn(|id| network.register(id as u64, quotas[id]));
    network.start();
    Links { channels, peers: oracle.clone(), blocker: oracle }
}
