//! Meet contacts: compare what both have seen, page by page (spec `SYNC-1` to `SYNC-7`).
//!
//! Who begins sends a page, gets the other's with what was found in it, ends the page with what it
//! found, and sends the next while one of the two has more. How far a meeting has come is not
//! durable: after a restart it is begun anew.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::{Contact, Device, DeviceError, Event, Mode, Output, World};
use crate::cbor::List;
use crate::fork::ForkProof;
use crate::id::DeviceId;
use crate::keys::PublicKey;
use crate::message::{
    Answer, Findings, KeyHash, MAX_SEEN, MAX_TOLD_FORKS, MAX_TOLD_LISTS, Message, Seen, Sync,
    SyncEnd, SyncReply, ToldList, Wants,
};
use crate::seal::Revocation;
use crate::time::Time;

/// Most pages that one meeting goes through, whatever the other side says.
pub(super) const MAX_PAGES: u32 = 128;

impl Device {
    /// The owner meets a contact.
    pub(super) fn meet(&mut self, now: Time, contact: DeviceId) -> Result<Output, DeviceError> {
        self.begin_talk(&contact);
        let first = self.open_meeting(contact)?;
        let mut output = self.retry(now, contact);
        output.send.insert(0, (contact, first));
        Ok(output)
    }

    /// The first page for a contact. A meeting with it that was open goes on no more.
    pub(super) fn open_meeting(&mut self, contact: DeviceId) -> Result<Message, DeviceError> {
        let sync = self.sync_with(self.contact(&contact)?, 0, Wants::default());
        self.meetings.insert(contact, 0);
        Ok(Message::Sync(sync))
    }

    /// What this device tells on a page, in short.
    fn sync_with(&self, contact: &Contact, page: u32, wants: Wants) -> Sync {
        let contacts = self.contact_keys();
        let known = |key: &PublicKey| contacts.contains(key);
        let bricked = |key: &PublicKey| self.is_bricked(key);
        let lists = self.revocations().values().skip(before(page, MAX_TOLD_LISTS));
        Sync {
            page,
            more: self.has_more(page),
            link: contact.received,
            seq: self.known_up_to(&contact.device),
            restored: self.mode == Mode::ReceiveOnly || !self.recovered.missing.is_empty(),
            seen: List::truncated(self.sightings.seen(
                before(page, MAX_SEEN),
                MAX_SEEN,
                known,
                bricked,
            )),
            forks: List::truncated(self.told_forks(page)),
            lists: List::truncated(lists.take(MAX_TOLD_LISTS).map(told_list).collect()),
            wants,
        }
    }

    /// Whether there is anything to tell after this page.
    fn has_more(&self, page: u32) -> bool {
        let next = page.saturating_add(1);
        next < MAX_PAGES
            && (self.sightings.len() > before(next, MAX_SEEN)
                || self.forks.len() > before(next, MAX_TOLD_FORKS)
                || self.revocations().len() > before(next, MAX_TOLD_LISTS))
    }

    /// The convicted keys of a page, contacts' first: of strangers anyone can make any number.
    fn told_forks(&self, page: u32) -> Vec<KeyHash> {
        let skip = before(page, MAX_TOLD_FORKS);
        if skip >= self.forks.len() {
            return Vec::new();
        }
        let contacts = self.contact_keys();
        let mut keys: Vec<&PublicKey> = self.forks.keys().collect();
        keys.sort_by_key(|key| !contacts.contains(key));
        keys.into_iter().skip(skip).take(MAX_TOLD_FORKS).map(KeyHash::of).collect()
    }

    pub(super) fn synced(&mut self, from: DeviceId, sync: &Sync) -> Result<Output, DeviceError> {
        self.hear_claims(from, &sync.seen);
        let answer = self.answer(&from, sync)?;
        let mine = self.sync_with(self.contact(&from)?, sync.page, self.wants(sync));
        let close = |findings, history| {
            Message::SyncReply(SyncReply { sync: mine.clone(), findings, history })
        };
        let mut output = self.go_on_from_theirs(&from, sync)?;
        output.send.extend(answer.messages(close).into_iter().map(|message| (from, message)));
        if sync.page == 0 {
            output.send.extend(self.lost_payments(&from, sync));
        }
        Ok(output)
    }

    /// The answer to a page. Only one to the page that was sent last goes on with the meeting: whatever
    /// pages the other side claims, there are at most [`MAX_PAGES`].
    pub(super) fn sync_replied(
        &mut self,
        world: &World<'_>,
        from: DeviceId,
        reply: SyncReply,
    ) -> Result<Output, DeviceError> {
        let SyncReply { sync, findings, history } = reply;
        let due = self.meetings.get(&from) == Some(&sync.page);
        if due {
            self.meetings.remove(&from);
        }
        let mut output = self.learn(world, &findings);
        self.hear_claims(from, &sync.seen);
        output.extend(self.recover(world, &from, history)?);
        output.extend(self.go_on_from_theirs(&from, &sync)?);
        let end = |findings, history| Message::SyncEnd(SyncEnd { findings, history });
        let end = self.answer(&from, &sync)?.messages(end);
        output.send.extend(end.into_iter().map(|message| (from, message)));
        // A device that has just learnt of steps of its own begins anew.
        if due && !self.meetings.contains_key(&from) {
            output.extend(self.next_page(from, &sync)?);
        }
        if sync.page == 0 {
            output.send.extend(self.lost_payments(&from, &sync));
        }
        Ok(output)
    }

    fn next_page(&mut self, from: DeviceId, theirs: &Sync) -> Result<Output, DeviceError> {
        let mut output = Output::default();
        let (wants, next) = (self.wants(theirs), theirs.page.saturating_add(1));
        let open = theirs.more || self.has_more(theirs.page) || !wants.is_empty();
        if open && next < MAX_PAGES {
            let sync = self.sync_with(self.contact(&from)?, next, wants);
            self.meetings.insert(from, next);
            output.send.push((from, Message::Sync(sync)));
        } else {
            output.events.push(Event::Met { contact: from });
        }
        Ok(output)
    }

    pub(super) fn sync_ended(
        &mut self,
        world: &World<'_>,
        from: DeviceId,
        end: SyncEnd,
    ) -> Result<Output, DeviceError> {
        let mut output = self.learn(world, &end.findings);
        output.extend(self.recover(world, &from, end.history)?);
        output.events.push(Event::Met { contact: from });
        Ok(output)
    }

    /// What the other side needs to know, after what its page tells and asks for.
    fn answer(&self, from: &DeviceId, theirs: &Sync) -> Result<Answer, DeviceError> {
        let contacts = self.contact_keys();
        let mut branches = self.sightings.unlike(&theirs.seen, |key| self.is_bricked(key));
        branches.sort_by_key(|step| !contacts.contains(&step.key));
        let asked: BTreeSet<&KeyHash> = theirs.wants.lists.iter().collect();
        let lists = self.revocations().values();
        let lists = lists.filter(|list| asked.contains(&KeyHash::of(list.terms().enroller())));
        let history = self.history_for(self.contact(from)?, theirs);
        Ok(Answer {
            branches,
            forks: self.proofs_for(theirs),
            lists: lists.take(MAX_TOLD_LISTS).cloned().collect(),
            history: history.filter(|_| theirs.page == 0),
        })
    }

    /// The proofs that the other side asks for, and those about whom it tells steps: it tells none of
    /// whom it can convict.
    fn proofs_for(&self, theirs: &Sync) -> Vec<ForkProof> {
        if self.forks.is_empty() {
            return Vec::new();
        }
        let asked: BTreeSet<&KeyHash> = theirs.wants.forks.iter().collect();
        let told: BTreeSet<[u8; 8]> = theirs.seen.iter().map(|seen| seen.key).collect();
        let needs =
            |key: &PublicKey| asked.contains(&KeyHash::of(key)) || told.contains(&Seen::key(key));
        self.forks.values().filter(|fork| needs(&fork.key)).cloned().collect()
    }

    /// What a page tells and this device lacks. It asks for no list that it would not hear.
    fn wants(&self, theirs: &Sync) -> Wants {
        let mut wants = Wants::default();
        if !theirs.forks.is_empty() {
            let known = self.forks.values().chain(&self.accusation);
            let mine: BTreeSet<KeyHash> = known.map(|proof| KeyHash::of(&proof.key)).collect();
            let lacks = theirs.forks.iter().filter(|key| !mine.contains(key));
            wants.forks = List::truncated(lacks.copied().collect());
        }
        if !theirs.lists.is_empty() {
            let heard = self.heard_enrollers();
            let newer = |told: &&ToldList| {
                let enroller = heard.iter().find(|key| KeyHash::of(key) == told.enroller);
                enroller.is_some_and(|key| {
                    let mine = self.revocations().get(*key).map(|list| list.terms().number());
                    mine.is_none_or(|mine| mine < told.number)
                })
            };
            let newer = theirs.lists.iter().filter(newer);
            wants.lists = List::truncated(newer.map(|told| told.enroller).collect());
        }
        wants
    }

    fn contact_keys(&self) -> BTreeSet<&PublicKey> {
        self.contacts.values().map(|contact| &contact.owner).collect()
    }

    /// Takes over what another device can prove. What it cannot prove, and what is not newer, is passed
    /// over.
    pub(super) fn learn(&mut self, world: &World<'_>, findings: &Findings) -> Output {
        let mut output = Output::default();
        let proofs = findings.branches.iter().filter_map(|step| {
            let signed = || step.branch.signed_by(&step.key);
            self.sightings.contradiction(step).filter(|_| signed())
        });
        let proofs: Vec<ForkProof> = proofs.chain(findings.forks.iter().cloned()).collect();
        for proof in proofs {
            // What is known costs no signature check.
            if self.is_bricked(&proof.key) {
                continue;
            }
            if let Ok(learnt) = self.add_fork(world, proof) {
                output.extend(learnt);
            }
        }
        for list in findings.lists.iter() {
            output.extend(self.revoked(list.clone()).unwrap_or_default());
        }
        output
    }
}

/// How many items stand on the pages before this one.
fn before(page: u32, most: usize) -> usize {
    usize::try_from(page).unwrap_or(usize::MAX).saturating_mul(most)
}

fn told_list(list: &Revocation) -> ToldList {
    let terms = list.terms();
    ToldList { enroller: KeyHash::of(terms.enroller()), number: terms.number() }
}
