//! The interface over a real socket: what it answers, and what it withstands.

// What these modules share ends a test as a test does; the lints know only functions marked as one.
#![allow(clippy::unwrap_used, clippy::panic)]

mod abuse;
mod client;
mod encoding;
mod flow;
mod log;
mod memory;
mod samples;
mod schema;
mod serve;
mod stand_in;
mod world;
