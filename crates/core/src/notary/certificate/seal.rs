//! The validators' signatures on the root of all partitions.

use alloc::collections::BTreeMap;

use super::super::trust::NodeId;
use super::super::version;
use crate::cbor::{Decode, DecodeError, Encode, Reader, Writer};
use crate::hash::sha256;
use crate::id::{Digest, NetworkId};
use crate::keys::{SecretKey, Signature};
use crate::time::Time;

/// Most signatures of a seal.
pub const MAX_SIGNATURES: usize = 256;

const TAG: u64 = 39005;
const VERSION: u64 = 1;

/// The root of all partitions, and who signed it:
/// `39005([1, network, round, epoch, timestamp, previous, hash, {node: signature}])`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct UnicitySeal {
    /// The network.
    pub network: NetworkId,
    /// The validators' round, not a shard's.
    pub round: u64,
    /// The epoch, in which the validators do not change.
    pub epoch: u64,
    /// When the round was sealed.
    pub timestamp: Time,
    /// Hash of the seal before.
    pub previous: Option<Digest>,
    /// The root.
    pub hash: Digest,
    /// The signatures; none while it is being signed. A map, so no validator signs twice.
    pub signatures: Option<BTreeMap<NodeId, Signature>>,
}

impl UnicitySeal {
    /// What each validator signs: the hash of the seal without signatures (`WIRE-11`).
    pub fn signed_digest(&self) -> Digest {
        let mut w = Writer::new();
        self.encode_fields(&mut w);
        w.null();
        Digest::new(sha256(&w.into_bytes()))
    }

    /// Adds a validator's signature, in place of an older one of its own.
    pub fn sign(&mut self, node: NodeId, key: &SecretKey) {
        let signature = key.sign(&self.signed_digest());
        self.signatures.get_or_insert_default().insert(node, signature);
    }

    fn encode_fields(&self, w: &mut Writer) {
        w.tag(TAG);
        w.array(8);
        w.uint(VERSION);
        self.network.encode(w);
        w.uint(self.round);
        w.uint(self.epoch);
        self.timestamp.encode(w);
        self.previous.encode(w);
        self.hash.encode(w);
    }
}

impl Encode for UnicitySeal {
    fn encode(&self, w: &mut Writer) {
        self.encode_fields(w);
        let Some(signatures) = &self.signatures else {
            return w.null();
        };
        w.map(signatures.len() as u64);
        for (node, signature) in signatures {
            node.encode(w);
            signature.encode(w);
        }
    }
}

impl Decode for UnicitySeal {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.tagged(TAG, |r| {
            r.record(8, |r| {
                version(r, VERSION)?;
                Ok(Self {
                    network: Decode::decode(r)?,
                    round: Decode::decode(r)?,
                    epoch: Decode::decode(r)?,
                    timestamp: Decode::decode(r)?,
                    previous: Decode::decode(r)?,
                    hash: Decode::decode(r)?,
                    signatures: signatures(r)?,
                })
            })
        })
    }
}

fn signatures(r: &mut Reader<'_>) -> Result<Option<BTreeMap<NodeId, Signature>>, DecodeError> {
    if r.null()? {
        return Ok(None);
    }
    let pairs = r.map(MAX_SIGNATURES, NodeId::decode, Signature::decode)?;
    Ok(Some(pairs.into_iter().collect()))
}
