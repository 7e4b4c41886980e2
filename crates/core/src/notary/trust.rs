//! State whom to believe: the validators of one network, and the part of it that certifies.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;

use super::certificate::ShardId;
use crate::cbor::{Decode, DecodeError, Encode, Reader, Writer};
use crate::id::{Digest, NetworkId};
use crate::keys::PublicKey;

/// Longest name of a validator, in bytes of UTF-8.
pub const MAX_NODE_ID: usize = 128;

/// Most validators of a network.
pub const MAX_NODES: usize = 256;

/// A validator's name. Names are ordered as their encodings are: the shorter first.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct NodeId(String);

impl NodeId {
    /// Takes a name.
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`] above [`MAX_NODE_ID`] bytes.
    pub fn new(name: &str) -> Result<Self, DecodeError> {
        if name.len() > MAX_NODE_ID {
            return Err(DecodeError::TooLarge);
        }
        Ok(Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Ord for NodeId {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.0.len(), &self.0).cmp(&(other.0.len(), &other.0))
    }
}

impl PartialOrd for NodeId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Encode for NodeId {
    fn encode(&self, w: &mut Writer) {
        w.text(&self.0);
    }
}

impl Decode for NodeId {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.text(MAX_NODE_ID).map(|name| Self(name.into()))
    }
}

/// A validator: its name, the key it signs seals with, and its weight.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct RootNode {
    /// Its name in a seal's signatures.
    pub id: NodeId,
    /// The key that checks them.
    pub key: PublicKey,
    /// Its weight in a quorum, not 0.
    pub stake: u64,
}

/// The part of a network that certifies Tally's states. It is pinned, so that no other application of
/// the same validators can pass its tree off as this one.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Partition {
    /// Its number in the network.
    pub id: u32,
    /// The shard of it: the empty one for a network that has a single tree.
    pub shard: ShardId,
    /// Hash of the shard's configuration.
    pub configuration: Digest,
}

/// Why a trust base makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustBaseError {
    /// No validators, or more than [`MAX_NODES`].
    #[error(
        "the trust base has no validators or too many: get it again from the network's operator"
    )]
    NodeCount,
    /// Two validators have one name.
    #[error("the trust base names a validator twice: get it again from the network's operator")]
    DuplicateId,
    /// Two validators have one key, and would be counted twice.
    #[error("two validators share a key: get the trust base again from the network's operator")]
    DuplicateKey,
    /// A validator has no weight, or all together have too much to count.
    #[error("a validator's stake is out of range: get the trust base again from the operator")]
    Stake,
    /// The threshold is not above two thirds of the stake, or is above all of it.
    #[error("the quorum is not above two thirds of the stake: do not use this trust base")]
    Quorum,
}

impl TrustBaseError {
    /// Stable code of this error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NodeCount => "TRUST_NODE_COUNT",
            Self::DuplicateId => "TRUST_DUPLICATE_ID",
            Self::DuplicateKey => "TRUST_DUPLICATE_KEY",
            Self::Stake => "TRUST_STAKE",
            Self::Quorum => "TRUST_QUORUM",
        }
    }
}

/// The validators of one network in one epoch, and how much of their stake makes a quorum (`WIRE-9`).
///
/// Whoever hands out a trust base decides what is certified: it must come from the network's operator by a
/// way that the owner trusts.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TrustBase {
    network: NetworkId,
    epoch: u64,
    partition: Partition,
    nodes: BTreeMap<NodeId, RootNode>,
    quorum: u64,
}

impl TrustBase {
    /// Checks and takes a trust base. `quorum` is the stake that must have signed.
    ///
    /// # Errors
    /// [`TrustBaseError`] when it could let a minority certify, or no majority.
    pub fn new(
        network: NetworkId,
        epoch: u64,
        partition: Partition,
        nodes: Vec<RootNode>,
        quorum: u64,
    ) -> Result<Self, TrustBaseError> {
        if nodes.is_empty() || nodes.len() > MAX_NODES {
            return Err(TrustBaseError::NodeCount);
        }
        let mut total = 0u64;
        let mut keys = BTreeSet::new();
        let mut by_id = BTreeMap::new();
        for node in nodes {
            if node.stake == 0 {
                return Err(TrustBaseError::Stake);
            }
            total = total.checked_add(node.stake).ok_or(TrustBaseError::Stake)?;
            if !keys.insert(node.key.clone()) {
                return Err(TrustBaseError::DuplicateKey);
            }
            if by_id.insert(node.id.clone(), node).is_some() {
                return Err(TrustBaseError::DuplicateId);
            }
        }
        if quorum > total || 3 * u128::from(quorum) <= 2 * u128::from(total) {
            return Err(TrustBaseError::Quorum);
        }
        Ok(Self { network, epoch, partition, nodes: by_id, quorum })
    }

    /// The network.
    pub fn network(&self) -> NetworkId {
        self.network
    }

    /// The epoch, in which the validators do not change.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The part of the network that certifies.
    pub fn partition(&self) -> &Partition {
        &self.partition
    }

    /// The stake that must have signed.
    pub fn quorum(&self) -> u64 {
        self.quorum
    }

    /// The validators, in the order of their names.
    pub fn nodes(&self) -> impl Iterator<Item = &RootNode> {
        self.nodes.values()
    }

    /// Whether validators of this stake together have an honest one among them, if those that are
    /// malicious have less than a third of all stake. Of 3f + 1 validators of one weight: f + 1.
    pub fn has_honest(&self, stake: u64) -> bool {
        let total = self.nodes.values().map(|node| u128::from(node.stake)).sum::<u128>();
        3 * u128::from(stake) >= total
    }

    /// The validator of this name.
    pub fn node(&self, id: &NodeId) -> Option<&RootNode> {
        self.nodes.get(id)
    }
}
