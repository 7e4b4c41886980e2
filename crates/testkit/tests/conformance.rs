//! The disk in memory holds what every store has to.

use tally_agent::{Batch, Store};
use tally_testkit::conformance::{Contents, Luck, Medium, conforms};
use tally_testkit::{Disk, DiskError};

/// What a store may do wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    None,
    /// It says `Ok` before anything is durable.
    Lies,
    /// It writes one part of a batch after the other.
    Halves,
    /// It writes what the journal knows by itself, after everything else.
    ObservedApart,
    /// It writes over what somebody else has written.
    DoesNotCompare,
    /// It confirms where there is nothing to write, whoever has written.
    DoesNotConfirm,
}

struct Case {
    disk: Disk,
    fault: Fault,
    cut: u32,
}

/// A disk, or one with a fault.
struct Faulty(Disk, Fault);

impl Store for Faulty {
    type Error = DiskError;

    async fn commit(&mut self, batch: &Batch) -> Result<(), DiskError> {
        let Self(disk, fault) = self;
        match fault {
            Fault::Lies => {
                let _ = disk.commit(batch).await;
                Ok(())
            }
            Fault::Halves => {
                let changes = Batch { changes: batch.changes.clone(), ..Batch::default() };
                let fuse = disk.fuse.take();
                disk.commit(&changes).await?;
                disk.fuse = fuse;
                disk.commit(&Batch { changes: Vec::new(), ..batch.clone() }).await
            }
            Fault::ObservedApart => {
                let observed = Batch { observed: batch.observed, ..Batch::default() };
                let fuse = disk.fuse.take();
                disk.commit(&Batch { observed: None, ..batch.clone() }).await?;
                disk.fuse = fuse;
                disk.commit(&observed).await
            }
            Fault::DoesNotCompare => {
                disk.read();
                disk.commit(batch).await
            }
            Fault::DoesNotConfirm if batch.is_empty() => Ok(()),
            Fault::DoesNotConfirm | Fault::None => disk.commit(batch).await,
        }
    }
}

impl Medium for Case {
    type Store = Faulty;

    fn open(&mut self) -> (Faulty, Contents) {
        let disk = self.disk.beside();
        let contents = disk.contents();
        (Faulty(disk, self.fault), contents)
    }

    /// A write is all that there is: power fails before it or after it.
    fn cut(&mut self, store: &mut Faulty, nth: u32, luck: Luck) {
        self.cut = nth;
        store.0.fuse = (nth == 0).then_some((0, luck == Luck::All));
    }

    fn power(&mut self) -> u32 {
        self.cut.min(1)
    }
}

fn conform(fault: Fault) {
    let fresh = || Case { disk: Disk::default(), fault, cut: 0 };
    conforms(fresh, |error| *error == DiskError::Moved);
}

#[test]
fn a_disk_in_memory_holds_what_every_store_has_to() {
    conform(Fault::None);
}

#[test]
fn a_store_that_does_not_is_found_out() {
    for fault in [
        Fault::Lies,
        Fault::Halves,
        Fault::ObservedApart,
        Fault::DoesNotCompare,
        Fault::DoesNotConfirm,
    ] {
        assert!(std::panic::catch_unwind(|| conform(fault)).is_err(), "{fault:?}");
    }
}
