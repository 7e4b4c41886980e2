//! Carry sealed messages between two devices, knowing nothing of what they say.
//!
//! A message is a byte string of at most [`MAX_MESSAGE`] bytes. What carries it is a [`Channel`]
//! ([`memory`], [`tcp`]), a [file](mod@file) or pictures ([`qr`]). A server is asked with [`http`]. What keeps it private on the way is a
//! [`session`], which turns a message into an envelope and back and rests on none of the carriers.
//!
//! Everything blocks and returns within stated limits; nothing here starts a thread, reads a random
//! number or keeps a file open between calls.
//!
//! The carriers are the feature `carriers`, which is on by default. Without it only [`session`] is left,
//! which builds without `std`: that is all a device's agent needs.

#![cfg_attr(not(feature = "carriers"), no_std)]

extern crate alloc;

#[cfg(feature = "carriers")]
pub mod channel;
#[cfg(feature = "carriers")]
pub mod file;
#[cfg(feature = "carriers")]
pub mod http;
#[cfg(feature = "carriers")]
pub mod memory;
#[cfg(feature = "carriers")]
pub mod qr;
pub mod session;
#[cfg(feature = "carriers")]
pub mod tcp;
mod varint;

#[cfg(feature = "carriers")]
pub use channel::{Channel, TransportError};

/// Longest message that any carrier takes, in bytes (256 KiB).
pub const MAX_MESSAGE: usize = 256 * 1024;
