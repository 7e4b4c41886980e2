//! Have every transaction decided: the histories abreast, each in its order (`SETTLE-10`).
//!
//! A validator's word decides only what to ask next. A transaction is decided by a proof that
//! verifies, and by nothing else.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

use tally_core::cbor::to_bytes;
use tally_core::evidence::{Claim, Claims};
use tally_core::id::TxId;
use tally_core::notary::{CertificationRequest, InclusionProof, StateId};

use super::ask::{Ask, EndpointId, MAX_AT_ONCE, MAX_SUBMITTED, Said};
use super::case::{Case, Decision, Shown};
use super::desk::Desk;
use super::proofs::Proofs;
use super::{Learned, Progress, Trouble, Verifier};

/// How many transactions are asked for in one question.
const ABREAST: usize = 8;

/// What was answered about some states.
pub(super) type ByState = BTreeMap<StateId, Result<InclusionProof, Trouble>>;

/// All histories, and what became of their transactions.
#[derive(Debug)]
pub(super) struct Deciding {
    histories: Vec<Vec<Claims>>,
    cases: BTreeMap<TxId, Case>,
    pub(super) proofs: Proofs,
    /// So many endpoints are asked at a time that one of them is honest.
    enough: usize,
    /// Every history has come to its end, and what was proved of them is being collected.
    collecting: bool,
    told: bool,
}

impl Deciding {
    /// `is_locked` says what cannot be unlocked here and now.
    pub(super) fn new(
        histories: Vec<Vec<Claims>>,
        enough: usize,
        is_locked: impl Fn(&Claims) -> bool,
    ) -> Self {
        let open = histories.iter().flatten().filter(|claims| !claims.certified());
        let case = |claims: &Claims| (claims.tx, Case::new(claims.clone(), is_locked(claims)));
        let cases = open.map(case).collect();
        let proofs = Proofs::default();
        Self { histories, cases, proofs, enough, collecting: false, told: false }
    }

    pub(super) fn progress(&self) -> Progress {
        let decided = self.cases.values().filter(|case| case.decision.is_some()).count();
        Progress { decided, total: self.cases.len() }
    }

    pub(super) fn is_done(&self) -> bool {
        self.told
    }

    /// What became of each transaction that was asked for.
    pub(super) fn decisions(&self) -> BTreeMap<TxId, Decision> {
        let of = |case: &Case| Some((case.tx(), case.decision.clone()?));
        self.cases.values().filter_map(of).collect()
    }

    fn is_certified(&self, claims: &Claims) -> bool {
        let decided = self.cases.get(&claims.tx).and_then(|case| case.decision.as_ref());
        claims.certified() || decided == Some(&Decision::Certified)
    }

    /// The next transaction of each history that is still to be decided. Nothing behind one that was
    /// not certified is asked for.
    fn wave(&self) -> BTreeSet<TxId> {
        let next = |history: &Vec<Claims>| {
            let first = history.iter().find(|claims| !self.is_certified(claims))?.tx;
            self.cases.get(&first)?.decision.is_none().then_some(first)
        };
        self.histories.iter().filter_map(next).collect()
    }

    /// The next question to an endpoint, if there is one.
    pub(super) fn next(&mut self, desk: &Desk, at: EndpointId, now: Duration) -> Option<Ask> {
        if self.told {
            return None;
        }
        if self.collecting {
            return self.proofs.next(desk, at);
        }
        let wave = self.wave();
        let open = |tx: &TxId| self.cases.get(tx);
        let shown = wave.iter().filter_map(open).filter(|case| case.is_to_be_shown_by(at));
        if let Some(ask) = inclusions(shown) {
            return Some(ask);
        }
        let asked = |case: &&Case| case.asks(desk, self.enough, at, now);
        let asked: Vec<&Case> = wave.iter().filter_map(open).filter(asked).collect();
        let locked = asked.iter().copied().filter(|case| case.locked);
        inclusions(locked).or_else(|| submit(asked.iter().copied().filter(|case| !case.locked)))
    }

    /// Decides what needs no answer, and goes on to collect proofs when nothing is left to decide.
    pub(super) fn advance(&mut self, desk: &Desk, now: Duration, learned: &mut Vec<Learned>) {
        while !self.collecting {
            let wave = self.wave();
            if wave.is_empty() {
                self.collect();
                break;
            }
            for tx in &wave {
                let Some(case) = self.cases.get_mut(tx) else { continue };
                case.begin(now);
                case.end(desk, self.enough, now);
            }
            if self.wave() == wave {
                break;
            }
        }
        if self.collecting && !self.told && self.proofs.is_done(desk) {
            self.proofs.learn(learned);
            self.told = true;
        }
    }

    /// What of the histories was newly certified is proved anew, with all that is certified behind and
    /// before it.
    fn collect(&mut self) {
        let fresh = |claims: &Claims| self.is_certified(claims) && !claims.certified();
        let grown = self.histories.iter().filter(|history| history.iter().any(fresh));
        let certified = grown.flatten().filter(|claims| self.is_certified(claims));
        let wanted = certified.flat_map(|claims| claims.spends.iter().cloned()).collect();
        self.proofs.want(wanted);
        self.collecting = true;
    }

    /// No more is asked: what is not decided is left, what was proved is told.
    pub(super) fn give_up(&mut self, learned: &mut Vec<Learned>) {
        if self.told {
            return;
        }
        if !self.collecting {
            for tx in self.wave() {
                self.cases.get_mut(&tx).into_iter().for_each(Case::give_up);
            }
            self.collect();
        }
        self.proofs.learn(learned);
        self.told = true;
    }

    /// When something is to be done of itself.
    pub(super) fn next_end(&self) -> Option<Duration> {
        if self.collecting {
            return None;
        }
        self.wave().iter().filter_map(|tx| self.cases.get(tx)?.next_end()).min()
    }

    /// What an endpoint says of the requests that it was sent.
    pub(super) fn submitted(
        &mut self,
        endpoint: EndpointId,
        asked: &[Vec<CertificationRequest>],
        said: Vec<Result<Said, Trouble>>,
        now: Duration,
    ) {
        let mut said = said.into_iter();
        for requests in asked {
            let said = said.next().unwrap_or(Err(Trouble::Answer("list of answers")));
            let Some(case) = self.submitted_case(requests) else { continue };
            case.said(endpoint, said, now);
        }
    }

    fn submitted_case(&mut self, requests: &[CertificationRequest]) -> Option<&mut Case> {
        let tx = TxId::new(*requests.first()?.data.transaction.as_bytes());
        self.cases.get_mut(&tx).filter(|case| case.decision.is_none())
    }

    /// The endpoint gave no answer to a question.
    pub(super) fn missed(&mut self, at: EndpointId, ask: &Ask, trouble: &Trouble, now: Duration) {
        match ask {
            Ask::Submit(asked) => {
                for requests in asked {
                    if let Some(case) = self.submitted_case(requests) {
                        case.troubled(at, trouble.clone(), now);
                    }
                }
            }
            Ask::Inclusions(_) if self.collecting => self.proofs.missed(at),
            Ask::Inclusions(states) => {
                for case in self.asked_of(at, states) {
                    case.troubled(at, trouble.clone(), now);
                }
            }
            Ask::Presence(_)
            | Ask::Certificate(_)
            | Ask::Growth { .. }
            | Ask::Exclusions(_)
            | Ask::Forks(_)
            | Ask::Publish(_) => {}
        }
    }

    /// The open cases of which an endpoint was asked for the proofs of some states.
    fn asked_of(&mut self, at: EndpointId, states: &[StateId]) -> impl Iterator<Item = &mut Case> {
        let open = move |case: &&mut Case| {
            case.decision.is_none()
                && (case.locked || case.is_to_be_shown_by(at))
                && case.states().all(|state| states.contains(&state))
        };
        self.cases.values_mut().filter(open)
    }

    /// The proofs that an endpoint shows.
    pub(super) fn shown(
        &mut self,
        desk: &mut Desk,
        verifier: &Verifier<'_>,
        endpoint: EndpointId,
        proofs: &ByState,
        now: Duration,
        learned: &mut Vec<Learned>,
    ) {
        if self.collecting {
            return self.proofs.heard(desk, verifier, endpoint, proofs);
        }
        let states: Vec<StateId> = proofs.keys().copied().collect();
        let mut certified: Vec<(Claim, InclusionProof)> = Vec::new();
        for case in self.asked_of(endpoint, &states) {
            match case.judge(verifier, proofs) {
                Ok(Shown::Certified(shown)) => {
                    certified.extend(shown);
                    case.decision = Some(Decision::Certified);
                }
                Ok(Shown::Lost(source, proof)) => {
                    case.decision = Some(Decision::Lost(source));
                    learned.push(Learned::Lost { source, proof });
                }
                Ok(Shown::Pending) if case.locked => case.unknown(endpoint),
                Ok(Shown::Pending) => {
                    desk.disbelieve(endpoint, Trouble::Unshown);
                    case.failed(endpoint, Trouble::Unshown);
                }
                Err(trouble @ (Trouble::Fault { .. } | Trouble::Unreached { .. })) => {
                    case.troubled(endpoint, trouble, now);
                }
                Err(trouble) => {
                    desk.disbelieve(endpoint, trouble.clone());
                    case.failed(endpoint, trouble);
                }
            }
        }
        for (claim, proof) in certified {
            // It was checked above, and is checked again rather than taken on trust.
            if let Err(trouble) = self.proofs.take(verifier, &claim, proof) {
                desk.disbelieve(endpoint, trouble);
            }
        }
    }
}

/// A question for the proofs of these cases, as many as one question takes: of a case all or none.
fn inclusions<'a>(cases: impl Iterator<Item = &'a Case>) -> Option<Ask> {
    let mut states = BTreeSet::new();
    for case in cases {
        let more: BTreeSet<StateId> = states.iter().copied().chain(case.states()).collect();
        if more.len() > MAX_AT_ONCE && !states.is_empty() {
            break;
        }
        states = more;
    }
    (!states.is_empty()).then(|| Ask::Inclusions(states.into_iter().collect()))
}

/// A question to certify these cases, as many as one question takes.
fn submit<'a>(cases: impl Iterator<Item = &'a Case>) -> Option<Ask> {
    let mut all: Vec<Vec<CertificationRequest>> = Vec::new();
    let mut bytes = 0;
    for case in cases.take(ABREAST) {
        let requests: Vec<CertificationRequest> =
            case.claims.spends.iter().map(Claim::request).collect();
        bytes += requests.iter().map(|request| to_bytes(request).len()).sum::<usize>();
        if bytes > MAX_SUBMITTED && !all.is_empty() {
            break;
        }
        all.push(requests);
    }
    (!all.is_empty()).then_some(Ask::Submit(all))
}
