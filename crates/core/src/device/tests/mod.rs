//! The device as its owner, its contacts and its enemies use it.

mod scene;
mod trade;
