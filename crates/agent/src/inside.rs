//! Sign inside the turn with a key that is in memory, and hold back what follows until the journal knows.
//!
//! A step and its signatures are one batch then. The order of a payment is: commit, journal, send. Until
//! the journal has answered, nothing of this agent leaves, so that a step which contradicts one that the
//! journal knows never does. One step at a time goes this way; while it waits, others go as orders.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use tally_core::device::{self, Entry, Event, Outgoing, Position, Sign, SpendToSign};
use tally_core::id::TxId;
use tally_core::predicate::Unlock;

use crate::engine::{Engine, Step};
use crate::packet::Via;
use crate::{AgentError, Batch, Conn, Done, Effect, Input, StepOrder, Way};

/// How much waits for the journal before nothing more is heard. One turn adds a few packets.
pub(crate) const MAX_HELD: usize = 1024;

/// How many bytes of packets do.
const MAX_HELD_BYTES: usize = 4 << 20;

impl Engine {
    /// Signs with the key in memory, if there is one; gives back what it does not sign.
    pub(crate) fn sign_inside(
        &mut self,
        step: &mut Step<'_>,
        sign: Sign,
        via: Option<&Via>,
    ) -> Option<Sign> {
        let Some(key) = self.key.clone() else { return Some(sign) };
        let signed = match &sign {
            Sign::Receipt { tx, digest } => {
                let signature = key.sign(digest);
                self.tell(step, device::Input::ReceiptSigned { tx: *tx, signature }, via)
            }
            Sign::Consent { tx, digests } => {
                let signatures = digests.iter().map(|digest| key.sign(digest)).collect();
                self.tell(step, device::Input::Consented { tx: *tx, signatures }, via)
            }
            Sign::Spend { tx, entry, inputs, .. } if self.may_sign_inside(tx, entry, inputs) => {
                let unlock = |input: &SpendToSign| Unlock::Signature(key.sign(&input.digest));
                let unlocks = inputs.iter().map(unlock).collect();
                let signed = self.tell(step, device::Input::Signed { tx: *tx, unlocks }, None);
                if signed.is_ok() {
                    (self.unobserved, self.signed_here) = (Some(*tx), true);
                    let order = StepOrder { tx: *tx, entry: entry.clone() };
                    step.effects.push(Effect::Observe(order));
                }
                signed
            }
            Sign::Spend { .. } | Sign::Prove { .. } => return Some(sign),
        };
        // Where the device does not take it, nothing has changed: it is ordered as from a key elsewhere.
        signed.is_err().then_some(sign)
    }

    /// Whether the journal is just before this step, as far as is known: no step below it waits.
    fn may_sign_inside(&self, tx: &TxId, entry: &Entry, inputs: &[SpendToSign]) -> bool {
        self.unobserved.is_none()
            && !self.spends.contains_key(tx)
            && self.before(tx).is_some_and(|before| entry.from == [before])
            && inputs.iter().all(|input| input.slot.is_none())
    }

    /// Where the device stood before the step of a payment.
    fn before(&self, tx: &TxId) -> Option<Position> {
        let step = self.device.outgoing().get(tx)?.transaction.step;
        Some(Position { seq: step.seq.saturating_sub(1), head: step.head })
    }

    /// Whether nothing of the step that the journal may not know has left, as far as this agent can tell: it
    /// was signed since the start, or its records name the step before it and were written no more. A
    /// backup names none.
    pub(crate) fn has_not_left(&self, tx: &TxId) -> bool {
        let named = |before: Position| self.observed == Some(before.head);
        self.signed_here || self.before(tx).is_some_and(named)
    }

    /// After a start: the journal may not know the last signed step, unless it is stored that it does.
    pub(crate) fn last_step_is_unobserved(&mut self) {
        let at = self.last_signed();
        if !self.is_normal() || self.observed == Some(at.head) {
            return;
        }
        let leads_there = |outgoing: &&Outgoing| {
            let transaction = &outgoing.transaction;
            transaction.step.seq == at.seq
                && transaction.step.head_after(&transaction.link) == at.head
        };
        let last = self.device.outgoing().values().map(AsRef::as_ref).find(leads_there);
        self.unobserved = last.map(|outgoing| outgoing.tx);
    }

    /// Where the journal may be, if nothing was set back. A crash may have come between the records and the
    /// journal also after the last step was signed.
    pub(crate) fn entry(&self) -> Entry {
        let mut entry = self.device.entry();
        entry.from.extend(self.unobserved.and_then(|tx| self.before(&tx)));
        entry
    }

    /// Where the device stood after the last step that is signed.
    fn last_signed(&self) -> Position {
        let Entry { to, from } = self.device.entry();
        from.last().copied().unwrap_or(to)
    }

    /// Whatever is written after the journal has answered says so: from then on a journal that does not
    /// know the step was set back.
    pub(crate) fn note_observed(&mut self, batch: &mut Batch) {
        let head = self.last_signed().head;
        let is_known = self.unobserved.is_none() && self.is_normal();
        if is_known && !batch.is_empty() && self.observed != Some(head) {
            (batch.observed, self.observed) = (Some(head), Some(head));
        }
    }

    /// Has the journal told again of a step of which it may not know.
    pub(crate) fn observe_again(&self, step: &mut Step<'_>) {
        let order = |tx| Effect::Observe(StepOrder { tx, entry: self.entry() });
        step.effects.extend(self.unobserved.map(order));
    }

    /// Keeps back what leaves, is shown or ends, while the journal does not know the last step; what failed with
    /// nothing of it to leave has ended.
    pub(crate) fn hold_back(&mut self, step: &mut Step<'_>) {
        if self.unobserved.is_none() {
            return;
        }
        let effects = core::mem::take(&mut step.effects);
        let sends = |effect: &Effect| match effect {
            Effect::Send { way: Way::Conn(conn), .. } => Some(*conn),
            _ => None,
        };
        let sending: BTreeSet<Conn> = self.held.iter().chain(&effects).filter_map(sends).collect();
        let goes = |effect: &Effect| match effect {
            Effect::Observe(_) | Effect::Sign(_) | Effect::Prove(_) | Effect::FreeCounter(_) => {
                true
            }
            // Of a payment it is not said yet that it is made.
            Effect::Over { end: Err(AgentError::Waiting { .. }), .. } => false,
            Effect::Over { way: Way::Conn(conn), end: Err(_) } => !sending.contains(conn),
            Effect::Send { .. }
            | Effect::Show(_)
            | Effect::Over { .. }
            | Effect::Invoice(_)
            | Effect::Unsendable { .. } => false,
        };
        let (now, later): (Vec<Effect>, Vec<Effect>) = effects.into_iter().partition(goes);
        step.effects = now;
        self.held.extend(later);
    }

    /// The journal has answered for a step that is signed: what was held back leaves, or never does.
    pub(crate) fn release_held(
        &mut self,
        step: &mut Step<'_>,
        fits: bool,
    ) -> Result<(), AgentError> {
        if !fits {
            return self.set_back(step);
        }
        (self.unobserved, self.signed_here) = (None, false);
        step.effects.append(&mut self.held);
        Ok(())
    }

    /// Drops what was held back of a device that was set back: its connections end. What is durable is
    /// shown all the same, and that is all but a step that counts as not signed.
    pub(crate) fn drop_held(&mut self, step: &mut Step<'_>) {
        (self.unobserved, self.signed_here) = (None, false);
        for effect in core::mem::take(&mut self.held) {
            match effect {
                Effect::Send { way: Way::Conn(conn), .. } => {
                    self.fail(step, conn, AgentError::SetBack);
                }
                Effect::Over { way, end } if end.is_ok() || self.says_made(&end) => {
                    step.effects.push(Effect::Over { way, end: Err(AgentError::SetBack) });
                }
                Effect::Show(event) if self.is_unmade(&event) => {}
                Effect::Send { way: Way::File, .. } => {}
                said @ (Effect::Over { .. }
                | Effect::Show(_)
                | Effect::Invoice(_)
                | Effect::Unsendable { .. }) => step.effects.push(said),
                // These are not held back: see `hold_back`.
                Effect::Sign(_)
                | Effect::Observe(_)
                | Effect::Prove(_)
                | Effect::FreeCounter(_) => {}
            }
        }
    }

    /// A connection that the shell has closed takes nothing of what is held back.
    pub(crate) fn drop_held_of(&mut self, conn: Conn) {
        let is_its = |effect: &Effect| {
            let (Effect::Send { way, .. } | Effect::Over { way, .. }) = effect else {
                return false;
            };
            *way == Way::Conn(conn)
        };
        self.held.retain(|effect| !is_its(effect));
    }

    /// Whether no more is heard: what would be answered waits for the journal.
    ///
    /// # Errors
    /// [`AgentError::Full`].
    pub(crate) fn may_hear(&self, input: &Input) -> Result<(), AgentError> {
        let is_heard =
            matches!(input, Input::Packet { .. } | Input::Opened { .. } | Input::File { .. });
        let bytes = |effect: &Effect| match effect {
            Effect::Send { packet, .. } => packet.len(),
            _ => 0,
        };
        let is_full = || {
            self.held.len() >= MAX_HELD
                || self.held.iter().map(bytes).sum::<usize>() >= MAX_HELD_BYTES
        };
        if is_heard && is_full() { Err(AgentError::Full) } else { Ok(()) }
    }

    /// Whether an event tells of a payment that is not signed after all.
    fn is_unmade(&self, event: &Event) -> bool {
        match event {
            Event::Paid { tx, .. } | Event::Moved { tx, .. } => !self.is_made(tx),
            _ => false,
        }
    }

    /// Whether an end says of a payment that it is made, which is not so.
    fn says_made(&self, end: &Result<Done, AgentError>) -> bool {
        matches!(end, Err(AgentError::Waiting { tx, .. }) if !self.is_made(tx))
    }

    fn is_made(&self, tx: &TxId) -> bool {
        self.device.outgoing().get(tx).is_some_and(|outgoing| outgoing.is_signed())
    }

    /// The payment whose step is signed and waits for the journal, if one does.
    pub(crate) fn waits_for_journal(&self) -> Option<TxId> {
        self.unobserved.filter(|_| self.is_normal())
    }
}
