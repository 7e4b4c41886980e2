//! Ask git and cargo about this repository.

use std::path::PathBuf;
use std::process::Command;

/// The folder that holds the workspace's `Cargo.toml`.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies one folder below the root")
        .to_path_buf()
}

/// Run `program` in the root and return its standard output, or one sentence on why it failed.
pub fn output_of(program: &str, args: &[&str]) -> Result<String, Vec<String>> {
    let shown = format!("`{program} {}`", args.join(" "));
    let done = Command::new(program)
        .args(args)
        .current_dir(root())
        .output()
        .map_err(|e| vec![format!("could not start {shown}: {e}")])?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        return Err(vec![format!("{shown} failed: {}", said.trim())]);
    }
    String::from_utf8(done.stdout).map_err(|e| vec![format!("{shown} printed no UTF-8: {e}")])
}

/// The cargo that runs this task, so that both use one toolchain.
pub fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".into())
}
