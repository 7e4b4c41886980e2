//! Random lives of a few agents and a network: they pay over connections that break, by codes that get
//! lost, lose power, restart, are without their key, their journal or their chip for a while, set value aside and take
//! it back, settle with validators that lie, are stale or cut off, and one of them comes back from
//! backups. Whatever happens, in the end every wallet opens and pays a third person, nobody is
//! convicted, no money comes or goes, and the network takes all that a payee accepted.
//!
//! `LIVES=10000 cargo test --release -p tally-testkit --test lives` lives more of them, from `FIRST` on,
//! and `LIFE=7` one, with what happens in it. `WITHIN` says after how many seconds no other one begins, and
//! `STOP` that none does after one that failed.

#[path = "lives/end.rs"]
mod end;
#[path = "lives/events.rs"]
mod events;

use std::io::{self, Write};
use std::time::Instant;

use end::Made;
use events::live;

/// How many lives are lived if nothing else is asked for.
const SHORT: u64 = 120;
/// After so many that failed nothing is learnt from another one.
const MOST_FAILED: usize = 20;
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[test]
fn whatever_happens_every_wallet_opens_pays_and_keeps_its_money() {
    if let Some(seed) = number("LIFE") {
        live(seed, true);
        return;
    }
    let (first, lives) = (number("FIRST").unwrap_or(0), number("LIVES").unwrap_or(SHORT));
    let most = if number("STOP").is_some() { 1 } else { MOST_FAILED };
    let (mut made, mut failed, mut lived) = (Made::default(), Vec::new(), 0);
    let (began, within) = (Instant::now(), number("WITHIN").unwrap_or(u64::MAX));
    for seed in first..first + lives {
        match std::panic::catch_unwind(|| live(seed, false)) {
            Ok(of) => made.add(&of),
            Err(_) => failed.push(seed),
        }
        lived += 1;
        if failed.len() >= most || began.elapsed().as_secs() >= within {
            break;
        }
    }
    if lives != SHORT {
        let _ = writeln!(io::stdout(), "{lived} lives from {first} on: {made:?}");
    }
    assert!(failed.is_empty(), "failed lives: {failed:?}");
    assert!(lived < SHORT || made.is_rich(), "the lives are too quiet: {made:?}");
}
