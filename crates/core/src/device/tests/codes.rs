//! Every code is one code, and stands in the specification.

extern crate std;

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use std::path::Path;

const SPEC: &str = include_str!("../../../../../spec/codes.md");

/// Every file that has errors with codes of its own.
const SOURCES: [&str; 14] = [
    include_str!("../../cbor/mod.rs"),
    include_str!("../../policy.rs"),
    include_str!("../../mint.rs"),
    include_str!("../../transaction.rs"),
    include_str!("../../predicate.rs"),
    include_str!("../../evidence/verify.rs"),
    include_str!("../../card.rs"),
    include_str!("../../fork.rs"),
    include_str!("../../accept.rs"),
    include_str!("../../trade.rs"),
    include_str!("../error.rs"),
    include_str!("../contacts.rs"),
    include_str!("../own.rs"),
    include_str!("../recovery.rs"),
];

/// What stands to the right of the arrows of `fn code`.
pub(super) fn codes() -> Vec<&'static str> {
    let of_file = |source: &'static str| {
        let after = source.split("fn code(").nth(1).expect("a function for codes");
        let body = after.split("\n    }").next().expect("its body");
        body.split("=> \"").skip(1).filter_map(|rest| rest.split('"').next())
    };
    SOURCES.into_iter().flat_map(of_file).collect()
}

#[test]
fn no_code_means_two_things() {
    let codes = codes();
    assert!(codes.len() >= 72, "{}", codes.len());
    let distinct: BTreeSet<_> = codes.iter().collect();
    assert_eq!(distinct.len(), codes.len());
}

#[test]
fn every_code_fits_a_refusal() {
    for code in codes() {
        assert!(code.len() <= crate::message::MAX_CODE, "{code}");
        assert!(code.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'), "{code}");
    }
}

#[test]
fn every_code_stands_in_the_specification_and_no_other() {
    // What validators and those who ask them say is not a device's to say.
    let devices = SPEC.split("\n## A network of validators").next().unwrap_or_default();
    let rows = devices.lines().filter_map(|line| line.strip_prefix("| `"));
    let listed: Vec<&str> = rows.filter_map(|row| row.split('`').next()).collect();
    let listed: BTreeSet<&str> = listed.into_iter().collect();
    assert_eq!(listed, codes().into_iter().collect());
}

pub(super) fn read_all(folder: &Path, ending: &str, into: &mut String) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            read_all(&path, ending, into);
        } else if path.extension().is_some_and(|e| e == ending) {
            into.push_str(&std::fs::read_to_string(&path).expect("text"));
        }
    }
}

#[test]
fn every_test_that_a_rule_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = String::new();
    read_all(&root.join("src"), "rs", &mut sources);
    // What a wallet must do with its store and a network is tested where both are.
    read_all(&root.join("../wallet/src"), "rs", &mut sources);
    // What asks a network is tested without I/O, beside sessions and settlement.
    read_all(&root.join("../agent/src"), "rs", &mut sources);
    // What several agents do together is tested with a kit of its own.
    read_all(&root.join("../testkit/tests"), "rs", &mut sources);
    // So is what the encryption of hellos must do.
    read_all(&root.join("../transport/src"), "rs", &mut sources);
    // What a program says to whoever runs it is tested with the program.
    read_all(&root.join("../cli/tests"), "rs", &mut sources);
    let specs = [
        "encoding",
        "assets",
        "payments",
        "evidence",
        "accept",
        "settlement",
        "forks",
        "contacts",
        "paths",
        "trust",
        "codes",
    ];
    for name in specs {
        let path = root.join("../../spec").join(name).with_extension("md");
        let spec = std::fs::read_to_string(&path).expect("the specification");
        let is_test = |word: &&str| {
            let plain =
                word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
            plain && word.matches('_').count() > 2
        };
        for test in spec.split('`').filter(is_test) {
            assert!(sources.contains(&alloc::format!("fn {test}(")), "{name}: {test}");
        }
    }
}
