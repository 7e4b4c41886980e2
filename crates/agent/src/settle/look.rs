//! See who is there, what each shows as the present, and whether they agree (`SETTLE-12`).

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use tally_core::id::Digest;
use tally_core::notary::{CertifiedRoot, Presence, PresenceError, UnicityCertificate};

use super::ask::{Ask, EndpointId, Growth, MAX_GROWTH_ANSWER};
use super::desk::Desk;
use super::{Trouble, Verifier};

/// Most answers about growth that are taken of one endpoint at one contact.
const MAX_GROWTHS: u16 = 64;
/// Most bytes of leaves in these answers, after which no other is asked for.
const MAX_GROWN: usize = MAX_GROWTH_ANSWER;

/// What one endpoint has shown.
#[derive(Clone, Debug, Default)]
struct Sight {
    /// The nonce was answered, or will not be.
    looked: bool,
    latest: Option<CertifiedRoot>,
    trouble: Option<Trouble>,
    /// The rounds of which it was asked for its certificate.
    compared: BTreeSet<u64>,
    /// Up to where its tree was shown to have only grown.
    grown: Option<CertifiedRoot>,
    growths: u16,
    /// How much was answered about it, in bytes.
    bytes: usize,
}

/// Looks at every endpoint once.
#[derive(Debug)]
pub(super) struct Look {
    nonce: Digest,
    sights: Vec<Sight>,
    /// The certificate that was kept from before, if they are also to be compared.
    compare: Option<Option<CertifiedRoot>>,
    /// The newest round that anyone showed, or that was known, when all had been looked at.
    present: Option<u64>,
}

impl Look {
    /// Only sees who is there, and what each shows.
    pub(super) fn new(endpoints: usize, nonce: Digest) -> Self {
        let sights = (0..endpoints).map(|_| Sight::default()).collect();
        Self { nonce, sights, compare: None, present: None }
    }

    /// Compares them also, with one another and with what was kept from before.
    pub(super) fn comparing(self, kept: Option<CertifiedRoot>) -> Self {
        Self { compare: Some(kept), ..self }
    }

    /// Whether everybody has answered the nonce, or will not.
    pub(super) fn is_over(&self) -> bool {
        self.sights.iter().all(|sight| sight.looked)
    }

    /// The newest round that was shown or known when all had been looked at.
    pub(super) fn present(&self) -> Option<u64> {
        self.present
    }

    /// What an endpoint showed: its latest root, or why it has none that is believed.
    pub(super) fn sight(&self, endpoint: EndpointId) -> Result<CertifiedRoot, Trouble> {
        let sight = &self.sights[endpoint];
        match (&sight.trouble, &sight.latest) {
            (Some(trouble), _) => Err(trouble.clone()),
            (None, Some(latest)) => Ok(latest.clone()),
            (None, None) => Err(Trouble::Silent),
        }
    }

    /// The first question to an endpoint.
    pub(super) fn greet(&self, endpoint: EndpointId) -> Option<Ask> {
        (!self.sights[endpoint].looked).then_some(Ask::Presence(self.nonce))
    }

    /// What else there is to ask an endpoint once all have been looked at.
    pub(super) fn next(&self, desk: &Desk, endpoint: EndpointId) -> Option<Ask> {
        let kept = self.compare.as_ref()?;
        let sight = &self.sights[endpoint];
        if !self.is_over() || sight.trouble.is_some() || desk.is_gone(endpoint) {
            return None;
        }
        let latest = sight.latest.as_ref()?;
        let rounds = self.sights.iter().filter_map(|s| s.latest.as_ref().map(CertifiedRoot::round));
        let together = [rounds.min(), kept.as_ref().map(CertifiedRoot::round)];
        let mut together = together.into_iter().flatten();
        let open = |round: &u64| *round < latest.round() && !sight.compared.contains(round);
        if let Some(round) = together.find(open) {
            return Some(Ask::Certificate(round));
        }
        let from = sight.grown.as_ref().or(kept.as_ref())?;
        let open =
            from.round() < latest.round() && sight.growths < MAX_GROWTHS && sight.bytes < MAX_GROWN;
        open.then(|| Ask::Growth { from: from.round(), to: latest.round() })
    }

    /// Whether nothing is left to ask anybody.
    pub(super) fn is_done(&self, desk: &Desk) -> bool {
        self.is_over() && (0..self.sights.len()).all(|at| self.next(desk, at).is_none())
    }

    /// Whose tree was not shown to have only grown up to what it showed as its latest.
    pub(super) fn unfinished(&self) -> impl Iterator<Item = EndpointId> {
        let kept = self.compare.as_ref().and_then(Option::as_ref);
        let is_behind = move |(_, sight): &(EndpointId, &Sight)| {
            let from = sight.grown.as_ref().or(kept);
            let rounds = from.zip(sight.latest.as_ref()).map(|(a, b)| a.round() < b.round());
            sight.trouble.is_none() && rounds == Some(true)
        };
        self.sights.iter().enumerate().filter(is_behind).map(|(at, _)| at)
    }

    /// An answer to the nonce.
    pub(super) fn met(
        &mut self,
        desk: &mut Desk,
        verifier: &Verifier<'_>,
        endpoint: EndpointId,
        presence: &Presence,
    ) {
        let seen = desk.see(verifier, &presence.certificate);
        let shown = presence.verify(verifier.trust, &self.nonce);
        // Whoever does not answer as a validator may still have a certificate that holds.
        match &shown {
            Ok(_) => desk.stations[endpoint].validator = Some(presence.node.clone()),
            Err(PresenceError::Certificate(_)) => {}
            Err(error) => desk.doubt(endpoint, Trouble::from(*error)),
        }
        match seen {
            Ok(root) => {
                desk.stations[endpoint].latest = Some(root.clone());
                self.sights[endpoint].latest = Some(root);
            }
            Err(trouble) => {
                desk.disbelieve(endpoint, trouble.clone());
                self.sights[endpoint].trouble = Some(trouble);
            }
        }
        self.looked(desk, endpoint);
    }

    /// An endpoint did not answer the nonce.
    pub(super) fn missed(&mut self, desk: &Desk, endpoint: EndpointId, trouble: Trouble) {
        self.sights[endpoint].trouble = Some(trouble);
        self.looked(desk, endpoint);
    }

    fn looked(&mut self, desk: &Desk, endpoint: EndpointId) {
        self.sights[endpoint].looked = true;
        if self.is_over() && self.present.is_none() {
            self.present = Some(desk.newest().map_or(0, |newest| newest.record.round));
        }
    }

    /// Its certificate of an earlier round, or none: then there is nothing to compare.
    pub(super) fn compared(
        &mut self,
        desk: &mut Desk,
        verifier: &Verifier<'_>,
        endpoint: EndpointId,
        round: u64,
        certificate: Option<&UnicityCertificate>,
    ) {
        self.sights[endpoint].compared.insert(round);
        if let Some(certificate) = certificate
            && let Err(trouble) = desk.see(verifier, certificate)
        {
            desk.disbelieve(endpoint, trouble);
        }
    }

    /// How its tree grew, or why it does not say.
    pub(super) fn grew(
        &mut self,
        desk: &mut Desk,
        verifier: &Verifier<'_>,
        endpoint: EndpointId,
        growth: Result<&Growth, Trouble>,
    ) {
        let Some(kept) = self.compare.clone().flatten() else { return };
        let sight = &mut self.sights[endpoint];
        let from = sight.grown.clone().unwrap_or(kept);
        sight.growths += 1;
        sight.bytes =
            sight.bytes.saturating_add(growth.as_ref().map_or(0, |growth| growth.bytes()));
        let next = match growth {
            Ok(growth) => match verifier.grown(&from, growth) {
                Ok(next) if next.round() == from.round() => Err(Trouble::Shrunk(from.round())),
                other => other,
            },
            // Whoever lost its disk may not have so old a round: that is no lie.
            Err(trouble) => {
                sight.trouble = Some(trouble);
                return;
            }
        };
        match next {
            Ok(next) => sight.grown = Some(next),
            Err(trouble) => {
                sight.trouble = Some(trouble.clone());
                desk.disbelieve(endpoint, trouble);
            }
        }
    }
}
