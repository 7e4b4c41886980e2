//! What a running validator knows, and everything that it does with it between two messages.
//!
//! The engine calls in with blocks and messages, the interface with questions; both may run at once.
//! Nothing here waits: what takes time gives back a receiver.

mod answers;
mod growth;
mod proposals;
mod recent;
#[cfg(feature = "rpc")]
mod service;
mod submit;
mod waiting;

pub use proposals::Verdict;
#[cfg(feature = "rpc")]
pub use service::Service;
pub use submit::Submitted;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tally_core::cbor::DecodeError;
use tally_core::fork::ForkProof;
use tally_core::id::Digest;
use tally_core::keys::Signature;
use tally_core::notary::{NodeId, TrustBase, UnicityCertificate};
use tally_core::time::Time;
use tokio::sync::{Notify, mpsc};

use crate::block::{Block, Entry};
use crate::certify::{self, Collector, SealMessage, Sealer};
use crate::ledger::{Executed, Ledger, LedgerError, MAX_BESIDE};
use crate::mempool::{Limits, Mempool};
use crate::rules::{Checked, Rules};
use crate::store::{ForkLog, Reader, Recovered, StoreError};
use growth::Growths;
use recent::Recent;
use waiting::Waiting;

/// How far ahead of a validator's own clock a block's time may be, in seconds (`BLOCK-4`).
pub const MAX_CLOCK_AHEAD: u64 = 2;

/// Messages that wait to be sent to other validators; more are dropped.
const MAX_OUTGOING: usize = 1 << 16;

/// How long without a certificate a validator still says that it is ready, in seconds.
const MAX_SILENCE: u64 = 5;

/// How many final blocks a validator may lack and still say that it is ready.
const MAX_BEHIND: u64 = 32;

/// A validator's own clock.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Time + Send + Sync>);

impl Clock {
    /// A clock that this function reads.
    pub fn new(read: impl Fn() -> Time + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// What it shows.
    pub fn now(&self) -> Time {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// What a validator is and by which rules it goes.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The validators.
    pub trust: TrustBase,
    /// Which of them this one is, with its key for seals.
    pub sealer: Sealer,
    /// What makes a request valid.
    pub rules: Rules,
    /// How much may wait.
    pub limits: Limits,
    /// Its clock.
    pub clock: Clock,
}

/// What other validators are to be told.
#[derive(Clone, Debug)]
pub enum Outgoing {
    /// A batch that came from a client.
    Entry(Entry),
    /// Something about certificates, for everybody.
    Seal(SealMessage),
    /// A fork proof that is new here.
    Fork(Box<ForkProof>),
}

/// A running validator. A clone is the same one.
#[derive(Clone)]
pub struct Validator(Arc<Inner>);

pub(crate) struct Inner {
    setup: Setup,
    state: RwLock<State>,
    reader: Reader,
    pool: Mutex<Mempool>,
    checked: Mutex<Checked>,
    collector: Mutex<Collector>,
    waiting: Mutex<Waiting>,
    recent: Mutex<Recent>,
    growths: Mutex<Growths>,
    forks: Mutex<ForkLog>,
    work: Notify,
    outgoing: mpsc::Sender<Outgoing>,
    tip: AtomicU64,
    /// When the last certificate came; 0 if none has since the start.
    certified_at: AtomicU64,
    asked_at: AtomicU64,
    full: AtomicBool,
    stuck: AtomicBool,
    stopping: AtomicBool,
    failure: Mutex<Option<String>>,
    counts: Counts,
}

/// What changes with every block, under one lock.
struct State {
    ledger: Ledger,
    /// The certificate of the last block in the tree; none while the validator catches up.
    certificate: Option<Arc<UnicityCertificate>>,
    /// Hash of the seal of the last final block.
    seal: Digest,
}

/// How often things happened since the start.
#[derive(Debug, Default)]
struct Counts {
    accepted: AtomicU64,
    invalid: AtomicU64,
    shed: AtomicU64,
    certified: AtomicU64,
    refused: AtomicU64,
    blocks: AtomicU64,
    gossip_dropped: AtomicU64,
}

impl Validator {
    /// A validator with what its store held. What it wants to tell others comes out of the receiver.
    ///
    /// # Errors
    /// [`DecodeError`] if the network has a shape that cannot be certified.
    pub fn new(
        setup: Setup,
        recovered: Recovered,
        reader: Reader,
        forks: ForkLog,
    ) -> Result<(Self, mpsc::Receiver<Outgoing>), DecodeError> {
        let Recovered { ledger, certificate, seals } = recovered;
        let newest = certificate.as_ref().map_or(0, |certificate| certificate.record.round);
        let mut collector = Collector::new(setup.trust.clone(), newest);
        for (executed, previous) in ledger.waiting().zip(&seals) {
            let (header, hash) = (executed.block.header(), executed.block.hash());
            collector.open(certify::unsigned(&setup.trust, header, hash, *previous)?);
        }
        if certificate.is_none() && ledger.applied().header.height > 0 {
            // Its certificate was lost: others have it, or sign again.
            let height = ledger.applied().header.height;
            let before = reader.block(height.saturating_sub(1)).ok().flatten();
            let previous = before.map_or(Digest::new([0; 32]), |before| before.seal);
            let tip = ledger.applied();
            collector.open(certify::unsigned(&setup.trust, &tip.header, tip.hash, previous)?);
        }
        let seal = seals.last().copied().unwrap_or(Digest::new([0; 32]));
        let (outgoing, receiver) = mpsc::channel(MAX_OUTGOING);
        let state = State { ledger, certificate: certificate.map(Arc::new), seal };
        let inner = Inner {
            pool: Mutex::new(Mempool::new(setup.limits)),
            state: RwLock::new(state),
            collector: Mutex::new(collector),
            certified_at: AtomicU64::new(0),
            forks: Mutex::new(forks),
            checked: Mutex::default(),
            waiting: Mutex::default(),
            recent: Mutex::default(),
            growths: Mutex::default(),
            work: Notify::new(),
            tip: AtomicU64::new(0),
            asked_at: AtomicU64::new(u64::MAX),
            full: AtomicBool::new(false),
            stuck: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            failure: Mutex::new(None),
            counts: Counts::default(),
            setup,
            reader,
            outgoing,
        };
        Ok((Self(Arc::new(inner)), receiver))
    }

    /// Its name.
    pub fn node(&self) -> &NodeId {
        self.0.setup.sealer.node()
    }

    /// The validators.
    pub fn trust(&self) -> &TrustBase {
        &self.0.setup.trust
    }

    /// Its clock.
    pub fn clock(&self) -> &Clock {
        &self.0.setup.clock
    }

    /// The stored blocks.
    pub fn reader(&self) -> &Reader {
        &self.0.reader
    }

    /// The certificate of the last block in the tree; none while the validator catches up.
    pub fn certificate(&self) -> Option<Arc<UnicityCertificate>> {
        self.state().certificate.clone()
    }

    /// Height of the last final block here.
    pub fn final_height(&self) -> u64 {
        self.state().ledger.last_final().header.height
    }

    /// Height of the last block in the tree.
    pub fn applied_height(&self) -> u64 {
        self.state().ledger.applied().header.height
    }

    /// Says that new requests are to be refused, or not any more, because the disk has little room.
    pub fn set_full(&self, full: bool) {
        self.0.full.store(full, Ordering::Relaxed);
    }

    /// Says that a final block cannot be stored for want of room, or that it was.
    pub fn set_stuck(&self, stuck: bool) {
        self.0.stuck.store(stuck, Ordering::Relaxed);
    }

    /// Whether the disk is full, or nearly so.
    pub fn is_full(&self) -> bool {
        self.0.full.load(Ordering::Relaxed) || self.0.stuck.load(Ordering::Relaxed)
    }

    /// Says that the validator is being stopped.
    pub fn stop(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
        self.0.work.notify_waiters();
    }

    /// Says that the validator cannot go on, and why.
    pub fn fail(&self, why: &dyn fmt::Display) {
        tracing::error!(%why, "the validator cannot go on");
        *lock(&self.0.failure) = Some(why.to_string());
    }

    /// Why the validator cannot go on, if so.
    pub fn failure(&self) -> Option<String> {
        lock(&self.0.failure).clone()
    }

    /// Takes note of the height that the network has reached.
    pub fn see_tip(&self, height: u64) {
        self.0.tip.fetch_max(height, Ordering::Relaxed);
    }

    /// Executes a final block, unless that was done before.
    ///
    /// # Errors
    /// [`LedgerError`], after which the validator must not go on: a quorum agreed on something that does
    /// not follow.
    pub fn execute_final(&self, block: &Block) -> Result<Arc<Executed>, LedgerError> {
        self.state().ledger.verify(block)
    }

    /// The certificate, without signatures, of the block that follows the last final one.
    ///
    /// # Errors
    /// [`DecodeError`] if the network has a shape that cannot be certified.
    pub fn next_seal(
        &self,
        executed: &Executed,
        previous: Option<Digest>,
    ) -> Result<UnicityCertificate, DecodeError> {
        let previous = previous.unwrap_or(self.state().seal);
        let block = &executed.block;
        certify::unsigned(self.trust(), block.header(), block.hash(), previous)
    }

    /// Takes a durable block as final, signs its seal and tells the others. A certificate, if this was the
    /// last signature that was missing.
    ///
    /// # Errors
    /// [`LedgerError`], as [`execute_final`](Self::execute_final).
    pub fn finalized(
        &self,
        executed: &Arc<Executed>,
        unsigned: UnicityCertificate,
    ) -> Result<Option<UnicityCertificate>, LedgerError> {
        {
            let mut state = self.state_mut();
            state.ledger.finalize(Arc::clone(executed))?;
            state.seal = unsigned.seal.signed_digest();
            if state.ledger.waiting().count() > MAX_BESIDE / 2 {
                // Far behind: certificates of old heights do not come any more.
                let height = executed.block.height();
                let applied = state.ledger.apply(height)?;
                state.certificate = None;
                drop(state);
                self.settle(&applied);
            }
        }
        let mut pool = lock(&self.0.pool);
        executed.block.entries().iter().for_each(|entry| pool.remove(&entry.id()));
        let late = pool.expire(executed.block.header().time);
        drop(pool);
        lock(&self.0.waiting).give_up(&late);
        self.0.counts.blocks.fetch_add(1, Ordering::Relaxed);
        let (height, share) = (unsigned.record.round, self.0.setup.sealer.sign(&unsigned));
        let mut collector = lock(&self.0.collector);
        let early = collector.open(unsigned);
        let made = collector.share(height, self.node().clone(), share.clone()).or(early);
        drop(collector);
        self.tell(Outgoing::Seal(SealMessage::Share(height, share)));
        Ok(made)
    }

    /// Takes what another validator says about certificates: what to answer, and a certificate if it is
    /// complete now.
    pub fn hear(
        &self,
        from: &NodeId,
        message: SealMessage,
    ) -> (Option<SealMessage>, Option<UnicityCertificate>) {
        match message {
            SealMessage::Share(height, share) => (None, self.share(height, from, share)),
            SealMessage::Certificate(certificate) => {
                (None, lock(&self.0.collector).take(*certificate))
            }
            SealMessage::Want(height) => (self.about(height), None),
        }
    }

    /// Adds the leaves of all final blocks up to the certificate's to the tree, and answers who waited.
    ///
    /// # Errors
    /// [`LedgerError::Tree`] when the tree is full.
    pub fn certified(&self, certificate: UnicityCertificate) -> Result<(), LedgerError> {
        let height = certificate.record.round;
        let mut state = self.state_mut();
        let applied = state.ledger.apply(height)?;
        let tip = state.ledger.applied();
        if tip.header.height != height || tip.header.root != certificate.record.hash {
            return Ok(());
        }
        state.certificate = Some(Arc::new(certificate));
        drop(state);
        self.0.certified_at.store(self.clock().now().unix(), Ordering::Relaxed);
        self.settle(&applied);
        if let Ok(mut past) = self.0.growths.try_lock() {
            past.tidy(self.clock().now());
        }
        Ok(())
    }

    /// Asks the others about the certificate of the last final block, if none came since this was called
    /// before, and signs that block again: signatures get lost on the way, and in a crash. A certificate,
    /// if its own signature was the one that was missing.
    pub fn ask(&self) -> Option<UnicityCertificate> {
        let (newest, height) = {
            let state = self.state();
            let newest = state.certificate.as_ref().map_or(0, |newest| newest.record.round);
            (newest, state.ledger.last_final().header.height)
        };
        let before = self.0.asked_at.swap(newest, Ordering::Relaxed);
        if newest >= height || newest != before {
            return None;
        }
        self.tell(Outgoing::Seal(SealMessage::Want(height)));
        let unsigned = self.unsigned(height).ok().flatten()?;
        self.share(height, self.node(), self.0.setup.sealer.sign(&unsigned))
    }

    fn share(&self, height: u64, from: &NodeId, share: Signature) -> Option<UnicityCertificate> {
        lock(&self.0.collector).share(height, from.clone(), share)
    }

    /// What this validator can say about the certificate of a height: it, or its own signature.
    fn about(&self, height: u64) -> Option<SealMessage> {
        if let Ok(Some(certificate)) = self.0.reader.certificate(height) {
            return Some(SealMessage::Certificate(Box::new(certificate)));
        }
        let unsigned = self.unsigned(height).ok().flatten()?;
        Some(SealMessage::Share(height, self.0.setup.sealer.sign(&unsigned)))
    }

    /// The certificate, without signatures, of a block that is durable.
    fn unsigned(&self, height: u64) -> Result<Option<UnicityCertificate>, StoreError> {
        let Some(stored) = self.0.reader.block(height)? else { return Ok(None) };
        let before = self.0.reader.block(height.saturating_sub(1))?;
        let previous = before.map_or(Digest::new([0; 32]), |before| before.seal);
        let (header, hash) = (stored.block.header(), stored.block.hash());
        let unsigned = certify::unsigned(self.trust(), header, hash, previous).ok();
        // What was signed once must never be signed otherwise.
        Ok(unsigned.filter(|unsigned| unsigned.seal.signed_digest() == stored.seal))
    }

    /// Tells whoever waited what became of their batches and states.
    fn settle(&self, applied: &[Arc<Executed>]) {
        let first = self.state().ledger.base().count();
        lock(&self.0.recent).push(first, applied);
        let mut certified = 0;
        for executed in applied {
            certified += executed.leaves.len() as u64;
            self.0.counts.refused.fetch_add(executed.refused(), Ordering::Relaxed);
        }
        self.0.counts.certified.fetch_add(certified, Ordering::Relaxed);
        let decided = lock(&self.0.waiting).decided(applied);
        for (outcome, waiter) in decided {
            let _ = waiter.send(self.outcome(outcome));
        }
    }

    fn tell(&self, message: Outgoing) {
        if self.0.outgoing.try_send(message).is_err() {
            self.0.counts.gossip_dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.0.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.0.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Validator({})", self.node())
    }
}

/// A poisoned lock guards plain data, which is whole between two operations.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
