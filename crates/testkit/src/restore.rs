//! Make a backup, come back from it, and go on signing.

use tally_agent::Input;
use tally_agent::recovery::{Here, Recovery, Step, Word};
use tally_core::device::{self, Position};
use tally_core::id::Head;
use tally_core::time::Time;

use crate::disk::Disk;
use crate::person::{Ended, Person};
use crate::scene::Scene;

/// What a backup holds: the records, without the sessions.
#[derive(Clone, Debug)]
pub struct Backup(Disk);

/// All of a device that its owner can copy: its disk, sessions and all, and the journal beside it.
#[derive(Clone, Debug)]
pub struct Copied {
    disk: Disk,
    journal: Option<(u64, Head)>,
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

    /// What the end of a recovery looks at.
    pub fn here(&self, now: Time) -> Here<'_> {
        let journal = self.journal.map(|(seq, head)| Position { seq, head });
        Here { device: self.device(), now, trust: self.trust.as_ref(), journal }
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
}

impl Scene {
    /// Somebody says that everybody was met, and signs again: by the journal, if it is here, by what
    /// contacts gave back, or by the owner's word that nothing was paid after the latest step that the
    /// device or the journal knows. Whoever trusts the network asks it first.
    ///
    /// # Errors
    /// [`Ended`] while contacts are to be met, nothing vouches for the latest step, or the network showed a
    /// later one just now.
    pub fn recover(&mut self, person: usize, nothing_paid: bool) -> Result<(), Ended> {
        self.recover_by(person, Word { nothing_paid, without_seal: false })
    }

    /// The same by all that somebody may say, a word that the seal is given up among it.
    ///
    /// # Errors
    /// [`Ended`], as [`Scene::recover`].
    pub fn recover_by(&mut self, person: usize, word: Word) -> Result<(), Ended> {
        let mut recovery = Recovery::new(word);
        loop {
            let now = self.now;
            match recovery.next(&self.people[person].here(now)).map_err(Ended::Refused)? {
                Step::Ask(states) => {
                    recovery.answered(&self.ask_for(person, states)?.standings);
                }
                Step::Look { given_up } => {
                    self.people[person].look_at_counters(now, given_up)?;
                    recovery.looked();
                }
                Step::Adopt(Position { seq, head }) => {
                    self.people[person].journal = Some((seq, head));
                }
                Step::Confirm(basis) => {
                    self.people[person].wish(now, device::Input::ConfirmRecovery(basis))?;
                    self.people[person].give(now, Input::Remind)?;
                }
                Step::Done => return Ok(()),
            }
        }
    }
}
