//! Wallets before a notary, over real HTTP.

use tally_core::amount::Amount;
use tally_core::device::{Event, Mode};
use tally_core::evidence::Minted;
use tally_core::fork::{ForkProof, Spending};
use tally_core::id::{AssetId, CoinId, TxId};
use tally_core::keys::SecretKey;
use tally_core::mint::MintStanding;
use tally_core::notary::InclusionProof;
use tally_core::object::MintFile;
use tally_core::predicate::spend_digest;
use tally_core::tier::Tier;
use tally_transport::http::Url;

use super::Fuse;
use super::notary::{Validator, trust_file};
use super::scene::{Named, Town, balance, copy_folder, pay, sync};
use crate::notary::NotaryError;
use crate::{Progress, Settling, Setup, Wallet, WalletError};

pub(super) fn settle(wallet: &mut Wallet) -> (Settling, Vec<Event>) {
    let mut events = Vec::new();
    let settling = wallet.settle(&mut |_| {}, &mut |e| events.push(e.clone())).unwrap();
    (settling, events)
}

/// Alice, with a copy of her wallet on which the journal was copied too.
pub(super) fn cloned(town: &Town, alice: Wallet) -> (Wallet, Wallet) {
    drop(alice);
    let state = town.root.path().join("state");
    copy_folder(&town.dir("alice"), &town.dir("copy"));
    copy_folder(&state.join("here"), &state.join("copied"));
    let setup = Setup {
        state_dir: state.join("copied"),
        machine: Box::new(Named("here")),
        ..town.setup_on("here")
    };
    (town.open("alice").unwrap(), Wallet::open(&town.dir("copy"), &setup).unwrap())
}

fn mint_file(of: &Wallet, minted: &Minted, proof: &InclusionProof) -> MintFile {
    let policy = of.device().policies()[&minted.mint.body.asset].clone();
    MintFile { policy, minted: minted.clone(), proof: Some(proof.clone()) }
}

fn all_certified(wallet: &Wallet) -> bool {
    wallet.device().unsettled().is_empty()
        && wallet.device().ledger().pockets().all(|pocket| pocket.evidence.certificates.len() <= 1)
}

#[test]
fn what_was_paid_offline_is_settled_as_it_is_by_either_side() {
    let town = Town::new();
    let ([mut alice, mut bob, mut carol], asset) = town.people(["alice", "bob", "carol"]);
    pay(&mut alice, &mut bob, asset, 400).payer.unwrap();
    pay(&mut bob, &mut carol, asset, 300).payer.unwrap();
    let validator = Validator::start();
    validator.serve(&mut [&mut alice, &mut bob, &mut carol]);
    let mut steps = Vec::new();
    let settling = carol.settle(&mut |p| steps.push(p), &mut |_| {}).unwrap();
    assert_eq!(settling.certified.len(), 3, "the mint and two payments");
    assert!(settling.failed.is_empty() && settling.lost.is_empty(), "{settling:?}");
    assert_eq!(steps.first(), Some(&Progress { decided: 0, total: 3 }));
    assert_eq!(steps.last(), Some(&Progress { decided: 3, total: 3 }));
    assert!(all_certified(&carol), "under one certificate");
    for (wallet, left) in [(&mut bob, 100), (&mut alice, 600)] {
        settle(wallet);
        assert!(all_certified(wallet), "{:?}", wallet.device().unsettled());
        assert_eq!(balance(wallet, &asset), left);
    }
    let (again, events) = settle(&mut carol);
    assert!(again.certified.is_empty() && events.is_empty(), "nothing is left to do");
    // What is certified moves on, and whoever gets it believes it.
    pay(&mut carol, &mut alice, asset, 200).payer.unwrap();
    settle(&mut alice);
    assert!(all_certified(&alice));
}

#[test]
fn a_mint_brings_its_proof() {
    let town = Town::new();
    let ([mut issuer, mut bob, mut carol], asset) = town.people(["issuer", "bob", "carol"]);
    let validator = Validator::start();
    validator.serve(&mut [&mut issuer, &mut bob]);
    let to = |wallet: &Wallet| wallet.card().open_card().unwrap();
    let mut mint = |card| {
        let minted = issuer.mint(asset, Amount::new(70), &card).unwrap();
        let proof = issuer.certify_mint(&minted).unwrap();
        (mint_file(&issuer, &minted, &proof), minted, proof)
    };
    let (file, minted, proof) = mint(to(&bob));
    let (other, ..) = mint(to(&bob));

    let mut wrong = MintFile { proof: other.proof.clone(), ..file.clone() };
    assert_eq!(
        bob.receive_mint_file(wrong.clone()).unwrap_err().code(),
        "CERTIFICATION_DATA_MISMATCH"
    );
    wrong.proof = Some(InclusionProof { leaf: None, ..proof });
    assert_eq!(bob.receive_mint_file(wrong).unwrap_err().code(), "NOT_CERTIFIED_YET");
    let mut second = file.clone();
    second.minted.mint.body.amount = Amount::new(71);
    let refused = bob.receive_mint_file(second).unwrap_err();
    assert_eq!(refused.code(), "TRANSACTION_HASH_MISMATCH", "another mint of the serial");
    assert_eq!(balance(&bob, &asset), 0, "nothing came in with a proof that does not hold");

    let events = bob.receive_mint_file(file.clone()).unwrap();
    let [Event::Received { tier, minted: standing, .. }] = events[..] else { panic!("{events:?}") };
    assert_eq!((tier, standing), (Tier::Certified, MintStanding::Certified), "said once");
    assert!(all_certified(&bob));
    let again = bob.receive_mint_file(file).unwrap();
    assert_eq!(again, [Event::Again { tx: minted.mint.body.id() }]);

    // Who trusts no network has the issuers' word.
    let (file, ..) = mint(to(&carol));
    carol.receive_mint_file(file).unwrap();
    assert_eq!((balance(&carol, &asset), all_certified(&carol)), (70, false));
}

#[test]
fn of_two_conflicting_payments_one_is_certified_and_the_other_payee_gets_the_proof() {
    let town = Town::new();
    let ([alice, mut bob, mut carol], asset) = town.people(["alice", "bob", "carol"]);
    let key = alice.device().me().owner.clone();
    let (mut alice, mut copy) = cloned(&town, alice);
    pay(&mut alice, &mut bob, asset, 400).payer.unwrap();
    pay(&mut copy, &mut carol, asset, 500).payer.unwrap();
    let validator = Validator::start();
    validator.serve(&mut [&mut bob, &mut carol]);
    let (first, _) = settle(&mut bob);
    assert!(first.lost.is_empty() && all_certified(&bob));
    let (second, events) = settle(&mut carol);
    let [lost] = second.lost.as_slice() else { panic!("{second:?}") };
    assert_eq!(lost.key, key);
    assert!(bob.device().incoming().contains_key(&lost.winner), "it says who won");
    assert!(carol.device().forks()[&key].check().is_ok());
    assert!(events.iter().any(|e| matches!(e, Event::Forked { .. })), "{events:?}");
    assert!(events.iter().any(|e| matches!(e, Event::Lost { .. })), "{events:?}");
    // The proof is public now: Bob learns of it from the notary alone.
    assert!(bob.device().forks().is_empty());
    let (_, told) = settle(&mut bob);
    assert!(told.iter().any(|e| matches!(e, Event::Forked { .. })), "{told:?}");
    assert_eq!(pay(&mut alice, &mut bob, asset, 1).payer.unwrap_err().code(), "TRADE_FORK");
    assert!(carol.device().unsettled().is_empty(), "what is lost is not asked for again");
}

#[test]
fn a_fork_that_two_payees_proved_reaches_everyone_through_the_notary() {
    let town = Town::new();
    let ([alice, mut bob, mut carol, mut dave], asset) =
        town.people(["alice", "bob", "carol", "dave"]);
    let key = alice.device().me().owner.clone();
    let (mut alice, mut copy) = cloned(&town, alice);
    pay(&mut alice, &mut bob, asset, 400).payer.unwrap();
    pay(&mut copy, &mut carol, asset, 500).payer.unwrap();
    sync(&mut bob, &mut carol).payer.unwrap();
    let validator = Validator::start();
    validator.serve(&mut [&mut bob, &mut dave]);
    bob.exchange_forks(&mut |_| {}).unwrap();
    dave.exchange_forks(&mut |_| {}).unwrap();
    assert!(dave.device().forks().contains_key(&key));
}

fn throwaway(n: u8) -> ForkProof {
    let key = SecretKey::new([n; 32]).unwrap();
    let coin = CoinId::new([7; 32]);
    let spending = |tx: u8| {
        let tx = TxId::new([tx; 32]);
        Spending { coin, tx, signature: key.sign(&spend_digest(&coin, &tx)) }
    };
    ForkProof { key: key.public(), a: spending(1).into(), b: spending(2).into() }
}

#[test]
fn a_page_of_fork_proofs_is_one_write() {
    let town = Town::new();
    let ([mut alice, mut bob], _) = town.people(["alice", "bob"]);
    let validator = Validator::start();
    validator.serve(&mut [&mut alice, &mut bob]);
    let fork = |n| tally_core::device::Input::Fork(Box::new(throwaway(n)));
    alice.run((1..=40).map(fork).collect(), &mut |_| {}).unwrap();
    alice.exchange_forks(&mut |_| {}).unwrap();
    // The page, that the next one is empty, and the record of the notary; a write a proof were 40.
    bob.store.fuse = Some(Fuse::new(4, false));
    bob.exchange_forks(&mut |_| {}).unwrap();
    assert_eq!(bob.device().forks().len(), 40);
    assert_eq!(bob.notaries().unwrap().endpoints()[0].told.len(), 40);
}

#[test]
fn what_is_near_is_published_first() {
    let town = Town::new();
    let ([alice, mut bob, mut carol], asset) = town.people(["alice", "bob", "carol"]);
    let key = alice.device().me().owner.clone();
    let (mut alice, mut copy) = cloned(&town, alice);
    pay(&mut alice, &mut bob, asset, 400).payer.unwrap();
    pay(&mut copy, &mut carol, asset, 500).payer.unwrap();
    let fork = |n| tally_core::device::Input::Fork(Box::new(throwaway(n)));
    carol.run((1..=40).map(fork).collect(), &mut |_| {}).unwrap();
    sync(&mut bob, &mut carol).payer.unwrap();
    let known = carol.known_forks();
    assert_eq!((known.len(), &known[0].key), (41, &key), "a contact before strangers");
}

#[test]
fn a_wallet_that_was_copied_and_loses_receives_only_and_does_not_accuse_itself() {
    let town = Town::new();
    let ([alice, mut bob, mut carol], asset) = town.people(["alice", "bob", "carol"]);
    let (mut alice, mut copy) = cloned(&town, alice);
    pay(&mut alice, &mut bob, asset, 400).payer.unwrap();
    pay(&mut copy, &mut carol, asset, 500).payer.unwrap();
    let validator = Validator::start();
    validator.serve(&mut [&mut alice, &mut carol]);
    settle(&mut carol);
    let (settling, _) = settle(&mut alice);
    assert_eq!(settling.lost.len(), 1);
    assert!(matches!(alice.device().mode(), Mode::ReceiveOnly));
    assert!(alice.device().forks().is_empty());
}

#[test]
fn a_settlement_that_is_killed_at_any_write_goes_on_where_it_was() {
    let validator = Validator::start();
    for after in [false, true] {
        for writes in 0.. {
            let town = Town::new();
            let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
            pay(&mut alice, &mut bob, asset, 400).payer.unwrap();
            pay(&mut alice, &mut bob, asset, 100).payer.unwrap();
            validator.serve(&mut [&mut bob]);
            bob.store.fuse = Some(Fuse::new(writes, after));
            let crashed = bob.settle(&mut |_| {}, &mut |_| {}).is_err();
            drop(bob);
            let mut bob = town.open("bob").unwrap();
            settle(&mut bob);
            assert!(all_certified(&bob), "write {writes}, after {after}");
            assert_eq!(balance(&bob, &asset), 500);
            assert!(bob.device().incoming().values().all(|i| i.settled));
            if !crashed {
                assert!(writes >= 2, "the notary's record, and the settlement");
                break;
            }
        }
    }
}

#[test]
fn a_network_that_stands_still_is_reported_and_settles_later() {
    let town = Town::new();
    let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
    pay(&mut alice, &mut bob, asset, 400).payer.unwrap();
    bob.add_notary(Url::new("http://127.0.0.1:1/").unwrap(), &trust_file()).unwrap();
    let error = bob.settle(&mut |_| {}, &mut |_| {}).unwrap_err();
    assert_eq!(error.class(), crate::Class::Unreachable, "{error}");
    let validator = Validator::start();
    validator.serve(&mut [&mut bob]);
    settle(&mut bob);
    assert!(all_certified(&bob), "one of two that is there is enough");
}

#[test]
fn validators_that_contradict_each_other_are_reported_with_what_they_signed() {
    let town = Town::new();
    let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
    pay(&mut alice, &mut bob, asset, 400).payer.unwrap();
    // One key signs for both, as a quorum that cheats would: two trees, two roots a round.
    let (honest, other) = (Validator::start(), Validator::start());
    honest.serve(&mut [&mut alice]);
    settle(&mut alice);
    let mut mallory = town.create("mallory");
    let issuer = super::scene::fund(&mut mallory, 10);
    assert_eq!(balance(&mallory, &issuer), 10);
    other.serve(&mut [&mut mallory]);
    settle(&mut mallory);
    honest.serve(&mut [&mut bob]);
    other.serve(&mut [&mut bob]);
    // Blocks of the same number must exist on both sides after both have leaves.
    std::thread::sleep(std::time::Duration::from_millis(2_500));
    let watch = bob.watch().unwrap();
    let [split] = watch.splits.as_slice() else { panic!("{watch:?}") };
    let notaries = bob.notaries().unwrap();
    assert!(split.holds(notaries.trust()), "anyone can check it");
    assert_eq!(notaries.splits(), watch.splits);
    drop(bob);
    let bob = town.open("bob").unwrap();
    assert_eq!(bob.notaries().unwrap().splits().len(), 1, "it is kept");
}

#[test]
fn a_state_is_shown_unspent_and_then_spent() {
    let town = Town::new();
    let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
    let coin = alice.device().ledger().pockets().next().unwrap().coin.as_ref().unwrap().0;
    let validator = Validator::start();
    validator.serve(&mut [&mut alice, &mut bob]);
    assert!(!alice.look_up(&coin).unwrap().spent);
    pay(&mut alice, &mut bob, asset, 400).payer.unwrap();
    assert!(!alice.look_up(&coin).unwrap().spent, "signed, and not settled");
    settle(&mut bob);
    assert!(alice.look_up(&coin).unwrap().spent);
}

#[test]
fn a_notary_is_kept_with_its_trust_base_and_comes_back_from_a_backup() {
    let town = Town::new();
    let mut alice = town.create("alice");
    assert!(matches!(
        alice.settle(&mut |_| {}, &mut |_| {}),
        Err(WalletError::Notary(NotaryError::None))
    ));
    let url = Url::new("http://127.0.0.1:1/").unwrap();
    alice.add_notary(url.clone(), &trust_file()).unwrap();
    let file = town.root.path().join("backup");
    alice.backup(super::scene::passphrase("open"), &file).unwrap();
    drop(alice);
    let alice = town.open("alice").unwrap();
    let known = alice.notaries().unwrap();
    assert_eq!(known.endpoints()[0].url, url);
    let restored = crate::restore(
        &file,
        &super::scene::passphrase("open"),
        &town.dir("restored"),
        &town.setup_on("elsewhere"),
    );
    assert_eq!(restored.unwrap().notaries(), Some(known));
}

#[test]
fn a_restored_wallet_whose_coin_is_spent_for_the_network_does_not_sign_before_another_word() {
    let town = Town::new();
    let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
    let validator = Validator::start();
    validator.serve(&mut [&mut alice, &mut bob]);
    let file = town.root.path().join("backup");
    alice.backup(super::scene::passphrase("open"), &file).unwrap();
    pay(&mut alice, &mut bob, asset, 400).payer.unwrap();
    settle(&mut bob);
    let (phrase, setup) = (super::scene::passphrase("open"), town.setup_on("elsewhere"));
    let mut restored = crate::restore(&file, &phrase, &town.dir("restored"), &setup).unwrap();
    // Whoever gives up on the one who was paid would sign a fork; the network knows better.
    restored.give_up(bob.device().id()).unwrap();
    let refused = restored.confirm_recovery(true).unwrap_err();
    assert_eq!(refused.code(), "RECOVERY_END_OPEN", "the word was given before this was known");
    assert_eq!(balance(&restored, &asset), 0, "what is spent is struck");
    sync(&mut restored, &mut bob).payer.unwrap();
    restored.confirm_recovery(false).unwrap();
    assert_eq!(balance(&restored, &asset), 600);
}

#[test]
fn validators_of_another_trust_base_or_network_are_not_added() {
    let town = Town::new();
    let mut alice = town.create("alice");
    let url = Url::new("http://127.0.0.1:1/").unwrap();
    let file = String::from_utf8(trust_file()).unwrap();
    let foreign = file.replace("\"networkId\": 3", "\"networkId\": 2");
    let error = alice.add_notary(url.clone(), foreign.as_bytes()).unwrap_err();
    assert_eq!(error.code(), "TRUST_NETWORK");
    alice.add_notary(url.clone(), file.as_bytes()).unwrap();
    let other = file.replace("\"epoch\": \"1\"", "\"epoch\": \"2\"");
    let error = alice.add_notary(url, other.as_bytes()).unwrap_err();
    assert_eq!(error.code(), "NOTARY_ADD");
}

#[test]
fn what_a_frozen_network_has_queued_is_not_lost() {
    let town = Town::new();
    let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
    let asset: AssetId = asset;
    pay(&mut alice, &mut bob, asset, 400).payer.unwrap();
    let validator = Validator::start();
    validator.serve(&mut [&mut bob]);
    validator.freeze(true);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(std::time::Duration::from_millis(1_500));
            validator.freeze(false);
        });
        settle(&mut bob);
    });
    assert!(all_certified(&bob));
}
