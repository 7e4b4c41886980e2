//! Keep the encrypted sessions with each contact, and open new ones with a hello.
//!
//! Up to [`MAX_LINES`] sessions with one contact are kept for reading, since hellos can cross. What
//! this side begins goes through the newest; an answer goes through the one it answers. A hello is
//! repeated with every packet until the other side was heard in its session.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use tally_core::card::SignedError;
use tally_core::cbor::{Decode, DecodeError, Encode, Reader, Writer};
use tally_core::id::DeviceId;
use tally_core::packet::Hello;
use tally_transport::session::{Hint, Role, Session, SessionError};
use zeroize::Zeroizing;

/// Most sessions that are kept with one contact.
pub(crate) const MAX_LINES: usize = 3;
/// Longest stored session, in bytes.
const MAX_SESSION: usize = 4096;

/// Why what another device sent cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// The bytes are no packet or message.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The hello's card or signature is not valid.
    #[error(transparent)]
    Signed(#[from] SignedError),
    /// The session does not open it.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// It is for somebody else, or for another network.
    #[error("this packet is for somebody else: give it to the person that it was made for")]
    NotForMe,
    /// The hello is older than one that was heard before.
    #[error("this packet is out of date: ask the other side to send it again")]
    Stale,
    /// Whoever answered is not the device that the packet was for.
    #[error("another device answers at this address: ask your contact for theirs, then try again")]
    WrongDevice,
    /// There are too many contacts to add another.
    #[error("this wallet has too many contacts to add another: use another wallet for strangers")]
    TooMany,
    /// The system gives no random bytes.
    #[error("the system gives no random bytes: try again, or restart the machine")]
    Random,
}

impl PeerError {
    /// Stable code of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Decode(e) => e.code(),
            Self::Signed(e) => e.code(),
            Self::Session(e) => e.code(),
            Self::NotForMe => "PEER_NOT_FOR_ME",
            Self::Stale => "PEER_STALE",
            Self::WrongDevice => "PEER_WRONG_DEVICE",
            Self::TooMany => "PEER_TOO_MANY",
            Self::Random => "PEER_RANDOM",
        }
    }

    /// Whether a new hello by the sender would help.
    pub(crate) fn wants_hello(&self) -> bool {
        let lost = matches!(
            self,
            Self::Session(
                SessionError::Unknown
                    | SessionError::Replay
                    | SessionError::Skipped
                    | SessionError::Forged
            )
        );
        lost || *self == Self::Stale
    }
}

/// One session, and the hello that goes with it until the other side was heard.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) session: Session,
    pub(crate) hello: Option<Hello>,
}

/// Which of a contact's sessions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LineId {
    generation: u64,
    role: Role,
}

impl Line {
    pub(crate) fn id(&self) -> LineId {
        LineId { generation: self.session.generation(), role: self.session.role() }
    }
}

/// The sessions with one contact, the one to begin with last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peer {
    /// The greatest generation that the contact said hello with.
    pub(crate) heard: u64,
    /// The greatest generation that this side said hello with.
    pub(crate) said: u64,
    pub(crate) lines: Vec<Line>,
    /// The hints that `lines` can open, as last indexed.
    pub(crate) hints: Vec<Hint>,
}

impl Peer {
    pub(crate) fn line(&mut self, id: LineId) -> Option<&mut Line> {
        self.lines.iter_mut().find(|line| line.id() == id)
    }

    /// Takes in a session; of crossing hellos, that of the smaller device counts on both sides.
    pub(crate) fn insert(&mut self, line: Line, me: &DeviceId, them: &DeviceId) {
        self.lines.retain(|known| known.id() != line.id());
        self.lines.push(line);
        let mine_counts = me < them;
        self.lines.sort_by_key(|line| {
            let mine = line.session.role() == Role::Initiator;
            (line.session.generation(), mine == mine_counts)
        });
        if self.lines.len() > MAX_LINES {
            self.lines.remove(0);
        }
    }

    /// The state as it is stored, encrypted.
    pub(crate) fn to_sealed(
        &self,
        key: &[u8; 32],
        contact: &DeviceId,
    ) -> Result<Vec<u8>, PeerError> {
        let plain = Zeroizing::new(self.to_plain());
        let mut nonce = [0; 24];
        getrandom::fill(&mut nonce).map_err(|_| PeerError::Random)?;
        let payload = Payload { msg: &plain, aad: contact.as_bytes() };
        let text = XChaCha20Poly1305::new(key.into())
            .encrypt(&nonce.into(), payload)
            .expect("a few kilobytes are below the cipher's limit");
        Ok([nonce.as_slice(), &text].concat())
    }

    /// Reads a stored state, if it was written under `key` for `contact`.
    pub(crate) fn from_sealed(bytes: &[u8], key: &[u8; 32], contact: &DeviceId) -> Option<Self> {
        let (nonce, text) = bytes.split_first_chunk::<24>()?;
        let payload = Payload { msg: text, aad: contact.as_bytes() };
        let plain = XChaCha20Poly1305::new(key.into()).decrypt(nonce.into(), payload).ok()?;
        let plain = Zeroizing::new(plain);
        let mut r = Reader::new(&plain);
        let (heard, said, lines) = r
            .record(3, |r| {
                let (heard, said) = (u64::decode(r)?, u64::decode(r)?);
                Ok((heard, said, r.list(MAX_LINES, decode_line)?))
            })
            .ok()?;
        r.finish().ok()?;
        Some(Self { heard, said, lines, hints: Vec::new() })
    }

    fn to_plain(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.array(3);
        self.heard.encode(&mut w);
        self.said.encode(&mut w);
        w.array(self.lines.len() as u64);
        for line in &self.lines {
            w.array(2);
            w.bytes(&line.session.to_bytes());
            line.hello.encode(&mut w);
        }
        w.into_bytes()
    }
}

fn decode_line(r: &mut Reader<'_>) -> Result<Line, DecodeError> {
    r.record(2, |r| {
        let bytes = r.bytes(MAX_SESSION)?;
        let session = Session::from_bytes(bytes).map_err(|_| DecodeError::OutOfRange)?;
        Ok(Line { session, hello: Decode::decode(r)? })
    })
}
