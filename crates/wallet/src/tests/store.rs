use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tally_agent::Batch;

use redb::backends::FileBackend;
use redb::{Database, StorageBackend};
use tally_core::card::Name;
use tally_core::id::NetworkId;
use tally_seal::software::{Place, SoftwareSeal};
use tally_seal::unlock::Unlock;

use super::scene::{Town, balance, passphrase, pay, sync};
use crate::store::Store;
use crate::{Class, Setup, Wallet, WalletError};

fn code<T: std::fmt::Debug>(result: Result<T, WalletError>) -> String {
    result.unwrap_err().code().to_owned()
}

#[test]
fn a_second_program_is_refused() {
    let town = Town::new();
    let alice = town.create("alice");
    let refused = town.open("alice").unwrap_err();
    assert_eq!((refused.code(), refused.class()), ("WALLET_IN_USE", Class::Conflict));
    drop(alice);
    town.open("alice").unwrap();
}

#[test]
fn a_folder_takes_one_wallet_and_only_a_wallet_opens() {
    let town = Town::new();
    drop(town.create("alice"));
    let setup = town.setup_on("here");
    let again =
        Wallet::create(&town.dir("alice"), &setup, Name::new("x").unwrap(), NetworkId::LOCAL);
    assert_eq!(code(again), "WALLET_EXISTS");
    assert_eq!(code(town.open("nobody")), "WALLET_MISSING");
}

#[test]
fn records_that_somebody_else_has_written_are_neither_written_nor_confirmed() {
    let town = Town::new();
    drop(town.create("alice"));
    let dir = town.dir("alice");
    let note = |value| Batch { meta: vec![("note", vec![value])], ..Batch::default() };
    for batch in [Batch::default(), note(1)] {
        let mut stale = Store::open(&dir, false).unwrap();
        stale.load().unwrap();
        stale.write(&batch).unwrap();
        stale.close();
        let mut other = Store::open(&dir, false).unwrap();
        other.load().unwrap();
        other.write(&note(2)).unwrap();
        drop(other);
        stale.reopen().unwrap();
        let moved = stale.write(&batch).unwrap_err();
        assert_eq!(moved.code(), "WALLET_MOVED");
        stale.load().unwrap();
        stale.write(&batch).unwrap();
    }
}

#[test]
fn the_locks_last_as_long_as_the_agent() {
    let town = Town::new();
    let mut alice = town.create("alice");
    let away = crate::wallet::Agent::Away(blank(&alice));
    let idle = std::mem::replace(&mut alice.agent, away);
    drop(alice);
    assert_eq!(town.open("alice").unwrap_err().code(), "WALLET_IN_USE");
    drop(idle);
    town.open("alice").unwrap();
}

fn blank(wallet: &Wallet) -> Box<tally_core::device::Device> {
    Box::new(tally_core::device::Device::new(wallet.device().me().clone()))
}

#[test]
fn a_wrong_passphrase_is_told() {
    let town = Town::new();
    drop(town.create("alice"));
    let setup = Setup { unlock: Unlock::Passphrase(passphrase("close")), ..town.setup_on("here") };
    assert_eq!(code(Wallet::open(&town.dir("alice"), &setup)), "SEAL_WRONG_PASSPHRASE");
}

#[test]
fn what_is_made_is_for_its_owner_only() {
    let town = Town::new();
    drop(town.create("alice"));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let dir = town.dir("alice");
    assert_eq!((mode(&dir), mode(&Store::path_in(&dir))), (0o700, 0o600));
    let mut wallet = town.open("alice").unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(wallet.check().iter().filter(|finding| !finding.ok).count(), 1);
    wallet.set_accept_policy(Default::default()).unwrap();
}

#[test]
fn damaged_records_are_named_and_never_used() {
    let town = Town::new();
    drop(town.create("alice"));
    let file = Store::path_in(&town.dir("alice"));
    let whole = fs::read(&file).unwrap();
    for bytes in [vec![7; 5000], whole[..200].to_vec(), Vec::new()] {
        fs::write(&file, &bytes).unwrap();
        let refused = town.open("alice").unwrap_err();
        let codes = ["WALLET_DAMAGED", "WALLET_STORE", "WALLET_MISSING"];
        assert!(codes.contains(&refused.code()), "{refused}");
    }
    fs::write(&file, &whole).unwrap();
    town.open("alice").unwrap();
}

#[test]
fn a_flipped_bit_in_the_records_is_found_and_never_shown_as_money() {
    let town = Town::new();
    let (mut people, _) = town.people(["alice"]);
    let right = people[0].device().clone();
    people[0].ready().unwrap();
    drop(people);
    let file = Store::path_in(&town.dir("alice"));
    let whole = fs::read(&file).unwrap();
    let mut refused = 0;
    for at in (0..whole.len()).step_by(whole.len() / 97) {
        let mut bent = whole.clone();
        bent[at] ^= 0x10;
        fs::write(&file, &bent).unwrap();
        match town.open("alice") {
            // Not every byte of the file means something.
            Ok(wallet) => assert_eq!(*wallet.device(), right, "byte {at}"),
            Err(error) => {
                let codes = ["WALLET_DAMAGED", "WALLET_STORE", "WALLET_SCHEMA", "WALLET_MISSING"];
                assert!(codes.contains(&error.code()), "byte {at}: {error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 0);
    fs::write(&file, &whole).unwrap();
    town.open("alice").unwrap();
}

#[test]
fn a_newer_schema_is_refused() {
    let town = Town::new();
    let mut alice = town.create("alice");
    let meta = vec![("schema", 2u32.to_be_bytes().to_vec())];
    alice.store.write(&Batch { meta, ..Batch::default() }).unwrap();
    drop(alice);
    let refused = town.open("alice").unwrap_err();
    assert_eq!(refused.code(), "WALLET_SCHEMA");
    assert!(refused.to_string().contains("newest version"));
}

#[test]
fn a_place_that_cannot_be_written_is_told() {
    let town = Town::new();
    let setup = town.setup_on("here");
    let dir = Path::new("/proc/tally/wallet");
    let refused = Wallet::create(dir, &setup, Name::new("x").unwrap(), NetworkId::LOCAL);
    assert_eq!(code(refused), "WALLET_STORE");
}

/// A file on a disk of which the test says how much room it has: a fake of a full disk.
#[derive(Debug)]
struct Full {
    file: FileBackend,
    room: Arc<AtomicU64>,
}

impl Full {
    fn fits(&self, len: u64) -> io::Result<()> {
        if len > self.room.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

impl StorageBackend for Full {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.fits(len)?;
        self.file.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.fits(offset.saturating_add(data.len() as u64))?;
        self.file.write(offset, data)
    }
}

#[test]
fn a_full_disk_loses_nothing_and_the_payment_goes_on_once_there_is_room() {
    let town = Town::new();
    let ([alice, mut bob], asset) = town.people(["alice", "bob"]);
    drop(alice);
    let (dir, setup) = (town.dir("alice"), town.setup_on("here"));
    let path = Store::path_in(&dir);
    let room = Arc::new(AtomicU64::new(u64::MAX));
    let (file, left) = (path.clone(), room.clone());
    let opener = move || {
        let opened = OpenOptions::new().read(true).write(true).open(&file).unwrap();
        let file = FileBackend::new(opened).unwrap();
        let full = Full { file, room: left.clone() };
        Ok(Database::builder().create_with_backend(full).unwrap())
    };
    let place = Place::new(&dir, &setup.state_dir);
    let seal = SoftwareSeal::open(&place, setup.machine.as_ref(), &setup.unlock).unwrap();
    let store = Store::with(path.clone(), Box::new(opener)).unwrap();
    let loaded = store.load().unwrap().unwrap();
    let seal = crate::sealed::DeviceSeal::Software(Box::new(seal));
    let mut alice = Wallet::start(&dir, &setup, seal, store, loaded).unwrap();
    room.store(4096, Ordering::SeqCst);
    let met = pay(&mut alice, &mut bob, asset, 10);
    assert_eq!(code(met.payer), "WALLET_STORE");
    room.store(u64::MAX, Ordering::SeqCst);
    sync(&mut alice, &mut bob).payer.unwrap();
    let made = alice.device().outgoing().len() as u64;
    assert_eq!((balance(&alice, &asset), balance(&bob, &asset)), (1000 - 10 * made, 10 * made));
    pay(&mut alice, &mut bob, asset, 10).payer.unwrap();
    assert_eq!(balance(&alice, &asset) + balance(&bob, &asset), 1000);
}
