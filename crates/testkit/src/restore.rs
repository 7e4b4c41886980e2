//! Make a backup, come back from it, and go on signing.

use core::cmp::Ordering;

use tally_agent::{AgentError, Input};
use tally_core::device::{self, Basis, DeviceError, Position, RecoveryError, World};
use tally_core::id::Head;
use tally_core::seal::TpmProofs;
use tally_core::time::Time;

use crate::disk::Disk;
use crate::person::{Ended, Person};

/// What a backup holds: the records, without the sessions.
#[derive(Clone, Debug)]
pub struct Backup(Disk);

/// All of a device that its owner can copy: its disk, sessions and all, and the journal beside it.
#[derive(Clone, Debug)]
pub struct Copied {
    disk: Disk,
    journal: Option<(u64, Head)>,
}

/// What a journal says of a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Told {
    /// It is the latest.
    Latest,
    /// There is a later one, or another of the same number.
    Later,
    /// Nothing.
    Nothing,
}

impl Person {
    /// Writes everything down that is needed to come back.
    pub fn back_up(&self) -> Backup {
        let mut disk = self.disk.clone();
        disk.lose_sessions();
        disk.lose_observed();
        disk.fuse = None;
        Backup(disk)
    }

    /// Comes back from a backup: beside the journal and the proofs of the chip, or without both, as on
    /// another machine.
    pub fn restore(&mut self, now: Time, backup: &Backup, journal_is_here: bool) {
        self.disk = backup.0.clone();
        self.mark = self.disk.writes;
        if !journal_is_here {
            self.lose_journal();
        }
        self.load();
        let input = if self.is_confirmed() { Input::Remind } else { Input::SetBack };
        self.give(now, input).expect("a wallet opens whatever waits in it");
    }

    /// The journal is not here any more, nor are the proofs of the chip.
    pub fn lose_journal(&mut self) {
        self.journal = None;
        if let Some(chip) = &mut self.chip {
            chip.lose_proofs();
        }
    }

    /// The disk is as it was then, sessions and all, and what is known outside of it stays.
    pub fn set_back(&mut self, now: Time, then: Disk) {
        self.disk = then;
        self.restart(now);
    }

    /// A copy, as a cheat makes it.
    pub fn copy(&self) -> Copied {
        Copied { disk: self.disk.clone(), journal: self.journal }
    }

    /// Goes on with a copy as if it were the device, and looks at nothing that says otherwise.
    pub fn go_on_with(&mut self, copy: Copied) {
        (self.disk, self.journal) = (copy.disk, copy.journal);
        self.start();
    }

    /// Starts from what is durable, and looks at nothing else.
    pub fn start(&mut self) {
        self.mark = self.disk.writes;
        self.load();
    }

    /// The owner says that everybody was met, and signs again: by the journal, if it is here, by what
    /// contacts gave back, or by the owner's word that nothing was paid after the latest step that the
    /// device or the journal knows.
    ///
    /// # Errors
    /// [`Ended`] while contacts are to be met, or nothing vouches for the latest step.
    pub fn recover(&mut self, now: Time, nothing_paid: bool) -> Result<(), Ended> {
        if self.is_normal() {
            return Ok(());
        }
        let Position { seq, head } = self.device().goes_on_from();
        let basis = match (self.told_of(seq, &head), nothing_paid) {
            (Told::Later, false) => return Err(refused(RecoveryError::Unconfirmed)),
            (Told::Later, true) => self.journal.map_or(Basis::OwnersWord, |(seq, head)| {
                Basis::JournalBeyond(Position { seq, head })
            }),
            (_, true) => Basis::OwnersWord,
            (Told::Latest, false) => Basis::Journal,
            (Told::Nothing, false) => Basis::Contacts,
        };
        self.look_at_counters(now, false)?;
        let confirm = device::Input::ConfirmRecovery(basis);
        let world = World { now, seals: &TpmProofs, notary: self.trust.as_ref() };
        let mut confirmed = self.device().clone();
        confirmed.handle(&world, confirm.clone()).map_err(AgentError::from)?;
        // The journal holds the place before anything is signed from there.
        let Position { seq, head } = confirmed.entry().to;
        self.journal = Some((seq, head));
        self.wish(now, confirm)?;
        self.give(now, Input::Remind).map(|_| ())
    }

    fn told_of(&self, seq: u64, head: &Head) -> Told {
        let Some((at, known)) = self.journal else { return Told::Nothing };
        match at.cmp(&seq) {
            Ordering::Equal if known == *head => Told::Latest,
            Ordering::Equal | Ordering::Greater => Told::Later,
            Ordering::Less => Told::Nothing,
        }
    }
}

fn refused(error: RecoveryError) -> Ended {
    Ended::Refused(DeviceError::from(error).into())
}
