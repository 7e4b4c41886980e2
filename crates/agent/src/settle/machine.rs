//! One errand to the network, from its first question to its end.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use tally_core::evidence::{Claim, Claims};
use tally_core::fork::ForkProof;
use tally_core::id::{CoinId, Digest, TxId};
use tally_core::notary::{
    CertifiedRoot, InclusionProof, NodeId, StateId, TrustBase, UnicityCertificate,
};
use tally_core::seal::{Judge, TpmProofs};
use tally_core::time::Time;

use super::ask::{Answer, Ask, AskId, EndpointId, Exclusion, MAX_ENDPOINTS, Order};
use super::case::Decision;
use super::decide::Deciding;
use super::desk::{Desk, Doubt};
use super::gossip::{Gossip, Told};
use super::learned::{Learned, Progress};
use super::look::Look;
use super::states::{Context, Standing, States};
use super::{SplitView, Trouble, Verifier};

/// How long an errand may take altogether. What is not done then is left for the next one.
pub const MAX_TIME: Duration = Duration::from_secs(600);
/// How long what is good for everybody may go on after what was wanted is known.
const REST: Duration = Duration::from_secs(10);
/// How long it may take if nothing else was wanted.
const REST_ALONE: Duration = Duration::from_secs(60);

/// What is wanted of the network.
#[derive(Clone, Debug)]
pub struct Errand {
    /// Whose certificates count.
    pub trust: TrustBase,
    /// Whom to ask: what is known of each endpoint's fork proofs. Those beyond [`MAX_ENDPOINTS`] are
    /// not asked.
    pub endpoints: Vec<Told>,
    /// The newest certificate that was verified before.
    pub kept: Option<UnicityCertificate>,
    /// Thirty-two random bytes that were never used before.
    pub nonce: Digest,
    /// This machine's clock.
    pub now: Time,
    /// Whether the endpoints are compared, with one another and with what was kept.
    pub watch: bool,
    /// The fork proofs that are known here, if they are to be exchanged.
    pub forks: Option<Vec<ForkProof>>,
    /// What is to be certified: each history in its order, the most urgent first.
    pub histories: Vec<Vec<Claims>>,
    /// States of which is to be said whether they are spent.
    pub states: Vec<StateId>,
}

/// What happens to an errand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// It begins, or the time has come at which it wanted to be woken.
    Woke,
    /// A question was answered, or will not be.
    Answered(AskId, Answer),
    /// These fork proofs are known here by now.
    Forks(Vec<ForkProof>),
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Output {
    /// What was learnt, to be taken over in this order.
    pub learned: Vec<Learned>,
    /// What to ask.
    pub asks: Vec<Order>,
    /// When to wake it if nothing happens before, since it began. None: it has ended.
    pub wake: Option<Duration>,
    /// How far it has come.
    pub progress: Progress,
}

impl Output {
    /// Whether the errand has ended: no question is open that matters.
    pub fn is_over(&self) -> bool {
        self.wake.is_none()
    }
}

/// An errand to the network, as a machine. Times are given as how long ago it began.
#[derive(Debug)]
pub struct Settling {
    trust: TrustBase,
    now: Time,
    elapsed: Duration,
    desk: Desk,
    look: Look,
    deciding: Deciding,
    states: States,
    gossip: Option<Gossip>,
    /// How long the rest may take, and since when nothing but the rest is open.
    rest: Duration,
    resting: Option<Duration>,
}

impl Settling {
    /// Nothing is asked before the first [`handle`](Self::handle).
    pub fn new(errand: Errand) -> Self {
        let Errand { trust, mut endpoints, kept, nonce, now, watch, forks, histories, states } =
            errand;
        endpoints.truncate(MAX_ENDPOINTS);
        let kept = kept.and_then(|kept| Some((kept.verify(&trust).ok()?, kept)));
        let (root, kept) = kept.unzip();
        let look = Look::new(endpoints.len(), nonce);
        let is_alone = histories.is_empty() && states.is_empty();
        let judge = Judge::of_certified(trust.network(), &TpmProofs);
        let is_locked = |claims: &Claims| {
            let mut open = claims.spends.iter().filter(|claim| !claim.certified);
            !open.all(|claim: &Claim| claim.is_unlocked(now, &judge))
        };
        Self {
            now,
            elapsed: Duration::ZERO,
            desk: Desk::new(trust.clone(), endpoints.len(), kept),
            look: if watch { look.comparing(root) } else { look },
            deciding: Deciding::new(histories, is_locked),
            states: States::new(states),
            gossip: forks.map(|known| Gossip::new(endpoints, known)),
            rest: if is_alone { REST_ALONE } else { REST },
            resting: None,
            trust,
        }
    }

    /// Takes what happened, `elapsed` after the beginning, and says what to do next.
    pub fn handle(&mut self, elapsed: Duration, input: Input) -> Output {
        self.elapsed = self.elapsed.max(elapsed);
        let mut learned = Vec::new();
        match input {
            Input::Woke => {}
            Input::Answered(id, answer) => {
                if let Some((endpoint, ask)) = self.desk.close(id) {
                    self.heard(endpoint, ask, answer, &mut learned);
                }
            }
            Input::Forks(proofs) => {
                self.gossip.iter_mut().for_each(|gossip| gossip.add(proofs.clone()));
            }
        }
        while let Some((endpoint, ask)) = self.desk.overdue(self.elapsed) {
            self.missed(endpoint, &ask, Trouble::Silent);
        }
        self.deciding.advance(&mut self.desk, self.elapsed, &mut learned);
        if self.look.is_over() {
            self.states.advance(&self.desk, self.elapsed);
        }
        if self.elapsed >= MAX_TIME {
            self.deciding.give_up(self.elapsed, &mut learned);
            self.states.give_up();
        }
        let progress = self.deciding.progress();
        if self.is_done() {
            return Output { learned, progress, ..Output::default() };
        }
        Output { learned, asks: self.orders(), wake: Some(self.wake()), progress }
    }

    /// Whether all is known that was wanted, and what is good for everybody is known too, or has had
    /// its time.
    fn is_done(&mut self) -> bool {
        if !self.deciding.is_done() || !self.states.is_done() {
            return false;
        }
        let rest = *self.resting.get_or_insert(self.elapsed) + self.rest;
        let gossip = self.gossip.as_ref();
        let is_open = !self.look.is_done(&self.desk)
            || gossip.is_some_and(|gossip| !gossip.is_done(&self.desk));
        if is_open && rest.min(MAX_TIME) > self.elapsed {
            return false;
        }
        for at in self.look.unfinished() {
            self.desk.doubt(at, Trouble::Silent);
        }
        true
    }

    fn wake(&self) -> Duration {
        let rest = self.resting.map(|since| since + self.rest);
        let wanted = [self.deciding.next_end(self.elapsed), self.states.next_end(self.elapsed)];
        let ends = [self.desk.next_end(), rest].into_iter().chain(wanted);
        let later = ends.flatten().filter(|end| *end > self.elapsed);
        later.min().unwrap_or(MAX_TIME).min(MAX_TIME)
    }

    /// The next question to everyone who has none open.
    fn orders(&mut self) -> Vec<Order> {
        let mut orders = Vec::new();
        for endpoint in self.desk.ranking() {
            if self.desk.is_idle(endpoint)
                && let Some(ask) = self.next(endpoint)
            {
                orders.push(self.desk.open(endpoint, ask, self.elapsed));
            }
        }
        orders
    }

    /// What matters most comes first: who it is, what is to be certified, what is to be known, and
    /// then what is good for everybody.
    fn next(&mut self, endpoint: EndpointId) -> Option<Ask> {
        if let Some(ask) = self.look.greet(endpoint) {
            return Some(ask);
        }
        if let Some(ask) = self.deciding.next(&self.desk, endpoint, self.elapsed) {
            return Some(ask);
        }
        if !self.look.is_over() {
            return None;
        }
        let states = self.states.next(&self.desk, endpoint, self.elapsed);
        let compare = || self.look.next(&self.desk, endpoint);
        let gossip = || self.gossip.as_ref()?.next(&self.desk, endpoint);
        states.or_else(compare).or_else(gossip)
    }

    fn heard(&mut self, at: EndpointId, ask: Ask, answer: Answer, learned: &mut Vec<Learned>) {
        let verifier = Verifier { trust: &self.trust, seals: &TpmProofs };
        match (ask, answer) {
            (ask, Answer::Nothing(trouble)) => self.missed(at, &ask, trouble),
            (Ask::Presence(_), Answer::Presence(presence)) => {
                self.look.met(&mut self.desk, &verifier, at, &presence);
            }
            (Ask::Certificate(round), Answer::Certificate(certificate))
                if certificate.record.round == round =>
            {
                self.look.compared(&mut self.desk, &verifier, at, round, Some(&certificate));
            }
            (Ask::Growth { .. }, Answer::Growth(growth)) => {
                self.look.grew(&mut self.desk, &verifier, at, Ok(&growth));
            }
            (Ask::Submit(asked), Answer::Submitted(said)) => {
                self.deciding.submitted(at, &asked, said, self.elapsed);
            }
            (Ask::Inclusions(states), Answer::Inclusions(proofs)) => {
                note_all(&mut self.desk, &verifier, proofs.iter().flatten().map(certificate_of));
                let none = core::iter::repeat_with(|| Err(Trouble::Answer("list of proofs")));
                let proofs = states.into_iter().zip(proofs.into_iter().chain(none)).collect();
                let now = self.elapsed;
                self.deciding.shown(&mut self.desk, &verifier, at, &proofs, now, learned);
            }
            (Ask::Exclusions(states), Answer::Exclusions(shown)) => {
                let certificates = shown.iter().flatten().map(certificate_in);
                note_all(&mut self.desk, &verifier, certificates);
                let (desk, look, elapsed) = (&mut self.desk, &self.look, self.elapsed);
                let now = self.now.plus(elapsed.as_secs());
                let mut cx = Context { desk, verifier: &verifier, look, now, elapsed };
                self.states.shown(&mut cx, at, &states, shown, learned);
            }
            (Ask::Forks(_), Answer::Forks(proofs, next)) => {
                self.gossip.iter_mut().for_each(|g| g.heard(at, proofs.clone(), next, learned));
            }
            (Ask::Publish(proof), Answer::Published) => {
                let key = proof.key;
                self.gossip.iter_mut().for_each(|g| g.published(at, key.clone(), learned));
            }
            (ask, _) => self.missed(at, &ask, Trouble::Answer("answer to the question")),
        }
    }

    /// A question has no answer, or one that is none.
    fn missed(&mut self, at: EndpointId, ask: &Ask, trouble: Trouble) {
        if trouble.is_absence() {
            self.desk.strike(at);
        }
        if matches!(trouble, Trouble::Answer(_)) {
            self.desk.disbelieve(at, trouble.clone());
        }
        let verifier = Verifier { trust: &self.trust, seals: &TpmProofs };
        match ask {
            Ask::Presence(_) => {
                if trouble.is_absence() {
                    self.gossip.iter_mut().for_each(|gossip| gossip.absent(at));
                }
                self.look.missed(&self.desk, at, trouble);
            }
            Ask::Certificate(round) => {
                self.look.compared(&mut self.desk, &verifier, at, *round, None);
            }
            Ask::Growth { .. } => {
                self.look.grew(&mut self.desk, &verifier, at, Err(trouble));
            }
            Ask::Submit(_) | Ask::Inclusions(_) => {
                self.deciding.missed(at, ask, &trouble, self.elapsed);
            }
            Ask::Exclusions(states) => self.states.missed(at, states, &trouble, self.elapsed),
            Ask::Forks(_) | Ask::Publish(_) => {
                self.gossip.iter_mut().for_each(|gossip| gossip.failed(at));
            }
        }
    }
}

/// What an errand has come to so far.
impl Settling {
    /// What became of each transaction that was to be certified.
    pub fn decisions(&self) -> BTreeMap<TxId, Decision> {
        self.deciding.decisions()
    }

    /// What was shown of each state that was looked up.
    pub fn standings(&self) -> BTreeMap<StateId, Standing> {
        self.states.standings()
    }

    /// The proof that a spend is certified, as it was shown.
    pub fn proof(&self, source: &CoinId, tx: &TxId) -> Option<&InclusionProof> {
        self.deciding.proofs.shown(source, tx)
    }

    /// What an endpoint showed as its latest certificate, or why nothing that is believed.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn sight(&self, endpoint: EndpointId) -> Result<CertifiedRoot, Trouble> {
        self.look.sight(endpoint)
    }

    /// The validator as which an endpoint has answered.
    pub fn validator(&self, endpoint: EndpointId) -> Option<&NodeId> {
        self.desk.stations.get(endpoint)?.validator.as_ref()
    }

    /// The newest certificate that is known, to be kept: every later tree has grown from it. What
    /// contradicts another one does not replace what was kept.
    pub fn newest(&self) -> Option<&UnicityCertificate> {
        self.desk.newest().filter(|_| self.desk.splits.is_empty())
    }

    /// Contradictions between certificates.
    pub fn splits(&self) -> &[SplitView] {
        &self.desk.splits
    }

    /// The answers that did not count.
    pub fn doubts(&self) -> &[Doubt] {
        &self.desk.doubts
    }
}

fn certificate_of(proof: &InclusionProof) -> &UnicityCertificate {
    &proof.certificate
}

fn certificate_in(exclusion: &Exclusion) -> &UnicityCertificate {
    match exclusion {
        Exclusion::Unspent { certificate, .. } => certificate,
        Exclusion::Spent(proof) => &proof.certificate,
    }
}

/// Holds certificates that came with proofs against what else was seen. What does not verify is
/// refused with the proof that it came with.
fn note_all<'a>(
    desk: &mut Desk,
    verifier: &Verifier<'_>,
    certificates: impl Iterator<Item = &'a UnicityCertificate>,
) {
    for certificate in certificates {
        desk.note(verifier, certificate);
    }
}
