use std::fs;

use tally_agent::backup::{self, Backup, Header};
use tally_core::amount::Amount;
use tally_core::device::{Event, Mode};
use tally_core::id::from_hex;
use tally_core::policy::{AssetKind, Ticker};
use tally_seal::unlock::{self, KdfParams};

use super::scene::{Town, balance, copy_folder, passphrase, pay, sync};
use crate::store::OBSERVED;
use crate::{Wallet, WalletError, restore};

fn code<T: std::fmt::Debug>(result: Result<T, WalletError>) -> String {
    result.unwrap_err().code().to_owned()
}

fn is_receive_only(wallet: &Wallet) -> bool {
    matches!(wallet.device().mode(), Mode::ReceiveOnly)
}

/// Alice backs up, pays Bob and Carol, and comes back from the backup on some machine.
fn lost_after_backup(machine: &'static str) -> (Town, [Wallet; 3], tally_core::id::AssetId) {
    let town = Town::new();
    let ([mut alice, mut bob, mut carol], asset) = town.people(["alice", "bob", "carol"]);
    pay(&mut alice, &mut bob, asset, 100).payer.unwrap();
    let file = town.root.path().join("alice.tallybackup");
    alice.backup(passphrase("far away"), &file).unwrap();
    pay(&mut alice, &mut bob, asset, 50).payer.unwrap();
    pay(&mut alice, &mut carol, asset, 30).payer.unwrap();
    pay(&mut alice, &mut bob, asset, 20).payer.unwrap();
    pay(&mut bob, &mut alice, asset, 5).payer.unwrap();
    drop(alice);
    let setup = town.setup_on(machine);
    let alice = restore(&file, &passphrase("far away"), &town.dir("restored"), &setup).unwrap();
    (town, [alice, bob, carol], asset)
}

#[test]
fn a_restored_wallet_receives_only_until_its_contacts_were_met_and_then_pays_without_a_fork() {
    for machine in ["here", "elsewhere"] {
        let (town, [mut alice, mut bob, mut carol], asset) = lost_after_backup(machine);
        assert!(is_receive_only(&alice));
        assert_eq!(code(pay(&mut alice, &mut bob, asset, 1).payer), "RECEIVE_ONLY");
        assert_eq!(code(alice.confirm_recovery(false)), "NOT_RECOVERED");
        drop(alice);
        let setup = town.setup_on(machine);
        let mut alice = Wallet::open(&town.dir("restored"), &setup).unwrap();
        assert!(is_receive_only(&alice));
        let met = sync(&mut alice, &mut bob);
        met.payer.unwrap();
        assert!(met.shown.iter().any(|e| matches!(e, Event::Recovered { .. })), "{:?}", met.shown);
        assert_eq!(code(alice.confirm_recovery(false)), "NOT_RECOVERED");
        sync(&mut alice, &mut carol).payer.unwrap();
        alice.confirm_recovery(false).unwrap();
        assert_eq!(alice.device().seq(), 4);
        let total: u64 = [&alice, &bob, &carol].iter().map(|w| balance(w, &asset)).sum();
        assert_eq!((balance(&alice, &asset), total), (805, 1000));
        pay(&mut alice, &mut bob, asset, 10).payer.unwrap();
        pay(&mut alice, &mut carol, asset, 10).payer.unwrap();
        sync(&mut bob, &mut carol).payer.unwrap();
        assert!(bob.device().forks().is_empty() && carol.device().forks().is_empty());
        drop(alice);
        let alice = Wallet::open(&town.dir("restored"), &setup).unwrap();
        assert!(!is_receive_only(&alice));
        assert!(alice.check().iter().all(|finding| finding.ok), "{:?}", alice.check());
    }
}

#[test]
fn a_journal_that_knows_more_than_all_contacts_keeps_a_restored_wallet_from_signing_without_a_word()
{
    let town = Town::new();
    let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
    let mut stranger = town.create("stranger");
    stranger.add_policy(alice.device().policies()[&asset].clone()).unwrap();
    let file = town.root.path().join("backup");
    alice.backup(passphrase("far away"), &file).unwrap();
    alice.add_contact(stranger.card().clone()).unwrap();
    pay(&mut alice, &mut stranger, asset, 50).payer.unwrap();
    drop(alice);
    let setup = town.setup_on("here");
    let mut alice = restore(&file, &passphrase("far away"), &town.dir("restored"), &setup).unwrap();
    sync(&mut alice, &mut bob).payer.unwrap();
    assert_eq!(code(alice.confirm_recovery(false)), "SEAL_ROLLED_BACK");
    assert!(is_receive_only(&alice));
    assert_eq!(alice.last_known_step(), 1);
    alice.confirm_recovery(true).unwrap();
    assert_eq!((alice.device().seq(), alice.device().missing().count()), (1, 1));
    assert_eq!(code(pay(&mut alice, &mut bob, asset, 1).payer), "SET_APART");
    drop(alice);
    let mut alice = Wallet::open(&town.dir("restored"), &setup).unwrap();
    assert!(!is_receive_only(&alice), "its journal fits");
    // The one whom nobody told of comes back.
    alice.add_contact(stranger.card().clone()).unwrap();
    sync(&mut alice, &mut stranger).payer.unwrap();
    assert_eq!((balance(&alice, &asset), alice.device().missing().count()), (950, 0));
    pay(&mut alice, &mut bob, asset, 950).payer.unwrap();
    sync(&mut bob, &mut alice).payer.unwrap();
    assert!(bob.device().forks().is_empty() && stranger.device().forks().is_empty());
}

#[test]
fn yesterdays_folder_receives_only() {
    let town = Town::new();
    let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
    pay(&mut alice, &mut bob, asset, 1).payer.unwrap();
    drop(alice);
    let (dir, copy) = (town.dir("alice"), town.dir("yesterday"));
    copy_folder(&dir, &copy);
    let mut alice = town.open("alice").unwrap();
    pay(&mut alice, &mut bob, asset, 1).payer.unwrap();
    drop(alice);
    fs::remove_dir_all(&dir).unwrap();
    copy_folder(&copy, &dir);
    let mut alice = town.open("alice").unwrap();
    assert!(is_receive_only(&alice));
    assert_eq!(code(pay(&mut alice, &mut bob, asset, 1).payer), "RECEIVE_ONLY");
    sync(&mut alice, &mut bob).payer.unwrap();
    alice.confirm_recovery(false).unwrap();
    pay(&mut alice, &mut bob, asset, 1).payer.unwrap();
    assert_eq!(balance(&bob, &asset), 3);
    assert!(bob.device().forks().is_empty());
}

#[test]
fn a_copied_folder_does_not_open_on_another_machine() {
    let town = Town::new();
    drop(town.create("alice"));
    let elsewhere = town.setup_on("elsewhere");
    assert_eq!(code(Wallet::open(&town.dir("alice"), &elsewhere)), "SEAL_OTHER_MACHINE");
    town.open("alice").unwrap();
}

#[test]
fn a_backup_opens_with_its_passphrase_only_and_not_when_it_was_altered() {
    let town = Town::new();
    let alice = town.create("alice");
    let file = town.root.path().join("backup");
    alice.backup(passphrase("far away"), &file).unwrap();
    assert_eq!(code(alice.backup(passphrase("far away"), &file)), "BACKUP_EXISTS");
    drop(alice);
    let setup = town.setup_on("here");
    let to = town.dir("restored");
    assert_eq!(code(restore(&file, &passphrase("near"), &to, &setup)), "BACKUP_WRONG_PASSPHRASE");
    let bytes = fs::read(&file).unwrap();
    for at in (0..bytes.len()).step_by(bytes.len() / 40) {
        let mut bent = bytes.clone();
        bent[at] ^= 1;
        let path = town.root.path().join("bent");
        fs::write(&path, &bent).unwrap();
        assert!(restore(&path, &passphrase("far away"), &to, &setup).is_err(), "byte {at}");
    }
    for cut in [0, 5, 60, 100, bytes.len() - 1] {
        let path = town.root.path().join("cut");
        fs::write(&path, &bytes[..cut]).unwrap();
        assert!(restore(&path, &passphrase("far away"), &to, &setup).is_err(), "cut at {cut}");
    }
    assert!(!to.exists(), "a backup that does not open leaves nothing behind");
    assert_eq!(
        code(restore(&file, &passphrase("far away"), &town.dir("alice"), &setup)),
        "WALLET_EXISTS"
    );
    assert!(restore(&file, &passphrase("far away"), &to, &setup).is_ok());
}

#[test]
fn an_issuer_never_uses_a_serial_number_twice_nor_exceeds_its_supply() {
    let town = Town::new();
    let mut alice = town.create("alice");
    let card = alice.card().open_card().unwrap();
    let max = Some(Amount::new(100));
    let ticker = Ticker::new("GOLD").unwrap();
    let asset = alice.create_asset(ticker, 0, max, AssetKind::Fungible).unwrap();
    let file = town.root.path().join("backup");
    alice.backup(passphrase("far away"), &file).unwrap();
    let mut serials = vec![alice.mint(asset, Amount::new(40), &card).unwrap().mint.body.serial];
    drop(alice);
    let mut alice = town.open("alice").unwrap();
    let second = alice.mint(asset, Amount::new(60), &card).unwrap().mint.body;
    assert_eq!(second.issued_before, Amount::new(40));
    serials.push(second.serial);
    assert_eq!(code(alice.mint(asset, Amount::new(1), &card)), "WALLET_MINT");
    drop(alice);
    let setup = town.setup_on("here");
    let mut alice = restore(&file, &passphrase("far away"), &town.dir("restored"), &setup).unwrap();
    assert_eq!(code(alice.mint(asset, Amount::new(1), &card)), "RECEIVE_ONLY");
    alice.confirm_recovery(true).unwrap();
    serials.push(alice.mint(asset, Amount::new(1), &card).unwrap().mint.body.serial);
    let distinct: std::collections::BTreeSet<_> = serials.iter().collect();
    assert_eq!(distinct.len(), serials.len());
}

#[test]
fn a_backup_does_not_say_what_the_journal_knew() {
    let town = Town::new();
    let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
    pay(&mut alice, &mut bob, asset, 100).payer.unwrap();
    let file = town.root.path().join("alice.tallybackup");
    alice.backup(passphrase("far away"), &file).unwrap();
    let file = fs::read(&file).unwrap();
    let header = Header::of(&file).unwrap();
    let params = KdfParams::new(header.memory_kib, header.passes, header.lanes).unwrap();
    let key = passphrase("far away").stretch(params, &header.salt).unwrap();
    let meta = Backup::open(&file, &key).unwrap().meta;
    assert!(!meta.is_empty() && !meta.contains_key(OBSERVED), "{:?}", meta.keys());
    let records = alice.store.load().unwrap().unwrap().meta;
    assert!(records.iter().any(|(name, _)| name == OBSERVED), "the records do");
}

/// A backup that an earlier program wrote: Alice, who was minted 1,000 and paid 100 of them, with a notary.
fn earlier() -> Vec<u8> {
    let text: String = include_str!("backup.hex").split_whitespace().collect();
    from_hex::<6084>(&text).unwrap().to_vec()
}

#[test]
fn a_backup_of_an_earlier_program_opens_and_is_written_again_to_the_byte() {
    let file = earlier();
    let header = Header::of(&file).unwrap();
    let params = KdfParams::new(header.memory_kib, header.passes, header.lanes).unwrap();
    let key = passphrase("far away").stretch(params, &header.salt).unwrap();
    let backup = Backup::open(&file, &key).unwrap();
    assert_eq!(backup.seal(&header, &key).unwrap(), file);
    let town = Town::new();
    let path = town.root.path().join("earlier");
    fs::write(&path, &file).unwrap();
    let setup = town.setup_on("elsewhere");
    let alice = restore(&path, &passphrase("far away"), &town.dir("restored"), &setup).unwrap();
    let asset = *alice.device().policies().keys().next().unwrap();
    assert_eq!((alice.name().as_str(), balance(&alice, &asset)), ("alice", 900));
    assert!(is_receive_only(&alice) && alice.notaries().is_some());
}

#[test]
fn a_backup_asks_for_no_more_than_a_keystore_may() {
    let limits = (backup::MAX_MEMORY_KIB, backup::MAX_PASSES, backup::MAX_LANES);
    assert_eq!(limits, (unlock::MAX_MEMORY_KIB, unlock::MAX_PASSES, unlock::MAX_LANES));
    let numbers = |limit: u32| [0, 1, 7, 8, 16, 31, 32, limit, limit + 1, u32::MAX];
    for memory_kib in numbers(limits.0) {
        for (passes, lanes) in numbers(limits.1).into_iter().zip(numbers(limits.2)) {
            let mut file = earlier();
            for (at, cost) in [(9, memory_kib), (13, passes), (17, lanes)] {
                file[at..at + 4].copy_from_slice(&cost.to_be_bytes());
            }
            let taken = KdfParams::new(memory_kib, passes, lanes).is_some();
            assert_eq!(Header::of(&file).is_ok(), taken, "{memory_kib} {passes} {lanes}");
        }
    }
}
