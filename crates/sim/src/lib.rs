//! Run the whole world under one seed, and model-check the production state machines.
//!
//! Nothing of the protocol is modelled a second time. [`run()`] lives a random life of people of
//! [`tally_testkit`]: payments, codes that are lost, repeated and late, crashes, restored backups and a
//! cheat, all of it from one number. [`check`] says what must be true of any group of devices. Models
//! drive [`Bare`] devices, message by message.
//!
//! ```
//! let mut log = String::new();
//! let outcome = tally_sim::run(1, &mut log);
//! assert_eq!(outcome.violation, None);
//! ```

pub mod account;
pub mod check;
mod disk;
mod drive;
mod random;
pub mod run;

pub use disk::Disk;
pub use drive::{Bare, Effects, world};
pub use random::Random;
pub use run::{Outcome, run};
