//! Say of states whether they are spent, and say *unspent* only of the present (`SETTLE-15`).
//!
//! An exclusion proof shows that a state was unspent at one round. Whoever replays the proof of an
//! old round shows nothing about today: so it counts only at or after the newest round that any of so
//! many validators showed that one of them is honest, and near the time of this machine's clock.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

use tally_core::notary::StateId;
use tally_core::time::Time;

use super::ask::{Ask, EndpointId, Exclusion, MAX_AT_ONCE};
use super::check::is_present;
use super::desk::Desk;
use super::look::Look;
use super::{Learned, Trouble, Verifier};

/// When an endpoint that showed an older round than the newest is asked again.
const AGAIN: Duration = Duration::from_secs(1);
/// How often it is.
const MAX_AGAIN: u8 = 3;
/// How long those who are enough may take, before all are asked.
const ENOUGH: Duration = Duration::from_secs(15);

/// What the network shows of a state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It is spent, and was at this round.
    Spent(u64),
    /// It was unspent at this round, which counts as the present one.
    Unspent(u64),
    /// Nothing was shown that counts: the last reason, and whose answer it was.
    Unknown(Option<EndpointId>, Trouble),
}

#[derive(Debug, Default)]
struct Sought {
    standing: Option<Standing>,
    failed: BTreeSet<EndpointId>,
    again: BTreeMap<EndpointId, (Duration, u8)>,
    last: Option<(EndpointId, Trouble)>,
}

/// The states that are looked up.
#[derive(Debug)]
pub(super) struct States {
    sought: BTreeMap<StateId, Sought>,
    /// Since when they are asked for.
    began: Option<Duration>,
}

impl States {
    pub(super) fn new(states: Vec<StateId>) -> Self {
        let sought = states.into_iter().map(|state| (state, Sought::default())).collect();
        Self { sought, began: None }
    }

    /// What is known of each state.
    pub(super) fn standings(&self) -> BTreeMap<StateId, Standing> {
        let known = |sought: &Sought| sought.standing.clone().unwrap_or_else(|| sought.unknown());
        self.sought.iter().map(|(state, sought)| (*state, known(sought))).collect()
    }

    pub(super) fn is_done(&self) -> bool {
        self.sought.values().all(|sought| sought.standing.is_some())
    }

    /// Whether all are asked by now.
    fn is_wide(&self, now: Duration) -> bool {
        self.began.is_some_and(|began| began + ENOUGH <= now)
    }

    pub(super) fn next(&self, desk: &Desk, at: EndpointId, now: Duration) -> Option<Ask> {
        let wide = self.is_wide(now);
        let asks = |sought: &&Sought| sought.asks(desk, wide, at, now);
        let open = self.sought.iter().filter(|(_, sought)| asks(sought));
        let states: Vec<StateId> = open.map(|(state, _)| *state).take(MAX_AT_ONCE).collect();
        (!states.is_empty()).then_some(Ask::Exclusions(states))
    }

    /// Ends what nobody is left to be asked of.
    pub(super) fn advance(&mut self, desk: &Desk, now: Duration) {
        self.began.get_or_insert(now);
        for sought in self.sought.values_mut() {
            if sought.standing.is_none() && sought.window(desk, true).is_empty() {
                sought.standing = Some(sought.unknown());
            }
        }
    }

    /// No more is asked.
    pub(super) fn give_up(&mut self) {
        for sought in self.sought.values_mut() {
            sought.standing = Some(sought.standing.take().unwrap_or_else(|| sought.unknown()));
        }
    }

    pub(super) fn next_end(&self, now: Duration) -> Option<Duration> {
        let open = self.sought.values().filter(|sought| sought.standing.is_none());
        let again = open.flat_map(|sought| sought.again.values().map(|(when, _)| *when));
        let wide = self.began.filter(|_| !self.is_done()).map(|began| began + ENOUGH);
        // What is over was done then.
        again.chain(wide).filter(|end| *end > now).min()
    }

    /// What an endpoint shows of the states that it was asked for.
    pub(super) fn shown(
        &mut self,
        cx: &mut Context<'_>,
        endpoint: EndpointId,
        asked: &[StateId],
        answers: Vec<Result<Exclusion, Trouble>>,
        learned: &mut Vec<Learned>,
    ) {
        let mut answers = answers.into_iter();
        for state in asked {
            let answer = answers.next().unwrap_or(Err(Trouble::Answer("list of proofs")));
            let Some(sought) = self.sought.get_mut(state) else { continue };
            let standing = answer.and_then(|shown| Ok((cx.standing(*state, &shown)?, shown)));
            match standing {
                // Spent once is spent for ever, whatever else was shown.
                Ok((spent @ Standing::Spent(_), Exclusion::Spent(proof))) => {
                    let known = sought.standing.replace(spent);
                    if !matches!(known, Some(Standing::Spent(_))) {
                        learned.push(Learned::Spent { state: *state, proof });
                    }
                }
                Ok((other, _)) => {
                    sought.standing.get_or_insert(other);
                }
                Err(trouble) => {
                    sought.doubted(endpoint, &trouble, cx.elapsed);
                    match trouble {
                        // That too few answered is not this one's fault.
                        Trouble::TooFew => {}
                        lie if is_lie(&lie) => cx.desk.disbelieve(endpoint, lie),
                        other => cx.desk.doubt(endpoint, other),
                    }
                }
            }
        }
    }

    /// The endpoint gave no answer.
    pub(super) fn missed(
        &mut self,
        at: EndpointId,
        asked: &[StateId],
        trouble: &Trouble,
        now: Duration,
    ) {
        for state in asked {
            if let Some(sought) = self.sought.get_mut(state) {
                sought.doubted(at, trouble, now);
            }
        }
    }
}

/// Whether an answer is wrong in itself, rather than too old, or none.
const fn is_lie(trouble: &Trouble) -> bool {
    matches!(trouble, Trouble::Certificate(_) | Trouble::Proof(_) | Trouble::Answer(_))
}

impl Sought {
    fn unknown(&self) -> Standing {
        match self.last.clone() {
            Some((endpoint, trouble)) => Standing::Unknown(Some(endpoint), trouble),
            None => Standing::Unknown(None, Trouble::Nobody),
        }
    }

    fn window(&self, desk: &Desk, wide: bool) -> Vec<EndpointId> {
        desk.window(|at| !self.failed.contains(&at), wide)
    }

    fn asks(&self, desk: &Desk, wide: bool, at: EndpointId, now: Duration) -> bool {
        let is_due = self.again.get(&at).is_none_or(|(when, _)| *when <= now);
        self.standing.is_none() && is_due && self.window(desk, wide).contains(&at)
    }

    /// An answer that does not count. Whoever is behind, or busy, is asked again some times.
    fn doubted(&mut self, endpoint: EndpointId, trouble: &Trouble, now: Duration) {
        // What somebody showed says more than that somebody else is not there.
        if self.last.is_none() || !trouble.is_absence() {
            self.last = Some((endpoint, trouble.clone()));
        }
        let times = self.again.get(&endpoint).map_or(0, |(_, times)| *times);
        let passes = matches!(trouble, Trouble::Stale { .. } | Trouble::Fault { later: true, .. });
        if passes && times < MAX_AGAIN {
            self.again.insert(endpoint, (now + AGAIN, times + 1));
        } else {
            self.failed.insert(endpoint);
        }
    }
}

/// What an answer is held against.
pub(super) struct Context<'a> {
    pub(super) desk: &'a mut Desk,
    pub(super) verifier: &'a Verifier<'a>,
    pub(super) look: &'a Look,
    /// This machine's clock.
    pub(super) now: Time,
    pub(super) elapsed: Duration,
}

impl Context<'_> {
    /// The one rule by which a state counts as spent or as unspent.
    fn standing(&self, state: StateId, shown: &Exclusion) -> Result<Standing, Trouble> {
        let (root, is_spent) = self.verifier.spent(state, shown)?;
        if is_spent {
            return Ok(Standing::Spent(root.round()));
        }
        if !self.desk.has_honest() {
            return Err(Trouble::TooFew);
        }
        let newest = self.look.present().ok_or(Trouble::TooFew)?;
        is_present(&root, newest, self.now)?;
        Ok(Standing::Unspent(root.round()))
    }
}
