//! Every command of the guide runs, in its order, and ends as the guide says.

mod common;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::{World, end};

/// The commands of the guide: who types them, what, and how they end.
fn commands(guide: &str) -> Vec<(String, String, i32)> {
    let blocks = guide.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let lines = blocks.flat_map(str::lines).filter_map(|line| line.split_once("$ tally "));
    let command = |(who, line): (&str, &str)| {
        let (line, note) = line.split_once('#').unwrap_or((line, ""));
        let code =
            note.trim().strip_prefix("exit ").map_or(0, |code| code.parse().expect("a number"));
        (who.to_owned(), line.trim().to_owned(), code)
    };
    lines.map(command).collect()
}

fn interrupt(mut child: Child) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().expect("kill").success());
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
}

/// Whether a command goes on until it is interrupted.
fn stays(line: &str) -> bool {
    ["listen ", "devnet tpm ", "enroller run "].iter().any(|kind| line.starts_with(kind))
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// Types every command of a page, in its order; a terminal is interrupted when its owner types on.
fn follow(page: &str, at_least: usize) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    let commands = commands(&std::fs::read_to_string(page).expect("the page"));
    assert!(commands.len() > at_least, "{commands:?}");
    let world = World::new();
    std::fs::write(world.path("secret"), "correct horse battery staple\n").expect("written");
    let ports = [("7117", free_port()), ("7118", free_port())];
    let mut terminals: BTreeMap<String, Child> = BTreeMap::new();
    for (who, line, code) in commands {
        let line = ports.iter().fold(line, |line, (named, port)| {
            let here = format!("127.0.0.1:{port}");
            line.replace(&format!("0.0.0.0:{named}"), &here)
                .replace(&format!("192.168.1.5:{named}"), &here)
        });
        if let Some(terminal) = terminals.remove(&who) {
            interrupt(terminal);
        }
        let mut command = world.command(&who);
        command.args(line.split_whitespace());
        if stays(&line) {
            let mut child = command.stdout(Stdio::piped()).spawn().expect("tally");
            let mut first = [0; 9];
            let stdout = child.stdout.as_mut().expect("piped");
            std::io::Read::read_exact(stdout, &mut first).expect("it says where it listens");
            terminals.insert(who, child);
            continue;
        }
        let ended = end(command);
        assert_eq!(ended.code, code, "{who}$ tally {line}\n{}{}", ended.stdout, ended.stderr);
    }
    assert!(!terminals.is_empty(), "the last terminal still listens");
    terminals.into_values().for_each(interrupt);
}

#[test]
fn every_command_of_the_guide_ends_as_it_says() {
    follow("guide.md", 30);
}

#[test]
fn every_command_of_the_page_on_seals_ends_as_it_says() {
    tally_seal::tpm2::swtpm::install_once().expect("swtpm");
    follow("seals.md", 25);
}
