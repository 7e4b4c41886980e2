//! Keep a wallet's records in one file, each change whole or not at all.
//!
//! One redb transaction holds all that belongs to one change: the device's records, the states of
//! the sessions, the counters of what was issued. It is on disk when [`Store::write`] returns.

use std::cell::Cell;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};
use tally_agent::{Batch, Issued};
use tally_core::cbor::from_bytes;
use tally_core::device::Change;
use tally_core::id::{AssetId, DeviceId, Head, TxId};

use crate::marks::Mark;

/// The schema that this program reads and writes.
pub(crate) const SCHEMA: u32 = 1;
/// Most packets whose repetition is recognised; the oldest are forgotten.
pub(crate) const MAX_PACKETS: u64 = 4096;
/// Memory for the database's pages, in bytes.
const CACHE: usize = 16 * 1024 * 1024;

const RECORDS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");
const SESSIONS: TableDefinition<'_, [u8; 32], &[u8]> = TableDefinition::new("sessions");
const ISSUED: TableDefinition<'_, [u8; 32], (u64, u64)> = TableDefinition::new("issued");
const PACKETS: TableDefinition<'_, [u8; 32], [u8; 32]> = TableDefinition::new("packets");
const PACKET_ORDER: TableDefinition<'_, u64, [u8; 32]> = TableDefinition::new("packet order");
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

/// Why records could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system refused.
    #[error(
        "cannot {doing} {}: {why}; nothing was lost: check the path, its permissions and the free space, then try again", path.display()
    )]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system answered.
        why: String,
    },
    /// The file is not what was written.
    #[error(
        "the wallet's records are damaged ({0}): restore the wallet from a backup (tally restore), and keep this folder"
    )]
    Damaged(String),
    /// The file was written by another version of the program.
    #[error(
        "the wallet's records have schema {0}, this program knows {SCHEMA}: use the newest version of the program"
    )]
    Schema(u32),
    /// The folder holds no wallet.
    #[error("there is no wallet in {}: name its folder, or make a new one (tally init)", .0.display())]
    Missing(PathBuf),
    /// The folder holds a wallet already.
    #[error("{} holds a wallet already: open it, or choose another folder", .0.display())]
    Exists(PathBuf),
    /// Somebody else has written to the file since it was read.
    #[error(
        "another program has written to this wallet since it was opened: close both, then open it again"
    )]
    Moved,
    /// Another process has the file open.
    #[error("another program has this wallet open: close it, then try again")]
    InUse,
}

impl StoreError {
    /// Stable code of this error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "WALLET_STORE",
            Self::Damaged(_) => "WALLET_DAMAGED",
            Self::Schema(_) => "WALLET_SCHEMA",
            Self::Missing(_) => "WALLET_MISSING",
            Self::Exists(_) => "WALLET_EXISTS",
            Self::Moved => "WALLET_MOVED",
            Self::InUse => "WALLET_IN_USE",
        }
    }
}

/// All that is stored.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) changes: Vec<Change>,
    pub(crate) sessions: Vec<(DeviceId, Vec<u8>)>,
    pub(crate) issued: Vec<(AssetId, Issued)>,
    /// The packets whose repetition is recognised, the oldest first.
    pub(crate) packets: Vec<([u8; 32], TxId)>,
    pub(crate) meta: Vec<(String, Vec<u8>)>,
}

impl Loaded {
    pub(crate) fn meta(&self, key: &str) -> Option<&[u8]> {
        self.meta.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_slice())
    }

    /// The last signed step that the journal is known to know.
    pub(crate) fn observed(&self) -> Option<Head> {
        self.meta(OBSERVED)?.try_into().map(Head::new).ok()
    }
}

/// Under which name `meta` counts the changes that were written.
const COMMITS: &str = "commits";
/// Under which name it has the last signed step that the journal is known to know.
pub(crate) const OBSERVED: &str = "observed";

type Opener = Box<dyn Fn() -> Result<Database, StoreError> + Send>;

/// The file, open.
pub(crate) struct Store {
    database: Option<Database>,
    opener: Opener,
    path: PathBuf,
    mark: Option<Mark>,
    /// The count of changes as this process last read or wrote it: nobody else writes.
    revision: Cell<u64>,
    #[cfg(test)]
    pub(crate) fuse: Option<crate::tests::Fuse>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Store {
    /// Where the file is in a wallet's folder.
    pub(crate) fn path_in(dir: &Path) -> PathBuf {
        dir.join("wallet.redb")
    }

    /// Makes the folder for its owner only.
    pub(crate) fn make_dir(dir: &Path) -> Result<(), StoreError> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(|e| failed("make the folder", dir, &e))
    }

    /// Opens the file in `dir`, or makes it.
    pub(crate) fn open(dir: &Path, create: bool) -> Result<Self, StoreError> {
        let path = Self::path_in(dir);
        if !create && !path.exists() {
            return Err(StoreError::Missing(dir.to_owned()));
        }
        let file = path.clone();
        let opener = move || {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(create).truncate(false).mode(0o600);
            let opened = options.open(&file).map_err(|e| failed("open", &file, &e))?;
            unbroken("open", &file, || {
                let mut database = Database::builder().set_cache_size(CACHE).create_file(opened)?;
                // What the disk or another program altered must not pass for what was written.
                if create || database.check_integrity()? {
                    return Ok(database);
                }
                Err(redb::Error::Corrupted("its checksums do not fit its contents".into()))
            })
        };
        Self::with(path, Box::new(opener))
    }

    /// A store whose database comes from elsewhere.
    pub(crate) fn with(path: PathBuf, opener: Opener) -> Result<Self, StoreError> {
        let database = Some(opener()?);
        Ok(Self {
            database,
            opener,
            path,
            mark: None,
            revision: Cell::new(0),
            #[cfg(test)]
            fuse: None,
        })
    }

    /// Counts what is written in a file elsewhere too.
    pub(crate) fn mark_at(&mut self, path: &Path) {
        self.mark = Some(Mark::open(path));
    }

    /// How many changes that were written are not in what was loaded.
    pub(crate) fn lost(&self, loaded: &Loaded) -> u64 {
        let count = loaded.meta(COMMITS).map_or(0, count_of);
        self.mark.as_ref().map_or(0, |mark| mark.count().saturating_sub(count))
    }

    /// Closes the file and opens it again, as after a crash.
    pub(crate) fn reopen(&mut self) -> Result<(), StoreError> {
        #[cfg(test)]
        if self.fuse.as_ref().is_some_and(crate::tests::Fuse::has_blown) {
            return Err(crate::tests::Fuse::error());
        }
        self.database = None;
        self.database = Some((self.opener)()?);
        Ok(())
    }

    fn database(&self) -> Result<&Database, StoreError> {
        self.database.as_ref().ok_or_else(|| StoreError::Io {
            doing: "open",
            path: self.path.clone(),
            why: "it could not be opened again".into(),
        })
    }

    /// Writes all or nothing; on disk when this returns.
    pub(crate) fn write(&mut self, batch: &Batch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return self.confirm();
        }
        #[cfg(test)]
        if let Some(fuse) = &mut self.fuse {
            fuse.before()?;
        }
        let count = unbroken("write", &self.path, || self.write_all(batch))?;
        let count = count.ok_or(StoreError::Moved)?;
        self.revision.set(count);
        if let Some(mark) = &mut self.mark {
            mark.note(count);
        }
        #[cfg(test)]
        if let Some(fuse) = &mut self.fuse {
            fuse.after()?;
        }
        Ok(())
    }

    /// Sees that nobody else has written since this store was read or written.
    fn confirm(&self) -> Result<(), StoreError> {
        let here = unbroken("read", &self.path, || {
            let gone = |_| redb::Error::Io(io::Error::other("the file is not open"));
            let txn = self.database().map_err(gone)?.begin_read()?;
            let meta = txn.open_table(META)?;
            Ok(meta.get(COMMITS)?.map_or(0, |count| count_of(count.value())))
        })?;
        if here == self.revision.get() { Ok(()) } else { Err(StoreError::Moved) }
    }

    /// Writes a batch in one transaction; gives the new count of changes, or nothing if somebody else
    /// has written since.
    fn write_all(&self, batch: &Batch) -> Result<Option<u64>, redb::Error> {
        let gone = |_| redb::Error::Io(io::Error::other("the file is not open"));
        let mut txn = self.database().map_err(gone)?.begin_write()?;
        txn.set_durability(Durability::Immediate)?;
        let Some(count) = self.count(&txn)? else { return Ok(None) };
        if !batch.changes.is_empty() {
            let mut records = txn.open_table(RECORDS)?;
            for change in &batch.changes {
                match change.value() {
                    Some(value) => records.insert(change.key().as_slice(), value.as_slice())?,
                    None => records.remove(change.key().as_slice())?,
                };
            }
        }
        for (contact, bytes) in &batch.sessions {
            txn.open_table(SESSIONS)?.insert(contact.as_bytes(), bytes.as_slice())?;
        }
        for contact in batch.gone() {
            txn.open_table(SESSIONS)?.remove(contact.as_bytes())?;
        }
        for (asset, issued) in &batch.issued {
            txn.open_table(ISSUED)?.insert(asset.as_bytes(), (issued.next, issued.total))?;
        }
        for (key, value) in &batch.meta {
            txn.open_table(META)?.insert(key, value.as_slice())?;
        }
        if let Some(head) = &batch.observed {
            txn.open_table(META)?.insert(OBSERVED, head.as_bytes().as_slice())?;
        }
        if let Some((packet, tx)) = &batch.packet {
            remember(&txn, packet, tx)?;
        }
        txn.commit()?;
        Ok(Some(count))
    }

    /// Counts one more change, if the count is as this process knows it.
    fn count(&self, txn: &redb::WriteTransaction) -> Result<Option<u64>, redb::Error> {
        let mut meta = txn.open_table(META)?;
        let here = meta.get(COMMITS)?.map_or(0, |count| count_of(count.value()));
        if here != self.revision.get() {
            return Ok(None);
        }
        let noted = self.mark.as_ref().map_or(0, Mark::count);
        let count = here.max(noted).saturating_add(1);
        meta.insert(COMMITS, count.to_be_bytes().as_slice())?;
        Ok(Some(count))
    }

    /// Everything that is stored; nothing if the file is new.
    pub(crate) fn load(&self) -> Result<Option<Loaded>, StoreError> {
        let mut records = Vec::new();
        let loaded = unbroken("read", &self.path, || self.read_all(&mut records))?;
        let Some(mut loaded) = loaded else { return Ok(None) };
        match loaded.meta("schema").and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes)
        {
            Some(SCHEMA) => {}
            Some(other) => return Err(StoreError::Schema(other)),
            None => return Err(StoreError::Damaged("it does not say its schema".into())),
        }
        self.revision.set(loaded.meta(COMMITS).map_or(0, count_of));
        for record in records {
            let change = from_bytes(&record).map_err(|e| StoreError::Damaged(e.to_string()))?;
            loaded.changes.push(change);
        }
        Ok(Some(loaded))
    }

    fn read_all(&self, records: &mut Vec<Vec<u8>>) -> Result<Option<Loaded>, redb::Error> {
        let gone = |_| redb::Error::Io(io::Error::other("the file is not open"));
        let txn = self.database().map_err(gone)?.begin_read()?;
        let mut loaded = Loaded::default();
        match txn.open_table(META) {
            Ok(table) => {
                for row in table.iter()? {
                    let (key, value) = row?;
                    loaded.meta.push((key.value().into(), value.value().into()));
                }
            }
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(e) => return Err(e.into()),
        }
        for row in txn.open_table(SESSIONS)?.iter()? {
            let (key, value) = row?;
            loaded.sessions.push((DeviceId::new(key.value()), value.value().into()));
        }
        for row in txn.open_table(ISSUED)?.iter()? {
            let (key, value) = row?;
            let (next, total) = value.value();
            loaded.issued.push((AssetId::new(key.value()), Issued { next, total }));
        }
        let brought = txn.open_table(PACKETS)?;
        for row in txn.open_table(PACKET_ORDER)?.iter()? {
            let hash = row?.1.value();
            let tx = brought.get(hash)?.map(|tx| TxId::new(tx.value()));
            loaded.packets.extend(tx.map(|tx| (hash, tx)));
        }
        for row in txn.open_table(RECORDS)?.iter()? {
            records.push(row?.1.value().to_vec());
        }
        Ok(Some(loaded))
    }

    /// Lets go of the file, so that somebody else can open it.
    #[cfg(test)]
    pub(crate) fn close(&mut self) {
        self.database = None;
    }

    /// Forgets every session, as a disk may.
    #[cfg(test)]
    pub(crate) fn clear_sessions(&self) {
        let txn = self.database().expect("open").begin_write().expect("a transaction");
        txn.open_table(SESSIONS).expect("the table").retain(|_, _| false).expect("emptied");
        txn.commit().expect("written");
    }

    /// Makes the tables, with what a new wallet starts from.
    pub(crate) fn begin(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let make = |database: &Database| -> Result<(), redb::Error> {
            let txn = database.begin_write()?;
            txn.open_table(RECORDS)?;
            txn.open_table(SESSIONS)?;
            txn.open_table(ISSUED)?;
            txn.open_table(PACKETS)?;
            txn.open_table(PACKET_ORDER)?;
            Ok(txn.commit()?)
        };
        make(self.database()?).map_err(refused("write", &self.path))?;
        let mut batch = batch.clone();
        batch.meta.push(("schema", SCHEMA.to_be_bytes().to_vec()));
        self.write(&batch)
    }
}

impl tally_agent::Store for Store {
    type Error = StoreError;

    async fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.write(batch)
    }
}

fn count_of(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_be_bytes)
}

/// Remembers which payment a packet brought, and forgets the oldest above the limit.
fn remember(txn: &redb::WriteTransaction, hash: &[u8; 32], tx: &TxId) -> Result<(), redb::Error> {
    let (mut packets, mut order) = (txn.open_table(PACKETS)?, txn.open_table(PACKET_ORDER)?);
    if packets.insert(hash, tx.as_bytes())?.is_some() {
        return Ok(());
    }
    let last = order.last()?.map_or(0, |(n, _)| n.value());
    let next = last.saturating_add(1);
    order.insert(next, hash)?;
    if let Some(old) = next.checked_sub(MAX_PACKETS)
        && let Some(old) = order.remove(old)?.map(|hash| hash.value())
    {
        packets.remove(old)?;
    }
    Ok(())
}

fn failed(doing: &'static str, path: &Path, error: &io::Error) -> StoreError {
    StoreError::Io { doing, path: path.to_owned(), why: error.to_string() }
}

/// Runs what touches the file. The database takes its file's structure for granted, and panics on
/// one that was altered: here that is a damaged file like any other.
fn unbroken<T>(
    doing: &'static str,
    path: &Path,
    run: impl FnOnce() -> Result<T, redb::Error>,
) -> Result<T, StoreError> {
    let done = catch_unwind(AssertUnwindSafe(run));
    let broken = |_| StoreError::Damaged("its structure contradicts itself".into());
    done.map_err(broken)?.map_err(refused(doing, path))
}

fn refused(doing: &'static str, path: &Path) -> impl FnOnce(redb::Error) -> StoreError {
    move |error| match error {
        redb::Error::DatabaseAlreadyOpen => StoreError::InUse,
        redb::Error::Corrupted(why) => StoreError::Damaged(why),
        redb::Error::UpgradeRequired(version) => StoreError::Schema(version.into()),
        redb::Error::TableTypeMismatch { .. } | redb::Error::TableDoesNotExist(_) => {
            StoreError::Damaged(error.to_string())
        }
        redb::Error::Io(e) if e.kind() == io::ErrorKind::InvalidData => {
            StoreError::Damaged(e.to_string())
        }
        other => StoreError::Io { doing, path: path.to_owned(), why: other.to_string() },
    }
}
