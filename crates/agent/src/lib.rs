//! Act for one person: everything that a wallet must decide and keep, without I/O.
//!
//! The agent holds a device, the encrypted sessions with its contacts, what is still to be said to
//! each of them, and every connection. It has no clock, no randomness, no files, no threads and no
//! sockets: they come in as [`Input`]s, and what is to be done outside goes out as [`Effect`]s.
//!
//! ```text
//!         Input                    commit                  effects
//! Idle ─────────► Turn { batch } ─────────► Committed ─────────► sign, prove, send, show
//!  ▲                                            │                        │
//!  └────────────────────────────────────────────┘     answers: Inputs    │
//!  └─────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Nothing leaves before what it rests on is durable, and the types hold that: a [`Turn`] gives its
//! effects only once it is stored, and only [`drive()`] stores one. A shell is the [`Ports`] that `drive` is
//! given: it has no loop of its own, and no order of its own.
//!
//! What has to be signed or proved leaves as an order, and its answer is an input at any later time.
//! Whatever an answer is missing for waits by itself, and nothing else waits with it. Orders are made
//! anew from what is durable ([`Input::Remind`]), so losing one costs nothing.

#![no_std]

extern crate alloc;

mod answers;
pub mod backup;
mod batch;
mod conn;
mod drive;
mod effect;
mod engine;
mod error;
mod file;
mod hello;
mod input;
mod inside;
mod invoice;
mod noise;
mod order;
mod outbox;
mod packet;
mod parked;
mod peer;
pub mod recovery;
pub mod settle;
mod talk;
mod turn;

pub use batch::{Batch, Issued, Keys, Loaded, Store};
pub use conn::{Conn, Goal, MAX_CONNECTIONS, MAX_SERVED, Way, farewell};
pub use drive::{Driven, Ports, drive};
pub use effect::{Done, Effect, Effects};
pub use error::AgentError;
pub use input::{Cx, Input, Proved};
pub use order::{OrderId, ProveOrder, SignOrder, StepOrder};
pub use peer::PeerError;
pub use turn::{Committed, Guard, Idle, Refused, Torn, Turn, View};
