use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use tally_core::accept::{AcceptPolicy, TierLimits};
use tally_core::amount::Amount;
use tally_core::card::Name;
use tally_core::device::Event;
use tally_core::id::{AssetId, NetworkId, TxId};
use tally_core::policy::{AssetKind, Ticker};
use tally_seal::machine::{Factor, Fingerprint, Machine};
use tally_seal::unlock::{KdfParams, Passphrase, Unlock};
use tally_transport::Channel;
use tally_transport::tcp::{Limits, Listener, connect};
use zeroize::Zeroizing;

use crate::{Setup, Wallet, WalletError};

/// A machine that shows one name.
pub(super) struct Named(pub(super) &'static str);

impl Machine for Named {
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint {
            hardware: Factor::new(&[("board serial", self.0.into())]),
            environment: Factor::new(&[("machine id", self.0.into())]),
        }
    }
}

pub(super) fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(Zeroizing::new(text.into())).unwrap()
}

/// A folder with people's wallets in it.
pub(super) struct Town {
    pub(super) root: tempfile::TempDir,
}

impl Town {
    pub(super) fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    pub(super) fn dir(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(super) fn setup_on(&self, machine: &'static str) -> Setup {
        Setup {
            unlock: Unlock::Passphrase(passphrase("open")),
            kdf: KdfParams::WEAK_FOR_TESTS,
            state_dir: self.root.path().join("state").join(machine),
            machine: Box::new(Named(machine)),
        }
    }

    pub(super) fn create(&self, name: &str) -> Wallet {
        let setup = self.setup_on("here");
        let named = Name::new(name).unwrap();
        let mut wallet = Wallet::create(&self.dir(name), &setup, named, NetworkId::LOCAL).unwrap();
        wallet.set_accept_policy(generous()).unwrap();
        wallet
    }

    pub(super) fn open(&self, name: &str) -> Result<Wallet, WalletError> {
        patiently(|| Wallet::open(&self.dir(name), &self.setup_on("here")))
    }

    /// People who know each other, the first of whom is the issuer and has 1000.
    pub(super) fn people<const N: usize>(&self, names: [&str; N]) -> ([Wallet; N], AssetId) {
        let mut people = names.map(|name| self.create(name));
        let asset = fund(&mut people[0], 1000);
        let policy = people[0].device().policies()[&asset].clone();
        let cards: Vec<_> = people.iter().map(|w| w.card().clone()).collect();
        for (i, wallet) in people.iter_mut().enumerate() {
            wallet.add_policy(policy.clone()).unwrap();
            for (_, card) in cards.iter().enumerate().filter(|(j, _)| *j != i) {
                wallet.add_contact(card.clone()).unwrap();
            }
        }
        (people, asset)
    }
}

/// Tries again what was in use. A lock that was just released is held for another instant where a
/// test beside this one starts a program: its child has all that is open until it becomes that
/// program.
pub(super) fn patiently<T>(
    mut open: impl FnMut() -> Result<T, WalletError>,
) -> Result<T, WalletError> {
    for _ in 0..50 {
        match open() {
            Err(error) if error.code() == "WALLET_IN_USE" => {
                thread::sleep(Duration::from_millis(10));
            }
            done => return done,
        }
    }
    open()
}

/// Takes everything: limits have their own tests, in the core.
pub(super) fn generous() -> AcceptPolicy {
    let signed = TierLimits { accept: true, per_payment: None, per_payer: None, total: None };
    AcceptPolicy { signed, max_unsettled: None, ..AcceptPolicy::default() }
}

/// Makes the wallet an issuer of EUR, with so much of it in its own pocket.
pub(super) fn fund(wallet: &mut Wallet, units: u64) -> AssetId {
    let eur = Ticker::new("EUR").unwrap();
    let asset = wallet.create_asset(eur, 2, None, AssetKind::Fungible).unwrap();
    let card = wallet.card().open_card().unwrap();
    let minted = wallet.mint(asset, Amount::new(units), &card).unwrap();
    wallet.receive_mint(minted).unwrap();
    asset
}

pub(super) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            fs::copy(&path, target).unwrap();
        }
    }
}

pub(super) fn balance(wallet: &Wallet, asset: &AssetId) -> u64 {
    wallet.device().ledger().balances().get(asset).copied().unwrap_or_default().units()
}

/// What happened on the two ends of one connection over TCP.
pub(super) struct Met<T> {
    pub(super) payer: Result<T, WalletError>,
    pub(super) payee: Result<(), WalletError>,
    pub(super) shown: Vec<Event>,
    pub(super) served: Vec<Event>,
}

/// Connects two wallets over TCP on this machine: one acts, the other serves.
pub(super) fn over_tcp<T>(
    payee: &mut Wallet,
    act: impl FnOnce(&mut dyn Channel, &mut dyn FnMut(&Event)) -> Result<T, WalletError>,
) -> Met<T> {
    let listener = Listener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::scope(|scope| {
        let server = scope.spawn(move || {
            let mut served = Vec::new();
            let mut channel = listener.accept(&Limits::default()).unwrap();
            let result = payee.serve_one(&mut channel, &mut |e| served.push(e.clone()));
            (result, served)
        });
        let mut channel = connect(&address, &Limits::default()).unwrap();
        let mut shown = Vec::new();
        let result = act(&mut channel, &mut |e| shown.push(e.clone()));
        drop(channel);
        let (served_result, served) = server.join().unwrap();
        Met { payer: result, payee: served_result, shown, served }
    })
}

pub(super) fn pay(payer: &mut Wallet, payee: &mut Wallet, asset: AssetId, units: u64) -> Met<TxId> {
    let to = payee.device().id();
    over_tcp(payee, |channel, show| payer.pay_over(channel, to, asset, Amount::new(units), show))
}

pub(super) fn sync(one: &mut Wallet, other: &mut Wallet) -> Met<()> {
    let to = other.device().id();
    over_tcp(other, |channel, show| one.sync_over(channel, to, show))
}
