//! Seals on a TPM in software, from an empty folder, as a person types it.

mod common;

use std::process::Child;

use common::{World, lines};
use serde_json::Value;
use tally_notary::devnet::{Devnet, Options};
use tally_seal::tpm2::Tpm;
use tally_seal::tpm2::swtpm::SoftwareTpm;

/// A TPM in software with a certificate, in the folder `tpm` or another one.
fn tpm(world: &World, name: &str) -> SoftwareTpm {
    let dir = world.path(name);
    SoftwareTpm::manufacture(&dir).expect("a TPM in software");
    SoftwareTpm::start(&dir).expect("a TPM in software")
}

/// An enroller that knows the makers of the TPM in the folder `tpm`.
fn enroller(world: &World, flags: &str) {
    world.ok("owner", &format!("enroller init --dir enroller --out enroller.key {flags}"));
    world.ok(
        "owner",
        "enroller trust --dir enroller --development tpm/ca/swtpm-localca-rootca-cert.pem",
    );
    world.ok("owner", "enroller trust --dir enroller --intermediate tpm/ca/issuercert.pem");
}

fn enrolling(world: &World, count: u32) -> (Child, String) {
    world.serve("owner", &format!("enroller run 127.0.0.1:0 --dir enroller --count {count}"))
}

/// Makes a wallet whose TPM is enrolled over TCP.
#[track_caller]
fn enrolled(world: &World, who: &str, flags: &str) -> Value {
    world.ok(who, &format!("init --name {who} --seal tpm2 --tpm unix:tpm/socket"));
    let (desk, address) = enrolling(world, 1);
    let enrolled =
        world.ok(who, &format!("seal enroll --enroller {address} --expect enroller.key {flags}"));
    let (code, shown) = lines(desk);
    assert_eq!(code, 0, "{shown:?}");
    enrolled
}

/// Alice has an enrolled TPM and 100.00 COIN under it; Bob and Carol have none; all know each other.
fn scene(flags: &str) -> (World, SoftwareTpm) {
    let world = World::new();
    let tpm = tpm(&world, "tpm");
    enroller(&world, "--allow-software-tpm");
    assert_eq!(enrolled(&world, "alice", flags)["state"], "enrolled");
    for who in ["mint", "bob", "carol"] {
        world.ok(who, &format!("init --name {who}"));
    }
    for who in ["alice", "bob", "carol"] {
        world.ok(who, &format!("contact card --out {who}.card"));
    }
    world.ok("mint", "asset create --ticker COIN --decimals 2 --enroller enroller.key --out coin");
    for who in ["alice", "bob", "carol"] {
        world.ok(who, "asset import coin");
        for other in ["alice", "bob", "carol"].iter().filter(|other| **other != who) {
            world.ok(who, &format!("contact add {other}.card"));
        }
    }
    let asked = world.ok("alice", "invoice COIN 100 --out alice.invoice");
    assert_eq!(asked["asks_for"], "sealed", "{asked}");
    let minted = world.ok("mint", "mint COIN 100 --to alice.invoice --out alice.mint");
    assert!(minted["lock"].is_string(), "{minted}");
    world.ok("alice", "receive alice.mint");
    (world, tpm)
}

#[track_caller]
fn pay(world: &World, payer: &str, payee: &str, amount: &str) -> (Value, Vec<Value>) {
    let (terminal, address) = world.listen(payee, 1);
    let paid = world.run(payer, &format!("pay {payee} {amount} COIN --connect {address}"));
    (paid.json(), lines(terminal).1)
}

#[test]
fn a_wallet_with_an_enrolled_tpm_pays_sealed_with_change() {
    let (world, _tpm) = scene("");
    let (_, shown) = pay(&world, "alice", "bob", "25");
    assert_eq!(
        (shown[0]["event"].as_str(), shown[0]["tier"].as_str()),
        (Some("received"), Some("Sealed"))
    );
    // A TPM in software is never shown as hardware, also not on the payee's screen.
    assert_eq!(shown[0]["word"], "FOR DEVELOPMENT ONLY");
    let words = shown[0]["seals"][0].as_str().expect("whose word it is");
    assert!(words.starts_with("DEVELOPMENT ONLY, can be copied and pay twice: TPM 2.0"), "{words}");
    world.ok("bob", "invoice COIN 10 --out bob.invoice");
    world.ok("alice", "pay --invoice bob.invoice --out payment");
    let received = world.ok("bob", "receive payment --out receipt");
    assert_eq!(received["events"][0]["tier"], "Sealed");
    world.ok("alice", "receive receipt");
    assert_eq!((world.balance("alice"), world.balance("bob")), ("65.00".into(), "35.00".into()));
    let lock = world.ok("alice", "status")["coins"][0]["lock"].clone();
    assert_eq!((&lock["kind"], &lock["standing"]), (&"sealed".into(), &"ready".into()), "{lock}");
    let text = world.text("bob", "balance").stdout;
    assert!(text.contains("DEVELOPMENT ONLY"), "{text}");
    assert_eq!(world.run("alice", "doctor").code, 0);
}

#[test]
fn what_was_accepted_before_its_seal_was_taken_back_stays_good() {
    let (world, _tpm) = scene("");
    pay(&world, "alice", "bob", "25");
    let before = world.ok("bob", "balance");
    let listed = world.ok("owner", "enroller list --dir enroller");
    let seal = listed["seals"][0]["seal"].as_str().expect("a seal")[..8].to_owned();
    world.ok("owner", &format!("enroller revoke {seal} --dir enroller --out revoked"));
    assert_eq!(world.ok("bob", "seal revoked revoked")["revoked"], 1);
    assert_eq!(world.ok("bob", "balance"), before);
    assert_eq!(world.ok("bob", "status")["coins"][0]["tier"], "Sealed");
    let (paid, _) = pay(&world, "alice", "bob", "5");
    assert_eq!(paid["error"]["code"], "UNLOCK_SLOT_PROOF", "{paid}");
    assert_eq!(world.balance("bob"), "25.00");
}

#[test]
fn a_wallet_that_waits_for_its_tpm_shows_itself_to_nobody() {
    let world = World::new();
    let _tpm = tpm(&world, "tpm");
    enroller(&world, "--allow-software-tpm");
    let made = world.ok("alice", "init --name alice --seal tpm2 --tpm unix:tpm/socket");
    assert!(made["device"].is_null(), "it has no identity yet: {made}");
    world.run("alice", "contact card --out card").fails(3, "SEAL_NOT_ENROLLED");
    world.run("alice", "invoice COIN 1 --out invoice").fails(3, "SEAL_NOT_ENROLLED");
    assert_eq!(world.ok("alice", "seal status")["waits"], true);
    world.run("alice", "seal enroll --enroller 127.0.0.1:1").fails(4, "TRANSPORT_UNREACHABLE");
    world.ok("alice", "seal enroll --give-up");
    world.ok("alice", "contact card --out card");
    world.run("alice", "seal enroll --out request").fails(2, "SEAL_SOFTWARE");
    let absent = world.run("bob", "init --name bob --seal tpm2 --tpm unix:nowhere");
    absent.fails(1, "TPM_ABSENT");
    world.run("bob", "init --name bob --tpm unix:tpm/socket").fails(2, "USAGE");
}

#[test]
fn an_enrollment_goes_by_files_and_waits_for_its_enrollers_owner() {
    let world = World::new();
    let _tpm = tpm(&world, "tpm");
    enroller(&world, "--allow-software-tpm --by-hand");
    world.ok("alice", "init --name alice --seal tpm2 --tpm unix:tpm/socket");
    assert_eq!(world.ok("alice", "seal enroll --out request --counters 4")["state"], "asked");
    world.ok("owner", "enroller answer request --dir enroller --out challenge");
    world.ok("alice", "seal enroll --answer challenge --out proof");
    world.ok("owner", "enroller answer proof --dir enroller --out waiting");
    assert_eq!(world.ok("alice", "seal enroll --answer waiting")["state"], "waiting");
    let listed = world.ok("owner", "enroller list --dir enroller");
    assert_eq!(listed["waiting"][0]["development"], true);
    let id = listed["waiting"][0]["id"].as_str().expect("a number")[..8].to_owned();
    world.run("owner", "enroller approve zz --dir enroller").fails(2, "ENROLLER_NONE");
    world.ok("owner", &format!("enroller approve {id} --dir enroller"));
    world.ok("alice", "seal enroll --out again");
    world.ok("owner", "enroller answer again --dir enroller --out certificate");
    let enrolled = world.ok("alice", "seal enroll --answer certificate");
    assert_eq!((&enrolled["state"], &enrolled["counters"]), (&"enrolled".into(), &4.into()));
    let status = world.ok("alice", "seal status");
    assert_eq!((&status["kind"], &status["counters"]["total"]), (&"tpm2".into(), &4.into()));
    assert!(status["enrolled"].as_str().expect("words").starts_with("DEVELOPMENT ONLY"));

    let seal = listed["waiting"][0]["seal"].as_str().expect("a seal")[..8].to_owned();
    world.ok("owner", &format!("enroller revoke {seal} --dir enroller --out revoked"));
    assert_eq!(world.ok("owner", "enroller list --dir enroller")["seals"][0]["revoked"], true);
    world.ok("bob", "init --name bob");
    world.run("bob", "seal revoked revoked").fails(3, "ENROLLMENT_ENROLLER");
    world.ok("mint", "init --name mint");
    world.ok("mint", "asset create --ticker COIN --decimals 2 --enroller enroller.key --out coin");
    world.ok("bob", "asset import coin");
    assert_eq!(world.ok("bob", "seal revoked revoked")["revoked"], 1);
    // Its own seal counts for nothing any more once it has heard of that.
    world.ok("alice", "asset import coin");
    world.ok("alice", "seal revoked revoked");
    let asked = world.ok("alice", "invoice COIN 1 --out invoice");
    assert_eq!(asked["asks_for"], "signature");
    assert!(asked["no_lock"].as_str().expect("why").contains("does not count any more"));
    assert_eq!(world.ok("alice", "seal status")["revoked"], true);
    let doctor = world.text("alice", "doctor");
    assert_eq!(doctor.code, 1);
    assert!(doctor.stdout.contains("has taken the enrollment back"), "{}", doctor.stdout);
}

#[test]
fn a_tpm_in_software_is_enrolled_for_development_only() {
    let world = World::new();
    let _tpm = tpm(&world, "tpm");
    world
        .run("owner", "enroller init --dir other --network 1 --allow-software-tpm")
        .fails(3, "ENROLL_SOFTWARE_TPM");
    world.ok("owner", "enroller init --dir enroller");
    let root = "tpm/ca/swtpm-localca-rootca-cert.pem";
    world
        .run("owner", &format!("enroller trust --dir enroller --development {root}"))
        .fails(3, "ENROLL_SOFTWARE_TPM");
    // Whatever list its root is put into.
    world.ok("owner", &format!("enroller trust --dir enroller {root}"));
    world.ok("owner", "enroller trust --dir enroller --intermediate tpm/ca/issuercert.pem");
    world.ok("alice", "init --name alice --seal tpm2 --tpm unix:tpm/socket");
    let (desk, address) = enrolling(&world, 1);
    let refused = world.run("alice", &format!("seal enroll --enroller {address}"));
    let refused = refused.fails(3, "ENROLL_REFUSED");
    assert!(refused["error"]["message"].as_str().expect("text").contains("ENROLL_SOFTWARE_TPM"));
    assert_eq!(lines(desk).1[0]["code"], "ENROLL_SOFTWARE_TPM");
}

#[test]
fn another_enroller_than_the_expected_one_is_refused() {
    let world = World::new();
    let _tpm = tpm(&world, "tpm");
    enroller(&world, "--allow-software-tpm");
    world.ok("owner", "enroller init --dir other --out other.key");
    world.ok("alice", "init --name alice --seal tpm2 --tpm unix:tpm/socket");
    let (desk, address) = enrolling(&world, 1);
    let refused =
        world.run("alice", &format!("seal enroll --enroller {address} --expect other.key"));
    refused.fails(3, "ENROLLER_OTHER");
    assert_eq!(lines(desk).0, 0);
    assert_eq!(world.ok("alice", "seal status")["waits"], true);
}

#[test]
fn the_audit_refuses_a_tpm_with_a_seal_until_told() {
    let (world, _tpm) = scene("--counters 2");
    let refused = world.run("owner", "seal audit --tpm unix:tpm/socket").fails(1, "AUDIT_OCCUPIED");
    let next = refused["error"]["next"].as_str().expect("text");
    assert!(next.contains("--despite-seals"), "{next}");
    let audit = "seal audit --tpm unix:tpm/socket --despite-seals --proofs 5";
    let audited = world.ok("owner", audit);
    assert_eq!((&audited["found_nothing"], &audited["clears"]), (&true.into(), &0.into()));
    assert!(audited["proofs"].as_u64() >= Some(5), "{audited}");
    let (_, shown) = pay(&world, "alice", "bob", "5");
    assert_eq!(shown[0]["tier"], "Sealed", "the seal's own counters were left alone: {shown:?}");
}

#[test]
fn without_a_free_counter_an_invoice_says_so() {
    let (world, _tpm) = scene("--counters 1");
    let asked = world.ok("alice", "invoice COIN 1 --out second");
    assert_eq!(asked["asks_for"], "signature");
    assert!(asked["no_lock"].as_str().expect("why").contains("every counter is taken"), "{asked}");
    assert_eq!(world.run("alice", "doctor").code, 1, "and so does the doctor");
    world.ok("mint", "asset create --ticker PLAIN --decimals 0 --out plain");
    world.ok("alice", "asset import plain");
    let asked = world.ok("alice", "invoice PLAIN 1 --out third");
    assert!(asked["no_lock"].as_str().expect("why").contains("does not name your enroller"));
}

#[test]
fn a_patched_clone_of_a_sealed_wallet_pays_nobody() {
    let (world, _tpm) = scene("");
    world.clone_wallet("alice", "clone");
    let (_, shown) = pay(&world, "alice", "bob", "60");
    assert_eq!(shown[0]["tier"], "Sealed");
    let (refused, shown) = pay(&world, "clone", "carol", "60");
    assert_eq!(refused["error"]["code"], "UNLOCK_SLOT_PROOF", "{refused}");
    assert!(shown.iter().all(|line| line["event"] != "received"), "{shown:?}");
    assert_eq!(world.balance("carol"), "0");
}

#[test]
fn a_wallet_whose_tpm_is_away_opens_and_explains_its_locks() {
    let (world, mut tpm) = scene("");
    tpm.cut_power();
    let coin = world.ok("alice", "status")["coins"][0].clone();
    assert_eq!(coin["lock"]["standing"], "away", "{coin}");
    assert!(coin["lock"]["because"].as_str().expect("text").starts_with("nothing is lost"));
    assert!(world.ok("alice", "seal status")["fault"].as_str().expect("why").contains("no TPM at"));
    let checked = world.run("alice", "doctor");
    assert_eq!(checked.code, 1);
    assert!(checked.stdout.contains("locked to counter"), "{}", checked.stdout);
    let asked = world.ok("alice", "invoice COIN 1 --out second");
    assert!(asked["no_lock"].as_str().expect("why").contains("does not answer"), "{asked}");
    tpm.switch_on().expect("it comes back");
    let (_, shown) = pay(&world, "alice", "bob", "5");
    assert_eq!(shown[0]["tier"], "Sealed", "{shown:?}");
}

#[test]
fn a_sealed_payment_is_certified_by_a_network_that_knows_the_enroller() {
    let (world, _tpm) = scene("--counters 4");
    let key = std::fs::read_to_string(world.path("enroller.key")).expect("a key");
    let key = tally_notary::setup::enroller(key.trim()).expect("a key");
    let options = Options { enrollers: vec![key], ..Options::new(1) };
    let network = Devnet::start_with(&world.path("network"), &options).expect("a network");
    let (_, shown) = pay(&world, "alice", "bob", "25");
    assert_eq!(shown[0]["tier"], "Sealed");
    let url = network.urls()[0].clone();
    world.ok("bob", &format!("notary add --url {url} --trust network/trust-base.json"));
    let settled = world.ok("bob", "settle");
    assert!(!settled["certified"].as_array().expect("a list").is_empty(), "{settled}");
    let coin = world.ok("bob", "status")["coins"][0].clone();
    assert_eq!(
        (&coin["state"], &coin["tier"]),
        (&"certified".into(), &"Certified".into()),
        "{coin}"
    );
    assert!(coin["seals"].is_null(), "it rests on no seal any more: {coin}");
}

/// TPM2_Clear by the lockout hierarchy: whoever sits before the machine can do it.
fn clear(tpm: &SoftwareTpm) {
    let mut bare = Tpm::open(&tpm.address()).expect("a TPM");
    bare.execute(0x126, &[0x4000_000a], 1, &[]).expect("cleared");
}

#[test]
fn after_a_clear_the_coins_wait_and_the_seal_is_enrolled_again() {
    let (world, tpm) = scene("");
    clear(&tpm);
    let status = world.ok("alice", "seal status");
    assert!(status["fault"].as_str().expect("why").contains("cleared"), "{status}");
    let coin = world.ok("alice", "status")["coins"][0].clone();
    assert_eq!(coin["lock"]["standing"], "burned", "{coin}");
    let (desk, address) = enrolling(&world, 1);
    let again = world.ok("alice", &format!("seal enroll --enroller {address}"));
    assert_eq!(again["seal"], status["seal"], "the seal stays the same");
    assert_eq!(lines(desk).0, 0);
    let coin = world.ok("alice", "status")["coins"][0].clone();
    assert_eq!(coin["lock"]["standing"], "burned", "what was locked before waits: {coin}");
    let asked = world.ok("alice", "invoice COIN 10 --out second");
    assert_eq!(asked["asks_for"], "sealed");
    world.ok("mint", "mint COIN 10 --to second --out second.mint");
    world.ok("alice", "receive second.mint");
    let (_, shown) = pay(&world, "alice", "bob", "5");
    assert_eq!(shown[0]["tier"], "Sealed", "{shown:?}");
}

#[test]
fn a_payment_that_was_given_up_is_shown_and_written_as_paid_by_no_command() {
    let (world, tpm) = scene("");
    clear(&tpm);
    world.ok("bob", "invoice COIN 5 --out invoice");
    for (attempt, code) in [("one", "UNLOCK_SLOT_PROOF"), ("two", "UNLOCK_LOCKED")] {
        let refused = world.run("alice", &format!("pay --invoice invoice --out {attempt}"));
        assert_ne!(refused.code, 0, "{attempt}: {refused:?}");
        assert_eq!(refused.error(), code, "{attempt}");
        assert!(!world.path(attempt).exists(), "nothing was written: {attempt}");
    }
    let paid = world.ok("alice", "history --limit 1")["entries"][0].clone();
    assert!(paid["state"].as_str().expect("words").starts_with("given up"), "{paid}");
    let status = world.text("alice", "status").stdout;
    assert!(status.contains("not paid 5.00 COIN"), "{status}");
    assert_eq!(world.balance("bob"), "0");
}

#[test]
fn a_payment_that_waits_for_an_absent_tpm_is_refused_before_it_is_begun_and_can_be_given_up() {
    let (world, mut tpm) = scene("");
    world.ok("bob", "invoice COIN 5 --out invoice");
    tpm.cut_power();
    world.run("alice", "pay --invoice invoice --out never").fails(1, "SEAL_AWAY");
    assert_eq!(world.ok("alice", "history --limit 1")["entries"][0]["direction"], "in");
    let given_up = world.run("alice", "recover --without-tpm");
    assert!(given_up.stderr.contains("pays nobody before its lock ends"), "{}", given_up.stderr);
    let given_up = given_up.ok();
    assert_eq!(given_up["mode"], "normal");
    assert_eq!(given_up["locked"], world.ok("alice", "balance")["locked"]);
    assert_eq!(given_up["locked"].as_array().map(Vec::len), Some(1), "{given_up}");
    assert_eq!(world.ok("alice", "status")["coins"][0]["lock"]["standing"], "burned");
}

#[test]
fn a_backup_restored_beside_its_tpm_goes_on_if_nothing_was_paid_since() {
    let (world, _tpm) = scene("");
    std::fs::write(world.path("secret"), "correct horse battery staple\n").expect("written");
    let (_, shown) = pay(&world, "alice", "bob", "5");
    assert_eq!(shown[0]["tier"], "Sealed");
    world.ok("alice", "backup now --backup-passphrase-file secret");
    let device = world.ok("alice", "id")["device"].clone();
    std::fs::rename(world.path("alice"), world.path("gone")).expect("the folder is lost");
    let restored = world.ok("alice", "restore now --backup-passphrase-file secret");
    assert_eq!((&restored["mode"], &restored["device"]), (&"normal".into(), &device));
    let (_, shown) = pay(&world, "alice", "bob", "5");
    assert_eq!(shown[0]["tier"], "Sealed", "{shown:?}");
    // The same backup is old now, and the hardware knows.
    std::fs::rename(world.path("alice"), world.path("gone too")).expect("lost again");
    let restored = world.ok("alice", "restore now --backup-passphrase-file secret");
    assert_eq!(restored["mode"], "receive only");
}

#[test]
fn a_backup_restored_without_its_tpm_is_the_same_device_and_its_coins_wait() {
    let (world, mut tpm) = scene("");
    std::fs::write(world.path("secret"), "correct horse battery staple\n").expect("written");
    world.ok("alice", "backup now --backup-passphrase-file secret");
    let device = world.ok("alice", "id")["device"].clone();
    tpm.cut_power();
    let restored = world.ok("phone", "restore now --backup-passphrase-file secret");
    assert_eq!((&restored["mode"], &restored["device"]), (&"receive only".into(), &device));
    for contact in ["bob", "carol"] {
        let (terminal, address) = world.listen(contact, 1);
        world.ok("phone", &format!("sync {contact} --connect {address}"));
        assert_eq!(lines(terminal).0, 0);
    }
    world.run("phone", "recover").fails(1, "TPM_ABSENT");
    assert_eq!(world.ok("phone", "recover --without-tpm")["mode"], "normal");
    assert_eq!(world.ok("phone", "status")["coins"][0]["lock"]["standing"], "burned");
    let (terminal, address) = world.listen("bob", 1);
    let refused = world.run("phone", &format!("pay bob 5 COIN --connect {address}"));
    assert_ne!(refused.code, 0, "its coin waits: {refused:?}");
    drop(std::net::TcpStream::connect(&address));
    drop(lines(terminal));
}
