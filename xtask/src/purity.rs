//! The rooms that decide touch nothing: no clock, no randomness, no files, no network, no threads.
//!
//! Two things show it without running anything: which crates they rest on, and which parts of `std` their
//! sources name. That a module made of them imports nothing is shown by `scripts/wasm.sh`.

use crate::{Outcome, workspace};

/// The rooms, as packages and as folders below `crates/`.
const PURE: &[(&str, &str)] = &[("tally-core", "core"), ("tally-agent", "agent")];

/// Crates that reach outside, which therefore no crate below a pure room may be.
const REACHING: &[&str] = &[
    "async-std",
    "axum",
    "chrono",
    "dirs",
    "fs4",
    "futures-executor",
    "getrandom",
    "hyper",
    "libc",
    "log",
    "mio",
    "nix",
    "png",
    "quinn",
    "rand",
    "rayon",
    "redb",
    "reqwest",
    "rustix",
    "rxing",
    "socket2",
    "tempfile",
    "time",
    "tokio",
    "tracing",
    "ureq",
    "wasm-bindgen",
    "web-sys",
    "web-time",
    "windows-sys",
];

/// Parts of `std` that reach outside.
const OUTSIDE: &[&str] = &["env", "fs", "io", "net", "os", "path", "process", "thread", "time"];

/// Check the crates below each pure room, and its sources.
pub fn run() -> Outcome {
    let mut faults = Vec::new();
    let mut files = 0;
    for (room, folder) in PURE {
        let (edges, prefix, format) = ("--edges=normal", "--prefix=none", "--format={p}");
        let args = ["tree", edges, prefix, format, "--package", room, "--no-default-features"];
        let tree = workspace::output_of(&workspace::cargo(), &args)?;
        faults.extend(
            reaching(&tree)
                .map(|name| format!("{room} must not rest on {name}, which reaches outside")),
        );
        let folder = format!("crates/{folder}/src");
        let listed = workspace::output_of("git", &["ls-files", "-z", "--cached", &folder])?;
        for path in listed.split('\0').filter(|path| path.ends_with(".rs") && !is_test(path)) {
            let text = std::fs::read_to_string(workspace::root().join(path)).unwrap_or_default();
            files += 1;
            faults.extend(named(&text).map(|(line, part)| {
                format!("{path}:{line}: std::{part} reaches outside: let it come in as an input")
            }));
        }
    }
    if files == 0 {
        faults.push("no source of a pure room was found".into());
    }
    if faults.is_empty() {
        Ok(format!("{files} sources of {} rooms", PURE.len()))
    } else {
        Err(faults)
    }
}

/// The crates in the output of `cargo tree --prefix=none --format={p}` that reach outside.
fn reaching(tree: &str) -> impl Iterator<Item = &str> {
    tree.lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| REACHING.contains(name))
}

fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// The parts of `std` outside that a source names, with their lines: by path, or in a list after `std::{`.
fn named(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim_start().starts_with("//"));
    lines.flat_map(|(number, line)| {
        line.match_indices("std::").flat_map(move |(at, std)| {
            let ours = !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            let rest = &line[at + std.len()..];
            let list = rest.strip_prefix('{').map(|list| list.split('}').next().unwrap_or(list));
            let parts = list.map_or_else(|| vec![rest], |list| list.split(',').collect());
            parts
                .into_iter()
                .filter_map(|part| part.trim().split(|c: char| !c.is_alphanumeric()).next())
                .filter(move |part| ours && OUTSIDE.contains(part))
                .map(move |part| (number, part))
                .collect::<Vec<_>>()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<&str> {
        named(text).map(|(_, part)| part).collect()
    }

    #[test]
    fn a_part_of_std_that_reaches_outside_is_found_by_path_and_in_a_list() {
        assert_eq!(parts("use std::fs;"), ["fs"]);
        assert_eq!(parts("let now = std::time::SystemTime::now();"), ["time"]);
        assert_eq!(parts("use std::{fmt, net::TcpStream, thread};"), ["net", "thread"]);
        assert_eq!(parts("a();\nstd::process::exit(1)"), ["process"]);
    }

    #[test]
    fn what_stays_inside_is_not_found() {
        for text in
            ["use std::vec::Vec;", "// std::fs", "my_std::fs", "core::time::Duration", "std::timer"]
        {
            assert_eq!(parts(text), Vec::<&str>::new(), "{text}");
        }
    }

    #[test]
    fn each_crate_that_reaches_outside_is_found_at_any_depth() {
        for name in REACHING {
            let tree = format!("tally-agent v0.1.0 (x)\nsha2 v0.11.0\n{name} v1.0.0 (*)\n");
            assert_eq!(reaching(&tree).collect::<Vec<_>>(), [*name]);
        }
        assert_eq!(reaching("tally-agent v0.1.0\nrand_core v0.10.1\n").count(), 0);
    }

    #[test]
    fn tests_are_not_what_is_shipped() {
        assert!(
            is_test("crates/core/src/device/tests/own.rs")
                && is_test("crates/core/src/mint/tests.rs")
        );
        assert!(!is_test("crates/core/src/mint.rs"));
    }
}
