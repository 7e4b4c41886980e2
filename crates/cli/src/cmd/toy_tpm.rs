//! Run a TPM in software, to try seals with.

use std::path::{Path, PathBuf};
use std::sync::mpsc;

use serde::Serialize;
use tally_seal::SealError;
use tally_seal::tpm2::swtpm::SoftwareTpm;

use crate::error::{CliError, Exit};
use crate::output::{Done, Out, Report};

#[derive(Serialize)]
struct Running {
    event: &'static str,
    tpm: String,
    #[serde(serialize_with = "crate::output::path")]
    root: PathBuf,
    #[serde(serialize_with = "crate::output::path")]
    intermediate: PathBuf,
}

impl Report for Running {
    fn text(&self) -> String {
        format!(
            "a TPM in software, for development: whoever copies its folder can pay twice\n\
             tpm           {}\nits root      {}\nintermediate  {}\n(Ctrl-C ends)\n",
            self.tpm,
            self.root.display(),
            self.intermediate.display()
        )
    }
}

/// Runs it until it is interrupted. Its folder keeps its state.
pub fn run(out: Out, dir: &Path) -> Result<Done, CliError> {
    let failed = |e: std::io::Error| {
        let what = format!("{} cannot be used ({e})", dir.display());
        CliError::new(Exit::Failure, "DEVNET_FOLDER", what, "choose another --dir")
    };
    let dir = std::path::absolute(dir).map_err(failed)?;
    let root = dir.join("ca").join("swtpm-localca-rootca-cert.pem");
    if !root.exists() {
        SoftwareTpm::manufacture(&dir).map_err(SealError::Tpm)?;
    }
    let tpm = SoftwareTpm::start(&dir).map_err(SealError::Tpm)?;
    let (sender, stop) = mpsc::channel();
    ctrlc::set_handler(move || {
        // Nobody listens any more when it ends anyway.
        let _ = sender.send(());
    })
    .map_err(|e| {
        let what = format!("Ctrl-C cannot be watched ({e})");
        CliError::new(Exit::Failure, "SIGNALS", what, "try again in another terminal")
    })?;
    let intermediate = root.with_file_name("issuercert.pem");
    let address = tpm.address().to_string();
    out.now(&Running { event: "ready", tpm: address, root, intermediate })?;
    // An error means that nobody can ask any more.
    let _ = stop.recv();
    drop(tpm);
    Ok(Done::silent(Exit::Interrupted))
}
