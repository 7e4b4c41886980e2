//! Commit to a set of key-value pairs in 32 bytes, and prove what is in it and what is not.
//!
//! The one structure is [`Tree`], a radix sparse Merkle tree with 32-byte keys and values. The same
//! type is the tree of a device, which replaces leaves, and that of the notary, which only ever
//! adds them; what differs is who vouches for the root. The hashes and certificates are those of
//! Unicity's generation 4 (`spec/tree.md`).
//!
//! | to show, to someone who has a root | make it with | check it with |
//! |---|---|---|
//! | this leaf is in it | [`Tree::prove`] | [`InclusionCertificate::verify`] |
//! | nothing is under this key | [`Tree::prove_absence`] | [`ExclusionCertificate::verify`] |
//! | this root follows when one leaf is replaced | [`Tree::prove`] | [`InclusionCertificate::root`] |
//! | this root follows when exactly these leaves are added | [`Tree::consistency_proof`] | [`ConsistencyProof::verify`] |
//!
//! What a certificate shows rests on SHA-256 being collision resistant, and on the root coming from
//! someone entitled to state it. A consistency proof speaks of growth from one root to the next;
//! that the first root belongs to a well-formed tree follows by induction from the empty one.
//!
//! No clock, no randomness, no I/O. Without the default feature `std` the crate is `no_std` and
//! needs `alloc` only.

#![no_std]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod certificate;
mod consistency;
mod crown;
mod error;
mod growth;
mod hash;
mod parallel;
mod path;
mod plan;
mod several;
mod shard;
mod tree;
mod types;

pub use certificate::{
    CertificateError, ExclusionCertificate, InclusionCertificate, MAX_CERTIFICATE_BYTES,
};
pub use consistency::{ConsistencyError, ConsistencyProof, MAX_CONSISTENCY_BYTES};
pub use crown::SHARDS;
pub use error::TreeError;
pub use hash::{leaf_hash, node_hash};
pub use several::{Replacement, replaced_root};
pub use shard::MAX_SHARD_LEAVES;
pub use tree::{Leaves, Slot, Tree};
pub use types::{Digest, KEY_BITS, Key, Value};
