//! One proof for each rule, which breaks that rule and no other. Tests and vectors are made from this list.

use super::super::*;
use super::scene::{ROUND_AT, SPENT_AT, Scene, digest, seal, validator};
use crate::cbor::Blob;
use crate::id::NetworkId;
use crate::keys::Signature;
use crate::time::Time;

/// A proof that must be refused with `code`; for a bad certificate, the certificate's own code.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) code: &'static str,
    pub(super) proof: fn(&mut Scene) -> InclusionProof,
}

pub(super) const CASES: &[Case] = &[
    Case {
        name: "not_certified_yet",
        code: "NOT_CERTIFIED_YET",
        proof: |s| InclusionProof { leaf: None, ..s.proof() },
    },
    Case {
        name: "transaction_hash_mismatch",
        code: "TRANSACTION_HASH_MISMATCH",
        proof: double_spend,
    },
    Case {
        name: "certification_data_mismatch_of_the_predicate",
        code: "CERTIFICATION_DATA_MISMATCH",
        proof: other_owner,
    },
    Case {
        name: "certification_data_mismatch_of_the_source",
        code: "CERTIFICATION_DATA_MISMATCH",
        proof: other_source,
    },
    Case {
        name: "certification_data_mismatch_of_the_deadline",
        code: "CERTIFICATION_DATA_MISMATCH",
        proof: other_deadline,
    },
    Case {
        name: "request_expired",
        code: "REQUEST_EXPIRED",
        proof: |s| certified_at(s, SPENT_AT.plus(60), SPENT_AT.plus(99)),
    },
    Case {
        name: "reference_time_after_round",
        code: "REFERENCE_TIME_AFTER_ROUND",
        proof: |s| certified_at(s, ROUND_AT.plus(1), ROUND_AT),
    },
    Case { name: "path_invalid", code: "PATH_INVALID", proof: other_path },
    Case {
        name: "path_invalid_for_another_reference_time",
        code: "PATH_INVALID",
        proof: other_reference_time,
    },
    Case {
        name: "path_invalid_under_another_root",
        code: "PATH_INVALID",
        proof: |s| certified(s, |c| c.record.hash = digest(0x55)),
    },
    Case { name: "shard_id_mismatch", code: "SHARD_ID_MISMATCH", proof: other_shard_state },
    Case {
        name: "network_of_the_seal",
        code: "NOTARY_NETWORK",
        proof: |s| certified(s, |c| c.seal.network = NetworkId::new(4).unwrap()),
    },
    Case {
        name: "epoch_of_the_seal",
        code: "NOTARY_EPOCH",
        proof: |s| certified(s, |c| c.seal.epoch = 3),
    },
    Case {
        name: "partition_is_pinned",
        code: "NOTARY_PARTITION",
        proof: |s| certified(s, |c| c.partition.id = 6),
    },
    Case { name: "shard_is_pinned", code: "NOTARY_SHARD", proof: whole_shard },
    Case {
        name: "configuration_is_pinned",
        code: "NOTARY_CONFIGURATION",
        proof: |s| certified(s, |c| c.configuration = digest(0x55)),
    },
    Case {
        name: "record_of_round_zero",
        code: "NOTARY_RECORD",
        proof: |s| certified(s, |c| c.record.round = 0),
    },
    Case {
        name: "record_without_block",
        code: "NOTARY_RECORD",
        proof: |s| certified(s, |c| c.record.block = None),
    },
    Case {
        name: "record_of_no_change_with_a_block",
        code: "NOTARY_RECORD",
        proof: |s| certified(s, |c| c.record.previous = Some(c.record.hash)),
    },
    Case {
        name: "seal_of_round_zero",
        code: "NOTARY_RECORD",
        proof: |s| certified(s, |c| c.seal.round = 0),
    },
    Case {
        name: "seal_before_its_round",
        code: "NOTARY_RECORD",
        proof: |s| certified(s, |c| c.seal.timestamp = Time::from_unix(ROUND_AT.unix() - 1)),
    },
    Case { name: "seal_hash_mismatch", code: "NOTARY_SEAL_HASH", proof: other_technical_hash },
    Case {
        name: "signature_of_a_known_validator_is_wrong",
        code: "NOTARY_SIGNATURE",
        proof: wrong_signature,
    },
    Case { name: "quorum_not_reached", code: "NOTARY_QUORUM", proof: |s| signed_by(s, &[0, 2]) },
    Case {
        name: "quorum_not_reached_by_strangers",
        code: "NOTARY_QUORUM",
        proof: |s| signed_by(s, &[0, 1, 4, 5, 6, 7]),
    },
    Case { name: "quorum_not_reached_without_signatures", code: "NOTARY_QUORUM", proof: unsigned },
    Case {
        name: "not_authenticated",
        code: "NOT_AUTHENTICATED",
        proof: |s| unlocked_by(s, |b| b[0] ^= 1),
    },
    Case {
        name: "not_authenticated_by_a_short_signature",
        code: "NOT_AUTHENTICATED",
        proof: |s| unlocked_by(s, |b| b.truncate(64)),
    },
];

fn certified(scene: &mut Scene, edit: impl FnOnce(&mut UnicityCertificate)) -> InclusionProof {
    InclusionProof { certificate: scene.certificate(edit), ..scene.proof() }
}

/// The certificate is honest, the leaf is changed.
fn with_leaf(scene: &mut Scene, edit: impl FnOnce(&mut LeafProof)) -> InclusionProof {
    let mut proof = scene.proof();
    edit(proof.leaf.as_mut().expect("the scene's proof has a leaf"));
    proof
}

/// A notary that certified this spend instead of the one that is asked for.
fn instead(scene: &mut Scene, data: CertificationData) -> InclusionProof {
    scene.tree = tally_tree::Tree::new();
    scene.add(&data, SPENT_AT);
    InclusionProof {
        leaf: Some(scene.leaf(&data, SPENT_AT)),
        certificate: scene.certificate(|_| ()),
    }
}

fn double_spend(scene: &mut Scene) -> InclusionProof {
    let d = scene.data.clone();
    let other = TransactionHash::new([0x78; 32]);
    instead(scene, CertificationData::signed(&scene.owner, d.source, other, d.expires_at))
}

fn other_owner(scene: &mut Scene) -> InclusionProof {
    let key = validator(0).1;
    let d = scene.data.clone();
    instead(scene, CertificationData::signed(&key, d.source, d.transaction, d.expires_at))
}

fn other_source(scene: &mut Scene) -> InclusionProof {
    let d = scene.data.clone();
    let source = StateHash::new([0xee; 32]);
    instead(scene, CertificationData::signed(&scene.owner, source, d.transaction, d.expires_at))
}

fn other_deadline(scene: &mut Scene) -> InclusionProof {
    let d = scene.data.clone();
    instead(scene, CertificationData { expires_at: None, ..d })
}

/// The spend is in the tree, but as of `reference`, in a round at `round`.
fn certified_at(scene: &mut Scene, reference: Time, round: Time) -> InclusionProof {
    let data = scene.data.clone();
    scene.tree = tally_tree::Tree::new();
    scene.add(&data, reference);
    let certificate = scene.certificate(|c| {
        c.record.timestamp = round;
        c.seal.timestamp = round;
    });
    InclusionProof { leaf: Some(scene.leaf(&data, reference)), certificate }
}

fn other_path(scene: &mut Scene) -> InclusionProof {
    let other = CertificationData::signed(
        &scene.owner,
        StateHash::new([0xcc; 32]),
        scene.data.transaction,
        None,
    );
    let certificate = scene.certificate(|_| ());
    scene.add(&other, SPENT_AT);
    let leaf = scene.leaf(&scene.data, SPENT_AT);
    let path = scene.leaf(&other, SPENT_AT).path;
    InclusionProof { leaf: Some(LeafProof { path, ..leaf }), certificate }
}

fn other_reference_time(scene: &mut Scene) -> InclusionProof {
    with_leaf(scene, |leaf| leaf.reference_time = leaf.reference_time.plus(1))
}

/// The certified shard holds a state of the other one.
fn other_shard_state(scene: &mut Scene) -> InclusionProof {
    scene.data = Scene::spend_in(&scene.owner, false, None);
    let data = scene.data.clone();
    instead(scene, data)
}

/// The root is certified as that of the whole tree.
fn whole_shard(scene: &mut Scene) -> InclusionProof {
    certified(scene, |c| {
        c.shard =
            ShardTreeCertificate::new(ShardId::whole(), [].into()).expect("no bits, no siblings");
    })
}

/// The seal is honest, but not about this round.
fn other_technical_hash(scene: &mut Scene) -> InclusionProof {
    let mut proof = scene.proof();
    proof.certificate.technical = None;
    proof
}

/// Three validators signed, and a fourth one's signature is another's.
fn wrong_signature(scene: &mut Scene) -> InclusionProof {
    let mut proof = scene.proof();
    let signatures = proof.certificate.seal.signatures.get_or_insert_default();
    let borrowed = signatures.values().next().cloned().unwrap_or(Signature::secp256k1([0; 65]));
    signatures.insert(validator(3).0, borrowed);
    proof
}

fn signed_by(scene: &mut Scene, signers: &[u8]) -> InclusionProof {
    let mut proof = scene.proof();
    seal(&mut proof.certificate, signers);
    proof
}

fn unsigned(scene: &mut Scene) -> InclusionProof {
    let mut proof = scene.proof();
    proof.certificate.seal.signatures = None;
    proof
}

fn unlocked_by(scene: &mut Scene, edit: impl FnOnce(&mut alloc::vec::Vec<u8>)) -> InclusionProof {
    with_leaf(scene, |leaf| {
        let mut unlock = leaf.data.unlock.as_slice().to_vec();
        edit(&mut unlock);
        leaf.data.unlock = Blob::new(unlock).expect("not longer than it was");
    })
}
