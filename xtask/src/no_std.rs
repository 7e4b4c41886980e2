//! The protocol crates run where there is no operating system.
//!
//! `xtask/no-std-check` is a static library with a panic handler of its own. Were `std` anywhere
//! below it, there would be two panic handlers, and rustc refuses that; so the check needs no
//! target but the host's.

use crate::{Outcome, workspace};
use std::process::Command;

/// Build the check for the host, with the versions that the workspace's lock file names.
pub fn run() -> Outcome {
    let check = workspace::root().join("xtask/no-std-check");
    let lock = workspace::root().join("Cargo.lock");
    std::fs::copy(&lock, check.join("Cargo.lock"))
        .map_err(|e| vec![format!("could not copy {}: {e}", lock.display())])?;
    // Its own folder, or it would wait for the lock of the cargo that started this task.
    let target = target_folder().join("no-std-check");
    let status = Command::new(workspace::cargo())
        .args(["build", "--quiet", "--manifest-path"])
        .arg(check.join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", target)
        .status()
        .map_err(|e| vec![format!("could not start cargo: {e}")])?;
    if status.success() {
        Ok("tally-tree, tally-core and tally-agent build without std".into())
    } else {
        Err(vec![
            "tally-tree, tally-core or tally-agent needs std (the reason is above); a dependency may need \
             default-features = false"
                .into(),
        ])
    }
}

fn target_folder() -> std::path::PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace::root().join("target"), std::path::PathBuf::from)
}
