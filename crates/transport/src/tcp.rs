//! Carry messages over one TCP connection, each behind its length.
//!
//! On the wire a message is its length as a varint (LEB128, shortest form: one byte up to 127, two up
//! to 16,383, three up to the limit) and then its bytes, nothing else. A message leaves in one write.
//! Time is limited as a whole and not per read, so a peer that drips bytes cannot hold a reader.

pub mod frame;
mod listener;
#[cfg(test)]
mod tests;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::MAX_MESSAGE;
use crate::channel::{Channel, TransportError};

pub use listener::{Listener, Stopper};

/// Bytes asked from the operating system at once.
const CHUNK: usize = 16 * 1024;

/// How long and how much a connection may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time to reach the peer, over all addresses that a name stands for.
    pub connect: Duration,
    /// Time to wait for a message to begin: people press buttons in this time.
    pub idle: Duration,
    /// Time for one message from its first byte to its last, in either direction.
    pub message: Duration,
    /// Longest message taken or sent, in bytes; at most [`MAX_MESSAGE`].
    pub max_message: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            idle: Duration::from_secs(120),
            message: Duration::from_secs(10),
            max_message: MAX_MESSAGE,
        }
    }
}

/// One connection.
#[derive(Debug)]
pub struct TcpChannel {
    stream: Arc<TcpStream>,
    limits: Limits,
    inbox: Vec<u8>,
    sent: u64,
    received: u64,
    ended: bool,
}

/// Closes a connection from another thread: whoever waits for it learns that it is closed.
#[derive(Debug)]
pub struct HangUp(Arc<TcpStream>);

impl HangUp {
    /// Closes it.
    pub fn now(&self) {
        // It may be closed already.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// Connects to `address` (`host:port`), trying every address that the name stands for.
///
/// # Errors
/// [`TransportError::Address`] if the name stands for none, [`TransportError::Unreachable`] if none
/// of them answers, [`TransportError::Timeout`] if the time is over first.
pub fn connect(address: &str, limits: &Limits) -> Result<TcpChannel, TransportError> {
    let deadline = Instant::now() + limits.connect;
    let mut last = TransportError::Address {
        address: address.to_owned(),
        reason: "the name stands for no address".to_owned(),
    };
    for candidate in resolve(address)? {
        let Some(left) = left_until(deadline) else {
            return Err(connect_timeout(limits));
        };
        match TcpStream::connect_timeout(&candidate, left) {
            Ok(stream) => return TcpChannel::new(stream, limits.clone()),
            Err(error) if is_timeout(&error) => last = connect_timeout(limits),
            Err(error) => {
                last = TransportError::Unreachable {
                    address: address.to_owned(),
                    reason: error.to_string(),
                }
            }
        }
    }
    Err(last)
}

impl TcpChannel {
    /// Bytes written to the wire so far, length prefixes included.
    pub fn sent_bytes(&self) -> u64 {
        self.sent
    }

    /// Bytes read from the wire so far, length prefixes included.
    pub fn received_bytes(&self) -> u64 {
        self.received
    }

    /// The peer's address.
    ///
    /// # Errors
    /// [`TransportError::Io`] if the connection is gone.
    pub fn peer_addr(&self) -> Result<SocketAddr, TransportError> {
        self.stream.peer_addr().map_err(|source| failed("asking for the peer's address", source))
    }

    /// Sets the time to wait for a message to begin.
    pub fn wait_for(&mut self, idle: Duration) {
        self.limits.idle = idle;
    }

    /// A handle that closes the connection from another thread. It needs no descriptor of its own.
    pub fn hang_up_handle(&self) -> HangUp {
        HangUp(Arc::clone(&self.stream))
    }

    fn new(stream: TcpStream, limits: Limits) -> Result<Self, TransportError> {
        stream.set_nodelay(true).map_err(|source| failed("preparing the connection", source))?;
        Ok(Self {
            stream: Arc::new(stream),
            limits: Limits { max_message: limits.max_message.min(MAX_MESSAGE), ..limits },
            inbox: Vec::new(),
            sent: 0,
            received: 0,
            ended: false,
        })
    }

    fn write_within(&mut self, bytes: &[u8]) -> Result<(), TransportError> {
        let deadline = Instant::now() + self.limits.message;
        let mut rest = bytes;
        while !rest.is_empty() {
            let left = left_until(deadline).ok_or(self.timeout("room to send"))?;
            self.stream
                .set_write_timeout(Some(left))
                .map_err(|source| failed("sending", source))?;
            match (&*self.stream).write(rest) {
                Ok(0) => return Err(TransportError::Closed),
                Ok(taken) => {
                    self.sent += taken as u64;
                    rest = &rest[taken..];
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => return Err(self.timeout("room to send")),
                Err(error) if is_gone(&error) => return Err(TransportError::Closed),
                Err(error) => return Err(failed("sending", error)),
            }
        }
        Ok(())
    }

    fn read_message(&mut self) -> Result<Vec<u8>, TransportError> {
        let mut deadline = self.begin();
        loop {
            if let Some(range) = frame::split(&self.inbox, self.limits.max_message)? {
                let message = self.inbox[range.clone()].to_vec();
                self.inbox.drain(..range.end);
                return Ok(message);
            }
            let waiting = self.inbox.is_empty();
            self.fill(deadline)?;
            if waiting {
                deadline = self.begin();
            }
        }
    }

    /// The deadline of what is being waited for now: a message's start, or its end.
    fn begin(&self) -> Instant {
        let limit = if self.inbox.is_empty() { self.limits.idle } else { self.limits.message };
        Instant::now() + limit
    }

    fn fill(&mut self, deadline: Instant) -> Result<(), TransportError> {
        let mut chunk = [0; CHUNK];
        loop {
            let left = left_until(deadline).ok_or(self.recv_timeout())?;
            self.stream
                .set_read_timeout(Some(left))
                .map_err(|source| failed("receiving", source))?;
            match (&*self.stream).read(&mut chunk) {
                Ok(0) => return Err(self.end()),
                Ok(taken) => {
                    self.received += taken as u64;
                    self.inbox.extend_from_slice(&chunk[..taken]);
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => return Err(self.recv_timeout()),
                Err(error) if is_gone(&error) => return Err(self.end()),
                Err(error) => return Err(failed("receiving", error)),
            }
        }
    }

    fn end(&self) -> TransportError {
        if self.inbox.is_empty() { TransportError::Closed } else { TransportError::Truncated }
    }

    fn recv_timeout(&self) -> TransportError {
        if self.inbox.is_empty() {
            TransportError::Timeout { what: "message", limit: self.limits.idle }
        } else {
            self.timeout("end of a message that had begun")
        }
    }

    fn timeout(&self, what: &'static str) -> TransportError {
        TransportError::Timeout { what, limit: self.limits.message }
    }

    /// After half a message in either direction the two sides no longer agree where one starts.
    fn hang_up(&mut self) {
        self.ended = true;
        self.inbox.clear();
        // The connection is being given up: a failure to close it changes nothing for the caller.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

impl Channel for TcpChannel {
    fn send(&mut self, message: &[u8]) -> Result<(), TransportError> {
        if message.len() > self.limits.max_message {
            return Err(TransportError::too_large(message.len(), self.limits.max_message));
        }
        if self.ended {
            return Err(TransportError::Closed);
        }
        self.write_within(&frame::join(message)).inspect_err(|_| self.hang_up())
    }

    fn recv(&mut self) -> Result<Vec<u8>, TransportError> {
        if self.ended {
            return Err(TransportError::Closed);
        }
        let result = self.read_message();
        let only_waited = self.inbox.is_empty();
        if let Err(error) = &result
            && !(only_waited && matches!(error, TransportError::Timeout { .. }))
        {
            self.hang_up();
        }
        result
    }
}

fn resolve(address: &str) -> Result<impl Iterator<Item = SocketAddr>, TransportError> {
    address.to_socket_addrs().map_err(|error| TransportError::Address {
        address: address.to_owned(),
        reason: error.to_string(),
    })
}

fn connect_timeout(limits: &Limits) -> TransportError {
    TransportError::Timeout { what: "answer to the connection request", limit: limits.connect }
}

/// Time left, or `None` when it is over: the operating system takes a zero timeout for none at all.
fn left_until(deadline: Instant) -> Option<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    (!left.is_zero()).then_some(left)
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::NotConnected
            | ErrorKind::UnexpectedEof
    )
}

fn failed(doing: &'static str, source: io::Error) -> TransportError {
    TransportError::Io { doing, source }
}
