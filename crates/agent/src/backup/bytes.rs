//! Write lists of pairs, and read them.

use alloc::vec::Vec;

use super::BackupError;

/// A list as it is written.
pub(super) type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// How many bytes a list takes.
pub(super) fn length(pairs: &Pairs) -> usize {
    let items = pairs.iter().flat_map(|(key, value)| [key, value]);
    items.map(|item| item.len().saturating_add(4)).fold(4, usize::saturating_add)
}

pub(super) fn put(out: &mut Vec<u8>, pairs: &Pairs) -> Result<(), BackupError> {
    let number = |n: usize| u32::try_from(n).map_err(|_| BackupError::TooLarge);
    out.extend(number(pairs.len())?.to_be_bytes());
    for item in pairs.iter().flat_map(|(key, value)| [key, value]) {
        out.extend(number(item.len())?.to_be_bytes());
        out.extend_from_slice(item);
    }
    Ok(())
}

/// Bytes that are read from the front.
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], BackupError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(BackupError::NotABackup)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn number(&mut self) -> Result<u32, BackupError> {
        self.array().map(u32::from_be_bytes)
    }

    fn item(&mut self) -> Result<&'a [u8], BackupError> {
        let length = usize::try_from(self.number()?).map_err(|_| BackupError::NotABackup)?;
        let (item, rest) = self.0.split_at_checked(length).ok_or(BackupError::NotABackup)?;
        self.0 = rest;
        Ok(item)
    }

    pub(super) fn pairs(&mut self) -> Result<Vec<[&'a [u8]; 2]>, BackupError> {
        (0..self.number()?).map(|_| Ok([self.item()?, self.item()?])).collect()
    }
}
