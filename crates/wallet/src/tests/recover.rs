//! Recovery ends with a network: what is spent is struck, and what is in question is freed by a word.

use tally_core::amount::Amount;
use tally_core::device::{Apart, Event, Mode};
use tally_core::id::AssetId;

use super::notary::Validator;
use super::scene::{Named, Town, balance, copy_folder, passphrase, pay, sync};
use super::settle::settle;
use crate::{Moved, Setup, Wallet, WalletError, restore};

/// Alice has certified coins of 400 and 1000. After her backup she pays Bob 300 from the one, and Carol
/// 500 from the other; then her phone is lost, and Bob is gone. She has met Carol, and speaks for Bob.
fn gap(validator: &Validator) -> (Town, [Wallet; 3], AssetId) {
    let town = Town::new();
    let ([mut alice, mut bob, mut carol], asset) = town.people(["alice", "bob", "carol"]);
    let card = alice.card().open_card().unwrap();
    let minted = alice.mint(asset, Amount::new(400), &card).unwrap();
    alice.receive_mint(minted).unwrap();
    validator.serve(&mut [&mut alice, &mut bob, &mut carol]);
    settle(&mut alice);
    let file = town.root.path().join("backup");
    alice.backup(passphrase("far away"), &file).unwrap();
    pay(&mut alice, &mut bob, asset, 300).payer.unwrap();
    pay(&mut alice, &mut carol, asset, 500).payer.unwrap();
    drop(alice);
    let setup = town.setup_on("elsewhere");
    let dir = town.dir("restored");
    let mut alice = restore(&file, &passphrase("far away"), &dir, &setup).unwrap();
    sync(&mut alice, &mut carol).payer.unwrap();
    alice.give_up(bob.device().id()).unwrap();
    assert_eq!(alice.confirm_recovery(false).unwrap_err().code(), "RECOVERY_END_OPEN");
    assert_eq!(alice.last_known_step(), 2);
    (town, [alice, bob, carol], asset)
}

fn apart(wallet: &Wallet) -> Vec<(u64, Apart)> {
    wallet.device().set_apart().map(|(pocket, why)| (pocket.amount().units(), why)).collect()
}

fn free(wallet: &mut Wallet, asset: AssetId) -> Result<Moved, WalletError> {
    wallet.free(asset, &mut |_| {}, &mut |_| {})
}

#[test]
fn what_is_set_apart_is_freed_by_the_owners_word_through_one_certified_payment() {
    let validator = Validator::start();
    let (_town, [mut alice, mut bob, mut carol], asset) = gap(&validator);
    assert_eq!(free(&mut alice, asset).unwrap_err().code(), "RECEIVE_ONLY");
    alice.confirm_recovery(true).unwrap();
    assert_eq!(apart(&alice), [(400, Apart::Question)]);
    assert_eq!(pay(&mut alice, &mut carol, asset, 600).payer.unwrap_err().code(), "SET_APART");
    let moved = free(&mut alice, asset).unwrap();
    assert!(moved.certified && apart(&alice).is_empty(), "{moved:?}");
    assert_eq!(free(&mut alice, asset).unwrap_err().code(), "NOT_SET_APART");
    pay(&mut alice, &mut carol, asset, 900).payer.unwrap();
    assert!(carol.device().forks().is_empty());
    // Bob, whom she took for lost, comes back: that is what she was told.
    sync(&mut carol, &mut bob).payer.unwrap();
    assert!(carol.device().is_bricked(&alice.device().me().owner));
}

#[test]
fn what_the_network_shows_as_spent_is_struck_and_not_freed() {
    let validator = Validator::start();
    let (_town, [mut alice, mut bob, mut carol], asset) = gap(&validator);
    settle(&mut bob);
    alice.confirm_recovery(true).unwrap();
    assert!(matches!(apart(&alice)[..], [(400, Apart::Spent(_))]), "{:?}", apart(&alice));
    assert_eq!(balance(&alice, &asset), 500);
    assert_eq!(free(&mut alice, asset).unwrap_err().code(), "NOT_SET_APART");
    pay(&mut alice, &mut carol, asset, 500).payer.unwrap();
    sync(&mut alice, &mut bob).payer.unwrap();
    assert_eq!(balance(&alice, &asset), 100, "Bob is there after all, and tells of her change");
    sync(&mut carol, &mut bob).payer.unwrap();
    assert!(carol.device().forks().is_empty() && bob.device().forks().is_empty());
}

#[test]
fn what_is_spent_since_it_was_set_apart_is_struck_instead_of_freed() {
    let validator = Validator::start();
    let (_town, [mut alice, mut bob, _], asset) = gap(&validator);
    alice.confirm_recovery(true).unwrap();
    settle(&mut bob);
    assert_eq!(free(&mut alice, asset).unwrap_err().code(), "NOT_SET_APART");
    assert!(matches!(apart(&alice)[..], [(400, Apart::Spent(_))]), "{:?}", apart(&alice));
    assert_eq!(*alice.device().mode(), Mode::Normal, "it is the step that is missing");
}

#[test]
fn nothing_is_freed_where_the_network_does_not_answer() {
    let validator = Validator::start();
    let (_town, [mut alice, ..], asset) = gap(&validator);
    alice.confirm_recovery(true).unwrap();
    drop(validator);
    free(&mut alice, asset).unwrap_err();
    assert_eq!(apart(&alice), [(400, Apart::Question)]);
    assert_eq!(alice.device().seq(), 2, "nothing was signed");
}

/// A wallet that opens what lies in a folder, beside the one of Alice.
fn copy(town: &Town, name: &str) -> Wallet {
    let state = town.root.path().join("state");
    copy_folder(&town.dir("alice"), &town.dir(name));
    copy_folder(&state.join("here"), &state.join(name));
    let setup = Setup {
        state_dir: state.join(name),
        machine: Box::new(Named("here")),
        ..town.setup_on("here")
    };
    Wallet::open(&town.dir(name), &setup).unwrap()
}

#[test]
fn a_proof_of_the_network_against_ones_own_key_ends_the_sessions_too() {
    let town = Town::new();
    let ([mut alice, mut bob, mut carol], asset) = town.people(["alice", "bob", "carol"]);
    pay(&mut alice, &mut bob, asset, 10).payer.unwrap();
    drop(alice);
    let (mut one, mut other) = (copy(&town, "one"), copy(&town, "other"));
    pay(&mut one, &mut bob, asset, 400).payer.unwrap();
    pay(&mut other, &mut carol, asset, 500).payer.unwrap();
    sync(&mut bob, &mut carol).payer.unwrap();
    let validator = Validator::start();
    let mut alice = town.open("alice").unwrap();
    validator.serve(&mut [&mut alice, &mut bob]);
    bob.exchange_forks(&mut |_| {}).unwrap();
    assert_eq!(alice.sessions(), 1);
    let mut told = Vec::new();
    alice.exchange_forks(&mut |event| told.push(event.clone())).unwrap();
    assert!(told.iter().any(|event| matches!(event, Event::Accused { .. })), "{told:?}");
    assert_eq!(*alice.device().mode(), Mode::ReceiveOnly);
    assert_eq!(alice.sessions(), 0);
}
