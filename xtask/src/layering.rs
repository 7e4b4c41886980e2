//! A lower room never imports a higher one.
//!
//! The table below is the architecture; `cargo metadata` is what was built. Development and build
//! dependencies obey the same table, so that no test pulls a higher room into a lower one.

use crate::{Outcome, workspace};
use serde_json::Value;
use std::collections::BTreeSet;

/// Each room with the rooms it may import, lowest first. Whatever is not named is forbidden.
const ROOMS: &[(&str, &[&str])] = &[
    ("tally-tree", &[]),
    ("tally-core", &["tally-tree"]),
    ("tally-seal", &["tally-tree", "tally-core"]),
    // Carries bytes and knows nothing of what they say: it imports no room at all.
    ("tally-transport", &[]),
    // A person's device without I/O; of the transport it has the session encryption alone.
    ("tally-agent", &["tally-tree", "tally-core", "tally-transport"]),
    ("tally-testkit", &["tally-tree", "tally-core", "tally-transport", "tally-agent"]),
    ("tally-notary", UP_TO_TRANSPORT),
    ("tally-wallet", UP_TO_AGENT),
    ("tally-sim", WITH_TESTKIT),
    ("tally-cli", UP_TO_SIM),
];

const UP_TO_TRANSPORT: &[&str] = &["tally-tree", "tally-core", "tally-seal", "tally-transport"];
const UP_TO_AGENT: &[&str] =
    &["tally-tree", "tally-core", "tally-seal", "tally-transport", "tally-agent"];
/// What plays whole people, and the network.
const WITH_TESTKIT: &[&str] = &[
    "tally-tree",
    "tally-core",
    "tally-seal",
    "tally-transport",
    "tally-agent",
    "tally-testkit",
    "tally-wallet",
    "tally-notary",
];
const UP_TO_SIM: &[&str] = &[
    "tally-tree",
    "tally-core",
    "tally-seal",
    "tally-transport",
    "tally-agent",
    "tally-wallet",
    "tally-notary",
    "tally-sim",
];

/// Packages that look at the house from outside: they import anything, and no one imports them.
const OUTSIDE: &[&str] = &["tally-bench", "tally-double-spend", "xtask"];

/// Edges that only tests may have, from a room to one that is not higher: a wallet is tested
/// against the interface of a real notary, and knows nothing of its code; its store is held against what
/// every store has to hold.
const IN_TESTS: &[(&str, &str)] =
    &[("tally-wallet", "tally-notary"), ("tally-wallet", "tally-testkit")];

/// Rooms that must stay small enough to be audited, with the features that they are counted with,
/// and how many crates each may pull in, itself not counted.
///
/// The curve of hardware seals is a feature because it doubles the number, see
/// `docs/decisions/0030-p256-in-core.md`: it is counted too, so that it cannot grow unseen. The agent has
/// that curve and, for its sessions, the hybrid key agreement with its own curve and lattice.
const SMALL: &[(&str, &str, usize)] = &[
    ("tally-tree", "", 20),
    ("tally-core", "", 20),
    ("tally-core", "p256", 42),
    ("tally-agent", "", 66),
];

/// One workspace package, or a package on disk that one imports, and what it imports from disk.
#[derive(Debug, Default, PartialEq, Eq)]
struct Package {
    name: String,
    imports: BTreeSet<String>,
}

/// Check the edges between the workspace's packages and the size of the small rooms.
pub fn run() -> Outcome {
    let cargo = workspace::cargo();
    let text = workspace::output_of(&cargo, &["metadata", "--format-version=1", "--no-deps"])?;
    let packages = packages_in(&text).map_err(|why| vec![why])?;
    let mut faults = wrong_edges(&packages);
    let mut sizes = Vec::new();
    for (room, features, most) in SMALL {
        let chosen = format!("--features={features}");
        let (edges, prefix, format) = ("--edges=normal", "--prefix=none", "--format={p}");
        let args = ["tree", edges, prefix, format, "--package", room, &chosen];
        let crates = crates_below(&workspace::output_of(&cargo, &args)?, room);
        faults.extend(too_many(room, &crates, *most));
        let with = if features.is_empty() { String::new() } else { format!(" with {features}") };
        sizes.push((format!("{room}{with}"), crates.len()));
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let edges: usize = packages.iter().map(|p| p.imports.len()).sum();
    let sizes: Vec<String> = sizes.iter().map(|(room, n)| format!("{room} {n} crates")).collect();
    Ok(format!("{} packages, {edges} edges, {}", packages.len(), sizes.join(", ")))
}

/// The packages in the output of `cargo metadata --no-deps`, with their imports by path.
fn packages_in(metadata: &str) -> Result<Vec<Package>, String> {
    let value: Value =
        serde_json::from_str(metadata).map_err(|e| format!("cargo metadata is not JSON: {e}"))?;
    let list = value["packages"].as_array().ok_or("cargo metadata names no packages")?;
    list.iter()
        .map(|package| {
            let name = package["name"].as_str().ok_or("a package without a name")?.to_owned();
            let dependencies =
                package["dependencies"].as_array().ok_or("a package without dependencies")?;
            let imports = dependencies
                .iter()
                .filter(|d| d["path"].is_string())
                .filter(|d| d["kind"] != "dev" || !only_in_tests(&name, d))
                .filter_map(|d| d["name"].as_str())
                .map(str::to_owned)
                .collect();
            Ok(Package { name, imports })
        })
        .collect()
}

fn only_in_tests(room: &str, dependency: &Value) -> bool {
    IN_TESTS.iter().any(|(importer, import)| *importer == room && dependency["name"] == *import)
}

/// One sentence for each edge that the table forbids, and for each package it does not know.
fn wrong_edges(packages: &[Package]) -> Vec<String> {
    let mut faults = Vec::new();
    for Package { name, imports } in packages {
        if OUTSIDE.contains(&name.as_str()) {
            faults.extend(imports.iter().filter_map(|import| outside_edge(name, import)));
            continue;
        }
        let Some((_, allowed)) = ROOMS.iter().find(|(room, _)| room == name) else {
            faults.push(format!(
                "{name} has no place in the house: add it to ROOMS in xtask/src/layering.rs"
            ));
            continue;
        };
        for import in imports.iter().filter(|i| !allowed.contains(&i.as_str())) {
            let allowed = if allowed.is_empty() { "no room".into() } else { allowed.join(", ") };
            faults.push(format!("{name} must not import {import}; it may import {allowed}"));
        }
    }
    faults
}

fn outside_edge(name: &str, import: &str) -> Option<String> {
    OUTSIDE
        .contains(&import)
        .then(|| format!("{name} must not import {import}: nothing imports what stands outside"))
}

/// The distinct crates in the output of `cargo tree --prefix=none --format={p}`, without `room`.
fn crates_below(tree: &str, room: &str) -> BTreeSet<String> {
    tree.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let (name, version) = (words.next()?, words.next()?);
            (name != room).then(|| format!("{name} {version}"))
        })
        .collect()
}

fn too_many(room: &str, crates: &BTreeSet<String>, most: usize) -> Option<String> {
    (crates.len() > most).then(|| {
        let names: Vec<&str> = crates.iter().map(String::as_str).collect();
        format!("{room} pulls in {} crates, {most} at most: {}", names.len(), names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, imports: &[&str]) -> Package {
        Package { name: name.into(), imports: imports.iter().map(|i| (*i).into()).collect() }
    }

    #[test]
    fn the_table_itself_only_points_down() {
        for (at, (room, allowed)) in ROOMS.iter().enumerate() {
            for import in *allowed {
                let below = ROOMS[..at].iter().any(|(lower, _)| lower == import);
                assert!(below, "{room} may import {import}, which is not below it");
            }
        }
    }

    #[test]
    fn downward_edges_pass() {
        let house = [
            package("tally-tree", &[]),
            package("tally-core", &["tally-tree"]),
            package("tally-wallet", &["tally-core", "tally-seal", "tally-transport"]),
            package("tally-cli", &["tally-wallet", "tally-sim"]),
            package("tally-bench", &["tally-cli", "tally-core"]),
        ];
        assert_eq!(wrong_edges(&house), Vec::<String>::new());
    }

    #[test]
    fn an_upward_edge_is_named_with_what_would_be_allowed() {
        assert_eq!(
            wrong_edges(&[package("tally-core", &["tally-wallet"])]),
            ["tally-core must not import tally-wallet; it may import tally-tree"]
        );
    }

    #[test]
    fn transport_may_not_know_what_it_carries() {
        let faults = wrong_edges(&[package("tally-transport", &["tally-core"])]);
        assert_eq!(faults, ["tally-transport must not import tally-core; it may import no room"]);
    }

    #[test]
    fn a_room_beside_is_not_below() {
        assert_eq!(wrong_edges(&[package("tally-seal", &["tally-transport"])]).len(), 1);
    }

    #[test]
    fn nothing_imports_what_stands_outside() {
        assert_eq!(wrong_edges(&[package("tally-cli", &["tally-bench"])]).len(), 1);
    }

    #[test]
    fn an_unknown_package_is_refused_as_importer_and_as_import() {
        assert_eq!(wrong_edges(&[package("tally-new", &[])]).len(), 1);
        assert_eq!(wrong_edges(&[package("tally-cli", &["tally-fuzz"])]).len(), 1);
    }

    #[test]
    fn metadata_counts_development_and_build_edges_but_not_registry_ones() {
        let text = r#"{"packages": [{"name": "tally-core", "dependencies": [
            {"name": "tally-tree", "kind": null, "path": "x"},
            {"name": "tally-sim", "kind": "dev", "path": "x"},
            {"name": "tally-cli", "kind": "build", "path": "x"},
            {"name": "sha2", "kind": null}]}]}"#;
        let packages = packages_in(text).unwrap();
        assert_eq!(packages, [package("tally-core", &["tally-tree", "tally-sim", "tally-cli"])]);
        assert_eq!(wrong_edges(&packages).len(), 2);
    }

    #[test]
    fn an_edge_for_tests_is_one_for_nothing_else() {
        let wallet = |kind: &str| {
            let text = format!(
                r#"{{"packages": [{{"name": "tally-wallet", "dependencies": [
                {{"name": "tally-notary", "kind": {kind}, "path": "x"}}]}}]}}"#
            );
            wrong_edges(&packages_in(&text).unwrap()).len()
        };
        assert_eq!((wallet(r#""dev""#), wallet("null")), (0, 1));
    }

    #[test]
    fn the_rooms_of_an_edge_for_tests_are_in_order() {
        let at = |name: &str| ROOMS.iter().position(|(room, _)| *room == name);
        for (importer, import) in IN_TESTS {
            assert!(at(import).unwrap() < at(importer).unwrap());
        }
    }

    #[test]
    fn metadata_that_is_not_metadata_is_an_error() {
        assert!(packages_in("{").is_err());
        assert!(packages_in("{}").is_err());
        assert!(packages_in(r#"{"packages": [{}]}"#).is_err());
    }

    #[test]
    fn a_crate_is_counted_once_and_the_room_itself_never() {
        let tree = "tally-core v0.1.0 (x)\nsha2 v0.11.0\ncfg-if v1.0.0\nsha2 v0.11.0 (*)\n\n";
        assert_eq!(crates_below(tree, "tally-core").len(), 2);
    }

    #[test]
    fn the_crate_after_the_last_allowed_one_is_too_many() {
        let crates = |n: usize| (0..n).map(|i| format!("c{i} v1")).collect();
        assert_eq!(too_many("tally-core", &crates(20), 20), None);
        assert!(too_many("tally-core", &crates(21), 20).is_some());
    }
}
