//! Write and read a trust base as a JSON file, in the form of the wire format's public SDK.
//!
//! What that form lacks is beside it under `partition`: the part of the network that certifies, which a
//! wallet pins. Numbers are decimal texts, as the form has them, except `networkId` and `partition.id`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tally_core::cbor::{DecodeError, Reader, to_bytes};
use tally_core::id::{Digest, NetworkId, from_hex};
use tally_core::keys::PublicKey;
use tally_core::notary::{NodeId, Partition, RootNode, ShardId, TrustBase, TrustBaseError};

use crate::hex;

/// Longest file that is read.
pub const MAX_TRUST_FILE: usize = 1 << 20;

/// Longest form of a shard's name.
const MAX_SHARD: usize = 64;

/// Why a file is no trust base.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustFileError {
    /// It is not the JSON that it should be.
    #[error("the trust base file is not readable: get it again from the network's operator: {0}")]
    Json(#[from] serde_json::Error),
    /// A field does not hold what it should.
    #[error("`{0}` of the trust base file is not valid: get it again from the network's operator")]
    Field(&'static str),
    /// It is longer than [`MAX_TRUST_FILE`].
    #[error("the trust base file is too long: get it again from the network's operator")]
    TooLong,
    /// It makes no sense.
    #[error(transparent)]
    TrustBase(#[from] TrustBaseError),
}

impl TrustFileError {
    /// Stable code of this error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Json(_) => "TRUST_FILE_JSON",
            Self::Field(_) => "TRUST_FILE_FIELD",
            Self::TooLong => "TRUST_FILE_TOO_LONG",
            Self::TrustBase(error) => error.code(),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    version: String,
    network_id: u16,
    epoch: String,
    epoch_start_round: String,
    root_nodes: Vec<Node>,
    quorum_threshold: String,
    state_hash: String,
    change_record_hash: Option<String>,
    previous_entry_hash: Option<String>,
    signatures: BTreeMap<String, String>,
    partition: Pinned,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    node_id: String,
    sig_key: String,
    stake: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pinned {
    id: u32,
    shard_id: String,
    configuration: String,
}

/// The file's text.
pub fn to_json(trust: &TrustBase) -> String {
    let pinned = trust.partition();
    let root_nodes = trust.nodes().map(|node| Node {
        node_id: node.id.as_str().into(),
        sig_key: hex::encode(node.key.as_bytes()),
        stake: node.stake.to_string(),
    });
    let file = File {
        version: "1".into(),
        network_id: trust.network().number(),
        epoch: trust.epoch().to_string(),
        epoch_start_round: "1".into(),
        root_nodes: root_nodes.collect(),
        quorum_threshold: trust.quorum().to_string(),
        state_hash: String::new(),
        change_record_hash: None,
        previous_entry_hash: None,
        signatures: BTreeMap::new(),
        partition: Pinned {
            id: pinned.id,
            shard_id: hex::encode(&shard_bytes(&pinned.shard)),
            configuration: hex::encode(pinned.configuration.as_bytes()),
        },
    };
    serde_json::to_string_pretty(&file).expect("texts and numbers are always JSON") + "\n"
}

/// Reads a file's text.
///
/// # Errors
/// [`TrustFileError`].
pub fn from_json(text: &str) -> Result<TrustBase, TrustFileError> {
    if text.len() > MAX_TRUST_FILE {
        return Err(TrustFileError::TooLong);
    }
    let file: File = serde_json::from_str(text)?;
    let network = NetworkId::new(file.network_id).ok_or(TrustFileError::Field("networkId"))?;
    let number = |text: &str, name| text.parse::<u64>().map_err(|_| TrustFileError::Field(name));
    let nodes = file.root_nodes.iter().map(|node| {
        let id = NodeId::new(&node.node_id).map_err(|_| TrustFileError::Field("nodeId"))?;
        let key = from_hex::<33>(&node.sig_key)
            .and_then(|bytes| PublicKey::secp256k1(&bytes).ok())
            .ok_or(TrustFileError::Field("sigKey"))?;
        Ok(RootNode { id, key, stake: number(&node.stake, "stake")? })
    });
    let nodes = nodes.collect::<Result<Vec<_>, TrustFileError>>()?;
    let shard = hex::decode(&file.partition.shard_id)
        .and_then(|bytes| ShardId::from_wire(&bytes).ok())
        .ok_or(TrustFileError::Field("shardId"))?;
    let configuration = Digest::from_hex(&file.partition.configuration)
        .ok_or(TrustFileError::Field("configuration"))?;
    let partition = Partition { id: file.partition.id, shard, configuration };
    let epoch = number(&file.epoch, "epoch")?;
    let quorum = number(&file.quorum_threshold, "quorumThreshold")?;
    Ok(TrustBase::new(network, epoch, partition, nodes, quorum)?)
}

/// A shard's name as it is on the wire.
pub(crate) fn shard_bytes(shard: &ShardId) -> Vec<u8> {
    let bytes = to_bytes(shard);
    let inner: Result<Vec<u8>, DecodeError> = Reader::new(&bytes).bytes(MAX_SHARD).map(Into::into);
    inner.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use tally_core::keys::SecretKey;

    use super::*;

    fn trust() -> TrustBase {
        let node = |number: u8| RootNode {
            id: NodeId::new(&format!("v{number}")).unwrap(),
            key: SecretKey::new([number; 32]).unwrap().public(),
            stake: 1,
        };
        let shard = ShardId::from_wire(&[0b0110_0000]).unwrap();
        let partition = Partition { id: 7, shard, configuration: Digest::new([9; 32]) };
        let nodes = (1..=4).map(node).collect();
        TrustBase::new(NetworkId::LOCAL, 1, partition, nodes, 3).unwrap()
    }

    #[test]
    fn what_is_written_is_read_back() {
        assert_eq!(from_json(&to_json(&trust())).unwrap(), trust());
    }

    #[test]
    fn a_changed_file_is_refused() {
        let good = to_json(&trust());
        for (from, to, code) in [
            ("\"networkId\": 3", "\"networkId\": 0", "TRUST_FILE_FIELD"),
            ("\"quorumThreshold\": \"3\"", "\"quorumThreshold\": \"2\"", "TRUST_QUORUM"),
            ("\"nodeId\": \"v2\"", "\"nodeId\": \"v1\"", "TRUST_DUPLICATE_ID"),
            ("\"sigKey\": \"0", "\"sigKey\": \"5", "TRUST_FILE_FIELD"),
            ("\"stake\": \"1\"", "\"stake\": \"one\"", "TRUST_FILE_FIELD"),
            ("\"shardId\": \"60\"", "\"shardId\": \"\"", "TRUST_FILE_FIELD"),
            ("0909", "090", "TRUST_FILE_FIELD"),
            ("{", "", "TRUST_FILE_JSON"),
        ] {
            let bad = good.replacen(from, to, 1);
            assert_ne!(bad, good, "{from}");
            assert_eq!(from_json(&bad).unwrap_err().code(), code, "{from}");
        }
        assert_eq!(
            from_json(&" ".repeat(MAX_TRUST_FILE + 1)).unwrap_err().code(),
            "TRUST_FILE_TOO_LONG"
        );
    }
}
