//! Four validators that certify whatever spends a test gives them.

use alloc::vec::Vec;

use tally_tree::Tree;

use super::super::*;
use crate::cbor::Blob;
use crate::id::{Digest, NetworkId};
use crate::keys::SecretKey;
use crate::notary::{
    InputRecord, LeafValue, NodeId, Partition, RootNode, ShardId, ShardTreeCertificate, StateHash,
    StateId, TransactionHash, TreeStep, TrustBase, UnicitySeal, UnicityTreeCertificate,
};
use crate::predicate::Predicate;

/// One spend to certify: what locks the state, the state, and the transaction.
pub(crate) type Spent = (Predicate, CoinId, TxId);

fn validator(i: u8) -> (NodeId, SecretKey) {
    let name = alloc::format!("validator-{i}");
    (NodeId::new(&name).expect("short"), SecretKey::new([0x60 + i; 32]).expect("a scalar"))
}

fn partition() -> Partition {
    let shard = ShardId::from_wire(&[0x80]).expect("the whole");
    Partition { id: 7, shard, configuration: Digest::new([8; 32]) }
}

pub(crate) fn trust_base() -> TrustBase {
    let node = |(id, key): (NodeId, SecretKey)| RootNode { id, key: key.public(), stake: 1 };
    let nodes = (0..4).map(validator).map(node).collect();
    TrustBase::new(NetworkId::LOCAL, 2, partition(), nodes, 3).expect("a good trust base")
}

/// Certifies `spends` at `time` in one round, sealed by so many validators.
pub(crate) fn certify(
    spends: &[Spent],
    time: Time,
    signers: u8,
) -> (UnicityCertificate, Vec<Certification>) {
    let mut tree = Tree::new();
    let state = |(owner, coin, _): &Spent| StateId::of(&owner.to_wire(), &StateHash::from(*coin));
    for spent in spends {
        let value = LeafValue::of(&TransactionHash::from(spent.2), time);
        tree.insert(state(spent).into(), value.into()).expect("one spend a state");
    }
    let certificate = sealed(Digest::new(*tree.root().as_bytes()), time, signers);
    let certification = |spent: &Spent| Certification {
        time,
        path: tree.prove(&state(spent).into()).expect("it is there"),
        certificate: 0,
    };
    (certificate, spends.iter().map(certification).collect())
}

fn sealed(root: Digest, time: Time, signers: u8) -> UnicityCertificate {
    let pinned = partition();
    let record = InputRecord {
        round: 12,
        epoch: 1,
        previous: Some(Digest::new([1; 32])),
        hash: root,
        summary: Blob::default(),
        timestamp: time,
        block: Some(Digest::new([2; 32])),
        fees: 0,
        executed: None,
    };
    let seal = UnicitySeal {
        network: NetworkId::LOCAL,
        round: 30,
        epoch: 2,
        timestamp: time.plus(1),
        previous: Some(Digest::new([5; 32])),
        hash: Digest::new([0; 32]),
        signatures: None,
    };
    let step = TreeStep { key: 9, hash: Digest::new([3; 32]) };
    let mut certificate = UnicityCertificate {
        record,
        technical: Some(Digest::new([6; 32])),
        configuration: pinned.configuration,
        shard: ShardTreeCertificate::new(pinned.shard, Vec::new()).expect("no siblings"),
        partition: UnicityTreeCertificate {
            id: pinned.id,
            steps: List::new([step].into()).expect("short"),
        },
        seal,
    };
    certificate.seal.hash = certificate.root();
    for i in 0..signers {
        let (id, key) = validator(i);
        certificate.seal.sign(id, &key);
    }
    certificate
}
