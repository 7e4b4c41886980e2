//! What can go wrong with a wallet, and what to do next.

use tally_agent::AgentError;
use tally_agent::recovery::Further;
use tally_core::device::{ContactError, DeviceError};
use tally_core::id::TxId;
use tally_seal::SealError;
use tally_seal::journal::Rollback;
use tally_transport::TransportError;

use crate::notary::{NotaryError, Trouble};
use crate::{BackupError, PeerError, StoreError};

/// What kind of failure it is, for an exit status.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Class {
    /// Anything else.
    Failure,
    /// The other side, or this wallet's own policy, said no.
    Refused,
    /// The other side was not reached, or did not answer in time.
    Unreachable,
    /// There is not enough money.
    InsufficientFunds,
    /// The wallet is in use, behind, restored, or convicted.
    Conflict,
}

/// Why a wallet did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum WalletError {
    /// The device cannot meet the wish.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The seal did not open or sign.
    #[error(transparent)]
    Seal(SealError),
    /// The wallet's records could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The other side was not reached.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// What another device sent cannot be read.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// The agent cannot do it now.
    #[error(transparent)]
    Agent(AgentError),
    /// The system gives no random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// A backup could not be written or read.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// A notary was not reached, or is not believed.
    #[error(transparent)]
    Notary(#[from] NotaryError),
    /// The other side, or this wallet, refused the payment; nothing was paid.
    #[error("the payment was refused ({code}){text}")]
    Refused {
        /// The stable code of the reason.
        code: String,
        /// `: ` and what it means, where it is known.
        text: String,
    },
    /// The payment is signed, and the payee has not said that it has it.
    #[error(
        "payment {tx} is signed but not receipted yet ({why}): it counts as made; send it again when the payee is there, do not pay anew"
    )]
    Waiting {
        /// The payment.
        tx: TxId,
        /// What came between.
        why: String,
    },
    /// The payment has taken its step, and is signed when the seal has proved it: not yet.
    #[error(
        "payment {tx} is begun and not signed: it waits for the TPM's proof ({why}); do not pay anew: bring the TPM back, which signs it, and send it then (tally resend), or see how to give it up (tally status)"
    )]
    Unproved {
        /// The payment.
        tx: TxId,
        /// Why it waits.
        why: String,
    },
    /// The payment is signed, and cannot be said to its payee as the two cards are now.
    #[error(
        "payment {tx} is made, but cannot be said to its payee ({why}); do not pay anew: take over a newer card of the payee, or make your own shorter, then send it again (tally resend)"
    )]
    Unsent {
        /// The payment.
        tx: TxId,
        /// Why not.
        why: String,
    },
    /// Nothing has this name.
    #[error("no {what} is called {name:?}: check the spelling, or import it first")]
    NotFound {
        /// Contact or asset.
        what: &'static str,
        /// What was looked for.
        name: String,
    },
    /// Several things have this name.
    #[error("several {what}s are called {name:?}: name one by its id: {}", ids.join(", "))]
    Ambiguous {
        /// Contact or asset.
        what: &'static str,
        /// What was looked for.
        name: String,
        /// The ids that it could mean.
        ids: Vec<String>,
    },
    /// The asset is not this wallet's to issue, or not so much of it.
    #[error("cannot mint: {0}")]
    Mint(&'static str),
}

/// The system gives no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random bytes: try again, or restart the machine")]
pub struct RandomError;

impl From<AgentError> for WalletError {
    fn from(error: AgentError) -> Self {
        match error {
            AgentError::Device(error) => Self::Device(error),
            AgentError::Peer(error) => Self::Peer(error),
            AgentError::RolledBack(further) => Self::Seal(SealError::RolledBack(match further {
                Further::Later(journal_seq) => Rollback::Behind { journal_seq },
                Further::Other => Rollback::Contradiction,
            })),
            AgentError::Refused { code, text } => Self::Refused { code, text },
            AgentError::Waiting { tx, why } => Self::Waiting { tx, why },
            AgentError::Closed => Self::Transport(TransportError::Closed),
            other => Self::Agent(other),
        }
    }
}

impl WalletError {
    /// A payment was given up: its seal gave no proof.
    pub(crate) fn given_up() -> Self {
        let text = ": the seal gave no proof, so nothing was signed or paid".to_owned();
        Self::Refused { code: "UNLOCK_SLOT_PROOF".to_owned(), text }
    }

    /// The payment that is made all the same, or will be, if one is.
    pub const fn made(&self) -> Option<TxId> {
        match self {
            Self::Waiting { tx, .. } | Self::Unsent { tx, .. } | Self::Unproved { tx, .. } => {
                Some(*tx)
            }
            _ => None,
        }
    }

    /// Stable code of this error.
    pub fn code(&self) -> &str {
        match self {
            Self::Device(e) => e.code(),
            Self::Seal(e) => e.code(),
            Self::Store(e) => e.code(),
            Self::Transport(e) => e.code(),
            Self::Peer(e) => e.code(),
            Self::Agent(e) => e.code(),
            Self::Random(_) => "WALLET_RANDOM",
            Self::Backup(e) => e.code(),
            Self::Notary(e) => e.code(),
            Self::Refused { code, .. } => code,
            Self::Waiting { .. } => "WALLET_WAITING",
            Self::Unsent { .. } => "WALLET_UNSENT",
            Self::Unproved { .. } => "WALLET_UNPROVED",
            Self::NotFound { .. } => "WALLET_NOT_FOUND",
            Self::Ambiguous { .. } => "WALLET_AMBIGUOUS",
            Self::Mint(_) => "WALLET_MINT",
        }
    }

    /// What kind of failure this is.
    pub fn class(&self) -> Class {
        match self {
            Self::Device(DeviceError::InsufficientFunds) => Class::InsufficientFunds,
            Self::Device(
                DeviceError::Recovery(_) | DeviceError::Contact(ContactError::Bricked),
            )
            | Self::Store(StoreError::InUse | StoreError::Moved)
            | Self::Seal(SealError::RolledBack(_)) => Class::Conflict,
            Self::Notary(NotaryError::Trust(_)) => Class::Refused,
            Self::Notary(error) => error.trouble().map_or(Class::Failure, class_of),
            Self::Device(
                DeviceError::Refusal(_)
                | DeviceError::Trade(_)
                | DeviceError::Own(_)
                | DeviceError::Contact(ContactError::InUse(_)),
            )
            | Self::Refused { .. }
            | Self::Mint(_) => Class::Refused,
            Self::Transport(
                TransportError::Unreachable { .. }
                | TransportError::Timeout { .. }
                | TransportError::Closed
                | TransportError::Truncated,
            )
            | Self::Peer(PeerError::WrongDevice)
            | Self::Waiting { .. }
            | Self::Unproved { .. }
            | Self::Unsent { .. } => Class::Unreachable,
            _ => Class::Failure,
        }
    }
}

/// What kind of failure a missing or disbelieved answer of a validator is.
const fn class_of(trouble: &Trouble) -> Class {
    match trouble {
        Trouble::Unreached { .. }
        | Trouble::Fault { later: true, .. }
        | Trouble::Late
        | Trouble::Silent
        | Trouble::Nobody
        | Trouble::Unasked
        | Trouble::TooFew => Class::Unreachable,
        Trouble::Certificate(_)
        | Trouble::Proof(_)
        | Trouble::Presence(_)
        | Trouble::Unshown
        | Trouble::Stale { .. }
        | Trouble::Clock(_) => Class::Refused,
        Trouble::Shrunk(_) => Class::Conflict,
        Trouble::Fault { later: false, .. } | Trouble::Answer(_) => Class::Failure,
    }
}

impl From<SealError> for WalletError {
    fn from(error: SealError) -> Self {
        match error {
            SealError::InUse => Self::Store(StoreError::InUse),
            other => Self::Seal(other),
        }
    }
}
