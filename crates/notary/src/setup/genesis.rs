//! State who the validators of a network are.

use std::path::Path;

use serde::{Deserialize, Serialize};
use tally_core::cbor::{Encode as _, Writer};
use tally_core::hash::sha256;
use tally_core::id::{Digest, NetworkId, from_hex};
use tally_core::keys::PublicKey;
use tally_core::notary::{NodeId, Partition, RootNode, ShardId, TrustBase};
use tally_core::time::Time;

use super::{SetupError, read_json, write_new};
use crate::block::Block;
use crate::engine::VoteId;
use crate::engine::network::MAX_VALIDATORS;
use crate::hex;
use crate::trust_file::shard_bytes;

/// A network's beginning: everything that its validators must agree on before the first block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Genesis {
    /// The network.
    pub network: NetworkId,
    /// The epoch, in which the validators do not change.
    pub epoch: u64,
    /// The part of the network that certifies.
    pub partition: u32,
    /// The shard of it.
    pub shard: ShardId,
    /// No block is before this time.
    pub time: Time,
    /// The validators, each with the same weight.
    pub validators: Vec<GenesisValidator>,
}

/// A validator's public half.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GenesisValidator {
    /// Its name in certificates.
    pub name: NodeId,
    /// Its key for votes and connections.
    pub vote: VoteId,
    /// Its key for seals.
    pub seal: PublicKey,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    network: u16,
    epoch: u64,
    partition: u32,
    shard: String,
    time: u64,
    validators: Vec<FileValidator>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FileValidator {
    name: String,
    vote_key: String,
    seal_key: String,
}

impl Genesis {
    /// Reads a genesis file.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn load(path: &Path) -> Result<Self, SetupError> {
        let file: File = read_json(path)?;
        let wrong = |field| SetupError::Field { path: path.into(), field };
        let shard = hex::decode(&file.shard).and_then(|bytes| ShardId::from_wire(&bytes).ok());
        let validators = file.validators.iter().map(|validator| {
            let vote = hex::decode(&validator.vote_key).and_then(|bytes| VoteId::new(&bytes));
            let seal = from_hex::<33>(&validator.seal_key)
                .and_then(|bytes| PublicKey::secp256k1(&bytes).ok());
            Ok(GenesisValidator {
                name: NodeId::new(&validator.name).map_err(|_| wrong("name"))?,
                vote: vote.ok_or_else(|| wrong("voteKey"))?,
                seal: seal.ok_or_else(|| wrong("sealKey"))?,
            })
        });
        let genesis = Self {
            network: NetworkId::new(file.network).ok_or_else(|| wrong("network"))?,
            epoch: file.epoch,
            partition: file.partition,
            shard: shard.ok_or_else(|| wrong("shard"))?,
            time: Time::from_unix(file.time),
            validators: validators.collect::<Result<_, SetupError>>()?,
        };
        genesis.trust()?;
        Ok(genesis)
    }

    /// Writes a new genesis file.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn save(&self, path: &Path) -> Result<(), SetupError> {
        let validators = self.validators.iter().map(|validator| FileValidator {
            name: validator.name.as_str().into(),
            vote_key: hex::encode(validator.vote.as_bytes()),
            seal_key: hex::encode(validator.seal.as_bytes()),
        });
        let file = File {
            network: self.network.number(),
            epoch: self.epoch,
            partition: self.partition,
            shard: hex::encode(&shard_bytes(&self.shard)),
            time: self.time.unix(),
            validators: validators.collect(),
        };
        let text = serde_json::to_string_pretty(&file).expect("texts and numbers are always JSON");
        write_new(path, &(text + "\n"), 0o644)
    }

    /// What wallets check certificates with.
    ///
    /// # Errors
    /// [`SetupError::Count`] and [`SetupError::TrustBase`].
    pub fn trust(&self) -> Result<TrustBase, SetupError> {
        let count = self.validators.len();
        if count % 3 != 1 || count > MAX_VALIDATORS {
            return Err(SetupError::Count(count));
        }
        let mut votes: Vec<_> = self.validators.iter().map(|validator| &validator.vote).collect();
        votes.sort_unstable();
        votes.dedup();
        if votes.len() != count {
            return Err(SetupError::TrustBase(tally_core::notary::TrustBaseError::DuplicateKey));
        }
        let nodes = self.validators.iter().map(|validator| RootNode {
            id: validator.name.clone(),
            key: validator.seal.clone(),
            stake: 1,
        });
        let partition = Partition {
            id: self.partition,
            shard: self.shard.clone(),
            configuration: self.configuration(),
        };
        let quorum = count as u64 * 2 / 3 + 1;
        Ok(TrustBase::new(self.network, self.epoch, partition, nodes.collect(), quorum)?)
    }

    /// The block from which all others follow.
    pub fn block(&self) -> Block {
        Block::genesis(self.configuration(), self.time)
    }

    /// Hash of everything but the time: the first block names it, and so does every certificate.
    fn configuration(&self) -> Digest {
        let mut w = Writer::new();
        w.array(5);
        self.network.encode(&mut w);
        w.uint(self.epoch);
        w.uint(self.partition.into());
        self.shard.encode(&mut w);
        w.array(self.validators.len() as u64);
        for validator in &self.validators {
            w.array(3);
            validator.name.encode(&mut w);
            w.bytes(validator.vote.as_bytes());
            w.bytes(validator.seal.as_bytes());
        }
        Digest::new(sha256(&w.into_bytes()))
    }
}
