//! Why an enrollment does not come about, and what to do next.

use tally_core::cbor::DecodeError;
use tally_core::seal::EnrollmentError;

use crate::SealError;
use crate::tpm2::TpmError;

/// Why a seal was not enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    /// The message is not one of an enrollment.
    #[error(
        "this is no enrollment message ({0}): both sides need the same version of this program"
    )]
    Message(#[from] DecodeError),
    /// A certificate, or what one is asked for, is of another network, revoked or badly signed.
    #[error(transparent)]
    Enrollment(#[from] EnrollmentError),
    /// Nobody who counts vouches for the TPM's endorsement key.
    #[error("{0}")]
    Chain(&'static str),
    /// A TPM in software, where it may not be.
    #[error(
        "this TPM is software, which can be copied and pay twice: enroll a hardware TPM; development networks alone may allow it, with `--allow-software-tpm`"
    )]
    Software,
    /// The TPM shows no certificate of an endorsement key on a curve.
    #[error(
        "the TPM has no certificate for an elliptic-curve endorsement key: its maker offers it for download, or it cannot be enrolled"
    )]
    NoCertificate,
    /// No open enrollment has this number.
    #[error("this enrollment is not known, or was open for too long: ask to be enrolled again")]
    Unknown,
    /// The answer to the credential is wrong.
    #[error(
        "the TPM did not open the credential: the key is not in the TPM that its certificate names"
    )]
    Credential,
    /// A counter is not what the TPM attested, or not as a seal's must be.
    #[error(
        "counter {counter} of the seal is not attested as one that counts: ask to be enrolled again"
    )]
    Counter {
        /// Which of the seal's counters.
        counter: u32,
    },
    /// No room for more.
    #[error("the enroller has no room for more {0}: it has to be made by its owner")]
    Full(&'static str),
    /// The enroller's answer.
    #[error("the enroller refused ({code}): {why}")]
    Refused {
        /// The enroller's code.
        code: String,
        /// Its words.
        why: String,
    },
    /// A keystore, file or TPM failed.
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl EnrollError {
    /// Stable code of this error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Message(_) => "ENROLL_MESSAGE",
            Self::Enrollment(e) => e.code(),
            Self::Chain(_) => "ENROLL_CHAIN",
            Self::Software => "ENROLL_SOFTWARE_TPM",
            Self::NoCertificate => "ENROLL_NO_CERTIFICATE",
            Self::Unknown => "ENROLL_UNKNOWN",
            Self::Credential => "ENROLL_CREDENTIAL",
            Self::Counter { .. } => "ENROLL_COUNTER",
            Self::Full(_) => "ENROLL_FULL",
            Self::Refused { .. } => "ENROLL_REFUSED",
            Self::Seal(e) => e.code(),
        }
    }

    /// Whether it is the other side's doing, so that it is told to it; else it is this machine's.
    pub(crate) const fn is_refusal(&self) -> bool {
        !matches!(self, Self::Seal(_))
    }
}

impl From<TpmError> for EnrollError {
    fn from(error: TpmError) -> Self {
        Self::Seal(error.into())
    }
}
