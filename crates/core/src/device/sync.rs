//! Take messages apart, meet contacts, and convict who contradicts itself.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::{
    Change, Contact, Device, DeviceError, Event, Mode, OutgoingState, Output, Sightings, World,
};
use crate::cbor::List;
use crate::evidence::Sighting;
use crate::fork::ForkProof;
use crate::id::{DeviceId, Link, Nonce};
use crate::keys::PublicKey;
use crate::message::{
    Findings, MAX_BRANCHES, MAX_FORKS, MAX_SEEN, Message, Refuse, Sync, SyncEnd, SyncReply,
};
use crate::policy::Policy;

/// Most pages of seen steps that one meeting goes through.
const MAX_PAGES: u32 = 1024;
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
        let done = match message {
            Message::Offer(offer) => self.offered(world, from, offer, nonce),
            Message::Accept(accept) => self.accepted(world, from, accept),
            Message::Commit(commit) => self.committed(world, from, commit),
            Message::Payment(payment) => self.paid_at_once(world, from, &payment),
            Message::Receipt(receipt) => self.receipted(from, &receipt),
            Message::Refuse(refuse) => Ok(self.refused(from, refuse)),
            Message::Sync(sync) => self.synced(from, &sync),
            Message::SyncReply(reply) => self.sync_replied(world, from, reply),
            Message::SyncEnd(end) => self.sync_ended(world, from, end),
            Message::Release(payment) => self.asked_release(world, from, payment),
        };
        Ok(match done {
            Ok(output) => output,
            Err(error) if answers => self.refusing(Output::default(), from, error),
            Err(error) => {
                let events = alloc::vec![refused_event(from, &error)];
                Output { events, ..Output::default() }
            }
        })
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

    pub(super) fn add_fork(&mut self, proof: ForkProof) -> Result<Output, DeviceError> {
        let kind = proof.check()?;
        if self.is_bricked(&proof.key) {
            return Ok(Output::default());
        }
        let key = proof.key.clone();
        let contact = self.contacts.values().find(|c| c.owner == key).map(|c| c.device);
        let mut output = self.record([Change::Fork(Box::new(proof))]);
        self.forget_forks(&mut output, &key);
        // What was checked of an open offer may rest on the convicted device.
        self.offers.clear();
        output.events.push(Event::Forked { key, contact, kind });
        Ok(output)
    }

    /// Convicts whoever contradicts, in verified steps, what was seen here or each other.
    pub(super) fn convict_from(&mut self, steps: &[Sighting]) -> Option<Output> {
        let mut new = Sightings::default();
        for step in steps {
            // Who is convicted already was judged when the evidence was verified.
            if self.is_bricked(&step.key) {
                continue;
            }
            let known = self.sightings.contradiction(step);
            if let Some(proof) = known.or_else(|| new.contradiction(step)) {
                return self.add_fork(proof).ok();
            }
            new.put(step.clone());
        }
        None
    }

    /// The owner meets a contact.
    pub(super) fn meet(&mut self, contact: DeviceId) -> Result<Output, DeviceError> {
        let sync = self.sync_with(self.contact(&contact)?, 0);
        let mut output = self.retry(contact);
        output.send.insert(0, (contact, Message::Sync(sync)));
        Ok(output)
    }

    /// What this device has to say at a meeting; `page` counts through the steps that it has seen.
    pub(super) fn sync_with(&self, contact: &Contact, page: u32) -> Sync {
        let contacts = self.contact_keys();
        let known = |key: &PublicKey| contacts.contains(key);
        let bricked = |key: &PublicKey| self.is_bricked(key);
        let seen = self.sightings.seen(page, MAX_SEEN, known, bricked);
        Sync {
            page,
            link: contact.received,
            seq: self.seq,
            restored: matches!(self.mode, Mode::ReceiveOnly(_)),
            seen: List::truncated(seen),
            forks: self.forks_unlike(&[]),
            revocation: self.revocation(page).cloned(),
        }
    }

    fn synced(&mut self, from: DeviceId, sync: &Sync) -> Result<Output, DeviceError> {
        let mut output = self.learn(&[], &sync.forks);
        output.extend(self.learn_revocation(sync.revocation.as_ref()));
        let findings = self.findings(sync);
        let contact = self.contact(&from)?;
        let history = self.history_for(contact, sync);
        let reply = SyncReply { sync: self.sync_with(contact, sync.page), findings, history };
        output.send.push((from, Message::SyncReply(reply)));
        if sync.page == 0 {
            output.send.extend(self.lost_payments(&from, sync));
        }
        Ok(output)
    }

    fn sync_replied(
        &mut self,
        world: &World<'_>,
        from: DeviceId,
        reply: SyncReply,
    ) -> Result<Output, DeviceError> {
        let mut output = self.learn(&reply.findings.branches, &reply.findings.forks);
        output.extend(self.learn(&[], &reply.sync.forks));
        output.extend(self.learn_revocation(reply.sync.revocation.as_ref()));
        output.extend(self.recover(world, &from, reply.history)?);
        let findings = self.findings(&reply.sync);
        let history = self.history_for(self.contact(&from)?, &reply.sync);
        output.send.push((from, Message::SyncEnd(SyncEnd { findings, history })));
        // Each page of mine is compared with all of theirs, and the other way round.
        let next = self.sync_with(self.contact(&from)?, reply.sync.page.saturating_add(1));
        let silent = |sync: &Sync| sync.seen.is_empty() && sync.revocation.is_none();
        if reply.sync.page < MAX_PAGES && !(silent(&next) && silent(&reply.sync)) {
            output.send.push((from, Message::Sync(next)));
        } else {
            output.events.push(Event::Met { contact: from });
        }
        if reply.sync.page == 0 {
            output.send.extend(self.lost_payments(&from, &reply.sync));
        }
        Ok(output)
    }

    fn sync_ended(
        &mut self,
        world: &World<'_>,
        from: DeviceId,
        end: SyncEnd,
    ) -> Result<Output, DeviceError> {
        let mut output = self.learn(&end.findings.branches, &end.findings.forks);
        output.extend(self.recover(world, &from, end.history)?);
        output.events.push(Event::Met { contact: from });
        Ok(output)
    }

    fn findings(&self, theirs: &Sync) -> Findings {
        Findings {
            branches: List::truncated(
                self.sightings.unlike(&theirs.seen, MAX_BRANCHES, |key| self.is_bricked(key)),
            ),
            forks: self.forks_unlike(&theirs.forks),
        }
    }

    /// Forks that are not among `others`, those of contacts first: of strangers anyone can make any
    /// number.
    fn forks_unlike(&self, others: &[ForkProof]) -> List<ForkProof, MAX_FORKS> {
        let unlike = self.forks.values().filter(|fork| !others.contains(fork));
        let contacts = self.contact_keys();
        let mut forks: Vec<ForkProof> = unlike.cloned().collect();
        forks.sort_by_key(|fork| !contacts.contains(&fork.key));
        List::truncated(forks)
    }

    fn contact_keys(&self) -> BTreeSet<&PublicKey> {
        self.contacts.values().map(|contact| &contact.owner).collect()
    }

    /// Takes over what another device can prove. What it cannot prove is passed over.
    fn learn(&mut self, branches: &[Sighting], forks: &[ForkProof]) -> Output {
        let mut output = Output::default();
        let proofs = branches.iter().filter_map(|step| {
            let signed = || step.branch.signed_by(&step.key);
            self.sightings.contradiction(step).filter(|_| signed())
        });
        let proofs: Vec<ForkProof> = proofs.chain(forks.iter().cloned()).collect();
        for proof in proofs {
            if let Ok(learnt) = self.add_fork(proof) {
                output.extend(learnt);
            }
        }
        output
    }

    /// My payments to a contact that does not have them: it lost them, or never got them.
    fn lost_payments(&self, payee: &DeviceId, theirs: &Sync) -> Vec<(DeviceId, Message)> {
        let mut link = theirs.link;
        let mut lost = Vec::new();
        let sent = |link: &Link| {
            let next = self.outgoing.after(*payee, *link);
            next.filter(|outgoing| outgoing.state != OutgoingState::Intent)
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
