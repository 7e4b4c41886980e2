//! Carry sealed messages between two devices, knowing nothing of what they say.
//!
//! A message is a byte string of at most [`MAX_MESSAGE`] bytes. What carries it is a [`Channel`]
//! ([`memory`], [`tcp`]), a [file](mod@file) or pictures ([`qr`]). A server is asked with [`http`]. What keeps it private on the way is a
//! [`session`], which turns a message into an envelope and back and rests on none of the carriers.
//!
//! Everything blocks and returns within stated limits; nothing here starts a thread, reads a random
//! number or keeps a file open between calls.

pub mod channel;
pub mod file;
pub mod http;
pub mod memory;
pub mod qr;
pub mod session;
pub mod tcp;
mod varint;

pub use channel::{Channel, MAX_MESSAGE, TransportError};
