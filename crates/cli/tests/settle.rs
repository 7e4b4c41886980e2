//! Wallets and a network of four validators: settle, lose a race, and see where everything stands.

mod common;

use std::fs;
use std::path::Path;

use common::{World, lines};
use tally_notary::devnet::Devnet;

/// A network, with its trust base beside the people's files.
fn network(world: &World) -> Devnet {
    let network = Devnet::start(&world.path("network"), 4).expect("a network");
    fs::copy(network.trust_base_path(), world.path("trust.json")).expect("copied");
    network
}

fn add(world: &World, network: &Devnet, who: &str, number: usize) {
    let url = &network.urls()[number];
    let added = world.ok(who, &format!("notary add --url {url} --trust trust.json"));
    assert_eq!((&added["validators"], &added["quorum"]), (&4.into(), &3.into()));
}

/// `payer` pays `payee` over TCP.
fn pay(world: &World, payer: &str, payee: &str, amount: &str) {
    let (terminal, address) = world.listen(payee, 1);
    world.ok(payer, &format!("pay {payee} {amount} COIN --connect {address}"));
    lines(terminal);
}

#[test]
fn what_was_paid_offline_is_settled_and_the_status_says_so() {
    let world = World::with_money();
    pay(&world, "alice", "bob", "4");
    assert_eq!(world.ok("bob", "status")["coins"][0]["state"], "at risk");
    world.run("bob", "settle").fails(1, "NOTARY_NONE");
    let network = network(&world);
    for (who, number) in [("alice", 0), ("bob", 1), ("bob", 2)] {
        add(&world, &network, who, number);
    }
    let listed = world.ok("bob", "notary list");
    assert_eq!(listed["notaries"].as_array().expect("a list").len(), 2);
    assert!(listed["notaries"][0]["round"].as_u64().expect("a round") > 0);
    assert_eq!(listed["splits"].as_array().expect("a list").len(), 0);
    let ended = world.run("bob", "settle");
    assert!(ended.stderr.contains("certified or decided: 2 of 2"), "{}", ended.stderr);
    let settled = ended.ok();
    assert_eq!(settled["certified"].as_array().expect("a list").len(), 2, "{settled}");
    let status = world.ok("bob", "status");
    assert_eq!(
        (&status["coins"][0]["state"], &status["coins"][0]["tier"]),
        (&"certified".into(), &"Certified".into())
    );
    // The payer finds the same, and a second time there is nothing to do.
    world.ok("alice", "settle");
    assert_eq!(world.ok("alice", "status")["payments"][0]["state"], "certified");
    assert_eq!(world.ok("alice", "history")["entries"][0]["state"], "settled");
    assert_eq!(world.text("bob", "settle").stdout, "everything is settled\n");
    // What is certified is no longer owed: the next payment is within the default limits again.
    assert_eq!(world.ok("bob", "balance")["assets"][0]["at_risk"]["units"], 0);
}

#[test]
fn a_lost_race_ends_with_6_and_says_who_won() {
    let world = World::with_money();
    world.clone_wallet("alice", "copy");
    pay(&world, "alice", "bob", "4");
    pay(&world, "copy", "carol", "5");
    let network = network(&world);
    add(&world, &network, "bob", 0);
    add(&world, &network, "carol", 3);
    let winner = world.ok("bob", "settle")["certified"].clone();
    let lost = world.run("carol", "settle");
    assert_eq!(lost.code, 6, "{lost:?}");
    let race = lost.json()["lost"][0].clone();
    assert!(winner.as_array().expect("a list").contains(&race["winner"]), "{race}");
    assert_eq!(race["cheat"]["name"], "alice");
    assert_eq!(world.ok("carol", "status")["coins"][0]["state"], "lost");
    let forks = world.ok("carol", "fork list");
    assert_eq!(forks["forks"][0]["contact"], "alice");
    // Bob is told by the network alone.
    let told = world.run("bob", "settle");
    assert_eq!((told.code, &told.json()["events"][0]["event"]), (6, &"forked".into()), "{told:?}");
    let text = world.text("carol", "status").stdout;
    assert!(text.contains("lost"), "{text}");
}

#[test]
fn a_mint_is_certified_and_an_online_payment_at_once() {
    let world = World::with_money();
    let network = network(&world);
    for (who, number) in [("mint", 0), ("alice", 1), ("bob", 2)] {
        add(&world, &network, who, number);
    }
    let minted = world.ok("mint", "mint COIN 7 --to alice.card --out more.mint");
    assert_eq!(minted["certified"], true);
    assert!(world.text("nobody", "inspect more.mint").stdout.contains("in round "));
    world.ok("nobody", "verify more.mint");
    let received = world.ok("alice", "receive more.mint");
    let events = received["events"].as_array().expect("a list");
    assert_eq!(events.len(), 1, "it is said once: {received}");
    assert_eq!(
        (&events[0]["event"], &events[0]["tier"]),
        (&"received".into(), &"Certified".into())
    );
    let (terminal, address) = world.listen("bob", 1);
    let paid = world.ok("alice", &format!("pay bob 3 COIN --connect {address} --online"));
    lines(terminal);
    assert_eq!(paid["settled"]["certified"].as_array().expect("a list").len(), 1, "{paid}");
    assert_eq!(world.ok("alice", "status")["payments"][0]["state"], "certified");
}

#[test]
fn an_outsider_checks_that_the_tree_only_grew_and_goes_on_from_a_root_that_it_kept() {
    let world = World::with_money();
    let network = network(&world);
    add(&world, &network, "mint", 0);
    let check = format!("notary verify-log --url {} --trust trust.json", network.urls()[2]);
    let mint = |amount: u32| {
        let minted = format!("mint COIN {amount} --to alice.card --out {amount}.mint");
        assert_eq!(world.ok("mint", &minted)["certified"], true);
    };
    mint(1);
    let first = world.ok("nobody", &format!("{check} --every"));
    assert_eq!((&first["leaves"], &first["included"]), (&1.into(), &1.into()), "{first}");
    assert_eq!(first["excluded"], 8);
    // A validator that came a moment later than the others has no certificate of the first blocks.
    let certificates = first["certificates"].as_u64().expect("a number");
    assert!(certificates > 0 && certificates <= first["height"].as_u64().expect("a number"));
    let (height, root) = (&first["height"], first["root"].as_str().expect("digits"));
    mint(2);
    let second = world.ok("nobody", &format!("{check} --from {height} --root {root}"));
    assert_eq!(second["leaves"], 1, "only what came since: {second}");
    assert_ne!(second["root"], first["root"]);
    let other = format!("{check} --from {height} --root {}", "11".repeat(32));
    world.run("nobody", &other).fails(6, "AUDIT_DIVERGED");
    world.run("nobody", &format!("{check} --root {root}")).fails(2, "USAGE");
    world.run("nobody", &format!("{check} --from {height} --to 0")).fails(3, "AUDIT_RANGE");
}

#[test]
fn what_is_reserved_online_is_paid_offline_and_shown_with_its_end() {
    let world = World::with_money();
    let refused = world.run("alice", "reserve bob 20 COIN --until 7d");
    refused.fails(1, "NOTARY_NONE");
    {
        let network = network(&world);
        for (who, number) in [("alice", 0), ("bob", 1)] {
            add(&world, &network, who, number);
        }
        world.run("alice", "reserve bob 20 COIN --until 0s").fails(3, "OWN_UNTIL");
        world.run("alice", "reserve bob 20 COIN --until 400d").fails(3, "OWN_UNTIL");
        world.run("alice", "reserve bob 200 COIN --until 7d").fails(5, "INSUFFICIENT_FUNDS");
        let nothing = world.run("alice", "release bob COIN --out question");
        nothing.fails(3, "OWN_NOTHING");
        let reserved = world.ok("alice", "reserve bob 20 COIN --until 7d");
        assert_eq!(reserved["certified"], true, "{reserved}");
        assert_eq!(reserved["settled"]["events"][0]["contact"]["name"], "bob");
        let doctor = world.text("alice", "doctor").stdout;
        assert!(!doctor.contains("BAD"), "a wallet is whole after it paid itself: {doctor}");
    }
    // The network is gone: what follows is offline.
    let aside = world.ok("alice", "balance")["assets"][0]["reserved"][0].clone();
    assert_eq!((&aside["amount"], &aside["payee"]["name"]), (&"20.00".into(), &"bob".into()));
    let status = world.ok("alice", "status");
    let coins = status["coins"].as_array().expect("a list");
    let lock = coins.iter().find(|coin| coin["lock"]["kind"] == "reserved").expect("it");
    assert_eq!(
        (&lock["lock"]["payee"]["name"], &lock["state"]),
        (&"bob".into(), &"certified".into())
    );
    let history = world.ok("alice", "history")["entries"][0].clone();
    assert_eq!((&history["direction"], &history["state"]), (&"own".into(), &"settled".into()));
    let refused = world.run("alice", "pay carol 90 COIN --connect 127.0.0.1:9");
    assert_ne!(refused.code, 0, "80 are free");
    let (terminal, address) = world.listen("bob", 1);
    world.ok("alice", &format!("pay bob 12 COIN --connect {address}"));
    let (_, shown) = lines(terminal);
    let received = shown.iter().find(|line| line["event"] == "received").expect("a payment");
    assert_eq!((&received["tier"], &received["word"]), (&"Reserved".into(), &"FINAL".into()));
    assert!(received["settle_by"].is_string(), "{received}");
    let text = world.text("alice", "balance").stdout;
    assert!(text.contains("reserved for bob until") && text.contains("8.00"), "{text}");
    // What is left is taken back: who consents is not told how to.
    world.ok("alice", "release bob COIN --out question");
    let asked = world.text("bob", "receive question").stdout;
    assert!(asked.contains("to consent: tally release --agree"), "{asked}");
    let agreed = world.text("bob", "release --agree question --out answer").stdout;
    assert!(agreed.contains("asks to take back 8.00"), "{agreed}");
    assert!(agreed.contains("You have consented") && !agreed.contains("to consent"), "{agreed}");
    let answer = world.ok("alice", "receive answer");
    assert_eq!(answer["events"][0]["did"], "took back", "{answer}");
}

/// Alice has certified coins of 4.00 and 100.00 and makes a backup. She pays Bob 3.00 from the one and Carol
/// 4.50 from the other. Her phone is lost and the backup restored; Carol is met, and Bob is gone.
fn restored() -> (World, Devnet) {
    let world = World::with_money();
    let network = network(&world);
    for (number, who) in ["mint", "alice", "bob", "carol"].into_iter().enumerate() {
        add(&world, &network, who, number);
        // Of two validators one is honest: so many have to say that a coin is unspent.
        add(&world, &network, who, (number + 1) % 4);
    }
    world.ok("mint", "mint COIN 4.00 --to alice.card --out four.mint");
    world.ok("alice", "receive four.mint");
    world.ok("alice", "settle");
    fs::write(world.path("secret"), "correct horse").expect("written");
    world.ok("alice", "backup alice.backup --backup-passphrase-file secret");
    pay(&world, "alice", "bob", "3.00");
    pay(&world, "alice", "carol", "4.50");
    world.ok("phone", "restore alice.backup --backup-passphrase-file secret");
    world.run("phone", "recover").fails(6, "NOT_RECOVERED");
    let (terminal, address) = world.listen("carol", 1);
    world.ok("phone", &format!("sync carol --connect {address}"));
    lines(terminal);
    (world, network)
}

/// What is set apart as a command shows it, which is one line: units, reason and what to do.
fn apart(shown: &serde_json::Value) -> (u64, String, String) {
    let list = shown["set_apart"].as_array().expect("a list");
    assert_eq!(list.len(), 1, "{shown}");
    let text = |field: &str| list[0][field].as_str().expect("text").to_owned();
    (list[0]["units"].as_u64().expect("a number"), text("why"), text("next"))
}

#[test]
fn a_wallet_whose_payee_is_lost_pays_on_and_frees_what_is_set_apart_by_its_owners_word() {
    let (world, _network) = restored();
    let open = world.run("phone", "recover --give-up bob");
    let open = open.fails(6, "RECOVERY_END_OPEN")["error"].clone();
    assert!(open["message"].as_str().expect("text").contains("after step 2"), "{open}");
    let next = open["next"].as_str().expect("text");
    assert!(next.contains("--nothing-paid-since-backup") && next.contains("convicts"), "{next}");
    let ended = world.run("phone", "recover --nothing-paid-since-backup");
    assert!(ended.stderr.contains("nothing after step 2"), "{}", ended.stderr);
    let recovered = ended.ok();
    assert_eq!((&recovered["mode"], &recovered["step"]), (&"normal".into(), &2.into()));
    assert_eq!(recovered["missing_steps"], 1);
    for shown in [&recovered, &world.ok("phone", "balance"), &world.ok("phone", "status")] {
        let (units, why, next) = apart(shown);
        assert_eq!((units, why.as_str()), (400, "in-question"));
        assert!(next.ends_with("tally recover --free COIN"), "{next}");
    }
    let states = world.ok("phone", "status")["coins"].clone();
    let states: Vec<_> = states.as_array().expect("a list").iter().map(|c| &c["state"]).collect();
    assert!(states.contains(&&"set apart".into()) && states.len() == 2, "{states:?}");
    let doctor = world.text("phone", "doctor");
    assert_eq!(doctor.code, 1);
    assert!(doctor.stdout.contains("4.00 COIN set apart"), "{}", doctor.stdout);
    let (mut nobody, address) = world.listen("carol", 1);
    let refused = world.run("phone", &format!("pay carol 97 COIN --connect {address}"));
    refused.fails(6, "SET_APART");
    let _ = nobody.kill();
    nobody.wait().expect("it ends");
    let (terminal, address) = world.listen("carol", 2);
    // What is not in question pays without any word.
    world.ok("phone", &format!("pay carol 1 COIN --connect {address}"));

    let warned = world.run("phone", "recover --free").fails(2, "WORD_NEEDED")["error"].clone();
    let sentence = warned["message"].as_str().expect("text");
    assert!(sentence.contains("4.00 COIN") && sentence.contains("this device is convicted"));
    let command = warned["next"].as_str().expect("text");
    let command = command.rsplit("tally ").next().expect("a command");
    assert_eq!(world.balance("phone"), "98.50", "nothing was done");
    let ended = world.run("phone", command);
    assert!(ended.stderr.contains("if a lost payee comes back"), "{}", ended.stderr);
    let freed = ended.ok();
    assert_eq!((&freed["certified"], &freed["freed"]["amount"]), (&true.into(), &"4.00".into()));
    assert!(freed["set_apart"].is_null() && freed["warning"].is_string(), "{freed}");
    assert!(world.ok("phone", "balance")["set_apart"].is_null());
    world.run("phone", command).fails(6, "NOT_SET_APART");
    world.ok("phone", &format!("pay carol 4 COIN --connect {address}"));
    lines(terminal);
    assert_eq!(world.ok("carol", "fork list")["forks"].as_array().map(Vec::len), Some(0));
    assert_eq!(world.text("phone", "doctor").code, 0);
}

#[test]
fn a_coin_that_the_network_shows_as_spent_is_struck_and_recovery_ends() {
    let (world, _network) = restored();
    world.ok("bob", "settle");
    world.run("phone", "recover --give-up bob").fails(6, "RECOVERY_END_OPEN");
    let recovered = world.ok("phone", "recover --nothing-paid-since-backup");
    assert_eq!(recovered["mode"], "normal");
    let (units, why, _) = apart(&recovered);
    assert_eq!((units, why.as_str()), (400, "spent"));
    assert_eq!(world.balance("phone"), "95.50");
    let text = world.text("phone", "status").stdout;
    assert!(text.contains("spent by an unknown payment"), "{text}");
    world.run("phone", "recover --free COIN").fails(6, "NOT_SET_APART");
    // Bob is found after all: what was left of the coin comes back, and nobody is convicted.
    let (terminal, address) = world.listen("bob", 1);
    world.ok("phone", &format!("sync bob --connect {address}"));
    lines(terminal);
    assert_eq!(world.balance("phone"), "96.50");
    assert!(world.ok("phone", "status")["set_apart"].is_null());
    pay(&world, "phone", "bob", "1.00");
    assert_eq!(world.ok("bob", "fork list")["forks"].as_array().map(Vec::len), Some(0));
}

#[test]
fn a_network_that_is_not_there_ends_with_4_and_changes_nothing() {
    let world = World::with_money();
    pay(&world, "alice", "bob", "4");
    {
        let network = network(&world);
        add(&world, &network, "bob", 0);
        add(&world, &network, "alice", 0);
    }
    world.run("bob", "settle").fails(4, "HTTP_UNREACHABLE");
    assert_eq!(world.ok("bob", "status")["coins"][0]["state"], "at risk");
    let (terminal, address) = world.listen("bob", 1);
    let refused = world.run("alice", &format!("pay bob 1 COIN --connect {address} --online"));
    refused.fails(4, "PAY_ONLINE");
    drop(std::net::TcpStream::connect(&address));
    lines(terminal);
    assert_eq!(world.balance("bob"), "4.00", "nothing was paid");
}

#[test]
fn a_trust_base_that_does_not_fit_is_refused() {
    let world = World::with_money();
    let network = network(&world);
    let file = fs::read_to_string(world.path("trust.json")).expect("a file");
    let url = &network.urls()[0];
    fs::write(world.path("other.json"), file.replace("\"networkId\": 3", "\"networkId\": 2"))
        .expect("written");
    let line = format!("notary add --url {url} --trust");
    assert_eq!(world.run("bob", &format!("{line} other.json")).error(), "TRUST_NETWORK");
    fs::write(world.path("none.json"), "{}").expect("written");
    assert_eq!(world.run("bob", &format!("{line} none.json")).error(), "TRUST_FILE");
    assert_eq!(world.run("bob", &format!("{line} missing.json")).error(), "TRUST_FILE");
    world.run("bob", "notary add --url ftp://x/ --trust trust.json").fails(2, "HTTP_URL");
}

#[test]
fn every_command_of_the_page_on_settling_ends_well() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/settling.md");
    let page = fs::read_to_string(page).expect("the page");
    let world = World::with_money();
    let network = network(&world);
    let blocks = page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let lines: Vec<(&str, &str)> =
        blocks.flat_map(str::lines).filter_map(|line| line.split_once("$ tally ")).collect();
    assert!(lines.len() >= 10, "{lines:?}");
    for (who, line) in lines {
        let line = line.replace("http://127.0.0.1:7200/", &network.urls()[0]);
        world.ok(who, &line.replace("http://127.0.0.1:7201/", &network.urls()[1]));
    }
    assert_eq!(world.ok("bob", "status")["coins"][0]["state"], "certified");
}
