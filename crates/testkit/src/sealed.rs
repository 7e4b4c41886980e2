//! Do with a person's chip what the agent asks of it, as a wallet does with a TPM.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use tally_agent::recovery::holds_latest;
use tally_agent::{Idle, Input, ProveOrder, Proved};
use tally_core::device::{self, Position, Sign};
use tally_core::id::TxId;
use tally_core::predicate::Predicate;
use tally_core::seal::{SealIdentity, Slot};
use tally_core::time::Time;

use crate::chip::Fate;
use crate::person::{Ended, Person};

/// No transaction has this number, so that no earlier proof counts for it.
const NONE: TxId = TxId::new([0; 32]);

impl Person {
    /// Leaves a slot. No counter moves for whoever was set back, and a chip that does not answer is away
    /// from then on.
    pub(crate) fn prove(&mut self, agent: &Idle, order: ProveOrder) -> Option<Input> {
        let ProveOrder { tx, slot, all } = order;
        if self.journal_differs(agent) {
            return Some(Input::SetBack);
        }
        let chip = self.chip.as_mut()?;
        if !chip.is_here {
            return Some(Input::Wish(vec![device::Input::Away(true)]));
        }
        let proved = match chip.prove(&slot, &tx) {
            Some(proof) => Proved::Proof(Box::new(proof)),
            None => {
                let lost = |slot: &Slot| chip.fate(slot, &tx) == Some(Fate::Moved);
                Proved::Never { lost: all.into_iter().filter(lost).collect(), set_back: true }
            }
        };
        Some(Input::Proved { tx, slot, proved })
    }

    /// The chip is there, or does not answer any more.
    ///
    /// # Errors
    /// [`Ended`].
    pub fn put_chip(&mut self, now: Time, is_here: bool) -> Result<(), Ended> {
        let Some(chip) = &mut self.chip else { return Ok(()) };
        chip.is_here = is_here;
        self.look_for_chip(now)
    }

    /// Tells the device whether the chip is there, as a wallet does when it opens.
    ///
    /// # Errors
    /// [`Ended`].
    pub fn look_for_chip(&mut self, now: Time) -> Result<(), Ended> {
        let Some(chip) = &self.chip else { return Ok(()) };
        let is_here = chip.is_here;
        if self.device().is_away() == is_here {
            self.wish(now, device::Input::Away(!is_here))?;
        }
        Ok(())
    }

    /// Tells the device of the slots that give no proof any more. With `given_up`, the owner gives up on a
    /// chip that is away: so it is with all that it says nothing about.
    ///
    /// # Errors
    /// [`Ended`].
    pub fn look_at_counters(&mut self, now: Time, given_up: bool) -> Result<(), Ended> {
        let Some(chip) = &self.chip else { return Ok(()) };
        let coins = self.sealed_slots().into_iter().map(|slot| (slot, NONE));
        let pending = self.device().pending().map(|o| self.device().to_sign(o, now));
        let pending = pending.flat_map(|sign| match sign {
            Sign::Prove { tx, slots } => slots.into_iter().map(|slot| (slot, tx)).collect(),
            Sign::Spend { .. } | Sign::Receipt { .. } | Sign::Consent { .. } => Vec::new(),
        });
        let is_lost = |(slot, tx): &(Slot, TxId)| match chip.fate(slot, tx) {
            None => given_up,
            Some(fate) => fate == Fate::Moved,
        };
        let slots: Vec<Slot> = coins.chain(pending).filter(is_lost).map(|(s, _)| s).collect();
        if !slots.is_empty() {
            self.wish(now, device::Input::SlotsLost { tx: None, slots })?;
        }
        Ok(())
    }

    /// The slots of this person's own chip under which coins are.
    fn sealed_slots(&self) -> Vec<Slot> {
        let mine = self.device().me().seal;
        let ready = self.device().ledger().pockets().filter(|pocket| pocket.is_ready());
        let sealed = ready.filter_map(|pocket| match &pocket.coin.as_ref()?.1.owner {
            Predicate::Sealed(sealed) => Some(sealed.slot),
            _ => None,
        });
        sealed.filter(|slot| mine == SealIdentity::Hardware(slot.seal)).collect()
    }

    /// Whether the chip and the journal beside it both say that the disk holds the latest step.
    pub(crate) fn is_confirmed(&self) -> bool {
        let open = |slot: &Slot| {
            self.chip.as_ref().and_then(|chip| chip.fate(slot, &NONE)) == Some(Fate::Open)
        };
        let open: Vec<bool> = self.sealed_slots().iter().map(open).collect();
        let journal = self.journal.map(|(seq, head)| Position { seq, head });
        holds_latest(self.device(), journal, &open)
    }
}
