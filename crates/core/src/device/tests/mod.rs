//! The device as its owner, its contacts and its enemies use it.

pub(crate) mod scene;
mod trade;
