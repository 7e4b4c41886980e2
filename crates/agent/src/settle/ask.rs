//! What a validator is asked, and what it answers: plain data, of which nothing is checked yet.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use tally_core::fork::ForkProof;
use tally_core::id::Digest;
use tally_core::notary::{
    CertificationRequest, InclusionProof, Presence, StateId, TransactionHash, UnicityCertificate,
};
use tally_tree::{ConsistencyProof, ExclusionCertificate, Key, Value};

use super::Trouble;

/// Most endpoints of one errand.
pub const MAX_ENDPOINTS: usize = 16;
/// Most states, or transactions, of one question.
pub const MAX_AT_ONCE: usize = 16;
/// Most fork proofs of one answer.
pub const MAX_FORKS: usize = 64;
/// Most encoded bytes of the requests of one question, unless one transaction alone has more.
pub const MAX_SUBMITTED: usize = 96 * 1024;
/// Longest answer to most questions, in bytes.
pub const MAX_ANSWER: usize = 8 << 20;
/// Longest answer about growth, which comes in steps of some megabytes.
pub const MAX_GROWTH_ANSWER: usize = 64 << 20;

/// How long a validator is asked to hold a question for the outcome.
pub(super) const HOLD: Duration = Duration::from_secs(5);
/// How long an answer may take, beyond what the question itself asks to wait.
const CALL: Duration = Duration::from_secs(5);
/// How long an answer about growth may take.
const GROWTH: Duration = Duration::from_secs(20);

/// The place of an endpoint in the list with which an errand begins.
pub type EndpointId = usize;

/// Names one question of an errand.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct AskId(pub(super) u64);

/// A question that is to be put to an endpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// Under which the answer is given back.
    pub id: AskId,
    /// Whom to ask.
    pub endpoint: EndpointId,
    /// What.
    pub ask: Ask,
}

/// One question. An endpoint has at most one open.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ask {
    /// Show that you are a validator and are there, and your latest certificate.
    Presence(Digest),
    /// The certificate of a round.
    Certificate(u64),
    /// How the tree grew from one round to another. The answer may stop before the second.
    Growth {
        /// The first round.
        from: u64,
        /// The last.
        to: u64,
    },
    /// Certify each of these transactions: its spends together or not at all. Held for the outcome.
    Submit(Vec<Vec<CertificationRequest>>),
    /// The first spend of each state.
    Inclusions(Vec<StateId>),
    /// Whether each state is unspent.
    Exclusions(Vec<StateId>),
    /// Published fork proofs from this number on.
    Forks(u64),
    /// Publish a fork proof.
    Publish(Box<ForkProof>),
}

impl Ask {
    /// How long the validator is asked to wait before it answers.
    pub const fn hold(&self) -> Duration {
        match self {
            Self::Submit(_) => HOLD,
            Self::Presence(_)
            | Self::Certificate(_)
            | Self::Growth { .. }
            | Self::Inclusions(_)
            | Self::Exclusions(_)
            | Self::Forks(_)
            | Self::Publish(_) => Duration::ZERO,
        }
    }

    /// Whether it is about what the errand is for, rather than good for everybody.
    pub(super) const fn is_wanted(&self) -> bool {
        match self {
            Self::Submit(_) | Self::Inclusions(_) | Self::Exclusions(_) => true,
            Self::Presence(_)
            | Self::Certificate(_)
            | Self::Growth { .. }
            | Self::Forks(_)
            | Self::Publish(_) => false,
        }
    }

    /// How long the answer may take altogether: then it is none.
    pub const fn within(&self) -> Duration {
        match self {
            Self::Submit(_) => HOLD.saturating_add(CALL),
            Self::Growth { .. } => GROWTH,
            Self::Presence(_)
            | Self::Certificate(_)
            | Self::Inclusions(_)
            | Self::Exclusions(_)
            | Self::Forks(_)
            | Self::Publish(_) => CALL,
        }
    }

    /// How many bytes the answer may have.
    pub const fn max_answer(&self) -> usize {
        match self {
            Self::Growth { .. } => MAX_GROWTH_ANSWER,
            Self::Presence(_)
            | Self::Certificate(_)
            | Self::Submit(_)
            | Self::Inclusions(_)
            | Self::Exclusions(_)
            | Self::Forks(_)
            | Self::Publish(_) => MAX_ANSWER,
        }
    }
}

/// An answer, decoded and not checked. Lists answer the question's list, in its order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// To [`Ask::Presence`].
    Presence(Box<Presence>),
    /// To [`Ask::Certificate`].
    Certificate(Box<UnicityCertificate>),
    /// To [`Ask::Growth`].
    Growth(Box<Growth>),
    /// To [`Ask::Submit`].
    Submitted(Vec<Result<Said, Trouble>>),
    /// To [`Ask::Inclusions`].
    Inclusions(Vec<Result<InclusionProof, Trouble>>),
    /// To [`Ask::Exclusions`].
    Exclusions(Vec<Result<Exclusion, Trouble>>),
    /// To [`Ask::Forks`]: the proofs, and the number from which to ask next.
    Forks(Vec<ForkProof>, u64),
    /// To [`Ask::Publish`].
    Published,
    /// To any: there is no answer.
    Nothing(Trouble),
}

/// What a validator says of a request. Only a proof shows it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Said {
    /// It is certified.
    Certified,
    /// It is accepted, and not decided yet.
    Queued,
    /// Another transaction spent this state first; nothing of the request was certified.
    Spent {
        /// The state.
        state: StateId,
        /// The transaction that spent it.
        winner: TransactionHash,
    },
}

/// What a validator says of a state, with the proof.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Exclusion {
    /// It is unspent.
    Unspent {
        /// From where it would be to the root.
        path: ExclusionCertificate,
        /// The root's certificate.
        certificate: Box<UnicityCertificate>,
    },
    /// It is spent.
    Spent(Box<InclusionProof>),
}

/// How a validator says that the tree grew.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Growth {
    /// Certificate of the round from which it grew; none for the empty tree.
    pub before: Option<UnicityCertificate>,
    /// Certificate of the round up to which the answer goes.
    pub after: UnicityCertificate,
    /// One batch of leaves after another.
    pub steps: Vec<Step>,
}

impl Growth {
    /// About how many bytes came: those of the leaves.
    pub(super) fn bytes(&self) -> usize {
        let leaves: usize = self.steps.iter().map(|step| step.leaves.len()).sum();
        leaves.saturating_mul(size_of::<(Key, Value)>())
    }
}

/// A batch of leaves by which the tree grew.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// The root with the batch.
    pub root: Digest,
    /// The leaves, as they were added.
    pub leaves: Vec<(Key, Value)>,
    /// That nothing else changed.
    pub proof: ConsistencyProof,
}
