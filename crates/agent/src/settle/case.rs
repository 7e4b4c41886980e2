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

/// How long a transaction may take altogether, before it is left for the next settlement.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two questions to a validator that has too much to do, times how often it said so.
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
    /// It waits there: to be asked again.
    Queued,
    /// To be asked again at this time.
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

/// A transaction that is not decided, or was.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) claims: Claims,
    /// It cannot be unlocked here and now: somebody else may have settled it.
    pub(super) locked: bool,
    pub(super) decision: Option<Decision>,
    began: Option<Duration>,
    words: BTreeMap<EndpointId, Word>,
    last: Option<(EndpointId, Trouble)>,
}

impl Case {
    pub(super) fn new(claims: Claims, locked: bool) -> Self {
        Self { claims, locked, decision: None, began: None, words: BTreeMap::new(), last: None }
    }

    pub(super) fn tx(&self) -> TxId {
        self.claims.tx
    }

    pub(super) fn begin(&mut self, now: Duration) {
        self.began.get_or_insert(now);
    }

    pub(super) fn states(&self) -> impl Iterator<Item = StateId> {
        self.claims.spends.iter().map(Claim::state_id)
    }

    /// Those to whom the question goes now: the best that have not failed, so many that one of them
    /// is honest.
    fn window(&self, desk: &Desk, enough: usize) -> Vec<EndpointId> {
        let open = |at: &EndpointId| self.words.get(at) != Some(&Word::Failed);
        desk.ranking().into_iter().filter(open).take(enough).collect()
    }

    /// Whether an endpoint says that it is decided, and has not shown it.
    pub(super) fn is_to_be_shown_by(&self, endpoint: EndpointId) -> bool {
        self.words.get(&endpoint) == Some(&Word::Decided)
    }

    /// Whether an endpoint is to be asked now.
    pub(super) fn asks(&self, desk: &Desk, enough: usize, at: EndpointId, now: Duration) -> bool {
        let is_due = match self.words.get(&at) {
            None | Some(Word::Queued) => true,
            Some(Word::Later(when, _)) => *when <= now,
            Some(Word::Decided | Word::Unknown | Word::Failed) => false,
        };
        is_due && self.window(desk, enough).contains(&at)
    }

    /// When something is to be done of itself.
    pub(super) fn next_end(&self) -> Option<Duration> {
        let later = self.words.values().filter_map(|word| match word {
            Word::Later(when, _) => Some(*when),
            Word::Queued | Word::Decided | Word::Unknown | Word::Failed => None,
        });
        later.chain(self.began.map(|began| began + PATIENCE)).min()
    }

    /// What an endpoint says of the request.
    pub(super) fn said(
        &mut self,
        endpoint: EndpointId,
        said: Result<Said, Trouble>,
        now: Duration,
    ) {
        let word = match said {
            Ok(Said::Certified) => Word::Decided,
            Ok(Said::Spent { state, .. }) if self.states().any(|of| of == state) => Word::Decided,
            Ok(Said::Spent { .. }) => {
                return self.failed(endpoint, Trouble::Answer("refusal of this request"));
            }
            Ok(Said::Queued) => {
                self.last = Some((endpoint, Trouble::Late));
                Word::Queued
            }
            Err(trouble) => return self.troubled(endpoint, trouble, now),
        };
        self.words.insert(endpoint, word);
    }

    /// An endpoint gave no answer.
    pub(super) fn troubled(&mut self, endpoint: EndpointId, trouble: Trouble, now: Duration) {
        match trouble {
            Trouble::Fault { later: true, .. } => {
                let times = match self.words.get(&endpoint) {
                    Some(Word::Later(_, times)) => (times + 1).min(MAX_PAUSES),
                    _ => 1,
                };
                self.words.insert(endpoint, Word::Later(now + PAUSE * times, times));
                self.last = Some((endpoint, trouble));
            }
            // It may be there again, unless it is given up.
            Trouble::Unreached { .. } | Trouble::Silent => self.last = Some((endpoint, trouble)),
            other => self.failed(endpoint, other),
        }
    }

    /// Nothing more is to be had of an endpoint.
    pub(super) fn failed(&mut self, endpoint: EndpointId, trouble: Trouble) {
        self.words.insert(endpoint, Word::Failed);
        self.last = Some((endpoint, trouble));
    }

    /// No spend of it is known to an endpoint.
    pub(super) fn unknown(&mut self, endpoint: EndpointId) {
        self.words.insert(endpoint, Word::Unknown);
    }

    /// Decides it where nothing more is to be waited for.
    pub(super) fn end(&mut self, desk: &Desk, enough: usize, now: Duration) {
        if self.decision.is_some() {
            return;
        }
        let window = self.window(desk, enough);
        let is_unknown = |at: &EndpointId| self.words.get(at) == Some(&Word::Unknown);
        if self.locked && !window.is_empty() && window.iter().all(is_unknown) {
            self.decision = Some(Decision::Locked(self.claims.until()));
            return;
        }
        let is_late = self.began.is_some_and(|began| began + PATIENCE <= now);
        if window.is_empty() || is_late {
            self.give_up();
        }
    }

    /// It is left for the next settlement.
    pub(super) fn give_up(&mut self) {
        if self.decision.is_none() {
            let last = self.last.clone();
            self.decision = Some(match last {
                Some((endpoint, trouble)) => Decision::Failed(Some(endpoint), trouble),
                None => Decision::Failed(None, Trouble::Nobody),
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
