//! Say whose hardware a seal is: an enroller's signed word that a key and counters are in it.

use alloc::string::String;
use core::fmt;

use crate::cbor::{Decode, DecodeError, Encode, Reader, Writer, record};
use crate::hash::{Tag, hash};
use crate::id::{Digest, NetworkId};
use crate::keys::{PublicKey, SecretKey, Signature};
use crate::seal::{SealId, Slot};
use crate::time::Time;

/// The certificate version that this program reads and writes.
pub const CERTIFICATE_VERSION: u8 = 1;
/// Longest certificate, in bytes.
pub const MAX_CERTIFICATE: usize = 220;
/// Longest label of a kind of hardware, in characters.
pub const MAX_SEAL_LABEL: usize = 24;
/// Most counters of one seal.
pub const MAX_COUNTERS: u16 = 256;

/// First and last handle that a TPM gives to an NV index.
const NV_HANDLES: core::ops::RangeInclusive<u32> = 0x0100_0000..=0x01ff_ffff;

/// A P-256 key that hardware attests with, as a compressed point of 33 bytes (SEC 1, 2.3.3).
///
/// Whether it is a point of the curve shows when a proof is checked: no proof is good under a key
/// that is none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttestationKey([u8; 33]);

impl AttestationKey {
    /// Takes a compressed point.
    ///
    /// # Errors
    /// [`DecodeError::OutOfRange`] when it does not start like one.
    pub fn new(bytes: [u8; 33]) -> Result<Self, DecodeError> {
        if matches!(bytes[0], 2 | 3) { Ok(Self(bytes)) } else { Err(DecodeError::OutOfRange) }
    }

    /// The compressed point of these coordinates.
    pub fn from_coordinates(x: &[u8; 32], y: &[u8; 32]) -> Self {
        let mut bytes = [2 + (y[31] & 1); 33];
        bytes[1..].copy_from_slice(x);
        Self(bytes)
    }

    /// The compressed point.
    pub const fn as_bytes(&self) -> &[u8; 33] {
        &self.0
    }
}

impl fmt::Debug for AttestationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AttestationKey(")?;
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))?;
        f.write_str(")")
    }
}

impl Encode for AttestationKey {
    fn encode(&self, w: &mut Writer) {
        self.0.encode(w);
    }
}

impl Decode for AttestationKey {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::new(Decode::decode(r)?)
    }
}

/// What kind of hardware an enroller saw, for people: 1 to 24 printable ASCII characters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct SealLabel(String);

impl SealLabel {
    /// Takes `text` if it is a label.
    pub fn new(text: &str) -> Option<Self> {
        let fits = (1..=MAX_SEAL_LABEL).contains(&text.len())
            && text == text.trim()
            && text.bytes().all(|b| matches!(b, b' '..=b'~'));
        fits.then(|| Self(text.into()))
    }

    /// The characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Encode for SealLabel {
    fn encode(&self, w: &mut Writer) {
        w.text(&self.0);
    }
}

impl Decode for SealLabel {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::new(r.text(MAX_SEAL_LABEL)?).ok_or(DecodeError::OutOfRange)
    }
}

/// The TPM 2.0 that a seal is: an attestation key, and counters behind each other.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TpmSeal {
    /// The attestation key.
    pub key: AttestationKey,
    /// Handle of counter 0; counter `n` has the handle `base + n`.
    pub base: u32,
    /// How many counters there are: 1 to [`MAX_COUNTERS`].
    pub counters: u16,
    /// Version of the TPM's firmware, which is in all that it attests.
    pub firmware: u64,
}

impl TpmSeal {
    /// Handle of a counter, if the seal has it.
    pub fn handle(&self, counter: u32) -> Option<u32> {
        (counter < u32::from(self.counters)).then(|| self.base.checked_add(counter)).flatten()
    }

    fn is_sound(&self) -> bool {
        let last = u32::from(self.counters).checked_sub(1).and_then(|n| self.base.checked_add(n));
        (1..=MAX_COUNTERS).contains(&self.counters)
            && NV_HANDLES.contains(&self.base)
            && last.is_some_and(|last| NV_HANDLES.contains(&last))
    }
}

/// The hardware of a seal. Numbers 2 and 3 are kept for a phone's single-use keys under a Merkle
/// root, and for an applet in a secure element.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Hardware {
    /// A TPM 2.0.
    Tpm(TpmSeal),
}

const KIND_TPM: u64 = 1;

impl Hardware {
    /// The seal that this hardware is: `H("seal", 1, key, base)` for a TPM (spec `SEAL-3`).
    pub fn seal(&self) -> SealId {
        let Self::Tpm(tpm) = self;
        SealId::new(Digest::new(hash(Tag::Seal, &[&KIND_TPM, &tpm.key, &tpm.base])))
    }
}

impl Encode for Hardware {
    fn encode(&self, w: &mut Writer) {
        let Self::Tpm(tpm) = self;
        w.array(5);
        w.uint(KIND_TPM);
        tpm.key.encode(w);
        tpm.base.encode(w);
        tpm.counters.encode(w);
        tpm.firmware.encode(w);
    }
}

impl Decode for Hardware {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.variant(|r, kind, rest| match (kind, rest) {
            (KIND_TPM, 4) => {
                let tpm = TpmSeal {
                    key: Decode::decode(r)?,
                    base: Decode::decode(r)?,
                    counters: Decode::decode(r)?,
                    firmware: Decode::decode(r)?,
                };
                if tpm.is_sound() { Ok(Self::Tpm(tpm)) } else { Err(DecodeError::OutOfRange) }
            }
            (KIND_TPM, _) => Err(DecodeError::WrongLength),
            _ => Err(DecodeError::Unknown),
        })
    }
}

/// What an enroller vouches for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SealTerms {
    /// Version of this form.
    pub version: u8,
    /// The network that the enroller looked at the hardware for.
    pub network: NetworkId,
    /// What proofs are checked against.
    pub hardware: Hardware,
    /// What kind of hardware it is, for people.
    pub label: SealLabel,
    /// Whether no maker of hardware vouches for it, as for a TPM in software, which can be copied.
    pub development: bool,
    /// Until when the enroller vouches for it.
    pub expires: Time,
    /// The enroller.
    pub enroller: PublicKey,
}

record!(SealTerms { version, network, hardware, label, development, expires, enroller });

/// The tier's words for the owner of a payment. A development seal is never shown as hardware.
impl fmt::Display for SealTerms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = self.label.as_str();
        let enroller = self.enroller.as_bytes();
        if self.development {
            write!(f, "DEVELOPMENT ONLY, can be copied and pay twice: {label}, enrolled by ")?;
        } else {
            write!(f, "sealed by hardware: {label}, enrolled by ")?;
        }
        enroller.iter().take(6).try_for_each(|b| write!(f, "{b:02x}"))
    }
}

/// Why an enrollment certificate, or a list of revoked ones, is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnrollmentError {
    /// A version that this program does not know.
    #[error("the seal's enrollment is of an unknown version: update this program")]
    Version,
    /// Issued for another network.
    #[error("the seal is enrolled on another network: enroll it on this one")]
    Network,
    /// Not signed by the enroller that it names.
    #[error("the enroller's signature does not fit: the enrollment was altered, ask for it again")]
    Signature,
    /// By an enroller whose word does not count here.
    #[error("this enroller is not accepted here: ask for a seal that is enrolled by one that is")]
    Enroller,
    /// Flagged as for development, where that is not accepted.
    #[error("the seal is for development only and can be copied: it proves nothing here")]
    Development,
    /// Taken back by its enroller.
    #[error("the enroller has taken this enrollment back: do not rely on the seal")]
    Revoked,
    /// It ends before the lock of the coin does.
    #[error("the seal's enrollment ends before the coin's lock: have it enrolled again")]
    Ends,
    /// Older than what is known already.
    #[error("a newer list of this enroller is known already: nothing to do")]
    Stale,
}

impl EnrollmentError {
    /// Stable code of this error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Version => "ENROLLMENT_VERSION",
            Self::Network => "ENROLLMENT_NETWORK",
            Self::Signature => "ENROLLMENT_SIGNATURE",
            Self::Enroller => "ENROLLMENT_ENROLLER",
            Self::Development => "ENROLLMENT_DEVELOPMENT",
            Self::Revoked => "ENROLLMENT_REVOKED",
            Self::Ends => "ENROLLMENT_ENDS",
            Self::Stale => "ENROLLMENT_STALE",
        }
    }
}

/// An enroller's signed word for a seal, at most [`MAX_CERTIFICATE`] bytes.
///
/// ```
/// use tally_core::id::NetworkId;
/// use tally_core::keys::SecretKey;
/// use tally_core::seal::{
///     AttestationKey, CERTIFICATE_VERSION, Hardware, SealCertificate, SealLabel, SealTerms, TpmSeal,
/// };
/// use tally_core::time::Time;
///
/// let enroller = SecretKey::new([1; 32]).expect("a scalar");
/// let key = AttestationKey::from_coordinates(&[2; 32], &[3; 32]);
/// let terms = SealTerms {
///     version: CERTIFICATE_VERSION,
///     network: NetworkId::LOCAL,
///     hardware: Hardware::Tpm(TpmSeal { key, base: 0x0180_7a00, counters: 16, firmware: 1 }),
///     label: SealLabel::new("TPM 2.0").expect("short"),
///     development: false,
///     expires: Time::from_unix(2_000_000_000),
///     enroller: enroller.public(),
/// };
/// let certificate = SealCertificate::issue(terms, &enroller);
/// assert_eq!(certificate.check(NetworkId::LOCAL), Ok(()));
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SealCertificate {
    terms: SealTerms,
    signature: Signature,
}

record!(SealCertificate { terms, signature });

impl SealCertificate {
    /// Signs `terms` with the enroller's key.
    pub fn issue(terms: SealTerms, enroller: &SecretKey) -> Self {
        let signature = enroller.sign(&Self::digest(&terms));
        Self { terms, signature }
    }

    /// Joins terms and the enroller's signature on [`SealCertificate::digest`].
    pub const fn new(terms: SealTerms, signature: Signature) -> Self {
        Self { terms, signature }
    }

    /// What an enroller signs: `H("enrollment", terms)`.
    pub fn digest(terms: &SealTerms) -> Digest {
        Digest::new(hash(Tag::Enrollment, &[terms]))
    }

    /// What the enroller vouches for.
    pub const fn terms(&self) -> &SealTerms {
        &self.terms
    }

    /// The seal.
    pub fn seal(&self) -> SealId {
        self.terms.hardware.seal()
    }

    /// The slot of this seal that counter `counter` is at when it shows `value`.
    pub fn slot(&self, counter: u32, value: u64) -> Slot {
        Slot { seal: self.seal(), counter, value }
    }

    /// Whether it is what it says: of a known version, for `network`, signed by the enroller it
    /// names. Whether that enroller counts is for the caller to say.
    ///
    /// # Errors
    /// [`EnrollmentError`] for the first rule that it breaks.
    pub fn check(&self, network: NetworkId) -> Result<(), EnrollmentError> {
        if self.terms.version != CERTIFICATE_VERSION {
            return Err(EnrollmentError::Version);
        }
        if self.terms.network != network {
            return Err(EnrollmentError::Network);
        }
        if !self.terms.enroller.verify(&Self::digest(&self.terms), &self.signature) {
            return Err(EnrollmentError::Signature);
        }
        Ok(())
    }
}
