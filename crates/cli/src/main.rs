//! `tally`: one binary, every face of the wallet.

mod args;
mod carrier;
mod cmd;
mod context;
mod demo;
mod error;
mod output;
mod show;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use args::Cli;
use error::CliError;
use output::Out;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(misread(&error)),
    };
    let out = Out::new(cli.global.json);
    ExitCode::from(out.finish(cmd::run(cli, out)))
}

/// Shows help, or what is wrong with the command line.
fn misread(error: &clap::Error) -> u8 {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        // Help that nobody reads any more is no failure.
        let _ = error.print();
        return 0;
    }
    let json = std::env::args_os().any(|arg| arg == "--json");
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let (message, usage) = text.split_once("\n\n").unwrap_or((text, ""));
    let next = match usage.lines().find(|line| line.starts_with("Usage: ")) {
        Some(usage) => format!("use it as `{}`, or see `--help`", &usage["Usage: ".len()..]),
        None => "see `tally --help`".into(),
    };
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    Out::new(json).fail(&CliError::usage("USAGE", message, &next))
}
