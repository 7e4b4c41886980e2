//! How long to wait for what.

use std::time::Duration;

/// How long to wait for what, and how much memory to spend.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tuning {
    /// How long a leader waits for work before it proposes an empty block, so that certificates stay fresh.
    pub heartbeat: Duration,
    /// Least time between two blocks with requests, unless a whole block's worth waits: fewer, larger blocks
    /// cost everybody less.
    pub pace: Duration,
    /// How long to wait for a leader's proposal.
    pub leader: Duration,
    /// How long to wait until a proposal is accepted.
    pub certification: Duration,
    /// How long to wait before asking again to skip a leader.
    pub retry: Duration,
    /// After how long a leader that is never heard of is passed over at once.
    pub skip: Duration,
    /// How long to wait for an answer of a peer.
    pub fetch: Duration,
    /// Bytes of each buffer of the stores of commonware.
    pub buffer: usize,
    /// Pages of 4 KiB that are cached of those stores.
    pub pages: usize,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(900),
            pace: Duration::from_millis(50),
            leader: Duration::from_millis(1_500),
            certification: Duration::from_millis(3_000),
            retry: Duration::from_millis(1_000),
            skip: Duration::from_millis(5_000),
            fetch: Duration::from_millis(1_000),
            buffer: 1 << 20,
            pages: 2_048,
        }
    }
}

impl Tuning {
    /// For simulations: small buffers.
    pub fn simulated() -> Self {
        Self { buffer: 4_096, pages: 64, ..Self::default() }
    }
}
