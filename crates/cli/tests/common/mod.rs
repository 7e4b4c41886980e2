//! Drive the real program as its users do: folders, files and exit codes.
#![allow(dead_code)]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// How one run of the program ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// The one JSON document on the standard output.
    #[track_caller]
    pub fn json(&self) -> Value {
        let mut documents = serde_json::Deserializer::from_str(&self.stdout).into_iter::<Value>();
        let document = documents.next().expect("a document").expect("JSON");
        assert!(documents.next().is_none(), "more than one document: {}", self.stdout);
        document
    }

    /// The stable code of the error, as JSON says it.
    #[track_caller]
    pub fn error(&self) -> String {
        let document = self.json();
        assert_eq!(document["error"]["exit"], self.code, "{document}");
        for field in ["message", "next"] {
            assert!(!document["error"][field].as_str().expect("text").is_empty(), "{document}");
        }
        document["error"]["code"].as_str().expect("a code").to_owned()
    }

    /// The result, which must be there.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert_eq!(self.code, 0, "{}{}", self.stdout, self.stderr);
        self.json()
    }

    /// Checks how it failed.
    #[track_caller]
    pub fn fails(self, exit: i32, code: &str) -> Value {
        assert_eq!((self.code, self.error().as_str()), (exit, code), "{}", self.stderr);
        self.json()
    }
}

/// A temporary folder with people's wallets and the files that they pass around.
pub struct World(pub TempDir);

impl World {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The program, for somebody, in the folder where the files are.
    pub fn command(&self, who: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tally"));
        command.current_dir(self.0.path());
        for variable in
            ["RUST_BACKTRACE", "TALLY_PASSPHRASE_FILE", "XDG_DATA_HOME", "XDG_STATE_HOME"]
        {
            command.env_remove(variable);
        }
        command.env("TALLY_WALLET", self.path(who));
        command.env("TALLY_STATE", self.path(&format!("{who}-state")));
        command.stdin(Stdio::null());
        command
    }

    /// Runs `tally --json ...` for somebody.
    pub fn run(&self, who: &str, line: &str) -> Ended {
        let mut command = self.command(who);
        command.arg("--json").args(line.split_whitespace());
        end(command)
    }

    /// Runs `tally ...` for somebody, for the text.
    pub fn text(&self, who: &str, line: &str) -> Ended {
        let mut command = self.command(who);
        command.args(line.split_whitespace());
        end(command)
    }

    /// Runs and expects success.
    #[track_caller]
    pub fn ok(&self, who: &str, line: &str) -> Value {
        self.run(who, line).ok()
    }

    /// An issuer, Alice with 100.00 COIN, Bob and Carol; all know each other and the asset.
    pub fn with_money() -> Self {
        let world = Self::new();
        for who in ["mint", "alice", "bob", "carol"] {
            world.ok(who, &format!("init --name {who}"));
            world.ok(who, &format!("contact card --out {who}.card"));
        }
        for who in ["alice", "bob", "carol"] {
            for other in ["alice", "bob", "carol"].iter().filter(|other| **other != who) {
                world.ok(who, &format!("contact add {other}.card"));
            }
        }
        world.ok("mint", "asset create --ticker COIN --decimals 2 --out coin.asset");
        for who in ["bob", "carol"] {
            world.ok(who, "asset import coin.asset");
        }
        world.ok("mint", "mint COIN 100.00 --to alice.card --out alice.mint");
        world.ok("alice", "receive alice.mint");
        world
    }

    /// What somebody holds, such as "96.00".
    #[track_caller]
    pub fn balance(&self, who: &str) -> String {
        let balance = self.ok(who, "balance");
        balance["assets"][0]["amount"].as_str().unwrap_or("0").to_owned()
    }

    /// Somebody's terminal, for so many connections; gives its address.
    pub fn listen(&self, who: &str, count: u32) -> (Child, String) {
        self.serve(who, &format!("listen 127.0.0.1:0 --count {count}"))
    }

    /// A command that says where it listens, and goes on; gives its address.
    pub fn serve(&self, who: &str, line: &str) -> (Child, String) {
        let mut command = self.command(who);
        command.arg("--json").args(line.split_whitespace());
        Self::serving(command)
    }

    /// The same with so many descriptors and no more.
    pub fn listen_with_descriptors(&self, who: &str, count: u32, most: u32) -> (Child, String) {
        let tally = self.command(who);
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("ulimit -n {most}; exec \"$0\" \"$@\"")])
            .arg(tally.get_program());
        for (name, value) in tally.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.current_dir(self.0.path()).stdin(Stdio::null());
        command.args(["--json", "listen", "127.0.0.1:0", "--count", &count.to_string()]);
        Self::serving(command)
    }

    fn serving(mut command: Command) -> (Child, String) {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("tally");
        let mut line = String::new();
        let stdout = child.stdout.as_mut().expect("piped");
        // One byte at a time, so that nothing of what follows is taken.
        let mut reader = BufReader::with_capacity(1, stdout);
        reader.read_line(&mut line).expect("a line");
        let first: Value = serde_json::from_str(&line).expect("JSON");
        (child, first["address"].as_str().expect("an address").to_owned())
    }

    /// Copies somebody's wallet and journal.
    pub fn clone_wallet(&self, from: &str, to: &str) {
        for (from, to) in
            [(from.to_owned(), to.to_owned()), (format!("{from}-state"), format!("{to}-state"))]
        {
            let (from, to) = (self.path(&from), self.path(&to));
            std::fs::create_dir_all(&to).expect("a folder");
            for entry in std::fs::read_dir(from).expect("a folder") {
                let entry = entry.expect("an entry");
                std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
            }
        }
    }
}

/// The lines of JSON that a terminal printed until it ended.
pub fn lines(child: Child) -> (i32, Vec<Value>) {
    let output = child.wait_with_output().expect("it ends");
    let text = String::from_utf8(output.stdout).expect("text");
    let lines = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    (output.status.code().unwrap_or(-1), lines)
}

pub fn end(mut command: Command) -> Ended {
    let output = command.output().expect("tally runs");
    Ended {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).expect("text"),
        stderr: String::from_utf8(output.stderr).expect("text"),
    }
}
