//! The device as its owner, its contacts and its enemies use it.

mod adversary;
mod codec;
mod codes;
mod conserve;
mod crash;
mod held;
mod limits;
mod recovery;
mod refuse;
mod samples;
pub(crate) mod scene;
mod sizes;
mod trade;
mod vectors;
mod wishes;
