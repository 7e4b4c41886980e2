//! What a device and an enroller say to each other: CBOR, one message a byte string.

use std::fmt;

use tally_core::cbor::{Decode, DecodeError, Encode, List, Reader, Writer, from_bytes, to_bytes};
use tally_core::hash::sha256;
use tally_core::id::{Digest, NetworkId};
use tally_core::seal::{ClockInfo, Hardware, MAX_COUNTERS, SealCertificate, TpmSeal};
use zeroize::Zeroizing;

use super::EnrollError;

/// Longest message, in bytes: a proof for every counter of the largest seal.
pub const MAX_MESSAGE: usize = 48 * 1024;
/// Longest certificate in DER, in bytes.
pub const MAX_CERTIFICATE_DER: usize = 4096;
/// Most intermediate certificates that a device may send with that of its endorsement key.
pub const MAX_CHAIN: usize = 4;

/// Longest part of a credential, in bytes: an authenticator of SHA-384 and a secret, or a point.
const MAX_CREDENTIAL: usize = 128;
const MAX_CODE: usize = 64;
const MAX_WHY: usize = 512;

const VERSION: u8 = 1;

/// Number of an enrollment: the SHA-256 of its request. Text: 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct EnrollmentId(Digest);

impl EnrollmentId {
    /// Reads 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        Digest::from_hex(text).map(Self)
    }
}

impl fmt::Display for EnrollmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Encode for EnrollmentId {
    fn encode(&self, w: &mut Writer) {
        self.0.encode(w);
    }
}

impl Decode for EnrollmentId {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Digest::decode(r).map(Self)
    }
}

/// What a device asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Request {
    pub(crate) network: NetworkId,
    pub(crate) seal: TpmSeal,
    /// Of the TPM's endorsement key.
    pub(crate) certificate: Vec<u8>,
    /// Certificates between that and a root.
    pub(crate) chain: Vec<Vec<u8>>,
    /// Random, so that no two requests are the same.
    pub(crate) nonce: [u8; 32],
}

impl Request {
    pub(crate) fn id(&self) -> EnrollmentId {
        EnrollmentId(Digest::new(sha256(&to_bytes(self))))
    }
}

/// What the attestation key said of one counter (TPM2_NV_Certify).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Attested {
    pub(crate) value: u64,
    pub(crate) clock: ClockInfo,
    pub(crate) signature: [u8; 64],
}

/// What a device says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum ToEnroller {
    /// It asks to be enrolled, or whether it is by now.
    Request(Request),
    /// It opened the credential, and its key attests its counters.
    Proof { id: EnrollmentId, secret: Zeroizing<[u8; 32]>, counters: Vec<Attested> },
}

/// What an enroller says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum ToDevice {
    /// Open this credential, and attest the counters for this nonce.
    Challenge { id: EnrollmentId, nonce: [u8; 32], blob: Vec<u8>, seed: Vec<u8> },
    /// Enrolled.
    Certificate(SealCertificate),
    /// All is well, and the enroller's owner has to approve it.
    Waiting { id: EnrollmentId },
    /// No.
    Refused { code: String, why: String },
}

impl ToEnroller {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        to_bytes(self)
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, EnrollError> {
        if bytes.len() > MAX_MESSAGE {
            return Err(DecodeError::TooLarge.into());
        }
        Ok(from_bytes(bytes)?)
    }
}

impl ToDevice {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        to_bytes(self)
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, EnrollError> {
        if bytes.len() > MAX_MESSAGE {
            return Err(DecodeError::TooLarge.into());
        }
        Ok(from_bytes(bytes)?)
    }

    pub(crate) fn refusal(error: &EnrollError) -> Self {
        let mut why = error.to_string();
        // All of our texts are shorter; a certificate's words are not in them.
        why.truncate(why.floor_char_boundary(MAX_WHY));
        Self::Refused { code: error.code().into(), why }
    }
}

/// An enroller's answer, read and written again. For whoever tests the reading of a stranger's bytes:
/// an answer has one form, so what is written is what was read.
///
/// # Errors
/// [`EnrollError::Message`] when it is no answer.
pub fn rewritten_answer(bytes: &[u8]) -> Result<Vec<u8>, EnrollError> {
    ToDevice::read(bytes).map(|answer| answer.to_bytes())
}

/// The same of a device's message.
///
/// # Errors
/// [`EnrollError::Message`] when it is no message.
pub fn rewritten_message(bytes: &[u8]) -> Result<Vec<u8>, EnrollError> {
    ToEnroller::read(bytes).map(|message| message.to_bytes())
}

/// Reads a version, and refuses any but the known one.
fn version(r: &mut Reader<'_>) -> Result<(), DecodeError> {
    if u8::decode(r)? == VERSION { Ok(()) } else { Err(DecodeError::Unknown) }
}

impl Encode for Request {
    fn encode(&self, w: &mut Writer) {
        w.array(6);
        VERSION.encode(w);
        self.network.encode(w);
        Hardware::Tpm(self.seal).encode(w);
        w.bytes(&self.certificate);
        w.array(self.chain.len() as u64);
        for certificate in &self.chain {
            w.bytes(certificate);
        }
        self.nonce.encode(w);
    }
}

impl Decode for Request {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let der = |r: &mut Reader<'_>| r.bytes(MAX_CERTIFICATE_DER).map(<[u8]>::to_vec);
        r.record(6, |r| {
            version(r)?;
            let network = Decode::decode(r)?;
            let Hardware::Tpm(seal) = Decode::decode(r)? else {
                return Err(DecodeError::Unknown);
            };
            let (certificate, chain) = (der(r)?, r.list(MAX_CHAIN, der)?);
            Ok(Self { network, seal, certificate, chain, nonce: Decode::decode(r)? })
        })
    }
}

impl Encode for Attested {
    fn encode(&self, w: &mut Writer) {
        w.array(6);
        self.value.encode(w);
        self.clock.clock.encode(w);
        self.clock.resets.encode(w);
        self.clock.restarts.encode(w);
        self.clock.safe.encode(w);
        self.signature.encode(w);
    }
}

impl Decode for Attested {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.record(6, |r| {
            let value = Decode::decode(r)?;
            let (clock, resets) = (Decode::decode(r)?, Decode::decode(r)?);
            let (restarts, safe) = (Decode::decode(r)?, Decode::decode(r)?);
            let clock = ClockInfo { clock, resets, restarts, safe };
            Ok(Self { value, clock, signature: Decode::decode(r)? })
        })
    }
}

impl Encode for ToEnroller {
    fn encode(&self, w: &mut Writer) {
        match self {
            Self::Request(request) => {
                w.array(2);
                w.uint(1);
                request.encode(w);
            }
            Self::Proof { id, secret, counters } => {
                w.array(4);
                w.uint(2);
                id.encode(w);
                secret.encode(w);
                counters.as_slice().encode(w);
            }
        }
    }
}

impl Decode for ToEnroller {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.variant(|r, kind, rest| match (kind, rest) {
            (1, 1) => Request::decode(r).map(Self::Request),
            (2, 3) => {
                let id = Decode::decode(r)?;
                let secret = Zeroizing::new(Decode::decode(r)?);
                let counters: List<Attested, { MAX_COUNTERS as usize }> = Decode::decode(r)?;
                Ok(Self::Proof { id, secret, counters: counters.into_vec() })
            }
            (1 | 2, _) => Err(DecodeError::WrongLength),
            _ => Err(DecodeError::Unknown),
        })
    }
}

impl Encode for ToDevice {
    fn encode(&self, w: &mut Writer) {
        match self {
            Self::Challenge { id, nonce, blob, seed } => {
                w.array(5);
                w.uint(1);
                id.encode(w);
                nonce.encode(w);
                w.bytes(blob);
                w.bytes(seed);
            }
            Self::Certificate(certificate) => {
                w.array(2);
                w.uint(2);
                certificate.encode(w);
            }
            Self::Waiting { id } => {
                w.array(2);
                w.uint(3);
                id.encode(w);
            }
            Self::Refused { code, why } => {
                w.array(3);
                w.uint(4);
                w.text(code);
                w.text(why);
            }
        }
    }
}

impl Decode for ToDevice {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.variant(|r, kind, rest| match (kind, rest) {
            (1, 4) => Ok(Self::Challenge {
                id: Decode::decode(r)?,
                nonce: Decode::decode(r)?,
                blob: r.bytes(MAX_CREDENTIAL)?.to_vec(),
                seed: r.bytes(MAX_CREDENTIAL)?.to_vec(),
            }),
            (2, 1) => SealCertificate::decode(r).map(Self::Certificate),
            (3, 1) => Ok(Self::Waiting { id: Decode::decode(r)? }),
            (4, 2) => {
                let (code, why) = (r.text(MAX_CODE)?.to_owned(), r.text(MAX_WHY)?.to_owned());
                Ok(Self::Refused { code, why })
            }
            (1..=4, _) => Err(DecodeError::WrongLength),
            _ => Err(DecodeError::Unknown),
        })
    }
}
