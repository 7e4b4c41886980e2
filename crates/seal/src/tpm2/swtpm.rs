//! Start a TPM in software: for tests, measurements and the audit's rehearsals.
//!
//! It is `swtpm` over libtpms, from a distribution's packages. It promises nothing: whoever copies
//! its state folder can set it back.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use super::{Address, Tpm, TpmError};

/// What installs the programs that this module runs, in a checkout of the source.
pub const INSTALL: &str = "scripts/install-swtpm.sh";

/// The programs.
const PROGRAMS: [&str; 4] = ["swtpm", "swtpm_setup", "swtpm_localca", "certtool"];

/// How often it is asked whether it is up, each time after [`WAIT`].
const ATTEMPTS: u32 = 1000;
const WAIT: Duration = Duration::from_millis(10);

/// Installs the programs from the distribution's packages where they are missing, once a process,
/// by the script [`INSTALL`] of the checkout that the current folder is in. Elsewhere it does
/// nothing. [`SoftwareTpm::start`] and [`SoftwareTpm::manufacture`] do this first, so that a test
/// command on a fresh machine needs nothing before it.
///
/// # Errors
/// [`TpmError::Absent`] with the script's last words, for a machine without packages or rights.
pub fn install_once() -> Result<(), TpmError> {
    static DONE: OnceLock<Result<(), String>> = OnceLock::new();
    let done = DONE.get_or_init(|| if is_installed() { Ok(()) } else { install() });
    done.clone().map_err(|why| TpmError::Absent { address: "swtpm".into(), why })
}

fn is_installed() -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    PROGRAMS.iter().all(|program| env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

fn install() -> Result<(), String> {
    let script = env::current_dir().ok().and_then(|dir| {
        dir.ancestors().map(|above| above.join(INSTALL)).find(|script| script.is_file())
    });
    let Some(script) = script else { return Ok(()) };
    let failed = |why: &str| format!("swtpm is not installed, and {INSTALL} failed: {why}");
    let run = Command::new(script).stdin(Stdio::null()).output();
    let output = run.map_err(|e| failed(&e.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(failed(words.lines().last().unwrap_or("it says nothing")))
}

/// A running TPM in software. It is killed when dropped; its state stays in its folder.
#[derive(Debug)]
pub struct SoftwareTpm {
    dir: PathBuf,
    process: Option<Child>,
}

impl SoftwareTpm {
    /// Starts one with its state in `dir`, which is made when missing.
    ///
    /// # Errors
    /// [`TpmError::Absent`], with the script that installs it when it is not installed.
    pub fn start(dir: &Path) -> Result<Self, TpmError> {
        install_once()?;
        let mut tpm = Self { dir: dir.to_owned(), process: None };
        fs::create_dir_all(dir).map_err(|e| tpm.absent(&e.to_string()))?;
        tpm.switch_on()?;
        Ok(tpm)
    }

    /// Makes the state of a TPM that has an endorsement key with a certificate by an authority of
    /// its own, whose certificates it puts into `dir` too: the root's path is returned.
    ///
    /// # Errors
    /// [`TpmError::Absent`], with the script that installs it when it is not installed.
    pub fn manufacture(dir: &Path) -> Result<PathBuf, TpmError> {
        install_once()?;
        let tpm = Self { dir: dir.to_owned(), process: None };
        let failed = |e: io::Error| tpm.absent(&e.to_string());
        let ca = dir.join("ca");
        fs::create_dir_all(&ca).map_err(failed)?;
        let at = dir.display();
        let files = [
            (
                "setup.conf",
                format!(
                    "create_certs_tool = /usr/bin/swtpm_localca\ncreate_certs_tool_config = {at}/localca.conf\ncreate_certs_tool_options = {at}/localca.options\nactive_pcr_banks = sha256\n"
                ),
            ),
            (
                "localca.conf",
                format!(
                    "statedir = {at}/ca\nsigningkey = {at}/ca/signkey.pem\nissuercert = {at}/ca/issuercert.pem\ncertserial = {at}/ca/certserial\n"
                ),
            ),
            (
                "localca.options",
                "--platform-manufacturer Tally\n--platform-version 1.0\n--platform-model Test\n"
                    .to_owned(),
            ),
        ];
        for (name, text) in files {
            fs::write(dir.join(name), text).map_err(failed)?;
        }
        let output = Command::new("swtpm_setup")
            .args(["--tpm2", "--ecc", "--create-ek-cert", "--overwrite", "--pcr-banks", "sha256"])
            .arg("--tpmstate")
            .arg(dir)
            .arg("--config")
            .arg(dir.join("setup.conf"))
            .output()
            .map_err(|e| tpm.not_started("swtpm_setup", &e))?;
        if !output.status.success() {
            return Err(tpm.absent(&String::from_utf8_lossy(&output.stdout)));
        }
        Ok(ca.join("swtpm-localca-rootca-cert.pem"))
    }

    /// Where it listens.
    pub fn address(&self) -> Address {
        Address::Unix(self.dir.join("socket"))
    }

    /// The folder with its state.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Cuts its power: what it had not written is lost.
    pub fn cut_power(&mut self) {
        if let Some(mut process) = self.process.take() {
            // Killing fails only when it has ended already.
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Switches it on again, from the state in its folder.
    ///
    /// # Errors
    /// [`TpmError::Absent`].
    pub fn switch_on(&mut self) -> Result<(), TpmError> {
        self.cut_power();
        let socket = self.dir.join("socket");
        let control = self.dir.join("control");
        for path in [&socket, &control] {
            match fs::remove_file(path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    return Err(self.absent(&e.to_string()));
                }
                _ => {}
            }
        }
        let process = Command::new("swtpm")
            .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"])
            .arg("--tpmstate")
            .arg(format!("dir={}", self.dir.display()))
            .arg("--server")
            .arg(format!("type=unixio,path={}", socket.display()))
            .arg("--ctrl")
            .arg(format!("type=unixio,path={}", control.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| self.not_started("swtpm", &e))?;
        self.process = Some(process);
        for _ in 0..ATTEMPTS {
            if Tpm::open(&self.address()).is_ok() {
                return Ok(());
            }
            thread::sleep(WAIT);
        }
        Err(self.absent("it was started, and does not answer"))
    }

    fn not_started(&self, program: &str, error: &io::Error) -> TpmError {
        match error.kind() {
            io::ErrorKind::NotFound => {
                self.absent(&format!("{program} is not installed: run {INSTALL}"))
            }
            _ => self.absent(&format!("{program}: {error}")),
        }
    }

    fn absent(&self, why: &str) -> TpmError {
        TpmError::Absent { address: self.address().to_string(), why: why.to_owned() }
    }
}

impl Drop for SoftwareTpm {
    fn drop(&mut self) {
        self.cut_power();
    }
}
