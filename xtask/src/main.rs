//! Check what no compiler checks: which crate may import which, what a file may hold, that the
//! protocol crates need no `std`, and that every rule that is cited is one.
//!
//! ```text
//! cargo xtask layering   edges between workspace crates, and how many crates the protocol pulls in
//! cargo xtask hygiene    lints switched on, file sizes, words and paths that do not belong
//! cargo xtask no-std     tally-tree and tally-core link without std
//! cargo xtask purity     what tally-core and tally-agent decide with touches nothing outside
//! cargo xtask spec       one number a rule, and no citation of a rule that is not there
//! cargo xtask switches   put rules of a copy of this repository behind switches: scripts/campaign.sh
//! ```

mod hygiene;
mod layering;
mod no_std;
mod purity;
mod spec;
mod switches;
mod workspace;

use std::process::ExitCode;

fn main() -> ExitCode {
    let task = std::env::args().nth(1).unwrap_or_default();
    let outcome = match task.as_str() {
        "layering" => layering::run(),
        "hygiene" => hygiene::run(),
        "no-std" => no_std::run(),
        "purity" => purity::run(),
        "spec" => spec::run(),
        "switches" => switches::run(),
        _ => {
            eprintln!("usage: cargo xtask <layering|hygiene|no-std|purity|spec|switches>");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(summary) => {
            eprintln!("{task}: {summary}");
            ExitCode::SUCCESS
        }
        Err(faults) => {
            for fault in &faults {
                eprintln!("{task}: {fault}");
            }
            eprintln!("{task}: FAILED, {} to mend", faults.len());
            ExitCode::FAILURE
        }
    }
}

/// What a check answers: one line to print, or every fault it found.
type Outcome = Result<String, Vec<String>>;
