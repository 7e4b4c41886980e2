//! The notary of a wallet: whom to believe, and whom to ask.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Serialize;
use tally_core::cbor::to_bytes;
use tally_core::notary::UnicityCertificate;
use tally_transport::http::Url;
use tally_wallet::notary::{Endpoint, MAX_TRUST_FILE, NotaryError, SplitView};
use tally_wallet::{Wallet, WalletError};

use crate::context::Context;
use crate::error::{CliError, Exit};
use crate::output::{Done, Report};
use crate::show::{date, short};

#[derive(Serialize)]
struct Added {
    url: String,
    network: u16,
    epoch: u64,
    validators: usize,
    quorum: u64,
}

impl Report for Added {
    fn text(&self) -> String {
        format!(
            "added {}: network {}, {} validators, of whom {} have to sign\n  \
             what it certifies holds if fewer than a third of them are malicious\n",
            self.url, self.network, self.validators, self.quorum
        )
    }
}

/// Adds a validator's address, under a trust base.
pub fn add(at: &Context, url: &str, trust: &Path) -> Result<Done, CliError> {
    let url = Url::new(url)?;
    let file = read(trust)?;
    let mut wallet = at.open()?;
    wallet.add_notary(url.clone(), &file)?;
    let notaries = wallet.notaries().ok_or(WalletError::from(NotaryError::None))?;
    let trust = notaries.trust();
    Ok(Done::new(&Added {
        url: url.to_string(),
        network: trust.network().number(),
        epoch: trust.epoch(),
        validators: trust.nodes().count(),
        quorum: trust.quorum(),
    }))
}

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    let limit = MAX_TRUST_FILE as u64 + 1;
    let read = File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
    read.map_err(|e| {
        let what = format!("{} cannot be read ({e})", path.display());
        CliError::new(Exit::Failure, "TRUST_FILE", what, "name the file of the network's operator")
    })?;
    Ok(bytes)
}

#[derive(Serialize)]
struct Listed {
    notaries: Vec<Known>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trust: Option<Trusted>,
    splits: Vec<Split>,
}

#[derive(Serialize)]
struct Known {
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    round: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
}

#[derive(Serialize)]
struct Problem {
    code: String,
    text: String,
}

#[derive(Serialize)]
struct Trusted {
    network: u16,
    epoch: u64,
    quorum: u64,
    validators: Vec<String>,
}

/// Two signed certificates of one round with different roots.
#[derive(Serialize)]
pub struct Split {
    round: u64,
    a: Signed,
    b: Signed,
}

#[derive(Serialize)]
struct Signed {
    root: String,
    signers: Vec<String>,
    certificate: String,
}

impl Signed {
    fn of(certificate: &UnicityCertificate) -> Self {
        let signers = certificate.seal.signatures.iter().flat_map(|all| all.keys());
        let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Self {
            root: certificate.record.hash.to_string(),
            signers: signers.map(ToString::to_string).collect(),
            certificate: hex(to_bytes(certificate)),
        }
    }
}

impl Split {
    /// What is shown of a contradiction.
    pub fn of(split: &SplitView) -> Self {
        Self { round: split.round(), a: Signed::of(&split.a), b: Signed::of(&split.b) }
    }

    /// For people.
    pub fn text(&self) -> String {
        format!(
            "SPLIT VIEW: for round {} the validators signed both root {} ({}) and root {} ({}).\n  \
             A third of them or more are malicious or broken: trust nothing that they certify; both signed\n  \
             certificates are kept (--json shows them).\n",
            self.round,
            short(&self.a.root),
            self.a.signers.join(", "),
            short(&self.b.root),
            self.b.signers.join(", "),
        )
    }
}

impl Report for Listed {
    fn text(&self) -> String {
        let Some(trust) = &self.trust else {
            return "no notary yet: `tally notary add --url U --trust F`\n".into();
        };
        let mut text = format!(
            "network {}, epoch {}: {} of {} validators have to sign\n",
            trust.network,
            trust.epoch,
            trust.quorum,
            trust.validators.len()
        );
        for known in &self.notaries {
            text += &match (&known.problem, known.round, &known.root, &known.time) {
                (Some(problem), ..) => {
                    format!("{}  [{}] {}\n", known.url, problem.code, problem.text)
                }
                (None, Some(round), Some(root), Some(time)) => {
                    format!("{}  round {round}, root {}, {time}\n", known.url, short(root))
                }
                _ => format!("{}\n", known.url),
            };
        }
        text + &self.splits.iter().map(Split::text).collect::<String>()
    }

    fn exit(&self) -> Exit {
        if self.splits.is_empty() { Exit::Ok } else { Exit::Conflict }
    }
}

/// Lists the addresses; asks each for its latest round, and compares.
pub fn list(at: &Context, offline: bool) -> Result<Done, CliError> {
    let mut wallet = at.open()?;
    let known = if offline { Vec::new() } else { sights(&mut wallet)? };
    let trust = wallet.notaries().map(|notaries| Trusted {
        network: notaries.trust().network().number(),
        epoch: notaries.trust().epoch(),
        quorum: notaries.trust().quorum(),
        validators: notaries.trust().nodes().map(|node| node.id.to_string()).collect(),
    });
    let unasked = |known: &Endpoint| {
        let url = known.url.to_string();
        Known { url, round: None, root: None, time: None, problem: None }
    };
    let endpoints = wallet.notaries().map(|notaries| notaries.endpoints()).unwrap_or_default();
    let urls = endpoints.iter().map(unasked).collect();
    let notaries = if known.is_empty() { urls } else { known };
    let splits = wallet.notaries().iter().flat_map(|n| n.splits()).map(Split::of).collect();
    Ok(Done::new(&Listed { notaries, trust, splits }))
}

fn sights(wallet: &mut Wallet) -> Result<Vec<Known>, CliError> {
    if wallet.notaries().is_none() {
        return Ok(Vec::new());
    }
    let watch = match wallet.watch() {
        Ok(watch) => watch,
        // Whom nobody answers is still listed.
        Err(WalletError::Notary(_)) => return Ok(Vec::new()),
        Err(other) => return Err(other.into()),
    };
    let known = watch.sights.into_iter().map(|sight| match sight.latest {
        Ok(root) => Known {
            url: sight.url.to_string(),
            round: Some(root.round()),
            root: Some(root.root().to_string()),
            time: Some(date(root.time())),
            problem: None,
        },
        Err(error) => Known {
            url: sight.url.to_string(),
            round: None,
            root: None,
            time: None,
            problem: Some(Problem { code: error.code().into(), text: error.to_string() }),
        },
    });
    Ok(known.collect())
}
