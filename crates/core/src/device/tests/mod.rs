//! The device as its owner, its contacts and its enemies use it.

mod conserve;
mod crash;
pub(crate) mod scene;
mod trade;
