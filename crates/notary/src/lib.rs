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
//! | [`genesis`], [`config`], [`node`], [`devnet`] | make a network, and run a validator of it |
//!
//! What a certificate shows rests on fewer than a third of the validators being malicious, on SHA-256
//! having no collisions, and on nobody forging secp256k1 signatures (`spec/notary.md`).

pub mod backend;
pub mod block;
pub mod call;
pub mod certify;
#[cfg(feature = "engine")]
pub mod engine;
mod hex;
pub mod ledger;
pub mod mempool;
#[cfg(feature = "rpc")]
pub mod rpc;
pub mod rules;
pub mod store;
#[cfg(feature = "engine")]
pub mod validator;
pub mod verify_log;

#[cfg(test)]
mod testing;
