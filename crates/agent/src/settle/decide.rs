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

/// How many transactions are asked for in one question, and wait at one endpoint.
const ABREAST: usize = 8;
/// How long nothing may be proved before no more is asked for: the network stands.
const STANDSTILL: Duration = Duration::from_secs(60);
/// How long proofs under one certificate are collected.
const COLLECTING: Duration = Duration::from_secs(30);

/// What was answered about some states.
pub(super) type ByState = BTreeMap<StateId, Result<InclusionProof, Trouble>>;

/// All histories, and what became of their transactions.
#[derive(Debug)]
pub(super) struct Deciding {
    histories: Vec<Vec<Claims>>,
    cases: BTreeMap<TxId, Case>,
    pub(super) proofs: Proofs,
    /// When something was proved last, or else the first question was put.
    moved: Option<Duration>,
    /// Since when every history has come to its end, and what was proved of them is collected.
    collecting: Option<Duration>,
    told: bool,
}

impl Deciding {
    /// `is_locked` says what cannot be unlocked here and now.
    pub(super) fn new(histories: Vec<Vec<Claims>>, is_locked: impl Fn(&Claims) -> bool) -> Self {
        let open = histories.iter().flatten().filter(|claims| !claims.certified());
        let case = |claims: &Claims| (claims.tx, Case::new(claims.clone(), is_locked(claims)));
        let cases = open.map(case).collect();
        let proofs = Proofs::default();
        Self { histories, cases, proofs, moved: None, collecting: None, told: false }
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

    /// The next transaction of each history that is still to be decided, the most urgent first. Nothing
    /// behind one that was not certified is asked for.
    fn wave(&self) -> Vec<TxId> {
        let mut seen = BTreeSet::new();
        let next = |history: &Vec<Claims>| {
            let first = history.iter().find(|claims| !self.is_certified(claims))?.tx;
            let is_open = self.cases.get(&first)?.decision.is_none();
            (is_open && seen.insert(first)).then_some(first)
        };
        self.histories.iter().filter_map(next).collect()
    }

    /// The next question to an endpoint, if there is one.
    pub(super) fn next(&mut self, desk: &Desk, at: EndpointId, now: Duration) -> Option<Ask> {
        if self.told {
            return None;
        }
        if self.collecting.is_some() {
            return self.proofs.next(desk, at);
        }
        let ask = self.question(desk, at, now)?;
        self.moved.get_or_insert(now);
        self.asked(at, &ask).for_each(|case| case.ask(at, now));
        Some(ask)
    }

    fn question(&self, desk: &Desk, at: EndpointId, now: Duration) -> Option<Ask> {
        let wave = self.wave();
        let all = || wave.iter().filter_map(|tx| self.cases.get(tx));
        if let Some(ask) = inclusions(all().filter(|case| case.is_to_be_shown_by(at))) {
            return Some(ask);
        }
        // For all that nobody was asked for yet it is the same.
        let is_first = desk.window(|_| true, false).contains(&at);
        let is_open =
            |case: &&Case| if case.is_new() { is_first } else { case.is_open_at(desk, at) };
        let locked = all().filter(|case| case.locked && case.is_due(at, now)).filter(is_open);
        if let Some(ask) = inclusions(locked) {
            return Some(ask);
        }
        // What waits there goes before what was not asked for, which has its whole time.
        let (waiting, new): (Vec<&Case>, Vec<&Case>) =
            all().filter(|case| !case.locked).partition(|case| case.was_asked(at));
        let abreast = waiting.into_iter().chain(new).filter(is_open).take(ABREAST);
        submit(abreast.filter(|case| case.is_due(at, now)))
    }

    /// The open cases of which a question is.
    fn asked(&mut self, at: EndpointId, ask: &Ask) -> impl Iterator<Item = &mut Case> {
        let (txs, states) = match ask {
            Ask::Submit(all) => {
                (all.iter().filter_map(|requests| tx_of(requests)).collect(), &[][..])
            }
            Ask::Inclusions(states) => (BTreeSet::new(), states.as_slice()),
            Ask::Presence(_)
            | Ask::Certificate(_)
            | Ask::Growth { .. }
            | Ask::Exclusions(_)
            | Ask::Forks(_)
            | Ask::Publish(_) => (BTreeSet::new(), &[][..]),
        };
        let is_it = move |case: &&mut Case| {
            case.decision.is_none()
                && (txs.contains(&case.tx())
                    || ((case.locked || case.is_to_be_shown_by(at))
                        && case.states().all(|state| states.contains(&state))))
        };
        self.cases.values_mut().filter(is_it)
    }

    /// Decides what needs no answer, and goes on to collect proofs when nothing is left to decide.
    pub(super) fn advance(&mut self, desk: &mut Desk, now: Duration, learned: &mut Vec<Learned>) {
        let stands = self.moved.is_some_and(|moved| moved + STANDSTILL <= now);
        while self.collecting.is_none() {
            let wave = self.wave();
            if wave.is_empty() {
                self.collect(now);
                break;
            }
            for tx in &wave {
                let Some(case) = self.cases.get_mut(tx) else { continue };
                case.advance(desk, now);
                if stands {
                    case.give_up(Trouble::Unasked);
                }
            }
            if self.wave() == wave {
                break;
            }
        }
        let is_late = self.collecting.is_some_and(|since| since + COLLECTING <= now);
        if self.collecting.is_some() && !self.told && (is_late || self.proofs.is_done(desk)) {
            self.proofs.learn(learned);
            self.told = true;
        }
    }

    /// What of the histories was newly certified is proved anew, with all that is certified behind and
    /// before it.
    fn collect(&mut self, now: Duration) {
        let fresh = |claims: &Claims| self.is_certified(claims) && !claims.certified();
        let grown = self.histories.iter().filter(|history| history.iter().any(fresh));
        let certified = grown.flatten().filter(|claims| self.is_certified(claims));
        let wanted = certified.flat_map(|claims| claims.spends.iter().cloned()).collect();
        self.proofs.want(wanted);
        self.collecting = Some(now);
    }

    /// No more is asked: what is not decided is left, what was proved is told.
    pub(super) fn give_up(&mut self, now: Duration, learned: &mut Vec<Learned>) {
        if self.told {
            return;
        }
        if self.collecting.is_none() {
            for tx in self.wave() {
                self.cases.get_mut(&tx).into_iter().for_each(|case| case.give_up(Trouble::Unasked));
            }
            self.collect(now);
        }
        self.proofs.learn(learned);
        self.told = true;
    }

    /// When something is to be done of itself.
    pub(super) fn next_end(&self, now: Duration) -> Option<Duration> {
        if let Some(since) = self.collecting {
            return (!self.told).then_some(since + COLLECTING);
        }
        let cases = self.wave().into_iter().filter_map(|tx| self.cases.get(&tx)?.next_end(now));
        cases.chain(self.moved.map(|moved| moved + STANDSTILL)).min()
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
        self.cases.get_mut(&tx_of(requests)?).filter(|case| case.decision.is_none())
    }

    /// The endpoint gave no answer to a question.
    pub(super) fn missed(&mut self, at: EndpointId, ask: &Ask, trouble: &Trouble, now: Duration) {
        if self.collecting.is_some() && matches!(ask, Ask::Inclusions(_)) {
            return self.proofs.missed(at);
        }
        self.asked(at, ask).for_each(|case| case.troubled(at, trouble.clone(), now));
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
        if self.collecting.is_some() {
            return self.proofs.heard(desk, verifier, endpoint, proofs);
        }
        let asked = Ask::Inclusions(proofs.keys().copied().collect());
        let mut certified: Vec<(Claim, InclusionProof)> = Vec::new();
        let mut moved = false;
        for case in self.asked(endpoint, &asked) {
            match case.judge(verifier, proofs) {
                Ok(Shown::Certified(shown)) => {
                    certified.extend(shown);
                    moved = true;
                    case.decide(desk, endpoint, Decision::Certified);
                }
                Ok(Shown::Lost(source, proof)) => {
                    moved = true;
                    case.decide(desk, endpoint, Decision::Lost(source));
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
        if moved {
            self.moved = Some(now);
        }
        for (claim, proof) in certified {
            // It was checked above, and is checked again rather than taken on trust.
            if let Err(trouble) = self.proofs.take(verifier, &claim, proof) {
                desk.disbelieve(endpoint, trouble);
            }
        }
    }
}

/// The transaction whose spends are to be certified.
fn tx_of(requests: &[CertificationRequest]) -> Option<TxId> {
    Some(TxId::new(*requests.first()?.data.transaction.as_bytes()))
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
    for case in cases {
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
