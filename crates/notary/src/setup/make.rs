//! Write all files of a new network.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tally_core::id::NetworkId;
use tally_core::keys::PublicKey;
use tally_core::notary::{NodeId, ShardId};
use tally_core::time::Time;

use super::{Config, Genesis, GenesisValidator, Keys, SetupError, write_new};
use crate::trust_file;

/// What a new network is to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Its number.
    pub network: NetworkId,
    /// No block is before this time.
    pub time: Time,
    /// For each validator, where it listens for the others and for clients.
    pub addresses: Vec<(SocketAddr, SocketAddr)>,
    /// Whose word for a hardware seal counts.
    pub enrollers: Vec<PublicKey>,
}

/// Where everything of a new network is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Made {
    /// What wallets need.
    pub trust_base: PathBuf,
    /// Who the validators are.
    pub genesis: PathBuf,
    /// Each validator's configuration, in the order of the plan.
    pub configs: Vec<PathBuf>,
}

/// Makes keys and writes all files of a new network into `folder`. Validators are named `v0`, `v1`, ….
///
/// # Errors
/// [`SetupError`]; [`SetupError::Exists`] if the folder has a network already.
pub fn init(folder: &Path, plan: &Plan) -> Result<Made, SetupError> {
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |error| SetupError::File(path, error)
    };
    let names: Vec<_> = (0..plan.addresses.len()).map(|number| format!("v{number}")).collect();
    let (mut validators, mut all) = (Vec::new(), Vec::new());
    for name in &names {
        let keys = Keys::random()?;
        validators.push(GenesisValidator {
            name: NodeId::new(name).expect("a short name"),
            vote: keys.vote.id(),
            seal: keys.seal.public(),
        });
        all.push(keys);
    }
    let genesis = Genesis {
        network: plan.network,
        epoch: 1,
        partition: 1,
        shard: ShardId::whole(),
        time: plan.time,
        validators,
    };
    let trust = genesis.trust()?;
    fs::create_dir_all(folder).map_err(failed(folder))?;
    let made = Made {
        trust_base: folder.join("trust-base.json"),
        genesis: folder.join("genesis.json"),
        configs: names.iter().map(|name| folder.join(name).join("config.json")).collect(),
    };
    genesis.save(&made.genesis)?;
    write_new(&made.trust_base, &trust_file::to_json(&trust), 0o644)?;
    let peers = names.iter().zip(&plan.addresses);
    let peers: BTreeMap<_, _> =
        peers.map(|(name, (listen, _))| (name.clone(), listen.to_string())).collect();
    for ((name, (listen, rpc)), keys) in names.iter().zip(&plan.addresses).zip(all) {
        let own = folder.join(name);
        fs::create_dir_all(&own).map_err(failed(&own))?;
        keys.save(&own.join("keys.json"))?;
        let enrollers = plan.enrollers.iter().map(ToString::to_string).collect();
        let config = Config { enrollers, ..Config::new(name, *listen, *rpc, peers.clone()) };
        config.save(&own.join("config.json"))?;
    }
    Ok(made)
}
