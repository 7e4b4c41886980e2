//! With `--json`, every command prints exactly one document on the standard output.

mod common;

use common::{World, lines};

/// Every command that needs nobody else, in an order in which each can be done.
const COMMANDS: [&str; 41] = [
    "id",
    "contact card --out a.card2 --png a.png --qr",
    "contact list",
    "doctor",
    "contact add a-stranger",
    "asset list",
    "asset create --ticker MINE --decimals 0 --max-supply 10 --out mine.asset",
    "asset import coin.asset",
    "mint MINE 2 --to alice --out mine.mint",
    "mint MINE 9 --to alice --out too-much",
    "receive mine.mint",
    "invoice COIN 1 --out a.invoice --png a-invoice.png",
    "invoice COIN 1 --qr",
    "pay --invoice b.invoice --out b.payment --qr",
    "pay --invoice b.invoice --png b.png",
    "resend bob --out b.again",
    "resend carol --out c.again",
    "balance",
    "history",
    "history --limit 1",
    "inspect a.png",
    "inspect coin.asset",
    "inspect alice.mint",
    "inspect b.invoice",
    "inspect b.payment",
    "verify a.png",
    "verify b.payment",
    "verify alice.mint",
    "status",
    "notary list",
    "settle",
    "policy show",
    "policy set --max-unsettled 3 --max-certified-age 7days",
    "fork list",
    "backup a.backup --backup-passphrase-file secret",
    "inspect a.backup",
    "recover",
    "seal status",
    "completions bash",
    "man",
    "demo --keep kept",
];

#[test]
fn every_command_prints_exactly_one_document() {
    let world = World::with_money();
    std::fs::write(world.path("secret"), "correct horse").expect("written");
    world.ok("bob", "invoice COIN 1 --out b.invoice");
    for line in COMMANDS {
        let ended = world.run("alice", line);
        let document = ended.json();
        assert_eq!(ended.code != 0, document.get("error").is_some(), "{line}: {ended:?}");
        let fails = ["contact add a-stranger", "mint MINE 9 --to alice --out too-much", "settle"];
        assert_eq!(ended.code != 0, fails.contains(&line), "{line}: {ended:?}");
    }
}

#[test]
fn commands_that_need_somebody_print_one_document_too() {
    let world = World::with_money();
    let (terminal, address) = world.listen("bob", 3);
    for line in ["pay bob 1 COIN", "sync bob", "resend bob"] {
        let ended = world.run("alice", &format!("{line} --connect {address}"));
        assert_eq!(ended.code, 0, "{line}: {ended:?}");
        ended.json();
        // Nothing waits, so `resend` needed no connection; the terminal gets its third.
        if line == "resend bob" {
            let _ = std::net::TcpStream::connect(&address);
        }
    }
    let (code, shown) = lines(terminal);
    assert_eq!(code, 0);
    assert!(shown.iter().all(|line| line["event"].is_string()), "{shown:?}");
}

#[test]
fn text_says_the_same_to_people_and_errors_go_beside() {
    let world = World::with_money();
    for line in [
        "id",
        "balance",
        "history",
        "status",
        "contact list",
        "policy show",
        "doctor",
        "seal status",
    ] {
        let ended = world.text("alice", line);
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{line}");
        assert!(ended.stdout.ends_with('\n'), "{line}");
    }
    let ended = world.text("alice", "receive missing");
    assert_eq!((ended.code, ended.stdout.as_str()), (1, ""));
    assert!(ended.stderr.starts_with("error[FILE_MISSING]: "), "{}", ended.stderr);
    assert!(ended.stderr.contains("\nnext: "), "{}", ended.stderr);
}
