//! Play people with agents: their keys, their disks, and what happens between them.
//!
//! A [`Person`] is a real agent with a key in memory, a [`Disk`] that can lose power, and a journal. A
//! [`Scene`] is people who know each other and an asset, and carries what they say. Everything follows
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

mod disk;
mod mint;
mod person;
mod scene;

pub use disk::{Disk, PowerCut};
pub use mint::{mint, policy};
pub use person::{Ended, Given, Person};
pub use scene::{NOW, Scene};
