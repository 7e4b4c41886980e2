//! The device as its owner, its contacts and its enemies use it.

mod adversary;
mod codec;
mod codes;
mod conserve;
mod contacts;
mod crash;
mod forget;
mod held;
mod least;
mod limits;
mod meeting;
mod mints;
mod own;
mod reach;
mod recovery;
mod refuse;
mod revoked;
mod samples;
pub(crate) mod scene;
mod sealed;
pub(super) mod settle;
mod sizes;
mod standing;
pub(crate) mod tpm;
mod trade;
mod vectors;
mod wishes;
