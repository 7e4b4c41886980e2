//! Whom a wallet asks, and how a question is carried there.
//!
//! | room | what it does |
//! |---|---|
//! | `client` | carries one question to a validator over HTTP, and its answer back, unchecked |
//! | `trust_file` | reads a network's trust base from the file that its operator hands out |
//! | `book` | what a wallet keeps of its notaries |
//!
//! What to ask, and what to believe of the answers, is decided by [`tally_agent::settle`].

mod book;
mod client;
mod error;
mod hex;
mod trust_file;

pub use book::{Endpoint, MAX_NOTARIES, Notaries};
pub use client::NotaryClient;
pub use error::NotaryError;
pub use tally_agent::settle::{SplitView, Trouble};
pub use trust_file::{MAX_TRUST_FILE, read_trust_base, write_trust_base};

#[cfg(test)]
mod tests;
