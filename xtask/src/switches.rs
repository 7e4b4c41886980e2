//! Put rules behind switches, so that one program can live with and without each of them.
//!
//! `cargo xtask switches TREE NAME...` writes into TREE, a copy of this repository, for each function that a patch of
//! `tests/removals` changes both bodies, and asks `tally_core::removed` which of them counts. Functions are
//! found by how rustfmt sets them. The names of those that no switch fits are printed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Outcome;

/// What a function does without a rule.
struct Without {
    rule: usize,
    body: String,
}

/// A function of a file: the lines between its braces.
#[derive(Clone, Copy)]
struct Body {
    first: usize,
    end: usize,
}

/// For each file its functions by their place, and what they do without a rule.
type Switches = BTreeMap<PathBuf, BTreeMap<usize, Vec<Without>>>;

pub fn run() -> Outcome {
    let mut arguments = std::env::args().skip(2);
    let tree = arguments.next().map(PathBuf::from).ok_or_else(|| vec!["no tree".to_owned()])?;
    let names: Vec<String> = arguments.collect();
    let (mut switches, mut left) = (Switches::new(), 0);
    for (rule, name) in names.iter().enumerate() {
        match without(&tree, name) {
            Ok(all) => {
                for (file, place, body) in all {
                    let of = switches.entry(file).or_default().entry(place).or_default();
                    of.push(Without { rule, body });
                }
            }
            Err(why) => {
                left += 1;
                eprintln!("switches: {name}: {why}");
            }
        }
    }
    for (file, bodies) in &switches {
        write(&tree, file, bodies).map_err(|why| vec![why])?;
    }
    let lib = tree.join("crates/core/src/lib.rs");
    let text = read(&lib).map_err(|why| vec![why])? + &asked(&names);
    fs::write(&lib, text).map_err(|why| vec![why.to_string()])?;
    Ok(format!("{} rules, {left} of them without a switch", names.len()))
}

/// What answers the question which rules are taken out.
fn asked(names: &[String]) -> String {
    let count = names.len();
    format!(
        "\n/// The rules that have a switch.\npub static RULES: [&str; {count}] = {names:?};\n\
         /// Which of them are taken out.\n\
         pub static REMOVED: [core::sync::atomic::AtomicBool; {count}] =\n    \
         [const {{ core::sync::atomic::AtomicBool::new(false) }}; {count}];\n\
         /// Whether this one is.\npub fn removed(rule: usize) -> bool {{\n    \
         REMOVED[rule].load(core::sync::atomic::Ordering::Relaxed)\n}}\n"
    )
}

/// The functions that a patch changes: file, place and new body of each.
fn without(tree: &Path, name: &str) -> Result<Vec<(PathBuf, usize, String)>, String> {
    let patch = fs::canonicalize(format!("tests/removals/{name}.patch"));
    let patch = patch.map_err(|why| why.to_string())?;
    let text = read(&patch)?;
    let files: Vec<PathBuf> =
        text.lines().filter_map(|line| line.strip_prefix("+++ b/")).map(PathBuf::from).collect();
    let texts = || files.iter().map(|file| read(&tree.join(file))).collect::<Result<Vec<_>, _>>();
    let before = texts()?;
    apply(tree, &patch, &[])?;
    let after = texts();
    apply(tree, &patch, &["-R"])?;
    let mut all = Vec::new();
    for ((file, before), after) in files.iter().zip(&before).zip(&after?) {
        let differ = differ(before, after)?;
        all.extend(differ.into_iter().map(|(place, body)| (file.clone(), place, body)));
    }
    Ok(all)
}

fn apply(tree: &Path, patch: &Path, more: &[&str]) -> Result<(), String> {
    let status =
        Command::new("git").arg("-C").arg(tree).arg("apply").args(more).arg(patch).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        _ => Err("does not apply".into()),
    }
}

/// The bodies that differ between two versions of a file, if nothing else does.
fn differ(before: &str, after: &str) -> Result<Vec<(usize, String)>, String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let (old_bodies, new_bodies) = (bodies(&old), bodies(&new));
    if outside(&old, &old_bodies) != outside(&new, &new_bodies) {
        return Err("changes more than what functions do".into());
    }
    let mut all = Vec::new();
    for (place, (a, b)) in old_bodies.iter().zip(&new_bodies).enumerate() {
        if old[a.first..a.end] != new[b.first..b.end] {
            all.push((place, new[b.first..b.end].join("\n")));
        }
    }
    Ok(all)
}

fn outside<'a>(lines: &[&'a str], bodies: &[Body]) -> Vec<&'a str> {
    let is_in = |at: usize| bodies.iter().any(|body| (body.first..body.end).contains(&at));
    lines.iter().enumerate().filter(|(at, _)| !is_in(*at)).map(|(_, line)| *line).collect()
}

/// All functions that are in no other, but those whose body has to be one expression of one type.
fn bodies(lines: &[&str]) -> Vec<Body> {
    let mut all = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        match body(lines, at) {
            Some(body) => {
                at = body.end;
                all.push(body);
            }
            None => at += 1,
        }
    }
    all
}

fn body(lines: &[&str], at: usize) -> Option<Body> {
    let words: Vec<&str> = lines[at].split_whitespace().collect();
    let before = words.iter().take_while(|word| **word != "fn");
    let is_word =
        |word: &&&str| word.starts_with("pub") || word.ends_with(')') || **word == "async";
    if !words.contains(&"fn") || !before.clone().all(|word| is_word(&word)) {
        return None;
    }
    let indent = indent(lines[at]);
    let opens = |line: &&str| line.ends_with('{') && self::indent(line) == indent;
    let ends =
        |line: &&str| (line.ends_with(';') || line.ends_with('}')) && self::indent(line) == indent;
    let header = lines[at..].iter().position(|line| opens(line) || ends(line))?;
    let head = &lines[at..=at + header];
    if ends(head.last()?) || head.iter().any(|line| line.contains("-> impl")) {
        return None;
    }
    let first = at + header + 1;
    let closes = |line: &str| line.trim() == "}" && self::indent(line) == indent;
    let end = first + lines[first..].iter().position(|line| closes(line))?;
    Some(Body { first, end })
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Writes a file anew, in which each of these functions asks which of its bodies counts.
fn write(tree: &Path, file: &Path, switches: &BTreeMap<usize, Vec<Without>>) -> Result<(), String> {
    let path = tree.join(file);
    let text = read(&path)?;
    let lines: Vec<&str> = text.lines().collect();
    let home = if file.starts_with("crates/core") { "crate" } else { "tally_core" };
    let (mut out, mut at) = (String::new(), 0);
    for (place, body) in bodies(&lines).iter().enumerate() {
        let Some(all) = switches.get(&place) else { continue };
        out += &(lines[at..body.first].join("\n") + "\n");
        for Without { rule, body } in all {
            out += &format!("if {home}::removed({rule}) {{\n{body}\n}} else ");
        }
        out += &format!("{{\n{}\n}}\n", lines[body.first..body.end].join("\n"));
        at = body.end;
    }
    out += &(lines[at..].join("\n") + "\n");
    fs::write(&path, out).map_err(|why| why.to_string())
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|why| format!("{}: {why}", path.display()))
}

#[cfg(test)]
mod tests;
