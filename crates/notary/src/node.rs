//! Run one validator: its engine, its store and its interface, on threads of their own.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tally_core::cbor::DecodeError;
use tally_core::notary::NodeId;
use tokio::sync::watch;
use tokio::time;

use crate::certify::Sealer;
use crate::engine::Tuning;
use crate::engine::network::{self, Host, Member, PeerAddress, Running};
use crate::mempool::Limits;
use crate::rpc::{self, ServeError, Server};
use crate::rules::{Rules, TallyEngine};
use crate::setup::{Config, Genesis, Keys, SetupError};
use crate::store::disk::Folder;
use crate::store::{ForkLog, Store, StoreError};
use crate::validator::{Clock, Service, Setup, Validator};

/// How often a validator looks at its disk's room.
const LOOK: Duration = Duration::from_millis(500);

/// How often [`Node::wait_ready`] looks.
const POLL: Duration = Duration::from_millis(20);

/// Why a validator does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// Its files do not fit together.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// Its store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its folder cannot be used.
    #[error("{0} cannot be used: look at its rights and room: {1}")]
    Folder(PathBuf, #[source] io::Error),
    /// Another process runs on its folder.
    #[error("another validator runs on {0}: stop it first; never run one validator twice")]
    Locked(PathBuf),
    /// It cannot listen for other validators.
    #[error("cannot listen for validators at {0}: choose another address or port: {1}")]
    Listen(SocketAddr, #[source] io::Error),
    /// It cannot listen for clients.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The network has a shape that cannot be certified.
    #[error("the network's shard cannot be certified: make a network of one shard: {0}")]
    Shard(DecodeError),
    /// It ended by itself.
    #[error("the validator ended: {0}: look at its log, mend the cause and start it again")]
    Ended(String),
    /// It was not ready in time.
    #[error("the validator is not ready: {0}: look whether a quorum runs and is connected")]
    NotReady(String),
}

impl NodeError {
    /// Stable code of this error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Setup(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Folder(..) => "NODE_FOLDER",
            Self::Locked(_) => "NODE_LOCKED",
            Self::Listen(..) => "NODE_LISTEN",
            Self::Serve(error) => error.code(),
            Self::Shard(_) => "NODE_SHARD",
            Self::Ended(_) => "NODE_ENDED",
            Self::NotReady(_) => "NODE_NOT_READY",
        }
    }
}

/// A running validator. Dropping it stops it.
pub struct Node {
    address: SocketAddr,
    validator: Validator,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<Result<(), NodeError>>>,
}

impl Node {
    /// Starts a validator, and returns when its interface answers. It is [`ready`](Self::wait_ready) when
    /// a quorum of the network runs.
    ///
    /// # Errors
    /// [`NodeError`].
    pub fn start(config: Config) -> Result<Self, NodeError> {
        Self::start_with(config, Tuning::default())
    }

    /// Like [`start`](Self::start), with other times.
    ///
    /// # Errors
    /// [`NodeError`].
    pub fn start_with(config: Config, tuning: Tuning) -> Result<Self, NodeError> {
        let (started, wait) = mpsc::channel();
        let (stop, stopped) = watch::channel(false);
        let plan = Start { config, tuning };
        let thread = thread::Builder::new()
            .name("tally-notary".into())
            .spawn(move || plan.run(&started, stopped))
            .map_err(|error| NodeError::Ended(error.to_string()))?;
        match wait.recv() {
            Ok((address, validator)) => Ok(Self { address, validator, stop, thread: Some(thread) }),
            Err(_) => match join(thread) {
                Ok(()) => Err(NodeError::Ended("it was stopped before it began".into())),
                Err(error) => Err(error),
            },
        }
    }

    /// Where clients reach it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where clients reach it, as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it knows.
    pub fn validator(&self) -> &Validator {
        &self.validator
    }

    /// Waits until it certifies, for as long as this.
    ///
    /// # Errors
    /// [`NodeError::NotReady`] and [`NodeError::Ended`].
    pub fn wait_ready(&self, limit: Duration) -> Result<(), NodeError> {
        let begin = Instant::now();
        loop {
            let Err(why) = self.validator.ready() else { return Ok(()) };
            if !self.is_running() {
                return Err(NodeError::Ended(why.0));
            }
            if begin.elapsed() > limit {
                return Err(NodeError::NotReady(why.0));
            }
            thread::sleep(POLL);
        }
    }

    /// Whether it has not ended by itself.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Stops it, and returns when all its files are closed.
    ///
    /// # Errors
    /// [`NodeError::Ended`] if it had ended by itself.
    pub fn stop(mut self) -> Result<(), NodeError> {
        self.stop.send_replace(true);
        self.thread.take().map_or(Ok(()), join)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // Whoever wants to know why it ended calls `stop`.
            let _ = join(thread);
        }
    }
}

fn join(thread: JoinHandle<Result<(), NodeError>>) -> Result<(), NodeError> {
    thread.join().unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(NodeError::Ended(text.unwrap_or("its engine failed").into()))
    })
}

/// What a thread needs to become a validator.
struct Start {
    config: Config,
    tuning: Tuning,
}

impl Start {
    fn run(
        self,
        started: &mpsc::Sender<(SocketAddr, Validator)>,
        stopped: watch::Receiver<bool>,
    ) -> Result<(), NodeError> {
        let Self { config, tuning } = self;
        let genesis = Genesis::load(&config.genesis)?;
        let keys = Keys::load(&config.keys)?;
        let name = own_name(&genesis, &config, &keys)?;
        let host = host(&genesis, &config)?;
        let _lock = lock(&config.data)?;
        // The engine would panic; here it is an error that says what to do.
        TcpListener::bind(config.listen)
            .map_err(|error| NodeError::Listen(config.listen, error))?;
        let build = |clock: Clock| build(&genesis, &config, keys, name, tuning, clock);
        let mut failed = Ok(());
        network::run(host, build, async |running, validator| {
            failed = serve(&config, running, validator, started, stopped).await;
        })?;
        failed
    }
}

/// Serves clients until the validator is stopped.
async fn serve(
    config: &Config,
    engine: Running,
    validator: Validator,
    started: &mpsc::Sender<(SocketAddr, Validator)>,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), NodeError> {
    let mut serving = rpc::Config::new(config.rpc);
    serving.subscriptions.clone_from(&config.subscriptions);
    let server = Server::start(serving, Service::new(validator.clone())).await?;
    if started.send((server.address(), validator.clone())).is_ok() {
        let watching = watch_disk(config, &engine, &validator);
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => {}
            () = watching => {}
        }
    }
    validator.stop();
    server.stop().await;
    Ok(())
}

/// Accepts nothing new while the disk has little room, and ends work on blocks before it has none.
async fn watch_disk(config: &Config, engine: &Running, validator: &Validator) {
    let mut look = time::interval(LOOK);
    loop {
        look.tick().await;
        let room = match fs4::available_space(&config.data) {
            Ok(room) => room,
            Err(error) => {
                tracing::warn!(%error, "the disk's room cannot be asked for");
                continue;
            }
        };
        validator.set_full(room < config.reserve);
        if room < config.reserve / 4 && validator.failure().is_none() {
            engine.halt();
            validator.fail(&"the disk is full: make room and start the validator again");
        }
    }
}

fn build(
    genesis: &Genesis,
    config: &Config,
    keys: Keys,
    name: NodeId,
    tuning: Tuning,
    clock: Clock,
) -> Result<Member, NodeError> {
    let folder = config.data.join("ledger");
    let disk = Folder::new(&folder).map_err(|error| NodeError::Folder(folder, error))?;
    let forks = ForkLog::open(&disk)?;
    let block = genesis.block();
    let (store, recovered) = Store::open(Arc::new(disk), &block)?;
    let wrong = || SetupError::Field { path: PathBuf::from(&config.name), field: "enrollers" };
    let enrollers = config.enrollers().ok_or_else(wrong)?;
    let engine = TallyEngine::trusting(genesis.network, enrollers);
    let setup = Setup {
        trust: genesis.trust()?,
        sealer: Sealer::new(name, keys.seal),
        rules: Rules { shard: genesis.shard.clone(), engine },
        limits: Limits::default(),
        clock,
    };
    let (validator, outgoing) =
        Validator::new(setup, recovered, store.reader(), forks).map_err(NodeError::Shard)?;
    let names = genesis.validators.iter().map(|other| (other.vote.clone(), other.name.clone()));
    let names = names.collect();
    Ok(Member { key: keys.vote, names, genesis: block, validator, outgoing, store, tuning })
}

fn host(genesis: &Genesis, config: &Config) -> Result<Host, NodeError> {
    let path = || PathBuf::from(&config.name);
    let peers = genesis.validators.iter().map(|validator| {
        let text = config.peers.get(validator.name.as_str());
        let address = text.and_then(|text| PeerAddress::parse(text));
        let address = address.ok_or_else(|| SetupError::Field { path: path(), field: "peers" })?;
        Ok((validator.vote.clone(), address))
    });
    let peers = peers.collect::<Result<BTreeMap<_, _>, SetupError>>()?;
    Ok(Host {
        folder: config.data.join("engine"),
        threads: config.threads,
        listen: config.listen,
        peers,
        clock_offset: config.clock_offset,
    })
}

/// The validator that a configuration is of, if the keys are its keys.
fn own_name(genesis: &Genesis, config: &Config, keys: &Keys) -> Result<NodeId, SetupError> {
    let mut all = genesis.validators.iter();
    let own = all.find(|validator| validator.name.as_str() == config.name);
    own.filter(|own| own.vote == keys.vote.id() && own.seal == keys.seal.public())
        .map(|own| own.name.clone())
        .ok_or_else(|| SetupError::Stranger(config.name.clone()))
}

/// Holds a validator's folder: two processes with one key would contradict each other.
fn lock(folder: &Path) -> Result<File, NodeError> {
    let failed = |error| NodeError::Folder(folder.into(), error);
    Folder::new(folder).map_err(failed)?;
    let file = File::create(folder.join("lock")).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(NodeError::Locked(folder.into())),
        Err(fs::TryLockError::Error(error)) => Err(failed(error)),
    }
}
