//! What a reader may rely on in every file: the lints are on, the file is small, it is finished,
//! it promises nothing without its assumption, and it names no place on someone's disk.
//!
//! The patterns are spelled in halves, so that this file passes its own check.

use crate::{Outcome, workspace};
use std::path::Path;

/// Lines of code, neither blank nor comment, that one file under `crates/` may hold.
const MAX_CODE_LINES: usize = 800;

/// What the workspace's lint table must say for `[lints] workspace = true` to mean anything.
const LINTS: &[&str] = &[r#"unsafe_code = "forbid""#, r#"missing_docs = "deny""#];

/// Work left undone.
const UNFINISHED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("to", "do!"),
    concat!("unimple", "mented!"),
];

/// Words that promise more than any assumption carries.
const BOASTS: &[&str] = &[concat!("trust", "less"), concat!("impos", "sible")];

/// Places that exist on one machine only.
const LOCAL: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/tm", "p/"),
    concat!("../sha", "red"),
];

/// Tracked files that are not ours to word: licences, lock files, and inputs found by machines.
const FOREIGN: &[&str] = &["LICENSE-", "Cargo.lock", "package-lock.json", "fuzz/seeds/"];

/// Check every tracked file.
pub fn run() -> Outcome {
    let listed = workspace::output_of("git", &["ls-files", "-z", "--cached"])?;
    let root = workspace::root();
    let mut faults = Vec::new();
    let mut count = 0;
    for path in listed.split('\0').filter(|p| !p.is_empty() && !is_foreign(p)) {
        // A file deleted but not yet committed, or one that is no text, has nothing to read.
        let Ok(text) = std::fs::read_to_string(root.join(path)) else {
            continue;
        };
        count += 1;
        faults.extend(faults_in(path, &text));
    }
    if faults.is_empty() { Ok(format!("{count} files")) } else { Err(faults) }
}

pub(crate) fn is_foreign(path: &str) -> bool {
    FOREIGN.iter().any(|f| path.starts_with(f) || path.ends_with(f))
}

/// One sentence for each rule that the file at `path` breaks.
fn faults_in(path: &str, text: &str) -> Vec<String> {
    let extension = Path::new(path).extension().and_then(|e| e.to_str()).unwrap_or_default();
    let is_room = path.starts_with("crates/");
    let mut faults = Vec::new();
    if path == "Cargo.toml" {
        faults.extend(missing_lints(text));
    } else if is_room && path.ends_with("/Cargo.toml") {
        faults.extend(lints_off(path, text));
    }
    if is_room && extension == "rs" {
        faults.extend(too_long(path, text));
        faults.extend(lint_silenced(path, text));
    }
    for (number, line) in (1..).zip(text.lines()) {
        let at = format!("{path}:{number}");
        faults.extend(unfinished(&at, line));
        faults.extend(local_path(&at, line));
        if matches!(extension, "md" | "rs") {
            faults.extend(boast(&at, line));
        }
    }
    faults
}

/// The lints that the root manifest's `[workspace.lints.rust]` does not set.
fn missing_lints(manifest: &str) -> Vec<String> {
    let set: Vec<&str> = section(manifest, "[workspace.lints.rust]").collect();
    LINTS
        .iter()
        .filter(|lint| !set.contains(lint))
        .map(|lint| format!("Cargo.toml: [workspace.lints.rust] must say {lint}"))
        .collect()
}

fn lints_off(path: &str, manifest: &str) -> Option<String> {
    let on = section(manifest, "[lints]").any(|line| line == "workspace = true");
    (!on).then(|| format!("{path}: needs a [lints] section that says workspace = true"))
}

/// The trimmed lines of one section of a manifest.
fn section<'a>(manifest: &'a str, header: &'a str) -> impl Iterator<Item = &'a str> {
    manifest
        .lines()
        .map(str::trim)
        .skip_while(move |line| *line != header)
        .skip(1)
        .take_while(|line| !line.starts_with('['))
}

fn too_long(path: &str, text: &str) -> Option<String> {
    let lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with("//"));
    let count = lines.count();
    (count > MAX_CODE_LINES)
        .then(|| format!("{path}: {count} lines of code, {MAX_CODE_LINES} at most: split it"))
}

/// `missing_docs` is only denied, so a file could still allow it for itself.
fn lint_silenced(path: &str, text: &str) -> Option<String> {
    let attribute = concat!("allow(missing", "_docs)");
    text.contains(attribute)
        .then(|| format!("{path}: {attribute} hides a public item: document it"))
}

fn unfinished(at: &str, line: &str) -> Option<String> {
    let mark = UNFINISHED.iter().find(|mark| has_word(line, mark))?;
    Some(format!("{at}: {mark} is work left undone: do it, or drop the remark"))
}

fn boast(at: &str, line: &str) -> Option<String> {
    let line = line.to_lowercase();
    let word = BOASTS.iter().find(|word| line.contains(*word))?;
    Some(format!("{at}: \"{word}\": name the assumption that it rests on instead"))
}

/// A pattern counts only where a path starts, so that addresses and relative paths may hold it.
fn local_path(at: &str, line: &str) -> Option<String> {
    let starts_there = |found: usize| {
        !line[..found].ends_with(|c: char| {
            c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '~' | '}' | '*')
        })
    };
    let path = LOCAL
        .iter()
        .find(|path| line.match_indices(**path).any(|(found, _)| starts_there(found)))?;
    Some(format!("{at}: {path} exists on one machine only"))
}

/// Whether `word` stands in `line` without a letter, digit or underscore on either side.
fn has_word(line: &str, word: &str) -> bool {
    let inner = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(found, _)| {
        !line[..found].ends_with(inner) && !line[found + word.len()..].starts_with(inner)
    })
}

#[cfg(test)]
mod tests;
