//! Wallets whose TPM is gone, or whose disk was set back beside it: nothing else stops, nothing is shown
//! that did not happen, and nobody honest is convicted.

use tally_core::amount::Amount;
use tally_core::cbor::List;
use tally_core::device::{Event, Mode, OutgoingState};
use tally_core::evidence::Minted;
use tally_core::id::{AssetId, NetworkId};
use tally_core::keys::SecretKey;
use tally_core::mint::{IssuerSignature, MINT_VERSION, Mint, MintBody};
use tally_core::predicate::Predicate;
use tally_core::tier::Tier;
use tally_seal::tpm2::Tpm;
use tally_seal::tpm2::swtpm::SoftwareTpm;
use tally_transport::{Channel, TransportError};

use super::patched::invoice;
use super::scene::{Town, balance, copy_folder, over_tcp, pay, sync};
use super::sealed::{Scene, scene, tier};
use crate::wallet::now;
use crate::{Class, Wallet, WalletError};

fn code<T: std::fmt::Debug>(result: Result<T, WalletError>) -> String {
    result.unwrap_err().code().to_owned()
}

/// 500 under the key alone, beside what is under a slot.
fn mint_plain(wallet: &mut Wallet, asset: AssetId) {
    let issuer = SecretKey::new([0xee; 32]).unwrap();
    let body = MintBody {
        version: MINT_VERSION,
        network: NetworkId::LOCAL,
        asset,
        amount: Amount::new(500),
        owner: Predicate::Signature(wallet.device().me().owner.clone()),
        serial: 2,
        issued_before: Amount::ZERO,
    };
    let signature = issuer.sign(&body.digest());
    let signatures = List::new(vec![IssuerSignature { issuer: 0, signature }]).unwrap();
    wallet.receive_mint(Minted { mint: Mint { body, signatures }, certified: None }).unwrap();
}

fn clear(tpm: &SoftwareTpm) {
    let mut bare = Tpm::open(&tpm.address()).unwrap();
    bare.execute(0x126, &[0x4000_000a], 1, &[]).unwrap();
}

fn states(wallet: &Wallet) -> Vec<OutgoingState> {
    wallet.device().outgoing().values().map(|outgoing| outgoing.state).collect()
}

#[test]
fn a_payment_that_waits_for_a_tpm_that_is_gone_stops_no_other() {
    let Scene { town, mut tpm, mut alice, mut bob, mut carol, asset, .. } = scene();
    mint_plain(&mut alice, asset);
    tpm.cut_power();
    // Nobody noticed yet that it is gone.
    let begun = pay(&mut alice, &mut bob, asset, 600);
    assert!(matches!(begun.payer, Err(WalletError::Unproved { .. })), "{:?}", begun.payer);
    assert_eq!(states(&alice), [OutgoingState::Proving]);
    assert!(pay(&mut alice, &mut carol, asset, 200).payer.is_ok(), "in the same process");
    drop(alice);
    let mut alice = town.open("alice").unwrap();
    assert!(pay(&mut alice, &mut carol, asset, 100).payer.is_ok(), "and in the next");
    assert_eq!((balance(&bob, &asset), balance(&carol, &asset)), (0, 300));
    tpm.switch_on().unwrap();
    drop(alice);
    let mut alice = town.open("alice").unwrap();
    let to = bob.device().id();
    let met = over_tcp(&mut bob, |channel, show| alice.resend_over(channel, to, show));
    assert_eq!((met.payer.as_ref().ok(), tier(&met)), (Some(&1), Some(Tier::Sealed)));
    assert_eq!((balance(&alice, &asset), balance(&bob, &asset)), (600, 600));
    assert!(sync(&mut bob, &mut carol).payer.is_ok());
    assert!(bob.device().forks().is_empty() && carol.device().forks().is_empty());
}

/// A connection on which the TPM's power fails as soon as the other side has answered.
struct Outage<'a> {
    way: &'a mut dyn Channel,
    tpm: &'a mut SoftwareTpm,
    heard: u32,
}

impl Channel for Outage<'_> {
    fn send(&mut self, message: &[u8]) -> Result<(), TransportError> {
        self.way.send(message)
    }

    fn recv(&mut self) -> Result<Vec<u8>, TransportError> {
        assert_eq!(self.heard, 0, "nobody waits for an answer to what was not sent");
        let message = self.way.recv()?;
        self.heard += 1;
        self.tpm.cut_power();
        Ok(message)
    }
}

#[test]
fn a_payment_whose_tpm_goes_while_it_is_made_ends_its_connection_at_once_and_is_named() {
    let Scene { mut tpm, mut alice, mut bob, asset, town, .. } = scene();
    let to = bob.device().id();
    let begun = over_tcp(&mut bob, |way, show| {
        let mut way = Outage { way, tpm: &mut tpm, heard: 0 };
        alice.pay_over(&mut way, to, asset, Amount::new(600), show)
    });
    let Err(WalletError::Unproved { tx, .. }) = begun.payer else {
        panic!("{:?}", begun.payer);
    };
    assert_eq!(alice.device().pending().map(|o| o.tx).collect::<Vec<_>>(), [tx]);
    drop(alice);
    tpm.switch_on().unwrap();
    let mut alice = town.open("alice").unwrap();
    let met = over_tcp(&mut bob, |channel, show| alice.resend_over(channel, to, show));
    assert_eq!((met.payer.ok(), balance(&bob, &asset)), (Some(1), 600));
}

#[test]
fn a_payment_by_file_whose_tpm_goes_while_it_is_made_is_named() {
    let Scene { mut tpm, mut alice, mut bob, asset, .. } = scene();
    let asked = invoice(&mut bob, asset, 600);
    tpm.cut_power();
    let begun = alice.pay_invoice(&asked).unwrap_err();
    let pending = alice.device().pending().map(|o| o.tx).next();
    assert_eq!((begun.code(), begun.made()), ("WALLET_UNPROVED", pending));
    assert_eq!(begun.class(), Class::Unreachable);
}

#[test]
fn an_owner_gives_up_on_an_absent_tpm_without_recovering_anything() {
    let Scene { town, mut tpm, mut alice, mut bob, asset, .. } = scene();
    mint_plain(&mut alice, asset);
    tpm.cut_power();
    assert!(pay(&mut alice, &mut bob, asset, 600).payer.is_err());
    drop(alice);
    let mut alice = town.open("alice").unwrap();
    assert_eq!(code(pay(&mut alice, &mut bob, asset, 10).payer), "TRADE_WAITING");
    alice.confirm_recovery(false).unwrap();
    assert_eq!(states(&alice), [OutgoingState::Proving], "only where the owner says so");
    alice.confirm_recovery_without_tpm(false).unwrap();
    assert_eq!(
        (*alice.device().mode() == Mode::Normal, states(&alice)),
        (true, vec![OutgoingState::GivenUp])
    );
    assert_eq!(balance(&alice, &asset), 1500, "nothing is lost");
    assert!(pay(&mut alice, &mut bob, asset, 10).payer.is_ok());
    assert_eq!(code(pay(&mut alice, &mut bob, asset, 600).payer), "UNLOCK_LOCKED");
    let mut locked = alice.locks();
    assert!(locked.pop().is_some_and(|lock| lock.until > now()) && locked.is_empty());
}

#[test]
fn an_owner_whose_recovery_is_refused_has_not_given_up_the_tpm() {
    let Scene { town, mut tpm, mut alice, mut bob, mut carol, asset, .. } = scene();
    alice.set_back().unwrap();
    tpm.cut_power();
    drop(alice);
    let mut alice = town.open("alice").unwrap();
    assert_eq!(code(alice.confirm_recovery_without_tpm(false)), "NOT_RECOVERED");
    assert_eq!(alice.device().burned().count(), 0, "its slots can still be left");
    drop(alice);
    tpm.switch_on().unwrap();
    let mut alice = town.open("alice").unwrap();
    sync(&mut alice, &mut bob).payer.unwrap();
    sync(&mut alice, &mut carol).payer.unwrap();
    alice.confirm_recovery(false).unwrap();
    assert_eq!(tier(&pay(&mut alice, &mut bob, asset, 600)), Some(Tier::Sealed));
}

#[test]
fn a_tpm_that_is_known_to_be_absent_begins_nothing() {
    let Scene { town, mut tpm, alice, mut bob, asset, .. } = scene();
    drop(alice);
    tpm.cut_power();
    let mut alice = town.open("alice").unwrap();
    assert_eq!(code(pay(&mut alice, &mut bob, asset, 600).payer), "SEAL_AWAY");
    let asked = invoice(&mut bob, asset, 600);
    assert_eq!(code(alice.pay_invoice(&asked)), "SEAL_AWAY");
    assert!(alice.device().outgoing().is_empty());
    drop(alice);
    tpm.switch_on().unwrap();
    let mut alice = town.open("alice").unwrap();
    let (packet, _) = alice.pay_invoice(&asked).unwrap();
    bob.receive_packet(&packet).unwrap();
    assert_eq!(balance(&bob, &asset), 600);
}

#[test]
fn a_disk_that_was_set_back_beside_its_tpm_recovers_by_the_book() {
    let Scene { town, mut alice, mut bob, mut carol, asset, tpm: _tpm, .. } = scene();
    drop(alice);
    copy_folder(&town.dir("alice"), &town.dir("old"));
    copy_folder(&town.dir("state"), &town.dir("old state"));
    alice = town.open("alice").unwrap();
    assert_eq!(tier(&pay(&mut alice, &mut bob, asset, 600)), Some(Tier::Sealed));
    drop(alice);
    std::fs::remove_dir_all(town.dir("state")).unwrap();
    copy_folder(&town.dir("old state"), &town.dir("state"));
    let mut alice = town.open("old").unwrap();
    assert!(pay(&mut alice, &mut carol, asset, 600).payer.is_err(), "the counter has moved");
    assert_ne!(*alice.device().mode(), Mode::Normal);
    assert_eq!(alice.device().seq(), 0, "what got no proof took no step");
    drop(alice);
    let mut alice = town.open("old").unwrap();
    sync(&mut alice, &mut bob).payer.unwrap();
    assert_eq!((alice.device().seq(), balance(&alice, &asset)), (1, 400), "the real step");
    sync(&mut alice, &mut carol).payer.unwrap();
    alice.confirm_recovery(false).unwrap();
    let met = pay(&mut alice, &mut carol, asset, 100);
    assert_eq!(tier(&met), Some(Tier::Sealed), "{:?}", met.payer);
    assert!(sync(&mut bob, &mut carol).payer.is_ok());
    assert!(bob.device().forks().is_empty() && carol.device().forks().is_empty());
    drop(alice);
    let alice = town.open("old").unwrap();
    assert_eq!((*alice.device().mode() == Mode::Normal, balance(&alice, &asset)), (true, 300));
}

/// Whether any of these says that something was paid.
fn says_paid(events: &[Event]) -> bool {
    events.iter().any(|event| matches!(event, Event::Paid { .. } | Event::Receipted { .. }))
}

#[test]
fn a_payment_that_was_given_up_is_shown_as_paid_on_no_path() {
    let Scene { town, tpm, alice, mut bob, asset, .. } = scene();
    drop(alice);
    clear(&tpm);
    let mut alice = town.open("alice").unwrap();
    let asked = invoice(&mut bob, asset, 5);
    for why in ["UNLOCK_SLOT_PROOF", "UNLOCK_LOCKED", "UNLOCK_LOCKED"] {
        assert_eq!(code(alice.pay_invoice(&asked)), why);
        assert_eq!(states(&alice), [OutgoingState::GivenUp], "{why}");
    }
    let met = pay(&mut alice, &mut bob, asset, 5);
    assert!(met.payer.is_err() && !says_paid(&met.shown), "{:?}", met.shown);
    let to = bob.device().id();
    assert!(alice.resend(to).unwrap().is_empty());
    let met = over_tcp(&mut bob, |channel, show| alice.resend_over(channel, to, show));
    assert_eq!((met.payer.ok(), says_paid(&met.shown)), (Some(0), false));
    let met = sync(&mut alice, &mut bob);
    assert!(met.payer.is_ok() && !says_paid(&met.shown) && !says_paid(&met.served));
    assert_eq!((balance(&alice, &asset), balance(&bob, &asset)), (1000, 0));
}

/// Whoever speaks on it fails the test.
struct Silent;

impl Channel for Silent {
    fn send(&mut self, _: &[u8]) -> Result<(), TransportError> {
        unreachable!("nothing is said")
    }

    fn recv(&mut self) -> Result<Vec<u8>, TransportError> {
        unreachable!("nothing is waited for")
    }
}

#[test]
fn a_wallet_that_only_receives_says_so_before_it_asks_anybody() {
    let town = Town::new();
    let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
    let asked = invoice(&mut bob, asset, 5);
    assert!(pay(&mut alice, &mut bob, asset, 10).payer.is_ok());
    alice.set_back().unwrap();
    let (to, amount, until) = (bob.device().id(), Amount::new(5), now().plus(600));
    let none = &mut |_| {};
    // There is no network, which would be said first if it were asked first.
    assert_eq!(code(alice.refresh(asset, none, &mut |_| {})), "RECEIVE_ONLY");
    let reserved = alice.reserve(to, asset, amount, until, &mut |_| {}, &mut |_| {});
    assert_eq!(code(reserved), "RECEIVE_ONLY");
    assert_eq!(code(alice.free(asset, none, &mut |_| {})), "RECEIVE_ONLY");
    assert_eq!(code(alice.release_reserved(to, asset)), "RECEIVE_ONLY");
    assert_eq!(code(alice.pay_invoice(&asked)), "RECEIVE_ONLY");
    let paid = alice.pay_over(&mut Silent, to, asset, amount, &mut |_| {});
    assert_eq!(code(paid), "RECEIVE_ONLY");
}
