//! A network of four validators and a spend that three of them certify, to be bent by the tests.

use alloc::vec::Vec;

use tally_tree::Tree;

use super::super::*;
use crate::cbor::{Blob, List};
use crate::hash::sha256;
use crate::id::{Digest, NetworkId};
use crate::keys::SecretKey;
use crate::time::Time;

/// Reference time of the spend.
pub(super) const SPENT_AT: Time = Time::from_unix(1_800_000_000);
/// Reference time of the round that certifies it.
pub(super) const ROUND_AT: Time = Time::from_unix(1_800_000_005);

pub(super) struct Scene {
    pub(super) owner: SecretKey,
    pub(super) trust: TrustBase,
    /// The tree that is certified.
    pub(super) tree: Tree,
    /// The spend that is in it.
    pub(super) data: CertificationData,
}

pub(super) fn validator(i: u8) -> (NodeId, SecretKey) {
    let name = alloc::format!("validator-{i}");
    (NodeId::new(&name).unwrap(), SecretKey::new([0x40 + i; 32]).unwrap())
}

pub(super) fn nodes() -> Vec<RootNode> {
    (0..4).map(validator).map(|(id, key)| RootNode { id, key: key.public(), stake: 1 }).collect()
}

pub(super) fn digest(byte: u8) -> Digest {
    Digest::new([byte; 32])
}

pub(super) fn partition() -> Partition {
    Partition { id: 7, shard: ShardId::from_wire(&[0xc0]).unwrap(), configuration: digest(8) }
}

impl Scene {
    pub(super) fn new() -> Self {
        let owner = SecretKey::new([0x22; 32]).unwrap();
        let trust = TrustBase::new(NetworkId::LOCAL, 2, partition(), nodes(), 3).unwrap();
        let data = Self::spend_in(&owner, true, Some(SPENT_AT.plus(60)));
        let mut scene = Self { owner, trust, tree: Tree::new(), data };
        for i in 0..50u8 {
            scene.tree.insert(sha256(&[i]).into(), [i; 32].into()).unwrap();
        }
        let data = scene.data.clone();
        scene.add(&data, SPENT_AT);
        scene
    }

    /// A signed spend whose state id begins with the bit `first`.
    pub(super) fn spend_in(
        owner: &SecretKey,
        first: bool,
        expires_at: Option<Time>,
    ) -> CertificationData {
        let transaction = TransactionHash::new([0x77; 32]);
        (0..=u8::MAX)
            .map(|i| {
                CertificationData::signed(owner, StateHash::new([i; 32]), transaction, expires_at)
            })
            .find(|data| (data.spend().state_id().as_bytes()[0] >= 0x80) == first)
            .expect("half of all state ids begin with either bit")
    }

    /// Puts a spend into the tree as a notary would.
    pub(super) fn add(&mut self, data: &CertificationData, at: Time) {
        let value = LeafValue::of(&data.transaction, at);
        self.tree.insert(data.spend().state_id().into(), value.into()).unwrap();
    }

    pub(super) fn leaf(&self, data: &CertificationData, reference_time: Time) -> LeafProof {
        let path = self.tree.prove(&data.spend().state_id().into()).unwrap();
        LeafProof { data: data.clone(), reference_time, path }
    }

    /// What an honest notary answers about the spend.
    pub(super) fn proof(&self) -> InclusionProof {
        InclusionProof {
            leaf: Some(self.leaf(&self.data, SPENT_AT)),
            certificate: self.certificate(|_| ()),
        }
    }

    /// The certificate of the tree, after `edit`, sealed by the first three validators.
    pub(super) fn certificate(
        &self,
        edit: impl FnOnce(&mut UnicityCertificate),
    ) -> UnicityCertificate {
        let mut certificate = self.unsealed();
        edit(&mut certificate);
        seal(&mut certificate, &[0, 1, 2]);
        certificate
    }

    fn unsealed(&self) -> UnicityCertificate {
        let root = Digest::new(*self.tree.root().as_bytes());
        let record = InputRecord {
            round: 12,
            epoch: 1,
            previous: Some(digest(1)),
            hash: root,
            summary: Blob::default(),
            timestamp: ROUND_AT,
            block: Some(digest(2)),
            fees: 0,
            executed: None,
        };
        let steps = [(9, 3), (3, 4)].map(|(key, byte)| TreeStep { key, hash: digest(byte) });
        let pinned = partition();
        let seal = UnicitySeal {
            network: NetworkId::LOCAL,
            round: 30,
            epoch: 2,
            timestamp: ROUND_AT.plus(1),
            previous: Some(digest(5)),
            hash: digest(0),
            signatures: None,
        };
        UnicityCertificate {
            record,
            technical: Some(digest(6)),
            configuration: pinned.configuration,
            shard: ShardTreeCertificate::new(pinned.shard, [digest(9)].into()).unwrap(),
            partition: UnicityTreeCertificate {
                id: pinned.id,
                steps: List::new(steps.into()).unwrap(),
            },
            seal,
        }
    }
}

/// Seals whatever the certificate says, by these validators only.
pub(super) fn seal(certificate: &mut UnicityCertificate, signers: &[u8]) {
    certificate.seal.hash = certificate.root();
    certificate.seal.signatures = None;
    for i in signers {
        let (id, key) = validator(*i);
        certificate.seal.sign(id, &key);
    }
}
