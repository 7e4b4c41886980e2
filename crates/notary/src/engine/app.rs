//! Answer what simplex asks of an application: propose a block, and judge one.

use std::marker::PhantomData;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use commonware_consensus::Application;
use commonware_consensus::marshal::ancestry::Ancestry;
use commonware_consensus::simplex::types::Context;
use commonware_cryptography::certificate::Scheme;
use commonware_cryptography::{Digested, ed25519, sha256};
use commonware_runtime::Clock;
use futures::StreamExt as _;
use futures::future::{self, Either};

use super::tuning::Tuning;
use super::wire::WireBlock;
use crate::block::BlockHash;
use crate::ledger::MAX_BESIDE;
use crate::validator::{Validator, Verdict};

/// How often a block that cannot be judged yet is looked at again.
const AGAIN: Duration = Duration::from_millis(20);

/// The application of one validator.
pub(super) struct App<S> {
    validator: Validator,
    tuning: Tuning,
    /// When the last block with requests was seen.
    last: Arc<Mutex<Option<SystemTime>>>,
    scheme: PhantomData<fn() -> S>,
}

impl<S> App<S> {
    pub(super) fn new(validator: Validator, tuning: Tuning) -> Self {
        Self { validator, tuning, last: Arc::default(), scheme: PhantomData }
    }

    fn seen(&self, now: SystemTime) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// Executes ancestors from the stream until `parent` can be built upon. Whether it can.
    async fn prepare_parent(&self, ancestry: impl Ancestry<WireBlock>) -> Option<BlockHash> {
        let mut ancestry = ancestry;
        let parent = ancestry.next().await?;
        let name = parent.inner().0.hash();
        let mut missing = vec![parent];
        while let Some(oldest) = missing.last() {
            let block = &oldest.inner().0;
            if self.validator.follows(&block.hash()) {
                missing.pop();
                break;
            }
            if missing.len() > MAX_BESIDE || block.height() <= self.validator.applied_height() {
                return None;
            }
            missing.push(ancestry.next().await?);
        }
        for block in missing.iter().rev() {
            if self.validator.adopt(&block.inner().0) != Verdict::Valid {
                return None;
            }
        }
        Some(name)
    }

    /// Waits until there is something to propose, or a heartbeat is due.
    async fn wait_for_work<E: Clock>(&self, context: &E, parent: &BlockHash) {
        let mut due = pin!(context.sleep(self.tuning.heartbeat));
        while !self.validator.has_work(parent) {
            // Work that came before `work` was made would wake nobody: look again from time to time.
            let (work, again) = (pin!(self.validator.work()), pin!(context.sleep(AGAIN)));
            let woken = future::select(work, again);
            if let Either::Left(_) = future::select(&mut due, woken).await {
                return;
            }
        }
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(next) = last.and_then(|last| last.checked_add(self.tuning.pace)) else { return };
        while context.current() < next && !self.validator.has_much_work() {
            let left = next.duration_since(context.current()).unwrap_or_default();
            context.sleep(left.min(AGAIN)).await;
        }
    }
}

impl<S> Clone for App<S> {
    fn clone(&self) -> Self {
        Self {
            validator: self.validator.clone(),
            tuning: self.tuning,
            last: Arc::clone(&self.last),
            scheme: PhantomData,
        }
    }
}

impl<E, S> Application<E> for App<S>
where
    E: Clock,
    S: Scheme,
{
    type SigningScheme = S;
    type Context = Context<sha256::Digest, ed25519::PublicKey>;
    type Block = WireBlock;
    type Input = ();

    async fn propose(
        &mut self,
        (context, _): (E, Self::Context),
        ancestry: impl Ancestry<WireBlock>,
        _: (),
    ) -> Option<Digested<WireBlock>> {
        let parent = self.prepare_parent(ancestry).await?;
        self.wait_for_work(&context, &parent).await;
        let block = self.validator.propose(&parent)?;
        if block.header().count > 0 {
            self.seen(context.current());
        }
        Some(WireBlock::digested(block))
    }

    async fn verify(
        &mut self,
        (context, _): (E, Self::Context),
        ancestry: impl Ancestry<WireBlock>,
    ) -> bool {
        let mut ancestry = ancestry;
        let Some(block) = ancestry.next().await else { return future::pending().await };
        let block = &block.inner().0;
        if block.header().count > 0 {
            self.seen(context.current());
        }
        if !self.validator.follows(&block.header().parent)
            && self.prepare_parent(ancestry).await.is_none()
        {
            return future::pending().await;
        }
        loop {
            match self.validator.judge(block) {
                Verdict::Valid => return true,
                Verdict::Invalid => return false,
                Verdict::Abstain => return future::pending().await,
                Verdict::Later(_) => context.sleep(AGAIN).await,
            }
        }
    }
}
