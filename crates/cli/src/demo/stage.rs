//! What the story needs: people with wallets, codes between them, and TCP.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use tally_core::card::Name;
use tally_core::device::Event;
use tally_core::id::NetworkId;
use tally_core::object::Object;
use tally_core::seal::SealCertificate;
use tally_seal::machine::HostMachine;
use tally_seal::software::{Place, SoftwareSeal};
use tally_seal::tpm2::Address;
use tally_seal::unlock::{KdfParams, Unlock};
use tally_transport::qr;
use tally_transport::tcp::{self, Limits, Listener, TcpChannel};
use tally_wallet::{Setup, Wallet, WalletError};

use crate::error::{CliError, Exit};
use crate::output::Report;
use crate::show::{Names, Shown};

/// A folder for a wallet, and beside it one for its seal's journal.
#[derive(Clone, Debug)]
pub struct Home {
    root: PathBuf,
    name: String,
}

impl Home {
    /// The home of somebody below `root`.
    pub fn new(root: &Path, name: &str) -> Self {
        Self { root: root.to_owned(), name: name.to_lowercase() }
    }

    fn dir(&self) -> PathBuf {
        self.root.join(&self.name)
    }

    fn state(&self) -> PathBuf {
        self.root.join(format!("{}-journal", self.name))
    }

    fn setup(&self) -> Setup {
        let place = Place::new(self.dir(), self.state());
        Setup {
            unlock: Unlock::KeyFile(place.key_file()),
            // A key file needs no stretching; this is said in the story.
            kdf: KdfParams::WEAK_FOR_TESTS,
            state_dir: self.state(),
            machine: Box::new(HostMachine::new()),
        }
    }

    /// Makes a wallet.
    pub fn create(&self, name: &str) -> Result<Wallet, CliError> {
        let name = Name::new(name).expect("the story's names are short and plain");
        Ok(Wallet::create(&self.dir(), &self.setup(), name, NetworkId::LOCAL)?)
    }

    /// Makes a wallet that is to be bound to a TPM.
    pub fn create_for_tpm(&self, name: &str, tpm: &Address) -> Result<Wallet, CliError> {
        let name = Name::new(name).expect("the story's names are short and plain");
        let (dir, setup) = (self.dir(), self.setup());
        Ok(Wallet::create_for_tpm(&dir, &setup, name, NetworkId::LOCAL, tpm)?)
    }

    /// Binds it to the TPM, once that is enrolled.
    pub fn bind(&self, tpm: &Address, certificate: SealCertificate) -> Result<Wallet, CliError> {
        Ok(Wallet::bind_to_tpm(&self.dir(), &self.setup(), tpm, certificate)?)
    }

    /// The keystore alone, as a patched program opens it.
    pub fn keystore(&self) -> Result<SoftwareSeal, CliError> {
        let (place, setup) = (Place::new(self.dir(), self.state()), self.setup());
        Ok(SoftwareSeal::open(&place, setup.machine.as_ref(), &setup.unlock)?)
    }

    /// Opens it again.
    pub fn open(&self) -> Result<Wallet, CliError> {
        Ok(Wallet::open(&self.dir(), &self.setup())?)
    }

    /// Copies wallet and journal, as a thief of both or a cheating owner would.
    pub fn copy_to(&self, other: &Self) -> Result<(), CliError> {
        copy(&self.dir(), &other.dir())?;
        copy(&self.state(), &other.state())
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), CliError> {
    let failed = |e: std::io::Error| {
        let what = format!("{} cannot be copied ({e})", from.display());
        CliError::new(Exit::Failure, "DEMO_COPY", what, "free some space in the temporary folder")
    };
    fs::create_dir_all(to).map_err(failed)?;
    for entry in fs::read_dir(from).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.path().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).map_err(failed)?;
        }
    }
    Ok(())
}

/// An object that was scanned.
#[derive(Debug)]
pub struct Scanned {
    /// What it is.
    pub object: Object,
    /// Its size in bytes.
    pub size: usize,
    /// How it was shown.
    pub shown: String,
}

/// Shows an object as a picture of its code, and scans it on the other side.
pub fn show_and_scan(root: &Path, name: &str, object: &Object) -> Result<Scanned, CliError> {
    let bytes = object.to_file();
    let path = root.join(name);
    fs::write(&path, qr::encode_image(&bytes)?).map_err(|e| {
        let what = format!("{} cannot be written ({e})", path.display());
        CliError::new(Exit::Failure, "DEMO_PICTURE", what, "free some space there")
    })?;
    let loaded = crate::carrier::load(&path)?;
    let shown = if bytes.len() <= qr::MAX_STILL {
        "one code".into()
    } else {
        let frames = qr::Frames::new(&bytes, qr::FRAME_BYTES)?.loop_length();
        format!("a loop of {frames} codes")
    };
    Ok(Scanned { object: loaded.object, size: loaded.size, shown })
}

/// What happened on the side that listens, and when.
#[derive(Debug)]
pub struct Screen {
    /// What was shown, and how many milliseconds after the other side began.
    pub events: Vec<(Event, f64)>,
    /// The same, for people.
    pub text: String,
    /// Bytes on the wire, both ways.
    pub wire: u64,
}

impl Screen {
    /// When the first event came that `wanted` picks.
    pub fn at(&self, wanted: impl Fn(&Event) -> bool) -> Option<f64> {
        self.events.iter().find(|(event, _)| wanted(event)).map(|(_, ms)| *ms)
    }
}

/// Lets `caller` talk over TCP to a wallet that listens.
pub fn over_tcp<T>(
    listens: &mut Wallet,
    caller: impl FnOnce(&mut TcpChannel) -> T,
) -> Result<(T, Screen), CliError> {
    let limits = Limits::default();
    let listener = Listener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    let names = Names::of(listens.device());
    let began = Instant::now();
    let (said, events, wire) = std::thread::scope(|scope| {
        let served = scope.spawn(|| -> Result<Vec<(Event, f64)>, WalletError> {
            let mut channel = listener.accept(&limits)?;
            let mut events = Vec::new();
            listens.serve_one(&mut channel, &mut |event| {
                events.push((event.clone(), began.elapsed().as_secs_f64() * 1e3));
            })?;
            Ok(events)
        });
        let mut channel = tcp::connect(&address, &limits)?;
        let said = caller(&mut channel);
        let wire = channel.sent_bytes() + channel.received_bytes();
        // The listening side serves until the caller hangs up.
        drop(channel);
        let events = served.join().map_err(|_| {
            CliError::new(Exit::Failure, "DEMO", "the listening side stopped", "report it")
        })??;
        Ok::<_, CliError>((said, events, wire))
    })?;
    let text = events.iter().map(|(event, _)| Shown::of(&names, event).text()).collect();
    Ok((said, Screen { events, text, wire }))
}
