//! One test for each way to spend a coin twice, named after it.

// What these modules share ends a test as a test does; the lints know only functions marked as one.
#![allow(clippy::unwrap_used, clippy::panic)]

mod coin;
mod deadlines;
mod evidence;
mod malice;
mod network;
mod race;
mod replay;
