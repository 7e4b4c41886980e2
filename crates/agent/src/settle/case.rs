//! One transaction that is to be decided: what each endpoint says of it, and what a proof shows.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use tally_core::evidence::{Claim, Claims};
use tally_core::id::{CoinId, TxId};
use tally_core::notary::{InclusionProof, StateId};
use tally_core::time::Time;

use super::ask::{EndpointId, Said};
use super::desk::Desk;
use super::{Trouble, Verdict, Verifier};

/// How long an endpoint may take for a transaction, from the first question on. Then it counts as one
/// that failed.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long those who are enough may take, before all are asked.
const ENOUGH: Duration = Duration::from_secs(15);
/// Between two questions to a validator that has not decided, times how often it had too much to do.
const PAUSE: Duration = Duration::from_millis(200);
/// The longest pause, in pauses.
const MAX_PAUSES: u32 = 10;

/// What became of a transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decision {
    /// It is certified, and the proofs were checked.
    Certified,
    /// Another one spent this state first, and the proof was checked.
    Lost(CoinId),
    /// This wallet cannot unlock it before this time, and its payee has not settled it.
    Locked(Option<Time>),
    /// It is not decided: whose answer it was last, and what came between.
    Failed(Option<EndpointId>, Trouble),
}

/// What an endpoint says of a transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Word {
    /// Nothing yet: to be asked again, unless the question is open.
    Asked,
    /// It waits there, or there is too much to do: to be asked again at this time.
    Later(Duration, u32),
    /// It is decided, and a proof is still to be shown.
    Decided,
    /// No spend of it is known there. Only asked of what cannot be unlocked here.
    Unknown,
    /// Nothing more is to be had there.
    Failed,
}

/// What the proofs of a transaction's states show.
pub(super) enum Shown {
    Certified(Vec<(Claim, InclusionProof)>),
    Lost(CoinId, Box<InclusionProof>),
    Pending,
}

/// What came of asking an endpoint.
#[derive(Clone, Copy, Debug)]
struct Told {
    /// When it was asked first.
    since: Duration,
    word: Word,
}

impl Told {
    /// Whether something is still to be had of it.
    const fn is_open(&self) -> bool {
        match self.word {
            Word::Asked | Word::Later(..) | Word::Decided => true,
            Word::Unknown | Word::Failed => false,
        }
    }
}

/// A transaction that is not decided, or was.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) claims: Claims,
    /// It cannot be unlocked here and now: somebody else may have settled it.
    pub(super) locked: bool,
    pub(super) decision: Option<Decision>,
    told: BTreeMap<EndpointId, Told>,
    /// Those who were enough have not decided it: all are asked.
    wide: bool,
    last: Option<(EndpointId, Trouble)>,
}

impl Case {
    pub(super) fn new(claims: Claims, locked: bool) -> Self {
        let told = BTreeMap::new();
        Self { claims, locked, decision: None, told, wide: false, last: None }
    }

    pub(super) fn tx(&self) -> TxId {
        self.claims.tx
    }

    /// An endpoint is asked.
    pub(super) fn ask(&mut self, endpoint: EndpointId, now: Duration) {
        self.told.entry(endpoint).or_insert(Told { since: now, word: Word::Asked });
    }

    pub(super) fn is_new(&self) -> bool {
        self.told.is_empty()
    }

    pub(super) fn was_asked(&self, endpoint: EndpointId) -> bool {
        self.told.contains_key(&endpoint)
    }

    pub(super) fn states(&self) -> impl Iterator<Item = StateId> {
        self.claims.spends.iter().map(Claim::state_id)
    }

    fn word(&self, endpoint: EndpointId) -> Option<Word> {
        self.told.get(&endpoint).map(|told| told.word)
    }

    fn note(&mut self, endpoint: EndpointId, word: Word) {
        if let Some(told) = self.told.get_mut(&endpoint) {
            told.word = word;
        }
    }

    /// Those to whom the question goes now: the best that have not failed, so many that one of them
    /// is honest, and all once those have taken too long.
    fn window(&self, desk: &Desk) -> Vec<EndpointId> {
        desk.window(|at| self.word(at) != Some(Word::Failed), self.wide)
    }

    /// Whether an endpoint says that it is decided, and has not shown it.
    pub(super) fn is_to_be_shown_by(&self, endpoint: EndpointId) -> bool {
        self.word(endpoint) == Some(Word::Decided)
    }

    /// Whether something is to be had of an endpoint.
    pub(super) fn is_open_at(&self, desk: &Desk, at: EndpointId) -> bool {
        self.told.get(&at).is_none_or(Told::is_open) && self.window(desk).contains(&at)
    }

    /// Whether an endpoint of which something is to be had is to be asked now.
    pub(super) fn is_due(&self, at: EndpointId, now: Duration) -> bool {
        match self.word(at) {
            None | Some(Word::Asked) => true,
            Some(Word::Later(when, _)) => when <= now,
            Some(Word::Decided | Word::Unknown | Word::Failed) => false,
        }
    }

    /// When something is to be done of itself.
    pub(super) fn next_end(&self, now: Duration) -> Option<Duration> {
        let open = self.told.values().filter(|told| told.is_open());
        let ends = open.flat_map(|told| {
            let later = match told.word {
                Word::Later(when, _) => Some(when),
                Word::Asked | Word::Decided | Word::Unknown | Word::Failed => None,
            };
            [later, Some(told.since + ENOUGH), Some(told.since + PATIENCE)]
        });
        // What is over was done then.
        ends.flatten().filter(|end| *end > now).min()
    }

    /// What an endpoint says of the request.
    pub(super) fn said(
        &mut self,
        endpoint: EndpointId,
        said: Result<Said, Trouble>,
        now: Duration,
    ) {
        match said {
            Ok(Said::Certified) => self.note(endpoint, Word::Decided),
            Ok(Said::Spent { state, .. }) if self.states().any(|of| of == state) => {
                self.note(endpoint, Word::Decided);
            }
            Ok(Said::Spent { .. }) => {
                self.failed(endpoint, Trouble::Answer("refusal of this request"));
            }
            Ok(Said::Queued) => {
                self.note(endpoint, Word::Later(now + PAUSE, 1));
                self.last = Some((endpoint, Trouble::Late));
            }
            Err(trouble) => self.troubled(endpoint, trouble, now),
        }
    }

    /// An endpoint gave no answer.
    pub(super) fn troubled(&mut self, endpoint: EndpointId, trouble: Trouble, now: Duration) {
        match trouble {
            Trouble::Fault { later: true, .. } => {
                let times = match self.word(endpoint) {
                    Some(Word::Later(_, times)) => (times + 1).min(MAX_PAUSES),
                    _ => 1,
                };
                self.note(endpoint, Word::Later(now + PAUSE * times, times));
                self.last = Some((endpoint, trouble));
            }
            // It may be there again, unless it is given up.
            Trouble::Unreached { .. } | Trouble::Silent => self.last = Some((endpoint, trouble)),
            other => self.failed(endpoint, other),
        }
    }

    /// Nothing more is to be had of an endpoint.
    pub(super) fn failed(&mut self, endpoint: EndpointId, trouble: Trouble) {
        self.note(endpoint, Word::Failed);
        self.last = Some((endpoint, trouble));
    }

    /// No spend of it is known to an endpoint.
    pub(super) fn unknown(&mut self, endpoint: EndpointId) {
        self.note(endpoint, Word::Unknown);
    }

    /// Notes whose time is over, and decides it where nothing more is to be waited for.
    pub(super) fn advance(&mut self, desk: &mut Desk, now: Duration) {
        if self.decision.is_some() {
            return;
        }
        for (at, told) in self.told.iter_mut().filter(|(_, told)| told.is_open()) {
            if told.since + ENOUGH <= now {
                self.wide = true;
                desk.keeps_waiting(*at);
            }
            if told.since + PATIENCE <= now {
                told.word = Word::Failed;
                self.last.get_or_insert((*at, Trouble::Silent));
            }
        }
        let window = if self.is_new() { Vec::new() } else { self.window(desk) };
        if window.is_empty() && (!self.is_new() || desk.is_empty()) {
            return self.give_up(Trouble::Nobody);
        }
        if self.locked
            && !window.is_empty()
            && window.iter().all(|at| self.word(*at) == Some(Word::Unknown))
        {
            self.decision = Some(Decision::Locked(self.claims.until()));
        }
    }

    /// It was decided by what an endpoint showed: after all were asked, those who have not shown it have
    /// kept it waiting.
    pub(super) fn decide(&mut self, desk: &mut Desk, by: EndpointId, decision: Decision) {
        self.decision = Some(decision);
        let waiting = self.told.iter().filter(|(at, told)| **at != by && told.is_open());
        waiting.filter(|_| self.wide).for_each(|(at, _)| desk.keeps_waiting(*at));
    }

    /// It is left for the next settlement: whose answer it was last, or else why.
    pub(super) fn give_up(&mut self, why: Trouble) {
        if self.decision.is_none() {
            let asked = || self.told.keys().next().map(|at| (*at, Trouble::Silent));
            let last = self.last.clone().or_else(asked);
            self.decision = Some(match last {
                Some((endpoint, trouble)) => Decision::Failed(Some(endpoint), trouble),
                None => Decision::Failed(None, why),
            });
        }
    }

    /// What an endpoint's proofs show of it, all of it checked.
    pub(super) fn judge(
        &self,
        verifier: &Verifier<'_>,
        proofs: &BTreeMap<StateId, Result<InclusionProof, Trouble>>,
    ) -> Result<Shown, Trouble> {
        let mut certified = Vec::with_capacity(self.claims.spends.len());
        let mut pending = false;
        for claim in &self.claims.spends {
            let proof = proofs.get(&claim.state_id());
            let proof = proof.ok_or(Trouble::Answer("list of proofs"))?.as_ref();
            let proof = proof.map_err(Clone::clone)?;
            match verifier.verdict(claim, proof)? {
                Verdict::Other(_) => {
                    return Ok(Shown::Lost(claim.source, Box::new(proof.clone())));
                }
                Verdict::Certified(_) => certified.push((claim.clone(), proof.clone())),
                Verdict::Pending => pending = true,
            }
        }
        Ok(if pending { Shown::Pending } else { Shown::Certified(certified) })
    }
}
