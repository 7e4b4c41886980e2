//! Stand between what certifies and what talks to clients.
//!
//! The interface ([`rpc`](crate::rpc)) knows the network only as a [`Backend`]; whatever certifies knows
//! nothing of HTTP. A backend answers from its own copy of the certified state, and waits no longer
//! than it is told to.
//!
//! Heights and rounds are the same number: block `n` is certified by the certificate whose record has
//! round `n`. Block 0 does not exist; it stands for the empty tree before block 1.

use std::future::Future;
use std::time::Duration;

use tally_core::fork::ForkProof;
use tally_core::id::{Digest, NetworkId};
use tally_core::keys::PublicKey;
use tally_core::notary::{
    CertificationData, CertificationRequest, NodeId, Partition, Presence, ProofResponse,
    RequestError, StateId, TransactionHash, UnicityCertificate,
};
use tally_core::time::Time;
use tally_tree::{ConsistencyProof, ExclusionCertificate, Key, Value};

/// Most requests that are certified together, all or none.
pub const MAX_BATCH: usize = 8;

/// Longest time that a backend holds a call for an outcome.
pub const MAX_WAIT: Duration = Duration::from_secs(20);

/// Most records of one page.
pub const MAX_RECORDS: usize = 1_000;

/// Most fork proofs of one page.
pub const MAX_FORKS: usize = 256;

/// After so many leaves an answer about consistency ends, with the block that it has begun. Some 6 MB.
pub const MAX_GROWTH_LEAVES: usize = 8_000;

/// What a network of validators, or one of them, does for clients.
pub trait Backend: Clone + Send + Sync + 'static {
    /// Gets the spends of `batch` certified, all or none, and waits up to `wait` for the outcome.
    ///
    /// Idempotent at any time: a batch whose spends are all certified already is [`Outcome::Certified`].
    /// After [`Outcome::Queued`] the batch may still be certified or refused.
    fn certify(
        &self,
        batch: Batch,
        wait: Duration,
    ) -> impl Future<Output = Result<Outcome, SubmitError>> + Send;

    /// The proof of the first spend of `state` under the latest certificate. While there is none, waits
    /// up to `wait` for it, then answers without a leaf.
    fn inclusion(
        &self,
        state: StateId,
        wait: Duration,
    ) -> impl Future<Output = Result<ProofResponse, LookupError>> + Send;

    /// The proof that `state` is unspent under the latest certificate, or that it is spent.
    fn exclusion(
        &self,
        state: StateId,
    ) -> impl Future<Output = Result<Exclusion, LookupError>> + Send;

    /// The proof that the tree after block `to` is that after block `from` with exactly these leaves
    /// added. May stop before `to`, after [`MAX_GROWTH_LEAVES`]: the answer says where.
    fn consistency(
        &self,
        from: u64,
        to: u64,
    ) -> impl Future<Output = Result<Consistency, LookupError>> + Send;

    /// Number of the latest certified block.
    fn height(&self) -> impl Future<Output = Result<u64, LookupError>> + Send;

    /// A certified block; the latest one for `None`.
    fn block(&self, number: Option<u64>)
    -> impl Future<Output = Result<Block, LookupError>> + Send;

    /// Records of a block in the order of its execution, from `page.from` on.
    fn records(
        &self,
        number: u64,
        page: Page,
    ) -> impl Future<Output = Result<Vec<Record>, LookupError>> + Send;

    /// Publishes a fork proof, which the caller has checked. Idempotent.
    fn submit_fork(
        &self,
        proof: ForkProof,
    ) -> impl Future<Output = Result<ForkReceipt, SubmitError>> + Send;

    /// Published fork proofs in the order of their numbers, from `page.from` on.
    fn forks_since(
        &self,
        page: Page,
    ) -> impl Future<Output = Result<Vec<(u64, ForkProof)>, LookupError>> + Send;

    /// What the node knows of itself and of the others.
    fn status(&self) -> impl Future<Output = Result<Status, LookupError>> + Send;

    /// The validator's signature on `nonce` and on its latest certificate (`WIRE-28`).
    fn presence(&self, nonce: Digest)
    -> impl Future<Output = Result<Presence, LookupError>> + Send;

    /// Whether requests can be certified now: a certificate exists, the node has caught up, and it has
    /// seen a quorum lately.
    fn ready(&self) -> impl Future<Output = Result<(), NotReady>> + Send;

    /// The backend's measurements as Prometheus text, each name beginning with `tally_`; may be empty.
    fn metrics(&self) -> impl Future<Output = String> + Send;
}

/// One to [`MAX_BATCH`] spends by one transaction, each of another state: certified together or not at all.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Batch(Vec<CertificationRequest>);

impl Batch {
    /// A batch of these requests, in this order.
    ///
    /// # Errors
    /// [`BatchError`].
    pub fn new(requests: Vec<CertificationRequest>) -> Result<Self, BatchError> {
        let Some(first) = requests.first().filter(|_| requests.len() <= MAX_BATCH) else {
            return Err(BatchError::Count);
        };
        if requests.iter().any(|r| r.data.transaction != first.data.transaction) {
            return Err(BatchError::Transactions);
        }
        let repeated = |i: usize| requests[..i].iter().any(|r| r.state_id == requests[i].state_id);
        if (1..requests.len()).any(repeated) {
            return Err(BatchError::Repeated);
        }
        Ok(Self(requests))
    }

    /// The requests, at least one.
    pub fn requests(&self) -> &[CertificationRequest] {
        &self.0
    }

    /// The requests, at least one.
    pub fn into_requests(self) -> Vec<CertificationRequest> {
        self.0
    }

    /// The transaction that all of them are for.
    pub fn transaction(&self) -> TransactionHash {
        self.0[0].data.transaction
    }
}

impl From<CertificationRequest> for Batch {
    fn from(request: CertificationRequest) -> Self {
        Self(vec![request])
    }
}

/// Why requests do not belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// None, or more than [`MAX_BATCH`].
    #[error("a batch has 1 to {MAX_BATCH} requests: split the transaction")]
    Count,
    /// They are for different transactions.
    #[error("the requests are for different transactions: send those one by one")]
    Transactions,
    /// Two spend one state.
    #[error("two requests spend one state: send each once")]
    Repeated,
}

impl BatchError {
    /// Stable code of this error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Count => "BATCH_COUNT",
            Self::Transactions => "BATCH_TRANSACTIONS",
            Self::Repeated => "BATCH_REPEATED",
        }
    }
}

/// What became of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Outcome {
    /// Every spend of it is the first of its state in a certified tree, at this height or before.
    Certified {
        /// The height.
        height: u64,
    },
    /// It is accepted, and was not decided in the time given.
    Queued,
    /// A state of it was spent by another transaction; nothing of the batch was certified.
    Refused(Conflict),
}

/// That another transaction spent a state first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Conflict {
    /// The state.
    pub state: StateId,
    /// The transaction that spent it.
    pub winner: TransactionHash,
}

/// Why something was not accepted. Nothing of it will be certified because of this call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// The request for this state breaks a rule.
    #[error("the request for state {state} is refused: {error}")]
    Invalid {
        /// The state as the request names it.
        state: StateId,
        /// The rule.
        error: RequestError,
    },
    /// The node has as much as it can take.
    #[error("the node has as many requests as it takes: send again in {} ms", retry_after.as_millis())]
    Overloaded {
        /// When to come back.
        retry_after: Duration,
    },
    /// The node cannot store more.
    #[error("the node's disk is full: send to another node, and tell its operator")]
    DiskFull,
    /// No certificate exists yet, or the node is behind the others.
    #[error("the node is not ready to certify: send again in a second, or to another node")]
    NotReady,
    /// The node is being stopped.
    #[error("the node is shutting down: send to another node")]
    ShuttingDown,
}

impl SubmitError {
    /// Stable code of this error; for an invalid request, the status word of the wire format.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Invalid { error, .. } => error.code(),
            Self::Overloaded { .. } => "NOTARY_OVERLOADED",
            Self::DiskFull => "NOTARY_DISK_FULL",
            Self::NotReady => "SERVICE_NOT_READY",
            Self::ShuttingDown => "NOTARY_SHUTTING_DOWN",
        }
    }
}

/// Why a question was not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// No certificate exists yet.
    #[error("the network has not certified anything yet: ask again in a second")]
    NotReady,
    /// Another shard holds the state.
    #[error("another shard holds this state: ask there")]
    Shard,
    /// There is no such block yet.
    #[error("there is no block {0} yet: ask for the block height first")]
    NoBlock(u64),
    /// The heights are not in ascending order.
    #[error("the range of heights is empty: ask from the smaller to the larger one")]
    Range,
    /// The node has as much to do as it can take.
    #[error("the node has as many requests as it takes: ask again in {} ms", retry_after.as_millis())]
    Overloaded {
        /// When to come back.
        retry_after: Duration,
    },
    /// The node is being stopped.
    #[error("the node is shutting down: ask another node")]
    ShuttingDown,
    /// The node's store failed.
    #[error("the node cannot read its store: ask another node, and tell its operator")]
    Store,
}

impl LookupError {
    /// Stable code of this error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotReady => "SERVICE_NOT_READY",
            Self::Shard => "INVALID_SHARD",
            Self::NoBlock(_) => "BLOCK_NOT_FOUND",
            Self::Range => "BLOCK_RANGE",
            Self::Overloaded { .. } => "NOTARY_OVERLOADED",
            Self::ShuttingDown => "NOTARY_SHUTTING_DOWN",
            Self::Store => "NOTARY_STORE",
        }
    }
}

/// Why a node does not certify now, in words for its operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not ready: {0}")]
pub struct NotReady(pub String);

/// Whether a state is spent, with the proof.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Exclusion {
    /// It is not, under this certificate.
    Unspent {
        /// From where the state would be to the certified root.
        path: ExclusionCertificate,
        /// The latest certificate.
        certificate: Box<UnicityCertificate>,
    },
    /// It is.
    Spent(Box<ProofResponse>),
}

/// How the tree grew from one block to another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Consistency {
    /// Certificate of the block from which it grew; none for the empty tree before block 1.
    pub before: Option<UnicityCertificate>,
    /// Certificate of the block up to which it grew: the one asked for, or one before it.
    pub after: UnicityCertificate,
    /// The steps between, in order; no leaves were added where there are none.
    pub steps: Vec<Growth>,
}

/// A step of growth: of one block, or of several.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Growth {
    /// The block after which the tree had `root`.
    pub height: u64,
    /// Root after the step.
    pub root: Digest,
    /// The leaves that were added, in ascending order of their keys.
    pub leaves: Vec<(Key, Value)>,
    /// That adding exactly these led to `root`.
    pub proof: ConsistencyProof,
}

/// A certified block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Block {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: Digest,
    /// Hash of the block before.
    pub parent: Digest,
    /// Its reference time.
    pub time: Time,
    /// How many spends it certified.
    pub certified: u64,
    /// How many it refused because another one was first.
    pub refused: u64,
    /// Its certificate, which has the root and the one before.
    pub certificate: UnicityCertificate,
}

/// Which part of a list: at most `limit` entries, from number `from` on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Page {
    /// Number of the first entry.
    pub from: u64,
    /// How many at most.
    pub limit: u16,
}

/// What a block did with one spend.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Its number in the block, from 0.
    pub index: u64,
    /// The spend.
    pub data: CertificationData,
    /// The transaction that had spent the state before, where this one was refused.
    pub refused_for: Option<Conflict>,
}

/// That a fork proof is published.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ForkReceipt {
    /// Its number, by which others find it.
    pub number: u64,
    /// Whether it was known before.
    pub known: bool,
}

/// What a node knows of itself and of the others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    /// The node's own name.
    pub node: NodeId,
    /// The network.
    pub network: NetworkId,
    /// The epoch, in which the validators do not change.
    pub epoch: u64,
    /// The part of the network that certifies.
    pub partition: Partition,
    /// The stake that makes a quorum.
    pub quorum: u64,
    /// The validators, in the order of their names.
    pub validators: Vec<ValidatorStatus>,
    /// Number of the latest certified block; 0 before the first.
    pub height: u64,
    /// Root after it.
    pub root: Digest,
    /// Its reference time.
    pub time: Time,
    /// How many states are spent.
    pub leaves: u64,
    /// How many requests wait.
    pub pending: u64,
    /// How many bytes they have.
    pub pending_bytes: u64,
    /// How many fork proofs are published.
    pub forks: u64,
}

/// A validator as a node sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ValidatorStatus {
    /// Its name in certificates.
    pub id: NodeId,
    /// The key of its seals.
    pub key: PublicKey,
    /// Its weight.
    pub stake: u64,
    /// Height of the latest block whose seal it is known to have signed; 0 for none.
    pub last_signed: u64,
}
