//! End a recovery: who is asked what, in which order, and on whose word a device signs again.
//!
//! [`Recovery`] is a machine without I/O. It says what is to be done next, is shown what has become of
//! it, and refuses as soon as something stands against signing. Whoever does what it says (a wallet with
//! files, a page, a test) decides nothing (spec `RECOVER-4` to `RECOVER-13`).
//!
//! ```text
//! contacts met? ─► the journal ─► the network ─► the counters ─► the journal's place ─► confirm
//!   refuse           refuse         refuse
//! ```
//! A hardware seal is given up only when nothing can refuse any more: who is refused may find it in a
//! drawer tomorrow.

mod coins;
mod journal;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use tally_core::device::{Basis, Device, DeviceError, Input, Mode, Position, RecoveryError, World};
use tally_core::notary::{StateId, TrustBase};
use tally_core::seal::TpmProofs;
use tally_core::time::Time;

pub use self::coins::Coins;
use self::journal::{Compared, compare};
pub use self::journal::{Further, holds_latest, last_known_step};
use crate::AgentError;
use crate::settle::Standing;

/// What the owner says when a recovery is to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Word {
    /// Nothing was paid after the latest step that the device or its journal knows. If it is wrong, the
    /// next payment is a fork.
    pub nothing_paid: bool,
    /// The hardware seal is given up.
    pub without_seal: bool,
}

/// What the machine looks at each time.
#[derive(Clone, Copy, Debug)]
pub struct Here<'a> {
    /// The device.
    pub device: &'a Device,
    /// The time.
    pub now: Time,
    /// The validators whose certificates count, if any.
    pub trust: Option<&'a TrustBase>,
    /// Where the journal outside of the records ends, if there is one that can be read.
    pub journal: Option<Position>,
}

/// What is to be done next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Ask the network whether these states are spent, and tell the device of each that is; then
    /// [`Recovery::answered`].
    Ask(Vec<StateId>),
    /// Ask the seal for the slots under which coins are, and tell the device of those that give no proof any more;
    /// then [`Recovery::looked`].
    Look {
        /// So it is with all that the seal says nothing about.
        given_up: bool,
    },
    /// Make this the journal's latest step, whatever it held.
    Adopt(Position),
    /// Tell the device that its recovery is confirmed, on this basis, and remind the agent.
    Confirm(Basis),
    /// Nothing is left to do.
    Done,
}

/// How far it is.
#[derive(Clone, Debug)]
enum Stage {
    Begun,
    /// The network is asked. Before, it showed so many steps that are not known.
    Asking {
        basis: Basis,
        before: u64,
        coins: Coins,
    },
    /// The network has said what it says.
    Answered {
        basis: Basis,
        before: u64,
    },
    /// The counters are looked at; without a basis for a device that may sign.
    Looking(Option<Basis>),
    Confirming(Basis),
    Ended,
}

/// The end of one recovery.
#[derive(Clone, Debug)]
pub struct Recovery {
    word: Word,
    stage: Stage,
}

impl Recovery {
    /// The owner says that everyone who was paid since the backup has been met. A device that may sign
    /// has nothing to recover, and at most gives its seal up.
    pub const fn new(word: Word) -> Self {
        Self { word, stage: Stage::Begun }
    }

    /// What is to be done next. The same again, as long as it is not done.
    ///
    /// # Errors
    /// [`AgentError::Device`] while contacts are to be met, when nothing vouches for the latest step, or
    /// when the network showed a later one after the owner's word was given;
    /// [`AgentError::RolledBack`] when the journal knows of another end than the device, and the owner does not give
    /// their word that it was the last step.
    pub fn next(&mut self, here: &Here<'_>) -> Result<Step, AgentError> {
        if matches!(self.stage, Stage::Begun) {
            self.stage = self.begin(here)?;
        }
        if let Stage::Answered { basis, before } = self.stage {
            if here.device.shown_beyond() > before {
                // Any word was given before this was known.
                let last = here.device.last_signed();
                return Err(DeviceError::from(RecoveryError::EndOpen(last)).into());
            }
            self.stage = Stage::Looking(Some(basis));
        }
        match &self.stage {
            Stage::Asking { coins, .. } => Ok(Step::Ask(coins.states())),
            Stage::Looking(_) => Ok(Step::Look { given_up: self.word.without_seal }),
            Stage::Confirming(basis) => here.confirming(*basis),
            Stage::Begun | Stage::Answered { .. } | Stage::Ended => Ok(Step::Done),
        }
    }

    /// What the network shows of the states that were to be asked for. An answer that leaves one of them out is none.
    pub fn answered(&mut self, standings: &BTreeMap<StateId, Standing>) {
        if let Stage::Asking { basis, before, coins } = &self.stage
            && coins.states().iter().all(|state| standings.contains_key(state))
        {
            self.stage = Stage::Answered { basis: *basis, before: *before };
        }
    }

    /// The counters were looked at, and the device was told.
    pub fn looked(&mut self) {
        if let Stage::Looking(basis) = &self.stage {
            self.stage = match *basis {
                Some(basis) => Stage::Confirming(basis),
                None => Stage::Ended,
            };
        }
    }

    fn begin(&self, here: &Here<'_>) -> Result<Stage, AgentError> {
        if *here.device.mode() == Mode::Normal {
            return Ok(if self.word.without_seal { Stage::Looking(None) } else { Stage::Ended });
        }
        // Whoever is still to be met may have the steps that are missing.
        here.confirmed(Basis::OwnersWord)?;
        let basis = self.basis(here)?;
        here.confirmed(basis)?;
        if here.trust.is_none() {
            return Ok(Stage::Looking(Some(basis)));
        }
        let (before, coins) = (here.device.shown_beyond(), Coins::held(here.device));
        Ok(Stage::Asking { basis, before, coins })
    }

    /// What vouches for the step that the device goes on from, whatever is missing below.
    fn basis(&self, here: &Here<'_>) -> Result<Basis, AgentError> {
        let word = self.word.nothing_paid;
        match compare(here.journal, here.device.goes_on_from()) {
            Compared::Further(further) => {
                let end = here.journal.filter(|_| word).map(Basis::JournalBeyond);
                end.ok_or(AgentError::RolledBack(further))
            }
            _ if word => Ok(Basis::OwnersWord),
            Compared::Same => Ok(Basis::Journal),
            Compared::Silent => Ok(Basis::Contacts),
        }
    }
}

impl Here<'_> {
    /// The journal holds the place before anything is signed from there.
    fn confirming(&self, basis: Basis) -> Result<Step, AgentError> {
        if *self.device.mode() == Mode::Normal {
            return Ok(Step::Done);
        }
        let place = self.confirmed(basis)?.entry().to;
        Ok(if self.journal == Some(place) { Step::Confirm(basis) } else { Step::Adopt(place) })
    }

    /// The device as it would be once recovery is confirmed.
    fn confirmed(&self, basis: Basis) -> Result<Device, DeviceError> {
        let world = World { now: self.now, seals: &TpmProofs, notary: self.trust };
        let mut device = self.device.clone();
        device.handle(&world, Input::ConfirmRecovery(basis))?;
        Ok(device)
    }
}
