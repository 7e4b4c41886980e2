//! The few things that the store asks of a disk, with a real one and one in memory.

mod memory;

pub use memory::MemoryDisk;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A folder of files.
pub trait Disk: Send + Sync {
    /// The names of its files, sorted.
    ///
    /// # Errors
    /// Those of the file system.
    fn names(&self) -> io::Result<Vec<String>>;

    /// Opens a file, or makes an empty one; then its name survives a crash.
    ///
    /// # Errors
    /// Those of the file system.
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Removes a file.
    ///
    /// # Errors
    /// Those of the file system.
    fn remove(&self, name: &str) -> io::Result<()>;
}

/// A file with one writer and any number of readers.
pub trait DiskFile: Send + Sync {
    /// How many bytes it has.
    ///
    /// # Errors
    /// Those of the file system.
    fn len(&self) -> io::Result<u64>;

    /// Whether it has none.
    ///
    /// # Errors
    /// Those of the file system.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Writes at the end, and says where that was.
    ///
    /// # Errors
    /// Those of the file system; then nothing counts as written.
    fn append(&self, bytes: &[u8]) -> io::Result<u64> {
        let at = self.len()?;
        self.write_at(at, bytes)?;
        Ok(at)
    }

    /// Writes from this place on, and fills up with zeros before it.
    ///
    /// # Errors
    /// Those of the file system.
    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// Reads exactly as many bytes as `to` has.
    ///
    /// # Errors
    /// Those of the file system; [`io::ErrorKind::UnexpectedEof`] if there are fewer.
    fn read_at(&self, at: u64, to: &mut [u8]) -> io::Result<()>;

    /// Cuts off what is behind this length.
    ///
    /// # Errors
    /// Those of the file system.
    fn truncate(&self, len: u64) -> io::Result<()>;

    /// Returns when everything written survives a crash.
    ///
    /// # Errors
    /// Those of the file system.
    fn sync(&self) -> io::Result<()>;
}

/// A folder of the machine's file system.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder of this path, which is made if need be, for its owner only.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn new(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        Ok(Self(path.to_path_buf()))
    }
}

impl Disk for Folder {
    fn names(&self) -> io::Result<Vec<String>> {
        let entries = fs::read_dir(&self.0)?;
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        let mut names: Vec<_> = names.collect::<io::Result<_>>()?;
        names.sort();
        Ok(names)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        use std::os::unix::fs::OpenOptionsExt;
        let path = self.0.join(name);
        let new = !path.exists();
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = file.open(path)?;
        if new {
            file.sync_all()?;
            File::open(&self.0)?.sync_all()?;
        }
        let len = AtomicU64::new(file.metadata()?.len());
        Ok(Arc::new(RealFile { file, len }))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.0.join(name))?;
        File::open(&self.0)?.sync_all()
    }
}

struct RealFile {
    file: File,
    /// Bytes that readers may see: what was written completely.
    len: AtomicU64,
}

impl DiskFile for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.len.load(Ordering::Acquire))
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, at)?;
        self.len.fetch_max(at + bytes.len() as u64, Ordering::AcqRel);
        Ok(())
    }

    fn read_at(&self, at: u64, to: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(to, at)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)?;
        self.len.store(len, Ordering::Release);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}
