//! `tally`: one binary, every face of the wallet.

mod args;
mod carrier;
mod cmd;
mod context;
mod demo;
mod error;
mod output;
mod show;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use clap::Parser;
use clap::error::ErrorKind;

use args::Cli;
use error::CliError;
use output::{Done, Out};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(misread(&error)),
    };
    let out = Out::new(cli.global.json);
    ExitCode::from(out.finish(guarded(|| cmd::run(cli, out))))
}

/// Runs a command. A mistake in this program is an error like any other: it has a code, and what
/// was durable stays so. With `RUST_BACKTRACE` set, it also shows where it came from.
fn guarded(run: impl FnOnce() -> Result<Done, CliError>) -> Result<Done, CliError> {
    static PLACE: Mutex<String> = Mutex::new(String::new());
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        *PLACE.lock().unwrap_or_else(PoisonError::into_inner) = place;
        // Of another thread nobody else would tell.
        let here = std::thread::current().name() == Some("main");
        if !here || std::env::var_os("RUST_BACKTRACE").is_some_and(|wanted| wanted != "0") {
            usual(info);
        }
    }));
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        let place = PLACE.lock().unwrap_or_else(PoisonError::into_inner);
        Err(CliError::internal(&format!("at {place}")))
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;

    #[test]
    #[allow(clippy::panic)]
    fn a_mistake_in_the_program_ends_it_with_an_error_that_has_a_code() {
        let error = guarded(|| panic!("never")).unwrap_err();
        assert_eq!((error.code.as_str(), error.exit), ("INTERNAL", Exit::Failure));
        assert!(error.message.contains("main.rs"), "{error}");
        assert!(guarded(|| Ok(Done::silent(Exit::Ok))).is_ok());
    }
}
