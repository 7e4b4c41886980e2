//! A disk that can crash and run full on command.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Disk, DiskFile};

/// A disk in memory. A clone is the same disk.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<String, Content>,
    room: Option<u64>,
}

#[derive(Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    /// How much of it survives a crash in any case.
    synced: usize,
}

impl MemoryDisk {
    /// Limits how many bytes can still be written; no limit if `None`.
    pub fn set_room(&self, room: Option<u64>) {
        self.state().room = room;
    }

    /// Loses what was not synced: of each file's unsynced end, `kept` of 256 parts survive.
    pub fn crash(&self, kept: u8) {
        for content in self.state().files.values_mut() {
            let unsynced = content.bytes.len().saturating_sub(content.synced);
            content.bytes.truncate(content.synced + unsynced * usize::from(kept) / 256);
            content.synced = content.bytes.len();
        }
    }

    /// Changes a byte, as a failing disk does.
    pub fn spoil(&self, name: &str, at: usize) {
        if let Some(byte) =
            self.state().files.get_mut(name).and_then(|content| content.bytes.get_mut(at))
        {
            *byte ^= 1;
        }
    }

    /// How many bytes a file has; nothing if there is none.
    pub fn size(&self, name: &str) -> Option<usize> {
        self.state().files.get(name).map(|content| content.bytes.len())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk for MemoryDisk {
    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.state().files.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.state().files.entry(name.into()).or_default();
        Ok(Arc::new(MemoryFile { disk: self.clone(), name: name.into() }))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.state().files.remove(name).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

struct MemoryFile {
    disk: MemoryDisk,
    name: String,
}

impl MemoryFile {
    fn with<T>(&self, f: impl FnOnce(&mut Content, &mut Option<u64>) -> T) -> io::Result<T> {
        let mut state = self.disk.state();
        let State { files, room } = &mut *state;
        files.get_mut(&self.name).map(|content| f(content, room)).ok_or_else(gone)
    }
}

fn gone() -> io::Error {
    io::ErrorKind::NotFound.into()
}

fn index(at: u64) -> io::Result<usize> {
    usize::try_from(at).map_err(|_| io::ErrorKind::FileTooLarge.into())
}

impl DiskFile for MemoryFile {
    fn len(&self) -> io::Result<u64> {
        self.with(|content, _| content.bytes.len() as u64)
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let at = index(at)?;
        self.with(|content, room| {
            let end = at + bytes.len();
            let grown = end.saturating_sub(content.bytes.len()) as u64;
            if let Some(room) = room {
                *room = room.checked_sub(grown).ok_or(io::ErrorKind::StorageFull)?;
            }
            if end > content.bytes.len() {
                content.bytes.resize(end, 0);
            }
            content.bytes[at..end].copy_from_slice(bytes);
            Ok(())
        })?
    }

    fn read_at(&self, at: u64, to: &mut [u8]) -> io::Result<()> {
        let at = index(at)?;
        self.with(|content, _| {
            let from = content.bytes.get(at..at + to.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
            to.copy_from_slice(from);
            Ok(())
        })?
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let len = index(len)?;
        self.with(|content, _| {
            content.bytes.truncate(len);
            content.synced = content.synced.min(len);
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.with(|content, _| content.synced = content.bytes.len())
    }
}
