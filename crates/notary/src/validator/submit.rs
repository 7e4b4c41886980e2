//! Take requests from clients and from other validators, and fork proofs.

use std::sync::atomic::Ordering;

use tally_core::cbor::from_bytes;
use tally_core::fork::ForkProof;
use tally_core::notary::{StateId, TransactionHash};
use tally_core::time::Time;
use tokio::sync::oneshot;

use super::waiting::Decided;
use super::{Outgoing, Validator, lock};
use crate::backend::{Batch, Conflict, ForkReceipt, Outcome, SubmitError};
use crate::block::Entry;
use crate::ledger::EntryOutcome;
use crate::store::StoreError;

use std::time::Duration;

/// When an overloaded validator asks to come back.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// What became of a batch at once.
#[derive(Debug)]
pub enum Submitted {
    /// It is decided.
    Done(Outcome),
    /// It waits for its block; this resolves when that is certified.
    Waiting(oneshot::Receiver<Outcome>),
}

impl Validator {
    /// Takes a batch from a client: checks it, lets it wait for a block, and passes it on.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub fn submit(&self, batch: Batch) -> Result<Submitted, SubmitError> {
        let at = self.accepting()?;
        let entry = Entry::new(batch).expect("the parts of a batch are limited to less");
        if let Some(outcome) = self.settled(&entry) {
            return Ok(Submitted::Done(outcome));
        }
        if !lock(&self.0.checked).knows(&entry, at) {
            if let Err((state, error)) = self.0.setup.rules.check(&entry, at) {
                self.0.counts.invalid.fetch_add(1, Ordering::Relaxed);
                return Err(SubmitError::Invalid { state, error });
            }
            lock(&self.0.checked).remember(&entry, at);
        }
        let shed = || {
            self.0.counts.shed.fetch_add(1, Ordering::Relaxed);
            SubmitError::Overloaded { retry_after: RETRY_AFTER }
        };
        let receiver = lock(&self.0.waiting).batch(entry.id()).ok_or_else(shed)?;
        // It may have been certified between the first look and the moment it began to wait.
        if let Some(outcome) = self.settled(&entry) {
            return Ok(Submitted::Done(outcome));
        }
        let new = lock(&self.0.pool).insert(entry.clone()).map_err(|_| shed())?;
        if new {
            self.0.counts.accepted.fetch_add(entry.requests().len() as u64, Ordering::Relaxed);
            self.tell(Outgoing::Entry(entry));
            self.0.work.notify_waiters();
        }
        Ok(Submitted::Waiting(receiver))
    }

    /// Takes a batch from another validator. Whether it is valid.
    pub fn admit(&self, bytes: &[u8]) -> bool {
        let Ok(entry) = Entry::decode(bytes) else { return false };
        if self.is_full() || lock(&self.0.pool).contains(&entry.id()) {
            return true;
        }
        let at = self.state().ledger.last_final().header.time;
        if self.settled(&entry).is_some() {
            return true;
        }
        if !self.check(&entry, at) {
            self.0.counts.invalid.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        if lock(&self.0.pool).insert(entry).is_ok_and(|new| new) {
            self.0.work.notify_waiters();
        }
        true
    }

    /// Keeps a fork proof that holds, and passes it on if it is new.
    ///
    /// # Errors
    /// [`SubmitError::DiskFull`], also when as many are kept as may be.
    pub fn publish(&self, proof: ForkProof) -> Result<ForkReceipt, SubmitError> {
        let kept = lock(&self.0.forks).keep(proof.clone());
        match kept {
            Ok((number, known)) => {
                if !known {
                    self.tell(Outgoing::Fork(Box::new(proof)));
                }
                Ok(ForkReceipt { number, known })
            }
            Err(StoreError::Full) => Err(SubmitError::DiskFull),
            Err(error) => {
                tracing::error!(%error, "a fork proof was not kept");
                Err(SubmitError::DiskFull)
            }
        }
    }

    /// Takes a fork proof from another validator. Whether it convicts anybody.
    pub fn admit_fork(&self, bytes: &[u8]) -> bool {
        let proof = from_bytes::<ForkProof>(bytes).ok().filter(|proof| proof.check().is_ok());
        proof.is_some_and(|proof| {
            let _ = self.publish(proof);
            true
        })
    }

    /// All fork proofs that are kept, to tell a validator that was away.
    pub fn retell_forks(&self, from: u64, limit: usize) -> Vec<(u64, ForkProof)> {
        lock(&self.0.forks).since(from, limit)
    }

    /// The time at which a request has to be valid, if requests are accepted now.
    fn accepting(&self) -> Result<Time, SubmitError> {
        if self.0.stopping.load(Ordering::Relaxed) {
            return Err(SubmitError::ShuttingDown);
        }
        if self.is_full() {
            return Err(SubmitError::DiskFull);
        }
        let state = self.state();
        if state.certificate.is_none() || self.failure().is_some() {
            return Err(SubmitError::NotReady);
        }
        Ok(state.ledger.last_final().header.time)
    }

    /// What became of a batch, if certified spends decide that.
    pub(super) fn settled(&self, entry: &Entry) -> Option<Outcome> {
        let state = self.state();
        state.certificate.as_ref()?;
        let (base, transaction) = (state.ledger.base(), entry.transaction());
        let mut height = Some(0);
        for request in entry.requests() {
            let Some(same) = base.is_spend_by(&request.state_id, &transaction) else {
                height = None;
                continue;
            };
            if !same {
                drop(state);
                return Some(self.refused(request.state_id));
            }
            let round = base.round(base.number(&request.state_id)?)?;
            height = height.map(|height| height.max(round.height));
        }
        height.map(|height| Outcome::Certified { height })
    }

    /// What to tell a client about a batch that a block decided.
    pub(super) fn outcome(&self, decided: Decided) -> Outcome {
        match decided.outcome {
            EntryOutcome::Certified => {
                let settled = self.settled(&decided.entry);
                settled.unwrap_or(Outcome::Certified { height: decided.height })
            }
            EntryOutcome::Refused(state) => self.refused(state),
        }
    }

    /// That a state which is spent was refused; the winner is looked up.
    fn refused(&self, state: StateId) -> Outcome {
        match self.winner(&state) {
            Some(winner) => Outcome::Refused(Conflict { state, winner }),
            None => Outcome::Queued,
        }
    }

    /// The transaction that spent a state, if it is spent.
    pub(super) fn winner(&self, state: &StateId) -> Option<TransactionHash> {
        let number = self.state().ledger.base().number(state)?;
        let spend = self.spend(number).inspect_err(|error| {
            tracing::error!(%error, "a certified spend cannot be read");
        });
        spend.ok().map(|(data, _)| data.transaction)
    }
}
