//! Prints every bar with its measured value. `-- --json` prints JSON; with `-- --check` a bar that
//! does not hold is a failure.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use tally_bench::{bars, live};

fn main() -> io::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, folder] = arguments.as_slice()
        && flag == live::PAYEE
    {
        live::be_payee(Path::new(folder));
        return Ok(ExitCode::SUCCESS);
    }
    let report = bars::measure(tally_core::count::signatures);
    let mut out = io::stdout().lock();
    if arguments.iter().any(|argument| argument == "--json") {
        writeln!(out, "{:#}", report.json())?;
    } else {
        report.table(&mut out)?;
    }
    let strict = arguments.iter().any(|argument| argument == "--check");
    Ok(if strict && !report.passes() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
