//! The page that scripts rely on says what the program does.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn page() -> String {
    fs::read_to_string(root().join("docs/cli.md")).expect("the page")
}

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.ends_with("tests") && !path.ends_with("notary") {
            sources(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("tests.rs") {
            into.push(path);
        }
    }
}

fn is_code(text: &str) -> bool {
    text.len() > 2
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

/// Texts in quotes behind `=> `, or as first argument of an error's maker.
fn codes_in(source: &str) -> BTreeSet<String> {
    let shipped = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let flat = shipped.split_whitespace().collect::<Vec<_>>().join(" ");
    let makers = [
        "=> ",
        "CliError::usage( ",
        "CliError::usage(",
        "CliError::refused(",
        "Exit::Failure, ",
        "Exit::Refused, ",
    ];
    let behind = |maker: &str| -> Vec<String> {
        let parts = flat.split(maker).skip(1);
        let quoted = parts.filter_map(|part| part.strip_prefix('"')?.split('"').next());
        quoted.filter(|text| is_code(text)).map(str::to_owned).collect()
    };
    makers.iter().flat_map(|maker| behind(maker)).collect()
}

#[test]
fn every_error_code_is_on_the_page_and_no_other() {
    let mut files = Vec::new();
    for room in ["core", "seal", "transport", "agent", "wallet", "cli"] {
        sources(&root().join("crates").join(room).join("src"), &mut files);
    }
    let read = |path: &PathBuf| codes_in(&fs::read_to_string(path).expect("a source"));
    let codes: BTreeSet<String> = files.iter().flat_map(read).collect();
    assert!(codes.len() > 100, "the sources have codes: {codes:?}");
    let page = page();
    let table = page.split("## Error codes").nth(1).expect("the table");
    let quoted = table.split('`').skip(1).step_by(2).map(str::to_owned);
    let listed: BTreeSet<String> = quoted.filter(|text| is_code(text)).collect();
    assert_eq!(
        codes.difference(&listed).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "not on the page"
    );
    assert_eq!(
        listed.difference(&codes).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "only on the page"
    );
}

#[test]
fn every_command_is_on_the_page() {
    let help = Command::new(env!("CARGO_BIN_EXE_tally")).arg("--help").output().expect("tally");
    let help = String::from_utf8(help.stdout).expect("text");
    let commands = help.split("Commands:").nth(1).and_then(|rest| rest.split("Options:").next());
    let commands = commands.expect("the list of commands").lines();
    let names =
        commands.filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' '));
    let names: Vec<&str> = names.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.len() > 20, "{help}");
    let page = page();
    for name in names {
        assert!(page.contains(&format!("`{name}")), "{name} is not on the page");
    }
}
