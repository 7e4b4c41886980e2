//! Come back from a backup without ever signing from an old step.
//!
//! A restored device receives only. At each meeting its contacts give back the steps of its own
//! that they hold, signed by itself, and it does here what they did. Once everyone was met, the owner
//! confirms, and the device goes on from the latest step that it knows. Coins that a step may have
//! spent which nobody told are set apart. What remains are assumptions: that nobody was paid since the
//! backup whom the backup does not know, and that every contact gave back all that it holds (spec
//! `RECOVER-1` to `RECOVER-12`).

mod apart;
mod given;
mod intents;
mod learn;
mod steps;
mod word;

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

pub use apart::Apart;
pub(super) use learn::Talk;
pub(super) use steps::OwnSteps;
pub use steps::{Missing, OwnStep, Recovered};

use super::{
    Change, Contact, Device, DeviceError, MAX_ALL_TERMS, Meeting, Mode, Output, Position, World,
};
use crate::id::{DeviceId, Head};

/// What says that a restored device knows its latest step.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Basis {
    /// A journal that was not set back ends at this very step.
    Journal,
    /// A journal ends here, at a step that nobody told, or at another one of this number; and the owner's
    /// word that nothing was signed after it. If it is wrong, the next payment is a fork.
    JournalBeyond(Position),
    /// At least one contact was met, nobody is left to be met, and nobody was given up.
    Contacts,
    /// The owner's word alone that nothing was paid after the latest step that is known. If it is
    /// wrong, the next payment is a fork.
    OwnersWord,
}

/// Why a restored device does not pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryError {
    /// It does not know its latest step yet.
    #[error(
        "this wallet was restored and receives only until it knows its latest step: meet everyone whom you paid since the backup (tally sync), then confirm (tally recover)"
    )]
    ReceiveOnly,
    /// Contacts are still to be met, or steps are missing.
    #[error(
        "recovery is not complete, {0} contacts are still to be met and {1} steps are missing: meet them (tally sync), or give up on whom you cannot meet (tally recover --give-up CONTACT)"
    )]
    Open(u32, u32),
    /// A contact was given up, or the network shows a spend that nobody told of: whether a step was
    /// signed after this one is not known.
    #[error(
        "nobody can say whether this wallet signed a step after step {0}, since a contact was given up or the network shows a payment that is not known here; meet them after all (tally sync), or give your word that there is no step after step {0} (tally recover --nothing-paid-since-backup), which convicts this wallet if there is one and its payee comes back"
    )]
    EndOpen(u64),
    /// Missing steps may have spent all coins that would do.
    #[error(
        "the coins that would pay this are set apart, since a lost payment may have spent them: pay with others, or meet whoever was paid (tally sync)"
    )]
    SetApart,
    /// Nothing is set apart that the owner's word could free.
    #[error("nothing is set apart that could be freed: see what you have (tally balance)")]
    NotApart,
    /// The network does not show that what is set apart is unspent.
    #[error(
        "the network does not show that what is set apart is unspent, and without that nothing is freed: give this wallet the addresses of at least two of four validators (tally notary add), see that they answer (tally notary list), and try again"
    )]
    NotUnspent,
    /// Nobody was met, and no journal tells the latest step.
    #[error(
        "nothing confirms this wallet's latest step, since no contact was met and its journal is not here: meet somebody whom you may have paid since the backup (tally contact add, tally sync), or, only if you are sure that you paid nobody since, give your word (tally recover --nothing-paid-since-backup)"
    )]
    Unconfirmed,
}

impl RecoveryError {
    /// Stable code of this error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::ReceiveOnly => "RECEIVE_ONLY",
            Self::Open(..) => "NOT_RECOVERED",
            Self::EndOpen(_) => "RECOVERY_END_OPEN",
            Self::SetApart => "SET_APART",
            Self::NotApart => "NOT_SET_APART",
            Self::NotUnspent => "NOT_UNSPENT",
            Self::Unconfirmed => "RECOVERY_UNCONFIRMED",
        }
    }
}

impl Device {
    /// The device may be behind: it receives only from now on.
    ///
    /// What waits for the seal may have been signed and sent since.
    pub(super) fn restored(&mut self, world: &World<'_>) -> Output {
        let contacts: Vec<Contact> = self.contacts.values().cloned().collect();
        let mut output = self.record([Change::Mode(Mode::ReceiveOnly)]);
        self.doubt(world, &mut output);
        let unmet = |contact: Contact| {
            // A stranger was never paid as far as this device knows.
            let met = if contact.stranger.is_some() { Meeting::New } else { Meeting::Due };
            Change::Contact(Box::new(Contact { met, ..contact }))
        };
        self.add(&mut output, contacts.into_iter().map(unmet));
        // What is not among these is in question when it comes again.
        self.limit_terms(&mut output, MAX_ALL_TERMS.saturating_add(1), |_, _| true);
        let (before, missing) =
            (self.terms.keys().copied().collect(), self.recovered.missing.clone());
        self.add(&mut output, [Change::Recovered(Box::new(Recovered { before, missing }))]);
        self.question_all(&mut output);
        self.talks.clear();
        output
    }

    /// The owner gives up on a contact who cannot be met.
    pub(super) fn give_up(&mut self, contact: DeviceId) -> Result<Output, DeviceError> {
        let contact = self.contact(&contact)?;
        if contact.met != Meeting::Due {
            return Ok(Output::default());
        }
        let contact = Contact { met: Meeting::GivenUp, ..contact.clone() };
        Ok(self.record([Change::Contact(Box::new(contact))]))
    }

    /// The latest step of this device's that it knows to be signed: where it goes on from.
    pub fn latest(&self) -> (u64, Head) {
        let learnt = self.steps.last().filter(|step| step.step.seq >= self.seq);
        learnt.map_or((self.seq, self.head), |step| (step.step.seq, step.head_after()))
    }

    /// Where the journal of a device is that lost nothing, and goes on from its latest step.
    pub fn goes_on_from(&self) -> Position {
        let (seq, head) = self.latest();
        let is_own = (seq, head) == (self.seq, self.head);
        if is_own { self.entry().to } else { Position { seq, head } }
    }

    /// The number of the latest step that is known to be signed. Others may have been signed in the place
    /// of what waits for the seal.
    pub fn last_signed(&self) -> u64 {
        let (seq, head) = self.latest();
        let own = self.unsigned_tail().last().map(|o| o.transaction.step.seq.saturating_sub(1));
        own.filter(|_| (seq, head) == (self.seq, self.head)).unwrap_or(seq)
    }

    /// The steps of its own, up to the latest, that nobody has told it whole.
    pub fn missing(&self) -> Missing {
        let mut missing = self.recovered.missing.clone();
        missing.extend(&self.steps.missing(self.seq, self.latest().0));
        missing
    }

    /// The owner says that everyone who was paid since the backup has been met: the device goes on
    /// from the latest step that it knows. What steps may have spent that are missing up to there is
    /// set apart.
    pub(super) fn confirm_recovery(&mut self, basis: Basis) -> Result<Output, DeviceError> {
        if self.mode == Mode::Normal {
            return Ok(Output::default());
        }
        let mut missing = self.missing();
        let unmet = self.contacts.values().filter(|c| c.met == Meeting::Due).count();
        if unmet > 0 {
            let missing = u32::try_from(missing.count()).unwrap_or(u32::MAX);
            let unmet = u32::try_from(unmet).unwrap_or(u32::MAX);
            return Err(RecoveryError::Open(unmet, missing).into());
        }
        self.vouches_for_the_end(basis)?;
        let mut output = Output::default();
        let (seq, head) = self.end(basis, &mut missing);
        if !missing.is_empty() {
            self.undo_intents(&mut output, &mut missing);
        }
        let before =
            if missing.is_empty() { BTreeSet::new() } else { self.recovered.before.clone() };
        let open: Vec<Change> = self.steps.open().cloned().map(Change::OwnStep).collect();
        self.add(&mut output, open);
        self.add(
            &mut output,
            [
                Change::Step { seq, head },
                Change::Recovered(Box::new(Recovered { before, missing })),
                Change::Mode(Mode::Normal),
            ],
        );
        self.review(&mut output);
        Ok(output)
    }

    /// The step that the device goes on from. Up to the place of a journal that ends further on, all
    /// steps are missing: they were signed, as far as this device can tell.
    fn end(&self, basis: Basis, missing: &mut Missing) -> (u64, Head) {
        let latest = self.latest();
        let Basis::JournalBeyond(at) = basis else { return latest };
        let in_place_of_what_waits = at.seq == latest.0 && self.last_signed() < at.seq;
        if at.seq <= latest.0 && !in_place_of_what_waits {
            return latest;
        }
        missing.add(at.seq.min(latest.0.saturating_add(1)), at.seq);
        (at.seq, at.head)
    }

    /// Whether it is known that no step was signed after the latest that is known.
    fn vouches_for_the_end(&self, basis: Basis) -> Result<(), RecoveryError> {
        let of = |met: Meeting| self.contacts.values().filter(|c| c.met == met).count();
        let given_up = match basis {
            Basis::OwnersWord | Basis::JournalBeyond(_) => return Ok(()),
            Basis::Journal => 0,
            Basis::Contacts if of(Meeting::Met) == 0 => return Err(RecoveryError::Unconfirmed),
            Basis::Contacts => of(Meeting::GivenUp),
        };
        if given_up == 0 && self.shown_beyond() == 0 {
            return Ok(());
        }
        Err(RecoveryError::EndOpen(self.last_signed()))
    }
}
