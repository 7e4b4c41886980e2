//! Connect two channels inside one process, for tests and simulations.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::time::Duration;

use crate::MAX_MESSAGE;
use crate::channel::{Channel, TransportError};

/// Messages that may wait unread in one direction.
pub const MAX_QUEUED: usize = 1024;

/// How long [`pair`] waits in `recv` before it reports a timeout.
pub const DEFAULT_WAIT: Duration = Duration::from_secs(10);

/// One end of a connected pair.
#[derive(Debug)]
pub struct MemoryChannel {
    outbox: SyncSender<Vec<u8>>,
    inbox: Receiver<Vec<u8>>,
    wait: Duration,
}

/// Makes two ends that are connected to each other.
pub fn pair() -> (MemoryChannel, MemoryChannel) {
    pair_with_wait(DEFAULT_WAIT)
}

/// Makes two connected ends whose `recv` gives up after `wait`.
pub fn pair_with_wait(wait: Duration) -> (MemoryChannel, MemoryChannel) {
    let (to_right, from_left) = mpsc::sync_channel(MAX_QUEUED);
    let (to_left, from_right) = mpsc::sync_channel(MAX_QUEUED);
    let end = |outbox, inbox| MemoryChannel { outbox, inbox, wait };
    (end(to_right, from_right), end(to_left, from_left))
}

impl Channel for MemoryChannel {
    fn send(&mut self, message: &[u8]) -> Result<(), TransportError> {
        if message.len() > MAX_MESSAGE {
            return Err(TransportError::too_large(message.len(), MAX_MESSAGE));
        }
        self.outbox.try_send(message.to_vec()).map_err(|error| match error {
            TrySendError::Full(_) => TransportError::Timeout {
                what: "room in the other side's queue",
                limit: Duration::ZERO,
            },
            TrySendError::Disconnected(_) => TransportError::Closed,
        })
    }

    fn recv(&mut self) -> Result<Vec<u8>, TransportError> {
        self.inbox.recv_timeout(self.wait).map_err(|error| match error {
            RecvTimeoutError::Timeout => {
                TransportError::Timeout { what: "message", limit: self.wait }
            }
            RecvTimeoutError::Disconnected => TransportError::Closed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_cross_in_both_directions_in_order() {
        let (mut left, mut right) = pair();
        left.send(b"1").unwrap();
        left.send(b"").unwrap();
        right.send(b"3").unwrap();
        assert_eq!(right.recv().unwrap(), b"1");
        assert_eq!(right.recv().unwrap(), b"");
        assert_eq!(left.recv().unwrap(), b"3");
    }

    #[test]
    fn a_dropped_end_closes_the_other_after_its_messages_are_read() {
        let (mut left, mut right) = pair();
        left.send(b"last").unwrap();
        drop(left);
        assert_eq!(right.recv().unwrap(), b"last");
        assert_eq!(right.recv().unwrap_err().code(), "TRANSPORT_CLOSED");
        assert_eq!(right.send(b"x").unwrap_err().code(), "TRANSPORT_CLOSED");
    }

    #[test]
    fn limits_hold_on_size_queue_and_waiting() {
        let (mut left, mut right) = pair_with_wait(Duration::from_millis(1));
        let long = vec![0; MAX_MESSAGE + 1];
        assert_eq!(left.send(&long).unwrap_err().code(), "TRANSPORT_TOO_LARGE");
        assert_eq!(right.recv().unwrap_err().code(), "TRANSPORT_TIMEOUT");
        for _ in 0..MAX_QUEUED {
            left.send(b"x").unwrap();
        }
        assert_eq!(left.send(b"x").unwrap_err().code(), "TRANSPORT_TIMEOUT");
    }
}
