//! The enroller: say whose TPMs are seals.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use tally_core::cbor::to_bytes;
use tally_core::id::NetworkId;
use tally_core::keys::PublicKey;
use tally_core::seal::SealId;
use tally_seal::SealError;
use tally_seal::enroll::{
    Answer, Approval, EnrollError, Enroller, EnrollmentId, MAX_MESSAGE, Settings, Trust,
};
use tally_seal::machine::HostMachine;
use tally_seal::software::Place;
use tally_seal::unlock::{KdfParams, Unlock};
use tally_transport::file::{self, Existing};
use tally_transport::tcp::{Limits, Listener, TcpChannel};
use tally_transport::{Channel, TransportError};

use crate::args::{EnrollerCommand, EnrollerInit, Global};
use crate::context::{entropy, now, read_passphrase};
use crate::error::{CliError, Exit};
use crate::output::{Done, Out, Report};
use crate::show::{date, short};

/// How long a command waits for another one of the same enroller to end.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(50);
/// Longest file of certificates, in bytes.
const MAX_CERTIFICATES_FILE: usize = 1024 * 1024;
/// Longest file with a key, in bytes.
const MAX_KEY_FILE: usize = 256;

/// Does what is asked of an enroller.
pub fn run(global: &Global, out: Out, command: EnrollerCommand) -> Result<Done, CliError> {
    let desk = |dir: PathBuf| Desk { dir, passphrase_file: global.passphrase_file.clone() };
    match command {
        EnrollerCommand::Init(wanted) => init(&desk(wanted.dir.clone()), &wanted),
        EnrollerCommand::Show { dir } => Ok(Done::new(&Shown::of(&desk(dir).open()?, None))),
        EnrollerCommand::Trust { file, development, intermediate, dir } => {
            let trust = match (development, intermediate) {
                (true, _) => Trust::Development,
                (_, true) => Trust::Intermediate,
                _ => Trust::Hardware,
            };
            let certificates = file::read(&file, MAX_CERTIFICATES_FILE)?;
            let mut enroller = desk(dir).open()?;
            enroller.trust(&certificates, trust)?;
            Ok(Done::new(&Shown::of(&enroller, None)))
        }
        EnrollerCommand::Run { addr, count, dir } => serve(&desk(dir), out, &addr, count),
        EnrollerCommand::Answer { message, out: to, dir } => {
            let message = file::read(&message, MAX_MESSAGE)?;
            let answer = desk(dir).answer(&message)?;
            file::write(&to, answer.bytes(), Existing::Keep)?;
            Ok(Done::new(&Answered::of(&answer, Some(to))))
        }
        EnrollerCommand::List { dir } => Ok(Done::new(&Listed::of(&desk(dir).open()?))),
        EnrollerCommand::Approve { id, decline, dir } => approve(&desk(dir), &id, decline),
        EnrollerCommand::Revoke { seal, out: to, dir } => revoke(&desk(dir), seal.as_deref(), to),
    }
}

/// Reads an enroller's key: 66 hexadecimal digits, or a file with them.
///
/// # Errors
/// [`CliError`] when it is neither.
pub fn read_key(text: &str) -> Result<PublicKey, CliError> {
    let content = match Path::new(text).is_file() {
        true => String::from_utf8(file::read(Path::new(text), MAX_KEY_FILE)?).unwrap_or_default(),
        false => text.to_owned(),
    };
    let bytes = tally_core::id::from_hex::<33>(content.trim());
    bytes.and_then(|bytes| PublicKey::secp256k1(&bytes).ok()).ok_or_else(|| {
        CliError::usage(
            "ENROLLER_KEY",
            format!("{text:?} is neither an enroller's key nor a file with one"),
            "ask the enroller for what `tally enroller show` prints",
        )
    })
}

/// Where an enroller's files are, and what opens them.
struct Desk {
    dir: PathBuf,
    passphrase_file: Option<PathBuf>,
}

impl Desk {
    fn unlock(&self) -> Result<Unlock, CliError> {
        match &self.passphrase_file {
            Some(file) => read_passphrase(file).map(Unlock::Passphrase),
            None => Ok(Unlock::KeyFile(Place::new(&self.dir, self.dir.join("state")).key_file())),
        }
    }

    /// Opens the enroller, once no other command has it open any more.
    fn open(&self) -> Result<Enroller, CliError> {
        let (unlock, machine) = (self.unlock()?, HostMachine::new());
        let until = Instant::now() + PATIENCE;
        loop {
            match Enroller::open(&self.dir, &machine, &unlock) {
                Err(EnrollError::Seal(SealError::InUse)) if Instant::now() < until => {
                    thread::sleep(LOOK);
                }
                opened => return Ok(opened?),
            }
        }
    }

    /// Answers one message, and lets go of the enroller, so that its owner can approve in between.
    fn answer(&self, message: &[u8]) -> Result<Answer, CliError> {
        Ok(self.open()?.answer(message, now(), entropy()?)?)
    }
}

#[derive(Serialize)]
struct Shown {
    enroller: String,
    network: u16,
    software_tpm: bool,
    approval: &'static str,
    lifetime_seconds: u64,
    authorities: Vec<Believed>,
    enrolled: usize,
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "crate::output::path_if_any"
    )]
    out: Option<PathBuf>,
}

#[derive(Serialize)]
struct Believed {
    subject: String,
    trust: &'static str,
}

impl Shown {
    fn of(enroller: &Enroller, out: Option<PathBuf>) -> Self {
        let settings = enroller.settings();
        let believed = enroller.authorities().iter().map(|authority| Believed {
            subject: authority.subject(),
            trust: match authority.trust() {
                Trust::Hardware => "hardware maker",
                Trust::Development => "TPMs in software",
                Trust::Intermediate => "intermediate",
            },
        });
        Self {
            enroller: enroller.key().to_string(),
            network: settings.network.number(),
            software_tpm: settings.allow_software_tpm,
            approval: match settings.approval {
                Approval::Automatic => "automatic",
                Approval::ByHand => "by hand",
            },
            lifetime_seconds: settings.lifetime,
            authorities: believed.collect(),
            enrolled: enroller.issued().len(),
            out,
        }
    }
}

impl Report for Shown {
    fn text(&self) -> String {
        let Self { enroller, network, approval, enrolled, .. } = self;
        let mut text = format!(
            "enroller  {enroller}\nnetwork   {network}\napproval  {approval}\nseals     {enrolled}\n"
        );
        if self.software_tpm {
            text += "ENROLLS TPMS IN SOFTWARE: they can be copied and pay twice, and are marked so for ever\n";
        }
        for Believed { subject, trust } in &self.authorities {
            text += &format!("believes  {subject} ({trust})\n");
        }
        if self.authorities.is_empty() {
            text += "believes nobody yet: name TPM makers with `tally enroller trust`\n";
        }
        match &self.out {
            Some(out) => text + &format!("written: {}\n", out.display()),
            None => text,
        }
    }
}

fn init(desk: &Desk, wanted: &EnrollerInit) -> Result<Done, CliError> {
    let network = NetworkId::new(wanted.network)
        .ok_or_else(|| CliError::usage("NETWORK", "network 0 does not exist", "use 1 to 65535"))?;
    let usual = Settings::new(network);
    let settings = Settings {
        allow_software_tpm: wanted.allow_software_tpm,
        approval: if wanted.by_hand { Approval::ByHand } else { Approval::Automatic },
        lifetime: wanted.lifetime.map_or(usual.lifetime, |lifetime| lifetime.as_secs()),
        ..usual
    };
    let (machine, unlock) = (HostMachine::new(), desk.unlock()?);
    let params = KdfParams::default();
    let enroller = Enroller::init(&desk.dir, &machine, &unlock, params, settings, entropy()?)?;
    if let Some(out) = &wanted.out {
        let line = format!("{}\n", enroller.key());
        file::write(out, line.as_bytes(), Existing::Keep)?;
    }
    Ok(Done::new(&Shown::of(&enroller, wanted.out.clone())))
}

#[derive(Serialize)]
struct Listening {
    event: &'static str,
    address: String,
    enroller: String,
}

impl Report for Listening {
    fn text(&self) -> String {
        let Self { address, enroller, .. } = self;
        format!("enrolling on {address} as {enroller} (Ctrl-C ends)\n")
    }
}

#[derive(Serialize)]
struct Answered {
    event: &'static str,
    what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    seal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "crate::output::path_if_any"
    )]
    out: Option<PathBuf>,
    #[serde(skip)]
    refused: bool,
}

impl Answered {
    fn of(answer: &Answer, out: Option<PathBuf>) -> Self {
        Self {
            event: "answered",
            what: answer.to_string(),
            seal: answer.issued().map(SealId::to_string),
            code: answer.refused(),
            refused: answer.refused().is_some(),
            out,
        }
    }
}

impl Report for Answered {
    fn text(&self) -> String {
        let written = self.out.as_ref().map(|out| format!("written: {}\n", out.display()));
        format!("{}\n{}", self.what, written.unwrap_or_default())
    }

    fn exit(&self) -> Exit {
        if self.refused { Exit::Refused } else { Exit::Ok }
    }
}

/// Answers one connection after the other, `count` of them or until it is stopped.
fn serve(desk: &Desk, out: Out, address: &str, count: Option<u64>) -> Result<Done, CliError> {
    let key = desk.open()?.key().to_string();
    let listener = Listener::bind(address).map_err(|error| {
        let error = CliError::from(error);
        CliError { exit: Exit::Failure, ..error }
    })?;
    super::listen::end_on_interrupt(listener.stopper())?;
    let address = listener.local_addr()?.to_string();
    out.now(&Listening { event: "listening", address, enroller: key })?;
    let mut left = count;
    while left != Some(0) {
        let mut channel = match listener.accept(&Limits::default()) {
            Ok(channel) => channel,
            Err(TransportError::Interrupted) => return Ok(Done::silent(Exit::Interrupted)),
            Err(error) => return Err(error.into()),
        };
        converse(desk, &mut channel, out)?;
        left = left.map(|left| left - 1);
    }
    Ok(Done::silent(Exit::Ok))
}

/// One device's messages, until it hangs up. Nobody who connects can end the enroller; a memory
/// that cannot be written does.
fn converse(desk: &Desk, channel: &mut TcpChannel, out: Out) -> Result<(), CliError> {
    /// Request and proof, and both again if a challenge was over; then some for a slow person.
    const MAX_QUESTIONS: usize = 16;
    for _ in 0..MAX_QUESTIONS {
        let Ok(message) = channel.recv() else { return Ok(()) };
        let answer = desk.answer(&message)?;
        out.now(&Answered::of(&answer, None))?;
        if channel.send(answer.bytes()).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

#[derive(Serialize)]
struct Listed {
    waiting: Vec<Waiting>,
    seals: Vec<Enrolled>,
}

#[derive(Serialize)]
struct Waiting {
    id: String,
    seal: String,
    since: String,
    label: String,
    development: bool,
    /// Whether the same TPM has a certificate already: another pool of its counters, or a renewal.
    known: bool,
}

#[derive(Serialize)]
struct Enrolled {
    seal: String,
    at: String,
    label: String,
    development: bool,
    expires: String,
    revoked: bool,
}

impl Listed {
    fn of(enroller: &Enroller) -> Self {
        let waiting = enroller.waiting().map(|candidate| Waiting {
            id: candidate.id.to_string(),
            seal: candidate.seal.to_string(),
            since: date(candidate.since),
            label: candidate.label,
            development: candidate.development,
            known: candidate.known,
        });
        let taken_back = |seal: &SealId| {
            enroller.revocation().is_some_and(|list| list.terms().seals().contains(seal))
        };
        let seals = enroller.issued().iter().map(|issued| {
            let terms = issued.certificate().terms();
            let seal = issued.certificate().seal();
            Enrolled {
                seal: seal.to_string(),
                at: date(issued.at()),
                label: terms.label.as_str().into(),
                development: terms.development,
                expires: date(terms.expires),
                revoked: taken_back(&seal),
            }
        });
        Self { waiting: waiting.collect(), seals: seals.collect() }
    }
}

impl Report for Listed {
    fn text(&self) -> String {
        if self.waiting.is_empty() && self.seals.is_empty() {
            return "nobody asked to be enrolled yet\n".into();
        }
        let kind = |development: bool| if development { ", DEVELOPMENT ONLY" } else { "" };
        let mut text = String::new();
        for Waiting { id, since, label, development, known, .. } in &self.waiting {
            let known = if *known { ", a TPM that is enrolled already" } else { "" };
            let kind = kind(*development);
            text += &format!("waits     {}  since {since}  {label}{kind}{known}\n", short(id));
        }
        for Enrolled { seal, label, development, expires, revoked, .. } in &self.seals {
            let state = if *revoked { "revoked " } else { "enrolled" };
            let kind = kind(*development);
            text += &format!("{state}  {}  until {expires}  {label}{kind}\n", short(seal));
        }
        text
    }
}

#[derive(Serialize)]
struct Decided {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    seal: Option<String>,
}

impl Report for Decided {
    fn text(&self) -> String {
        match &self.seal {
            Some(seal) => format!(
                "enrolled seal {}: its device has the certificate when it asks again\n",
                short(seal)
            ),
            None => format!("declined {}\n", short(&self.id)),
        }
    }
}

fn approve(desk: &Desk, digits: &str, decline: bool) -> Result<Done, CliError> {
    let mut enroller = desk.open()?;
    let waiting: Vec<EnrollmentId> = enroller.waiting().map(|candidate| candidate.id).collect();
    let id = *only(digits, &waiting, "enrollment that waits")?;
    let seal = if decline {
        enroller.decline(&id)?;
        None
    } else {
        Some(enroller.approve(&id, now())?.seal().to_string())
    };
    Ok(Done::new(&Decided { id: id.to_string(), seal }))
}

#[derive(Serialize)]
struct Revoked {
    number: u64,
    seals: Vec<String>,
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "crate::output::path_if_any"
    )]
    out: Option<PathBuf>,
}

impl Report for Revoked {
    fn text(&self) -> String {
        let mut text = format!("list {} of {} revoked seals\n", self.number, self.seals.len());
        text += &self.seals.iter().map(|s| format!("  {}\n", short(s))).collect::<String>();
        match &self.out {
            Some(out) => text + &format!("written: {}\n", out.display()),
            None => text + "give it to notaries and wallets: write it with --out\n",
        }
    }
}

fn revoke(desk: &Desk, digits: Option<&str>, out: Option<PathBuf>) -> Result<Done, CliError> {
    let mut enroller = desk.open()?;
    let list = match digits {
        Some(digits) => {
            let seals: Vec<SealId> =
                enroller.issued().iter().map(|issued| issued.certificate().seal()).collect();
            let seal = *only(digits, &seals, "enrolled seal")?;
            enroller.revoke(&seal)?
        }
        None => enroller.revocation().cloned().ok_or_else(|| {
            CliError::usage("ENROLLER_NONE", "no seal was revoked yet", "name one to revoke")
        })?,
    };
    if let Some(out) = &out {
        // A newer list takes the place of an older one.
        fs::write(out, to_bytes(&list)).map_err(|e| {
            let what = format!("{} cannot be written ({e})", out.display());
            CliError::new(Exit::Failure, "FILE_IO", what, "write it to another place")
        })?;
    }
    let seals = list.terms().seals().iter().map(SealId::to_string).collect();
    Ok(Done::new(&Revoked { number: list.terms().number(), seals, out }))
}

/// The one of `all` whose number begins with these digits.
fn only<'a, T: ToString>(digits: &str, all: &'a [T], what: &str) -> Result<&'a T, CliError> {
    let mut found = all.iter().filter(|one| one.to_string().starts_with(digits));
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(CliError::usage(
            "ENROLLER_NONE",
            format!("no {what} has a number that begins with {digits:?}"),
            "see `tally enroller list`",
        )),
        _ => Err(CliError::usage(
            "ENROLLER_AMBIGUOUS",
            format!("several begin with {digits:?}"),
            "give more digits: see `tally enroller list --json`",
        )),
    }
}
