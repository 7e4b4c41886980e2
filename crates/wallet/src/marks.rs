//! Remember outside of the wallet's folder how many changes were written.
//!
//! The seal's journal notices records that lost a step. A payment that was received takes no step:
//! this count notices that it is gone, and that the sessions are older than what they were used for.
//! The file holds the count and its complement, 8 bytes each, big-endian. It is written after the
//! change is on disk and not forced there itself, so it is never ahead of records that are whole.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

const BYTES: usize = 16;

/// The count, and the file that it is in.
#[derive(Debug)]
pub(crate) struct Mark {
    file: Option<File>,
    count: u64,
}

impl Mark {
    /// Reads the count. A file that is missing or torn counts nothing.
    pub(crate) fn open(path: &Path) -> Self {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        // Without the file the wallet works as well, and notices less.
        let file = options.open(path).ok();
        let count = file.as_ref().and_then(read).unwrap_or_default();
        Self { file, count }
    }

    /// How many changes were written.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Notes that so many changes are on disk.
    pub(crate) fn note(&mut self, count: u64) {
        self.count = count;
        let bytes = [count.to_be_bytes(), (!count).to_be_bytes()].concat();
        // As above: a count that stays behind raises no alarm.
        let _ = self.file.as_ref().map(|file| file.write_all_at(&bytes, 0));
    }
}

fn read(file: &File) -> Option<u64> {
    let mut bytes = [0; BYTES];
    file.read_exact_at(&mut bytes, 0).ok()?;
    let (count, complement) = bytes.split_first_chunk::<8>()?;
    let count = u64::from_be_bytes(*count);
    let whole = complement == (!count).to_be_bytes();
    whole.then_some(count)
}
