//! Ask for each transaction until it is decided.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use tally_core::evidence::{Claim, Claims};
use tally_core::id::TxId;
use tally_core::notary::{CertificationRequest, StateId, TransactionHash};
use tally_core::seal::Judge;
use tally_core::time::Time;

use super::Progress;
use crate::notary::{Answer, NotaryClient, NotaryError};

/// How many questions are open at a time.
const ABREAST: usize = 8;
/// How long a validator is asked to hold a question for the outcome.
const HOLD: Duration = Duration::from_secs(5);
/// How long a transaction may take altogether, before it is left for the next settlement.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two questions to a validator that has too much to do.
const PAUSE: Duration = Duration::from_millis(200);

/// What became of a transaction, as the validators say.
#[derive(Debug)]
pub(super) enum Decision {
    /// It is certified.
    Certified,
    /// Another one spent the state of this claim.
    Spent(Box<Claim>),
    /// This wallet cannot unlock it before this time, and its payee has not settled it.
    Locked(Option<Time>),
    /// It is not decided.
    Failed(NotaryError),
}

/// Asks for every transaction of these histories that is not certified: the histories abreast, each
/// in its order. What comes after a transaction that is not certified is not asked for.
pub(super) fn decide_all(
    clients: &[NotaryClient],
    histories: &[Vec<Claims>],
    now: Time,
    judge: &Judge<'_>,
    progress: &mut dyn FnMut(Progress),
) -> BTreeMap<TxId, Decision> {
    let open = histories.iter().flatten().filter(|claims| !claims.certified());
    let total = open.map(|claims| claims.tx).collect::<BTreeSet<_>>().len();
    let mut decisions = BTreeMap::new();
    progress(Progress { decided: 0, total });
    loop {
        let wave = next(histories, &decisions);
        if wave.is_empty() {
            return decisions;
        }
        for some in wave.chunks(ABREAST) {
            let (ready, locked): (Vec<&Claims>, Vec<&Claims>) =
                some.iter().copied().partition(|claims| unlocked(claims, now, judge));
            let locked = locked.into_iter().map(|claims| (claims.tx, elsewhere(clients, claims)));
            decisions.extend(locked);
            decisions.extend(abreast(clients, &ready));
            progress(Progress { decided: decisions.len(), total });
            // Nobody is there: the rest would fail likewise, each after its time.
            let gone = |d: &Decision| matches!(d, Decision::Failed(e) if e.is_passing());
            if some.iter().all(|claims| decisions.get(&claims.tx).is_some_and(gone)) {
                return decisions;
            }
        }
    }
}

/// The next transaction of each history that is still to be decided.
fn next<'a>(histories: &'a [Vec<Claims>], decisions: &BTreeMap<TxId, Decision>) -> Vec<&'a Claims> {
    let mut seen = BTreeSet::new();
    let of = |history: &'a Vec<Claims>| {
        let mut open = history.iter().filter(|claims| !claims.certified());
        open.find(|claims| !matches!(decisions.get(&claims.tx), Some(Decision::Certified)))
    };
    let open = histories.iter().filter_map(of);
    open.filter(|claims| !decisions.contains_key(&claims.tx) && seen.insert(claims.tx)).collect()
}

/// Whether a notary would take it now.
fn unlocked(claims: &Claims, now: Time, judge: &Judge<'_>) -> bool {
    let mut open = claims.spends.iter().filter(|claim| !claim.certified);
    open.all(|claim| claim.is_unlocked(now, judge))
}

fn abreast(clients: &[NotaryClient], some: &[&Claims]) -> Vec<(TxId, Decision)> {
    let decided = Mutex::new(Vec::with_capacity(some.len()));
    thread::scope(|scope| {
        for claims in some {
            let decided = &decided;
            scope.spawn(move || {
                let decision = decide(clients, claims);
                let mut decided = decided.lock().unwrap_or_else(|e| e.into_inner());
                decided.push((claims.tx, decision));
            });
        }
    });
    decided.into_inner().unwrap_or_else(|e| e.into_inner())
}

/// Asks one validator after another until one knows.
fn decide(clients: &[NotaryClient], claims: &Claims) -> Decision {
    let requests: Vec<CertificationRequest> = claims.spends.iter().map(Claim::request).collect();
    let began = Instant::now();
    let mut last = NotaryError::None;
    let mut round = 0u32;
    loop {
        let mut passing = false;
        for client in clients {
            match submit(client, &requests, began) {
                Ok(Answer::Certified) => return Decision::Certified,
                Ok(Answer::Spent { state, .. }) => match spend_of(claims, &state) {
                    Some(claim) => return Decision::Spent(Box::new(claim.clone())),
                    None => {
                        let url = client.url().to_string();
                        last = NotaryError::Answer { url, what: "refusal of this request" };
                    }
                },
                Ok(Answer::Queued) => last = NotaryError::Late,
                Err(error) => {
                    passing |= matches!(error, NotaryError::Fault { later: true, .. });
                    last = error;
                }
            }
        }
        round += 1;
        if !passing || began.elapsed() >= PATIENCE {
            return Decision::Failed(last);
        }
        thread::sleep(PAUSE.saturating_mul(round.min(10)));
    }
}

/// Asks a validator, and again as long as it says that the request is queued.
fn submit(
    client: &NotaryClient,
    requests: &[CertificationRequest],
    began: Instant,
) -> Result<Answer, NotaryError> {
    loop {
        let answer = client.submit(requests, HOLD)?;
        if answer != Answer::Queued || began.elapsed() >= PATIENCE {
            return Ok(answer);
        }
    }
}

fn spend_of<'a>(claims: &'a Claims, state: &StateId) -> Option<&'a Claim> {
    claims.spends.iter().find(|claim| claim.state_id() == *state)
}

/// What this wallet cannot unlock, somebody else may have settled.
fn elsewhere(clients: &[NotaryClient], claims: &Claims) -> Decision {
    let locked = claims.spends.iter().find(|claim| claim.owner.until().is_some());
    let locked = locked.or(claims.spends.first());
    let Some(claim) = locked else { return Decision::Locked(None) };
    let until = claim.owner.until();
    let looked = super::first(clients, |client| client.inclusion(claim.state_id(), Duration::ZERO));
    match looked.map(|answer| answer.proof.leaf) {
        Err(error) => Decision::Failed(error),
        Ok(None) => Decision::Locked(until),
        Ok(Some(leaf)) if leaf.data.transaction == TransactionHash::from(claim.tx) => {
            Decision::Certified
        }
        Ok(Some(_)) => Decision::Spent(Box::new(claim.clone())),
    }
}
