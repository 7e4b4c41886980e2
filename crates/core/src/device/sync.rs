//! Take messages apart, and convict who contradicts itself.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{Change, Contact, Device, DeviceError, Event, Outgoing, Output, Sightings, World};
use crate::evidence::Sighting;
use crate::fork::ForkProof;
use crate::id::{DeviceId, Link, Nonce};
use crate::keys::PublicKey;
use crate::message::{Message, Refuse, Sync};
use crate::policy::Policy;

/// Most payments that are sent again at once; the next meeting sends the next.
const MAX_LOST: usize = 16;

impl Device {
    pub(super) fn add_policy(&mut self, policy: Policy) -> Result<Output, DeviceError> {
        policy.check()?;
        if policy.network != self.me.network {
            return Err(DeviceError::NotForMe);
        }
        Ok(self.record([Change::Policy(policy)]))
    }

    /// What another device says. Its mistakes are answered with a refusal, not with an error.
    pub(super) fn message(
        &mut self,
        world: &World<'_>,
        from: DeviceId,
        message: Message,
        nonce: Nonce,
    ) -> Result<Output, DeviceError> {
        self.contact(&from)?;
        let answers = matches!(
            message,
            Message::Offer(_)
                | Message::Commit(_)
                | Message::Payment(_)
                | Message::Accept(_)
                | Message::Release(_)
        );
        let mut shown = self.shown(world, &message);
        let done = match message {
            Message::Offer(offer) => self.offered(world, from, offer, nonce),
            Message::Accept(accept) => self.accepted(world, from, accept),
            Message::Commit(commit) => self.committed(world, from, commit),
            Message::Payment(payment) => self.paid_at_once(world, from, &payment),
            Message::Receipt(receipt) => self.receipted(world.now, from, &receipt),
            Message::Refuse(refuse) => Ok(self.refused(from, refuse)),
            Message::Sync(sync) => self.synced(from, &sync),
            Message::SyncReply(reply) => self.sync_replied(world, from, reply),
            Message::SyncEnd(end) => self.sync_ended(world, from, end),
            Message::Release(payment) => self.asked_release(world, from, payment),
            Message::Findings(findings) => Ok(self.learn(world, &findings)),
        };
        shown.extend(match done {
            Ok(output) => output,
            Err(error) if answers => self.refusing(Output::default(), from, error),
            Err(error) => {
                let events = alloc::vec![refused_event(from, &error)];
                Output { events, ..Output::default() }
            }
        });
        Ok(shown)
    }

    pub(super) fn refusing(
        &self,
        mut output: Output,
        from: DeviceId,
        error: DeviceError,
    ) -> Output {
        let link = self.contacts.get(&from).map_or(Link::first(&self.id, &from), |c| c.received);
        let refuse = Refuse { code: error.code().into(), link };
        output.send.push((from, Message::Refuse(refuse)));
        output.events.push(refused_event(from, &error));
        output
    }

    fn refused(&mut self, payee: DeviceId, refuse: Refuse) -> Output {
        self.drafts.remove(&payee);
        let events = alloc::vec![Event::RefusedBy { payee, code: refuse.code }];
        Output { events, ..Output::default() }
    }

    /// Whether the device with this key is convicted of a fork.
    pub fn is_bricked(&self, key: &PublicKey) -> bool {
        self.forks.contains_key(key)
    }

    /// Somebody shows a fork proof: its owner, a network, a contact, or a race that was lost.
    pub(super) fn add_fork(
        &mut self,
        world: &World<'_>,
        proof: ForkProof,
    ) -> Result<Output, DeviceError> {
        if proof.key == self.me.owner { self.accused(world, proof) } else { self.convict(proof) }
    }

    pub(super) fn convict(&mut self, proof: ForkProof) -> Result<Output, DeviceError> {
        let kind = proof.check()?;
        if self.is_bricked(&proof.key) {
            return Ok(Output::default());
        }
        let key = proof.key.clone();
        let contact = self.contacts.values().find(|c| c.owner == key).map(|c| c.device);
        let concern = self.concern(&key);
        let mut output = self.record([Change::Fork(Box::new(proof))]);
        self.forget_forks(&mut output, &key);
        // What was checked of an open offer may rest on the convicted device.
        self.offers.clear();
        output.events.push(Event::Forked { key, contact, kind, concern });
        Ok(output)
    }

    /// Convicts whoever contradicts, in verified steps, what was seen here or each other.
    pub(super) fn convict_from(&mut self, steps: &[Sighting]) -> Option<Output> {
        self.contradiction_in(steps).and_then(|proof| self.convict(proof).ok())
    }

    /// The first contradiction that these steps show, with each other or with what is remembered.
    pub(super) fn contradiction_in(&self, steps: &[Sighting]) -> Option<ForkProof> {
        let mut new = Sightings::default();
        for step in steps {
            // Who is convicted already was judged when the evidence was verified; of itself this
            // device knows what it signed.
            if self.is_bricked(&step.key) || step.key == self.me.owner {
                continue;
            }
            let known = self.sightings.contradiction(step);
            if let Some(proof) = known.or_else(|| new.contradiction(step)) {
                return Some(proof);
            }
            new.put(step.clone());
        }
        None
    }

    /// A payee whose chain of payments ends before a step of this device's that only others told of does
    /// not have that payment, which cannot be sent again: the chain goes on from where the payee has it.
    pub(super) fn go_on_from_theirs(
        &mut self,
        payee: &DeviceId,
        theirs: &Sync,
    ) -> Result<Output, DeviceError> {
        let contact = self.contact(payee)?;
        let told = self.steps.last_to(&contact.owner).is_some_and(|(_, link)| link == contact.link);
        let is_here = self.outgoing.after(*payee, theirs.link).is_some();
        if theirs.page > 0 || contact.link == theirs.link || !told || is_here {
            return Ok(Output::default());
        }
        let contact = Contact { link: theirs.link, ..contact.clone() };
        Ok(self.record([Change::Contact(Box::new(contact))]))
    }

    /// My payments to a contact that does not have them: it lost them, or never got them.
    pub(super) fn lost_payments(
        &self,
        payee: &DeviceId,
        theirs: &Sync,
    ) -> Vec<(DeviceId, Message)> {
        let mut link = theirs.link;
        let mut lost = Vec::new();
        let sent = |link: &Link| {
            let next = self.outgoing.after(*payee, *link);
            next.filter(|outgoing| Outgoing::is_signed(outgoing))
        };
        while let Some(outgoing) = sent(&link).filter(|_| lost.len() < MAX_LOST) {
            lost.push((*payee, Message::Payment(outgoing.payment.clone())));
            link = outgoing.transaction.link;
        }
        lost
    }
}

impl Output {
    /// Adds all that follows from something else.
    pub(super) fn extend(&mut self, other: Self) {
        self.changes.extend(other.changes);
        self.sign.extend(other.sign);
        self.send.extend(other.send);
        self.events.extend(other.events);
        self.learnt.extend(other.learnt);
    }
}

fn refused_event(from: DeviceId, error: &DeviceError) -> Event {
    Event::Refused { from, reason: error.into() }
}
