//! What a TPM proves, on swtpm. If it is not installed, these tests fail and name the script.

mod common;

use common::{Scene, tx};
use tally_core::seal::{SlotError, verify_slot};
use tally_seal::Seal;

#[test]
fn a_slot_is_proved_for_one_transaction_and_for_no_other() {
    let scene = Scene::new();
    let mut seal = scene.seal();
    let certificate = seal.certificate().expect("enrolled").clone();
    let lock = seal.lock(common::UNTIL, &[]).expect("a free counter");
    let proof = seal.prove(&lock.slot, &tx(1)).expect("a proof");
    assert_eq!(verify_slot(&certificate, &lock.slot, &tx(1), &proof), Ok(()));
    let other = verify_slot(&certificate, &lock.slot, &tx(2), &proof);
    assert_eq!(other, Err(SlotError::Signature));
}
