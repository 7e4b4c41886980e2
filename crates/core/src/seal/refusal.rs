//! Say why a slot proof, or the seal that made it, does not count.

use crate::cbor::DecodeError;
use crate::seal::EnrollmentError;

/// Why a slot proof proves nothing under a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SlotError {
    /// The proof's bytes are of no known kind of hardware (structural).
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The certificate is of another seal than the slot, or there is none.
    #[error(
        "the coin is bound to a seal of which no enrollment is known here: ask for its owner's newest card"
    )]
    Seal,
    /// The seal has no such counter, or its counter can count no further.
    #[error("the seal has no such counter, or it is at its end: the lock's end frees the coin")]
    Counter,
    /// The certificate's attestation key is no point of its curve.
    #[error("the seal's key is no key: its enroller made a mistake, enroll it again")]
    Key,
    /// The hardware did not sign that the counter left this slot for this transaction.
    #[error(
        "the seal's proof is not for this payment, its counter may have paid somebody else: refuse the payment"
    )]
    Signature,
}

impl SlotError {
    /// Stable code of this error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Decode(e) => e.code(),
            Self::Seal => "SLOT_SEAL",
            Self::Counter => "SLOT_COUNTER",
            Self::Key => "SLOT_KEY",
            Self::Signature => "SLOT_SIGNATURE",
        }
    }
}

/// Why a slot proof does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealRefusal {
    /// Nobody's word that counts stands behind the seal.
    #[error(transparent)]
    Enrollment(#[from] EnrollmentError),
    /// The proof does not prove it.
    #[error(transparent)]
    Slot(#[from] SlotError),
}

impl SealRefusal {
    /// Stable code of this error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Enrollment(e) => e.code(),
            Self::Slot(e) => e.code(),
        }
    }
}
