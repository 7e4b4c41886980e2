//! Say why the owner's wish cannot be met.

use super::{ContactError, OwnError, RecoveryError};
use crate::accept::Refusal;
use crate::card::SignedError;
use crate::evidence::EvidenceError;
use crate::fork::ForkError;
use crate::policy::PolicyError;
use crate::seal::{EnrollmentError, SealRefusal};
use crate::trade::TradeError;

/// Why the owner's wish cannot be met.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// A card or an invoice is not valid.
    #[error(transparent)]
    Signed(#[from] SignedError),
    /// A policy is not valid.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A mint is not valid, or is not for this device.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// A fork proof proves nothing.
    #[error(transparent)]
    Fork(#[from] ForkError),
    /// The owner's policy does not take the payment.
    #[error(transparent)]
    Refusal(Refusal),
    /// A rule of the trade is broken.
    #[error(transparent)]
    Trade(#[from] TradeError),
    /// A seal, its enrollment or a revocation does not count.
    #[error(transparent)]
    Seal(#[from] SealRefusal),
    /// A contact cannot be dealt with, or not be removed.
    #[error(transparent)]
    Contact(#[from] ContactError),
    /// The device was restored, and is not sure of its latest step.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// Value cannot be set aside, taken back or made into one coin.
    #[error(transparent)]
    Own(#[from] OwnError),
    /// The object is for somebody else, or for another network.
    #[error("this is not for this wallet: check whom it was made for, and on which network")]
    NotForMe,
    /// There is not enough of the asset, at most 8 coins of which can pay at once.
    #[error("there is not enough to pay this: check your balance")]
    InsufficientFunds,
    /// The coins that could pay are under counters that cannot be asked now.
    #[error(
        "the TPM that these coins are bound to is not there, and nothing was begun: bring it back, wait for the end of their locks (tally status), or give up on it (tally recover --without-tpm)"
    )]
    SealAway,
    /// The payment that the seal signed, or the receipt, is not waiting.
    #[error("no such payment is waiting: list your payments")]
    NotWaiting,
}

impl From<EnrollmentError> for DeviceError {
    fn from(error: EnrollmentError) -> Self {
        Self::Seal(error.into())
    }
}

impl DeviceError {
    /// Stable code of this error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Signed(e) => e.code(),
            Self::Policy(e) => e.code(),
            Self::Evidence(e) => e.code(),
            Self::Fork(e) => e.code(),
            Self::Refusal(e) => e.code(),
            Self::Trade(e) => e.code(),
            Self::Seal(e) => e.code(),
            Self::Contact(e) => e.code(),
            Self::Recovery(e) => e.code(),
            Self::Own(e) => e.code(),
            Self::NotForMe => "NOT_FOR_ME",
            Self::InsufficientFunds => "INSUFFICIENT_FUNDS",
            Self::SealAway => "SEAL_AWAY",
            Self::NotWaiting => "NOT_WAITING",
        }
    }
}
