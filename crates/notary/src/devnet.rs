//! A whole network on one machine, for tests, demonstrations and measurements.
//!
//! Validators are processes of their own if the path of the program is given, else threads of this one.
//! Nothing about them is different from a network on many machines but their addresses.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tally_core::id::NetworkId;
use tally_core::keys::PublicKey;
use tally_core::notary::TrustBase;
use tally_core::time::Time;

use crate::node::{Node, NodeError};
use crate::setup::{self, Config, Genesis, Plan, SetupError};

/// How long a network may take to certify its first block.
const START: Duration = Duration::from_secs(30);

/// How long a process may take to end after it was asked to.
const STOP: Duration = Duration::from_secs(10);

/// How often a validator is asked whether it is ready.
const POLL: Duration = Duration::from_millis(30);

/// Ports are taken from here on, below those that the system gives to outgoing connections.
const FIRST_PORT: u16 = 17_000;

/// How many ports there are to take from.
const PORTS: u16 = 15_000;

/// Why there is no network.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DevnetError {
    /// Its files cannot be made or read.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A validator in this process does not run.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// A process cannot be started.
    #[error("{0} cannot be started: give the path of the `tally` program: {1}")]
    Spawn(PathBuf, #[source] io::Error),
    /// There are not as many free ports as are needed.
    #[error("no free ports on this machine: stop something that listens")]
    Ports,
    /// A validator is not ready in time.
    #[error("validator {0} is not ready: {1}: look at the log beside its configuration")]
    NotReady(usize, String),
}

impl DevnetError {
    /// Stable code of this error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Setup(error) => error.code(),
            Self::Node(error) => error.code(),
            Self::Spawn(..) => "DEVNET_SPAWN",
            Self::Ports => "DEVNET_PORTS",
            Self::NotReady(..) => "DEVNET_NOT_READY",
        }
    }
}

/// What a network on one machine is to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// How many validators: 1, 4, 7, ….
    pub validators: usize,
    /// The `tally` program; without it, validators are threads of this process.
    pub program: Option<PathBuf>,
    /// The interface of the first validator listens here, of the second one port higher, and so on; the
    /// validators' own ports follow. Free ones, if not given.
    pub port: Option<u16>,
    /// The network's number.
    pub network: NetworkId,
    /// Whose word for a hardware seal counts, if the network is made new.
    pub enrollers: Vec<PublicKey>,
}

impl Options {
    /// So many validators, as threads, at free ports, on the local network.
    pub fn new(validators: usize) -> Self {
        let (network, enrollers) = (NetworkId::LOCAL, Vec::new());
        Self { validators, program: None, port: None, network, enrollers }
    }

    /// The same, as processes of this program.
    pub fn processes(validators: usize, program: &Path) -> Self {
        Self { program: Some(program.into()), ..Self::new(validators) }
    }
}

/// A running network. Dropping it stops all validators.
pub struct Devnet {
    folder: PathBuf,
    program: Option<PathBuf>,
    trust: TrustBase,
    configs: Vec<(PathBuf, Config)>,
    running: Vec<Running>,
}

enum Running {
    Down,
    Thread(Node),
    Process(Child),
}

impl Devnet {
    /// Makes a network of so many validators in `folder`, and runs them as threads of this process. If
    /// there is a network in the folder already, runs that one.
    ///
    /// # Errors
    /// [`DevnetError`].
    pub fn start(folder: &Path, validators: usize) -> Result<Self, DevnetError> {
        Self::start_with(folder, &Options::new(validators))
    }

    /// Like [`start`](Self::start), with more to choose.
    ///
    /// # Errors
    /// [`DevnetError`].
    pub fn start_with(folder: &Path, options: &Options) -> Result<Self, DevnetError> {
        let mut devnet = Self::prepare(folder, options)?;
        for number in 0..devnet.configs.len() {
            devnet.launch(number)?;
        }
        for number in 0..devnet.configs.len() {
            devnet.wait_ready(number, START)?;
        }
        Ok(devnet)
    }

    /// Makes a network's files without running it, unless they are there already.
    ///
    /// # Errors
    /// [`DevnetError`].
    pub fn prepare(folder: &Path, options: &Options) -> Result<Self, DevnetError> {
        let genesis = folder.join("genesis.json");
        if !genesis.exists() {
            let addresses = addresses(options)?;
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let time = Time::from_unix(now.as_secs());
            let (network, enrollers) = (options.network, options.enrollers.clone());
            setup::init(folder, &Plan { network, time, addresses, enrollers })?;
        }
        let genesis = Genesis::load(&genesis)?;
        let configs = genesis.validators.iter().map(|validator| {
            let path = folder.join(validator.name.as_str()).join("config.json");
            Config::load(&path).map(|config| (path, config))
        });
        let configs = configs.collect::<Result<Vec<_>, _>>()?;
        let running = configs.iter().map(|_| Running::Down).collect();
        let (folder, program) = (folder.to_path_buf(), options.program.clone());
        Ok(Self { folder, program, trust: genesis.trust()?, configs, running })
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where clients reach each validator.
    pub fn urls(&self) -> Vec<String> {
        self.configs.iter().map(|(_, config)| format!("http://{}", config.rpc)).collect()
    }

    /// The file with what wallets check certificates with.
    pub fn trust_base_path(&self) -> PathBuf {
        self.folder.join("trust-base.json")
    }

    /// What wallets check certificates with.
    pub fn trust_base(&self) -> &TrustBase {
        &self.trust
    }

    /// How many validators there are.
    pub fn validators(&self) -> usize {
        self.configs.len()
    }

    /// A validator's configuration, and the file that it is in.
    pub fn config(&self, number: usize) -> (&Path, &Config) {
        let (path, config) = &self.configs[number];
        (path, config)
    }

    /// The validator, if it is a thread and runs.
    pub fn node(&self, number: usize) -> Option<&Node> {
        match &self.running[number] {
            Running::Thread(node) => Some(node),
            _ => None,
        }
    }

    /// The process, if it is one and was not stopped.
    pub fn pid(&self, number: usize) -> Option<u32> {
        match &self.running[number] {
            Running::Process(child) => Some(child.id()),
            _ => None,
        }
    }

    /// Starts a validator that is down. It need not be ready.
    ///
    /// # Errors
    /// [`DevnetError`].
    pub fn launch(&mut self, number: usize) -> Result<(), DevnetError> {
        let (path, config) = &mut self.configs[number];
        *config = Config::load(path)?;
        self.running[number] = match &self.program {
            None => Running::Thread(Node::start(config.clone())?),
            Some(program) => Running::Process(spawn(program, path)?),
        };
        Ok(())
    }

    /// Waits until a validator certifies.
    ///
    /// # Errors
    /// [`DevnetError::NotReady`].
    pub fn wait_ready(&mut self, number: usize, limit: Duration) -> Result<(), DevnetError> {
        let address = self.configs[number].1.rpc;
        let begin = Instant::now();
        loop {
            let why = match get_ready(address) {
                Ok(answer) if answer.starts_with("HTTP/1.1 200") => return Ok(()),
                Ok(answer) => answer.lines().last().unwrap_or_default().to_owned(),
                Err(error) => error.to_string(),
            };
            let ended = match &mut self.running[number] {
                Running::Process(child) => !matches!(child.try_wait(), Ok(None)),
                Running::Thread(node) => !node.is_running(),
                Running::Down => true,
            };
            if ended {
                return Err(DevnetError::NotReady(number, "it has ended".into()));
            }
            if begin.elapsed() > limit {
                return Err(DevnetError::NotReady(number, why));
            }
            thread::sleep(POLL);
        }
    }

    /// Kills a validator without a warning if it is a process, and stops it if it is a thread.
    pub fn kill(&mut self, number: usize) {
        match &mut self.running[number] {
            Running::Process(child) => {
                // It may have ended already, which is what was asked for.
                let _ = child.kill();
                let _ = child.wait();
            }
            Running::Thread(_) | Running::Down => {}
        }
        self.running[number] = Running::Down;
    }

    /// Stops a validator, and waits for its end.
    pub fn stop(&mut self, number: usize) {
        if let Running::Process(child) = &mut self.running[number] {
            // A validator that this process started ends when its input does.
            drop(child.stdin.take());
            let begin = Instant::now();
            while matches!(child.try_wait(), Ok(None)) && begin.elapsed() < STOP {
                thread::sleep(POLL);
            }
        }
        self.kill(number);
    }
}

impl Drop for Devnet {
    fn drop(&mut self) {
        for running in &mut self.running {
            if let Running::Process(child) = running {
                drop(child.stdin.take());
            }
        }
        (0..self.running.len()).for_each(|number| self.stop(number));
    }
}

fn spawn(program: &Path, config: &Path) -> Result<Child, DevnetError> {
    let failed = |error| DevnetError::Spawn(program.into(), error);
    let log = config.with_file_name("log.txt");
    let log = fs::OpenOptions::new().create(true).append(true).open(log).map_err(failed)?;
    let mut command = Command::new(program);
    command.args(["notary", "run", "--until-input-ends", "--config"]).arg(config);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
    command.spawn().map_err(failed)
}

/// Asks a validator whether it is ready.
fn get_ready(address: SocketAddr) -> io::Result<String> {
    let limit = Duration::from_secs(2);
    let mut stream = TcpStream::connect_timeout(&address, limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.write_all(b"GET /ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(1 << 16).read_to_string(&mut answer)?;
    Ok(answer)
}

fn addresses(options: &Options) -> Result<Vec<(SocketAddr, SocketAddr)>, DevnetError> {
    let count = u16::try_from(options.validators).map_err(|_| DevnetError::Ports)?;
    let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let ports: Vec<u16> = match options.port {
        Some(first) => (0..2 * count).map_while(|number| first.checked_add(number)).collect(),
        None => free_ports(2 * count)?,
    };
    let (rpc, own) = ports.split_at_checked(count.into()).ok_or(DevnetError::Ports)?;
    if own.len() != rpc.len() {
        return Err(DevnetError::Ports);
    }
    Ok(own.iter().zip(rpc).map(|(own, rpc)| (address(*own), address(*rpc))).collect())
}

/// Ports that nobody listens at now.
fn free_ports(count: u16) -> Result<Vec<u16>, DevnetError> {
    let mut seed = [0; 2];
    getrandom::fill(&mut seed).map_err(|_| SetupError::Random)?;
    let begin = u16::from_be_bytes(seed) % PORTS;
    let all = (0..PORTS).map(|number| FIRST_PORT + (begin + number) % PORTS);
    let mut held = Vec::new();
    for port in all {
        if held.len() == usize::from(count) {
            break;
        }
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            held.push((port, listener));
        }
    }
    if held.len() < usize::from(count) {
        return Err(DevnetError::Ports);
    }
    Ok(held.into_iter().map(|(port, _)| port).collect())
}

#[cfg(test)]
mod tests;
