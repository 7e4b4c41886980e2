//! Compare a device with the journal that is kept outside of its records.

use core::cmp::Ordering;

use tally_core::device::{Device, Mode, Position};

/// How a journal knows of another end than the device.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum Further {
    /// It ends at this later step: the device was set back.
    #[error(
        "the journal knows that this device has signed up to step {0}, and nobody told it of all steps up to there"
    )]
    Later(u64),
    /// It has another step of the same number: two histories.
    #[error("the journal has another step under this number: two copies of this wallet were used")]
    Other,
}

/// What a journal says of the step that a device goes on from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Compared {
    /// It ends there.
    Same,
    Further(Further),
    /// It ends before, or there is none that can be read.
    Silent,
}

pub(super) fn compare(journal: Option<Position>, at: Position) -> Compared {
    let Some(end) = journal else { return Compared::Silent };
    match end.seq.cmp(&at.seq) {
        Ordering::Greater => Compared::Further(Further::Later(end.seq)),
        Ordering::Equal if end.head == at.head => Compared::Same,
        Ordering::Equal => Compared::Further(Further::Other),
        Ordering::Less => Compared::Silent,
    }
}

/// The number of the latest step that the device, or its journal, knows to be signed.
pub fn last_known_step(device: &Device, journal: Option<Position>) -> u64 {
    let last = device.last_signed();
    journal.map_or(last, |end| end.seq.max(last))
}

/// Whether a device that comes from a backup holds its latest step, and goes on at once: a hardware seal
/// says that every coin under it is at its slot (`open`, one for each coin), and the journal beside it ends
/// at this very step.
///
/// Without hardware the journal alone is not believed: it may have been set back with the backup.
pub fn holds_latest(device: &Device, journal: Option<Position>, open: &[bool]) -> bool {
    let at_rest = *device.mode() == Mode::Normal && device.pending().next().is_none();
    let all_open = !open.is_empty() && open.iter().all(|open| *open);
    at_rest && all_open && journal == Some(device.entry().to)
}
