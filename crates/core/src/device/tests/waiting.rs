//! What waits for proofs: it stops nobody else, can be given up, and is undone where a device was set
//! back.

use alloc::vec::Vec;

use super::own::reserved;
use super::scene::{LOCK, NOW, Person, Scene};
use super::sealed::{mint_sealed, scene, tier};
use super::settle::settle;
use crate::amount::Amount;
use crate::cbor::List;
use crate::device::{Basis, DeviceError, Input, Mode, OnTerms, Outgoing, OutgoingState, Standing};
use crate::evidence::Witness;
use crate::evidence::tests::network::trust_base;
use crate::id::TxId;
use crate::invoice::Invoice;
use crate::message::{History, Told};
use crate::predicate::Unlock;
use crate::tier::Tier;

fn away(scene: &Scene, away: bool) {
    scene.people[0].tpm.as_ref().expect("hardware").take_away(away);
}

/// Three people with hardware. The first has 1000 under a slot and 500 under the key alone, and pays
/// so much of the former while nobody noticed yet that the TPM is gone.
fn waiting(units: u64) -> (Scene, Invoice, TxId) {
    let mut scene = scene(3);
    scene.mint_to(0, 2, 500);
    away(&scene, true);
    let invoice = scene.invoice(1, units);
    scene.pay_invoice(0, 1, &invoice);
    let tx = scene.people[0].device.pending().next().expect("it waits").tx;
    assert_eq!(state(&scene, &tx), OutgoingState::Proving);
    (scene, invoice, tx)
}

fn state(scene: &Scene, tx: &TxId) -> OutgoingState {
    scene.people[0].device.outgoing()[tx].state
}

fn give_up(scene: &mut Scene, tx: &TxId) {
    let slots = scene.people[0].device.outgoing()[tx].slots().collect();
    scene.people[0].tell(Input::SlotsLost { tx: None, slots }).expect("always possible");
    assert_eq!(state(scene, tx), OutgoingState::GivenUp);
}

/// Everybody meets everybody, which finds every contradiction that there is.
fn nobody_is_convicted(scene: &mut Scene) {
    for _ in 0..2 {
        for (one, other) in [(0, 1), (0, 2), (1, 2)] {
            scene.meet(one, other);
        }
    }
    assert!(!scene.anyone_convicted());
}

fn signed(person: &Person) -> bool {
    let seq = person.device.seq();
    match person.device.standing() {
        Standing::Signed(_) => true,
        Standing::Unsigned => seq == 0,
        Standing::Differs | Standing::Learned => false,
    }
}

#[test]
fn a_payment_that_waits_for_a_tpm_stops_no_other() {
    let (mut scene, _, tx) = waiting(600);
    scene.pay(0, 2, 200);
    assert_eq!(scene.people[2].balance(&scene.asset), 200, "from the other coin");
    scene.people[0].restart();
    scene.pay(0, 2, 100);
    assert_eq!(scene.people[2].balance(&scene.asset), 300, "its step stands on one that waits");
    away(&scene, false);
    let payee = scene.id(1);
    scene.people[0].tell(Input::Retry { payee }).expect("always possible");
    scene.deliver();
    assert_eq!(scene.balances(), [600, 600, 300]);
    assert_eq!(
        (state(&scene, &tx), tier(&scene.people[1])),
        (OutgoingState::Receipted, Some(Tier::Sealed))
    );
    assert!(signed(&scene.people[0]));
    nobody_is_convicted(&mut scene);
}

#[test]
fn a_payment_that_waits_can_be_given_up_whatever_was_signed_after_it() {
    let (mut scene, invoice, tx) = waiting(600);
    scene.pay(0, 2, 200);
    assert!(signed(&scene.people[0]));
    give_up(&mut scene, &tx);
    assert_eq!(scene.balances(), [1300, 0, 200]);
    assert_eq!(scene.people[0].device.seq(), 2, "what was signed stands on its number");
    for restarted in [false, true] {
        assert!(signed(&scene.people[0]), "restarted: {restarted}");
        scene.people[0].restart();
    }
    for late in [Input::Proved { tx }, Input::Signed { tx, unlocks: Vec::new() }] {
        let refused = scene.people[0].tell(late).expect_err("it is over");
        assert_eq!(refused.code(), "NOT_WAITING");
    }
    scene.pay(0, 1, 50);
    scene.people.iter_mut().for_each(|person| person.now = NOW.plus(LOCK));
    scene.pay(0, 1, 900);
    assert_eq!(scene.balances(), [350, 950, 200], "its coin moves by its key");
    assert_eq!(
        scene.people[0].device.on_terms(scene.id(1), invoice.accept.nonce),
        OnTerms::Nothing
    );
    nobody_is_convicted(&mut scene);
}

#[test]
fn the_last_steps_that_were_given_up_are_undone() {
    let (mut scene, _, first) = waiting(600);
    mint_sealed(&mut scene, 0, 3, 300);
    let invoice = scene.invoice(2, 250);
    scene.pay_invoice(0, 2, &invoice);
    let all: Vec<TxId> = scene.people[0].device.pending().map(|o| o.tx).collect();
    assert_eq!((all[0], scene.people[0].device.seq()), (first, 2));
    give_up(&mut scene, &first);
    assert_eq!(scene.people[0].device.seq(), 2, "another waits on it");
    give_up(&mut scene, &all[1]);
    for restarted in [false, true] {
        assert_eq!(scene.people[0].device.seq(), 0, "restarted: {restarted}");
        scene.people[0].restart();
    }
    assert!(signed(&scene.people[0]));
    assert_eq!(scene.people[0].journal, None, "no journal knows of them");
    scene.pay(0, 1, 400);
    assert_eq!((scene.people[0].device.seq(), scene.balances()), (1, alloc::vec![1400, 400, 0]));
    assert!(signed(&scene.people[0]), "what came in meanwhile was there");
    nobody_is_convicted(&mut scene);
}

#[test]
fn what_a_device_was_to_pay_itself_is_given_up_without_a_trace() {
    let mut scene = scene(2);
    settle(&mut scene.people[0]);
    away(&scene, true);
    let asset = scene.asset;
    scene.people[0].tell(Input::Refresh { asset }).expect("nobody noticed that it is away");
    let tx = scene.people[0].device.pending().next().expect("it waits").tx;
    scene.mint_to(0, 2, 500);
    scene.pay(0, 1, 200);
    assert!(signed(&scene.people[0]));
    give_up(&mut scene, &tx);
    assert!(signed(&scene.people[0]), "in the middle");
    scene.pay(0, 1, 100);
    assert!(signed(&scene.people[0]), "and after the next step");
    assert_eq!(scene.balances(), [1200, 300]);
}

#[test]
fn who_waits_for_a_payment_is_paid_no_other_meanwhile() {
    let (mut scene, invoice, tx) = waiting(600);
    let (payee, nonce) = (scene.id(1), invoice.accept.nonce);
    let waits = |o: OnTerms<'_>| matches!(o, OnTerms::Waits(outgoing) if outgoing.tx == tx);
    assert!(waits(scene.people[0].device.on_terms(payee, nonce)));
    let again = Input::PayInvoice { payee, invoice: invoice.clone().into() };
    let refused = scene.people[0].tell(again.clone()).expect_err("it is not made yet");
    assert_eq!(refused.code(), "TRADE_WAITING");
    let other = scene.start(0, 1, 10).expect_err("the payee could not take it");
    assert_eq!(other.code(), "TRADE_WAITING");
    give_up(&mut scene, &tx);
    assert_eq!(scene.people[0].device.on_terms(payee, nonce), OnTerms::Nothing);
    scene.people.iter_mut().for_each(|person| person.now = NOW.plus(1));
    let small = scene.invoice(1, 400);
    scene.pay_invoice(0, 1, &small);
    scene.deliver();
    assert_eq!(scene.balances(), [1100, 400, 0]);
    let paid = scene.people[0].device.on_terms(payee, small.accept.nonce);
    assert!(matches!(paid, OnTerms::Paid(outgoing) if outgoing.is_signed()));
    let again = Input::PayInvoice { payee, invoice: small.into() };
    assert_eq!(scene.people[0].tell(again).expect_err("once").code(), "TRADE_TERMS");
}

#[test]
fn who_waits_for_what_is_proved_and_not_signed_is_paid_no_other() {
    let (mut scene, _, tx) = waiting(600);
    let world = scene.people[0].world();
    let asked = scene.people[0].device.handle(&world, Input::Proved { tx }).expect("it waits");
    assert_eq!(
        (asked.sign.len(), state(&scene, &tx)),
        (1, OutgoingState::Intent),
        "no key is here"
    );
    let other = scene.start(0, 1, 10).expect_err("the TPM may be gone before the key comes");
    assert_eq!(other.code(), "TRADE_WAITING");
    scene.start(0, 2, 10).expect("nobody else waits for it");
}

#[test]
fn from_the_locks_end_what_waits_is_signed_by_the_key_alone() {
    let (mut scene, _, _) = waiting(600);
    let payee = scene.id(1);
    scene.people[0].tell(Input::Away(true)).expect("always possible");
    scene.people.iter_mut().for_each(|person| person.now = NOW.plus(LOCK - 1));
    scene.people[0].tell(Input::Retry { payee }).expect("always possible");
    assert_eq!(scene.people[0].device.pending().count(), 1, "an instant too early");
    scene.people.iter_mut().for_each(|person| person.now = NOW.plus(LOCK));
    scene.people[0].tell(Input::Retry { payee }).expect("always possible");
    scene.deliver();
    assert_eq!(scene.balances(), [900, 600, 0]);
    assert_eq!(tier(&scene.people[1]), Some(Tier::Signed));
    scene.pay(0, 2, 800);
    assert_eq!(scene.balances(), [100, 600, 800], "and so is its change");
    nobody_is_convicted(&mut scene);
}

#[test]
fn a_tpm_that_is_known_to_be_away_refuses_before_anything_is_begun() {
    let mut scene = scene(3);
    let (asset, payee) = (scene.asset, scene.id(1));
    settle(&mut scene.people[0]);
    scene.people[1].notary = scene.people[0].notary.clone();
    scene.people[0].tell(Input::Away(true)).expect("always possible");
    let invoice = scene.invoice(1, 600);
    let amount = Amount::new(600);
    let wishes = [
        Input::Pay { payee, asset, amount },
        Input::PayInvoice { payee, invoice: invoice.into() },
        Input::Refresh { asset },
        Input::Reserve { payee, asset, amount, until: NOW.plus(60) },
    ];
    for wish in wishes {
        let refused = scene.people[0].tell(wish.clone()).expect_err("its counters are away");
        assert_eq!(refused.code(), "SEAL_AWAY", "{wish:?}");
    }
    assert!(scene.people[0].device.outgoing().is_empty());
    scene.mint_to(0, 2, 700);
    scene.pay(0, 1, 600);
    assert_eq!(scene.balances(), [1100, 600, 0], "another coin pays");
    scene.people[0].tell(Input::Away(false)).expect("always possible");
    scene.pay(0, 1, 800);
    assert_eq!(tier(&scene.people[1]), Some(Tier::Sealed), "it is back");
}

#[test]
fn a_device_that_was_set_back_undoes_what_got_no_proof_and_learns_its_real_step() {
    let mut scene = scene(3);
    let before = scene.people[0].clone();
    scene.pay(0, 1, 600);
    // Disk and journal are set back; the hardware is not.
    scene.people[0] = before;
    scene.pay(0, 2, 600);
    assert_eq!(scene.people[0].device.seq(), 0, "nobody signed its step");
    assert_eq!(scene.people[0].journal, None, "and its journal does not count it");
    scene.people[0].tell(Input::Restored).expect("always possible");
    scene.meet(0, 1);
    assert_eq!(scene.balances(), [400, 600, 0], "the real step is known again");
    assert_eq!(scene.people[0].device.seq(), 1);
    scene.meet(0, 2);
    scene.people[0].tell(Input::ConfirmRecovery(Basis::Contacts)).expect("everyone was met");
    scene.people.iter_mut().for_each(|person| person.now = NOW.plus(LOCK));
    scene.pay(0, 2, 300);
    assert_eq!(scene.balances(), [100, 600, 300]);
    nobody_is_convicted(&mut scene);
}

/// A backup is made while two payments wait; then the first is given up, or both are.
fn other_life(first_alone: bool) -> Scene {
    let (mut scene, _, first) = waiting(600);
    mint_sealed(&mut scene, 0, 3, 300);
    let invoice = scene.invoice(2, 250);
    scene.pay_invoice(0, 2, &invoice);
    let backup = scene.people[0].disk.clone();
    let second = scene.people[0].device.pending().last().expect("it waits").tx;
    away(&scene, false);
    if first_alone {
        let payee = scene.id(2);
        scene.people[0].tell(Input::Retry { payee }).expect("always possible");
    } else {
        give_up(&mut scene, &second);
    }
    give_up(&mut scene, &first);
    scene.pay(0, 2, 120);
    scene.deliver();
    scene.people[0].restore(backup);
    scene
}

#[test]
fn what_waits_in_a_backup_makes_way_for_the_steps_that_were_signed() {
    for first_alone in [false, true] {
        let mut scene = other_life(first_alone);
        let doubtful = |o: &Outgoing| o.state == OutgoingState::Intent;
        assert!(scene.people[0].device.pending().all(doubtful), "they may have been signed");
        scene.meet(0, 1);
        // Nothing of them is signed meanwhile: the scene fails if a number is signed twice.
        scene.meet(0, 2);
        let left = scene.people[0].device.pending().count();
        if first_alone {
            // The second was signed on the number of the first: nothing shows that this one was not.
            assert_eq!((left, scene.people[0].device.seq()), (1, 3));
        } else {
            assert_eq!((left, scene.people[0].device.seq()), (0, 1));
            assert_eq!(scene.balances()[0], 1680);
        }
        scene.people[0].tell(Input::ConfirmRecovery(Basis::Contacts)).expect("everyone was met");
        assert_eq!(*scene.people[0].device.mode(), Mode::Normal);
        scene.pay(0, 2, 10);
        nobody_is_convicted(&mut scene);
    }
}

#[test]
fn what_was_signed_after_the_backup_is_taken_over_as_it_was() {
    let (mut scene, _, tx) = waiting(600);
    let backup = scene.people[0].disk.clone();
    away(&scene, false);
    let payee = scene.id(1);
    scene.people[0].tell(Input::Retry { payee }).expect("always possible");
    scene.deliver();
    let payment = scene.people[0].device.outgoing()[&tx].clone();
    let hop = payment.payment.hop(&payment.transaction);
    scene.people[0].restore(backup);
    // Somebody shows the step without its proof: nothing follows from that.
    let mut bare = hop.clone();
    let plain = |w: &Witness| Witness {
        unlock: Unlock::Signature(w.unlock.owner_signature().clone()),
        certified: None,
    };
    bare.witnesses = List::truncated(hop.witnesses.iter().map(plain).collect());
    let (world, bob) = (scene.people[0].world(), scene.id(1));
    let told = History { steps: List::truncated([Told::Whole(bare)].into()), more: false };
    scene.people[0].device.recover(&world, &bob, Some(told)).expect("a contact");
    assert_eq!(state(&scene, &tx), OutgoingState::Intent);
    scene.meet(0, 1);
    assert_eq!(state(&scene, &tx), OutgoingState::Signed);
    assert_eq!(scene.people[0].device.outgoing()[&tx].payment, payment.payment);
    assert_eq!(scene.balances(), [900, 600, 0]);
    scene.meet(0, 2);
    scene.people[0].tell(Input::ConfirmRecovery(Basis::Contacts)).expect("everyone was met");
    scene.pay(0, 2, 300);
    assert_eq!(scene.balances(), [600, 600, 300]);
    nobody_is_convicted(&mut scene);
}

/// Tells the first person that the one payment it has made is not signed after all.
fn unsign(scene: &mut Scene) -> Result<OutgoingState, DeviceError> {
    let tx = *scene.people[0].device.outgoing().keys().next().expect("a payment");
    scene.people[0].tell(Input::Unsigned { tx })?;
    Ok(state(scene, &tx))
}

#[test]
fn what_is_signed_and_has_not_left_waits_again_once_the_device_was_set_back() {
    let mut scene = Scene::new(2, 1000);
    let invoice = scene.invoice(1, 100);
    let pay = Input::PayInvoice { payee: scene.id(1), invoice: invoice.into() };
    scene.people[0].tell(pay).expect("enough");
    let before = scene.people[0].disk.clone();
    assert_eq!(unsign(&mut scene), Err(DeviceError::NotWaiting), "it was not set back");
    assert!(scene.people[0].disk == before);
    scene.people[0].tell(Input::Restored).expect("always possible");
    assert_eq!(unsign(&mut scene), Ok(OutgoingState::Intent));
    let payer = &scene.people[0].device;
    assert!(payer.unsettled().iter().all(|of| of.claims.len() == 1), "nothing to be certified");
    assert_eq!(unsign(&mut scene), Err(DeviceError::NotWaiting), "it waits already");
}

#[test]
fn what_was_receipted_by_another_has_left() {
    let mut scene = Scene::new(2, 1000);
    scene.pay(0, 1, 100);
    scene.people[0].tell(Input::Restored).expect("always possible");
    assert_eq!(unsign(&mut scene), Err(DeviceError::NotWaiting));
    let mut scene = reserved(2, 400);
    scene.people[0].tell(Input::Restored).expect("always possible");
    assert_eq!(unsign(&mut scene), Ok(OutgoingState::Intent), "one's own receipt shows nothing");
}

#[test]
fn what_lies_behind_a_payment_that_waits_is_settled_and_stays_so_when_it_is_given_up() {
    let (mut scene, _, tx) = waiting(600);
    scene.people[0].notary = Some(trust_base());
    settle(&mut scene.people[0]);
    let payer = &scene.people[0].device;
    assert!(payer.unsettled().is_empty());
    assert!(payer.incoming().values().all(|incoming| incoming.settled), "both mints");
    give_up(&mut scene, &tx);
    scene.people[0].restart();
    assert!(scene.people[0].device.unsettled().is_empty());
}
