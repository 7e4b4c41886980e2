//! Turn a final block into a certificate: one signature of each validator, two thirds of them together.
//!
//! What a validator signs follows from the chain of blocks alone, so all honest validators sign the
//! same, and one that signs a height again signs the same bytes.

use std::collections::BTreeMap;
use std::fmt;

use tally_core::cbor::{Blob, DecodeError, List, Reader, Writer, from_bytes, to_bytes};
use tally_core::cbor::{Decode, Encode};
use tally_core::id::Digest;
use tally_core::keys::{SecretKey, Signature};
use tally_core::notary::{
    InputRecord, NodeId, Presence, ShardTreeCertificate, TrustBase, UnicityCertificate,
    UnicitySeal, UnicityTreeCertificate,
};

use crate::block::BlockHash;
use crate::block::Header;

/// How far ahead of the last block that is final here signatures are kept.
pub const MAX_AHEAD: u64 = 256;

/// How many heights may be open at once; older ones are given up.
pub const MAX_OPEN: usize = 256;

/// The certificate of a block, without signatures yet (`CERT-1`). `previous` is the hash of the seal of
/// the block before, zeros for the first.
///
/// # Errors
/// [`DecodeError`] if the network's shard is not the only one of its partition.
pub fn unsigned(
    trust: &TrustBase,
    header: &Header,
    hash: BlockHash,
    previous: Digest,
) -> Result<UnicityCertificate, DecodeError> {
    let pinned = trust.partition();
    let changed = header.previous != header.root;
    let record = InputRecord {
        round: header.height,
        epoch: trust.epoch(),
        previous: Some(header.previous),
        hash: header.root,
        summary: Blob::default(),
        timestamp: header.time,
        block: changed.then_some(hash.digest()),
        fees: 0,
        executed: None,
    };
    let seal = UnicitySeal {
        network: trust.network(),
        round: header.height,
        epoch: trust.epoch(),
        timestamp: header.time,
        previous: Some(previous),
        hash: Digest::new([0; 32]),
        signatures: None,
    };
    let mut certificate = UnicityCertificate {
        record,
        technical: Some(Digest::new([0; 32])),
        configuration: pinned.configuration,
        shard: ShardTreeCertificate::new(pinned.shard.clone(), Vec::new())?,
        partition: UnicityTreeCertificate { id: pinned.id, steps: List::default() },
        seal,
    };
    certificate.seal.hash = certificate.root();
    Ok(certificate)
}

/// What a validator signs seals with. It shows nothing of its key.
#[derive(Clone)]
pub struct Sealer {
    node: NodeId,
    key: SecretKey,
}

impl Sealer {
    /// A sealer of the validator of this name.
    pub fn new(node: NodeId, key: SecretKey) -> Self {
        Self { node, key }
    }

    /// Its name.
    pub fn node(&self) -> &NodeId {
        &self.node
    }

    /// Signs a certificate's seal. To be called only when the block is durable.
    pub fn sign(&self, certificate: &UnicityCertificate) -> Signature {
        self.key.sign(&certificate.seal.signed_digest())
    }

    /// Answers a client's nonce, with the latest certificate.
    pub fn presence(&self, nonce: &Digest, certificate: UnicityCertificate) -> Presence {
        Presence::sign(self.node.clone(), &self.key, nonce, certificate)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealer({})", self.node)
    }
}

/// What validators tell each other about certificates.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SealMessage {
    /// The sender's signature on the seal of a height.
    Share(u64, Signature),
    /// A question for the certificate of a height.
    Want(u64),
    /// An answer.
    Certificate(Box<UnicityCertificate>),
}

impl SealMessage {
    /// Reads exactly one message.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        from_bytes(bytes)
    }

    /// The message's bytes.
    pub fn encode(&self) -> Vec<u8> {
        to_bytes(self)
    }
}

impl Encode for SealMessage {
    fn encode(&self, w: &mut Writer) {
        match self {
            Self::Share(height, signature) => {
                w.array(3);
                w.uint(0);
                w.uint(*height);
                signature.encode(w);
            }
            Self::Want(height) => {
                w.array(2);
                w.uint(1);
                w.uint(*height);
            }
            Self::Certificate(certificate) => {
                w.array(2);
                w.uint(2);
                certificate.encode(w);
            }
        }
    }
}

impl Decode for SealMessage {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.variant(|r, kind, rest| match (kind, rest) {
            (0, 2) => Ok(Self::Share(r.uint()?, Signature::decode(r)?)),
            (1, 1) => Ok(Self::Want(r.uint()?)),
            (2, 1) => Ok(Self::Certificate(Box::new(Decode::decode(r)?))),
            (0..=2, _) => Err(DecodeError::WrongLength),
            _ => Err(DecodeError::Unknown),
        })
    }
}

/// Collects signatures until two thirds of the stake have signed.
#[derive(Debug)]
pub struct Collector {
    trust: TrustBase,
    /// Signatures up to here come too late to wait for a block: it was opened, or is certified.
    passed: u64,
    open: BTreeMap<u64, UnicityCertificate>,
    early: BTreeMap<u64, BTreeMap<NodeId, Signature>>,
    signed: BTreeMap<NodeId, u64>,
}

impl Collector {
    /// A collector for these validators, who have certified up to height `newest`.
    pub fn new(trust: TrustBase, newest: u64) -> Self {
        let (open, early, signed) = Default::default();
        Self { trust, passed: newest, open, early, signed }
    }

    /// The validators.
    pub fn trust(&self) -> &TrustBase {
        &self.trust
    }

    /// The latest height that each validator is known to have signed.
    pub fn signed(&self) -> &BTreeMap<NodeId, u64> {
        &self.signed
    }

    /// Opens a height whose block is final here. The certificate, if signatures enough were waiting.
    pub fn open(&mut self, unsigned: UnicityCertificate) -> Option<UnicityCertificate> {
        let height = unsigned.record.round;
        let waiting = self.early.remove(&height).unwrap_or_default();
        self.pass(height);
        self.open.insert(height, unsigned);
        while self.open.len() > MAX_OPEN {
            self.open.pop_first();
        }
        let shares =
            waiting.into_iter().filter_map(|(node, share)| self.share(height, node, share));
        shares.last()
    }

    /// Takes a validator's signature. The certificate, if it was the one that was missing.
    pub fn share(
        &mut self,
        height: u64,
        node: NodeId,
        share: Signature,
    ) -> Option<UnicityCertificate> {
        let key = &self.trust.node(&node)?.key;
        let Some(open) = self.open.get_mut(&height) else {
            if height > self.passed && height - self.passed <= MAX_AHEAD {
                self.early.entry(height).or_default().insert(node, share);
            }
            return None;
        };
        if !key.verify(&open.seal.signed_digest(), &share) {
            return None;
        }
        let last = self.signed.entry(node.clone()).or_default();
        *last = height.max(*last);
        let signatures = open.seal.signatures.get_or_insert_default();
        signatures.insert(node, share);
        let stakes = signatures.keys().filter_map(|node| self.trust.node(node)).map(|n| n.stake);
        if stakes.sum::<u64>() < self.trust.quorum() {
            return None;
        }
        let certificate = self.open.remove(&height)?;
        self.pass(height);
        Some(certificate)
    }

    /// Takes a certificate that somebody else collected, if it holds and its height is open.
    pub fn take(&mut self, certificate: UnicityCertificate) -> Option<UnicityCertificate> {
        let height = certificate.record.round;
        self.open.get(&height).filter(|open| open.record == certificate.record)?;
        certificate.verify(&self.trust).ok()?;
        self.open.remove(&height);
        self.pass(height);
        Some(certificate)
    }

    fn pass(&mut self, height: u64) {
        self.passed = height.max(self.passed);
        self.early = self.early.split_off(&self.passed.saturating_add(1));
    }
}

#[cfg(test)]
mod tests;
