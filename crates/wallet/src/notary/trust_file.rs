//! Read a trust base from the JSON file that the wire format has for it (`WIRE-9`).
//!
//! One field is ours: `partition` pins the part of the network that certifies. Signatures in the file are not looked at: whoever hands it out is trusted.

use serde::Deserialize;
use serde_json::{Value, json};
use tally_core::cbor::{Reader, to_bytes};
use tally_core::id::{Digest, NetworkId};
use tally_core::keys::PublicKey;
use tally_core::notary::{NodeId, Partition, RootNode, ShardId, TrustBase};

use super::{NotaryError, hex};

/// Longest trust base file, in bytes.
pub const MAX_TRUST_FILE: usize = 128 * 1024;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    version: Number,
    network_id: Number,
    epoch: Number,
    root_nodes: Vec<Node>,
    quorum_threshold: Number,
    partition: Pinned,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pinned {
    id: Number,
    shard_id: String,
    configuration: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    node_id: String,
    sig_key: String,
    stake: Number,
}

/// A number, or its decimal text, as the wire format has most of them.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Number(u64),
    Text(String),
}

impl Number {
    fn value(&self) -> Result<u64, NotaryError> {
        match self {
            Self::Number(number) => Ok(*number),
            Self::Text(text) => text.parse().map_err(|_| NotaryError::TrustFile("a bad number")),
        }
    }

    fn as_small<T: TryFrom<u64>>(&self) -> Result<T, NotaryError> {
        T::try_from(self.value()?).map_err(|_| NotaryError::TrustFile("a number out of range"))
    }
}

/// Reads and checks a trust base.
///
/// # Errors
/// [`NotaryError::TrustFile`] when it cannot be read, [`NotaryError::Trust`] when it makes no sense.
pub fn read_trust_base(json: &[u8]) -> Result<TrustBase, NotaryError> {
    let bad = NotaryError::TrustFile;
    if json.len() > MAX_TRUST_FILE {
        return Err(bad("it is too long"));
    }
    let file: File = serde_json::from_slice(json).map_err(|_| bad("a field is missing"))?;
    if file.version.value()? != 1 {
        return Err(bad("its version is unknown: update this program"));
    }
    let network = NetworkId::new(file.network_id.as_small()?).ok_or(bad("its network is 0"))?;
    let shard = hex::decode(&file.partition.shard_id);
    let shard = shard.and_then(|bytes| ShardId::from_wire(&bytes).ok());
    let configuration = Digest::from_hex(&file.partition.configuration);
    let partition = Partition {
        id: file.partition.id.as_small()?,
        shard: shard.ok_or(bad("its shard is no shard"))?,
        configuration: configuration.ok_or(bad("a bad configuration hash"))?,
    };
    let nodes = file.root_nodes.iter().map(node).collect::<Result<Vec<_>, _>>()?;
    let (epoch, quorum) = (file.epoch.value()?, file.quorum_threshold.value()?);
    Ok(TrustBase::new(network, epoch, partition, nodes, quorum)?)
}

fn node(node: &Node) -> Result<RootNode, NotaryError> {
    let bad = NotaryError::TrustFile;
    let key = hex::decode(&node.sig_key).and_then(|bytes| <[u8; 33]>::try_from(bytes).ok());
    let key = key.and_then(|key| PublicKey::secp256k1(&key).ok());
    Ok(RootNode {
        id: NodeId::new(&node.node_id).map_err(|_| bad("a validator's name is too long"))?,
        key: key.ok_or(bad("a validator's key is no key"))?,
        stake: node.stake.value()?,
    })
}

/// A shard's name as it is on the wire.
fn shard_bytes(shard: &ShardId) -> Vec<u8> {
    let bytes = to_bytes(shard);
    Reader::new(&bytes).bytes(bytes.len()).map(Into::into).unwrap_or_default()
}

/// The file of a trust base.
pub fn write_trust_base(trust: &TrustBase) -> String {
    let node = |node: &RootNode| -> Value {
        json!({
            "nodeId": node.id.as_str(),
            "sigKey": hex::encode(node.key.as_bytes()),
            "stake": node.stake.to_string(),
        })
    };
    let partition = trust.partition();
    let file = json!({
        "version": "1",
        "networkId": trust.network().number(),
        "epoch": trust.epoch().to_string(),
        "epochStartRound": "1",
        "rootNodes": trust.nodes().map(node).collect::<Vec<_>>(),
        "quorumThreshold": trust.quorum().to_string(),
        "stateHash": "",
        "changeRecordHash": null,
        "previousEntryHash": null,
        "signatures": {},
        "partition": {
            "id": partition.id,
            "shardId": hex::encode(&shard_bytes(&partition.shard)),
            "configuration": partition.configuration.to_string(),
        },
    });
    format!("{file:#}\n")
}
