//! The commands that `deploy/` runs, as plain processes: a validator that serves, and ends when it is told to.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

fn deploy(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(name);
    fs::read_to_string(path).expect("it is there")
}

/// What follows `key` in the only line that begins with it.
fn line(text: &str, key: &str) -> String {
    let mut found = text.lines().filter_map(|line| line.strip_prefix(key));
    let value = found.next().expect("there is one").trim().to_owned();
    assert!(found.next().is_none(), "two lines with {key}");
    value
}

/// A network of one validator: its configuration, and where it serves.
fn validator(folder: &Path) -> (PathBuf, SocketAddr) {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("it listens");
    let made = Command::new(env!("CARGO_BIN_EXE_tally"))
        .args(["notary", "init", "--validators", "1", "--port", "21000", "--out"])
        .arg(folder.join("net"))
        .output()
        .expect("it runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let path = folder.join("net/v0/config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).expect("made")).expect("JSON");
    config["rpc"] = free.to_string().into();
    config["listen"] = "127.0.0.1:0".into();
    config["peers"]["v0"] = "127.0.0.1:1".into();
    fs::write(&path, config.to_string()).expect("it writes");
    (path, free)
}

fn get(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// Runs a command whose first word is the program and whose last is the configuration.
fn serves_and_ends(words: &[String], signal: &str) {
    let (program, rest) = words.split_first().expect("a program");
    let (config, between) = rest.split_last().expect("a configuration");
    assert!(program.ends_with("tally"), "{program}");
    assert!(config.ends_with("/config.json"), "{config}");
    let folder = tempfile::tempdir().expect("a folder");
    let (config, address) = validator(folder.path());
    let mut command = Command::new(env!("CARGO_BIN_EXE_tally"));
    command.args(between).arg(config).stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = Ending(command.spawn().expect("it starts"));
    let ready = || get(address, "/ready").is_some_and(|text| text.starts_with("HTTP/1.1 200"));
    let became = (0..600).any(|_| {
        thread::sleep(Duration::from_millis(100));
        ready()
    });
    assert!(became, "{:?}", get(address, "/ready"));
    let pid = child.0.id().to_string();
    let sent = Command::new("kill").args([&format!("-{signal}"), &pid]).status();
    assert!(sent.expect("kill is there").success());
    let status = child.0.wait().expect("it ends");
    assert!(status.success(), "{status}");
}

/// Ends a process that a failed test leaves behind.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_services_command_serves_and_ends_at_its_signal() {
    let unit = deploy("tally-notary.service");
    let words: Vec<_> = line(&unit, "ExecStart=").split_whitespace().map(str::to_owned).collect();
    let signal = line(&unit, "KillSignal=");
    serves_and_ends(&words, signal.strip_prefix("SIG").expect("a signal"));
}

#[test]
fn the_containers_command_serves_and_ends_at_its_signal() {
    let file = deploy("Containerfile");
    let words: Vec<String> =
        serde_json::from_str(&line(&file, "ENTRYPOINT ")).expect("the form without a shell");
    let signal = line(&file, "STOPSIGNAL ");
    serves_and_ends(&words, signal.strip_prefix("SIG").expect("a signal"));
}
