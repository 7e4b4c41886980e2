//! A power cut between any two commands, and a line that dies before or after any of them: the slot
//! gives one proof or none, and the seal says which.

mod common;

use std::collections::BTreeSet;

use common::proxy::{Fate, Proxy};
use common::{Scene, UNTIL, certificate, tx};
use tally_core::seal::{SlotProof, verify_slot};
use tally_seal::{Seal, SlotFate};

/// How one try ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Whole,
    Burned,
}

/// Lets the line die at the command number `at` of a proof, cuts the TPM's power if asked to, and
/// starts again. None when the proof needs fewer commands than that.
fn die_at(at: usize, fate: &Fate, cut: bool) -> Option<End> {
    let mut scene = Scene::with(1);
    let proxy = Proxy::start(&scene.dir.path().join("line"), &scene.swtpm.address());
    let mut seal = scene.seal_at(&proxy.address()).expect("a seal");
    let slot = seal.lock(UNTIL, &[]).expect("a free counter").slot;
    let (mut seen, dies) = (0, fate.clone());
    proxy.rule(move |_| {
        seen += 1;
        if seen == at { dies.clone() } else { Fate::Pass }
    });
    let first = seal.prove(&slot, &tx(1));
    drop(seal);
    proxy.rule(|_| Fate::Pass);
    if cut {
        scene.swtpm.cut_power();
        scene.swtpm.switch_on().expect("it starts");
    }
    let mut seal = scene.seal_at(&proxy.address()).expect("a seal");
    let fate = seal.fate(&slot, &tx(1)).expect("it knows");
    let again = seal.prove(&slot, &tx(1));
    let verifies = |proof: &SlotProof, byte| {
        verify_slot(&certificate(scene.counters), &slot, &tx(byte), proof).is_ok()
    };
    // Whatever happened, nothing else gets a proof of this slot.
    if let Ok(other) = seal.prove(&slot, &tx(2)) {
        assert!(!verifies(&other, 2), "a fork at command {at}");
    }
    match again {
        Ok(again) => {
            assert!(verifies(&again, 1));
            assert!(!matches!(fate, SlotFate::Lost(_)));
            if let Ok(first) = first {
                assert_eq!(first, again);
                return None;
            }
            Some(End::Whole)
        }
        Err(e) => {
            assert_eq!(e.code(), "TPM_SLOT_BURNED");
            assert!(first.is_err());
            assert!(matches!(fate, SlotFate::Lost(_)));
            // The counter goes on: the next coin is under the next slot.
            let next = seal.lock(UNTIL, &[]).expect("a free counter").slot;
            assert_eq!(next.value, slot.value + 1);
            seal.prove(&next, &tx(3)).expect("a proof");
            Some(End::Burned)
        }
    }
}

fn ends(fate: &Fate, cut: bool) -> Vec<End> {
    (1..64).map_while(|at| die_at(at, fate, cut)).collect()
}

#[test]
fn at_every_command_a_slot_is_proved_or_burned_and_never_forked() {
    for fate in [Fate::DieBefore, Fate::DieAfter] {
        for cut in [false, true] {
            let ends = ends(&fate, cut);
            // Before the increment nothing is lost, after it the slot is; in this order.
            assert!(ends.is_sorted(), "{ends:?}");
            let kinds: BTreeSet<End> = ends.iter().copied().collect();
            assert_eq!(kinds, BTreeSet::from([End::Whole, End::Burned]), "{fate:?} {cut}");
        }
    }
}

#[test]
fn a_tpm_that_asks_for_patience_gets_it() {
    const RETRY: u32 = 0x922;
    const NV_RATE: u32 = 0x920;
    const YIELDED: u32 = 0x908;
    const TESTING: u32 = 0x90a;
    for asks in [RETRY, NV_RATE, YIELDED, TESTING] {
        let scene = Scene::with(1);
        let proxy = Proxy::start(&scene.dir.path().join("line"), &scene.swtpm.address());
        let mut seal = scene.seal_at(&proxy.address()).expect("a seal");
        let slot = seal.lock(UNTIL, &[]).expect("a free counter").slot;
        // Every command is put off twice.
        let mut seen = 0;
        proxy.rule(move |_| {
            seen += 1;
            if seen % 3 == 0 { Fate::Pass } else { Fate::Refuse(asks) }
        });
        let proof = seal.prove(&slot, &tx(1)).expect("a proof");
        let verified = verify_slot(&certificate(scene.counters), &slot, &tx(1), &proof);
        assert_eq!(verified, Ok(()), "a command that was put off is not in the session twice");
    }
}

#[test]
fn a_refused_increment_leaves_the_slot_whole() {
    const LOCKOUT: u32 = 0x921;
    const CC_NV_INCREMENT: u32 = 0x134;
    let scene = Scene::with(1);
    let proxy = Proxy::start(&scene.dir.path().join("line"), &scene.swtpm.address());
    let mut seal = scene.seal_at(&proxy.address()).expect("a seal");
    let slot = seal.lock(UNTIL, &[]).expect("a free counter").slot;
    proxy.rule(|code| if code == CC_NV_INCREMENT { Fate::Refuse(LOCKOUT) } else { Fate::Pass });
    let refused = seal.prove(&slot, &tx(1)).expect_err("refused");
    assert_eq!(refused.code(), "TPM_LOCKED_OUT");
    proxy.rule(|_| Fate::Pass);
    assert_eq!(seal.fate(&slot, &tx(1)).expect("it knows"), SlotFate::Open);
    seal.prove(&slot, &tx(2)).expect("a proof, also for another transaction");
}
