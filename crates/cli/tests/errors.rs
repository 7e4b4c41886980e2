//! Whatever goes wrong: a clear error, the right exit code, and nothing lost.

mod common;

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;

use common::{World, lines};

#[test]
fn a_command_line_that_makes_no_sense_is_a_usage_error() {
    let world = World::with_money();
    for line in ["", "nonsense", "pay", "invoice COIN", "policy set --tier signed --per-payment x"]
    {
        world.run("alice", line).fails(2, "USAGE");
    }
    world.run("alice", "policy set --tier gold --accept no").fails(2, "TIER");
    world.run("eve", "init --name x --network 0").fails(2, "NETWORK");
    world.run("mint", "asset create --ticker coin --decimals 2").fails(2, "TICKER");
    world.run("mint", "asset create --ticker COIN --decimals 19").fails(2, "DECIMALS");
    world.run("alice", "contact card").fails(2, "NO_PLACE");
    world.run("alice", "backup file").fails(2, "PASSPHRASE_NEEDED");
}

#[test]
fn zero_overflowing_and_malformed_amounts_are_usage_errors() {
    let world = World::with_money();
    for amount in ["0", "0.00", "1.001", "99999999999999999999", "1e3", "+1", "0x1"] {
        world.run("bob", &format!("invoice COIN {amount} --out never")).fails(2, "AMOUNT");
        let line = format!("pay bob {amount} COIN --connect 127.0.0.1:9");
        world.run("alice", &line).fails(2, "AMOUNT");
        world
            .run("mint", &format!("mint COIN {amount} --to bob.card --out never"))
            .fails(2, "AMOUNT");
    }
    assert!(!world.path("never").exists());
}

#[test]
fn nobody_at_the_address_is_unreachable_and_nothing_is_paid() {
    let world = World::with_money();
    world.run("alice", "pay bob 1 COIN --connect 127.0.0.1:9").fails(4, "TRANSPORT_UNREACHABLE");
    world.run("alice", "sync bob --connect 127.0.0.1:9").fails(4, "TRANSPORT_UNREACHABLE");
    assert_eq!(world.balance("alice"), "100.00");
}

#[test]
fn more_than_there_is_cannot_be_paid() {
    let world = World::with_money();
    world.ok("bob", "invoice COIN 100.01 --out invoice");
    world.run("alice", "pay --invoice invoice --out never").fails(5, "INSUFFICIENT_FUNDS");
    let (terminal, address) = world.listen("alice", 1);
    let line = format!("pay alice 1 COIN --connect {address}");
    world.run("bob", &line).fails(5, "INSUFFICIENT_FUNDS");
    assert_eq!(lines(terminal).0, 0);
}

#[test]
fn an_expired_invoice_is_refused() {
    let world = World::with_money();
    world.run("bob", "invoice COIN 1 --valid-for 0s --out never").fails(2, "USAGE");
    world.run("bob", "invoice COIN 1 --valid-for 900ms --out never").fails(2, "USAGE");
    world.ok("bob", "invoice COIN 1 --valid-for 1s --out invoice");
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    world.run("alice", "verify invoice").fails(3, "INVOICE_EXPIRED");
    let refused = world.run("alice", "pay --invoice invoice --out never");
    assert_eq!(refused.code, 3, "{refused:?}");
    assert_eq!(world.balance("alice"), "100.00");
}

#[test]
fn what_is_for_somebody_else_is_refused() {
    let world = World::with_money();
    world.ok("mint", "mint COIN 5 --to alice.card --out for-alice");
    let mint = world.run("bob", "receive for-alice");
    mint.fails(3, "NOT_FOR_ME");
    world.ok("bob", "invoice COIN 1 --out invoice");
    world.ok("alice", "pay --invoice invoice --out for-bob");
    let payment = world.run("carol", "receive for-bob");
    assert_eq!(payment.code, 3, "{payment:?}");
    assert_eq!(world.balance("carol"), "0");
    world.ok("bob", "receive for-bob");
    assert_eq!(world.balance("bob"), "1.00");
}

#[test]
fn objects_of_another_network_are_refused() {
    let world = World::with_money();
    world.ok("far", "init --name far --network 9");
    world.ok("far", "contact card --out far.card");
    world.ok("far", "asset create --ticker FAR --decimals 0 --out far.asset");
    for line in ["contact add far.card", "asset import far.asset"] {
        let refused = world.run("alice", line);
        assert_eq!(refused.code, 3, "{refused:?}");
        refused.error();
    }
    world.run("alice", "verify far.card --network 3").fails(3, "NETWORK_FOREIGN");
    world.ok("alice", "verify far.card --network 9");
}

#[test]
fn a_second_program_in_one_wallet_is_a_conflict() {
    let world = World::with_money();
    let (mut terminal, _) = world.listen("bob", 1);
    world.run("bob", "balance").fails(6, "WALLET_IN_USE");
    terminal.kill().expect("it runs");
    terminal.wait().expect("it ends");
    world.ok("bob", "balance");
}

#[test]
fn a_wrong_passphrase_does_not_open_and_changing_it_does() {
    let world = World::new();
    for (file, text) in [("right", "correct horse\n"), ("wrong", "battery staple\n"), ("empty", "")]
    {
        fs::write(world.path(file), text).expect("written");
    }
    world.ok("alice", "init --name alice --passphrase-file right");
    world.ok("alice", "id --passphrase-file right");
    world.run("alice", "id --passphrase-file wrong").fails(1, "SEAL_WRONG_PASSPHRASE");
    world.run("alice", "id --passphrase-file empty").fails(1, "SEAL_UNLOCK");
    world.run("alice", "id --passphrase-file missing").fails(1, "PASSPHRASE_FILE");
    world.run("alice", "id").fails(1, "SEAL_UNLOCK");
    world.ok("alice", "seal passphrase --passphrase-file right --new-passphrase-file wrong");
    world.ok("alice", "id --passphrase-file wrong");
    world.run("alice", "id --passphrase-file right").fails(1, "SEAL_WRONG_PASSPHRASE");
    world.ok("alice", "seal passphrase --passphrase-file wrong --key-file");
    world.ok("alice", "id");
    world.ok("alice", "seal rebind");
    assert_eq!(world.ok("alice", "seal status")["opens_with"], "key file");
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let world = World::new();
    let folder = world.path("closed");
    fs::create_dir(&folder).expect("a folder");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o500)).expect("closed");
    // The superuser writes everywhere; then a file stands where the folder should be.
    let closed = if fs::write(folder.join("probe"), "").is_ok() {
        fs::write(world.path("file"), "").expect("written");
        "file/wallet"
    } else {
        "closed/wallet"
    };
    let refused = world.run(closed, "init --name alice");
    assert_eq!(refused.code, 1, "{refused:?}");
    refused.error();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).expect("open");
}

/// Runs a command in a shell after `before`: the disk is as full as the shell says.
fn run_after(world: &World, who: &str, before: &str, line: &str) -> common::Ended {
    let direct = world.command(who);
    let mut shell = std::process::Command::new("bash");
    let script = format!("{before}; exec \"$0\" --json {line}");
    shell.arg("-c").arg(script).arg(direct.get_program()).current_dir(world.0.path());
    for (name, value) in direct.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    common::end(shell)
}

#[test]
fn a_full_disk_is_said_so_before_anything_is_paid_and_nothing_is_lost() {
    let world = World::with_money();
    world.ok("bob", "invoice COIN 2 --out invoice");
    // No file may grow, as on a full disk, and the program is told so rather than ended.
    let full = "trap '' XFSZ; ulimit -f 0";
    for line in
        ["pay --invoice invoice --out payment", "receive alice.mint", "invoice COIN 1 --out i"]
    {
        let refused = run_after(&world, "alice", full, line);
        assert_eq!((refused.code, refused.stderr.contains("panicked")), (1, false), "{refused:?}");
        assert!(matches!(refused.error().as_str(), "WALLET_STORE" | "SEAL_IO"), "{refused:?}");
    }
    assert!(!world.path("payment").exists());
    assert_eq!(world.balance("alice"), "100.00");
    world.ok("alice", "pay --invoice invoice --out payment");
    world.ok("bob", "receive payment");
    assert_eq!((world.balance("alice"), world.balance("bob")), ("98.00".into(), "2.00".into()));
}

#[test]
fn a_payment_whose_output_cannot_be_written_is_named_with_its_own_exit() {
    let world = World::with_money();
    world.ok("bob", "invoice COIN 2 --out invoice");
    let ended =
        run_after(&world, "alice", "exec >/dev/full", "pay --invoice invoice --out payment");
    assert_eq!(ended.code, 7, "{ended:?}");
    let tx = world.ok("alice", "history --limit 1")["entries"][0]["tx"].clone();
    for part in ["error[OUTPUT]", tx.as_str().expect("an id"), "do not do it again"] {
        assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
    }
    world.ok("bob", "receive payment");
}

#[test]
fn a_payment_whose_file_cannot_be_written_is_named() {
    let world = World::with_money();
    world.ok("bob", "invoice COIN 2 --out invoice");
    // It looks like a place where a file can be, until it is written.
    let failed = world.run("alice", "pay --invoice invoice --out /proc/payment");
    let tx = world.ok("alice", "history --limit 1")["entries"][0]["tx"].clone();
    assert_eq!((failed.code, &failed.json()["error"]["payment"]), (7, &tx), "{failed:?}");
    assert!(!failed.stdout.contains("nothing was changed"), "{}", failed.stdout);
    world.ok("alice", "resend bob --out again");
    world.ok("bob", "receive again");
}

#[test]
fn a_path_that_is_no_text_is_written_and_shown() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let world = World::with_money();
    world.ok("bob", "invoice COIN 2 --out invoice");
    let name = OsStr::from_bytes(b"caf\xe9.pay");
    for json in [true, false] {
        let mut command = world.command("alice");
        command.args(json.then_some("--json")).args(["pay", "--invoice", "invoice", "--out"]);
        let ended = common::end({
            command.arg(name);
            command
        });
        assert_eq!(ended.code, 0, "{ended:?}");
        fs::remove_file(world.0.path().join(name)).expect("it is there");
    }
    let mut command = world.command("new");
    command.env("TALLY_WALLET", world.0.path().join(name)).args(["init", "--name", "New"]);
    assert_eq!(common::end(command).code, 0);
}

#[test]
fn a_wallet_folder_that_became_read_only_is_named_and_opens_again_later() {
    let world = World::with_money();
    let set = |mode| {
        for entry in fs::read_dir(world.path("alice")).expect("a folder") {
            let path = entry.expect("an entry").path();
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
        }
    };
    set(0o400);
    // The superuser writes everywhere, and sees no read-only file.
    let closed = fs::OpenOptions::new().append(true).open(world.path("alice/wallet.redb")).is_err();
    let ended = world.run("alice", "policy set --max-unsettled 3");
    if closed {
        assert_eq!(ended.code, 1, "{ended:?}");
        ended.error();
    }
    set(0o600);
    assert_eq!(world.balance("alice"), "100.00");
}

#[test]
fn truncated_oversized_and_bit_flipped_files_are_refused_and_change_nothing() {
    let world = World::with_money();
    world.ok("bob", "invoice COIN 1 --out invoice");
    world.ok("alice", "pay --invoice invoice --out payment");
    world.ok("mint", "mint COIN 5 --to bob.card --out bob.mint");
    for (name, take) in [
        ("payment", "receive"),
        ("bob.mint", "receive"),
        ("alice.card", "contact add"),
        ("coin.asset", "asset import"),
    ] {
        let good = fs::read(world.path(name)).expect("read");
        let mut long = good.clone();
        long.resize(400 * 1024, 0);
        let mut bad = vec![Vec::new(), good[..good.len() / 2].to_vec(), good[..5].to_vec(), long];
        for at in [0, 7, good.len() / 3, good.len() - 1] {
            let mut flipped = good.clone();
            flipped[at] ^= 0x10;
            bad.push(flipped);
        }
        for (i, bytes) in bad.iter().enumerate() {
            // A flipped bit in an asset's document is another asset: there is nothing to refuse.
            if name == "coin.asset" && i > 4 {
                continue;
            }
            fs::write(world.path("bad"), bytes).expect("written");
            let refused = world.run("bob", &format!("{take} bad"));
            assert_eq!(refused.code, 3, "{name} {i}: {refused:?}");
            refused.error();
            let verified = world.run("bob", "verify bad").code;
            assert!(verified == 3 || name == "payment", "{name} {i}");
        }
    }
    assert_eq!(world.balance("bob"), "0");
    world.ok("bob", "receive payment");
    world.ok("bob", "receive bob.mint");
    assert_eq!(world.balance("bob"), "6.00");
}

#[test]
fn what_is_replayed_counts_once() {
    let world = World::with_money();
    world.ok("bob", "invoice COIN 1 --out invoice");
    world.ok("alice", "pay --invoice invoice --out payment");
    world.ok("bob", "receive payment");
    let again = world.run("bob", "receive payment");
    assert!(again.code == 0 || again.code == 3, "{again:?}");
    world.run("alice", "receive alice.mint");
    world.ok("alice", "pay --invoice invoice --out payment2");
    world.run("bob", "receive payment2");
    assert_eq!((world.balance("alice"), world.balance("bob")), ("99.00".into(), "1.00".into()));
}

#[test]
fn files_that_exist_are_kept_and_missing_ones_are_named() {
    let world = World::with_money();
    world.run("alice", "contact card --out bob.card").fails(1, "FILE_EXISTS");
    world.run("alice", "receive missing").fails(1, "FILE_MISSING");
    world.run("alice", "inspect .").fails(1, "FILE_NOT_A_FILE");
    world.ok("bob", "invoice COIN 1 --out invoice");
    world.run("alice", "pay --invoice invoice --out bob.card").fails(1, "FILE_EXISTS");
    world.run("alice", "pay --invoice invoice --out no/such/place").fails(1, "FILE_MISSING");
    assert_eq!(world.balance("alice"), "100.00");
    fs::write(world.path("text"), "hello").expect("written");
    world.run("alice", "receive text").fails(3, "OBJECT_UNKNOWN");
    world.run("alice", "receive bob.card").fails(3, "OBJECT_KIND");
}

#[test]
fn a_wallet_that_is_not_there_or_already_there_is_an_error() {
    let world = World::with_money();
    let missing = world.run("nobody", "balance");
    assert_eq!(missing.code, 1, "{missing:?}");
    missing.error();
    let twice = world.run("alice", "init --name alice");
    assert_eq!(twice.code, 1, "{twice:?}");
    twice.error();
    assert_eq!(world.balance("alice"), "100.00");
    let doctor = world.run("nobody", "doctor");
    assert_eq!((doctor.code, &doctor.json()["ok"]), (1, &serde_json::Value::Bool(false)));
    assert_eq!(world.ok("alice", "doctor")["ok"], true);
}

#[test]
fn names_that_stand_for_nothing_or_for_several_are_errors() {
    let world = World::with_money();
    world.run("alice", "sync dave --connect 127.0.0.1:9").fails(1, "WALLET_NOT_FOUND");
    let refused = world.run("bob", "invoice GOLD 1 --out never").fails(1, "WALLET_NOT_FOUND");
    let next = refused["error"]["next"].as_str().expect("text");
    assert!(next.contains("tally asset import FILE"), "{next}");
    world.ok("mint", "asset create --ticker COIN --decimals 3 --out coin3.asset");
    world.ok("bob", "asset import coin3.asset");
    world.run("bob", "invoice COIN 1 --out never").fails(1, "WALLET_AMBIGUOUS");
    world.run("bob", "fork export alice --out never").fails(1, "FORK_UNKNOWN");
    world.run("alice", "mint COIN 1 --to bob.card --out never").fails(3, "WALLET_MINT");
}

#[test]
fn an_interrupted_terminal_ends_with_130() {
    let world = World::with_money();
    let (terminal, _) = world.listen("bob", 9);
    let id = terminal.id().to_string();
    let killed = std::process::Command::new("kill").args(["-INT", &id]).status().expect("kill");
    assert!(killed.success());
    assert_eq!(lines(terminal).0, 130);
}

#[test]
fn a_crowd_that_says_nothing_neither_ends_a_terminal_nor_keeps_a_contact_from_paying() {
    let world = World::with_money();
    let (terminal, address) = world.listen_with_descriptors("bob", 1, 60);
    let crowd: Vec<TcpStream> = (0..200).map_while(|_| TcpStream::connect(&address).ok()).collect();
    assert_eq!(crowd.len(), 200);
    let paid = world.ok("alice", &format!("pay bob 5 COIN --connect {address}"));
    assert_eq!(paid["events"][0]["amount"], "5.00", "{paid}");
    let (code, said) = lines(terminal);
    assert_eq!(code, 0);
    let full = |line: &serde_json::Value| line["event"] == "full";
    assert!(said.iter().any(full), "it says that connections were turned away: {said:?}");
}

#[test]
fn damaged_records_are_an_error_with_a_code_and_no_panic() {
    let world = World::with_money();
    let file = world.path("alice/wallet.redb");
    let whole = fs::read(&file).expect("read");
    // Every page bent, one bit bent, cut short.
    let bend = |step: usize| {
        let mut bent = whole.clone();
        bent.iter_mut().skip(4096).step_by(step).for_each(|byte| *byte ^= 0x55);
        bent
    };
    for bytes in [bend(512), bend(4096), whole[..whole.len() / 2].to_vec()] {
        fs::write(&file, bytes).expect("written");
        for line in ["balance", "policy set --max-unsettled 3"] {
            let refused = world.run("alice", line);
            refused.fails(1, "WALLET_DAMAGED");
        }
        let doctor = world.run("alice", "doctor");
        assert_eq!((doctor.code, &doctor.json()["ok"]), (1, &serde_json::Value::Bool(false)));
        assert!(!doctor.stderr.contains("panicked"), "{doctor:?}");
    }
    fs::write(&file, &whole).expect("written");
    assert_eq!(world.balance("alice"), "100.00");
}

#[test]
fn a_key_that_has_signed_is_not_begun_anew_when_its_records_are_gone() {
    let world = World::with_money();
    world.ok("bob", "invoice COIN 1 --out invoice");
    world.ok("alice", "pay --invoice invoice --out payment");
    let file = world.path("alice/wallet.redb");
    let whole = fs::read(&file).expect("read");
    for gone in [fs::remove_file as fn(_) -> _, |path| fs::write(path, "")] {
        gone(&file).expect("gone");
        let opened = world.run("alice", "balance");
        assert!(opened.fails(1, "WALLET_DAMAGED")["error"]["next"].to_string().contains("restore"));
        world.run("alice", "init --name alice").fails(1, "WALLET_DAMAGED");
    }
    fs::write(&file, &whole).expect("written");
    assert_eq!(world.balance("alice"), "99.00");
    // A key that has signed nothing was only just made: a crash came between.
    fs::remove_file(world.path("carol/wallet.redb")).expect("gone");
    world.ok("carol", "init --name carol");
}

#[test]
fn a_refused_mint_leaves_no_asset_behind() {
    let world = World::with_money();
    world.ok("dave", "init --name dave");
    world.run("dave", "receive alice.mint").fails(3, "NOT_FOR_ME");
    assert_eq!(world.ok("dave", "asset list")["assets"], serde_json::json!([]));
}

#[test]
fn assets_and_people_with_one_name_are_shown_with_their_digits() {
    let world = World::with_money();
    world.ok("eve", "init --name Alice");
    world.ok("eve", "contact card --out eve.card");
    world.ok("eve", "asset create --ticker COIN --decimals 2 --out fake.asset");
    world.ok("eve", "mint COIN 500 --to bob.card --out fake.mint");
    assert_eq!(world.text("bob", "balance").stdout, "nothing yet\n");
    let received = world.text("bob", "receive fake.mint");
    let digits = |id: &serde_json::Value| id.as_str().expect("an id")[..12].to_owned();
    let fake = digits(&world.ok("bob", "balance")["assets"][0]["asset"]);
    assert!(received.stdout.contains(&format!("500.00 COIN ({fake})")), "{received:?}");
    assert!(received.stderr.contains(&fake), "{received:?}");
    world.ok("bob", "contact add eve.card");
    let coin = digits(&world.ok("alice", "asset list")["assets"][0]["asset"]);
    let line = format!("invoice {coin} 1 --out invoice");
    world.ok("bob", &line);
    world.ok("alice", "pay --invoice invoice --out payment");
    let alice = digits(&world.ok("alice", "id")["device"]);
    let received = world.text("bob", "receive payment").stdout;
    assert!(received.contains(&format!("1.00 COIN ({coin}) from alice ({alice})")), "{received}");
}

#[test]
fn a_payee_that_refuses_over_a_connection_says_what_to_do() {
    let world = World::with_money();
    let (terminal, address) = world.listen("bob", 1);
    let refused = world.run("alice", &format!("pay bob 50 COIN --connect {address}"));
    let error = refused.fails(3, "ACCEPT_PER_PAYMENT");
    assert!(error["error"]["next"].to_string().contains("pay less"), "{error}");
    assert_eq!(lines(terminal).0, 0);
}

#[test]
fn a_name_that_does_not_show_as_it_is_is_refused() {
    let world = World::new();
    for hidden in ["\u{ad}", "\u{202e}", "\u{3164}"] {
        let mut command = world.command("alice");
        command.args(["--json", "init", "--name", &format!("a{hidden}lice")]);
        common::end(command).fails(2, "NAME");
    }
    assert!(!world.path("alice").exists());
}
