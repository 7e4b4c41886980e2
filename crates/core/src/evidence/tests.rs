//! What evidence proves, and every way in which it does not.

mod chain;
mod merge;
mod network;
mod rules;
mod tiers;
