//! Scripts and pages for the shell.

use clap::CommandFactory;

use crate::args::Cli;
use crate::error::{CliError, Exit};
use crate::output::Done;

/// A script that completes commands.
pub fn completions(shell: clap_complete::Shell) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tally", &mut script);
    Done::script(String::from_utf8_lossy(&script).into_owned())
}

/// The manual page, of the program and each of its commands.
///
/// # Errors
/// [`CliError`] when it cannot be laid out.
pub fn man() -> Result<Done, CliError> {
    let mut page = Vec::new();
    let mut command = Cli::command();
    command.build();
    let layout = |command: &clap::Command, page: &mut Vec<u8>| {
        // Built commands know their whole name: `tally-contact`.
        let title = command.get_display_name().unwrap_or("tally").to_owned();
        clap_mangen::Man::new(command.clone()).title(title).render(page).map_err(|e| {
            let what = format!("the page cannot be laid out ({e})");
            CliError::new(Exit::Failure, "MAN", what, "see `tally --help`")
        })
    };
    layout(&command, &mut page)?;
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        layout(sub, &mut page)?;
    }
    Ok(Done::script(String::from_utf8_lossy(&page).into_owned()))
}
