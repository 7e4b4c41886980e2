//! Two people, two wallets, no network: the whole way, by files, by pictures and over TCP.

mod common;

use std::io::Write;
use std::net::TcpStream;

use common::{World, lines};

#[test]
fn an_invoice_is_paid_by_files_and_the_receipt_comes_back() {
    let world = World::with_money();
    world.ok("bob", "invoice COIN 4.50 --out invoice");
    let paid = world.ok("alice", "pay --invoice invoice --out payment");
    assert_eq!(paid["events"][0]["event"], "paid");
    let received = world.ok("bob", "receive payment --out receipt");
    assert_eq!(received["events"][0]["amount"], "4.50");
    assert_eq!(received["events"][0]["payer"]["name"], "alice");
    assert_eq!(received["events"][0]["word"], "ACCEPTED AT RISK");
    assert_eq!(received["events"][0]["tier"], "Signed");
    assert_eq!(world.ok("alice", "history")["entries"][0]["state"], "signed, waits for the payee");
    world.ok("alice", "receive receipt");
    assert_eq!(world.ok("alice", "history")["entries"][0]["state"], "the payee has it");
    assert_eq!((world.balance("alice"), world.balance("bob")), ("95.50".into(), "4.50".into()));
    let balance = world.ok("bob", "balance");
    assert_eq!(balance["assets"][0]["at_risk"]["amount"], "4.50");
}

#[test]
fn a_mint_is_never_shown_as_certified_by_a_network_that_is_not_there() {
    let world = World::with_money();
    world.ok("mint", "mint COIN 1 --to bob.card --out bob.mint");
    let received = world.ok("bob", "receive bob.mint");
    let tier = world.ok("bob", "balance")["assets"][0]["tiers"][0].clone();
    for shown in [&received["events"][0], &tier] {
        assert_eq!(shown["tier"], "Minted");
        assert!(shown["assumption"].as_str().expect("text").contains("no network has certified"));
    }
    assert_eq!(world.ok("bob", "history")["entries"][0]["tier"], serde_json::Value::Null);
}

#[test]
fn a_contact_who_cannot_be_met_can_be_given_up() {
    let world = World::with_money();
    std::fs::write(world.path("secret"), "correct horse").expect("written");
    world.ok("alice", "backup alice.backup --backup-passphrase-file secret");
    world.ok("phone", "restore alice.backup --backup-passphrase-file secret");
    let open = world.run("phone", "recover --give-up bob");
    assert!(open.stderr.starts_with("given up: bob\n"), "{}", open.stderr);
    let open = open.fails(6, "NOT_RECOVERED");
    assert!(open["error"]["message"].as_str().expect("text").ends_with("(carol)"), "{open}");
    world.run("phone", "recover --give-up carol").fails(6, "RECOVERY_UNCONFIRMED");
    let (terminal, address) = world.listen("bob", 1);
    world.ok("phone", &format!("sync bob --connect {address}"));
    assert_eq!(lines(terminal).0, 0);
    world.run("phone", "recover").fails(6, "RECOVERY_END_OPEN");
    let by_word = world.ok("phone", "recover --nothing-paid-since-backup");
    assert_eq!(
        by_word["mode"], "normal",
        "one was met after all, and the owner speaks for the other"
    );
}

#[test]
fn the_same_way_by_pictures_of_codes() {
    let world = World::with_money();
    world.ok("bob", "invoice COIN 2 --png invoice.png");
    world.ok("alice", "pay --invoice invoice.png --png payment.png");
    world.ok("bob", "receive payment.png --png receipt.png");
    world.ok("alice", "receive receipt.png");
    assert_eq!((world.balance("alice"), world.balance("bob")), ("98.00".into(), "2.00".into()));
}

#[test]
fn a_stranger_pays_an_invoice_and_is_a_contact_then() {
    let world = World::with_money();
    world.ok("dave", "init --name dave");
    world.ok("dave", "asset import coin.asset");
    world.ok("dave", "invoice COIN 1 --out invoice");
    world.ok("alice", "pay --invoice invoice --out payment");
    world.ok("dave", "receive payment");
    assert_eq!(world.balance("dave"), "1.00");
    let contacts = world.ok("dave", "contact list");
    assert_eq!(contacts["contacts"][0]["name"], "alice");
}

#[test]
fn a_merchant_s_terminal_shows_what_a_payment_is_worth_and_refuses_what_is_too_large() {
    let world = World::with_money();
    let (terminal, address) = world.listen("bob", 2);
    let refused = world.run("alice", &format!("pay bob 50 COIN --connect {address}"));
    refused.fails(3, "ACCEPT_PER_PAYMENT");
    let paid = world.ok("alice", &format!("pay bob 5 COIN --connect {address}"));
    assert!(paid["wire"]["sent_bytes"].as_u64().expect("a number") > 0);
    let (code, shown) = lines(terminal);
    assert_eq!(code, 0);
    assert_eq!(shown[0]["event"], "refused");
    assert_eq!(shown[0]["code"], "ACCEPT_PER_PAYMENT");
    assert_eq!(shown[1]["event"], "received");
    assert_eq!(shown[1]["word"], "ACCEPTED AT RISK");
    assert!(
        shown[1]["assumption"].as_str().expect("text").contains("nothing stops a second spend")
    );
    assert_eq!((world.balance("alice"), world.balance("bob")), ("95.00".into(), "5.00".into()));
}

#[test]
fn a_policy_that_was_set_is_what_decides() {
    let world = World::with_money();
    world
        .ok("bob", "policy set --tier signed --per-payment none --per-payer 60 --settle-margin 2h");
    let (terminal, address) = world.listen("bob", 2);
    world.ok("alice", &format!("pay bob 50 COIN --connect {address}"));
    let refused = world.run("alice", &format!("pay bob 11 COIN --connect {address}"));
    refused.fails(3, "ACCEPT_PER_PAYER");
    assert_eq!(lines(terminal).0, 0);
    let policy = world.ok("bob", "policy set --tier signed --accept no");
    assert_eq!(policy["tiers"][4]["accept"], false);
    assert_eq!(policy["settle_margin_seconds"], 7200);
    let (terminal, address) = world.listen("bob", 1);
    world.run("alice", &format!("pay bob 1 COIN --connect {address}")).fails(3, "ACCEPT_TIER");
    assert_eq!(lines(terminal).0, 0);
}

#[test]
fn a_payment_that_got_lost_is_sent_again_and_counts_once() {
    let world = World::with_money();
    world.ok("bob", "invoice COIN 3 --out invoice");
    world.ok("alice", "pay --invoice invoice --out lost");
    world.ok("alice", "resend bob --out again");
    assert_eq!(world.ok("bob", "receive again")["events"][0]["event"], "received");
    let late = world.run("bob", "receive lost");
    assert_eq!(world.balance("bob"), "3.00", "{late:?}");
    let (terminal, address) = world.listen("bob", 1);
    world.ok("alice", &format!("resend bob --connect {address}"));
    assert_eq!(lines(terminal).0, 0);
    assert_eq!(world.ok("alice", "history")["entries"][0]["state"], "the payee has it");
    assert_eq!((world.balance("alice"), world.balance("bob")), ("97.00".into(), "3.00".into()));
}

#[test]
fn a_payee_who_hangs_up_at_once_was_paid_nothing_and_that_is_said() {
    let world = World::with_money();
    let rude = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = rude.local_addr().expect("its address");
    let hangs_up = std::thread::spawn(move || drop(rude.accept()));
    let failed = world.run("alice", &format!("pay bob 1 COIN --connect {address}"));
    hangs_up.join().expect("it hung up");
    assert_eq!(failed.code, 4, "{failed:?}");
    let error = failed.json()["error"].clone();
    assert!(error["message"].as_str().expect("text").ends_with("; nothing was paid"), "{error}");
    assert_eq!(error["next"], "pay again when the payee is there");
    assert_eq!(world.balance("alice"), "100.00");
    assert_eq!(world.ok("alice", "status")["payments"].as_array().map(Vec::len), Some(0));
}

#[test]
fn a_cloned_wallet_that_pays_twice_is_proved_and_refused_for_good() {
    let world = World::with_money();
    world.clone_wallet("alice", "clone");
    for (payer, payee) in [("alice", "bob"), ("clone", "carol")] {
        world.ok(payee, "invoice COIN 4 --out invoice");
        world.ok(payer, "pay --invoice invoice --out payment");
        world.ok(payee, "receive payment");
        for file in ["invoice", "payment"] {
            std::fs::remove_file(world.path(file)).expect("it was there");
        }
    }
    let (terminal, address) = world.listen("carol", 1);
    let met = world.run("bob", &format!("sync carol --connect {address}"));
    assert_eq!(met.code, 6, "{met:?}");
    let events = met.json()["events"].as_array().expect("events").clone();
    assert!(events.iter().any(|e| e["event"] == "forked" && e["contact"]["name"] == "alice"));
    assert!(lines(terminal).1.iter().any(|e| e["event"] == "forked"));

    for payee in ["bob", "carol"] {
        assert_eq!(world.ok(payee, "status")["coins"][0]["state"], "in dispute");
        assert_eq!(world.ok(payee, "balance")["assets"][0]["tiers"][0]["disputed"], true);
        let told = "the first to settle keeps it (tally settle)";
        assert!(world.text(payee, "balance").stdout.contains(told));
        let doctor = world.text(payee, "doctor").stdout;
        assert!(doctor.contains("1 of your coins are in dispute"), "{doctor}");
    }
    assert_eq!(world.ok("carol", "fork list")["forks"][0]["contact"], "alice");
    world.ok("bob", "fork export alice --out proof");
    world.ok("dave", "init --name dave");
    let proof = world.ok("dave", "verify proof");
    assert_eq!(proof["kind"], "fork proof");
    let imported = world.ok("dave", "fork import proof");
    assert_eq!((&imported["kind"], &imported["disputed"]), (&"coin".into(), &false.into()));
    assert_eq!(world.ok("dave", "fork import proof")["known"], true);

    for payee in ["bob", "carol"] {
        let (terminal, address) = world.listen(payee, 1);
        let payer = if payee == "bob" { "alice" } else { "clone" };
        world.run(payer, &format!("pay {payee} 1 COIN --connect {address}")).fails(6, "TRADE_FORK");
        assert_eq!(lines(terminal).0, 0);
    }
    // She hears of it, and is told again whenever she asks.
    let (terminal, address) = world.listen("bob", 1);
    world.run("alice", &format!("sync bob --connect {address}"));
    lines(terminal);
    let doctor = world.text("alice", "doctor").stdout;
    assert!(doctor.contains("your own key was proved to have paid twice"), "{doctor}");
    // An honest wallet does not pay a convicted one either.
    world.ok("alice", "invoice COIN 1 --out from-alice");
    world.run("bob", "pay --invoice from-alice --out never").fails(6, "BRICKED");
}

#[test]
fn a_restored_wallet_receives_only_until_it_knows_its_latest_step() {
    let world = World::with_money();
    std::fs::write(world.path("secret"), "correct horse\n").expect("written");
    world.ok("alice", "backup alice.backup --backup-passphrase-file secret");
    world.ok("bob", "invoice COIN 4 --out invoice");
    world.ok("alice", "pay --invoice invoice --out payment");
    world.ok("bob", "receive payment");
    let restored = world.ok("phone", "restore alice.backup --backup-passphrase-file secret");
    assert_eq!(restored["mode"], "receive only");
    world.ok("carol", "invoice COIN 4 --out second");
    // It says so before it asks a network, which there is not, or connects to anybody, who is not there.
    for wish in [
        "pay --invoice second --out never",
        "pay --invoice second --online --out never",
        "pay carol 4 COIN --connect 127.0.0.1:1",
        "pay carol 4 COIN --online --connect 127.0.0.1:1",
        "refresh COIN",
        "reserve carol 4 COIN --until 7d",
        "release carol COIN --out question",
    ] {
        world.run("phone", wish).fails(6, "RECEIVE_ONLY");
    }
    world.run("phone", "recover").fails(6, "NOT_RECOVERED");
    for contact in ["bob", "carol"] {
        let (terminal, address) = world.listen(contact, 1);
        world.ok("phone", &format!("sync {contact} --connect {address}"));
        assert_eq!(lines(terminal).0, 0);
    }
    assert_eq!(world.ok("phone", "recover")["mode"], "normal");
    assert_eq!(world.balance("phone"), "96.00");
    world.ok("phone", "pay --invoice second --out payment2");
    world.ok("carol", "receive payment2");
    assert_eq!(world.balance("carol"), "4.00");
    assert_eq!(world.ok("carol", "fork list")["forks"].as_array().map(Vec::len), Some(0));
}

#[test]
fn a_payment_goes_through_while_other_clients_are_silent() {
    let world = World::with_money();
    let (terminal, address) = world.listen("bob", 1);
    let silent = TcpStream::connect(&address).expect("it listens");
    let mut slow = TcpStream::connect(&address).expect("it listens");
    // The length of a message that never comes.
    slow.write_all(&[100]).expect("sent");
    world.ok("alice", &format!("pay bob 5 COIN --connect {address}"));
    let (code, shown) = lines(terminal);
    assert_eq!((code, &shown[0]["event"]), (0, &"received".into()), "{shown:?}");
    assert_eq!(world.balance("bob"), "5.00");
    drop((silent, slow));
}

#[test]
fn payments_of_several_payers_at_once_all_arrive() {
    let world = World::with_money();
    world.ok("mint", "mint COIN 7 --to carol.card --out carol.mint");
    world.ok("carol", "receive carol.mint");
    let (terminal, address) = world.listen("bob", 6);
    std::thread::scope(|scope| {
        for who in ["alice", "carol"] {
            let (world, address) = (&world, &address);
            scope.spawn(move || {
                for _ in 0..3 {
                    world.ok(who, &format!("pay bob 2 COIN --connect {address}"));
                }
            });
        }
    });
    let (code, shown) = lines(terminal);
    assert_eq!((code, shown.len()), (0, 6), "{shown:?}");
    assert_eq!(world.balance("bob"), "12.00");
}

#[test]
fn a_contact_is_removed_when_nothing_rests_on_it() {
    let world = World::with_money();
    world.ok("bob", "invoice COIN 3 --out invoice");
    world.ok("alice", "pay --invoice invoice --out payment");
    let waiting = world.run("alice", "contact remove bob");
    waiting.fails(3, "CONTACT_IN_USE");
    world.ok("bob", "receive payment --out receipt");
    world.run("bob", "contact remove alice").fails(3, "CONTACT_IN_USE");
    world.ok("alice", "receive receipt");
    assert_eq!(world.ok("alice", "contact remove bob")["removed"], "bob");
    world.run("alice", "contact remove bob").fails(1, "WALLET_NOT_FOUND");
    assert_eq!(world.ok("alice", "contact list")["contacts"].as_array().map(Vec::len), Some(1));
    world.ok("bob", "invoice COIN 1 --out second");
    world.ok("alice", "pay --invoice second --out payment2");
    world.ok("bob", "receive payment2");
    assert_eq!(world.balance("bob"), "4.00");
}

#[test]
fn a_restored_wallet_that_nobody_vouches_for_needs_its_owners_word() {
    let world = World::new();
    std::fs::write(world.path("secret"), "correct horse\n").expect("written");
    world.ok("alice", "init --name alice");
    world.ok("alice", "backup alice.backup --backup-passphrase-file secret");
    world.ok("phone", "restore alice.backup --backup-passphrase-file secret");
    let refused = world.run("phone", "recover");
    let error = refused.fails(6, "RECOVERY_UNCONFIRMED");
    assert!(error["error"]["next"].to_string().contains("tally sync"), "{error}");
    assert_eq!(world.run("phone", "doctor").code, 1);
    let word = world.run("phone", "recover --nothing-paid-since-backup");
    assert!(word.stderr.contains("WARNING"), "{word:?}");
    assert_eq!(word.ok()["mode"], "normal");
    assert_eq!(world.ok("phone", "doctor")["ok"], true);
}

#[test]
fn whoever_meets_another_device_is_told_so() {
    let world = World::with_money();
    let (terminal, address) = world.listen("carol", 2);
    let wrong = world.run("alice", &format!("sync bob --connect {address}"));
    let error = wrong.fails(4, "PEER_WRONG_DEVICE");
    assert!(error["error"]["next"].to_string().contains("ask your contact"), "{error}");
    world
        .run("alice", &format!("pay bob 1 COIN --connect {address}"))
        .fails(4, "PEER_WRONG_DEVICE");
    let (code, shown) = lines(terminal);
    assert_eq!((code, &shown[0]["code"]), (0, &"PEER_NOT_FOR_ME".into()), "{shown:?}");
    assert_eq!(world.balance("alice"), "100.00");
}
