//! Put results where they belong: one document on the standard output, all else beside it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

use crate::error::{CliError, Exit};

/// What a command found out or did: a JSON document, and the same for people.
pub trait Report: Serialize {
    /// The report for people: whole lines.
    fn text(&self) -> String;

    /// The payment that was made, if one was.
    fn payment(&self) -> Option<String> {
        None
    }

    /// How the program ends after it was shown.
    fn exit(&self) -> Exit {
        Exit::Ok
    }
}

/// A report that was made ready to be shown.
#[derive(Debug)]
pub struct Done {
    json: String,
    text: String,
    exit: Exit,
    payment: Option<String>,
}

impl Done {
    /// Takes a report.
    pub fn new(report: &impl Report) -> Self {
        let (text, payment) = (report.text(), report.payment());
        match serde_json::to_string(report) {
            Ok(json) => Self { json, text, exit: report.exit(), payment },
            // What was done is done, whether or not it can be said in JSON.
            Err(e) => {
                let json = unshown(&e.to_string(), payment.clone()).json();
                Self { json, text, exit: Exit::Unshown, payment }
            }
        }
    }

    /// Text that is a document of its own, such as a shell script: the same with `--json`, as a
    /// JSON text.
    pub fn script(text: String) -> Self {
        let json = serde_json::to_string(&text).expect("a text is always JSON");
        Self { json, text, exit: Exit::Ok, payment: None }
    }

    /// Nothing to show: everything was shown on the way.
    pub fn silent(exit: Exit) -> Self {
        Self { json: String::new(), text: String::new(), exit, payment: None }
    }
}

/// A command was done, and its result cannot be shown.
fn unshown(why: &str, payment: Option<String>) -> CliError {
    let what = match &payment {
        Some(tx) => format!("payment {tx} is made"),
        None => "the command was done".to_owned(),
    };
    let message = format!("{what}, but the output cannot be written ({why})");
    let next = "do not do it again: see `tally history` and `tally status`";
    CliError { payment, ..CliError::new(Exit::Unshown, "OUTPUT", message, next) }
}

/// Shows a path whatever its bytes are: what is no text of it shows as a replacement character.
pub fn path<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&path.to_string_lossy())
}

/// Shows a path, if there is one.
pub fn path_if_any<S: Serializer>(path: &Option<PathBuf>, to: S) -> Result<S::Ok, S::Error> {
    path.as_deref().map(Path::to_string_lossy).serialize(to)
}

/// Shows several paths.
pub fn paths<S: Serializer>(paths: &[PathBuf], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(paths.iter().map(|path| path.to_string_lossy()))
}

/// Where and how to show things.
#[derive(Clone, Copy, Debug)]
pub struct Out {
    json: bool,
}

impl Out {
    /// Shows JSON or text.
    pub const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether programs read the output.
    pub const fn json(self) -> bool {
        self.json
    }

    /// Shows how a command ended; gives the exit code.
    pub fn finish(self, result: Result<Done, CliError>) -> u8 {
        match result {
            Ok(done) => {
                if !done.text.is_empty() || !done.json.is_empty() {
                    let text = if self.json { done.json + "\n" } else { done.text };
                    if let Err(e) = self.stdout(&text) {
                        let error = unshown(&e.to_string(), done.payment);
                        self.note(&error.to_string());
                        return error.exit as u8;
                    }
                }
                done.exit as u8
            }
            Err(error) => self.fail(&error),
        }
    }

    /// Shows an error; gives the exit code.
    pub fn fail(self, error: &CliError) -> u8 {
        self.note(&error.to_string());
        if self.json {
            // Nothing is left to tell a reader that went away; the exit code says the rest.
            let _ = self.stdout(&(error.json() + "\n"));
        }
        error.exit as u8
    }

    /// Shows a report at once: one line of JSON, or lines of text.
    ///
    /// # Errors
    /// [`CliError`] when the reader has gone away.
    pub fn now(self, report: &impl Report) -> Result<(), CliError> {
        let done = Done::new(report);
        self.show(&if self.json { done.json + "\n" } else { done.text })
    }

    /// Shows lines at once. Only where no document follows.
    ///
    /// # Errors
    /// [`CliError`] when the reader has gone away.
    pub fn line(self, text: &str) -> Result<(), CliError> {
        let end = if text.ends_with('\n') { "" } else { "\n" };
        self.show(&format!("{text}{end}"))
    }

    fn show(self, text: &str) -> Result<(), CliError> {
        self.stdout(text).map_err(|e| {
            CliError::new(
                Exit::Failure,
                "OUTPUT",
                format!("the output cannot be written ({e})"),
                "look at what reads it",
            )
        })
    }

    /// Tells the user something that is not part of the result. Always on the standard error.
    pub fn note(self, text: &str) {
        let mut stderr = io::stderr().lock();
        // A closed standard error is the user's choice.
        let _ = stderr.write_all(text.as_bytes());
        if !text.ends_with('\n') {
            let _ = stderr.write_all(b"\n");
        }
    }

    fn stdout(self, text: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            // `tally history | head` has seen all that it wanted.
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe && !self.json => Ok(()),
            other => other,
        }
    }
}
