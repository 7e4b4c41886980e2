//! Every order of messages, losses, repetitions and crashes, within bounds, of production devices.
//!
//! `docs/model-checking.md` says what is modelled, and what is assumed.

mod bounds;
mod double_spend;
mod recovery;
mod sealed;
mod state;
