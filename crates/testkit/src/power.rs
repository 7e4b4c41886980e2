//! Lose power at a chosen order of an agent: a signature, a proof, a counter, a step for the journal.

use alloc::boxed::Box;
use alloc::vec::Vec;

use tally_agent::{
    AgentError, Cx, Done, Idle, Input, Ports, ProveOrder, SignOrder, StepOrder, Way,
};
use tally_core::card::Signed;
use tally_core::device::Event;
use tally_core::id::{DeviceId, TxId};
use tally_core::keys::Signature;
use tally_core::predicate::Sealed;
use tally_core::seal::Slot;

use crate::disk::{Disk, DiskError};
use crate::person::Ended;

/// How many orders an agent gave, and at which of them power fails.
#[derive(Clone, Copy, Debug, Default)]
pub struct Power {
    /// How many orders were given.
    pub orders: usize,
    /// How many of them were for a proof.
    pub proofs: usize,
    /// Power fails at the order after so many: before it is carried out, or just after it, so that nobody
    /// hears the answer.
    pub fuse: Option<(usize, bool)>,
    is_off: bool,
}

impl Power {
    /// Carries an order out, unless power fails.
    fn order<T>(&mut self, act: impl FnOnce() -> Option<T>) -> Option<T> {
        if self.is_off {
            return None;
        }
        self.orders += 1;
        let Some((left, after)) = &mut self.fuse else { return act() };
        if *left > 0 {
            *left -= 1;
            return act();
        }
        self.is_off = true;
        if *after {
            act();
        }
        None
    }

    /// Power is back; gives whether it had failed.
    pub(crate) const fn is_back(&mut self) -> bool {
        if self.is_off {
            self.fuse = None;
        }
        core::mem::replace(&mut self.is_off, false)
    }
}

/// What is around an agent, as long as there is power.
pub(crate) struct Powered<'a, P> {
    pub(crate) ports: P,
    pub(crate) power: &'a mut Power,
}

impl<P: Ports<Store = Disk, Error = Ended>> Ports for Powered<'_, P> {
    type Store = Disk;
    type Error = Ended;

    fn store(&mut self) -> &mut Disk {
        self.ports.store()
    }

    fn cx(&mut self) -> Result<Cx, Ended> {
        if self.power.is_off { Err(DiskError::PowerCut.into()) } else { self.ports.cx() }
    }

    fn sign(&mut self, order: &SignOrder) -> Option<Vec<Signature>> {
        self.power.order(|| self.ports.sign(order))
    }

    fn observe(&mut self, step: &StepOrder) -> Option<bool> {
        self.power.order(|| self.ports.observe(step))
    }

    fn prove(&mut self, agent: &Idle, order: ProveOrder) -> Option<Input> {
        self.power.proofs += usize::from(!self.power.is_off);
        self.power.order(|| self.ports.prove(agent, order))
    }

    fn free_counter(&mut self, taken: &[Slot]) -> Option<Option<Sealed>> {
        self.power.order(|| self.ports.free_counter(taken))
    }

    fn show(&mut self, event: Box<Event>) {
        if !self.power.is_off {
            self.ports.show(event);
        }
    }

    fn send(&mut self, way: Way, packet: Vec<u8>) {
        if !self.power.is_off {
            self.ports.send(way, packet);
        }
    }

    fn over(&mut self, way: Way, end: Result<Done, AgentError>) {
        self.ports.over(way, end);
    }

    fn invoice(&mut self, invoice: Box<Signed>) {
        self.ports.invoice(invoice);
    }

    fn unsendable(&mut self, contact: DeviceId, tx: Option<TxId>, why: AgentError) {
        self.ports.unsendable(contact, tx, why);
    }

    fn not_taken(&mut self, why: AgentError) {
        self.ports.not_taken(why);
    }
}
