//! Every command of the guide runs, in its order, and ends as the guide says.

mod common;

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

#[test]
fn every_command_of_the_guide_ends_as_it_says() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide.md");
    let commands = commands(&std::fs::read_to_string(guide).expect("the guide"));
    assert!(commands.len() > 30, "{commands:?}");
    let world = World::new();
    std::fs::write(world.path("secret"), "correct horse battery staple\n").expect("written");
    let port =
        TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let mut terminal: Option<(String, Child)> = None;
    for (who, line, code) in commands {
        let line = line.replace("0.0.0.0:7117", &format!("127.0.0.1:{port}"));
        let line = line.replace("192.168.1.5:7117", &format!("127.0.0.1:{port}"));
        if terminal.as_ref().is_some_and(|(listens, _)| *listens == who) {
            interrupt(terminal.take().expect("it listens").1);
        }
        let mut command = world.command(&who);
        command.args(line.split_whitespace());
        if line.starts_with("listen") {
            let mut child = command.stdout(Stdio::piped()).spawn().expect("tally");
            let mut first = [0; 9];
            let stdout = child.stdout.as_mut().expect("piped");
            std::io::Read::read_exact(stdout, &mut first).expect("it says where it listens");
            terminal = Some((who, child));
            continue;
        }
        let ended = end(command);
        assert_eq!(ended.code, code, "{who}$ tally {line}\n{}{}", ended.stdout, ended.stderr);
    }
    assert!(terminal.is_some(), "the last terminal still listens");
    interrupt(terminal.expect("it listens").1);
}
