//! Give results the shapes of the wire format and of `openapi.json`.
//!
//! Numbers that may pass 2^53 are decimal text, as upstream has them; bytes are hexadecimal text.

use serde::Serialize;
use tally_core::cbor::{Encode, Reader, to_bytes};
use tally_core::fork::{ForkKind, ForkProof};
use tally_core::id::Digest;
use tally_core::notary::{CertificationData, Presence, ShardId, UnicityCertificate};
use tally_core::time::Time;

use crate::backend::{
    Block, Conflict, Consistency, Exclusion, ForkReceipt, Growth, Outcome, Page, Record, Status,
    SubmitError,
};
use crate::hex::encode as hex;

fn object<T: Encode>(object: &T) -> String {
    hex(&to_bytes(object))
}

fn millis(time: Time) -> String {
    u128::from(time.unix()).saturating_mul(1_000).to_string()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Certification {
    status: &'static str,
    certified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    block_number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction_hash: Option<String>,
}

impl Certification {
    fn status(status: &'static str) -> Self {
        Self {
            status,
            certified: false,
            block_number: None,
            state_id: None,
            transaction_hash: None,
        }
    }

    /// The result of a request, where it has one: some refusals are faults instead.
    pub(super) fn of(outcome: Result<Outcome, SubmitError>) -> Result<Self, SubmitError> {
        Ok(match outcome {
            Ok(Outcome::Certified { height }) => {
                let block_number = Some(height.to_string());
                Self { certified: true, block_number, ..Self::status("SUCCESS") }
            }
            Ok(Outcome::Queued) => Self::status("SUCCESS"),
            Ok(Outcome::Refused(Conflict { state, winner })) => Self {
                state_id: Some(state.to_string()),
                transaction_hash: Some(winner.to_string()),
                ..Self::status("STATE_ID_EXISTS")
            },
            Err(SubmitError::Invalid { state, error }) => {
                Self { state_id: Some(state.to_string()), ..Self::status(error.code()) }
            }
            Err(error @ SubmitError::NotReady) => Self::status(error.code()),
            Err(other) => return Err(other),
        })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Height {
    pub(super) block_number: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase", untagged)]
pub(super) enum Exclusions {
    #[serde(rename_all = "camelCase")]
    Unspent {
        spent: bool,
        block_number: String,
        exclusion_certificate: String,
        unicity_certificate: String,
    },
    #[serde(rename_all = "camelCase")]
    Spent { spent: bool, block_number: String, inclusion_proof: String },
}

impl From<Exclusion> for Exclusions {
    fn from(exclusion: Exclusion) -> Self {
        match exclusion {
            Exclusion::Unspent { path, certificate } => Self::Unspent {
                spent: false,
                block_number: certificate.record.round.to_string(),
                exclusion_certificate: hex(&path.encode()),
                unicity_certificate: object(&*certificate),
            },
            Exclusion::Spent(proof) => Self::Spent {
                spent: true,
                block_number: proof.block_number.to_string(),
                inclusion_proof: object(&*proof),
            },
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PresenceShape {
    node_id: String,
    block_number: String,
    presence: String,
}

impl From<Presence> for PresenceShape {
    fn from(presence: Presence) -> Self {
        Self {
            node_id: presence.node.to_string(),
            block_number: presence.certificate.record.round.to_string(),
            presence: object(&presence),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Consistent {
    from: String,
    to: String,
    before: Option<String>,
    after: String,
    steps: Vec<Step>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Step {
    block_number: String,
    root_hash: String,
    leaves: String,
    proof: String,
}

impl From<&Growth> for Step {
    fn from(growth: &Growth) -> Self {
        let mut leaves = Vec::with_capacity(64 * growth.leaves.len());
        for (key, value) in &growth.leaves {
            leaves.extend_from_slice(key.as_bytes());
            leaves.extend_from_slice(value.as_bytes());
        }
        Self {
            block_number: growth.height.to_string(),
            root_hash: growth.root.to_string(),
            leaves: hex(&leaves),
            proof: hex(growth.proof.as_bytes()),
        }
    }
}

impl From<&Consistency> for Consistent {
    fn from(consistency: &Consistency) -> Self {
        let round = |c: &UnicityCertificate| c.record.round.to_string();
        Self {
            from: consistency.before.as_ref().map_or_else(|| "0".into(), round),
            to: round(&consistency.after),
            before: consistency.before.as_ref().map(object),
            after: object(&consistency.after),
            steps: consistency.steps.iter().map(Step::from).collect(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NoDeletion {
    no_deletion_proof: NoDeletionProof,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NoDeletionProof {
    proof: String,
    created_at: String,
    consistency: Consistent,
}

impl From<&Consistency> for NoDeletion {
    fn from(consistency: &Consistency) -> Self {
        let proofs: Vec<u8> =
            consistency.steps.iter().flat_map(|step| step.proof.encode()).collect();
        Self {
            no_deletion_proof: NoDeletionProof {
                proof: hex(&proofs),
                created_at: millis(consistency.after.record.timestamp),
                consistency: consistency.into(),
            },
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BlockReply {
    block: BlockShape,
    total_commitments: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BlockShape {
    index: String,
    chain_id: String,
    shard_id: u64,
    version: &'static str,
    fork_id: &'static str,
    root_hash: String,
    previous_block_hash: String,
    no_deletion_proof_hash: &'static str,
    created_at: String,
    unicity_certificate: String,
    hash: String,
    parent_hash: String,
    refused: String,
}

impl From<&Block> for BlockReply {
    fn from(block: &Block) -> Self {
        let record = &block.certificate.record;
        let empty = Digest::new([0; 32]);
        let block_shape = BlockShape {
            index: block.number.to_string(),
            chain_id: block.certificate.seal.network.to_string(),
            shard_id: shard_number(block.certificate.shard.id()),
            version: "1.0.0",
            fork_id: "tally",
            root_hash: record.hash.to_string(),
            previous_block_hash: record.previous.unwrap_or(empty).to_string(),
            no_deletion_proof_hash: "",
            created_at: millis(block.time),
            unicity_certificate: object(&block.certificate),
            hash: block.hash.to_string(),
            parent_hash: block.parent.to_string(),
            refused: block.refused.to_string(),
        };
        Self { block: block_shape, total_commitments: block.certified.to_string() }
    }
}

/// A shard id as a number: 0 for the whole tree, else its bits behind a 1, as far as 63 bits go.
fn shard_number(shard: &ShardId) -> u64 {
    let wire = to_bytes(shard);
    let bits = Reader::new(&wire).bytes(wire.len()).unwrap_or_default();
    let bit = |i: usize| u64::from(bits[i / 8] >> (7 - i % 8) & 1);
    match shard.len().min(63) {
        0 => 0,
        length => (0..length).fold(1, |number, i| number << 1 | bit(i)),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Records {
    aggregator_records: Vec<RecordShape>,
    refused_records: Vec<RecordShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RecordShape {
    state_id: String,
    certification_data: DataShape,
    aggregate_request_count: &'static str,
    block_number: String,
    leaf_index: String,
    created_at: String,
    finalized_at: String,
    reference_time: String,
    expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused_for: Option<RefusedFor>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DataShape {
    owner_predicate: String,
    source_state_hash: String,
    transaction_hash: String,
    witness: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RefusedFor {
    state_id: String,
    transaction_hash: String,
}

impl From<&CertificationData> for DataShape {
    fn from(data: &CertificationData) -> Self {
        Self {
            owner_predicate: object(&data.predicate),
            source_state_hash: data.source.to_string(),
            transaction_hash: data.transaction.to_string(),
            witness: hex(data.unlock.as_slice()),
        }
    }
}

impl Records {
    /// A page of a block's records; what was refused is apart, so that no client takes it for certified.
    pub(super) fn new(block: &Block, page: Page, records: &[Record]) -> Self {
        let full = records.len() >= usize::from(page.limit);
        let next = records.last().filter(|_| full).and_then(|last| last.index.checked_add(1));
        let next = next.filter(|next| *next < block.certified.saturating_add(block.refused));
        let (certified, refused): (Vec<_>, Vec<_>) =
            records.iter().partition(|record| record.refused_for.is_none());
        let shape = |records: Vec<&Record>| {
            records.into_iter().map(|record| RecordShape::new(block, record)).collect()
        };
        Self {
            aggregator_records: shape(certified),
            refused_records: shape(refused),
            next: next.map(|next| next.to_string()),
        }
    }
}

impl RecordShape {
    fn new(block: &Block, record: &Record) -> Self {
        Self {
            state_id: record.data.spend().state_id().to_string(),
            certification_data: (&record.data).into(),
            aggregate_request_count: "1",
            block_number: block.number.to_string(),
            leaf_index: record.index.to_string(),
            created_at: millis(block.time),
            finalized_at: millis(block.certificate.seal.timestamp),
            reference_time: block.time.to_string(),
            expires_at: record.data.expires_at.map(|time| time.to_string()),
            refused_for: record.refused_for.map(|conflict| RefusedFor {
                state_id: conflict.state.to_string(),
                transaction_hash: conflict.winner.to_string(),
            }),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ForkTaken {
    number: String,
    known: bool,
    kind: &'static str,
}

impl ForkTaken {
    pub(super) fn new(receipt: ForkReceipt, kind: ForkKind) -> Self {
        let kind = match kind {
            ForkKind::Coin => "coin",
            ForkKind::Seq => "seq",
            ForkKind::Head => "head",
            ForkKind::Chain => "chain",
        };
        Self { number: receipt.number.to_string(), known: receipt.known, kind }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Forks {
    fork_proofs: Vec<ForkShape>,
    next: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ForkShape {
    number: String,
    key: String,
    proof: String,
}

impl Forks {
    /// A page of fork proofs, and the number from which the next one starts.
    pub(super) fn new(page: Page, forks: &[(u64, ForkProof)]) -> Self {
        let next = forks.last().map_or(page.from, |(last, _)| last.saturating_add(1));
        let shape = |(number, proof): &(u64, ForkProof)| ForkShape {
            number: number.to_string(),
            key: hex(proof.key.as_bytes()),
            proof: object(proof),
        };
        Self { fork_proofs: forks.iter().map(shape).collect(), next: next.to_string() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StatusShape {
    version: &'static str,
    node_id: String,
    network_id: u16,
    epoch: String,
    partition_id: u32,
    shard_id: String,
    configuration_hash: String,
    quorum_threshold: String,
    validators: Vec<ValidatorShape>,
    block_number: String,
    root_hash: String,
    reference_time: String,
    leaves: String,
    pending: Pending,
    fork_proofs: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ValidatorShape {
    node_id: String,
    sig_key: String,
    stake: String,
    last_signed: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Pending {
    requests: String,
    bytes: String,
}

impl From<&Status> for StatusShape {
    fn from(status: &Status) -> Self {
        let validators = status.validators.iter().map(|validator| ValidatorShape {
            node_id: validator.id.to_string(),
            sig_key: hex(validator.key.as_bytes()),
            stake: validator.stake.to_string(),
            last_signed: validator.last_signed.to_string(),
        });
        Self {
            version: env!("CARGO_PKG_VERSION"),
            node_id: status.node.to_string(),
            network_id: status.network.number(),
            epoch: status.epoch.to_string(),
            partition_id: status.partition.id,
            shard_id: object(&status.partition.shard),
            configuration_hash: status.partition.configuration.to_string(),
            quorum_threshold: status.quorum.to_string(),
            validators: validators.collect(),
            block_number: status.height.to_string(),
            root_hash: status.root.to_string(),
            reference_time: status.time.to_string(),
            leaves: status.leaves.to_string(),
            pending: Pending {
                requests: status.pending.to_string(),
                bytes: status.pending_bytes.to_string(),
            },
            fork_proofs: status.forks.to_string(),
        }
    }
}
