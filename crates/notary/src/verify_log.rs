//! Check from outside that a notary's tree only ever grew.
//!
//! An outsider asks a node for consistency proofs ([`verify_log`]) and needs to trust nothing but the
//! network's trust base: each proof starts from a root that was verified before and ends in one that a
//! quorum signed. Whoever keeps the last [`Checkpoint`] and goes on from it later notices when history was
//! changed in between, even by a quorum: the node can then not show growth from the root that was kept.
//!
//! ```no_run
//! # use tally_core::notary::TrustBase;
//! # use tally_notary::verify_log::{AuditError, Fetch, Options, Start, verify_log};
//! # fn audit(node: &mut dyn Fetch, trust: &TrustBase) -> Result<(), AuditError> {
//! let audit = verify_log(node, trust, Start::Empty, &Options::default(), &mut |_| ())?;
//! let kept = audit.checkpoint; // Kept until the next time.
//! verify_log(node, trust, Start::Checkpoint(kept), &Options::default(), &mut |_| ())?;
//! # Ok(()) }
//! ```

mod node;
mod spot;

use serde::{Serialize, Serializer};
use tally_core::id::Digest;
use tally_core::notary::{CertificateError, ProofError, StateId, TrustBase, UnicityCertificate};
use tally_core::time::Time;
use tally_tree::ConsistencyError;

use self::node::{BlockReply, ConsistencyReply, HeightReply, ask, object};
use self::spot::Spots;

/// Longest answer that a [`Fetch`] should take, in bytes: a block of 50,000 leaves fits.
pub const MAX_ANSWER: usize = 64 << 20;

/// Most states that are looked up for one check.
pub const MAX_SPOTS: u16 = 1_000;

/// What a node answers that has no certificate for any block of a range.
const NO_CERTIFICATE: &str = "SERVICE_NOT_READY";

/// Posts a call to a node.
pub trait Fetch {
    /// The body of the node's answer to this body, of at most [`MAX_ANSWER`] bytes.
    ///
    /// # Errors
    /// What went wrong, in words.
    fn post(&mut self, json: &str) -> Result<String, String>;
}

/// A root that was verified: keep it, and go on from it later.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
pub struct Checkpoint {
    /// Number of the block.
    pub height: u64,
    /// Root after it; 64 hexadecimal digits where it is serialised.
    #[serde(serialize_with = "as_text")]
    pub root: Digest,
}

impl Checkpoint {
    /// The empty tree before block 1.
    pub const EMPTY: Self = Self { height: 0, root: Digest::new([0; 32]) };
}

/// Where a check begins.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Start {
    /// At the empty tree: all of history is checked.
    Empty,
    /// At a block, whose root is taken from its certificate.
    Height(u64),
    /// At a root that was verified before.
    Checkpoint(Checkpoint),
}

/// How to check.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Options {
    /// Up to which block; the latest one if none is named.
    pub to: Option<u64>,
    /// Whether to ask block by block, so that every certificate is checked and not only those at the ends
    /// of proofs. Slow, and the only way to notice a certificate of another root in between.
    pub every_certificate: bool,
    /// How many of the leaves that were seen, and how many states that nobody can have spent, are looked
    /// up in the end, as a wallet would; at most [`MAX_SPOTS`].
    pub spots: u16,
    /// Decides which. Unless it is random, a node can know where it will be looked at.
    pub seed: [u8; 32],
}

/// What was found to be in order; a report, where it is serialised.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Audit {
    /// The last root that was verified.
    #[serde(flatten)]
    pub checkpoint: Checkpoint,
    /// Reference time of its block; seconds where it is serialised.
    #[serde(serialize_with = "as_seconds")]
    pub time: Time,
    /// How many leaves were added on the way.
    pub leaves: u64,
    /// How many certificates were verified on the way.
    pub certificates: u64,
    /// How many leaves were looked up again, with a proof that they are in the tree.
    pub included: u64,
    /// How many states were looked up with a proof that they are unspent.
    pub excluded: u64,
}

/// Why a log is not verified. All but [`Fetch`](Self::Fetch) and [`Fault`](Self::Fault) are reasons to
/// distrust the node, and to show others what it answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The node could not be asked.
    #[error("the node did not answer: {0}: try again, or ask another node")]
    Fetch(String),
    /// The node answers that it cannot tell.
    #[error("the node refuses with {code}: {message}")]
    Fault {
        /// The stable word.
        code: String,
        /// In words.
        message: String,
    },
    /// The answer is not of the form that the interface has.
    #[error("the node's answer is malformed: {0}: ask another node")]
    Answer(String),
    /// The answer is about other blocks than those that were asked for.
    #[error("asked for blocks {from} to {to}, the node answers for others: ask another node")]
    Range {
        /// From here.
        from: u64,
        /// To there.
        to: u64,
    },
    /// A quorum does not vouch for a block.
    #[error("the certificate of block {height} is not valid: {error}")]
    Certificate {
        /// The block.
        height: u64,
        /// Why.
        error: CertificateError,
    },
    /// A quorum vouches for another root than the one that was verified before: history was changed.
    #[error(
        "block {height} had root {known} and is now certified with root {shown}: the network signed \
         two histories; keep both certificates, and rely on neither"
    )]
    Diverged {
        /// The block.
        height: u64,
        /// The root that was verified.
        known: Digest,
        /// The root that is shown now.
        shown: Digest,
    },
    /// The tree did not only grow.
    #[error(
        "up to block {height} the tree did not only grow by the leaves that are shown: {error}"
    )]
    Growth {
        /// The block after which the tree is shown.
        height: u64,
        /// Why.
        error: ConsistencyError,
    },
    /// What the log says of a state is not what the node proves to whoever looks it up.
    #[error("the node does not prove of state {state} what its log says: {error}")]
    Spot {
        /// The state.
        state: StateId,
        /// Why.
        error: ProofError,
    },
}

impl AuditError {
    /// Stable code of this error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Fetch(_) => "AUDIT_FETCH",
            Self::Fault { .. } => "AUDIT_FAULT",
            Self::Answer(_) => "AUDIT_ANSWER",
            Self::Range { .. } => "AUDIT_RANGE",
            Self::Certificate { .. } => "AUDIT_CERTIFICATE",
            Self::Diverged { .. } => "AUDIT_DIVERGED",
            Self::Growth { .. } => "AUDIT_GROWTH",
            Self::Spot { .. } => "AUDIT_SPOT",
        }
    }
}

/// Checks a node's log against a trust base, and tells `progress` of each root that is verified.
///
/// # Errors
/// [`AuditError`] for the first thing that is not in order.
pub fn verify_log(
    node: &mut (impl Fetch + ?Sized),
    trust: &TrustBase,
    start: Start,
    options: &Options,
    progress: &mut dyn FnMut(&Checkpoint),
) -> Result<Audit, AuditError> {
    let to = match options.to {
        Some(to) => to,
        None => latest(node)?,
    };
    let mut audit = begin(node, trust, start)?;
    let mut spots = Spots::new(options);
    if to < audit.checkpoint.height {
        return Err(AuditError::Range { from: audit.checkpoint.height, to });
    }
    while audit.checkpoint.height < to {
        let from = audit.checkpoint.height;
        let mut end = if options.every_certificate { from.saturating_add(1) } else { to };
        while !advance(node, trust, &mut audit, &mut spots, end)? {
            if end == to {
                return Err(AuditError::Range { from, to });
            }
            end += 1;
        }
        progress(&audit.checkpoint);
    }
    spots.look_up(node, trust, &mut audit)?;
    Ok(audit)
}

fn begin(
    node: &mut (impl Fetch + ?Sized),
    trust: &TrustBase,
    start: Start,
) -> Result<Audit, AuditError> {
    let none = Audit {
        checkpoint: Checkpoint::EMPTY,
        time: Time::from_unix(0),
        leaves: 0,
        certificates: 0,
        included: 0,
        excluded: 0,
    };
    let height = match start {
        Start::Empty | Start::Height(0) => return Ok(none),
        Start::Height(height) => height,
        Start::Checkpoint(checkpoint) if checkpoint.height == 0 => return Ok(none),
        Start::Checkpoint(checkpoint) => checkpoint.height,
    };
    let params = format!(r#"{{"blockNumber":{height}}}"#);
    let reply: BlockReply = ask(node, "get_block", &params)?;
    let (root, time) = certified(trust, height, &reply.block.unicity_certificate)?;
    match start {
        Start::Checkpoint(known) if known.root != root => {
            Err(AuditError::Diverged { height, known: known.root, shown: root })
        }
        _ => Ok(Audit { checkpoint: Checkpoint { height, root }, time, certificates: 1, ..none }),
    }
}

/// Verifies growth from where `audit` is to a block not after `end`; whether there is one. A node that was not
/// there when a block was certified has no certificate of it.
fn advance(
    node: &mut (impl Fetch + ?Sized),
    trust: &TrustBase,
    audit: &mut Audit,
    spots: &mut Spots,
    end: u64,
) -> Result<bool, AuditError> {
    let Checkpoint { height: from, root: known } = audit.checkpoint;
    let params = format!(r#"{{"from":{from},"to":{end}}}"#);
    let reply: ConsistencyReply = match ask(node, "get_consistency_proof", &params) {
        Err(AuditError::Fault { code, .. }) if from == 0 && code == NO_CERTIFICATE => {
            return Ok(false);
        }
        answered => answered?,
    };
    let to: u64 = reply.to.parse().map_err(|_| AuditError::Range { from, to: end })?;
    if to == from {
        return Ok(false);
    }
    if to < from || to > end {
        return Err(AuditError::Range { from, to: end });
    }
    let mut last = audit.checkpoint;
    for step in &reply.steps {
        let step = step.verify(&last, to)?;
        last = step.after;
        audit.leaves = audit.leaves.saturating_add(step.leaves.len() as u64);
        step.leaves.into_iter().for_each(|leaf| spots.offer(leaf));
    }
    let (root, time) = certified(trust, to, &reply.after)?;
    if root != last.root {
        return Err(AuditError::Diverged { height: to, known: last.root, shown: root });
    }
    // Whoever goes block by block also sees that each certificate names the root before it.
    if to == from.saturating_add(1) {
        let previous = object::<UnicityCertificate>(&reply.after)?.record.previous;
        if from > 0 && previous != Some(known) {
            let shown = previous.unwrap_or(Checkpoint::EMPTY.root);
            return Err(AuditError::Diverged { height: from, known, shown });
        }
    }
    audit.checkpoint = Checkpoint { height: to, root };
    audit.time = time;
    audit.certificates = audit.certificates.saturating_add(1);
    Ok(true)
}

fn latest(node: &mut (impl Fetch + ?Sized)) -> Result<u64, AuditError> {
    let reply: HeightReply = ask(node, "get_block_height", "{}")?;
    reply.block_number.parse().map_err(|_| AuditError::Answer("the height is no number".into()))
}

fn certified(
    trust: &TrustBase,
    height: u64,
    certificate: &str,
) -> Result<(Digest, Time), AuditError> {
    let root = object::<UnicityCertificate>(certificate)?
        .verify(trust)
        .map_err(|error| AuditError::Certificate { height, error })?;
    if root.round() != height {
        return Err(AuditError::Range { from: height, to: height });
    }
    Ok((root.root(), root.time()))
}

fn as_text<S: Serializer>(digest: &Digest, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(digest)
}

fn as_seconds<S: Serializer>(time: &Time, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(time.unix())
}
