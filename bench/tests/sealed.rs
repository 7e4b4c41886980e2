//! A whole sealed payment, to the byte, with proofs of a TPM.

use std::collections::BTreeSet;

use tally_bench::hardware::Hardware;
use tally_bench::scene::{Scene, Traffic};
use tally_bench::sizes::{self, Spread};
use tally_core::cbor::to_bytes;
use tally_core::seal::MAX_TPM_PROOF;
use tally_core::tier::Tier;

/// Set this variable to have a TPM in software prove the payments anew.
const WRITE: &str = "TALLY_WRITE_VECTORS";

const PAYMENTS: usize = 200;

#[test]
fn the_recorded_proofs_are_of_todays_payments() {
    if std::env::var_os(WRITE).is_some() {
        let live = Hardware::live().expect("a TPM in software");
        sizes::sealed_payments(&live, PAYMENTS);
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/recorded/sealed-payments.json");
        std::fs::write(path, live.to_record()).expect("a checkout that can be written");
        return;
    }
    // A payee refuses what the proof is not for, and the scene says so.
    let mut scene = Scene::sealed(&Hardware::recorded(), 256);
    scene.pay();
    let incoming: BTreeSet<_> =
        scene.payee().device().incoming().values().map(|i| i.tier).collect();
    assert_eq!(incoming, BTreeSet::from([Tier::Sealed]));
}

#[test]
fn a_sealed_payment_between_contacts_with_hardware() {
    if std::env::var_os(WRITE).is_some() {
        return;
    }
    let payments = sizes::sealed_payments(&Hardware::recorded(), PAYMENTS);
    let to_final = Spread::of(payments.iter().map(Traffic::to_final));
    assert_eq!(to_final, SEALED);
    assert!(to_final.max <= 1150);
    // No proof of a TPM is longer than this, however long the TPM has run.
    let shortest = proofs().min().expect("some");
    assert!(to_final.max + (MAX_TPM_PROOF - shortest) <= 1150, "{shortest}");
}

/// How long the recorded proofs are in a payment.
fn proofs() -> impl Iterator<Item = usize> {
    let recorded = Hardware::recorded();
    let slot = recorded.slot();
    let tx = tally_core::id::TxId::new([0; 32]);
    (0..PAYMENTS).map(move |_| to_bytes(&recorded.prove(&slot, &tx)).len())
}

const SEALED: Spread = Spread { min: 932, sum: 208_234, max: 1125, count: 200 };
