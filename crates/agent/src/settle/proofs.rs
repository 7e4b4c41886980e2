//! Collect the proofs of what is certified, as many as can be under one certificate.
//!
//! Each round has its own certificate, and evidence is smallest with one. So proofs of earlier rounds
//! than the last are asked for again; what nobody gives again is taken as it was shown first.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use tally_core::evidence::{Claim, Proof, Settlement};
use tally_core::id::{CoinId, Digest, TxId};
use tally_core::keys::Signature;
use tally_core::notary::{InclusionProof, StateId, TransactionHash, UnicityCertificate};
use tally_core::predicate::Unlock;

use super::ask::{Ask, EndpointId, MAX_AT_ONCE};
use super::desk::Desk;
use super::{Learned, Trouble, Verdict, Verifier};

/// How often all proofs are asked for again so that they are of one round.
const TRIES: usize = 8;

type Name = (CoinId, TxId);

#[derive(Debug)]
struct Held {
    proof: Proof,
    shown: InclusionProof,
}

impl Held {
    fn round(&self) -> u64 {
        self.shown.certificate.record.round
    }
}

/// Proofs that were checked, and those that are wanted beside them.
#[derive(Debug, Default)]
pub(super) struct Proofs {
    held: BTreeMap<Name, Held>,
    wanted: Vec<Claim>,
    asked: usize,
    failed: BTreeSet<EndpointId>,
}

impl Proofs {
    /// Takes a proof if it shows that the claim is certified.
    pub(super) fn take(
        &mut self,
        verifier: &Verifier<'_>,
        claim: &Claim,
        shown: InclusionProof,
    ) -> Result<(), Trouble> {
        match verifier.verdict(claim, &shown)? {
            Verdict::Certified(proof) => {
                let held = Held { proof: *proof, shown };
                let name = (claim.source, claim.tx);
                if self.held.get(&name).is_none_or(|known| known.round() <= held.round()) {
                    self.held.insert(name, held);
                }
                Ok(())
            }
            Verdict::Pending | Verdict::Other(_) => Err(Trouble::Unshown),
        }
    }

    /// The proof of a claim as it was shown.
    pub(super) fn shown(&self, source: &CoinId, tx: &TxId) -> Option<&InclusionProof> {
        self.held.get(&(*source, *tx)).map(|held| &held.shown)
    }

    /// All claims that are to be proved under one certificate.
    pub(super) fn want(&mut self, claims: Vec<Claim>) {
        let mut seen = BTreeSet::new();
        self.wanted = claims;
        self.wanted.retain(|claim| seen.insert((claim.source, claim.tx)));
    }

    /// Those that have no proof under the latest certificate.
    fn open(&self) -> Vec<&Claim> {
        let round = |claim: &&Claim| self.held.get(&(claim.source, claim.tx)).map(Held::round);
        let latest = self.wanted.iter().filter_map(|claim| round(&claim)).max();
        self.wanted.iter().filter(|claim| latest.is_none() || round(claim) < latest).collect()
    }

    fn whom(&self, desk: &Desk) -> Option<EndpointId> {
        desk.ranking().into_iter().find(|at| !self.failed.contains(at))
    }

    pub(super) fn next(&self, desk: &Desk, endpoint: EndpointId) -> Option<Ask> {
        if self.is_done(desk) || self.whom(desk) != Some(endpoint) {
            return None;
        }
        let states = self.open().into_iter().map(Claim::state_id).take(MAX_AT_ONCE);
        Some(Ask::Inclusions(states.collect()))
    }

    pub(super) fn is_done(&self, desk: &Desk) -> bool {
        let limit = TRIES * self.wanted.len().div_ceil(MAX_AT_ONCE);
        self.open().is_empty() || self.asked >= limit || self.whom(desk).is_none()
    }

    /// What an endpoint answers. If one proof does not hold, the next one is asked.
    pub(super) fn heard(
        &mut self,
        desk: &mut Desk,
        verifier: &Verifier<'_>,
        endpoint: EndpointId,
        proofs: &BTreeMap<StateId, Result<InclusionProof, Trouble>>,
    ) {
        self.asked += 1;
        let of = |claim: &Claim| proofs.get(&claim.state_id()).cloned();
        let found: Vec<(Claim, Result<InclusionProof, Trouble>)> =
            self.open().into_iter().filter_map(|c| Some((c.clone(), of(c)?))).collect();
        for (claim, proof) in found {
            match proof.map(|proof| self.take(verifier, &claim, proof)) {
                Ok(Ok(())) => {}
                Ok(Err(trouble)) => {
                    desk.disbelieve(endpoint, trouble);
                    self.failed.insert(endpoint);
                }
                Err(_) => {
                    self.failed.insert(endpoint);
                }
            }
        }
    }

    /// An endpoint gives no answer.
    pub(super) fn missed(&mut self, endpoint: EndpointId) {
        self.failed.insert(endpoint);
    }

    /// All that was proved: the consents first, then what is certified, one certificate at a time.
    pub(super) fn learn(&self, learned: &mut Vec<Learned>) {
        let mut consents: BTreeMap<TxId, Vec<Signature>> = BTreeMap::new();
        let mut rounds: BTreeMap<(u64, Digest), (UnicityCertificate, Vec<Proof>)> = BTreeMap::new();
        for claim in &self.wanted {
            let Some(held) = self.held.get(&(claim.source, claim.tx)) else { continue };
            if let Some(consent) = consent_in(claim, &held.shown) {
                consents.entry(claim.tx).or_default().push(consent);
            }
            let of = || (held.shown.certificate.clone(), Vec::new());
            let root = held.shown.certificate.record.hash;
            rounds.entry((held.round(), root)).or_insert_with(of).1.push(held.proof.clone());
        }
        learned.extend(consents.into_iter().map(|(tx, of)| Learned::Consents { tx, consents: of }));
        let settlement = |(certificate, proofs)| Box::new(Settlement { certificate, proofs });
        learned.extend(rounds.into_values().map(settlement).map(Learned::Certified));
    }
}

/// The consent that the proof of a bare claim shows, of whom the claim's coin was reserved for: its
/// payee settled what was paid to it, and the receipt with the consents is not here.
fn consent_in(claim: &Claim, proof: &InclusionProof) -> Option<Signature> {
    let leaf = proof.leaf.as_ref()?;
    if !matches!(claim.unlock, Unlock::Signature(_))
        || leaf.data.transaction != TransactionHash::from(claim.tx)
    {
        return None;
    }
    match Unlock::from_wire(&claim.owner, leaf.data.unlock.as_slice()).ok()?.0 {
        Unlock::Reserved(_, consent) => Some(consent),
        // The type is open to kinds that are not known here: those have no consent.
        _ => None,
    }
}
