//! Which seal a device has, and what a verifier is that knows of no enrollment's end.

use crate::cbor::{DecodeError, from_bytes, to_bytes};
use crate::id::{Digest, TxId};
use crate::seal::{NoSeals, SealId, SealIdentity, Slot, SlotProof, SlotVerifier};
use crate::time::Time;

const SEAL: SealId = SealId::new(Digest::new([7; 32]));

#[test]
fn a_devices_seal_has_one_form_for_each_kind() {
    let hardware = [&[0x82, 1, 0x58, 0x20][..], &[7; 32]].concat();
    for (identity, bytes) in
        [(SealIdentity::Software, &[0x81, 0][..]), (SealIdentity::Hardware(SEAL), &hardware)]
    {
        assert_eq!(to_bytes(&identity), bytes);
        assert_eq!(from_bytes(bytes), Ok(identity));
    }
    let refused = |bytes: &[u8]| from_bytes::<SealIdentity>(bytes).expect_err("none");
    assert_eq!(refused(&[0x82, 0, 0]), DecodeError::WrongLength);
    assert_eq!(refused(&[0x81, 1]), DecodeError::WrongLength);
    assert_eq!(refused(&[0x81, 2]), DecodeError::Unknown);
}

/// Takes one proof.
struct Knows(SlotProof);

impl SlotVerifier for Knows {
    fn proves(&self, _: &Slot, _: &TxId, proof: &SlotProof) -> bool {
        *proof == self.0
    }
}

#[test]
fn a_verifier_without_ends_takes_the_same_proofs_for_every_end() {
    let proof = |byte| SlotProof::new(alloc::vec![byte; 4]).expect("short");
    let (slot, tx) = (Slot { seal: SEAL, counter: 0, value: 1 }, TxId::new([1; 32]));
    let (knows, end) = (Knows(proof(1)), Time::from_unix(1));
    assert!(knows.proves_until(&slot, end, &tx, &proof(1)));
    assert!(!knows.proves_until(&slot, end, &tx, &proof(2)));
    assert!(!NoSeals.proves_until(&slot, end, &tx, &proof(1)));
}
