//! The records in a file hold what every store has to, whenever power fails.

use std::fs::OpenOptions;
use std::io;
use std::sync::{Arc, Mutex};

use redb::backends::FileBackend;
use redb::{Database, StorageBackend};
use tally_agent::Batch;
use tally_testkit::conformance::{Contents, Luck, Medium, conforms};

use crate::StoreError;
use crate::store::{Loaded, Store};

/// What has become of power, and of what was written since the last sync.
#[derive(Debug)]
struct Power {
    left: u32,
    done: u32,
    is_off: bool,
    luck: Luck,
    /// What was there before each write since then: place, bytes, and the file's length.
    before: Vec<(u64, Vec<u8>, u64)>,
}

/// A real file whose power fails: a fake of the disk below it.
#[derive(Debug)]
struct Fails {
    file: FileBackend,
    power: Arc<Mutex<Power>>,
}

impl Fails {
    /// Counts one thing more; with power off, nothing happens.
    fn tick(&self, torn: Option<(u64, &[u8])>) -> io::Result<()> {
        let mut power = self.power.lock().unwrap();
        if power.is_off || power.left == 0 {
            if !power.is_off {
                power.is_off = true;
                self.lose(&mut power, torn)?;
            }
            return Err(io::Error::other("power failed"));
        }
        power.left -= 1;
        power.done += 1;
        Ok(())
    }

    /// Puts back what the disk did not keep.
    fn lose(&self, power: &mut Power, torn: Option<(u64, &[u8])>) -> io::Result<()> {
        let luck = power.luck;
        if let (Luck::Torn, Some((offset, data))) = (luck, torn) {
            self.file.write(offset, &data[..data.len() / 2])?;
        }
        for (at, (offset, bytes, len)) in power.before.drain(..).enumerate().rev() {
            let is_lost = luck == Luck::Nothing || (luck == Luck::Torn && at % 2 == 0);
            if !is_lost {
                continue;
            }
            self.file.write(offset, &bytes)?;
            if luck == Luck::Nothing {
                self.file.set_len(len)?;
            }
        }
        Ok(())
    }

    fn remember(&self, offset: u64, len: usize) -> io::Result<()> {
        let here = self.file.len()?;
        let most = usize::try_from(here.saturating_sub(offset)).unwrap();
        let mut bytes = vec![0; len.min(most)];
        self.file.read(offset.min(here), &mut bytes)?;
        self.power.lock().unwrap().before.push((offset.min(here), bytes, here));
        Ok(())
    }
}

impl StorageBackend for Fails {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.tick(None)?;
        let cut_off = usize::try_from(self.file.len()?.saturating_sub(len)).unwrap();
        self.remember(len, cut_off)?;
        self.file.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.tick(None)?;
        self.power.lock().unwrap().before.clear();
        Ok(())
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.tick(Some((offset, data)))?;
        self.remember(offset, data.len())?;
        self.file.write(offset, data)
    }
}

/// A folder with records.
struct Folder {
    dir: tempfile::TempDir,
    power: Option<Arc<Mutex<Power>>>,
}

impl Folder {
    fn new() -> Self {
        // A real file, in memory where there is such a place: that is fast, and power fails by itself here.
        let shared = std::path::Path::new("/dev/shm");
        let fast = shared.is_dir().then(|| tempfile::tempdir_in(shared).ok()).flatten();
        let dir = fast.unwrap_or_else(|| tempfile::tempdir().unwrap());
        Store::open(dir.path(), true).unwrap().begin(&Batch::default()).unwrap();
        Self { dir, power: None }
    }
}

fn contents(loaded: Loaded) -> Contents {
    let own = ["schema", "commits", "observed"];
    let observed = loaded.observed();
    let mut contents = Contents {
        sessions: loaded.sessions.into_iter().collect(),
        issued: loaded.issued.into_iter().collect(),
        packets: loaded.packets,
        meta: loaded.meta.into_iter().filter(|(name, _)| !own.contains(&name.as_str())).collect(),
        observed,
        ..Contents::default()
    };
    loaded.changes.iter().for_each(|change| contents.put(change));
    contents
}

impl Medium for Folder {
    type Store = Store;

    fn open(&mut self) -> (Store, Contents) {
        let store = Store::open(self.dir.path(), false).unwrap();
        let loaded = store.load().unwrap().unwrap();
        (store, contents(loaded))
    }

    fn leave(&mut self, store: &mut Store) {
        store.close();
    }

    fn come_back(&mut self, store: &mut Store) {
        store.reopen().unwrap();
    }

    fn cut(&mut self, store: &mut Store, nth: u32, luck: Luck) {
        store.close();
        let path = Store::path_in(self.dir.path());
        let off = Power { left: u32::MAX, done: 0, is_off: false, luck, before: Vec::new() };
        let power = Arc::new(Mutex::new(off));
        let (file, of) = (path.clone(), Arc::clone(&power));
        let opener = move || {
            let opened = OpenOptions::new().read(true).write(true).open(&file).unwrap();
            let fails = Fails { file: FileBackend::new(opened).unwrap(), power: Arc::clone(&of) };
            Ok(Database::builder().create_with_backend(fails).unwrap())
        };
        *store = Store::with(path, Box::new(opener)).unwrap();
        store.load().unwrap();
        let mut armed = power.lock().unwrap();
        (armed.left, armed.done) = (nth, 0);
        drop(armed);
        self.power = Some(power);
    }

    fn power(&mut self) -> u32 {
        self.power.take().unwrap().lock().unwrap().done
    }
}

#[test]
fn records_in_a_file_hold_what_every_store_has_to() {
    conforms(Folder::new, |error| matches!(error, StoreError::Moved));
}
