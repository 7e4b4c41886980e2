//! One file for each room, and the table of them all.

use crate::Target;

mod tree;

/// Every target; `scripts/fuzz.sh` runs them all.
pub const TARGETS: &[Target] = &[
    Target { name: "tree_inclusion", longest: 9_000, run: tree::inclusion },
    Target { name: "tree_exclusion", longest: 9_000, run: tree::exclusion },
    Target { name: "tree_consistency", longest: 4_096, run: tree::consistency },
    Target { name: "tree_growth", longest: 1_024, run: tree::growth },
    Target { name: "tree_operations", longest: 1_024, run: tree::operations },
];
