//! Judge a proof against this device's own key, and say whom a proof against another concerns.
//!
//! A device that honest people run signs each step once, so a true proof against it means that its
//! wallet was copied, its key stolen, or that it went on from a backup. One function judges it,
//! whether a file, a network, a meeting or a lost race brings it (spec `SETTLE-8`).

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{Change, Device, DeviceError, Event, Mode, Output, World};
use crate::evidence::Sighting;
use crate::fork::{ForkProof, Side};
use crate::keys::PublicKey;
use crate::message::Message;

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
        if self.is_unknown(last) && self.mode == Mode::Normal {
            output.extend(self.restored(world));
        }
        Ok(output)
    }

    /// Whatever another device says may show a step of this device's own that it does not know: in the history
    /// of coins, whatever comes of an offer or a payment of them, or by itself at a meeting. Its signature
    /// alone says enough. What follows is heard by a device that knows that it was set back.
    pub(super) fn shown(&mut self, world: &World<'_>, message: &Message) -> Output {
        let is_later = |step: &Sighting| {
            step.key == self.me.owner
                && self.is_unknown(step.branch.step.seq)
                && step.branch.signed_by(&step.key)
        };
        if self.mode == Mode::Normal && steps_in(message).iter().any(is_later) {
            return self.restored(world);
        }
        Output::default()
    }
}

/// The signed steps that a message shows. Nobody has checked them.
fn steps_in(message: &Message) -> Vec<Sighting> {
    match message {
        Message::Offer(offer) => offer.evidence.sightings(),
        Message::Payment(payment) | Message::Release(payment) => payment.offer.evidence.sightings(),
        Message::Findings(findings) => findings.branches.to_vec(),
        Message::SyncReply(reply) => reply.findings.branches.to_vec(),
        Message::SyncEnd(end) => end.findings.branches.to_vec(),
        Message::Accept(_)
        | Message::Commit(_)
        | Message::Receipt(_)
        | Message::Refuse(_)
        | Message::Sync(_) => Vec::new(),
    }
}
