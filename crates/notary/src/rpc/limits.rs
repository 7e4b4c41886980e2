//! Bound what strangers can make a node hold, wait for and do.

use std::time::Duration;

/// Connections at once, unless configured otherwise. One holds at most about 100 KB beside its body.
pub const MAX_CONNECTIONS: usize = 4_096;

/// Connections at once from one address (of IPv6: from one /64), unless configured otherwise.
pub const MAX_CONNECTIONS_PER_ADDRESS: usize = 512;

/// Posts worked on at once, unless configured otherwise.
pub const MAX_IN_FLIGHT: usize = 4_096;

/// Questions held open for a proof at once, unless configured otherwise: others are answered at once.
pub const MAX_HELD: usize = 1_024;

/// Answers of megabytes in memory at once, unless configured otherwise.
pub const MAX_HEAVY: usize = 4;

/// Bytes of all bodies in memory at once, unless configured otherwise.
pub const MAX_BUFFERED: usize = 64 << 20;

/// Bytes that a connection buffers of a request before it is parsed, headers included.
pub const MAX_READ_BUFFER: usize = 32 << 10;

/// Header fields of a request.
pub const MAX_HEADERS: usize = 64;

/// What a node takes at once, and how long it waits for a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Connections at once from one address. Raise it behind a proxy, from which all of them come.
    pub connections_per_address: usize,
    /// Posts worked on at once.
    pub in_flight: usize,
    /// Questions held open for a proof at once.
    pub held: usize,
    /// Answers of megabytes at once.
    pub heavy: usize,
    /// Bytes of bodies at once.
    pub buffered: usize,
    /// For all headers of a request, and for the next request on an open connection.
    pub header_time: Duration,
    /// For all of a body.
    pub body_time: Duration,
    /// For the backend, beyond what the call asked to wait.
    pub call_time: Duration,
    /// For a peer to take what was written to it.
    pub write_time: Duration,
    /// For open calls when the server is stopped.
    pub stop_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: MAX_CONNECTIONS,
            connections_per_address: MAX_CONNECTIONS_PER_ADDRESS,
            in_flight: MAX_IN_FLIGHT,
            held: MAX_HELD,
            heavy: MAX_HEAVY,
            buffered: MAX_BUFFERED,
            header_time: Duration::from_secs(30),
            body_time: Duration::from_secs(10),
            call_time: Duration::from_secs(10),
            write_time: Duration::from_secs(60),
            stop_time: Duration::from_secs(5),
        }
    }
}
