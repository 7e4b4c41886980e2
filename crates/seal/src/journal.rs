//! Remember the latest step outside the wallet's folder, to notice when the wallet was set back.
//!
//! The journal is a tripwire against accidents: a restored backup, a copied folder, a file system
//! snapshot of the wallet alone. Whoever sets back the journal together with the wallet passes it.
//!
//! One file of two blocks. Each record goes over the older of the two in one write, made durable
//! before [`Journal::observe`] returns; a write that is torn leaves the other block's record,
//! which is the step before. Each record is authenticated by a key of the owner's.
//!
//! | state on disk | what restarts see |
//! |---|---|
//! | no file, keystore expects none | [`Rollback::FirstUse`] |
//! | no file, keystore expects one | [`Rollback::Missing`] |
//! | file, keystore expects none | a crash between the first record and the keystore's flag: the record counts |
//! | one block torn | the other block's record: the wallet's intent is [`Rollback::Ahead`] |
//! | no block readable | [`Rollback::Unreadable`] |

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tally_core::cbor::{Decode, DecodeError, Encode, Reader, Writer};
use tally_core::device::{Entry, Position};
use tally_core::id::Head;

use crate::secret::Key;
use crate::{SealError, files};

/// Bytes of a block that hold a record; zero behind its end.
pub const RECORD: usize = 128;

/// Distance of the two blocks: on different pages and disk sectors, so that one torn write cannot
/// reach both.
const BLOCK: usize = 4096;

/// Length of a journal.
const JOURNAL: usize = 2 * BLOCK;

/// First item of every record.
const NAME: &str = "tally/v1/journal";

/// What the journal says about a wallet's latest step.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Rollback {
    /// None: the journal's latest step is this one.
    None,
    /// There is no journal and never was: right for a new wallet, which has taken no step.
    FirstUse,
    /// The wallet is behind the journal: it was set back.
    Behind {
        /// The latest step that the journal knows.
        journal_seq: u64,
    },
    /// The journal is behind the wallet. Where a step that is not signed comes after it, a crash came
    /// between the wallet and the journal: check the steps before. Otherwise it was set back.
    Ahead {
        /// The latest step that the journal knows.
        journal_seq: u64,
    },
    /// There was a journal and it is gone, as on another machine: nothing is known.
    Missing,
    /// The journal has no record that is whole and the owner's: nothing is known.
    Unreadable,
    /// The journal knows another head under this step's number: two histories.
    Contradiction,
}

impl fmt::Display for Rollback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LEARN: &str = "the wallet only receives until it has learned its latest step: sync";
        match self {
            Self::None => f.write_str("the wallet is where its journal says"),
            Self::FirstUse => f.write_str("the wallet is new: it has no journal yet"),
            Self::Behind { journal_seq } => write!(
                f,
                "the wallet was set back: this device has signed up to step {journal_seq}, and {LEARN}"
            ),
            Self::Ahead { journal_seq } => write!(
                f,
                "the journal ends at step {journal_seq}, before the wallet does: it was set back, and {LEARN}"
            ),
            Self::Missing => write!(f, "the wallet's journal is not on this machine, and {LEARN}"),
            Self::Unreadable => write!(f, "the wallet's journal is damaged, and {LEARN}"),
            Self::Contradiction => write!(
                f,
                "the journal has another step under this number: two copies of this wallet were used; {LEARN}"
            ),
        }
    }
}

/// One record of a journal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    generation: u64,
    seq: u64,
    head: Head,
    mac: [u8; 32],
}

impl Record {
    /// Reads a record from the start of a block: its encoding, then zeros up to [`RECORD`] bytes.
    /// Whether it is the owner's is not checked here.
    ///
    /// # Errors
    /// [`SealError::Damaged`] when the bytes are anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SealError> {
        let record = |r: &mut Reader<'_>| {
            if r.text(NAME.len())? != NAME {
                return Err(DecodeError::Unknown);
            }
            Ok(Self {
                generation: Decode::decode(r)?,
                seq: Decode::decode(r)?,
                head: Decode::decode(r)?,
                mac: Decode::decode(r)?,
            })
        };
        let mut r = Reader::new(bytes);
        let record = r.record(5, record).map_err(SealError::damaged)?;
        let padding = bytes.get(r.position()..).unwrap_or_default();
        if bytes.len() != RECORD || padding.iter().any(|b| *b != 0) {
            return Err(SealError::damaged(DecodeError::Trailing));
        }
        Ok(record)
    }

    /// The record as it stands in a block.
    pub fn to_bytes(&self) -> [u8; RECORD] {
        let mut w = Writer::new();
        w.array(5);
        self.encode_content(&mut w);
        self.mac.encode(&mut w);
        let mut bytes = w.into_bytes();
        bytes.resize(RECORD, 0);
        bytes.try_into().expect("the longest record has 103 bytes")
    }

    /// Number of the step.
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// Head after the step.
    pub const fn head(&self) -> Head {
        self.head
    }

    fn new(generation: u64, seq: u64, head: Head, key: &Key) -> Self {
        let mut record = Self { generation, seq, head, mac: [0; 32] };
        record.mac = record.authenticator(key).finalize().into_bytes().into();
        record
    }

    fn is_of(&self, key: &Key) -> bool {
        self.authenticator(key).verify_slice(&self.mac).is_ok()
    }

    fn authenticator(&self, key: &Key) -> Hmac<Sha256> {
        let mut w = Writer::new();
        w.array(4);
        self.encode_content(&mut w);
        let mut mac =
            Hmac::<Sha256>::new_from_slice(key.expose()).expect("HMAC takes keys of any length");
        mac.update(&w.into_bytes());
        mac
    }

    fn encode_content(&self, w: &mut Writer) {
        w.text(NAME);
        w.uint(self.generation);
        w.uint(self.seq);
        self.head.encode(w);
    }
}

/// The journal of one owner key.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    key: Key,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Absent,
    Unreadable,
    Open { file: File, last: Record },
}

impl Journal {
    /// Opens the journal at `path`, which need not exist, with the owner's key for journals.
    pub(crate) fn open(path: &Path, key: Key) -> Result<Self, SealError> {
        let failed = SealError::io("open the journal", path);
        let content = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => {
                let bytes = files::read_from(&file, JOURNAL).map_err(failed)?;
                match latest(&bytes, &key) {
                    Some(last) => Content::Open { file, last },
                    None => Content::Unreadable,
                }
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Content::Absent,
            Err(e) => return Err(failed(e)),
        };
        Ok(Self { path: path.to_owned(), key, content })
    }

    /// Compares a wallet's latest step with the journal. `expected`: whether there must be one.
    pub fn check(&self, expected: bool, seq: u64, head: &Head) -> Rollback {
        match &self.content {
            Content::Absent if expected || seq > 0 => Rollback::Missing,
            Content::Absent => Rollback::FirstUse,
            Content::Unreadable => Rollback::Unreadable,
            Content::Open { last, .. } => compare(last, seq, head),
        }
    }

    /// Where it ends, if it can be read.
    pub fn end(&self) -> Option<Position> {
        match &self.content {
            Content::Open { last, .. } => Some(Position { seq: last.seq, head: last.head }),
            Content::Absent | Content::Unreadable => None,
        }
    }

    /// Writes the step that is about to be signed; durable when this returns. Writing the latest step
    /// again changes nothing. Otherwise the journal must be at one of the places that the entry names.
    ///
    /// # Errors
    /// [`SealError::RolledBack`] when it is at none of them, or is not there though `expected`;
    /// [`SealError::Io`] when it cannot be written.
    pub fn observe(&mut self, expected: bool, entry: &Entry) -> Result<(), SealError> {
        let Position { seq, head } = entry.to;
        let told = self.check(expected, seq, &head);
        if told == Rollback::None {
            return Ok(());
        }
        let there = |at: &Position| {
            matches!(self.check(expected, at.seq, &at.head), Rollback::None | Rollback::FirstUse)
        };
        if entry.from.iter().any(there) {
            return self.append(seq, &head);
        }
        Err(SealError::RolledBack(told))
    }

    /// Makes this the latest step, whatever the journal held.
    ///
    /// # Errors
    /// [`SealError::Io`] when it cannot be written.
    pub fn adopt(&mut self, seq: u64, head: &Head) -> Result<(), SealError> {
        self.append(seq, head)
    }

    fn append(&mut self, seq: u64, head: &Head) -> Result<(), SealError> {
        let Content::Open { file, last } = &mut self.content else {
            return self.begin(seq, head);
        };
        // Counting every nanosecond, a generation would run out in 584 years.
        let next = Record::new(last.generation.saturating_add(1), seq, *head, &self.key);
        file.write_all_at(&next.to_bytes(), offset(next.generation))
            .and_then(|()| file.sync_data())
            .map_err(SealError::io("write the journal", &self.path))?;
        *last = next;
        Ok(())
    }

    /// Makes a new file with this step alone.
    fn begin(&mut self, seq: u64, head: &Head) -> Result<(), SealError> {
        let mut bytes = [0; JOURNAL];
        let first = Record::new(0, seq, *head, &self.key);
        bytes[..RECORD].copy_from_slice(&first.to_bytes());
        files::replace(&self.path, &bytes)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&self.path)
            .map_err(SealError::io("open the journal", &self.path))?;
        self.content = Content::Open { file, last: first };
        Ok(())
    }
}

fn compare(last: &Record, seq: u64, head: &Head) -> Rollback {
    match seq.cmp(&last.seq) {
        std::cmp::Ordering::Less => Rollback::Behind { journal_seq: last.seq },
        std::cmp::Ordering::Greater => Rollback::Ahead { journal_seq: last.seq },
        std::cmp::Ordering::Equal if *head == last.head => Rollback::None,
        std::cmp::Ordering::Equal => Rollback::Contradiction,
    }
}

/// The newer of the owner's records in the two blocks.
fn latest(bytes: &[u8], key: &Key) -> Option<Record> {
    [0, BLOCK]
        .into_iter()
        .filter_map(|at| Record::from_bytes(bytes.get(at..at + RECORD)?).ok())
        .filter(|record| record.is_of(key))
        .max_by_key(|record| record.generation)
}

/// Where the record of this generation goes: over the one before the last.
const fn offset(generation: u64) -> u64 {
    (generation & 1) * BLOCK as u64
}

#[cfg(test)]
mod tests;
