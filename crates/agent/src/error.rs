//! Say why the agent did not do what it was asked.

use alloc::string::String;

use tally_core::device::DeviceError;
use tally_core::id::TxId;

use crate::PeerError;
use crate::recovery::Further;

/// Why the agent did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The device cannot meet the wish.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// What another device sent cannot be read.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// The journal outside of the records knows of another end than the device.
    #[error(transparent)]
    RolledBack(#[from] Further),
    /// The device or its journal was set back: what was about to leave does not.
    #[error(
        "this wallet or its journal was set back: nothing of this has left, and it only receives"
    )]
    SetBack,
    /// The other side, or this device, refused; nothing was paid.
    #[error("the payment was refused ({code}){text}")]
    Refused {
        /// The stable code of the reason.
        code: String,
        /// `: ` and what it means, where it is known.
        text: String,
    },
    /// A payment is signed, and its payee has not said that it has it.
    #[error("payment {tx} is signed but not receipted yet ({why})")]
    Waiting {
        /// The payment.
        tx: TxId,
        /// What came between.
        why: String,
    },
    /// The connection ended before what it was for.
    #[error("the other side closed the connection")]
    Closed,
    /// The carrier failed.
    #[error("{0}")]
    Carrier(String),
    /// Too many connections are open.
    #[error("too many connections are open: try again when one has ended")]
    Busy,
    /// There is no room for more that waits.
    #[error("too much waits to be said, signed or proved: try again when some of it is done")]
    Full,
}

impl AgentError {
    /// A payment was given up. Nothing was signed, so nothing is to be waited for.
    pub(crate) fn given_up() -> Self {
        let text = ": the seal gave no proof, so nothing was signed or paid".into();
        Self::Refused { code: "UNLOCK_SLOT_PROOF".into(), text }
    }

    /// Stable code of this error.
    pub fn code(&self) -> &str {
        match self {
            Self::Device(e) => e.code(),
            Self::Peer(e) => e.code(),
            Self::RolledBack(_) | Self::SetBack => "SEAL_ROLLED_BACK",
            Self::Refused { code, .. } => code,
            Self::Waiting { .. } => "WALLET_WAITING",
            Self::Closed | Self::Carrier(_) => "TRANSPORT_CLOSED",
            Self::Busy => "AGENT_BUSY",
            Self::Full => "AGENT_FULL",
        }
    }
}
