//! Run the whole world under one seed, and model-check the production state machines.
//!
//! Everything here drives [`tally_core::device::Device`] itself; nothing of the protocol is modelled
//! a second time. A [`Person`] is a device with its key and its disk, a [`Scene`] a few people who
//! know each other, and [`run()`] a random life of such a scene: payments, lost and repeated messages,
//! crashes, restored backups and a cheat, all of it from one number. [`check`] says what must be
//! true of any of them.
//!
//! ```
//! use tally_sim::Scene;
//!
//! let mut scene = Scene::new(2, 1000);
//! scene.pay(0, 1, 250)?;
//! let balances = scene.people.iter().map(|person| person.balance(&scene.asset));
//! assert_eq!(balances.collect::<Vec<_>>(), [750, 250]);
//! # Ok::<(), tally_core::device::DeviceError>(())
//! ```

pub mod check;
mod disk;
mod person;
mod random;
pub mod run;
mod scene;

pub use disk::Disk;
pub use person::{Effects, Person, drive, signed_by};
pub use random::Random;
pub use run::{Outcome, run};
pub use scene::{NOW, Scene, mint, policy, world};
