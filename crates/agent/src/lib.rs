//! Act for one person: everything that a wallet must decide and keep, without I/O.
//!
//! The agent has no clock, no randomness, no files, no threads and no sockets. They come in as
//! inputs, and what the agent wants done goes out as effects.

#![no_std]

extern crate alloc;
