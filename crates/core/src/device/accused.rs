//! Judge a proof against this device's own key, and say whom a proof against another concerns.
//!
//! A device that honest people run signs each step once, so a true proof against it means that its
//! wallet was copied, its key stolen, or that it went on from a backup. One function judges it,
//! whether a file, a network, a meeting or a lost race brings it (spec `SETTLE-8`).

use alloc::boxed::Box;

use super::{Change, Device, DeviceError, Event, Mode, Output, World};
use crate::evidence::{Evidence, Sighting};
use crate::fork::{ForkProof, Side};
use crate::keys::PublicKey;

/// What of a device's a proof against another touches, the most first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Concern {
    /// Money that is held, and of which a move by the convicted device is not certified: of two who
    /// hold it, the first to settle keeps it.
    Money,
    /// A contact whom the owner knows.
    Contact,
    /// Nobody and nothing that is known here.
    Nobody,
}

impl ForkProof {
    /// The highest number of a step that it shows.
    fn last_step(&self) -> u64 {
        let seq = |side: &Side| side.step().map_or(0, |branch| branch.step.seq);
        seq(&self.a).max(seq(&self.b))
    }
}

impl Device {
    /// The proof against this device's own key that counts, if it was shown one.
    pub const fn accusation(&self) -> Option<&ForkProof> {
        self.accusation.as_ref()
    }

    /// What of this device's a proof against a key touches.
    pub fn concern(&self, key: &PublicKey) -> Concern {
        let mut held = self.ledger.pockets().filter(|pocket| !self.at_stake(pocket).is_zero());
        let mut contacts = self.contacts.values();
        if held.any(|pocket| pocket.evidence.uncertified_keys().contains(key)) {
            Concern::Money
        } else if contacts.any(|contact| contact.owner == *key && contact.stranger.is_none()) {
            Concern::Contact
        } else {
            Concern::Nobody
        }
    }

    /// A proof against this device's own key never makes it refuse itself: whoever copied its wallet
    /// would switch it off from afar. But a step above its last one it did not know: then it receives
    /// only, as after any sign that it was set back. The same proof, or one that shows no later
    /// step, changes nothing.
    pub(super) fn accused(
        &mut self,
        world: &World<'_>,
        proof: ForkProof,
    ) -> Result<Output, DeviceError> {
        let kind = proof.check()?;
        let last = proof.last_step();
        let known = self.accusation.as_ref().map(ForkProof::last_step);
        if known.is_some_and(|known| last <= known) {
            return Ok(Output::default());
        }
        let mut output = self.record([Change::Fork(Box::new(proof))]);
        output.events.push(Event::Accused { kind });
        if last > self.seq && self.mode == Mode::Normal {
            output.extend(self.restored(world));
        }
        Ok(output)
    }

    /// A history that comes in may show a step of this device's own above its last one, too.
    pub(super) fn shown(&mut self, world: &World<'_>, verified: &Evidence) -> Output {
        self.shown_by(world, &verified.sightings(), |_| true)
    }

    /// And so may a contact at a meeting, by the step alone. Nobody has checked it.
    pub(super) fn told(&mut self, world: &World<'_>, steps: &[Sighting]) -> Output {
        self.shown_by(world, steps, |step| step.branch.signed_by(&step.key))
    }

    fn shown_by(
        &mut self,
        world: &World<'_>,
        steps: &[Sighting],
        is_signed: fn(&Sighting) -> bool,
    ) -> Output {
        let is_later = |step: &Sighting| {
            step.key == self.me.owner && step.branch.step.seq > self.seq && is_signed(step)
        };
        if self.mode == Mode::Normal && steps.iter().any(is_later) {
            return self.restored(world);
        }
        Output::default()
    }
}
