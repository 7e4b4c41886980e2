//! What evidence proves, and every way in which it does not.

pub(crate) mod chain;
mod merge;
pub(crate) mod network;
mod rules;
mod tiers;
