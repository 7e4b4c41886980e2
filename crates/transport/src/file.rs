//! Carry one message in one file.
//!
//! A file appears under its name complete or not at all: it is written beside it, made durable, and
//! then given the name.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use thiserror::Error;

use crate::MAX_MESSAGE;

/// What to do when a file with the name exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Leave it alone and report [`FileError::Exists`].
    Keep,
    /// Put the new file in its place.
    Replace,
}

/// Writes `message` (at most [`MAX_MESSAGE`] bytes) as the file `path`, durably.
///
/// # Errors
/// [`FileError`]; whatever it is, a file that was there before still holds what it held.
pub fn write(path: &Path, message: &[u8], existing: Existing) -> Result<(), FileError> {
    let at = |source| FileError::from_io(path, source);
    if message.len() > MAX_MESSAGE {
        return Err(FileError::TooLarge { path: path.to_owned(), max: MAX_MESSAGE as u64 });
    }
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => return Err(FileError::NotAFile(path.to_owned())),
        Ok(_) if existing == Existing::Keep => return Err(FileError::Exists(path.to_owned())),
        _ => {}
    }
    let (Some(name), Some(folder)) = (path.file_name(), folder_of(path)) else {
        return Err(FileError::NotAFile(path.to_owned()));
    };
    let mut draft = Draft::create(folder, name).map_err(at)?;
    draft.file.write_all(message).map_err(at)?;
    draft.file.sync_all().map_err(at)?;
    draft.publish(path, existing).map_err(at)?;
    sync_folder(folder).map_err(at)
}

/// Reads the message in the file `path`, of at most `max` bytes.
///
/// # Errors
/// [`FileError`]; a longer file is refused without being read whole.
pub fn read(path: &Path, max: usize) -> Result<Vec<u8>, FileError> {
    let at = |source| FileError::from_io(path, source);
    // Looked at before it is opened, because opening a pipe would wait for its writer.
    if !fs::metadata(path).map_err(at)?.is_file() {
        return Err(FileError::NotAFile(path.to_owned()));
    }
    let file = File::open(path).map_err(at)?;
    let mut message = Vec::new();
    let limit = (max as u64).saturating_add(1);
    file.take(limit).read_to_end(&mut message).map_err(at)?;
    if message.len() > max {
        return Err(FileError::TooLarge { path: path.to_owned(), max: max as u64 });
    }
    Ok(message)
}

/// Why a file was not written or read, and what to do next.
#[derive(Debug, Error)]
pub enum FileError {
    /// No such file, or no such folder to put it in.
    #[error("{} is not there; check the name, and that its folder exists", .0.display())]
    Missing(PathBuf),
    /// There is a file already.
    #[error("{} exists and was left as it is; choose another name, or ask for it to be replaced", .0.display())]
    Exists(PathBuf),
    /// A folder, a device or a pipe.
    #[error("{} is not a file; give the name of a file", .0.display())]
    NotAFile(PathBuf),
    /// The operating system does not allow it.
    #[error("no permission for {}; choose another place, or change its permissions", .0.display())]
    Denied(PathBuf),
    /// The disk or the quota is full.
    #[error("no space left to write {}; free some and try again, nothing was changed", .0.display())]
    Full(PathBuf),
    /// More bytes than the limit.
    #[error("{} would hold more than {max} bytes, the limit for one message; check that it is the right file", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        max: u64,
    },
    /// Any other failure of the operating system.
    #[error("{}: {source}; try again, or choose another place", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

impl FileError {
    /// The stable name of this error, for programs and logs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "FILE_MISSING",
            Self::Exists(_) => "FILE_EXISTS",
            Self::NotAFile(_) => "FILE_NOT_A_FILE",
            Self::Denied(_) => "FILE_DENIED",
            Self::Full(_) => "FILE_FULL",
            Self::TooLarge { .. } => "FILE_TOO_LARGE",
            Self::Io { .. } => "FILE_IO",
        }
    }

    fn from_io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            ErrorKind::NotFound => Self::Missing(path),
            ErrorKind::AlreadyExists => Self::Exists(path),
            ErrorKind::IsADirectory | ErrorKind::NotADirectory => Self::NotAFile(path),
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Self::Denied(path),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full(path),
            _ => Self::Io { path, source },
        }
    }
}

/// A file on its way to its name; removed again if it does not get there.
struct Draft {
    file: File,
    path: PathBuf,
}

impl Draft {
    fn create(folder: &Path, name: &std::ffi::OsStr) -> io::Result<Self> {
        static DRAFTS: AtomicU32 = AtomicU32::new(0);
        let number = DRAFTS.fetch_add(1, Ordering::Relaxed);
        let mut draft_name = OsString::from(".");
        draft_name.push(name);
        draft_name.push(format!(".{}-{number}.tmp", std::process::id()));
        let path = folder.join(draft_name);
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        Ok(Self { file, path })
    }

    fn publish(&self, path: &Path, existing: Existing) -> io::Result<()> {
        if existing == Existing::Replace {
            return fs::rename(&self.path, path);
        }
        // Unlike a rename, a hard link never takes a name that is in use, so two writers cannot both win.
        match fs::hard_link(&self.path, path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(error),
            Ok(()) => Ok(()),
            // Memory cards and USB sticks (FAT, exFAT) have no hard links.
            Err(_) if path.exists() => Err(ErrorKind::AlreadyExists.into()),
            Err(_) => fs::rename(&self.path, path),
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After a rename there is nothing left to remove, and that is fine.
        let _ = fs::remove_file(&self.path);
    }
}

fn folder_of(path: &Path) -> Option<&Path> {
    path.parent().map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<OsString> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn what_was_written_is_read_and_no_draft_stays_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("payment.tally");
        for (message, existing) in [
            (&b"first"[..], Existing::Keep),
            (b"second", Existing::Replace),
            (b"", Existing::Replace),
        ] {
            write(&path, message, existing).unwrap();
            assert_eq!(read(&path, MAX_MESSAGE).unwrap(), message);
        }
        assert_eq!(names(folder.path()), ["payment.tally"]);
    }

    #[test]
    fn an_existing_file_is_kept_unless_told_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write(&path, b"old", Existing::Keep).unwrap();
        let error = write(&path, b"new", Existing::Keep).unwrap_err();
        assert_eq!(error.code(), "FILE_EXISTS");
        assert_eq!(read(&path, 10).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["a"]);
    }

    #[test]
    fn publishing_over_a_file_that_appeared_meanwhile_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let draft = Draft::create(folder.path(), "a".as_ref()).unwrap();
        fs::write(&path, b"other").unwrap();
        let error = draft.publish(&path, Existing::Keep).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        drop(draft);
        assert_eq!(fs::read(&path).unwrap(), b"other");
        assert_eq!(names(folder.path()), ["a"]);
    }

    #[test]
    fn the_size_limit_holds_both_ways() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let long = vec![1; MAX_MESSAGE + 1];
        let error = write(&path, &long, Existing::Keep).unwrap_err();
        assert_eq!(error.code(), "FILE_TOO_LARGE");
        write(&path, b"12345", Existing::Keep).unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        assert_eq!(read(&path, 4).unwrap_err().code(), "FILE_TOO_LARGE");
    }

    #[test]
    fn missing_things_and_folders_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("no/such");
        assert_eq!(read(&missing, 9).unwrap_err().code(), "FILE_MISSING");
        let error = write(&missing, b"x", Existing::Keep).unwrap_err();
        assert_eq!(error.code(), "FILE_MISSING");
        for existing in [Existing::Keep, Existing::Replace] {
            let error = write(folder.path(), b"x", existing).unwrap_err();
            assert_eq!(error.code(), "FILE_NOT_A_FILE");
        }
        assert_eq!(read(folder.path(), 9).unwrap_err().code(), "FILE_NOT_A_FILE");
        let error = write(Path::new("/"), b"x", Existing::Keep).unwrap_err();
        assert_eq!(error.code(), "FILE_NOT_A_FILE");
    }

    #[test]
    fn system_failures_map_to_their_own_codes() {
        for (kind, code) in [
            (ErrorKind::StorageFull, "FILE_FULL"),
            (ErrorKind::QuotaExceeded, "FILE_FULL"),
            (ErrorKind::PermissionDenied, "FILE_DENIED"),
            (ErrorKind::ReadOnlyFilesystem, "FILE_DENIED"),
            (ErrorKind::Other, "FILE_IO"),
        ] {
            let error = FileError::from_io(Path::new("a"), kind.into());
            assert_eq!(error.code(), code);
        }
    }
}
