//! Run validators of a notary, a whole network of them on this machine, and check one from outside.

use std::fs;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tally_core::id::{Digest, NetworkId};
use tally_core::keys::PublicKey;
use tally_core::time::Time;
use tally_notary::devnet::{Devnet, DevnetError, Options};
use tally_notary::node::{Node, NodeError};
use tally_notary::setup::{self, Config, Plan, SetupError};
use tally_notary::trust_file;
use tally_notary::verify_log::{self, Audit, AuditError, Checkpoint, Fetch, Start};
use tally_transport::http::{Client, HttpLimits, Url};

use crate::args::{NotaryInit, VerifyLog};
use crate::error::{CliError, Exit};
use crate::output::{Done, Out, Report};

/// How often a validator is looked at whether it still runs.
const LOOK: Duration = Duration::from_millis(200);

/// How long a node may take to answer an auditor.
const AUDIT: Duration = Duration::from_secs(120);

impl From<SetupError> for CliError {
    fn from(error: SetupError) -> Self {
        Self::from_text(Exit::Failure, error.code(), &error.to_string())
    }
}

impl From<NodeError> for CliError {
    fn from(error: NodeError) -> Self {
        Self::from_text(Exit::Failure, error.code(), &error.to_string())
    }
}

impl From<DevnetError> for CliError {
    fn from(error: DevnetError) -> Self {
        Self::from_text(Exit::Failure, error.code(), &error.to_string())
    }
}

impl From<AuditError> for CliError {
    fn from(error: AuditError) -> Self {
        let exit = match &error {
            AuditError::Fetch(_) => Exit::Unreachable,
            AuditError::Fault { .. } => Exit::Failure,
            AuditError::Diverged { .. } => Exit::Conflict,
            _ => Exit::Refused,
        };
        Self::from_text(exit, error.code(), &error.to_string())
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    #[serde(serialize_with = "crate::output::path")]
    trust_base: PathBuf,
    #[serde(serialize_with = "crate::output::path")]
    genesis: PathBuf,
    #[serde(serialize_with = "crate::output::paths")]
    configs: Vec<PathBuf>,
}

impl Report for Made {
    fn text(&self) -> String {
        let mut text = format!("trust base: {}\n", self.trust_base.display());
        text += &format!("genesis: {}\n", self.genesis.display());
        for config in &self.configs {
            text += &format!("run with: tally notary run --config {}\n", config.display());
        }
        text
    }
}

/// Makes keys, configurations, genesis and trust base of a new network.
pub fn init(init: &NotaryInit) -> Result<Done, CliError> {
    let count = init.validators;
    let address = |number: u16| {
        let port = init.port.checked_add(number);
        port.map(|port| SocketAddr::new(init.host, port))
    };
    let pairs =
        (0..count).map(|number| Some((address(count.checked_add(number)?)?, address(number)?)));
    let addresses = pairs.collect::<Option<Vec<_>>>();
    let addresses = addresses.ok_or_else(|| {
        CliError::usage("USAGE", "there are not so many ports", "choose a smaller --port")
    })?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let plan = Plan {
        network: network(init.network)?,
        time: Time::from_unix(now.as_secs()),
        addresses,
        enrollers: enrollers(&init.enroller)?,
    };
    let setup::Made { trust_base, genesis, configs } = setup::init(&init.out, &plan)?;
    Ok(Done::new(&Made { trust_base, genesis, configs }))
}

#[derive(Serialize)]
struct Serving {
    event: &'static str,
    name: String,
    url: String,
}

impl Report for Serving {
    fn text(&self) -> String {
        format!("{} serves clients at {} (Ctrl-C ends)\n", self.name, self.url)
    }
}

/// Runs one validator until it is interrupted, or until the input ends if that is asked for.
pub fn run(out: Out, config: &Path, until_input_ends: bool) -> Result<Done, CliError> {
    log_to_stderr();
    let config = Config::load(config)?;
    let name = config.name.clone();
    let stop = stopper(until_input_ends)?;
    let node = Node::start(config)?;
    out.now(&Serving { event: "serving", name, url: node.url() })?;
    while stop.recv_timeout(LOOK) == Err(mpsc::RecvTimeoutError::Timeout) && node.is_running() {}
    node.stop()?;
    Ok(Done::silent(Exit::Ok))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Up {
    event: &'static str,
    urls: Vec<String>,
    #[serde(serialize_with = "crate::output::path")]
    trust_base: PathBuf,
    #[serde(serialize_with = "crate::output::path")]
    dir: PathBuf,
    pids: Vec<u32>,
}

impl Report for Up {
    fn text(&self) -> String {
        let mut text = String::new();
        for url in &self.urls {
            text += &format!("validator: {url}\n");
        }
        text + &format!("trust base: {}\n(Ctrl-C stops all)\n", self.trust_base.display())
    }
}

/// Runs a whole network until it is interrupted: each validator is a process of this program.
pub fn devnet(
    out: Out,
    validators: usize,
    dir: Option<&Path>,
    port: Option<u16>,
    enroller: &[String],
) -> Result<Done, CliError> {
    let failed = |error: std::io::Error| {
        CliError::new(Exit::Failure, "DEVNET_FOLDER", error.to_string(), "choose --dir")
    };
    let stop = stopper(false)?;
    let temporary = match dir {
        Some(_) => None,
        None => Some(tempfile::tempdir().map_err(failed)?),
    };
    let folder = dir.or_else(|| temporary.as_ref().map(tempfile::TempDir::path));
    let folder = folder.unwrap_or(Path::new("."));
    let program = std::env::current_exe().map_err(failed)?;
    let enrollers = enrollers(enroller)?;
    let options = Options { port, enrollers, ..Options::processes(validators, &program) };
    let network = Devnet::start_with(folder, &options)?;
    out.now(&Up {
        event: "ready",
        urls: network.urls(),
        trust_base: network.trust_base_path(),
        dir: folder.into(),
        pids: (0..network.validators()).filter_map(|number| network.pid(number)).collect(),
    })?;
    // An error means that nobody can ask any more.
    let _ = stop.recv();
    drop(network);
    Ok(Done::silent(Exit::Ok))
}

#[derive(Serialize)]
struct Verified {
    #[serde(flatten)]
    audit: Audit,
}

impl Report for Verified {
    fn text(&self) -> String {
        let Audit { checkpoint, leaves, certificates, included, excluded, .. } = &self.audit;
        format!(
            "the tree only grew, up to block {}: {leaves} leaves, {certificates} certificates\n\
             looked up: {included} spent, {excluded} unspent\nroot: {}\n",
            checkpoint.height, checkpoint.root
        )
    }
}

struct Http {
    client: Client,
    url: Url,
}

impl Fetch for Http {
    fn post(&mut self, json: &str) -> Result<String, String> {
        let answer = self.client.post_json(&self.url, &[], json, AUDIT);
        answer.map_err(|error| error.to_string())
    }
}

/// Checks from outside that a node's tree only grew.
pub fn verify_log(out: Out, what: &VerifyLog) -> Result<Done, CliError> {
    let url = Url::new(&what.url)
        .map_err(|error| CliError::usage("USAGE", error.to_string(), "give the URL of a node"))?;
    let text = fs::read_to_string(&what.trust)
        .map_err(|error| SetupError::File(what.trust.clone(), error))?;
    let trust = trust_file::from_json(&text)
        .map_err(|error| CliError::from_text(Exit::Failure, error.code(), &error.to_string()))?;
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|_| SetupError::Random)?;
    let options =
        verify_log::Options { to: what.to, every_certificate: what.every, spots: what.spots, seed };
    let limits = HttpLimits { max_answer: verify_log::MAX_ANSWER, ..HttpLimits::default() };
    let mut node = Http { client: Client::new(limits), url };
    let start = start(what)?;
    let mut last = 0;
    let audit = verify_log::verify_log(&mut node, &trust, start, &options, &mut |root| {
        // Not a line for each of a million blocks.
        if root.height >= last + 1_000 {
            last = root.height;
            out.note(&format!("up to block {last}"));
        }
    })?;
    Ok(Done::new(&Verified { audit }))
}

/// Where an audit begins: at the root that was kept, if one was.
fn start(what: &VerifyLog) -> Result<Start, CliError> {
    match (&what.root, what.from) {
        (None, 0) => Ok(Start::Empty),
        (None, height) => Ok(Start::Height(height)),
        (Some(text), height) => {
            let root = Digest::from_hex(text).filter(|_| height > 0).ok_or_else(|| {
                let next = "give --from BLOCK and the 64 digits that were printed for it";
                CliError::usage("USAGE", format!("{text} is not the root of a block"), next)
            })?;
            Ok(Start::Checkpoint(Checkpoint { height, root }))
        }
    }
}

/// The keys that these texts are, or that are in the files of these names.
fn enrollers(given: &[String]) -> Result<Vec<PublicKey>, CliError> {
    let keys = given.iter().map(|text| {
        let found = setup::enroller(text).or_else(|| {
            let content = fs::read_to_string(text).ok().filter(|file| file.len() < 1_024);
            content.and_then(|file| setup::enroller(file.trim()))
        });
        found.ok_or_else(|| {
            let wrong = format!("{text} is no enroller's key, and no file with one");
            CliError::usage("USAGE", wrong, "give the 66 digits that `tally enroller` shows")
        })
    });
    keys.collect()
}

fn network(number: u16) -> Result<NetworkId, CliError> {
    NetworkId::new(number)
        .ok_or_else(|| CliError::usage("USAGE", "a network's number is not 0", "leave it out"))
}

/// Something that comes when the program is to end.
fn stopper(until_input_ends: bool) -> Result<mpsc::Receiver<()>, CliError> {
    let (sender, receiver) = mpsc::channel();
    if until_input_ends {
        let sender = sender.clone();
        thread::spawn(move || wait_for_end_of_input(&sender));
    }
    ctrlc::set_handler(move || {
        // Nobody listens any more when it ends anyway.
        let _ = sender.send(());
    })
    .map_err(|error| {
        let text = format!("Ctrl-C cannot be watched ({error})");
        CliError::new(Exit::Failure, "SIGNALS", text, "try again in another terminal")
    })?;
    Ok(receiver)
}

fn wait_for_end_of_input(ended: &Sender<()>) {
    let mut input = std::io::stdin().lock();
    let mut buffer = [0; 64];
    while matches!(input.read(&mut buffer), Ok(count) if count > 0) {}
    let _ = ended.send(());
}

fn log_to_stderr() {
    let level = std::env::var("TALLY_LOG").ok().and_then(|level| level.parse().ok());
    let level = level.unwrap_or(tracing_subscriber::filter::LevelFilter::WARN);
    let log = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr);
    // Somebody may have set another one up.
    let _ = log.with_ansi(false).try_init();
}
