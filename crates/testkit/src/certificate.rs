//! Make the certificate of a round.

use alloc::vec::Vec;

use tally_core::cbor::Blob;
use tally_core::id::{Digest, NetworkId};
use tally_core::notary::{
    InputRecord, Partition, ShardId, ShardTreeCertificate, UnicityCertificate, UnicitySeal,
    UnicityTreeCertificate,
};
use tally_core::time::Time;

use crate::network::{node_key, node_name};

/// The one partition of the network.
pub fn partition() -> Partition {
    Partition { id: 7, shard: ShardId::whole(), configuration: Digest::new([9; 32]) }
}

/// A certificate of a root, signed by these validators.
pub fn certificate(round: u64, root: Digest, at: Time, signers: &[usize]) -> UnicityCertificate {
    let signers: Vec<(usize, usize)> = signers.iter().map(|signer| (*signer, *signer)).collect();
    certificate_with(round, root, at, |_| {}, &signers)
}

/// The same, altered before anybody signs it. Of each signature, whose name it is under and whose key
/// it is by. What the seal is on is made anew unless it was altered.
pub fn certificate_with(
    round: u64,
    root: Digest,
    at: Time,
    alter: impl FnOnce(&mut UnicityCertificate),
    signers: &[(usize, usize)],
) -> UnicityCertificate {
    let pinned = partition();
    let unset = Digest::new([0; 32]);
    let record = InputRecord {
        round,
        epoch: 1,
        // No root: as if each round had changed something.
        previous: Some(Digest::new([0x33; 32])),
        hash: root,
        summary: Blob::default(),
        timestamp: at,
        block: Some(Digest::new([5; 32])),
        fees: 0,
        executed: None,
    };
    let seal = UnicitySeal {
        network: NetworkId::LOCAL,
        round,
        epoch: 1,
        timestamp: at,
        previous: Some(unset),
        hash: unset,
        signatures: None,
    };
    let mut certificate = UnicityCertificate {
        record,
        technical: Some(unset),
        configuration: pinned.configuration,
        shard: ShardTreeCertificate::new(pinned.shard, Vec::new()).expect("the whole"),
        partition: UnicityTreeCertificate { id: pinned.id, steps: Default::default() },
        seal,
    };
    alter(&mut certificate);
    if certificate.seal.hash == unset {
        certificate.seal.hash = certificate.root();
    }
    for (name, key) in signers {
        certificate.seal.sign(node_name(*name), &node_key(*key));
    }
    certificate
}
