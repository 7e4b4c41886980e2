//! Answer questions from the certified tree and the stored blocks.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tally_core::fork::ForkProof;
use tally_core::id::Digest;
use tally_core::notary::{
    CertificationData, InclusionProof, LeafProof, Presence, ProofResponse, StateId,
    UnicityCertificate,
};
use tally_core::time::Time;
use tokio::sync::oneshot;

use super::{MAX_BEHIND, MAX_SILENCE, Validator, lock};
use crate::backend::{
    Block, Conflict, Exclusion, LookupError, MAX_FORKS, MAX_RECORDS, NotReady, Page, Record,
    Status, ValidatorStatus,
};
use crate::ledger::EntryOutcome;
use crate::store::{StoreError, Stored};

impl From<StoreError> for LookupError {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store cannot be read");
        Self::Store
    }
}

impl Validator {
    /// The proof of the first spend of a state, or that there is none yet, under the latest certificate.
    ///
    /// # Errors
    /// [`LookupError`].
    pub fn inclusion(&self, state: &StateId) -> Result<ProofResponse, LookupError> {
        self.covered(state)?;
        let (certificate, found) = {
            let now = self.state();
            let certificate = now.certificate.clone().ok_or(LookupError::NotReady)?;
            let base = now.ledger.base();
            let number = base.number(state);
            (certificate, number.zip(base.tree().prove(&(*state).into())))
        };
        let leaf = match found {
            None => None,
            Some((number, path)) => {
                let (data, reference_time) = self.spend(number)?;
                Some(LeafProof { data, reference_time, path })
            }
        };
        Ok(respond(&certificate, leaf))
    }

    /// Resolves when a state is spent; nothing if too many wait, or it is spent already.
    pub fn when_spent(&self, state: StateId) -> Option<oneshot::Receiver<()>> {
        let receiver = lock(&self.0.waiting).state(state)?;
        let spent = self.state().ledger.base().number(&state).is_some();
        (!spent).then_some(receiver)
    }

    /// The proof that a state is unspent, or that it is spent.
    ///
    /// # Errors
    /// [`LookupError`].
    pub fn exclusion(&self, state: &StateId) -> Result<Exclusion, LookupError> {
        self.covered(state)?;
        {
            let now = self.state();
            let certificate = now.certificate.clone().ok_or(LookupError::NotReady)?;
            if let Some(path) = now.ledger.base().tree().prove_absence(&(*state).into()) {
                let certificate = Box::new((*certificate).clone());
                return Ok(Exclusion::Unspent { path, certificate });
            }
        }
        self.inclusion(state).map(|proof| Exclusion::Spent(Box::new(proof)))
    }

    /// This validator's signature on a nonce and on its latest certificate.
    ///
    /// # Errors
    /// [`LookupError::NotReady`].
    pub fn presence(&self, nonce: &Digest) -> Result<Presence, LookupError> {
        let certificate = self.certificate().ok_or(LookupError::NotReady)?;
        Ok(self.0.setup.sealer.presence(nonce, (*certificate).clone()))
    }

    /// Height of the latest certified block.
    ///
    /// # Errors
    /// [`LookupError::NotReady`].
    pub fn height(&self) -> Result<u64, LookupError> {
        let certificate = self.certificate().ok_or(LookupError::NotReady)?;
        Ok(certificate.record.round)
    }

    /// A certified block; the latest one for `None`.
    ///
    /// # Errors
    /// [`LookupError`].
    pub fn block(&self, number: Option<u64>) -> Result<Block, LookupError> {
        let (stored, certificate) = self.certified_block(number)?;
        let header = stored.block.header();
        let certified = stored.origins.len() as u64;
        let refused = stored.outcomes.iter().zip(stored.block.entries());
        let refused = refused
            .filter(|(outcome, _)| **outcome != EntryOutcome::Certified)
            .map(|(_, entry)| entry.requests().len() as u64)
            .sum();
        Ok(Block {
            number: header.height,
            hash: stored.block.hash().digest(),
            parent: header.parent.digest(),
            time: header.time,
            certified,
            refused,
            certificate,
        })
    }

    /// Records of a block, in the order of its execution.
    ///
    /// # Errors
    /// [`LookupError`].
    pub fn records(&self, number: u64, page: Page) -> Result<Vec<Record>, LookupError> {
        if number > self.height()? {
            return Err(LookupError::NoBlock(number));
        }
        let stored = self.0.reader.block(number)?.ok_or(LookupError::NoBlock(number))?;
        let pairs = stored.block.entries().iter().zip(&stored.outcomes);
        let all = pairs.flat_map(|(entry, outcome)| {
            entry.requests().iter().map(move |request| (request, outcome))
        });
        let wanted = usize::from(page.limit).min(MAX_RECORDS);
        let from = usize::try_from(page.from).unwrap_or(usize::MAX);
        let records = (0..).zip(all).skip(from).take(wanted).map(|(index, (request, outcome))| {
            let refused_for = match outcome {
                EntryOutcome::Certified => None,
                EntryOutcome::Refused(state) => {
                    self.winner(state).map(|winner| Conflict { state: *state, winner })
                }
            };
            Record { index, data: request.data.clone(), refused_for }
        });
        Ok(records.collect())
    }

    /// Fork proofs by number.
    pub fn forks_since(&self, page: Page) -> Vec<(u64, ForkProof)> {
        lock(&self.0.forks).since(page.from, usize::from(page.limit).min(MAX_FORKS))
    }

    /// What the validator knows of itself and of the others.
    pub fn status(&self) -> Status {
        let trust = self.trust();
        let signed = lock(&self.0.collector).signed().clone();
        let validators = trust.nodes().map(|node| ValidatorStatus {
            id: node.id.clone(),
            key: node.key.clone(),
            stake: node.stake,
            last_signed: signed.get(&node.id).copied().unwrap_or(0),
        });
        let (pending, pending_bytes) = {
            let pool = lock(&self.0.pool);
            (pool.requests() as u64, pool.bytes() as u64)
        };
        let state = self.state();
        let tip = state.ledger.applied();
        Status {
            node: self.node().clone(),
            network: trust.network(),
            epoch: trust.epoch(),
            partition: trust.partition().clone(),
            quorum: trust.quorum(),
            validators: validators.collect(),
            height: tip.header.height,
            root: tip.header.root,
            time: tip.header.time,
            leaves: u64::from(state.ledger.base().count()),
            pending,
            pending_bytes,
            forks: lock(&self.0.forks).count(),
        }
    }

    /// Whether requests can be certified now.
    ///
    /// # Errors
    /// [`NotReady`] says why not.
    pub fn ready(&self) -> Result<(), NotReady> {
        if let Some(why) = self.failure() {
            return Err(NotReady(why));
        }
        if self.is_full() {
            return Err(NotReady("the disk is full: make room".into()));
        }
        let height = self.final_height();
        let tip = self.0.tip.load(Ordering::Relaxed);
        if height.saturating_add(MAX_BEHIND) < tip {
            return Err(NotReady(format!("{} blocks behind the others", tip - height)));
        }
        if self.certificate().is_none() {
            return Err(NotReady("no certificate yet".into()));
        }
        // What was stored says nothing of whether the others are there now.
        let last = match self.0.certified_at.load(Ordering::Relaxed) {
            0 => return Err(NotReady("no certificate since the start: no quorum yet?".into())),
            last => Time::from_unix(last),
        };
        let silent = self.clock().now().since(last);
        if silent > MAX_SILENCE {
            return Err(NotReady(format!("no certificate for {silent} s: no quorum?")));
        }
        Ok(())
    }

    /// Measurements as Prometheus text.
    pub fn metrics(&self) -> String {
        let (status, counts) = (self.status(), &self.0.counts);
        let memory = self.state().ledger.base().memory_bytes() as u64;
        let past = self.0.growths.try_lock().map_or(0, |past| past.memory_bytes() as u64);
        let load = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
        let gauges = [
            ("tally_height", "Height of the latest block in the tree.", status.height),
            ("tally_final_height", "Height of the latest final block.", self.final_height()),
            ("tally_leaves", "States that are spent.", status.leaves),
            ("tally_pending_requests", "Requests that wait for a block.", status.pending),
            ("tally_pending_bytes", "Bytes of them.", status.pending_bytes),
            ("tally_fork_proofs", "Fork proofs that are kept.", status.forks),
            ("tally_tree_bytes", "Memory of the tree and its index.", memory),
            ("tally_past_tree_bytes", "Memory of an older tree, kept for growth proofs.", past),
            ("tally_disk_full", "1 if the disk is full.", u64::from(self.is_full())),
        ];
        let counters = [
            ("tally_accepted_total", "Requests accepted from clients.", load(&counts.accepted)),
            ("tally_invalid_total", "Batches that broke a rule.", load(&counts.invalid)),
            ("tally_shed_total", "Batches turned away for want of room.", load(&counts.shed)),
            ("tally_certified_total", "Leaves certified.", load(&counts.certified)),
            ("tally_refused_total", "Requests that came second.", load(&counts.refused)),
            ("tally_blocks_total", "Blocks that became final.", load(&counts.blocks)),
            (
                "tally_gossip_dropped_total",
                "Messages to other validators that were dropped.",
                load(&counts.gossip_dropped),
            ),
        ];
        let mut text = String::new();
        for (kind, all) in [("gauge", &gauges[..]), ("counter", &counters[..])] {
            for (name, help, value) in all {
                let _ =
                    writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
            }
        }
        text
    }

    /// The spend behind the leaf of this number, with its reference time.
    pub(super) fn spend(&self, number: u32) -> Result<(CertificationData, Time), StoreError> {
        if let Some(spend) = lock(&self.0.recent).spend(number) {
            return Ok(spend);
        }
        let (request, time) = self.0.reader.request(number)?;
        Ok((request.data, time))
    }

    /// The certificate of a block, if it is known.
    pub(super) fn certificate_of(
        &self,
        height: u64,
    ) -> Result<Option<UnicityCertificate>, LookupError> {
        let newest = self.certificate().filter(|newest| newest.record.round == height);
        match newest {
            Some(newest) => Ok(Some((*newest).clone())),
            None => Ok(self.0.reader.certificate(height)?),
        }
    }

    fn certified_block(
        &self,
        number: Option<u64>,
    ) -> Result<(Stored, UnicityCertificate), LookupError> {
        let height = self.height()?;
        let number = number.unwrap_or(height);
        if number > height {
            return Err(LookupError::NoBlock(number));
        }
        let stored = self.0.reader.block(number)?.ok_or(LookupError::NoBlock(number))?;
        let certificate = self.certificate_of(number)?;
        Ok((stored, certificate.ok_or(LookupError::NoBlock(number))?))
    }

    fn covered(&self, state: &StateId) -> Result<(), LookupError> {
        if self.0.setup.rules.shard.covers(state) { Ok(()) } else { Err(LookupError::Shard) }
    }
}

fn respond(certificate: &Arc<UnicityCertificate>, leaf: Option<LeafProof>) -> ProofResponse {
    let certificate = (**certificate).clone();
    let block_number = certificate.record.round;
    ProofResponse { block_number, proof: InclusionProof { leaf, certificate } }
}

/// A root as a record names it.
pub(super) fn digest(root: tally_tree::Digest) -> Digest {
    Digest::new(*root.as_bytes())
}
