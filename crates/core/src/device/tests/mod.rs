//! The device as its owner, its contacts and its enemies use it.

mod adversary;
mod conserve;
mod crash;
mod limits;
mod recovery;
mod refuse;
pub(crate) mod scene;
mod trade;
mod wishes;
