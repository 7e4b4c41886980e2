//! The interface over a real socket: what it answers, and what it withstands.

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
