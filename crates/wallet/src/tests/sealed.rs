//! Wallets that are bound to a TPM in software, which stands in for hardware: it proves as hardware
//! does, and the tests leave its own state alone.

use tally_core::amount::Amount;
use tally_core::cbor::List;
use tally_core::device::{Event, Mode};
use tally_core::evidence::Minted;
use tally_core::id::{AssetId, NetworkId};
use tally_core::invoice::Invoice;
use tally_core::keys::SecretKey;
use tally_core::mint::{IssuerSignature, MINT_VERSION, Mint, MintBody};
use tally_core::policy::{AssetKind, OfflineRules, POLICY_VERSION, Policy, Ticker};
use tally_core::predicate::Predicate;
use tally_core::seal::{
    CERTIFICATE_VERSION, Hardware, SealCertificate, SealLabel, SealTerms, TpmSeal,
};
use tally_core::tier::Tier;
use tally_core::time::Time;
use tally_seal::tpm2::Chip;
use tally_seal::tpm2::swtpm::SoftwareTpm;

use super::scene::{Met, Town, balance, copy_folder, patiently, pay};
use crate::Wallet;

fn enroller() -> SecretKey {
    SecretKey::new([9; 32]).unwrap()
}

pub(super) fn certificate(seal: TpmSeal) -> SealCertificate {
    let terms = SealTerms {
        version: CERTIFICATE_VERSION,
        network: NetworkId::LOCAL,
        hardware: Hardware::Tpm(seal),
        label: SealLabel::new("swtpm").unwrap(),
        development: true,
        expires: Time::from_unix(4_000_000_000),
        enroller: enroller().public(),
    };
    SealCertificate::issue(terms, &enroller())
}

/// Alice has a TPM and 1000 under its first counter; Bob and Carol have none.
pub(super) struct Scene {
    pub(super) town: Town,
    pub(super) tpm: SoftwareTpm,
    pub(super) counters: TpmSeal,
    pub(super) alice: Wallet,
    pub(super) bob: Wallet,
    pub(super) carol: Wallet,
    pub(super) asset: AssetId,
}

pub(super) fn scene() -> Scene {
    let town = Town::new();
    let tpm = SoftwareTpm::start(&town.dir("tpm")).unwrap();
    let mut chip = Chip::open(&tpm.address()).unwrap();
    let base = chip.free_base().unwrap();
    let counters = chip.make_counters(base, 4).unwrap();
    drop(chip);
    drop(town.create("alice"));
    let (dir, setup) = (town.dir("alice"), town.setup_on("here"));
    let bind = || Wallet::bind_to_tpm(&dir, &setup, &tpm.address(), certificate(counters));
    let mut alice = patiently(bind).unwrap();
    let (mut bob, mut carol) = (town.create("bob"), town.create("carol"));
    let issuer = SecretKey::new([0xee; 32]).unwrap();
    let enrollers = List::new(vec![enroller().public()]).unwrap();
    let policy = Policy {
        version: POLICY_VERSION,
        network: NetworkId::LOCAL,
        kind: AssetKind::Fungible,
        ticker: Ticker::new("EUR").unwrap(),
        decimals: 2,
        issuers: List::new(vec![issuer.public()]).unwrap(),
        threshold: 1,
        max_supply: None,
        offline: OfflineRules { enrollers, ..OfflineRules::default() },
        metadata: None,
    };
    let asset = policy.id();
    let cards = [&alice, &bob, &carol].map(|wallet| wallet.card().clone());
    for (i, wallet) in [&mut alice, &mut bob, &mut carol].into_iter().enumerate() {
        wallet.add_policy(policy.clone()).unwrap();
        for (_, card) in cards.iter().enumerate().filter(|(j, _)| *j != i) {
            wallet.add_contact(card.clone()).unwrap();
        }
    }
    let invoice = alice.invoice(asset, Amount::new(1000), 600).unwrap();
    let owner = Invoice::open(&invoice).unwrap().0.accept.owner;
    assert!(matches!(owner, Predicate::Sealed(_)), "an invoice asks for the seal");
    let body = MintBody {
        version: MINT_VERSION,
        network: NetworkId::LOCAL,
        asset,
        amount: Amount::new(1000),
        owner,
        serial: 1,
        issued_before: Amount::ZERO,
    };
    let signature = issuer.sign(&body.digest());
    let signatures = List::new(vec![IssuerSignature { issuer: 0, signature }]).unwrap();
    alice.receive_mint(Minted { mint: Mint { body, signatures }, certified: None }).unwrap();
    Scene { town, tpm, counters, alice, bob, carol, asset }
}

pub(super) fn tier<T>(met: &Met<T>) -> Option<Tier> {
    met.served.iter().find_map(|event| match event {
        Event::Received { tier, .. } => Some(*tier),
        _ => None,
    })
}

#[test]
fn a_wallet_with_a_tpm_pays_with_change_and_goes_on_after_a_restart() {
    let Scene { town, mut alice, mut bob, asset, tpm: _tpm, .. } = scene();
    let met = pay(&mut alice, &mut bob, asset, 250);
    assert!(met.payer.is_ok(), "{:?}", met.payer);
    assert_eq!(tier(&met), Some(Tier::Sealed));
    drop(alice);
    let mut alice = town.open("alice").unwrap();
    let met = pay(&mut alice, &mut bob, asset, 100);
    assert_eq!(tier(&met), Some(Tier::Sealed), "{:?}", met.payer);
    assert_eq!((balance(&alice, &asset), balance(&bob, &asset)), (650, 350));
    assert!(alice.holdings().unwrap().iter().all(|(_, verified)| *verified));
}

#[test]
fn a_copy_of_the_wallet_and_of_all_its_files_gets_no_second_proof() {
    let Scene { town, mut alice, mut bob, mut carol, asset, tpm: _tpm, .. } = scene();
    drop(alice);
    copy_folder(&town.dir("alice"), &town.dir("copy"));
    copy_folder(&town.dir("state"), &town.dir("old state"));
    alice = town.open("alice").unwrap();
    assert_eq!(tier(&pay(&mut alice, &mut bob, asset, 600)), Some(Tier::Sealed));
    drop(alice);
    // Whoever has root sets everything back but the hardware.
    std::fs::remove_dir_all(town.dir("state")).unwrap();
    copy_folder(&town.dir("old state"), &town.dir("state"));
    let mut copy = town.open("copy").unwrap();
    assert_eq!(*copy.device().mode(), Mode::Normal, "nothing in its files tells that it is old");
    let met = pay(&mut copy, &mut carol, asset, 600);
    assert!(met.payer.is_err(), "the hardware has paid already");
    assert_eq!(tier(&met), None);
    assert_eq!((balance(&bob, &asset), balance(&carol, &asset)), (600, 0));
    assert_ne!(
        *copy.device().mode(),
        Mode::Normal,
        "it knows now that it is old, and only receives"
    );
    assert!(carol.device().forks().is_empty(), "nothing was signed twice");
}

#[test]
fn a_mint_that_pays_an_invoice_uses_up_its_terms() {
    let Scene { alice, tpm: _tpm, .. } = scene();
    assert!(alice.device().terms().is_empty(), "nobody is asked to pay under a slot that is taken");
    assert_eq!(alice.device().taken(crate::wallet::now()).len(), 1);
}

#[test]
fn only_a_wallet_that_did_nothing_yet_is_bound() {
    let Scene { town, bob, tpm, .. } = scene();
    drop(bob);
    let mut chip = Chip::open(&tpm.address()).unwrap();
    let base = chip.free_base().unwrap();
    let counters = chip.make_counters(base, 2).unwrap();
    drop(chip);
    let (dir, setup) = (town.dir("bob"), town.setup_on("here"));
    let bind = || Wallet::bind_to_tpm(&dir, &setup, &tpm.address(), certificate(counters));
    let bound = patiently(bind);
    assert_eq!(bound.unwrap_err().code(), "NOT_FOR_ME");
}
