//! People with wallets in one folder, and a network of four validators in this process.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread;

use tally_core::accept::{AcceptPolicy, TierLimits};
use tally_core::amount::Amount;
use tally_core::card::Name;
use tally_core::device::Event;
use tally_core::id::{AssetId, NetworkId, TxId};
use tally_core::policy::{AssetKind, Ticker};
use tally_notary::devnet::Devnet;
use tally_seal::machine::{Factor, Fingerprint, Machine};
use tally_seal::unlock::{KdfParams, Passphrase, Unlock};
use tally_transport::Channel;
use tally_transport::http::Url;
use tally_transport::tcp::{Limits, Listener, connect};
use tally_wallet::{Settling, Setup, Wallet, WalletError};

struct Here;

impl Machine for Here {
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint {
            hardware: Factor::new(&[("board serial", "here".into())]),
            environment: Factor::new(&[("machine id", "here".into())]),
        }
    }
}

/// The network that all tests share: addresses, and the trust base.
pub struct Network {
    pub urls: Vec<Url>,
    pub trust: Vec<u8>,
}

/// Starts it once; it ends with this process.
pub fn network() -> &'static Network {
    static NETWORK: OnceLock<Network> = OnceLock::new();
    NETWORK.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder").keep();
        let devnet = Devnet::start(&folder, 4).expect("a network");
        let urls = devnet.urls().iter().map(|url| Url::new(url).expect("an address")).collect();
        let trust = fs::read(devnet.trust_base_path()).expect("a trust base");
        std::mem::forget(devnet);
        Network { urls, trust }
    })
}

/// A folder with people's wallets in it.
pub struct Town(tempfile::TempDir);

pub fn passphrase() -> Passphrase {
    Passphrase::new(zeroize::Zeroizing::new("open".into())).expect("short")
}

impl Town {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn setup(&self, journal: &str) -> Setup {
        Setup {
            unlock: Unlock::Passphrase(passphrase()),
            kdf: KdfParams::WEAK_FOR_TESTS,
            state_dir: self.path("journals").join(journal),
            machine: Box::new(Here),
        }
    }

    pub fn open(&self, name: &str) -> Wallet {
        Wallet::open(&self.path(name), &self.setup(name)).expect("it opens")
    }

    /// People who know each other and the network, each another validator; the first has 1000.
    pub fn people<const N: usize>(&self, names: [&str; N]) -> ([Wallet; N], AssetId) {
        let mut people = names.map(|name| {
            let named = Name::new(name).expect("a name");
            let dir = self.path(name);
            Wallet::create(&dir, &self.setup(name), named, NetworkId::LOCAL).expect("made")
        });
        let eur = Ticker::new("EUR").expect("a ticker");
        let asset = people[0].create_asset(eur, 2, None, AssetKind::Fungible).expect("made");
        let card = people[0].card().open_card().expect("a card");
        let minted = people[0].mint(asset, Amount::new(1000), &card).expect("minted");
        people[0].receive_mint(minted).expect("received");
        let policy = people[0].device().policies()[&asset].clone();
        let cards = people.each_ref().map(|wallet| wallet.card().clone());
        let signed = TierLimits { accept: true, per_payment: None, per_payer: None, total: None };
        let any = AcceptPolicy { signed, max_unsettled: None, ..AcceptPolicy::default() };
        let network = network();
        for (at, wallet) in people.iter_mut().enumerate() {
            wallet.add_policy(policy.clone()).expect("known");
            wallet.set_accept_policy(any.clone()).expect("set");
            let own = wallet.card().clone();
            for card in cards.iter().filter(|card| **card != own) {
                wallet.add_contact(card.clone()).expect("known");
            }
            let url = network.urls[at % network.urls.len()].clone();
            wallet.add_notary(url, &network.trust).expect("added");
        }
        (people, asset)
    }

    /// The first wallet again, and a copy of it with its journal, as a cheat would make it.
    pub fn cloned(&self, name: &str, wallet: Wallet) -> (Wallet, Wallet) {
        drop(wallet);
        copy(&self.path(name), &self.path("copy"));
        copy(&self.path("journals").join(name), &self.path("journals").join("copy"));
        (self.open(name), self.open("copy"))
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("read") {
        let path = entry.expect("read").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, target).expect("copied");
        }
    }
}

pub fn balance(wallet: &Wallet, asset: &AssetId) -> u64 {
    wallet.device().ledger().balances().get(asset).copied().unwrap_or_default().units()
}

/// What the wallet holds that is not lost.
pub fn worth(wallet: &Wallet) -> u64 {
    let pockets = wallet.device().ledger().pockets();
    pockets.filter(|p| !wallet.device().is_lost(p)).map(|p| p.amount().units()).sum()
}

pub fn over_tcp<T>(
    payee: &mut Wallet,
    act: impl FnOnce(&mut dyn Channel) -> Result<T, WalletError>,
) -> (Result<T, WalletError>, Vec<Event>) {
    let listener = Listener::bind("127.0.0.1:0").expect("listens");
    let address = listener.local_addr().expect("an address").to_string();
    thread::scope(|scope| {
        let server = scope.spawn(move || {
            let mut events = Vec::new();
            let mut channel = listener.accept(&Limits::default()).expect("a connection");
            // How the payee's side ends is seen in its events.
            let _ = payee.serve_one(&mut channel, &mut |e| events.push(e.clone()));
            events
        });
        let mut channel = connect(&address, &Limits::default()).expect("connected");
        let result = act(&mut channel);
        drop(channel);
        (result, server.join().expect("served"))
    })
}

pub fn pay(
    payer: &mut Wallet,
    payee: &mut Wallet,
    asset: AssetId,
    units: u64,
) -> Result<TxId, WalletError> {
    let to = payee.device().id();
    let amount = Amount::new(units);
    over_tcp(payee, |channel| payer.pay_over(channel, to, asset, amount, &mut |_| {})).0
}

pub fn settle(wallet: &mut Wallet) -> Settling {
    let settling = wallet.settle(&mut |_| {}, &mut |_| {}).expect("settled");
    assert!(settling.failed.is_empty(), "{settling:?}");
    settling
}
