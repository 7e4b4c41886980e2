//! What keeps a wallet from paying from an old state, and from believing records that were set back.

use std::fs;
use tally_agent::Batch;

use tally_core::amount::Amount;
use tally_core::device::{Change, Mode, Pocket};
use tally_core::id::AssetId;
use tally_seal::software::Place;

use super::scene::{Town, balance, copy_folder, passphrase, pay, sync};
use crate::store::Store;
use crate::{Class, Wallet, WalletError, restore};

fn code<T: std::fmt::Debug>(result: Result<T, WalletError>) -> String {
    result.unwrap_err().code().to_owned()
}

fn is_receive_only(wallet: &Wallet) -> bool {
    matches!(wallet.device().mode(), Mode::ReceiveOnly)
}

/// Alice, who has money and no contact, and a backup of her wallet.
fn alone() -> (Town, AssetId, std::path::PathBuf) {
    let town = Town::new();
    let ([alice], asset) = town.people(["alice"]);
    let file = town.root.path().join("backup");
    alice.backup(passphrase("far away"), &file).unwrap();
    (town, asset, file)
}

#[test]
fn a_restored_wallet_that_nobody_and_no_journal_vouches_for_stays_receive_only() {
    let (town, asset, file) = alone();
    let mut bob = town.create("bob");
    let mut alice = town.open("alice").unwrap();
    bob.add_policy(alice.device().policies()[&asset].clone()).unwrap();
    alice.add_contact(bob.card().clone()).unwrap();
    pay(&mut alice, &mut bob, asset, 400).payer.unwrap();
    drop(alice);
    let setup = town.setup_on("elsewhere");
    let dir = town.dir("restored");
    let mut alice = restore(&file, &passphrase("far away"), &dir, &setup).unwrap();
    let refused = alice.confirm_recovery(false).unwrap_err();
    assert_eq!((refused.code(), refused.class()), ("RECOVERY_UNCONFIRMED", Class::Conflict));
    assert!(refused.to_string().contains("tally sync"), "{refused}");
    drop(alice);
    let mut alice = Wallet::open(&dir, &setup).unwrap();
    assert!(is_receive_only(&alice));
    // The one whom she paid is found, and tells.
    alice.add_contact(bob.card().clone()).unwrap();
    assert_eq!(code(alice.confirm_recovery(false)), "RECOVERY_UNCONFIRMED");
    sync(&mut alice, &mut bob).payer.unwrap();
    alice.confirm_recovery(false).unwrap();
    pay(&mut alice, &mut bob, asset, 600).payer.unwrap();
    assert!(bob.device().forks().is_empty());
}

#[test]
fn a_journal_that_cannot_be_read_vouches_for_nothing() {
    for damage in ["gone", "damaged"] {
        let (town, _, file) = alone();
        let mut alice = town.open("alice").unwrap();
        let setup = town.setup_on("here");
        let place = Place::new(town.dir("alice"), &setup.state_dir);
        let journal = place.journal(&alice.device().me().owner);
        alice.set_accept_policy(Default::default()).unwrap();
        drop(alice);
        match damage {
            "gone" => assert!(!journal.exists(), "nothing was signed yet"),
            _ => fs::write(&journal, [7; 8192]).unwrap(),
        }
        let dir = town.dir("restored");
        let mut alice = restore(&file, &passphrase("far away"), &dir, &setup).unwrap();
        assert_eq!(code(alice.confirm_recovery(false)), "RECOVERY_UNCONFIRMED", "{damage}");
        assert!(is_receive_only(&alice), "{damage}");
    }
}

#[test]
fn contacts_who_were_all_given_up_vouch_for_nothing() {
    let town = Town::new();
    let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
    pay(&mut alice, &mut bob, asset, 1).payer.unwrap();
    let file = town.root.path().join("backup");
    alice.backup(passphrase("far away"), &file).unwrap();
    drop(alice);
    for (machine, expected) in [("elsewhere", "RECOVERY_UNCONFIRMED"), ("here", "")] {
        let setup = town.setup_on(machine);
        let dir = town.dir(machine);
        let mut alice = restore(&file, &passphrase("far away"), &dir, &setup).unwrap();
        alice.give_up(bob.device().id()).unwrap();
        let confirmed = alice.confirm_recovery(false);
        let told = confirmed.err().map(|e| e.code().to_owned()).unwrap_or_default();
        assert_eq!(told, expected, "{machine}: the journal here ends at the backup's step");
    }
}

#[test]
fn the_owners_word_ends_recovery_and_nothing_less_explicit_does() {
    let (town, asset, file) = alone();
    let setup = town.setup_on("elsewhere");
    let dir = town.dir("restored");
    let mut alice = restore(&file, &passphrase("far away"), &dir, &setup).unwrap();
    alice.confirm_recovery(true).unwrap();
    let mut bob = town.create("bob");
    bob.add_policy(alice.device().policies()[&asset].clone()).unwrap();
    alice.add_contact(bob.card().clone()).unwrap();
    pay(&mut alice, &mut bob, asset, 5).payer.unwrap();
    assert_eq!(balance(&bob, &asset), 5);
}

#[test]
fn a_folder_that_lost_only_what_came_in_is_noticed() {
    let town = Town::new();
    let ([mut alice, bob], asset) = town.people(["alice", "bob"]);
    drop(bob);
    copy_folder(&town.dir("bob"), &town.dir("yesterday"));
    let mut bob = town.open("bob").unwrap();
    assert!(!is_receive_only(&bob), "nothing is lost yet");
    pay(&mut alice, &mut bob, asset, 70).payer.unwrap();
    drop(bob);
    fs::remove_dir_all(town.dir("bob")).unwrap();
    copy_folder(&town.dir("yesterday"), &town.dir("bob"));
    let mut bob = town.open("bob").unwrap();
    assert!(is_receive_only(&bob), "it took no step, and is behind all the same");
    assert_eq!(balance(&bob, &asset), 0);
    sync(&mut bob, &mut alice).payer.unwrap();
    assert_eq!(balance(&bob, &asset), 70, "its payer gives it back");
    bob.confirm_recovery(false).unwrap();
    drop(bob);
    assert!(!is_receive_only(&town.open("bob").unwrap()), "said once");
}

/// The database falls back to the change before the last if the pages of the last are damaged and it
/// was not closed: a disk that keeps less than it reported, and a crash.
#[test]
fn a_change_that_the_database_took_back_is_noticed() {
    let town = Town::new();
    let mut alice = town.create("alice");
    let asset = super::scene::fund(&mut alice, 1000);
    let card = alice.card().open_card().unwrap();
    let minted = alice.mint(asset, Amount::new(5), &card).unwrap();
    let file = Store::path_in(&town.dir("alice"));
    let before = fs::read(&file).unwrap();
    alice.receive_mint(minted).unwrap();
    let mut after = fs::read(&file).unwrap();
    drop(alice);
    let page = 4096;
    for at in (page..after.len()).step_by(page) {
        let end = (at + page).min(after.len());
        if before.get(at..end) != Some(&after[at..end]) {
            after[at..end].fill(0xa5);
        }
    }
    fs::write(&file, &after).unwrap();
    let alice = town.open("alice").unwrap();
    assert_eq!(balance(&alice, &asset), 1000, "the last change is gone");
    assert!(is_receive_only(&alice));
}

#[test]
fn a_count_that_is_missing_or_torn_raises_no_alarm() {
    let town = Town::new();
    let ([alice], _) = town.people(["alice"]);
    let setup = town.setup_on("here");
    let place = Place::new(town.dir("alice"), &setup.state_dir);
    let count = place.count(&alice.device().me().owner);
    drop(alice);
    for torn in [vec![], vec![0xff; 15], vec![0xff; 16]] {
        fs::write(&count, torn).unwrap();
        assert!(!is_receive_only(&town.open("alice").unwrap()));
    }
    fs::remove_file(&count).unwrap();
    assert!(!is_receive_only(&town.open("alice").unwrap()));
}

#[test]
fn a_journal_that_was_set_back_alone_is_noticed_once_anything_was_written_after_its_step() {
    for written in [false, true] {
        let town = Town::new();
        let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
        pay(&mut alice, &mut bob, asset, 100).payer.unwrap();
        let place = Place::new(town.dir("alice"), &town.setup_on("here").state_dir);
        let journal = place.journal(&alice.device().me().owner);
        let (before, invoice) =
            (fs::read(&journal).unwrap(), bob.invoice(asset, Amount::new(10), 60));
        alice.pay_invoice(&invoice.unwrap()).unwrap();
        let after = fs::read(&journal).unwrap();
        if written {
            alice.set_accept_policy(Default::default()).unwrap();
        }
        drop(alice);
        fs::write(&journal, &before).unwrap();
        assert_eq!(is_receive_only(&town.open("alice").unwrap()), written);
        assert_eq!(fs::read(&journal).unwrap() == after, !written, "it is told again");
    }
}

#[test]
fn a_journal_that_cannot_be_written_keeps_back_what_is_signed_and_nothing_else() {
    let town = Town::new();
    let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
    let place = Place::new(town.dir("alice"), &town.setup_on("here").state_dir);
    let mut in_the_way = place.journal(&alice.device().me().owner).into_os_string();
    in_the_way.push(".new");
    fs::create_dir_all(std::path::Path::new(&in_the_way).join("full")).unwrap();
    let invoice = bob.invoice(asset, Amount::new(10), 60).unwrap();
    let made = alice.pay_invoice(&invoice).unwrap_err();
    assert_eq!(made.code(), "WALLET_WAITING", "whoever pays anew would pay twice: {made}");
    drop(alice);
    let mut alice = town.open("alice").expect("opening waits for no journal");
    assert!(!is_receive_only(&alice));
    assert_eq!(alice.waiting(&bob.device().id()), 1);
    let kept = alice.resend(bob.device().id()).unwrap_err();
    assert_eq!(kept.code(), "SEAL_IO");
    assert!(alice.unsettled().is_empty(), "the network is no way out either");
    fs::remove_dir_all(&in_the_way).unwrap();
    let packets = alice.resend(bob.device().id()).unwrap();
    bob.receive_packet(&packets[0]).unwrap();
    assert_eq!(bob.device().incoming().len(), 1);
}

#[test]
fn a_pocket_that_does_not_fit_what_was_signed_is_found() {
    let town = Town::new();
    let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
    pay(&mut alice, &mut bob, asset, 100).payer.unwrap();
    let bad = |wallet: &Wallet| {
        let findings = wallet.check();
        findings.into_iter().filter(|f| !f.ok).map(|f| f.what).collect::<Vec<_>>()
    };
    assert_eq!(bad(&alice), Vec::<String>::new());
    let pocket = alice.device().ledger().pockets().next().unwrap().clone();
    let (id, mut coin) = pocket.coin.clone().unwrap();
    coin.amount = Amount::new(901);
    let altered = Pocket { coin: Some((id, coin)), ..pocket };
    let changes = vec![Change::Pocket(altered.into())];
    alice.store.write(&Batch { changes, ..Batch::default() }).unwrap();
    drop(alice);
    let alice = town.open("alice").unwrap();
    assert_eq!(balance(&alice, &asset), 901, "the records say so");
    let found = bad(&alice);
    assert!(found.iter().any(|what| what.contains("do not give the root")), "{found:?}");
}

#[test]
fn looking_for_room_leaves_nothing_behind() {
    let town = Town::new();
    let alice = town.create("alice");
    let names = || fs::read_dir(town.dir("alice")).unwrap().count();
    let before = names();
    assert!(alice.check().iter().any(|f| f.ok && f.what.contains("room")));
    assert_eq!(names(), before);
}
