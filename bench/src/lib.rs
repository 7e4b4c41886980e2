//! Measure Tally against the bars that it sets itself, beside what this machine's primitives cost.
//!
//! `cargo bench -p tally-bench` prints one table; exact sizes are tests (`tests/sizes.rs`).

pub mod bars;
pub mod compute;
pub mod hardware;
pub mod live;
pub mod primitives;
pub mod report;
pub mod scene;
pub mod seals;
pub mod sizes;
pub mod timing;
pub mod trees;

/// The allocator that the program `tally` has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
