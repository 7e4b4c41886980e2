//! Keep one question open an endpoint, and remember whom to ask first.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::time::Duration;

use tally_core::notary::{CertifiedRoot, NodeId, TrustBase, UnicityCertificate};

use super::ask::{Ask, AskId, EndpointId, Order};
use super::{SplitView, Trouble, Verifier};

/// How much longer than its answer may take a question is left open: the carrier gives up first, and
/// says more.
const GRACE: Duration = Duration::from_secs(2);
/// After so many absences an endpoint is asked no more.
const MAX_STRIKES: u8 = 2;
/// Most questions about transactions and states that one endpoint is asked in one errand.
pub const MAX_QUESTIONS: u64 = 1 << 12;
/// Most disbelieved answers that are kept to be shown.
pub const MAX_DOUBTS: usize = 64;
/// Most rounds of which a certificate is kept for comparison.
const MAX_SEEN: usize = 64;

/// An answer that did not count, and whose it was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Doubt {
    /// Whose.
    pub endpoint: EndpointId,
    /// Why.
    pub trouble: Trouble,
}

/// One endpoint as this errand knows it.
#[derive(Debug, Default)]
pub(super) struct Station {
    open: Option<Open>,
    strikes: u8,
    disbelieved: bool,
    /// It kept something waiting until all were asked.
    late: bool,
    /// How often it was asked about transactions and states.
    asked: u64,
    /// The validator under whose key it answered this errand's nonce.
    pub(super) validator: Option<NodeId>,
    /// The latest certificate that it showed, checked.
    pub(super) latest: Option<CertifiedRoot>,
}

#[derive(Debug)]
struct Open {
    id: AskId,
    ask: Ask,
    until: Duration,
}

/// All endpoints, and what any of them has shown.
#[derive(Debug)]
pub(super) struct Desk {
    trust: TrustBase,
    pub(super) stations: Vec<Station>,
    orders: u64,
    /// The newest round of any certificate that was verified, now or before.
    newest: Option<UnicityCertificate>,
    seen: Vec<UnicityCertificate>,
    pub(super) splits: Vec<SplitView>,
    pub(super) doubts: Vec<Doubt>,
}

impl Desk {
    /// Endpoints of which nothing is known; `kept` is a certificate that was verified before.
    pub(super) fn new(
        trust: TrustBase,
        endpoints: usize,
        kept: Option<UnicityCertificate>,
    ) -> Self {
        let stations = (0..endpoints).map(|_| Station::default()).collect();
        let seen = kept.iter().cloned().collect();
        let (splits, doubts) = (Vec::new(), Vec::new());
        Self { trust, stations, orders: 0, newest: kept, seen, splits, doubts }
    }

    /// Opens a question.
    pub(super) fn open(&mut self, endpoint: EndpointId, ask: Ask, now: Duration) -> Order {
        self.orders += 1;
        let id = AskId(self.orders);
        let until = now + ask.within() + GRACE;
        let station = &mut self.stations[endpoint];
        station.asked += u64::from(ask.is_wanted());
        station.open = Some(Open { id, ask: ask.clone(), until });
        Order { id, endpoint, ask }
    }

    /// Closes the question of this id; nothing if it is not open any more.
    pub(super) fn close(&mut self, id: AskId) -> Option<(EndpointId, Ask)> {
        let is_it = |station: &Station| station.open.as_ref().is_some_and(|open| open.id == id);
        let endpoint = self.stations.iter().position(is_it)?;
        self.stations[endpoint].open.take().map(|open| (endpoint, open.ask))
    }

    /// Closes a question whose time is over.
    pub(super) fn overdue(&mut self, now: Duration) -> Option<(EndpointId, Ask)> {
        let due = |station: &Station| station.open.as_ref().is_some_and(|open| open.until <= now);
        let endpoint = self.stations.iter().position(due)?;
        self.stations[endpoint].open.take().map(|open| (endpoint, open.ask))
    }

    /// When the first open question is over.
    pub(super) fn next_end(&self) -> Option<Duration> {
        self.stations.iter().filter_map(|s| s.open.as_ref().map(|open| open.until)).min()
    }

    pub(super) fn is_idle(&self, endpoint: EndpointId) -> bool {
        self.stations[endpoint].open.is_none()
    }

    /// Whether an endpoint is asked no more: it was not there, or has used up its questions. That is
    /// nobody else's end.
    pub(super) fn is_gone(&self, endpoint: EndpointId) -> bool {
        let station = &self.stations[endpoint];
        station.strikes >= MAX_STRIKES || station.asked >= MAX_QUESTIONS
    }

    /// Whether there is nobody to ask.
    pub(super) fn is_empty(&self) -> bool {
        (0..self.stations.len()).all(|at| self.is_gone(at))
    }

    /// Whom to ask one thing: the best of those that are `open`, so many that the validators as which
    /// they answered have an honest one among them; or `all` of them.
    pub(super) fn window(&self, open: impl Fn(EndpointId) -> bool, all: bool) -> Vec<EndpointId> {
        let mut names = BTreeSet::new();
        let mut window = Vec::new();
        for at in self.ranking() {
            if open(at) && (all || !self.are_enough(&names)) {
                names.extend(self.stations[at].validator.as_ref());
                window.push(at);
            }
        }
        window
    }

    /// Who can be asked, best first: whose answers were believed so far, who was there so far, who
    /// kept nothing waiting, who has shown to be a validator, who showed the newest certificate.
    pub(super) fn ranking(&self) -> Vec<EndpointId> {
        let mut all: Vec<EndpointId> =
            (0..self.stations.len()).filter(|at| !self.is_gone(*at)).collect();
        all.sort_by_key(|at| {
            let station = &self.stations[*at];
            let round = station.latest.as_ref().map(CertifiedRoot::round);
            let is_nobody = station.validator.is_none();
            (station.disbelieved, station.strikes, station.late, is_nobody, Reverse(round), *at)
        });
        all
    }

    /// An endpoint was not there.
    pub(super) fn strike(&mut self, endpoint: EndpointId) {
        let station = &mut self.stations[endpoint];
        station.strikes = station.strikes.saturating_add(1);
    }

    /// An endpoint keeps something waiting for so long that all are asked: it is asked after others.
    pub(super) fn keeps_waiting(&mut self, endpoint: EndpointId) {
        self.stations[endpoint].late = true;
    }

    /// An endpoint's answer did not hold: it is asked last, and shown.
    pub(super) fn disbelieve(&mut self, endpoint: EndpointId, trouble: Trouble) {
        self.stations[endpoint].disbelieved = true;
        self.doubt(endpoint, trouble);
    }

    /// An endpoint's answer does not count.
    pub(super) fn doubt(&mut self, endpoint: EndpointId, trouble: Trouble) {
        let doubt = Doubt { endpoint, trouble };
        if self.doubts.len() < MAX_DOUBTS && !self.doubts.contains(&doubt) {
            self.doubts.push(doubt);
        }
    }

    /// Checks a certificate, keeps it if it is the newest, and holds it against what else was seen
    /// of its round.
    pub(super) fn see(
        &mut self,
        verifier: &Verifier<'_>,
        certificate: &UnicityCertificate,
    ) -> Result<CertifiedRoot, Trouble> {
        let root = verifier.root(certificate)?;
        match self.seen.iter().find(|seen| seen.record.round == root.round()) {
            Some(seen) if seen.record.hash != root.root() => {
                let split = SplitView { a: seen.clone(), b: certificate.clone() };
                let known = self.splits.iter().any(|known| known.round() == split.round());
                if !known && split.holds(verifier.trust) {
                    self.splits.push(split);
                }
            }
            Some(_) => {}
            None if self.seen.len() < MAX_SEEN => self.seen.push(certificate.clone()),
            None => {}
        }
        if self.newest.as_ref().is_none_or(|newest| newest.record.round < root.round()) {
            self.newest = Some(certificate.clone());
        }
        Ok(root)
    }

    /// As [`see`](Self::see), of a certificate whose use is checked elsewhere.
    pub(super) fn note(&mut self, verifier: &Verifier<'_>, certificate: &UnicityCertificate) {
        if !self.seen.contains(certificate) {
            // What is no certificate shows nothing, here as there.
            let _ = self.see(verifier, certificate);
        }
    }

    /// The newest certificate of all.
    pub(super) fn newest(&self) -> Option<&UnicityCertificate> {
        self.newest.as_ref()
    }

    /// Whether so many distinct validators answered the nonce that one of them is honest.
    pub(super) fn has_honest(&self) -> bool {
        self.are_enough(&self.stations.iter().filter_map(|s| s.validator.as_ref()).collect())
    }

    fn are_enough(&self, names: &BTreeSet<&NodeId>) -> bool {
        let nodes = names.iter().filter_map(|name| self.trust.node(name));
        self.trust.has_honest(nodes.fold(0, |stake, node| stake.saturating_add(node.stake)))
    }
}
