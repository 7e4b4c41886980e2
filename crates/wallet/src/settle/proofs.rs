//! Fetch the proofs of what is certified, as many as can be under one certificate.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::thread;

use tally_core::device::{Event, Input};
use tally_core::evidence::{Claim, Proof, Settlement};
use tally_core::id::TxId;
use tally_core::keys::Signature;
use tally_core::notary::{InclusionProof, StateId, TransactionHash, UnicityCertificate};
use tally_core::predicate::Unlock;
use tally_core::seal::TpmProofs;

use super::{Settling, first};
use crate::notary::{MAX_AT_ONCE, NotaryClient, NotaryError, Verdict, Verifier};
use crate::{Wallet, WalletError};

/// How often the proofs are fetched again so that all are of one round: each round has its own
/// certificate, and evidence is smallest with one.
const TRIES: usize = 8;
/// How many calls are open at a time.
const ABREAST: usize = 4;

impl Wallet {
    /// A payment of what was reserved, whose receipt is not here, was settled by its payee: the proof has
    /// the payee's consents. They are checked as those that come with a receipt; what is none is passed
    /// over, and its proof refused.
    fn take_consents(
        &mut self,
        claims: &[Claim],
        proofs: &[InclusionProof],
        show: &mut dyn FnMut(&Event),
    ) -> Result<(), WalletError> {
        let mut found: BTreeMap<TxId, Vec<Signature>> = BTreeMap::new();
        for (claim, proof) in claims.iter().zip(proofs) {
            let bare = matches!(claim.unlock, Unlock::Signature(_));
            let mine = self.device().outgoing().contains_key(&claim.tx);
            if let (true, true, Some(consent)) = (bare, mine, consent_in(claim, proof)) {
                found.entry(claim.tx).or_default().push(consent);
            }
        }
        for (tx, consents) in found {
            match self.run(vec![Input::Consents { tx, consents }], show) {
                Ok(_) => {}
                Err(WalletError::Device(_)) => self.ready()?,
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }

    /// Fetches and checks the proofs of these claims, and takes them over, one certificate at a time.
    pub(super) fn take_proofs(
        &mut self,
        clients: &[NotaryClient],
        claims: &[Claim],
        settling: &mut Settling,
        show: &mut dyn FnMut(&Event),
    ) -> Result<(), WalletError> {
        if claims.is_empty() {
            return Ok(());
        }
        let proofs = first(clients, |client| fetch(client, claims))?;
        self.take_consents(claims, &proofs, show)?;
        let notaries = self.notaries.as_ref().ok_or(NotaryError::None)?;
        let verifier = Verifier { trust: notaries.trust(), seals: &TpmProofs };
        let mut rounds: BTreeMap<u64, (UnicityCertificate, Vec<Proof>)> = BTreeMap::new();
        for (claim, proof) in claims.iter().zip(proofs) {
            match verifier.verdict(claim, &proof) {
                Ok(Verdict::Certified(shown)) => {
                    let certificate = proof.certificate;
                    let round = certificate.record.round;
                    let of = rounds.entry(round).or_insert_with(|| (certificate, Vec::new()));
                    of.1.push(*shown);
                }
                Ok(Verdict::Pending | Verdict::Other(_)) => {
                    settling.failed.push((claim.tx, NotaryError::Late));
                }
                Err(error) => settling.failed.push((claim.tx, error)),
            }
        }
        for (_, (certificate, proofs)) in rounds {
            let settlement = Settlement { certificate, proofs };
            self.run(vec![Input::Certified(Box::new(settlement))], show)?;
        }
        Ok(())
    }
}

/// The consent that the proof of a claim shows, of whom the claim's coin was reserved for.
fn consent_in(claim: &Claim, proof: &InclusionProof) -> Option<Signature> {
    let leaf = proof.leaf.as_ref()?;
    if leaf.data.transaction != TransactionHash::from(claim.tx) {
        return None;
    }
    match Unlock::from_wire(&claim.owner, leaf.data.unlock.as_slice()).ok()?.0 {
        Unlock::Reserved(_, consent) => Some(consent),
        _ => None,
    }
}

/// Fetches the proofs, and again those that are of an earlier round than the last.
fn fetch(client: &NotaryClient, claims: &[Claim]) -> Result<Vec<InclusionProof>, NotaryError> {
    let states: Vec<StateId> = claims.iter().map(Claim::state_id).collect();
    let mut proofs: Vec<Option<InclusionProof>> = vec![None; states.len()];
    for _ in 0..TRIES {
        let round =
            |proof: &Option<InclusionProof>| proof.as_ref().map(|p| p.certificate.record.round);
        let latest = proofs.iter().filter_map(round).max();
        let old = |at: &usize| round(&proofs[*at]) < latest || latest.is_none();
        let wanted: Vec<usize> = (0..states.len()).filter(old).collect();
        if wanted.is_empty() {
            break;
        }
        for (at, proof) in ask(client, &states, &wanted)? {
            proofs[at] = Some(proof);
        }
    }
    let missing = NotaryError::Answer { url: client.url().to_string(), what: "list of proofs" };
    proofs.into_iter().collect::<Option<Vec<_>>>().ok_or(missing)
}

fn ask(
    client: &NotaryClient,
    states: &[StateId],
    wanted: &[usize],
) -> Result<Vec<(usize, InclusionProof)>, NotaryError> {
    let found = Mutex::new(Ok(Vec::with_capacity(wanted.len())));
    let groups: Vec<&[usize]> = wanted.chunks(MAX_AT_ONCE).collect();
    for groups in groups.chunks(ABREAST) {
        thread::scope(|scope| {
            for group in groups {
                let found = &found;
                scope.spawn(move || {
                    let of: Vec<StateId> = group.iter().map(|at| states[*at]).collect();
                    let answers = client.inclusions(&of);
                    let mut found = found.lock().unwrap_or_else(|e| e.into_inner());
                    match (found.as_mut(), answers) {
                        (Ok(found), Ok(answers)) => {
                            let proofs = answers.into_iter().map(|answer| answer.proof);
                            found.extend(group.iter().copied().zip(proofs));
                        }
                        (Ok(_), Err(error)) => *found = Err(error),
                        (Err(_), _) => {}
                    }
                });
            }
        });
    }
    found.into_inner().unwrap_or_else(|e| e.into_inner())
}
