//! Hold what a validator says against the trust base.

use tally_core::evidence::{Claim, Proof};
use tally_core::id::TxId;
use tally_core::notary::{
    CertifiedRoot, InclusionProof, ProofError, StateId, TrustBase, UnicityCertificate,
};
use tally_core::predicate::TallyEngine;
use tally_core::seal::{Judge, SlotVerifier};
use tally_tree::Digest as TreeRoot;

use super::client::{Exclusion, Growth};
use super::{NotaryClient, NotaryError};

/// Checks answers strictly: network, epoch, partition, shard, configuration, the signatures of a
/// quorum of distinct validators, and the way from the spend to the root.
#[derive(Clone, Copy)]
pub struct Verifier<'a> {
    /// Whose certificates count.
    pub trust: &'a TrustBase,
    /// How slot proofs are checked.
    pub seals: &'a dyn SlotVerifier,
}

impl std::fmt::Debug for Verifier<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("trust", &self.trust).finish_non_exhaustive()
    }
}

/// What a proof shows of a claim.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Verdict {
    /// Nobody has spent the state yet.
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
    /// [`NotaryError::Certificate`].
    pub fn root(&self, certificate: &UnicityCertificate) -> Result<CertifiedRoot, NotaryError> {
        Ok(certificate.verify(self.trust)?)
    }

    /// What a proof shows of a claim, all of it checked.
    ///
    /// # Errors
    /// [`NotaryError::Certificate`], [`NotaryError::Proof`] when the proof is about anything else, or
    /// does not hold.
    pub fn verdict(&self, claim: &Claim, proof: &InclusionProof) -> Result<Verdict, NotaryError> {
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

    /// Whether a state is unspent: the root under which it was shown, or nothing if it is spent.
    ///
    /// # Errors
    /// [`NotaryError::Certificate`], [`NotaryError::Proof`].
    pub fn unspent(
        &self,
        state: StateId,
        exclusion: &Exclusion,
    ) -> Result<Option<CertifiedRoot>, NotaryError> {
        match exclusion {
            Exclusion::Unspent { path, certificate } => {
                let root = self.root(certificate)?;
                root.excludes(&state, path)?;
                Ok(Some(root))
            }
            Exclusion::Spent(proof) => {
                let root = self.root(&proof.proof.certificate)?;
                let leaf = proof.proof.leaf.as_ref().ok_or(ProofError::Pending)?;
                let spend = leaf.data.spend();
                if spend.state_id() != state {
                    return Err(ProofError::CertificationDataMismatch.into());
                }
                leaf.verify(&spend, &root, &self.engine())?;
                Ok(None)
            }
        }
    }

    /// Checks that the tree only grew from `from`, which was verified before, and gives the root up to
    /// which the answer shows it.
    ///
    /// # Errors
    /// [`NotaryError::Certificate`], [`NotaryError::Shrunk`].
    pub fn grown(
        &self,
        from: &CertifiedRoot,
        growth: &Growth,
    ) -> Result<CertifiedRoot, NotaryError> {
        let shrunk = || NotaryError::Shrunk(from.round());
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

    /// Asks a validator for all growth between a root that was verified before and a round, and
    /// checks it.
    ///
    /// # Errors
    /// As [`Verifier::grown`], and [`NotaryError::Http`].
    pub fn follow(
        &self,
        client: &NotaryClient,
        from: &CertifiedRoot,
        to: u64,
    ) -> Result<CertifiedRoot, NotaryError> {
        let mut at = from.clone();
        while at.round() < to {
            let growth = client.growth(at.round(), to)?;
            let next = self.grown(&at, &growth)?;
            if next.round() == at.round() {
                return Err(NotaryError::Shrunk(at.round()));
            }
            at = next;
        }
        Ok(at)
    }
}
