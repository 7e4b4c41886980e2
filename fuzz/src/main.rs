//! Hand libFuzzer the target that `TALLY_FUZZ_TARGET` names; `--list` prints them all.
#![no_main]

use std::sync::OnceLock;
use tally_fuzz::{TARGETS, Target};

static CHOSEN: OnceLock<&Target> = OnceLock::new();

/// Before libFuzzer reads its arguments: leave if there is nothing to fuzz.
fn choose() {
    let name = std::env::var("TALLY_FUZZ_TARGET").unwrap_or_default();
    if name == "--list" {
        for target in TARGETS {
            println!("{} {}", target.name, target.longest);
        }
        std::process::exit(0);
    }
    let Some(target) = TARGETS.iter().find(|target| target.name == name) else {
        eprintln!("TALLY_FUZZ_TARGET={name:?} names no target; run scripts/fuzz.sh --list");
        std::process::exit(2);
    };
    CHOSEN.get_or_init(|| target);
}

libfuzzer_sys::fuzz_target!(init: choose(), |data: &[u8]| {
    if let Some(target) = CHOSEN.get() {
        (target.run)(data);
    }
});
