//! Try to spend one coin twice with whole wallets, before real validators.

// What these modules share ends a test as a test does; the lints know only functions marked as one.
#![allow(clippy::unwrap_used, clippy::panic)]

mod people;
mod tries;
