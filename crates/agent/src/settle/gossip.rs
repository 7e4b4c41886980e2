//! Take over the fork proofs that are published, and publish those that are known here (`SETTLE-13`, `SETTLE-19`).

use alloc::boxed::Box;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;

use tally_core::fork::ForkProof;
use tally_core::keys::PublicKey;

use super::Learned;
use super::ask::{Ask, EndpointId, MAX_FORKS};
use super::desk::Desk;

/// Most pages of fork proofs that are taken over of one endpoint at one contact; the rest comes at
/// the next.
const MAX_PAGES: u8 = 64;
/// Most fork proofs that an endpoint is told at one contact; the rest at the next.
const MAX_PUBLISHED: u8 = 64;

/// What is known of an endpoint's fork proofs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Told {
    /// Number of the first of its fork proofs that was not taken over yet.
    pub since: u64,
    /// The convicted keys of which it has been told, or has told.
    pub keys: BTreeSet<PublicKey>,
}

#[derive(Debug)]
struct Talk {
    told: Told,
    pages: u8,
    published: u8,
    /// All of its proofs were taken over, as far as they are at one contact.
    heard: bool,
    /// It refused one, or is not there.
    over: bool,
}

/// The exchange of fork proofs with every endpoint.
#[derive(Debug)]
pub(super) struct Gossip {
    talks: Vec<Talk>,
    /// What is to be told first comes first.
    known: VecDeque<ForkProof>,
    keys: BTreeSet<PublicKey>,
}

impl Gossip {
    /// `known` are the proofs that are known here, what is to be told first before the others.
    pub(super) fn new(told: Vec<Told>, known: Vec<ForkProof>) -> Self {
        let talk = |told| Talk { told, pages: 0, published: 0, heard: false, over: false };
        let keys = known.iter().map(|proof| proof.key.clone()).collect();
        Self { talks: told.into_iter().map(talk).collect(), known: known.into(), keys }
    }

    /// Fork proofs that are known here by now: they are published with the others. One that no endpoint
    /// has told comes from a race that was lost, and goes first.
    pub(super) fn add(&mut self, proofs: Vec<ForkProof>) {
        for proof in proofs {
            if !self.keys.insert(proof.key.clone()) {
                continue;
            }
            match self.talks.iter().any(|talk| talk.told.keys.contains(&proof.key)) {
                true => self.known.push_back(proof),
                false => self.known.push_front(proof),
            }
        }
    }

    fn untold(&self, endpoint: EndpointId) -> Option<&ForkProof> {
        let talk = &self.talks[endpoint];
        if talk.published >= MAX_PUBLISHED {
            return None;
        }
        self.known.iter().find(|proof| !talk.told.keys.contains(&proof.key))
    }

    pub(super) fn next(&self, desk: &Desk, endpoint: EndpointId) -> Option<Ask> {
        let talk = &self.talks[endpoint];
        if talk.over || desk.is_gone(endpoint) {
            return None;
        }
        if !talk.heard {
            return Some(Ask::Forks(talk.told.since));
        }
        self.untold(endpoint).map(|proof| Ask::Publish(Box::new(proof.clone())))
    }

    pub(super) fn is_done(&self, desk: &Desk) -> bool {
        (0..self.talks.len()).all(|at| self.next(desk, at).is_none())
    }

    /// A page of fork proofs. What proves nothing is passed over.
    pub(super) fn heard(
        &mut self,
        endpoint: EndpointId,
        proofs: Vec<ForkProof>,
        next: u64,
        learned: &mut Vec<Learned>,
    ) {
        let talk = &mut self.talks[endpoint];
        talk.pages = talk.pages.saturating_add(1);
        talk.heard = proofs.is_empty() || next <= talk.told.since || talk.pages >= MAX_PAGES;
        if proofs.is_empty() || next <= talk.told.since {
            return;
        }
        talk.told.since = next;
        let holds = |proof: &ForkProof| proof.check().is_ok();
        let proofs: Vec<ForkProof> = proofs.into_iter().take(MAX_FORKS).filter(holds).collect();
        talk.told.keys.extend(proofs.iter().map(|proof| proof.key.clone()));
        learned.push(Learned::Forks { endpoint, proofs, next });
    }

    /// It has taken a fork proof.
    pub(super) fn published(
        &mut self,
        endpoint: EndpointId,
        key: PublicKey,
        learned: &mut Vec<Learned>,
    ) {
        let talk = &mut self.talks[endpoint];
        talk.published = talk.published.saturating_add(1);
        talk.told.keys.insert(key.clone());
        learned.push(Learned::Told { endpoint, key });
    }

    /// It does not answer, or says no.
    pub(super) fn failed(&mut self, endpoint: EndpointId) {
        let talk = &mut self.talks[endpoint];
        talk.over = talk.heard;
        talk.heard = true;
    }

    /// It is not there: it is not asked.
    pub(super) fn absent(&mut self, endpoint: EndpointId) {
        self.talks[endpoint].over = true;
    }
}
