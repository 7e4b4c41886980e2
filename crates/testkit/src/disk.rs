//! Keep what an agent made durable, and lose power at a chosen write.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{RefCell, RefMut};

use tally_agent::{Batch, Issued, Store};
use tally_core::cbor::from_bytes;
use tally_core::device::Change;
use tally_core::id::{AssetId, DeviceId, Head, TxId};

use crate::conformance::Contents;

/// A disk in memory: each batch is on it whole or not at all. Its clone is another disk with the same
/// contents; [`Disk::beside`] is the same disk, in the hands of another program.
#[derive(Debug, Default)]
pub struct Disk {
    platter: Rc<RefCell<Platter>>,
    /// The count of batches, as this program last read or wrote it.
    revision: u64,
    /// How many batches were written by this program.
    pub writes: usize,
    /// Power fails at the write after so many, before it or just after it.
    pub fuse: Option<(u32, bool)>,
}

/// What is durable.
#[derive(Clone, Debug, Default)]
struct Platter {
    revision: u64,
    contents: Contents,
}

/// Why a batch was not written, or not confirmed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DiskError {
    /// Power failed: what the agent has in memory is gone.
    #[error("power failed")]
    PowerCut,
    /// Another program has written to the disk since this one read or wrote it.
    #[error("another program has written")]
    Moved,
}

impl Clone for Disk {
    fn clone(&self) -> Self {
        let platter = Rc::new(RefCell::new(self.platter().clone()));
        Self { platter, revision: self.revision, writes: self.writes, fuse: self.fuse }
    }
}

impl Disk {
    /// The same disk in the hands of another program, which has read it as it is.
    #[must_use]
    pub fn beside(&self) -> Self {
        let revision = self.platter().revision;
        Self { platter: Rc::clone(&self.platter), revision, writes: 0, fuse: None }
    }

    fn platter(&self) -> RefMut<'_, Platter> {
        self.platter.borrow_mut()
    }

    /// Reads the disk: from now on this program writes after what is there.
    pub fn read(&mut self) {
        let revision = self.platter().revision;
        self.revision = revision;
    }

    /// The device's records.
    pub fn changes(&self) -> Vec<Change> {
        let read = |record: &Vec<u8>| from_bytes(record).expect("what was stored can be read");
        self.platter().contents.records.values().map(read).collect()
    }

    /// All that is durable.
    pub fn contents(&self) -> Contents {
        self.platter().contents.clone()
    }

    pub(crate) fn sessions(&self) -> Vec<(DeviceId, Vec<u8>)> {
        let platter = self.platter();
        platter.contents.sessions.iter().map(|(contact, bytes)| (*contact, bytes.clone())).collect()
    }

    pub(crate) fn issued(&self) -> Vec<(AssetId, Issued)> {
        self.platter().contents.issued.iter().map(|(asset, issued)| (*asset, *issued)).collect()
    }

    pub(crate) fn packets(&self) -> Vec<([u8; 32], TxId)> {
        self.platter().contents.packets.clone()
    }

    pub(crate) fn observed(&self) -> Option<Head> {
        self.platter().contents.observed
    }

    /// The sessions with a contact, as they are kept.
    pub fn session(&self, contact: &DeviceId) -> Option<Vec<u8>> {
        self.platter().contents.sessions.get(contact).cloned()
    }

    /// Puts in a record as another program may have left it.
    pub fn plant(&mut self, change: &Change) {
        self.platter().contents.put(change);
    }

    /// Loses the sessions, as a backup does.
    pub fn lose_sessions(&mut self) {
        self.platter().contents.sessions.clear();
    }

    /// Loses what is stored of the journal, which a backup does not hold.
    pub(crate) fn lose_observed(&mut self) {
        self.platter().contents.observed = None;
    }

    fn write(&mut self, batch: &Batch) {
        let mut platter = self.platter();
        platter.contents.write(batch);
        platter.revision += 1;
        let revision = platter.revision;
        drop(platter);
        self.revision = revision;
        self.writes += 1;
    }
}

impl Store for Disk {
    type Error = DiskError;

    async fn commit(&mut self, batch: &Batch) -> Result<(), DiskError> {
        if self.platter().revision != self.revision {
            return Err(DiskError::Moved);
        }
        if batch.is_empty() {
            return Ok(());
        }
        match &mut self.fuse {
            None => self.write(batch),
            Some((0, after)) => {
                if *after {
                    self.write(batch);
                }
                self.fuse = None;
                return Err(DiskError::PowerCut);
            }
            Some((left, _)) => {
                *left -= 1;
                self.write(batch);
            }
        }
        Ok(())
    }
}
