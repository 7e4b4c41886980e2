//! Say what two devices tell each other at a meeting.
//!
//! Each tells in short what it knows, page by page, and what it lacks of what the other told; the
//! answers bring what convicts, what was asked for, and steps that were lost (spec `SYNC-1` to
//! `SYNC-6`).

use alloc::vec::Vec;

use super::{History, Message, Room, Told};
use crate::cbor::{Encode, List, record};
use crate::evidence::Sighting;
use crate::fork::{Branch, ForkProof};
use crate::hash::{Tag, hash};
use crate::id::Link;
use crate::keys::PublicKey;
use crate::seal::Revocation;

/// Most steps of which one page tells that they were seen.
pub const MAX_SEEN: usize = 1024;
/// Most convicted keys that one page names, and most of which it asks for the proof.
pub const MAX_TOLD_FORKS: usize = 256;
/// Most revocation lists that one page names, and most that it asks for.
pub const MAX_TOLD_LISTS: usize = 4;
/// Most fork proofs in one message.
pub const MAX_FORKS: usize = 64;
/// Most branches in one message.
pub const MAX_BRANCHES: usize = 256;

/// A step that was seen, in few bytes: enough to notice that two of them cannot both be honest.
///
/// Heads are 16 bytes, so that nobody finds two steps whose heads look the same here; of key and
/// coin less is needed, as nothing is gained by making others look the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Seen {
    /// The start of the hash of the device's key.
    pub key: [u8; 8],
    /// The number of the step.
    pub seq: u64,
    /// The start of the head before it.
    pub before: [u8; 16],
    /// The start of the head after it.
    pub after: [u8; 16],
    /// The start of the coin that it spends.
    pub coin: [u8; 8],
}

record!(Seen { key, seq, before, after, coin });

impl Seen {
    /// The short form of a step of `key`.
    pub fn of(key: &PublicKey, branch: &Branch) -> Self {
        Self {
            key: Self::key(key),
            seq: branch.step.seq,
            before: start(branch.step.head.as_bytes()),
            after: start(branch.head_after().as_bytes()),
            coin: start(branch.coin.as_bytes()),
        }
    }

    /// The short form of a key.
    pub fn key(key: &PublicKey) -> [u8; 8] {
        start(&hash(Tag::Device, &[key]))
    }

    /// Whether both may be true of one honest device. Two inputs of one transaction may.
    pub fn fits(&self, other: &Self) -> bool {
        if self.key != other.key || (self.seq, self.after) == (other.seq, other.after) {
            return true;
        }
        let follows =
            |a: &Self, b: &Self| a.seq.checked_add(1) == Some(b.seq) && a.after != b.before;
        self.seq != other.seq
            && self.before != other.before
            && self.coin != other.coin
            && !follows(self, other)
            && !follows(other, self)
    }
}

/// A key of which something is known that has a proof: the first 16 bytes of its hash, so that nobody
/// finds two keys of which one hides the other.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct KeyHash([u8; 16]);

impl KeyHash {
    /// The short form of a key.
    pub fn of(key: &PublicKey) -> Self {
        Self(start(&hash(Tag::Device, &[key])))
    }
}

impl Encode for KeyHash {
    fn encode(&self, w: &mut crate::cbor::Writer) {
        self.0.encode(w);
    }
}

impl crate::cbor::Decode for KeyHash {
    fn decode(r: &mut crate::cbor::Reader<'_>) -> Result<Self, crate::cbor::DecodeError> {
        crate::cbor::Decode::decode(r).map(Self)
    }
}

fn start<const N: usize>(bytes: &[u8; 32]) -> [u8; N] {
    let mut short = [0; N];
    short.copy_from_slice(&bytes[..N]);
    short
}

/// A revocation list, in short.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ToldList {
    /// Whose list it is.
    pub enroller: KeyHash,
    /// Its number.
    pub number: u64,
}

record!(ToldList { enroller, number });

/// What one side asks for, of what the other told on its last page.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Wants {
    /// The convicted keys whose proofs it lacks.
    pub forks: List<KeyHash, MAX_TOLD_FORKS>,
    /// The enrollers of whose lists it lacks the latest.
    pub lists: List<KeyHash, MAX_TOLD_LISTS>,
}

record!(Wants { forks, lists });

impl Wants {
    /// Whether it asks for nothing.
    pub fn is_empty(&self) -> bool {
        self.forks.is_empty() && self.lists.is_empty()
    }
}

/// One page of what one side of a meeting knows, in short, and where the two stand.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Sync {
    /// Which page this is, from 0.
    pub page: u32,
    /// Whether this side has more pages.
    pub more: bool,
    /// Where your payments to me stand.
    pub link: Link,
    /// The number of the step up to which I know my own, so that you can tell me of later ones.
    pub seq: u64,
    /// Whether I was restored from a backup, or know that steps of mine are missing.
    pub restored: bool,
    /// Steps that I have seen of others, of whom I can convict none.
    pub seen: List<Seen, MAX_SEEN>,
    /// Keys that I can convict.
    pub forks: List<KeyHash, MAX_TOLD_FORKS>,
    /// Revocation lists that I have.
    pub lists: List<ToldList, MAX_TOLD_LISTS>,
    /// What I lack of what your last page told.
    pub wants: Wants,
}

record!(Sync { page, more, link, seq, restored, seen, forks, lists, wants });

/// What one side of a meeting knows that the other needs. There may be more of it in other messages.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Findings {
    /// My side of steps of which the other said something that does not fit.
    pub branches: List<Sighting, MAX_BRANCHES>,
    /// Forks that I can prove.
    pub forks: List<ForkProof, MAX_FORKS>,
    /// Enrollers' lists of seals that they no longer vouch for.
    pub lists: List<Revocation, MAX_TOLD_LISTS>,
}

record!(Findings { branches, forks, lists });

impl Findings {
    fn is_empty(&self) -> bool {
        self.branches.is_empty() && self.forks.is_empty() && self.lists.is_empty()
    }
}

/// The answer to [`Sync`].
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SyncReply {
    /// My own page.
    pub sync: Sync,
    /// What I found in yours.
    pub findings: Findings,
    /// On the first page, your steps that you may have lost; absent unless you said that you were
    /// restored or are behind, so that an answer from before does not pass for one.
    pub history: Option<History>,
}

record!(SyncReply { sync, findings, history });

/// The end of a page, by the side that began the meeting.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SyncEnd {
    /// What I found in your answer.
    pub findings: Findings,
    /// As in [`SyncReply`].
    pub history: Option<History>,
}

record!(SyncEnd { findings, history });

/// All that answers one page, before it is put into messages.
#[derive(Debug, Default)]
pub struct Answer {
    /// See [`Findings::branches`].
    pub branches: Vec<Sighting>,
    /// See [`Findings::forks`].
    pub forks: Vec<ForkProof>,
    /// See [`Findings::lists`].
    pub lists: Vec<Revocation>,
    /// See [`History::steps`].
    pub history: Option<Vec<Told>>,
}

impl Answer {
    /// The answer in as many messages as it takes. The last is the one that `close` makes: it has the
    /// history, and as much of the findings as still fits.
    pub fn messages(
        mut self,
        close: impl Fn(Findings, Option<History>) -> Message,
    ) -> Vec<Message> {
        let empty = self.history.as_ref().map(|_| History::default());
        let mut room = Room::beside(&close(Findings::default(), empty));
        let history = self.history.take().map(|told| History::page(&mut room, told));
        let last = self.findings(&mut room);
        let mut messages = Vec::new();
        loop {
            let fixed = Message::Findings(Findings::default());
            let part = self.findings(&mut Room::beside(&fixed));
            if part.is_empty() {
                break;
            }
            messages.push(Message::Findings(part));
        }
        messages.push(close(last, history));
        messages
    }

    fn findings(&mut self, room: &mut Room) -> Findings {
        let branches = room.fill(&mut self.branches);
        let forks = room.fill(&mut self.forks);
        Findings { branches, forks, lists: room.fill(&mut self.lists) }
    }
}
