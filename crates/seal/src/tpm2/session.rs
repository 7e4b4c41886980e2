//! Bind a transaction to one increment of a counter, in one audit session.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};
use tally_core::seal::tpm::{Name, SLOT_TAG};
use tally_core::seal::{ClockInfo, TpmAudit, low_s};
use tpm2_protocol::data::TpmCc;

use super::TpmError;
use super::tpm::{Fault, RH_ENDORSEMENT, RH_NULL, Tpm, known};
use super::wire::{Auth, Bytes, Command, Fields, Response, malformed};

const ALG_NULL: u16 = 0x0010;
const ALG_SHA256: u16 = 0x000b;
const ALG_ECDSA: u16 = 0x0018;
const CONTINUE: u8 = 0x01;
const AUDIT: u8 = 0x80;
/// Nonces only have to be of this length: nothing in an unbound session is secret.
const NONCE: usize = 16;

/// What stops the sequence of a slot proof.
#[derive(Debug)]
pub(crate) enum Interrupted {
    /// The counter did not move: the slot is as it was.
    Before(TpmError),
    /// The counter may have moved.
    After,
}

/// Moves the counter at `handle` out of `value`, where it must be, for `message`, and has the TPM
/// attest it with its key.
pub(crate) fn audit_increment(
    tpm: &mut Tpm,
    key: u32,
    handle: u32,
    value: u64,
    message: &[u8; 32],
) -> Result<TpmAudit, Interrupted> {
    let before = |e: Fault| Interrupted::Before(e.into());
    let mut session = AuditSession::begin(tpm).map_err(before)?;
    let attested = sequence(tpm, &mut session, key, handle, value, message);
    // The proof, or its failure, is what matters.
    let _ = tpm.flush(session.handle);
    attested
}

fn sequence(
    tpm: &mut Tpm,
    session: &mut AuditSession,
    key: u32,
    handle: u32,
    value: u64,
    message: &[u8; 32],
) -> Result<TpmAudit, Interrupted> {
    let before = |e: Fault| Interrupted::Before(e.into());
    let shown = session.read(tpm, handle).map_err(before)?;
    if shown != value {
        return Err(Interrupted::Before(malformed(TpmCc::NvRead)));
    }
    session.hash(tpm, message).map_err(before)?;
    session.increment(tpm, handle).map_err(|e| match e {
        // The TPM says that it did not do it; anything else leaves that open.
        Fault::Refused { .. } => before(e),
        Fault::Other(_) => Interrupted::After,
    })?;
    match session.read(tpm, handle) {
        Ok(shown) if Some(shown) == value.checked_add(1) => {}
        _ => return Err(Interrupted::After),
    }
    let attested = session.sign(tpm, key, SLOT_TAG).map_err(|_| Interrupted::After)?;
    attested.audit().ok_or(Interrupted::After)
}

/// Has the TPM attest a session without a counter: whatever would stop an attestation shows before
/// a counter moves.
pub(crate) fn rehearse(tpm: &mut Tpm, key: u32) -> Result<(), TpmError> {
    let mut session = AuditSession::begin(tpm)?;
    let attested = session.hash(tpm, &[0; 32]).and_then(|()| session.sign(tpm, key, SLOT_TAG));
    let _ = tpm.flush(session.handle);
    Ok(attested.map(|_| ())?)
}

/// An unbound, unsalted HMAC session that audits: the TPM keeps a digest of all that is done in it.
///
/// [`Tpm2Seal`](super::Tpm2Seal) uses one for each proof; it is public for tools that look for ways
/// around the rules.
#[derive(Debug)]
pub struct AuditSession {
    handle: u32,
    tpm_nonce: Vec<u8>,
    used: u64,
}

/// What a TPM signed: the bytes (TPMS_ATTEST), and the signature R‖S with a low S.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attested {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The signature on their SHA-256.
    pub signature: [u8; 64],
}

impl AuditSession {
    /// Starts a session.
    ///
    /// # Errors
    /// What the TPM answers.
    pub fn start(tpm: &mut Tpm) -> Result<Self, TpmError> {
        Ok(Self::begin(tpm)?)
    }

    /// Runs a command of any kind in this session, which authorises its first handle if it has one.
    /// `names` are those of its handles, behind each other.
    ///
    /// # Errors
    /// What the TPM answers.
    pub fn execute(
        &mut self,
        tpm: &mut Tpm,
        code: u32,
        handles: &[u32],
        names: &[u8],
        parameters: &[u8],
    ) -> Result<Vec<u8>, TpmError> {
        let command = Command::new(known(code)?, handles, Bytes::default().raw(parameters));
        Ok(self.run(tpm, &command, names)?.parameters)
    }

    /// Reads a counter.
    ///
    /// # Errors
    /// What the TPM answers.
    pub fn read_counter(&mut self, tpm: &mut Tpm, handle: u32) -> Result<u64, TpmError> {
        Ok(self.read(tpm, handle)?)
    }

    /// Hashes a message of 32 bytes.
    ///
    /// # Errors
    /// What the TPM answers.
    pub fn hash_message(&mut self, tpm: &mut Tpm, message: &[u8; 32]) -> Result<(), TpmError> {
        Ok(self.hash(tpm, message)?)
    }

    /// Increments a counter.
    ///
    /// # Errors
    /// What the TPM answers.
    pub fn increment_counter(&mut self, tpm: &mut Tpm, handle: u32) -> Result<(), TpmError> {
        Ok(self.increment(tpm, handle)?)
    }

    /// Has the TPM sign the session's digest with the key at the handle `key`.
    ///
    /// # Errors
    /// What the TPM answers.
    pub fn attest(&self, tpm: &mut Tpm, key: u32, tag: &[u8]) -> Result<Attested, TpmError> {
        Ok(self.sign(tpm, key, tag)?)
    }

    /// Ends the session.
    ///
    /// # Errors
    /// What the TPM answers.
    pub fn end(self, tpm: &mut Tpm) -> Result<(), TpmError> {
        Ok(tpm.flush(self.handle)?)
    }

    fn begin(tpm: &mut Tpm) -> Result<Self, Fault> {
        const HMAC_SESSION: u8 = 0;
        let parameters = Bytes::default()
            .sized(&[0; NONCE])
            .sized(&[])
            .u8(HMAC_SESSION)
            .u16(ALG_NULL)
            .u16(ALG_SHA256);
        let command = Command::new(TpmCc::StartAuthSession, &[RH_NULL, RH_NULL], parameters);
        let response = tpm.run(&command, &[])?;
        let nonce = Fields::new(&response.parameters).sized().map(<[u8]>::to_vec);
        let tpm_nonce = nonce.ok_or_else(|| malformed(TpmCc::StartAuthSession))?;
        Ok(Self { handle: response.handle, tpm_nonce, used: 0 })
    }

    fn read(&mut self, tpm: &mut Tpm, handle: u32) -> Result<u64, Fault> {
        let names = names_of(tpm, handle)?;
        let parameters = Bytes::default().u16(8).u16(0);
        let command = Command::new(TpmCc::NvRead, &[handle, handle], parameters);
        let response = self.run(tpm, &command, &names)?;
        let value = Fields::new(&response.parameters).sized().and_then(|b| Fields::new(b).u64());
        value.ok_or_else(|| malformed(TpmCc::NvRead).into())
    }

    fn hash(&mut self, tpm: &mut Tpm, message: &[u8; 32]) -> Result<(), Fault> {
        let parameters = Bytes::default().sized(message).u16(ALG_SHA256).u32(RH_NULL);
        self.run(tpm, &Command::new(TpmCc::Hash, &[], parameters), &[]).map(|_| ())
    }

    fn increment(&mut self, tpm: &mut Tpm, handle: u32) -> Result<(), Fault> {
        let names = names_of(tpm, handle)?;
        let command = Command::new(TpmCc::NvIncrement, &[handle, handle], Bytes::default());
        self.run(tpm, &command, &names).map(|_| ())
    }

    fn run(&mut self, tpm: &mut Tpm, command: &Command, names: &[u8]) -> Result<Response, Fault> {
        let attributes = CONTINUE | AUDIT;
        self.used = self.used.saturating_add(1);
        let mut nonce = [0; NONCE];
        nonce[..8].copy_from_slice(&self.used.to_be_bytes());
        let cp_hash = Sha256::new()
            .chain_update(command.code.value().to_be_bytes())
            .chain_update(names)
            .chain_update(&command.parameters)
            .finalize();
        // Neither session nor counter has a secret, so the key is empty (Part 1, 19.6.5).
        let hmac = Hmac::<Sha256>::new_from_slice(&[])
            .expect("HMAC takes keys of any length")
            .chain_update(cp_hash)
            .chain_update(nonce)
            .chain_update(&self.tpm_nonce)
            .chain_update([attributes])
            .finalize()
            .into_bytes();
        let auth = Auth::session(self.handle, nonce.to_vec(), attributes, hmac.to_vec());
        let response = tpm.run(command, &[auth])?;
        let nonce = response.nonces.first().ok_or_else(|| malformed(command.code))?;
        self.tpm_nonce.clone_from(nonce);
        Ok(response)
    }

    fn sign(&self, tpm: &mut Tpm, key: u32, tag: &[u8]) -> Result<Attested, Fault> {
        let parameters = Bytes::default().sized(tag).u16(ALG_NULL);
        let handles = [RH_ENDORSEMENT, key, self.handle];
        let command = Command::new(TpmCc::GetSessionAuditDigest, &handles, parameters);
        let response = tpm.run(&command, &[Auth::empty(), Auth::empty()])?;
        Attested::read(&response.parameters)
            .ok_or_else(|| malformed(TpmCc::GetSessionAuditDigest).into())
    }
}

impl Attested {
    /// Reads the response's parameters of any command that attests with a P-256 key.
    pub fn read(parameters: &[u8]) -> Option<Self> {
        let mut r = Fields::new(parameters);
        let bytes = r.sized()?.to_vec();
        if (r.u16()?, r.u16()?) != (ALG_ECDSA, ALG_SHA256) {
            return None;
        }
        let mut signature = [0; 64];
        for half in signature.chunks_exact_mut(32) {
            // A TPM may leave leading zeros out.
            let number = r.sized()?;
            half.get_mut(32_usize.checked_sub(number.len())?..)?.copy_from_slice(number);
        }
        Some(Self { bytes, signature: low_s(&signature)? })
    }

    /// What a slot's verifier does not know beforehand of an audit session's digest.
    pub fn audit(&self) -> Option<TpmAudit> {
        let mut r = Fields::new(&self.bytes);
        let (_magic, _kind, _signer, _tag) = (r.u32()?, r.u16()?, r.sized()?, r.sized()?);
        let (clock, resets, restarts) = (r.u64()?, r.u32()?, r.u32()?);
        let clock = ClockInfo { clock, resets, restarts, safe: r.u8()? != 0 };
        let (_firmware, exclusive) = (r.u64()?, r.u8()? != 0);
        Some(TpmAudit { signature: self.signature, clock, exclusive })
    }
}

/// The Name of a counter, twice: it authorises itself.
fn names_of(tpm: &mut Tpm, handle: u32) -> Result<Vec<u8>, Fault> {
    let name = Name::of(&tpm.nv_public(handle)?.area);
    Ok([name.as_bytes().as_slice(), name.as_bytes()].concat())
}
