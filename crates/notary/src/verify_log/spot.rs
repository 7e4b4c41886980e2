//! Look up some states as a wallet would, and hold the answers against the log.

use std::collections::BTreeMap;

use tally_core::hash::sha256;
use tally_core::notary::{
    CertifiedRoot, LeafValue, ProofError, ProofResponse, StateId, TrustBase, UnicityCertificate,
};
use tally_tree::{ExclusionCertificate, Key, Value};

use super::node::{ExclusionReply, ask, object, unhex};
use super::{Audit, AuditError, Fetch, MAX_SPOTS, Options};

/// The leaves that are to be looked up: of all that were seen, those whose lots come first.
pub(super) struct Spots {
    seed: [u8; 32],
    count: u16,
    drawn: BTreeMap<[u8; 32], (Key, Value)>,
}

impl Spots {
    pub(super) fn new(options: &Options) -> Self {
        let count = options.spots.min(MAX_SPOTS);
        Self { seed: options.seed, count, drawn: BTreeMap::new() }
    }

    pub(super) fn offer(&mut self, leaf: (Key, Value)) {
        if self.count == 0 {
            return;
        }
        let lot = sha256(&[&self.seed[..], leaf.0.as_bytes()].concat());
        let last = self.drawn.last_key_value().map(|(last, _)| *last);
        let full = self.drawn.len() >= usize::from(self.count);
        if full && last.is_some_and(|last| last <= lot) {
            return;
        }
        self.drawn.insert(lot, leaf);
        if full {
            self.drawn.pop_last();
        }
    }

    /// Looks up what was drawn, and as many states that nobody can have spent: they are hashes of a seed.
    pub(super) fn look_up(
        &self,
        node: &mut (impl Fetch + ?Sized),
        trust: &TrustBase,
        audit: &mut Audit,
    ) -> Result<(), AuditError> {
        for (key, value) in self.drawn.values() {
            included(node, trust, StateId::new(*key.as_bytes()), value)?;
            audit.included = audit.included.saturating_add(1);
        }
        for number in 0..self.count {
            let state = sha256(&[&self.seed[..], &number.to_be_bytes()].concat());
            excluded(node, trust, StateId::new(state))?;
            audit.excluded = audit.excluded.saturating_add(1);
        }
        Ok(())
    }
}

fn included(
    node: &mut (impl Fetch + ?Sized),
    trust: &TrustBase,
    state: StateId,
    value: &Value,
) -> Result<(), AuditError> {
    let no = |error| AuditError::Spot { state, error };
    let params = format!(r#"{{"stateId":"{state}","waitMs":0}}"#);
    let reply: String = ask(node, "get_inclusion_proof.v2", &params)?;
    let proof = object::<ProofResponse>(&reply)?.proof;
    let root = root(&proof.certificate, trust, state)?;
    let leaf = proof.leaf.ok_or(no(ProofError::Pending))?;
    let spend = leaf.data.spend();
    let shown: Value = LeafValue::of(&spend.transaction, leaf.reference_time).into();
    if spend.state_id() != state {
        return Err(no(ProofError::CertificationDataMismatch));
    }
    if shown != *value {
        return Err(no(ProofError::TransactionHashMismatch));
    }
    root.includes(&spend, leaf.reference_time, &leaf.path).map_err(no)?;
    Ok(())
}

fn excluded(
    node: &mut (impl Fetch + ?Sized),
    trust: &TrustBase,
    state: StateId,
) -> Result<(), AuditError> {
    let no = |error| AuditError::Spot { state, error };
    let params = format!(r#"{{"stateId":"{state}"}}"#);
    let reply: ExclusionReply = ask(node, "get_exclusion_proof", &params)?;
    let (false, Some(path), Some(certificate)) =
        (reply.spent, reply.exclusion_certificate, reply.unicity_certificate)
    else {
        return Err(no(ProofError::PathInvalid));
    };
    let root = root(&object(&certificate)?, trust, state)?;
    let path =
        ExclusionCertificate::decode(&unhex(&path)?).map_err(|_| no(ProofError::PathInvalid))?;
    root.excludes(&state, &path).map_err(no)
}

fn root(
    certificate: &UnicityCertificate,
    trust: &TrustBase,
    state: StateId,
) -> Result<CertifiedRoot, AuditError> {
    certificate.verify(trust).map_err(|error| AuditError::Spot { state, error: error.into() })
}
