//! Pay between two processes over TCP, with real wallets on a real disk.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tally_core::accept::AcceptPolicy;
use tally_core::amount::Amount;
use tally_core::card::{Name, Signed};
use tally_core::cbor::{from_bytes, to_bytes};
use tally_core::id::NetworkId;
use tally_core::policy::{AssetKind, Policy, Ticker};
use tally_core::tier::Tier;
use tally_seal::machine::HostMachine;
use tally_seal::unlock::{KdfParams, Unlock};
use tally_transport::tcp::{Limits, Listener, connect};
use tally_wallet::{Setup, Wallet};

use crate::scene::{MINTED, PAID};
use crate::timing::{Samples, time};

/// The argument that makes this program the payee of [`payments`]; the folder follows.
pub const PAYEE: &str = "--payee";

/// Pays so often, to a payee in a process of its own. Each duration is from the payer's word until
/// the payer has the receipt, which is after the payee has shown FINAL.
pub fn payments(count: usize) -> Samples {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let mut payer = wallet(folder.path(), "payer");
    let ticker = Ticker::new("EUR").expect("a ticker");
    let asset = payer.create_asset(ticker, 2, None, AssetKind::Fungible).expect("a new asset");
    give(folder.path(), "policy", &to_bytes(&payer.device().policies()[&asset]));
    give(folder.path(), "payer.card", &to_bytes(payer.card()));
    let me = payer.card().open_card().expect("a card of our own");
    for _ in 0..=count {
        let minted = payer.mint(asset, Amount::new(MINTED), &me).expect("an issuer may mint");
        payer.receive_mint(minted).expect("a mint for this wallet");
    }
    let (child, address) = payee_process(folder.path());
    let payee = payer.add_contact(take(folder.path(), "payee.card")).expect("a good card");
    let mut durations = Vec::new();
    for _ in 0..=count {
        let mut channel = connect(&address, &Limits::default()).expect("the payee listens");
        durations.push(time(|| {
            let paid = payer.pay_over(&mut channel, payee, asset, Amount::new(PAID), &mut |_| {});
            paid.expect("a payment with everything in place");
        }));
    }
    drop(child);
    // The first says hello; people who know each other do not.
    Samples::new(durations.split_off(1))
}

/// Is the payee, until it is ended.
pub fn be_payee(folder: &Path) {
    let mut wallet = wallet(folder, "payee");
    wallet.add_policy(take::<Policy>(folder, "policy")).expect("a good policy");
    wallet.add_contact(take::<Signed>(folder, "payer.card")).expect("a good card");
    let mut accept = AcceptPolicy { max_unsettled: None, ..AcceptPolicy::default() };
    for tier in Tier::ALL {
        let limits = accept.limits_mut(tier);
        (limits.per_payment, limits.per_payer, limits.total) = (None, None, None);
    }
    wallet.set_accept_policy(accept).expect("any policy is taken");
    give(folder, "payee.card", &to_bytes(wallet.card()));
    let listener = Listener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound listener has one");
    let mut out = std::io::stdout();
    writeln!(out, "{address}").and_then(|()| out.flush()).expect("somebody reads");
    while let Ok(mut channel) = listener.accept(&Limits::default()) {
        // A connection that fails shows on the payer's side, which then stops.
        let _ = wallet.serve_one(&mut channel, &mut |_| {});
    }
}

/// Ends the payee when the measurement is over, also when it fails.
struct Payee(Child);

impl Drop for Payee {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn payee_process(folder: &Path) -> (Payee, String) {
    let program = std::env::current_exe().expect("this program has a path");
    let child = Command::new(program).arg(PAYEE).arg(folder).stdout(Stdio::piped()).spawn();
    let mut child = Payee(child.expect("this program starts again"));
    let output = child.0.stdout.take().expect("its output was asked for");
    let mut address = String::new();
    BufReader::new(output).read_line(&mut address).expect("the payee says where it listens");
    (child, address.trim().to_owned())
}

fn wallet(folder: &Path, who: &str) -> Wallet {
    let dir = folder.join(who);
    let setup = Setup {
        unlock: Unlock::KeyFile(folder.join(format!("{who}.key"))),
        kdf: KdfParams::WEAK_FOR_TESTS,
        state_dir: folder.join(format!("{who}.state")),
        machine: Box::new(HostMachine::new()),
    };
    let name = Name::new(who).expect("a name");
    Wallet::create(&dir, &setup, name, NetworkId::LOCAL).expect("a folder of our own")
}

fn give(folder: &Path, name: &str, bytes: &[u8]) {
    std::fs::write(folder.join(name), bytes).expect("a folder of our own");
}

fn take<T: tally_core::cbor::Decode>(folder: &Path, name: &str) -> T {
    let bytes = std::fs::read(folder.join(name)).expect("the other side has written it");
    from_bytes(&bytes).expect("what was encoded decodes")
}
