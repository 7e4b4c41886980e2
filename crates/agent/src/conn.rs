//! Name connections, and say what each is for.

use alloc::vec::Vec;

use tally_core::amount::Amount;
use tally_core::id::{AssetId, DeviceId};

use crate::{AgentError, PeerError};

/// Most connections at once.
pub const MAX_CONNECTIONS: usize = 1024;
/// How many of those others may have come by: the rest is the owner's, so that nobody who comes keeps
/// the owner from paying.
pub const MAX_SERVED: usize = 960;

/// A connection, as the shell numbers it. No number is used twice in one process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Conn(pub u64);

/// How something came, and how what answers it goes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Way {
    /// Over a connection.
    Conn(Conn),
    /// As a file or a code, handed over by the owner.
    File,
}

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Goal {
    /// The other side has come by itself: answer it until it hangs up.
    Serve,
    /// Send what waits for the payee, then pay.
    Pay {
        /// Whom.
        payee: DeviceId,
        /// With what.
        asset: AssetId,
        /// How much.
        amount: Amount,
    },
    /// Send what waits for the payee, and pay nothing anew.
    Resend {
        /// Whom.
        payee: DeviceId,
    },
    /// Send what waits, and compare what both have seen.
    Meet {
        /// With whom.
        contact: DeviceId,
    },
}

impl Goal {
    /// Whether it is a payment that is not made yet.
    pub(crate) const fn pays_anew(&self) -> bool {
        matches!(self, Self::Pay { .. })
    }

    /// Who has to be at the other end, if it matters.
    pub const fn contact(&self) -> Option<DeviceId> {
        match self {
            Self::Serve => None,
            Self::Pay { payee, .. } | Self::Resend { payee } => Some(*payee),
            Self::Meet { contact } => Some(*contact),
        }
    }
}

/// First byte of a plea for a new hello; 8 bytes follow, the greatest generation that was heard.
pub(crate) const PLEA: u8 = 3;
/// What is said to whoever wants somebody else.
pub(crate) const NOT_ME: u8 = 4;

/// What to send before a connection is closed because of this error, if anything: whoever wanted
/// somebody else is told so.
pub fn farewell(error: &AgentError) -> Option<Vec<u8>> {
    matches!(error, AgentError::Peer(PeerError::NotForMe)).then(|| alloc::vec![NOT_ME])
}
