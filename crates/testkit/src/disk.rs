//! Keep what an agent made durable, and lose power at a chosen write.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use tally_agent::{Batch, Issued, Store};
use tally_core::cbor::from_bytes;
use tally_core::device::Change;
use tally_core::id::{AssetId, DeviceId, TxId};

/// A disk in memory: each batch is on it whole or not at all.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    records: BTreeMap<Vec<u8>, Vec<u8>>,
    sessions: BTreeMap<DeviceId, Vec<u8>>,
    issued: BTreeMap<AssetId, Issued>,
    packets: Vec<([u8; 32], TxId)>,
    /// How many batches were written.
    pub writes: usize,
    /// Power fails at the write after so many, before it or just after it.
    pub fuse: Option<(u32, bool)>,
}

/// Power failed: what the agent has in memory is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("power failed")]
pub struct PowerCut;

impl Disk {
    /// The device's records.
    pub fn changes(&self) -> Vec<Change> {
        let read = |record: &Vec<u8>| from_bytes(record).expect("what was stored can be read");
        self.records.values().map(read).collect()
    }

    pub(crate) fn sessions(&self) -> Vec<(DeviceId, Vec<u8>)> {
        self.sessions.iter().map(|(contact, bytes)| (*contact, bytes.clone())).collect()
    }

    pub(crate) fn issued(&self) -> Vec<(AssetId, Issued)> {
        self.issued.iter().map(|(asset, issued)| (*asset, *issued)).collect()
    }

    pub(crate) fn packets(&self) -> Vec<([u8; 32], TxId)> {
        self.packets.clone()
    }

    /// The sessions with a contact, as they are kept.
    pub fn session(&self, contact: &DeviceId) -> Option<&[u8]> {
        self.sessions.get(contact).map(Vec::as_slice)
    }

    /// Puts in a record as another program may have left it.
    pub fn plant(&mut self, change: &Change) {
        if let Some(value) = change.value() {
            self.records.insert(change.key(), value);
        }
    }

    /// Loses the sessions, as a backup does.
    pub fn lose_sessions(&mut self) {
        self.sessions.clear();
    }

    fn write(&mut self, batch: &Batch) {
        for change in &batch.changes {
            match change.value() {
                Some(value) => self.records.insert(change.key(), value),
                None => self.records.remove(&change.key()),
            };
        }
        self.sessions.extend(batch.sessions.iter().cloned());
        for contact in batch.gone() {
            self.sessions.remove(&contact);
        }
        self.issued.extend(batch.issued.iter().copied());
        self.packets.extend(batch.packet);
        self.writes += 1;
    }
}

impl Store for Disk {
    type Error = PowerCut;

    async fn commit(&mut self, batch: &Batch) -> Result<(), PowerCut> {
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
                return Err(PowerCut);
            }
            Some((left, _)) => {
                *left -= 1;
                self.write(batch);
            }
        }
        Ok(())
    }
}
