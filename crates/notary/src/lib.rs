//! Certify the first spend of each state, by a network of validators that agree on their order.
//!
//! Validators put the spends that they accept into blocks, agree on one chain of blocks, and add each
//! block's spends to one append-only tree; two thirds of them then sign its root, and that is the
//! certificate which [`tally_core::notary`] checks. They see hashes, the predicate that is unlocked and
//! what unlocks it: no amounts, no assets, no payees.
//!
//! | room | what it does |
//! |---|---|
//! | [`backend`] | the line between what certifies and what talks to clients |
//! | [`call`], [`rpc`] | what a client may ask, and the answers over HTTP |
//! | [`block`], [`ledger`], [`mempool`], [`certify`] | the application, without I/O, clock or randomness |
//! | [`store`] | what survives a crash |
//! | [`engine`] | agreement and the links between validators: the only room that knows commonware |
//! | [`setup`], [`trust_file`] | make a network: keys, genesis, configurations, trust base |
//! | [`node`], [`devnet`] | run a validator; run a whole network on one machine |
//! | [`verify_log`] | check from outside what a validator says |
//!
//! A network of four validators, for a test or a demonstration:
//!
//! ```no_run
//! use tally_notary::devnet::Devnet;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = std::env::temp_dir().join("tally-devnet");
//! let network = Devnet::start(&folder, 4)?; // threads of this process, ready when it returns
//! println!("{}", network.urls()[0]); // JSON-RPC, as `tally_notary::rpc` answers it
//! println!("{}", network.trust_base_path().display()); // for `tally notary add --trust`
//! assert_eq!(network.trust_base().quorum(), 3); // the same, parsed: `trust_file::from_json`
//! drop(network); // stops all validators; the same folder goes on where it was
//! # Ok(())
//! # }
//! ```
//!
//! As processes of their own, which can be killed: `Devnet::start_with(&folder,
//! &Options::processes(4, &path_of_tally))`, then `kill(2)`, `launch(2)`, `wait_ready(2, limit)`.
//!
//! What a certificate shows rests on fewer than a third of the validators being malicious, on SHA-256
//! having no collisions, and on nobody forging secp256k1 signatures (`spec/notary.md`).

pub mod backend;
pub mod block;
pub mod call;
pub mod certify;
#[cfg(all(feature = "engine", feature = "rpc"))]
pub mod devnet;
#[cfg(feature = "engine")]
pub mod engine;
mod hex;
pub mod ledger;
pub mod mempool;
#[cfg(all(feature = "engine", feature = "rpc"))]
pub mod node;
#[cfg(feature = "rpc")]
pub mod rpc;
pub mod rules;
#[cfg(feature = "engine")]
pub mod setup;
pub mod store;
pub mod trust_file;
#[cfg(feature = "engine")]
pub mod validator;
pub mod verify_log;

#[cfg(test)]
mod testing;
