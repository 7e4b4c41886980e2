//! Store a session and read it back.
//!
//! ```text
//! version (1 byte: 1) ‖ role (1: 0 initiator, 1 responder) ‖ generation (8) ‖ send counter + 16 (8)
//! ‖ next counter (8) ‖ chain of payments made ‖ chain of payments received
//! chain = first index (8) ‖ send offset (1) ‖ entries (1, at most 5) ‖ entries × (link (32) ‖ key (32))
//! ```
//! Numbers are big-endian.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use zeroize::Zeroizing;

use super::chain::{Chain, Entry};
use super::keys::Key;
use super::{MAX_PENDING, RESERVED, Role, Session, SessionError};

const VERSION: u8 = 1;

/// Longest stored form of a session, in bytes.
pub(super) const MAX_STORED: usize = 26 + 2 * (10 + (MAX_PENDING + 1) * 64);

impl Session {
    /// The stored form: secret bytes, to be encrypted at rest, and wiped when dropped.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        // All room is taken at once, so that growing leaves no copy of a key behind.
        let mut out = Zeroizing::new(Vec::with_capacity(MAX_STORED));
        out.push(VERSION);
        out.push(match self.role {
            Role::Initiator => 0,
            Role::Responder => 1,
        });
        out.extend_from_slice(&self.generation.to_be_bytes());
        out.extend_from_slice(&self.send_counter.saturating_add(RESERVED).to_be_bytes());
        out.extend_from_slice(&self.next_counter.to_be_bytes());
        for chain in [&self.paying, &self.paid] {
            out.extend_from_slice(&chain.first.to_be_bytes());
            // Both fit: a chain has at most MAX_PENDING + 1 entries.
            out.push(chain.send as u8);
            out.push(chain.entries.len() as u8);
            for entry in &chain.entries {
                out.extend_from_slice(&entry.link);
                out.extend_from_slice(&entry.key.0);
            }
        }
        out
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`SessionError::State`] if the bytes are not exactly one session of a known version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SessionError> {
        let mut input = Input(bytes);
        if input.byte()? != VERSION {
            return Err(SessionError::State("unknown version"));
        }
        let role = match input.byte()? {
            0 => Role::Initiator,
            1 => Role::Responder,
            _ => return Err(SessionError::State("unknown role")),
        };
        let (generation, send_counter) = (input.number()?, input.number()?);
        let session = Self {
            role,
            generation,
            send_counter,
            covered: send_counter,
            grown: false,
            next_counter: input.number()?,
            paying: input.chain()?,
            paid: input.chain()?,
            epochs: BTreeMap::new(),
        };
        if !input.0.is_empty() {
            return Err(SessionError::State("bytes left over"));
        }
        let session = Self { grown: false, ..session.prepared() };
        Ok(session)
    }
}

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], SessionError> {
        let (taken, rest) =
            self.0.split_first_chunk::<N>().ok_or(SessionError::State("cut short"))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, SessionError> {
        self.take().map(|[byte]| byte)
    }

    fn number(&mut self) -> Result<u64, SessionError> {
        self.take().map(u64::from_be_bytes)
    }

    fn chain(&mut self) -> Result<Chain, SessionError> {
        let first = self.number()?;
        let send = usize::from(self.byte()?);
        let count = usize::from(self.byte()?);
        if count > MAX_PENDING + 1 || send >= count {
            return Err(SessionError::State("chain out of range"));
        }
        let mut entries = VecDeque::with_capacity(count);
        for _ in 0..count {
            let link = self.take()?;
            let key = Key(self.take()?);
            entries.push_back(Entry { link, key });
        }
        Ok(Chain { first, send, entries })
    }
}
