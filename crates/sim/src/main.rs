//! Run one seed with its log, or a campaign of many.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Instant;

use tally_sim::{Outcome, run};

const USAGE: &str = "tally-sim --seed S     one life, with everything that happens in it
tally-sim --seeds N    the lives of the seeds 1 to N, and one line in the end";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = arguments.get(1).and_then(|text| text.parse::<u64>().ok());
    let done = match (arguments.first().map(String::as_str), number) {
        (Some("--seed"), Some(seed)) if arguments.len() == 2 => one(seed),
        (Some("--seeds"), Some(seeds)) if arguments.len() == 2 => campaign(seeds),
        _ => writeln!(io::stderr(), "{USAGE}").map(|()| ExitCode::from(2)),
    };
    done.unwrap_or(ExitCode::FAILURE)
}

fn one(seed: u64) -> io::Result<ExitCode> {
    let mut log = String::new();
    let outcome = run(seed, &mut log);
    let mut out = io::stdout().lock();
    write!(out, "{log}")?;
    writeln!(out, "{}", Totals::default().with(&outcome))?;
    Ok(exit(outcome.violation.is_none()))
}

fn campaign(seeds: u64) -> io::Result<ExitCode> {
    let mut totals = Totals::default();
    let began = Instant::now();
    for seed in 1..=seeds {
        let outcome = run(seed, &mut Nowhere);
        if let Some(violation) = &outcome.violation {
            writeln!(io::stderr(), "\rseed {seed}: {violation}")?;
        }
        totals = totals.with(&outcome);
        if seed % 100 == 0 || seed == seeds {
            let left = began.elapsed().as_secs_f64() / seed as f64 * (seeds - seed) as f64;
            write!(io::stderr(), "\r{seed} of {seeds} seeds, {left:.0} s left  ")?;
        }
    }
    writeln!(io::stderr())?;
    writeln!(io::stdout(), "{totals}")?;
    Ok(exit(totals.broken == 0))
}

fn exit(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A log that nobody reads.
struct Nowhere;

impl fmt::Write for Nowhere {
    fn write_str(&mut self, _: &str) -> fmt::Result {
        Ok(())
    }
}

/// Sums over many lives.
#[derive(Default)]
struct Totals {
    seeds: u64,
    broken: u64,
    paid: u64,
    received: u64,
    lost: u64,
    repeated: u64,
    crashes: u64,
    restored: u64,
    forgotten: u64,
    cheats: u64,
    convictions: u64,
}

impl Totals {
    fn with(self, outcome: &Outcome) -> Self {
        Self {
            seeds: self.seeds + 1,
            broken: self.broken + u64::from(outcome.violation.is_some()),
            paid: self.paid + outcome.paid,
            received: self.received + outcome.received,
            lost: self.lost + outcome.lost,
            repeated: self.repeated + outcome.repeated,
            crashes: self.crashes + outcome.crashes,
            restored: self.restored + outcome.restored,
            forgotten: self.forgotten + outcome.forgotten,
            cheats: self.cheats + u64::from(outcome.cheated),
            convictions: self.convictions + outcome.convictions,
        }
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} seeds, {} broken: {} payments signed, {} received, {} messages lost, {} repeated, \
             {} crashes, {} backups restored ({} units of payments that nobody has any more), {} cheats, \
             {} convictions",
            self.seeds,
            self.broken,
            self.paid,
            self.received,
            self.lost,
            self.repeated,
            self.crashes,
            self.restored,
            self.forgotten,
            self.cheats,
            self.convictions,
        )
    }
}
