//! Certify the first spend of each state.

pub mod backend;
