//! Repository chores: `cargo xtask layering`.
fn main() {}
