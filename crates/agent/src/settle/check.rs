//! Hold what a validator says against the trust base. Every answer is checked here and nowhere else.

use alloc::boxed::Box;
use core::fmt;

use tally_core::evidence::{Claim, Proof};
use tally_core::id::TxId;
use tally_core::notary::{
    CertifiedRoot, InclusionProof, ProofError, StateId, TrustBase, UnicityCertificate,
};
use tally_core::predicate::TallyEngine;
use tally_core::seal::{Judge, SlotVerifier};
use tally_core::time::Time;
use tally_tree::Digest as TreeRoot;

use super::{Exclusion, Growth, Trouble};

/// How far the time of a round may be from this machine's clock for the round to count as the
/// present one, in seconds, either way (`SETTLE-15`).
pub const MAX_AWAY: u64 = 300;

/// Checks answers strictly: network, epoch, partition, shard, configuration, the signatures of a
/// quorum of distinct validators, and the way from the spend to the root.
#[derive(Clone, Copy)]
pub struct Verifier<'a> {
    /// Whose certificates count.
    pub trust: &'a TrustBase,
    /// How slot proofs are checked.
    pub seals: &'a dyn SlotVerifier,
}

impl fmt::Debug for Verifier<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("trust", &self.trust).finish_non_exhaustive()
    }
}

/// What a proof shows of a claim.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Verdict {
    /// No spend of the state is in the tree.
    Pending,
    /// The claim is certified.
    Certified(Box<Proof>),
    /// Another transaction spent the state first.
    Other(TxId),
}

impl Verifier<'_> {
    /// What was certified was decided by the notary: what is left is that each proof is one.
    fn engine(&self) -> TallyEngine<'_> {
        TallyEngine { judge: Judge::of_certified(self.trust.network(), self.seals) }
    }

    /// Checks a certificate.
    ///
    /// # Errors
    /// [`Trouble::Certificate`].
    pub fn root(&self, certificate: &UnicityCertificate) -> Result<CertifiedRoot, Trouble> {
        Ok(certificate.verify(self.trust)?)
    }

    /// What a proof shows of a claim, all of it checked.
    ///
    /// # Errors
    /// [`Trouble::Certificate`], [`Trouble::Proof`] when the proof is about anything else, or does
    /// not hold.
    pub fn verdict(&self, claim: &Claim, proof: &InclusionProof) -> Result<Verdict, Trouble> {
        let root = self.root(&proof.certificate)?;
        let Some(leaf) = &proof.leaf else {
            return Ok(Verdict::Pending);
        };
        let wire = claim.owner.to_wire();
        let mut spend = claim.spend(&wire);
        let tx = TxId::new(*leaf.data.transaction.as_bytes());
        if tx != claim.tx {
            (spend.transaction, spend.expires_at) = (leaf.data.transaction, leaf.data.expires_at);
        }
        let engine = self.engine();
        let certified = leaf.verify(&spend, &root, &engine)?;
        if tx != claim.tx {
            return Ok(Verdict::Other(tx));
        }
        Ok(Verdict::Certified(Box::new(Proof {
            source: claim.source,
            tx,
            time: certified.reference_time(),
            path: leaf.path.clone(),
        })))
    }

    /// The root under which a state was shown, and whether it is spent there. Whether that root is
    /// the present one is not in question here.
    ///
    /// # Errors
    /// [`Trouble::Certificate`], [`Trouble::Proof`].
    pub fn spent(
        &self,
        state: StateId,
        exclusion: &Exclusion,
    ) -> Result<(CertifiedRoot, bool), Trouble> {
        match exclusion {
            Exclusion::Unspent { path, certificate } => {
                let root = self.root(certificate)?;
                root.excludes(&state, path)?;
                Ok((root, false))
            }
            Exclusion::Spent(proof) => {
                let root = self.root(&proof.certificate)?;
                let leaf = proof.leaf.as_ref().ok_or(ProofError::Pending)?;
                let spend = leaf.data.spend();
                if spend.state_id() != state {
                    return Err(ProofError::CertificationDataMismatch.into());
                }
                leaf.verify(&spend, &root, &self.engine())?;
                Ok((root, true))
            }
        }
    }

    /// Checks that the tree only grew from `from`, which was verified before, and gives the root up
    /// to which the answer shows it.
    ///
    /// # Errors
    /// [`Trouble::Certificate`], [`Trouble::Shrunk`].
    pub fn grown(&self, from: &CertifiedRoot, growth: &Growth) -> Result<CertifiedRoot, Trouble> {
        let shrunk = || Trouble::Shrunk(from.round());
        let before = growth.before.as_ref().ok_or_else(shrunk)?;
        let before = self.root(before)?;
        let after = self.root(&growth.after)?;
        if (before.round(), before.root()) != (from.round(), from.root())
            || after.round() < before.round()
        {
            return Err(shrunk());
        }
        let mut at = TreeRoot::from(*before.root().as_bytes());
        for step in &growth.steps {
            let next = TreeRoot::from(*step.root.as_bytes());
            step.proof.verify(&at, &next, &step.leaves).map_err(|_| shrunk())?;
            at = next;
        }
        if at != TreeRoot::from(*after.root().as_bytes()) {
            return Err(shrunk());
        }
        Ok(after)
    }
}

/// Whether a root counts as the present one: its round is not below `newest`, which is the newest
/// that any validator showed or that is known from before, and its time is near this machine's.
///
/// # Errors
/// [`Trouble::Stale`], [`Trouble::Clock`].
pub fn is_present(root: &CertifiedRoot, newest: u64, now: Time) -> Result<(), Trouble> {
    if root.round() < newest {
        return Err(Trouble::Stale { round: root.round(), newest });
    }
    let away = now.since(root.time()).max(root.time().since(now));
    if away > MAX_AWAY { Err(Trouble::Clock(away)) } else { Ok(()) }
}
