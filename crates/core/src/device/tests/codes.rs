//! Every code is one code, and stands in the specification.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

const SPEC: &str = include_str!("../../../../../spec/codes.md");

/// Every file that has errors with codes of its own.
const SOURCES: [&str; 11] = [
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
    include_str!("../io.rs"),
];

/// What stands to the right of the arrows of `fn code`.
fn codes() -> Vec<&'static str> {
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
    let rows = SPEC.lines().filter_map(|line| line.strip_prefix("| `"));
    let listed: Vec<&str> = rows.filter_map(|row| row.split('`').next()).collect();
    let listed: BTreeSet<&str> = listed.into_iter().collect();
    assert_eq!(listed, codes().into_iter().collect());
}
