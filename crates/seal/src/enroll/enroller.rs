//! The enroller: whose word makes a TPM a seal.

use std::fmt;
use std::path::{Path, PathBuf};

use subtle::ConstantTimeEq;
use tally_core::hash::sha256;
use tally_core::id::NetworkId;
use tally_core::keys::PublicKey;
use tally_core::seal::{
    CERTIFICATE_VERSION, EnrollmentError, Hardware, Revocation, RevocationTerms, SealCertificate,
    SealId, SealTerms,
};
use tally_core::time::Time;

use super::authority::{self, Endorsed};
use super::counters::Attestor;
use super::ledger::{Ledger, Open, Stage};
use super::message::{Attested, Request, ToDevice, ToEnroller};
use super::{
    Authority, EnrollError, EnrollmentId, Issued, MAX_AUTHORITIES, MAX_ISSUED, MAX_OPEN, Trust,
};
use crate::machine::Machine;
use crate::secret::Label;
use crate::software::{Place, SoftwareSeal};
use crate::unlock::{KdfParams, Unlock};
use crate::{Entropy, Seal, files};

/// How long a certificate lasts when nothing else is set: a year, in seconds.
pub const DEFAULT_LIFETIME: u64 = 365 * 24 * 60 * 60;
/// How long a challenge may stay without an answer, in seconds.
pub const MAX_OPEN_FOR: u64 = 60 * 60;

/// Who decides, once all is proved.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Approval {
    /// Whoever proves that their TPM is hardware is enrolled.
    #[default]
    Automatic,
    /// The enroller's owner approves each.
    ByHand,
}

/// How an enroller works. Fixed when it is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// The network that it enrolls for.
    pub network: NetworkId,
    /// Whether it enrolls TPMs in software, which can be copied: on a development network only.
    pub allow_software_tpm: bool,
    /// Who decides.
    pub approval: Approval,
    /// How long its certificates last, in seconds.
    pub lifetime: u64,
}

impl Settings {
    /// Hardware only, automatic, for a year.
    pub const fn new(network: NetworkId) -> Self {
        let (approval, lifetime) = (Approval::Automatic, DEFAULT_LIFETIME);
        Self { network, allow_software_tpm: false, approval, lifetime }
    }
}

/// What goes back to a device.
#[derive(Debug)]
pub struct Answer {
    bytes: Vec<u8>,
    outcome: Outcome,
}

#[derive(Debug)]
enum Outcome {
    Challenged,
    Issued(SealId),
    Waiting(EnrollmentId),
    Refused(EnrollError),
}

impl Answer {
    /// The message to send.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The code of the refusal, if it is one.
    pub fn refused(&self) -> Option<&'static str> {
        match &self.outcome {
            Outcome::Refused(e) => Some(e.code()),
            _ => None,
        }
    }

    /// The seal that was enrolled by it, if one was.
    pub fn issued(&self) -> Option<&SealId> {
        match &self.outcome {
            Outcome::Issued(seal) => Some(seal),
            _ => None,
        }
    }
}

/// One line for the enroller's log.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Outcome::Challenged => f.write_str("a TPM asks: challenged"),
            Outcome::Issued(seal) => {
                f.write_str("enrolled seal ")?;
                seal.as_bytes().iter().try_for_each(|b| write!(f, "{b:02x}"))
            }
            Outcome::Waiting(id) => write!(f, "enrollment {id} waits for approval"),
            Outcome::Refused(e) => write!(f, "refused ({}): {e}", e.code()),
        }
    }
}

/// A TPM that has proved all, and waits for the enroller's owner.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// Number of its enrollment.
    pub id: EnrollmentId,
    /// When it asked.
    pub since: Time,
    /// The seal that it is to be.
    pub seal: SealId,
    /// What its certificate is going to say of the hardware.
    pub label: String,
    /// Whether no maker of hardware vouches for it.
    pub development: bool,
    /// Whether the same TPM has a certificate of this enroller already.
    pub known: bool,
}

/// An enroller's key and memory, opened. While one exists, no other process has it open.
#[derive(Debug)]
pub struct Enroller {
    seal: SoftwareSeal,
    path: PathBuf,
    ledger: Ledger,
}

impl Enroller {
    /// Makes an enroller in the folder `dir`: a key, encrypted as a wallet's is, and its memory.
    ///
    /// # Errors
    /// [`EnrollError::Software`] when a TPM in software is to be allowed on a network that is not
    /// for development; [`EnrollError::Seal`] as `SoftwareSeal::create`.
    pub fn init(
        dir: &Path,
        machine: &dyn Machine,
        unlock: &Unlock,
        params: KdfParams,
        settings: Settings,
        entropy: Entropy,
    ) -> Result<Self, EnrollError> {
        if settings.allow_software_tpm && !settings.network.is_development() {
            return Err(EnrollError::Software);
        }
        files::make_dir(dir)?;
        let seal = SoftwareSeal::create(&place(dir), machine, unlock, params, entropy)?;
        let mut enroller = Self { seal, path: memory(dir), ledger: Ledger::new(settings) };
        let ledger = enroller.ledger.clone();
        enroller.remember(ledger)?;
        Ok(enroller)
    }

    /// Opens an enroller.
    ///
    /// # Errors
    /// [`EnrollError::Seal`] as `SoftwareSeal::open`, or when its memory is missing or damaged.
    pub fn open(dir: &Path, machine: &dyn Machine, unlock: &Unlock) -> Result<Self, EnrollError> {
        let seal = SoftwareSeal::open(&place(dir), machine, unlock)?;
        let path = memory(dir);
        let ledger = Ledger::read(&path)?;
        Ok(Self { seal, path, ledger })
    }

    /// The key that signs its certificates: what others accept it by.
    pub fn key(&self) -> PublicKey {
        self.seal.owner_key()
    }

    /// How it works.
    pub const fn settings(&self) -> &Settings {
        &self.ledger.settings
    }

    /// Believes an authority from now on: `certificates` is a file of them, in PEM or DER. Gives
    /// how many were new.
    ///
    /// # Errors
    /// [`EnrollError::Chain`] when it is none, [`EnrollError::Software`] for a development root
    /// where no TPM in software is allowed, [`EnrollError::Full`], [`EnrollError::Seal`].
    pub fn trust(&mut self, certificates: &[u8], trust: Trust) -> Result<usize, EnrollError> {
        if trust == Trust::Development && !self.ledger.settings.allow_software_tpm {
            return Err(EnrollError::Software);
        }
        let mut ledger = self.ledger.clone();
        let before = ledger.authorities.len();
        for authority in Authority::read(certificates, trust)? {
            if !authority::fits(&authority.der) {
                return Err(EnrollError::Chain("the certificate is longer than 4,096 bytes"));
            }
            if !ledger.authorities.contains(&authority) {
                ledger.authorities.push(authority);
            }
        }
        if ledger.authorities.len() > MAX_AUTHORITIES {
            return Err(EnrollError::Full("authorities"));
        }
        let new = ledger.authorities.len() - before;
        self.remember(ledger)?;
        Ok(new)
    }

    /// The authorities that it believes.
    pub fn authorities(&self) -> &[Authority] {
        &self.ledger.authorities
    }

    /// Answers a device's message. What it decides is on disk when this returns. `entropy` is used
    /// up.
    ///
    /// # Errors
    /// [`EnrollError::Seal`] when its memory cannot be written: send nothing then. A refusal is an
    /// answer.
    pub fn answer(
        &mut self,
        message: &[u8],
        now: Time,
        entropy: Entropy,
    ) -> Result<Answer, EnrollError> {
        let done = ToEnroller::read(message).and_then(|message| match message {
            ToEnroller::Request(request) => self.challenge(&request, now, &entropy),
            ToEnroller::Proof { id, secret, counters } => self.judge(&id, &secret, &counters, now),
        });
        match done {
            Ok(answer) => Ok(answer),
            Err(e) if e.is_refusal() => {
                let bytes = ToDevice::refusal(&e).to_bytes();
                Ok(Answer { bytes, outcome: Outcome::Refused(e) })
            }
            Err(e) => Err(e),
        }
    }

    /// The TPMs that have proved all, and wait for approval.
    pub fn waiting(&self) -> impl Iterator<Item = Candidate> {
        let proved = self.ledger.open.iter().filter(|open| open.stage == Stage::Proved);
        proved.map(|open| Candidate {
            id: open.id,
            since: open.since,
            seal: Hardware::Tpm(open.seal).seal(),
            label: open.label.as_str().to_owned(),
            development: open.development,
            known: self.ledger.issued.iter().any(|i| i.endorsed == open.endorsed),
        })
    }

    /// Issues the certificate of an enrollment that waits. The device collects it when it asks
    /// again.
    ///
    /// # Errors
    /// [`EnrollError::Unknown`] when none waits by this number, [`EnrollError::Full`],
    /// [`EnrollError::Seal`].
    pub fn approve(
        &mut self,
        id: &EnrollmentId,
        now: Time,
    ) -> Result<SealCertificate, EnrollError> {
        let open = self.open_enrollment(id).filter(|open| open.stage == Stage::Proved);
        let open = open.ok_or(EnrollError::Unknown)?.clone();
        self.issue(&open, now)
    }

    /// Forgets an enrollment that waits.
    ///
    /// # Errors
    /// [`EnrollError::Unknown`], [`EnrollError::Seal`].
    pub fn decline(&mut self, id: &EnrollmentId) -> Result<(), EnrollError> {
        self.open_enrollment(id).ok_or(EnrollError::Unknown)?;
        let mut ledger = self.ledger.clone();
        ledger.open.retain(|open| open.id != *id);
        self.remember(ledger)
    }

    /// The certificates that it issued, the newest of each seal.
    pub fn issued(&self) -> &[Issued] {
        &self.ledger.issued
    }

    /// Takes a seal's enrollment back, for good. Gives the list to publish; it replaces all before.
    ///
    /// # Errors
    /// [`EnrollError::Unknown`] when it never enrolled this seal; [`EnrollError::Full`],
    /// [`EnrollError::Seal`].
    pub fn revoke(&mut self, seal: &SealId) -> Result<Revocation, EnrollError> {
        let known = self.ledger.revocation.as_ref();
        if let Some(list) = known.filter(|_| self.ledger.is_revoked(seal)) {
            return Ok(list.clone());
        }
        if !self.ledger.issued.iter().any(|issued| issued.certificate.seal() == *seal) {
            return Err(EnrollError::Unknown);
        }
        let (number, mut seals) =
            known.map_or((0, Vec::new()), |l| (l.terms().number(), l.terms().seals().to_vec()));
        seals.push(*seal);
        let network = self.ledger.settings.network;
        let terms = RevocationTerms::new(network, self.key(), number.saturating_add(1), seals)
            .map_err(|_| EnrollError::Full("revoked seals"))?;
        let signature = self.seal.sign(&Revocation::digest(&terms))?;
        let list = Revocation::new(terms, signature);
        let mut ledger = self.ledger.clone();
        ledger.open.retain(|open| Hardware::Tpm(open.seal).seal() != *seal);
        ledger.revocation = Some(list.clone());
        self.remember(ledger)?;
        Ok(list)
    }

    /// The newest list of seals that it took back, if there are any.
    pub const fn revocation(&self) -> Option<&Revocation> {
        self.ledger.revocation.as_ref()
    }

    fn open_enrollment(&self, id: &EnrollmentId) -> Option<&Open> {
        self.ledger.open.iter().find(|open| open.id == *id)
    }

    /// Makes `ledger` the memory, on disk first.
    fn remember(&mut self, ledger: Ledger) -> Result<(), EnrollError> {
        ledger.write(&self.path)?;
        self.ledger = ledger;
        Ok(())
    }

    fn challenge(
        &mut self,
        request: &Request,
        now: Time,
        entropy: &Entropy,
    ) -> Result<Answer, EnrollError> {
        let id = request.id();
        if let Some(done) = self.collect(&id) {
            return done;
        }
        match self.open_enrollment(&id).filter(|open| !is_over(open, now)).map(|o| &o.stage) {
            Some(Stage::Proved) => return Ok(waiting(id)),
            Some(Stage::Challenged { sent, .. }) => {
                return Ok(Answer { bytes: sent.clone(), outcome: Outcome::Challenged });
            }
            None => {}
        }
        let endorsed = self.admit(request, now)?;
        let attestor = Attestor::new(&request.seal.key).ok_or(EnrollError::Credential)?;
        let secret = entropy.key(Label::NewCredential);
        let nonce: [u8; 32] = entropy.public(Label::NewChallenge);
        let credential = endorsed.key.make_credential(attestor.name(), secret.expose(), entropy);
        let (blob, seed) = (credential.blob, credential.seed);
        let sent = ToDevice::Challenge { id, nonce, blob, seed }.to_bytes();
        let secret = sha256(secret.expose());
        let open = Open {
            id,
            since: now,
            seal: request.seal,
            label: endorsed.label,
            development: endorsed.development,
            endorsed: endorsed.certificate,
            stage: Stage::Challenged { sent: sent.clone(), secret, nonce },
        };
        let mut ledger = self.ledger.clone();
        make_room(&mut ledger.open, &id, now)?;
        ledger.open.push(open);
        self.remember(ledger)?;
        Ok(Answer { bytes: sent, outcome: Outcome::Challenged })
    }

    /// Whether a request is one to look at closer: of this network, not revoked, and by a TPM that
    /// somebody who counts vouches for.
    fn admit(&self, request: &Request, now: Time) -> Result<Endorsed, EnrollError> {
        let settings = &self.ledger.settings;
        if request.network != settings.network {
            return Err(EnrollmentError::Network.into());
        }
        if self.ledger.is_revoked(&Hardware::Tpm(request.seal).seal()) {
            return Err(EnrollmentError::Revoked.into());
        }
        let authorities = &self.ledger.authorities;
        let endorsed = authority::check(&request.certificate, &request.chain, authorities, now)?;
        if endorsed.development && !settings.allow_software_tpm {
            return Err(EnrollError::Software);
        }
        Ok(endorsed)
    }

    fn judge(
        &mut self,
        id: &EnrollmentId,
        secret: &[u8; 32],
        counters: &[Attested],
        now: Time,
    ) -> Result<Answer, EnrollError> {
        if let Some(done) = self.collect(id) {
            return done;
        }
        let open = self.open_enrollment(id).filter(|open| !is_over(open, now));
        let open = open.ok_or(EnrollError::Unknown)?.clone();
        let Stage::Challenged { secret: expected, nonce, .. } = &open.stage else {
            return Ok(waiting(*id));
        };
        if !bool::from(sha256(secret).ct_eq(expected)) {
            return Err(EnrollError::Credential);
        }
        let attestor = Attestor::new(&open.seal.key).ok_or(EnrollError::Credential)?;
        attestor.check(&open.seal, nonce, counters)?;
        if self.ledger.settings.approval == Approval::Automatic {
            let certificate = self.issue(&open, now)?;
            return Ok(issued(certificate));
        }
        let mut ledger = self.ledger.clone();
        let stages = ledger.open.iter_mut().filter(|open| open.id == *id);
        stages.for_each(|open| open.stage = Stage::Proved);
        self.remember(ledger)?;
        Ok(waiting(*id))
    }

    /// The certificate that came of an enrollment, if one did.
    fn collect(&self, id: &EnrollmentId) -> Option<Result<Answer, EnrollError>> {
        let found = self.ledger.issued.iter().find(|issued| issued.id == *id)?;
        if self.ledger.is_revoked(&found.certificate.seal()) {
            return Some(Err(EnrollmentError::Revoked.into()));
        }
        Some(Ok(issued(found.certificate.clone())))
    }

    fn issue(&mut self, open: &Open, now: Time) -> Result<SealCertificate, EnrollError> {
        let settings = self.ledger.settings;
        let terms = SealTerms {
            version: CERTIFICATE_VERSION,
            network: settings.network,
            hardware: Hardware::Tpm(open.seal),
            label: open.label.clone(),
            development: open.development,
            expires: now.plus(settings.lifetime),
            enroller: self.key(),
        };
        let signature = self.seal.sign(&SealCertificate::digest(&terms))?;
        let certificate = SealCertificate::new(terms, signature);
        let seal = certificate.seal();
        let mut ledger = self.ledger.clone();
        ledger.open.retain(|other| other.id != open.id);
        ledger.issued.retain(|issued| issued.certificate.seal() != seal);
        if ledger.issued.len() >= MAX_ISSUED {
            return Err(EnrollError::Full("seals"));
        }
        let (id, endorsed) = (open.id, open.endorsed);
        ledger.issued.push(Issued { id, at: now, endorsed, certificate: certificate.clone() });
        self.remember(ledger)?;
        Ok(certificate)
    }
}

fn place(dir: &Path) -> Place {
    Place::new(dir, dir.join("state"))
}

fn memory(dir: &Path) -> PathBuf {
    dir.join("enroller")
}

fn waiting(id: EnrollmentId) -> Answer {
    Answer { bytes: ToDevice::Waiting { id }.to_bytes(), outcome: Outcome::Waiting(id) }
}

fn issued(certificate: SealCertificate) -> Answer {
    let outcome = Outcome::Issued(certificate.seal());
    Answer { bytes: ToDevice::Certificate(certificate).to_bytes(), outcome }
}

/// Whether a challenge went unanswered for too long.
fn is_over(open: &Open, now: Time) -> bool {
    open.stage != Stage::Proved && now.since(open.since) > MAX_OPEN_FOR
}

/// Drops challenges that went unanswered: those that are over, and if need be the oldest.
fn make_room(open: &mut Vec<Open>, id: &EnrollmentId, now: Time) -> Result<(), EnrollError> {
    open.retain(|open| !is_over(open, now) && open.id != *id);
    if open.len() < MAX_OPEN {
        return Ok(());
    }
    let unanswered = open.iter().enumerate().filter(|(_, open)| open.stage != Stage::Proved);
    let oldest = unanswered.min_by_key(|(_, open)| open.since).map(|(at, _)| at);
    open.remove(oldest.ok_or(EnrollError::Full("open enrollments"))?);
    Ok(())
}
