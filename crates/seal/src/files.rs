//! Files that are whole or absent after a crash, readable by their owner only.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use crate::SealError;

/// Makes `dir` and what is missing above it; what is made is for its owner only.
pub(crate) fn make_dir(dir: &Path) -> Result<(), SealError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(SealError::io("make the folder", dir))
}

/// Makes or replaces the file at `path`: after a crash it holds the old bytes or the new ones.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), SealError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = Path::new(&temporary);
    let written = write_new(temporary, bytes).and_then(|()| fs::rename(temporary, path));
    let written = written.inspect_err(|_| {
        // The first error is the one to report; a leftover is removed by the next write.
        let _ = fs::remove_file(temporary);
    });
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    written.and_then(|()| File::open(parent)?.sync_all()).map_err(SealError::io("write", path))
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A crash may have left one behind, perhaps with other permissions.
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The file's bytes, or nothing when there is no such file. At most `max + 1` bytes are read, so
/// that a decoder with the limit `max` refuses what is longer.
pub(crate) fn read(path: &Path, max: usize) -> Result<Option<Vec<u8>>, SealError> {
    match File::open(path) {
        Ok(file) => read_from(&file, max).map(Some).map_err(SealError::io("read", path)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(SealError::io("read", path)(e)),
    }
}

/// What is left of `file`, at most `max + 1` bytes.
pub(crate) fn read_from(file: &File, max: usize) -> io::Result<Vec<u8>> {
    // One allocation of the final size: a secret leaves no copy behind in outgrown buffers.
    let mut bytes = Vec::with_capacity(max + 1);
    file.take(max as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Held by the one process that has a seal open; the system releases it when the process ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of an existing folder, without waiting.
    pub(crate) fn folder(dir: &Path) -> Result<Self, SealError> {
        Self::take(dir, File::open(dir))
    }

    /// Takes the lock file at `path`, made when missing, without waiting.
    pub(crate) fn file(path: &Path) -> Result<Self, SealError> {
        let mut options = OpenOptions::new();
        Self::take(path, options.write(true).create(true).truncate(false).mode(0o600).open(path))
    }

    fn take(path: &Path, opened: io::Result<File>) -> Result<Self, SealError> {
        let file = opened.map_err(SealError::io("lock", path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(SealError::InUse),
            Err(TryLockError::Error(e)) => Err(SealError::io("lock", path)(e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn files_are_for_their_owner_only_and_leave_no_leftovers() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/file");
        make_dir(path.parent().unwrap()).unwrap();
        fs::write(path.with_added_extension("new"), "left by a crash").unwrap();
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(read(&path, 3).unwrap().unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let parent = fs::metadata(path.parent().unwrap()).unwrap();
        assert_eq!(parent.permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_lock_is_held_by_one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = (Lock::folder(dir.path()).unwrap(), Lock::file(&path).unwrap());
        assert_eq!(Lock::folder(dir.path()).unwrap_err().code(), "SEAL_IN_USE");
        assert_eq!(Lock::file(&path).unwrap_err().code(), "SEAL_IN_USE");
        drop(held);
        Lock::folder(dir.path()).unwrap();
        Lock::file(&path).unwrap();
    }

    #[test]
    fn reading_stops_one_byte_behind_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, [0; 100]).unwrap();
        assert_eq!(read(&path, 10).unwrap().unwrap().len(), 11);
        assert!(read(&dir.path().join("absent"), 10).unwrap().is_none());
    }
}
