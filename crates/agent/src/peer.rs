//! Keep the encrypted sessions with each contact, and open new ones with a hello.
//!
//! Up to [`MAX_LINES`] sessions with one contact are kept for reading, since hellos can cross. What
//! this side begins goes through the newest; an answer goes through the one it answers. A hello is
//! repeated with every packet until the other side was heard in its session.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use tally_core::card::{Signed, SignedError};
use tally_core::cbor::{Blob, Decode, DecodeError, Encode, Reader, Writer};
use tally_core::id::DeviceId;
use tally_core::keys::Signature;
use tally_core::packet::MAX_HELLO;
use tally_transport::session::{
    Gone, Heard, Hint, MARGIN, MAX_AHEAD, Role, Session, SessionError, next_generation,
};
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
    /// The hello is from the future, and from somebody who is no contact.
    #[error(
        "this packet is of a time to come: check date and time of both devices, then send it again"
    )]
    Clock,
    /// The hello was heard before, or is older than one that was.
    #[error("this packet is out of date: ask the other side to send it again")]
    Stale,
    /// Whoever answered is not the device that the packet was for.
    #[error("another device answers at this address: ask your contact for theirs, then try again")]
    WrongDevice,
    /// There are too many contacts to add another.
    #[error("this wallet has too many contacts to add another: use another wallet for strangers")]
    TooMany,
}

impl PeerError {
    /// Stable code of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Decode(e) => e.code(),
            Self::Signed(e) => e.code(),
            Self::Session(e) => e.code(),
            Self::NotForMe => "PEER_NOT_FOR_ME",
            Self::Clock => "PEER_CLOCK",
            Self::Stale => "PEER_STALE",
            Self::WrongDevice => "PEER_WRONG_DEVICE",
            Self::TooMany => "PEER_TOO_MANY",
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
        lost || matches!(self, Self::Stale | Self::Clock)
    }
}

/// One session, and the hello that goes with it until the other side was heard.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) session: Session,
    pub(crate) hello: Option<Blob<MAX_HELLO>>,
}

/// Which of a contact's sessions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LineId {
    generation: u64,
    role: Role,
}

#[cfg(test)]
impl LineId {
    /// A session that there never was.
    pub(crate) const fn none() -> Self {
        Self { generation: 0, role: Role::Initiator }
    }
}

impl Line {
    pub(crate) fn id(&self) -> LineId {
        LineId { generation: self.session.generation(), role: self.session.role() }
    }
}

/// The sessions with one contact, the one to begin with last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peer {
    /// The generations that the contact said hello with.
    pub(crate) heard: Heard,
    /// The greatest generation that this side said hello with.
    pub(crate) said: u64,
    pub(crate) lines: Vec<Line>,
    /// The hints that `lines` can open, as last indexed.
    pub(crate) hints: Vec<Hint>,
}

impl Peer {
    /// The generation of the next hello to this contact, who told to be above `told`.
    pub(crate) fn next_generation(&self, told: u64, micros: u64) -> u64 {
        let answers = |line: &Line| {
            let id = line.id();
            line.hello.is_none() && id.role == Role::Initiator && id.generation == self.said
        };
        next_generation(self.said, self.lines.iter().any(answers), told, micros)
    }

    /// Whether the newest session was begun by a clock that was far ahead, and nobody answered in it: a
    /// file has no way back by which it could be refused and said anew.
    pub(crate) fn begins_ahead(&self, micros: u64) -> bool {
        self.lines.last().is_some_and(|line| {
            line.hello.is_some() && line.id().generation > micros.saturating_add(MARGIN)
        })
    }

    pub(crate) fn line(&mut self, id: LineId) -> Option<&mut Line> {
        self.lines.iter_mut().find(|line| line.id() == id)
    }

    /// Opens an envelope with the session that it belongs to.
    pub(crate) fn open(&mut self, envelope: &[u8]) -> Result<(LineId, Vec<u8>), SessionError> {
        let hint = Hint::of(envelope)?;
        let line = self.lines.iter_mut().find(|line| line.session.hints().contains(&hint));
        let line = line.ok_or(SessionError::Unknown)?;
        let plain = line.session.open(envelope)?;
        // Whoever answers in a session has heard its hello.
        line.hello = None;
        Ok((line.id(), plain))
    }

    /// Takes in a session, as the one to begin with: what came last is newest, whatever a clock says.
    pub(crate) fn insert(&mut self, line: Line) {
        self.lines.retain(|known| known.id() != line.id());
        self.lines.push(line);
        if self.lines.len() > MAX_LINES {
            self.lines.remove(0);
        }
    }

    /// The state as it is stored, encrypted.
    pub(crate) fn to_sealed(&self, key: &[u8; 32], contact: &DeviceId, nonce: [u8; 24]) -> Vec<u8> {
        let plain = Zeroizing::new(self.to_plain());
        let payload = Payload { msg: &plain, aad: contact.as_bytes() };
        let text = XChaCha20Poly1305::new(key.into())
            .encrypt(&nonce.into(), payload)
            .expect("a few kilobytes are below the cipher's limit");
        [nonce.as_slice(), &text].concat()
    }

    /// Reads a stored state, if it was written under `key` for `contact`.
    pub(crate) fn from_sealed(bytes: &[u8], key: &[u8; 32], contact: &DeviceId) -> Option<Self> {
        let (nonce, text) = bytes.split_first_chunk::<24>()?;
        let payload = Payload { msg: text, aad: contact.as_bytes() };
        let plain = XChaCha20Poly1305::new(key.into()).decrypt(nonce.into(), payload).ok()?;
        Self::from_plain(&Zeroizing::new(plain))
    }

    /// Reads what [`Peer::to_plain`] wrote, or an earlier version of this program.
    fn from_plain(plain: &[u8]) -> Option<Self> {
        let mut r = Reader::new(plain);
        let peer = r.counted(3, 4, decode_peer).ok()?;
        r.finish().ok()?;
        Some(peer)
    }

    fn to_plain(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.array(4);
        self.heard.floor().encode(&mut w);
        self.said.encode(&mut w);
        w.array(self.lines.len() as u64);
        for line in &self.lines {
            w.array(2);
            w.bytes(&line.session.to_bytes());
            line.hello.encode(&mut w);
        }
        encode_ahead(&self.heard, &mut w);
        w.into_bytes()
    }
}

/// A peer as this program stores it, in 4 items, or as one before it did, in 3.
fn decode_peer(r: &mut Reader<'_>, items: u64) -> Result<Peer, DecodeError> {
    let (floor, said) = (u64::decode(r)?, u64::decode(r)?);
    let lines = r.list(MAX_LINES, decode_line)?;
    let ahead = if items == 4 { decode_ahead(r)? } else { Vec::new() };
    let heard = Heard::of(floor, ahead).ok_or(DecodeError::OutOfRange)?;
    let lines = lines.into_iter().flatten().collect();
    Ok(Peer { heard, said, lines, hints: Vec::new() })
}

fn encode_ahead(heard: &Heard, w: &mut Writer) {
    w.array(heard.ahead().len() as u64);
    for (first, last) in heard.ahead() {
        w.array(2);
        first.encode(w);
        last.encode(w);
    }
}

fn decode_ahead(r: &mut Reader<'_>) -> Result<Vec<(u64, u64)>, DecodeError> {
    r.list(MAX_AHEAD, |r| r.record(2, |r| Ok((u64::decode(r)?, u64::decode(r)?))))
}

/// A line; nothing if its hello has the form that is no longer said: a new hello comes next.
fn decode_line(r: &mut Reader<'_>) -> Result<Option<Line>, DecodeError> {
    r.record(2, |r| {
        let bytes = r.bytes(MAX_SESSION)?;
        let session = Session::from_bytes(bytes).map_err(|_| DecodeError::OutOfRange)?;
        if r.null()? {
            return Ok(Some(Line { session, hello: None }));
        }
        if r.is_bytes()? {
            return Ok(Some(Line { session, hello: Some(Decode::decode(r)?) }));
        }
        skip_old_hello(r).map(|()| None)
    })
}

/// Card, receiver, generation, ciphertext, signature: a hello that was not encrypted.
fn skip_old_hello(r: &mut Reader<'_>) -> Result<(), DecodeError> {
    r.record(5, |r| {
        Signed::decode(r)?;
        DeviceId::decode(r)?;
        u64::decode(r)?;
        Blob::<2048>::decode(r)?;
        Signature::decode(r).map(drop)
    })
}

/// The sessions with everybody, and by which hint each is found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peers {
    all: BTreeMap<DeviceId, Peer>,
    hints: BTreeMap<Hint, DeviceId>,
    /// The hellos that were heard of whoever is no contact.
    gone: Gone,
}

impl Peers {
    /// What is kept of this device, or of somebody new.
    pub(crate) fn copy_of(&self, device: &DeviceId, is_contact: bool) -> Peer {
        let new = || Peer { heard: self.gone.heard(is_contact), ..Peer::default() };
        self.all.get(device).cloned().unwrap_or_else(new)
    }

    /// Whether a hello of somebody who is no contact is not too far ahead of the clock.
    pub(crate) fn admits(&self, generation: u64, micros: u64) -> bool {
        self.gone.admits(generation, micros)
    }

    /// What was heard of everybody who is gone, in the form in which a contact is stored.
    pub(crate) fn gone(&self) -> Peer {
        let Gone { strangers, removed } = self.gone.clone();
        Peer { heard: removed, said: strangers, ..Peer::default() }
    }

    /// Takes over what [`Peers::gone`] gave.
    pub(crate) fn set_gone(&mut self, stored: Peer) {
        self.gone = Gone { strangers: stored.said, removed: stored.heard };
    }

    pub(crate) fn get(&self, contact: &DeviceId) -> Option<&Peer> {
        self.all.get(contact)
    }

    pub(crate) fn get_mut(&mut self, contact: &DeviceId) -> Option<&mut Peer> {
        self.all.get_mut(contact)
    }

    /// Everybody with whom there is or was a session.
    pub(crate) fn contacts(&self) -> Vec<DeviceId> {
        self.all.keys().copied().collect()
    }

    /// Whose session an envelope with this hint belongs to.
    pub(crate) fn of(&self, hint: &Hint) -> Option<DeviceId> {
        self.hints.get(hint).copied()
    }

    /// Replaces what is kept of a contact.
    pub(crate) fn put(&mut self, contact: DeviceId, mut peer: Peer) {
        if let Some(known) = self.all.get_mut(&contact) {
            peer.hints = core::mem::take(&mut known.hints);
        }
        self.all.insert(contact, peer);
        self.index(&contact);
    }

    /// Notes which hints belong to a contact.
    pub(crate) fn index(&mut self, contact: &DeviceId) {
        let Some(peer) = self.all.get_mut(contact) else { return };
        let hints: Vec<Hint> = peer.lines.iter().flat_map(|line| line.session.hints()).collect();
        for hint in core::mem::replace(&mut peer.hints, hints) {
            self.hints.remove(&hint);
        }
        self.hints.extend(peer.hints.iter().map(|hint| (*hint, *contact)));
    }

    /// Forgets a device at `micros`.
    pub(crate) fn remove(&mut self, device: &DeviceId, micros: u64, was_contact: bool) {
        let Some(peer) = self.all.remove(device) else { return };
        self.gone.forget(&peer.heard, micros, was_contact);
        peer.hints.iter().for_each(|hint| {
            self.hints.remove(hint);
        });
    }
}

#[cfg(test)]
mod tests;
