//! Play people with agents: their keys, their disks, and what happens between them.
//!
//! A [`Person`] is a real agent with a key in memory, a [`Disk`] that can lose power, a journal, and a
//! [`Chip`] if it is sealed. A [`Scene`] is people who know each other and an asset, and carries what they
//! say to each other and to a [`Network`] of four validators, each with its [`Manner`]. Everything follows
//! from what is given: there is no clock and no randomness here either.
//!
//! ```
//! use tally_testkit::Scene;
//!
//! let mut scene = Scene::new(2, 1000);
//! scene.pay(0, 1, 250)?;
//! assert_eq!(scene.balances(), [750, 250]);
//! # Ok::<(), tally_testkit::Ended>(())
//! ```

#![no_std]

extern crate alloc;

mod certificate;
mod chip;
pub mod conformance;
mod disk;
mod errand;
mod mint;
mod network;
mod person;
mod power;
mod restore;
mod scene;
mod sealed;
mod settle;

pub use certificate::{certificate, certificate_with, partition};
pub use chip::{Chip, Fate, enroller};
pub use disk::{Disk, DiskError};
pub use errand::{Run, run_errand};
pub use mint::{issuer, mint, policy};
pub use network::{Manner, Network, VALIDATORS, node_key, node_name, root_of};
pub use person::{Ended, Given, Person};
pub use power::Power;
pub use restore::{Backup, Copied};
pub use scene::{NOW, Scene};
pub use settle::{LATENCY, Settled};
