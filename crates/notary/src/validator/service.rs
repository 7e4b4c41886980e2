//! Serve clients with what a validator knows.

use std::time::Duration;

use tally_core::fork::ForkProof;
use tally_core::id::Digest;
use tally_core::notary::{Presence, ProofResponse, RequestError, StateId};
use tokio::task;
use tokio::time::timeout;

use super::{Submitted, Validator};
use crate::backend::{
    Backend, Batch, Block, Consistency, Exclusion, ForkReceipt, LookupError, NotReady, Outcome,
    Page, Record, Status, SubmitError,
};

/// A validator as the interface sees it. A clone is the same one. It needs a Tokio runtime.
#[derive(Clone, Debug)]
pub struct Service(Validator);

impl Service {
    /// Serves this validator's clients.
    pub fn new(validator: Validator) -> Self {
        Self(validator)
    }

    /// Does what takes long beside the others' calls.
    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Validator) -> Result<T, LookupError> + Send + 'static,
    ) -> Result<T, LookupError> {
        let validator = self.0.clone();
        let done = task::spawn_blocking(move || work(&validator)).await;
        done.unwrap_or(Err(LookupError::ShuttingDown))
    }
}

/// The state whose spend has to be certified first, if any has to be by some time.
fn first_deadline(batch: &Batch) -> Option<StateId> {
    let ends = batch.requests().iter().filter_map(|r| Some((r.data.expires_at?, r.state_id)));
    ends.min().map(|(_, state)| state)
}

impl Backend for Service {
    async fn certify(&self, batch: Batch, wait: Duration) -> Result<Outcome, SubmitError> {
        let first_end = first_deadline(&batch);
        let decided = match self.0.submit(batch)? {
            Submitted::Done(outcome) => return Ok(outcome),
            Submitted::Waiting(decided) => decided,
        };
        match (timeout(wait, decided).await, first_end) {
            (Ok(Ok(outcome)), _) => Ok(outcome),
            // A final block is past its deadline: no later one will have it.
            (Ok(Err(_)), Some(state)) => {
                Err(SubmitError::Invalid { state, error: RequestError::Expired })
            }
            _ => Ok(Outcome::Queued),
        }
    }

    async fn inclusion(
        &self,
        state: StateId,
        wait: Duration,
    ) -> Result<ProofResponse, LookupError> {
        let now = self.0.inclusion(&state)?;
        if now.proof.leaf.is_some() || wait.is_zero() {
            return Ok(now);
        }
        if let Some(spent) = self.0.when_spent(state) {
            // Whether it was spent or the time is over, the answer below says.
            let _ = timeout(wait, spent).await;
        }
        self.0.inclusion(&state)
    }

    async fn exclusion(&self, state: StateId) -> Result<Exclusion, LookupError> {
        self.0.exclusion(&state)
    }

    async fn consistency(&self, from: u64, to: u64) -> Result<Consistency, LookupError> {
        self.aside(move |validator| validator.consistency(from, to)).await
    }

    async fn height(&self) -> Result<u64, LookupError> {
        self.0.height()
    }

    async fn block(&self, number: Option<u64>) -> Result<Block, LookupError> {
        self.aside(move |validator| validator.block(number)).await
    }

    async fn records(&self, number: u64, page: Page) -> Result<Vec<Record>, LookupError> {
        self.aside(move |validator| validator.records(number, page)).await
    }

    async fn submit_fork(&self, proof: ForkProof) -> Result<ForkReceipt, SubmitError> {
        let validator = self.0.clone();
        let done = task::spawn_blocking(move || validator.publish(proof)).await;
        done.unwrap_or(Err(SubmitError::ShuttingDown))
    }

    async fn forks_since(&self, page: Page) -> Result<Vec<(u64, ForkProof)>, LookupError> {
        Ok(self.0.forks_since(page))
    }

    async fn status(&self) -> Result<Status, LookupError> {
        Ok(self.0.status())
    }

    async fn presence(&self, nonce: Digest) -> Result<Presence, LookupError> {
        self.0.presence(&nonce)
    }

    async fn ready(&self) -> Result<(), NotReady> {
        self.0.ready()
    }

    async fn metrics(&self) -> String {
        self.0.metrics()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{START, request, request_until};

    #[test]
    fn a_batch_is_over_at_the_first_of_its_deadlines() {
        assert_eq!(first_deadline(&Batch::from(request(1, 1))), None);
        let timed = request_until(2, 1, Some(START));
        assert_eq!(first_deadline(&Batch::from(timed.clone())), Some(timed.state_id));
    }
}
