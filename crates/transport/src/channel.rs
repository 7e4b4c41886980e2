//! Carry whole messages, in order, to one peer.

use std::io;
use std::time::Duration;

use thiserror::Error;

/// A two-way carrier of whole messages to one peer.
///
/// Messages arrive complete and in order, or not at all. Nothing is promised about who the peer is:
/// that is the work of a [`session`](crate::session).
///
/// ```
/// use tally_transport::{Channel, memory};
/// let (mut payer, mut payee) = memory::pair();
/// payer.send(b"offer")?;
/// assert_eq!(payee.recv()?, b"offer");
/// # Ok::<(), tally_transport::TransportError>(())
/// ```
pub trait Channel {
    /// Sends one message of at most [`MAX_MESSAGE`](crate::MAX_MESSAGE) bytes.
    ///
    /// # Errors
    /// [`TransportError::TooLarge`] before anything is sent; otherwise what the carrier reports. A
    /// message whose sending failed may or may not have arrived: send it again on a new channel.
    fn send(&mut self, message: &[u8]) -> Result<(), TransportError>;

    /// Waits for the next whole message, within the channel's limits.
    ///
    /// # Errors
    /// [`TransportError::Timeout`] if nothing came in time, [`TransportError::Closed`] if the peer
    /// left between two messages, [`TransportError::Truncated`] if it left inside one.
    fn recv(&mut self) -> Result<Vec<u8>, TransportError>;
}

/// Why a message was not carried, and what to do next.
#[derive(Debug, Error)]
pub enum TransportError {
    /// Nobody answered at the address.
    #[error(
        "could not reach {address}: {reason}; check that the other device is listening there and is on the same network, then try again"
    )]
    Unreachable {
        /// The address as it was given.
        address: String,
        /// What the operating system said.
        reason: String,
    },
    /// The address is not one that can be used.
    #[error(
        "{address} is not a usable address: {reason}; give it as host:port, for example 192.168.1.5:7117"
    )]
    Address {
        /// The address as it was given.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The peer took longer than the limit.
    #[error(
        "no {what} within {limit:?}; ask the other side whether it is still there, then try again"
    )]
    Timeout {
        /// What was being waited for.
        what: &'static str,
        /// The limit that passed.
        limit: Duration,
    },
    /// The peer closed the channel.
    #[error("the other side closed the connection; connect again and send the same message again")]
    Closed,
    /// The peer closed the channel inside a message.
    #[error(
        "the connection ended inside a message; connect again, the other side will send it again"
    )]
    Truncated,
    /// The message is longer than the limit.
    #[error("a message of {size} bytes is over the limit of {max}; send less at once")]
    TooLarge {
        /// Its length in bytes.
        size: u64,
        /// The limit in bytes.
        max: u64,
    },
    /// The peer does not speak this framing.
    #[error(
        "the other side does not speak Tally's framing (bad length prefix); check the address and port"
    )]
    Malformed,
    /// Waiting was called off on this side.
    #[error("stopped waiting, as asked")]
    Interrupted,
    /// Any other failure of the operating system.
    #[error("{doing} failed: {source}; connect again and send the same message again")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
}

impl TransportError {
    /// The stable name of this error, for programs and logs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "TRANSPORT_UNREACHABLE",
            Self::Address { .. } => "TRANSPORT_ADDRESS",
            Self::Timeout { .. } => "TRANSPORT_TIMEOUT",
            Self::Closed => "TRANSPORT_CLOSED",
            Self::Truncated => "TRANSPORT_TRUNCATED",
            Self::TooLarge { .. } => "TRANSPORT_TOO_LARGE",
            Self::Malformed => "TRANSPORT_MALFORMED",
            Self::Interrupted => "TRANSPORT_INTERRUPTED",
            Self::Io { .. } => "TRANSPORT_IO",
        }
    }

    pub(crate) fn too_large(size: usize, max: usize) -> Self {
        Self::TooLarge { size: size as u64, max: max as u64 }
    }
}
