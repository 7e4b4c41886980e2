//! Take final blocks and certificates, one after the other: the only writer of the store.

use std::fmt::Display;
use std::time::Duration;

use commonware_actor::Feedback;
use commonware_consensus::Reporter;
use commonware_consensus::marshal::Update;
use commonware_consensus::marshal::core::Mailbox;
use commonware_consensus::marshal::standard::Standard;
use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_consensus::types::Height;
use commonware_runtime::Clock;
use commonware_utils::Acknowledgement;
use commonware_utils::acknowledgement::Exact;
use tally_core::notary::UnicityCertificate;
use tokio::sync::mpsc;

use super::wire::WireBlock;
use crate::block::Block;
use crate::store::{Store, StoreError};
use crate::validator::Validator;

/// How many final blocks are made durable together.
const MAX_TOGETHER: usize = 16;

/// How long to wait before a full disk is tried again.
const FULL_AGAIN: Duration = Duration::from_secs(1);

/// What the executor does.
pub(super) enum Task {
    /// A final block, to be acknowledged when it is durable.
    Final(Block, Exact),
    /// A certificate that is complete.
    Certified(Box<UnicityCertificate>),
}

/// Hands what marshal reports to the executor.
#[derive(Clone)]
pub(super) struct Finals {
    validator: Validator,
    tasks: mpsc::UnboundedSender<Task>,
}

impl Finals {
    pub(super) fn new(validator: Validator, tasks: mpsc::UnboundedSender<Task>) -> Self {
        Self { validator, tasks }
    }
}

impl Reporter for Finals {
    type Activity = Update<WireBlock>;

    fn report(&mut self, update: Self::Activity) -> Feedback {
        match update {
            Update::Tip(_, height, _) => self.validator.see_tip(height.get()),
            Update::Block(block, acknowledge) => {
                // Marshal limits how many blocks are not acknowledged.
                let task = Task::Final(block.inner().0.clone(), acknowledge);
                if self.tasks.send(task).is_err() {
                    return Feedback::Closed;
                }
            }
        }
        Feedback::Ok
    }
}

/// The one writer.
pub(super) struct Executor {
    validator: Validator,
    store: Store,
    tasks: mpsc::UnboundedReceiver<Task>,
    blocks: Mailbox<Scheme, Standard<WireBlock>>,
}

impl Executor {
    pub(super) fn new(
        validator: Validator,
        store: Store,
        tasks: mpsc::UnboundedReceiver<Task>,
        blocks: Mailbox<Scheme, Standard<WireBlock>>,
    ) -> Self {
        Self { validator, store, tasks, blocks }
    }

    /// Works until nobody sends any more, or something is wrong that waiting does not mend.
    pub(super) async fn run<E: Clock>(mut self, context: E) {
        while let Some(first) = self.tasks.recv().await {
            let (mut blocks, mut certificates) = (Vec::new(), Vec::new());
            let mut next = Some(first);
            while let Some(task) = next {
                match task {
                    Task::Final(block, acknowledge) => blocks.push((block, acknowledge)),
                    Task::Certified(certificate) => certificates.push(*certificate),
                }
                let more = blocks.len() < MAX_TOGETHER;
                next = more.then(|| self.tasks.try_recv().ok()).flatten();
            }
            let done = match self.finals(&context, blocks).await {
                Ok(made) => certificates.into_iter().chain(made).try_for_each(|c| self.certify(c)),
                Err(stop) => Err(stop),
            };
            if let Err(Stop) = done {
                // The validator answers from what it has, and neither signs nor votes again.
                return future_that_never_ends().await;
            }
        }
    }

    /// Makes blocks durable, then acknowledges and signs them.
    async fn finals<E: Clock>(
        &mut self,
        context: &E,
        blocks: Vec<(Block, Exact)>,
    ) -> Result<Vec<UnicityCertificate>, Stop> {
        let mut made = Vec::new();
        for (block, acknowledge) in blocks {
            if block.height() <= self.store.height() {
                // Reported again after a restart.
                self.same_as_stored(&block)?;
                acknowledge.acknowledge();
                continue;
            }
            while self.store.height() + 1 < block.height() {
                let lost = self.lost(self.store.height() + 1).await?;
                made.extend(self.take(context, &lost).await?);
            }
            made.extend(self.take(context, &block).await?);
            acknowledge.acknowledge();
        }
        Ok(made)
    }

    /// Makes the block after the last one durable and signs it. The certificate, if that was the last
    /// signature which was missing.
    async fn take<E: Clock>(
        &mut self,
        context: &E,
        block: &Block,
    ) -> Result<Option<UnicityCertificate>, Stop> {
        let executed = self.validator.execute_final(block).map_err(|e| self.stop(&e))?;
        let seal = self.validator.next_seal(&executed, None).map_err(|e| self.stop(&e))?;
        let hash = seal.seal.signed_digest();
        while let Err(error) = self.store.commit(&[(executed.clone(), hash)]) {
            if !matches!(error, StoreError::Full) {
                return Err(self.stop(&error));
            }
            self.validator.set_stuck(true);
            context.sleep(FULL_AGAIN).await;
        }
        self.validator.set_stuck(false);
        self.validator.finalized(&executed, seal).map_err(|e| self.stop(&e))
    }

    /// A block that was durable and acknowledged, and is not in the store any more: a disk lied, or was
    /// damaged, and recovery cut the end off.
    async fn lost(&self, height: u64) -> Result<Block, Stop> {
        tracing::warn!(height, "a stored block was lost, and is taken from the engine's files");
        let block = self.blocks.get_block(Height::new(height)).await;
        block.map(|block| block.inner().0.clone()).ok_or_else(|| {
            self.stop(&"blocks are lost: move the data folder away and start the validator again")
        })
    }

    fn certify(&mut self, certificate: UnicityCertificate) -> Result<(), Stop> {
        if let Err(error) = self.store.put_certificate(&certificate) {
            // Others have it.
            tracing::warn!(%error, "a certificate was not stored");
        }
        self.validator.certified(certificate).map_err(|error| self.stop(&error))
    }

    fn same_as_stored(&self, block: &Block) -> Result<(), Stop> {
        if block.height() == 0 {
            // The genesis is in no store: what follows it names it.
            return Ok(());
        }
        let stored = self.validator.reader().block(block.height()).map_err(|e| self.stop(&e))?;
        match stored {
            Some(stored) if stored.block == *block => Ok(()),
            _ => Err(self.stop(&"another block was final at this height")),
        }
    }

    fn stop(&self, why: &dyn Display) -> Stop {
        self.validator.fail(why);
        Stop
    }
}

/// That the validator cannot go on.
struct Stop;

async fn future_that_never_ends() {
    futures::future::pending().await
}
