//! Ask a notary, and believe only what its validators signed.
//!
//! | room | what it does |
//! |---|---|
//! | `client` | calls one validator's interface over HTTP; everything it says is unchecked |
//! | `check` | holds answers against the trust base: proofs of spent, unspent and grown |
//! | `watch` | compares what several validators say, and keeps the proof when they contradict |
//! | `trust_file` | reads a network's trust base from the file that its operator hands out |
//! | `book` | what a wallet keeps of its notaries |
//!
//! A validator can delay and can refuse; it cannot make a wallet believe that something is certified
//! as long as fewer than a third of the validators are malicious (spec `SETTLE-9` to `SETTLE-13`).

mod book;
mod check;
mod client;
mod error;
mod hex;
mod trust_file;
mod watch;

pub use book::{Endpoint, MAX_NOTARIES, Notaries};
pub use check::{Verdict, Verifier};
pub(crate) use client::MAX_AT_ONCE;
pub use client::{Answer, Exclusion, Growth, NotaryClient, Step};
pub use error::NotaryError;
pub use trust_file::{MAX_TRUST_FILE, read_trust_base, write_trust_base};
pub(crate) use watch::watch as look;
pub use watch::{Sight, SplitView, Watch};

#[cfg(test)]
mod tests;
