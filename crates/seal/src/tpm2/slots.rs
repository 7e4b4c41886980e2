//! Remember, on disk, which slot is about to be left for which transaction.
//!
//! One record a counter, in one file that is whole or old after a crash. The hardware decides what
//! is true; this file says what was meant, so that what the hardware shows can be explained.
//!
//! | record of the slot | counter | what it means |
//! |---|---|---|
//! | none | at the slot | nothing happened: the slot can be left |
//! | intent | at the slot | a crash before the increment: the slot can be left |
//! | intent | behind the slot | a crash after the increment: burned |
//! | proof | behind the slot | done: the same proof is given again |
//! | none | behind the slot | something else moved the counter |
//! | any | before the slot | the slot is made up, or the hardware was set back |

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tally_core::cbor::{Decode, DecodeError, Encode, Reader, Writer, from_bytes, to_bytes};
use tally_core::id::TxId;
use tally_core::seal::{MAX_COUNTERS, SealId, Slot, SlotProof};

use super::SlotFault;
use crate::{SealError, files};

/// First item of every file.
const NAME: &str = "tally/v1/slots";

/// Longest file, in bytes: every counter with the longest proof.
const MAX_FILE: usize = 160 * 1024;

/// What was last meant to be done with a counter.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Record {
    counter: u32,
    value: u64,
    tx: TxId,
    proof: Option<SlotProof>,
}

/// The records of one seal.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Records {
    seal: SealId,
    records: BTreeMap<u32, Record>,
}

/// What can be done for a slot and a transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Course {
    /// The slot can be left for the transaction.
    Leave,
    /// It was left for it, with this proof.
    Done(SlotProof),
    /// It gives no proof for it.
    No(SlotFault),
}

/// The slots' file of one seal.
#[derive(Debug)]
pub(crate) struct SlotJournal {
    path: PathBuf,
    content: Records,
}

impl SlotJournal {
    /// Opens the file at `path`, which need not exist. A file of another seal is begun anew: its
    /// slots are not this seal's.
    pub(crate) fn open(path: &Path, seal: SealId) -> Result<Self, SealError> {
        let new = Records { seal, records: BTreeMap::new() };
        let content = match files::read(path, MAX_FILE)? {
            None => new,
            Some(bytes) => {
                let known: Records = from_bytes(&bytes).map_err(SealError::damaged)?;
                if known.seal == seal { known } else { new }
            }
        };
        Ok(Self { path: path.to_owned(), content })
    }

    /// What can be done for `slot` and `tx` when the hardware's counter is at `value`.
    pub(crate) fn course(&self, slot: &Slot, tx: &TxId, value: u64) -> Course {
        let record = self.content.records.get(&slot.counter).filter(|r| r.value == slot.value);
        match record.and_then(|r| r.proof.as_ref().map(|proof| (r.tx == *tx, proof))) {
            Some((true, proof)) => return Course::Done(proof.clone()),
            Some((false, _)) => return Course::No(SlotFault::Spent),
            None => {}
        }
        match value.cmp(&slot.value) {
            std::cmp::Ordering::Equal => Course::Leave,
            std::cmp::Ordering::Less => Course::No(SlotFault::Ahead),
            std::cmp::Ordering::Greater if record.is_some() => Course::No(SlotFault::Burned),
            std::cmp::Ordering::Greater => Course::No(SlotFault::Moved),
        }
    }

    /// Makes the intent durable.
    pub(crate) fn intend(&mut self, slot: &Slot, tx: &TxId) -> Result<(), SealError> {
        self.put(Record { counter: slot.counter, value: slot.value, tx: *tx, proof: None })
    }

    /// Makes the proof durable.
    pub(crate) fn done(
        &mut self,
        slot: &Slot,
        tx: &TxId,
        proof: SlotProof,
    ) -> Result<(), SealError> {
        let proof = Some(proof);
        self.put(Record { counter: slot.counter, value: slot.value, tx: *tx, proof })
    }

    fn put(&mut self, record: Record) -> Result<(), SealError> {
        let mut next = self.content.clone();
        next.records.insert(record.counter, record);
        files::replace(&self.path, &to_bytes(&next))?;
        self.content = next;
        Ok(())
    }
}

impl Encode for Record {
    fn encode(&self, w: &mut Writer) {
        w.array(4);
        self.counter.encode(w);
        self.value.encode(w);
        self.tx.encode(w);
        self.proof.encode(w);
    }
}

impl Decode for Record {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.record(4, |r| {
            Ok(Self {
                counter: Decode::decode(r)?,
                value: Decode::decode(r)?,
                tx: Decode::decode(r)?,
                proof: Decode::decode(r)?,
            })
        })
    }
}

impl Encode for Records {
    fn encode(&self, w: &mut Writer) {
        w.array(3);
        w.text(NAME);
        self.seal.encode(w);
        w.array(self.records.len() as u64);
        for record in self.records.values() {
            record.encode(w);
        }
    }
}

impl Decode for Records {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.record(3, |r| {
            if r.text(NAME.len())? != NAME {
                return Err(DecodeError::Unknown);
            }
            let seal = Decode::decode(r)?;
            let list = r.list(MAX_COUNTERS.into(), Record::decode)?;
            if !list.windows(2).all(|pair| pair[0].counter < pair[1].counter) {
                return Err(DecodeError::Unsorted);
            }
            Ok(Self { seal, records: list.into_iter().map(|r| (r.counter, r)).collect() })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tally_core::id::Digest;

    fn seal(byte: u8) -> SealId {
        SealId::new(Digest::new([byte; 32]))
    }

    fn slot(counter: u32, value: u64) -> Slot {
        Slot { seal: seal(1), counter, value }
    }

    const TX: TxId = TxId::new([2; 32]);
    const OTHER: TxId = TxId::new([3; 32]);

    #[test]
    fn each_row_of_the_table_has_its_course() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("slots");
        let mut journal = SlotJournal::open(&path, seal(1)).unwrap();
        let at = |journal: &SlotJournal, tx, value| journal.course(&slot(0, 5), tx, value);
        assert_eq!(at(&journal, &TX, 5), Course::Leave);
        assert_eq!(at(&journal, &TX, 6), Course::No(SlotFault::Moved));
        assert_eq!(at(&journal, &TX, 4), Course::No(SlotFault::Ahead));
        journal.intend(&slot(0, 5), &TX).unwrap();
        let mut journal = SlotJournal::open(&path, seal(1)).unwrap();
        assert_eq!(at(&journal, &TX, 5), Course::Leave);
        assert_eq!(at(&journal, &OTHER, 5), Course::Leave);
        assert_eq!(at(&journal, &TX, 6), Course::No(SlotFault::Burned));
        let proof = SlotProof::new(vec![7; 82]).unwrap();
        journal.done(&slot(0, 5), &TX, proof.clone()).unwrap();
        let mut journal = SlotJournal::open(&path, seal(1)).unwrap();
        assert_eq!(at(&journal, &TX, 6), Course::Done(proof.clone()));
        assert_eq!(at(&journal, &TX, 60), Course::Done(proof));
        assert_eq!(at(&journal, &OTHER, 6), Course::No(SlotFault::Spent));
        assert_eq!(journal.course(&slot(1, 5), &TX, 6), Course::No(SlotFault::Moved));
        journal.intend(&slot(0, 6), &TX).unwrap();
        assert_eq!(at(&journal, &TX, 7), Course::No(SlotFault::Moved));
    }

    #[test]
    fn another_seals_records_are_not_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("slots");
        SlotJournal::open(&path, seal(1)).unwrap().intend(&slot(0, 5), &TX).unwrap();
        let other = SlotJournal::open(&path, seal(9)).unwrap();
        assert_eq!(other.course(&slot(0, 5), &TX, 6), Course::No(SlotFault::Moved));
    }

    #[test]
    fn a_damaged_file_is_an_error_and_the_longest_one_fits() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("slots");
        let mut journal = SlotJournal::open(&path, seal(1)).unwrap();
        for counter in 0..u32::from(MAX_COUNTERS) {
            let proof = SlotProof::new(vec![7; tally_core::seal::MAX_SLOT_PROOF]).unwrap();
            let record = Record { counter, value: u64::MAX, tx: TX, proof: Some(proof) };
            journal.content.records.insert(counter, record);
        }
        journal.intend(&slot(0, 5), &TX).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert!(bytes.len() <= MAX_FILE);
        assert_eq!(SlotJournal::open(&path, seal(1)).unwrap().content, journal.content);
        for damaged in [&bytes[..bytes.len() - 1], &bytes[1..], &[&bytes[..], &[0]].concat()] {
            std::fs::write(&path, damaged).unwrap();
            let error = SlotJournal::open(&path, seal(1)).unwrap_err();
            assert_eq!(error.code(), "SEAL_DAMAGED");
        }
    }
}
