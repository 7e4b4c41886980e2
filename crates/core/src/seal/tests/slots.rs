extern crate std;

use serde_json::Value as Json;

use super::{Recorded, SLOTS, bytes};
use crate::cbor::{DecodeError, from_bytes, to_bytes};
use crate::seal::tpm::{Name, attest, audit_digest, counter_public_area, key_public_area};
use crate::seal::{
    AttestationKey, ClockInfo, HardwareProof, MAX_TPM_PROOF, Slot, SlotProof, TpmAudit, low_s,
    verify_slot,
};

fn all() -> Json {
    serde_json::from_str(SLOTS).expect("JSON")
}

fn cases(kind: &str) -> std::vec::Vec<Json> {
    all()[kind].as_array().expect("a list").clone()
}

fn verified(r: &Recorded) -> Result<(), &'static str> {
    verify_slot(&r.certificate, &r.slot, &r.tx, &r.proof).map_err(|e| e.code())
}

#[test]
fn what_a_tpm_proved_verifies_from_public_bytes_alone() {
    assert!(cases("valid").len() >= 2);
    for case in cases("valid") {
        assert_eq!(verified(&Recorded::of(&case)), Ok(()), "{}", case["name"]);
    }
}

#[test]
fn each_rule_of_a_slot_proof_has_a_refusal() {
    let invalid = cases("invalid");
    for case in &invalid {
        let code = case["code"].as_str().expect("text");
        assert_eq!(verified(&Recorded::of(case)), Err(code), "{}", case["name"]);
    }
    for rule in [2, 6, 7, 8, 9, 10, 11] {
        let rule = std::format!("SEAL-{rule}");
        assert!(invalid.iter().any(|case| case["rule"] == *rule), "{rule}");
    }
}

#[test]
fn no_bit_of_a_proof_or_of_what_it_proves_can_be_changed() {
    let recorded = Recorded::first();
    let flips = |bytes: &[u8], good: &dyn Fn(&[u8]) -> bool| {
        assert!(good(bytes));
        for bit in 0..bytes.len() * 8 {
            let mut bent = bytes.to_vec();
            bent[bit / 8] ^= 1 << (bit % 8);
            assert!(!good(&bent), "bit {bit}");
        }
    };
    let Recorded { certificate, slot, tx, proof } = &recorded;
    flips(proof.as_bytes(), &|bytes| {
        let proof = SlotProof::new(bytes.to_vec()).expect("short");
        verify_slot(certificate, slot, tx, &proof).is_ok()
    });
    flips(tx.as_bytes(), &|bytes| {
        let tx = crate::id::TxId::new(bytes.try_into().expect("32 bytes"));
        verify_slot(certificate, slot, &tx, proof).is_ok()
    });
    flips(&to_bytes(slot), &|bytes| {
        let slot = from_bytes::<Slot>(bytes);
        slot.is_ok_and(|slot| verify_slot(certificate, &slot, tx, proof).is_ok())
    });
}

#[test]
fn every_intermediate_value_is_the_recorded_one() {
    for case in cases("valid") {
        let recorded = Recorded::of(&case);
        let tpm = recorded.tpm();
        let handle = tpm.handle(recorded.slot.counter).expect("it has the counter");
        let area = counter_public_area(handle);
        assert_eq!(bytes(&case, "counter_public_area"), area);
        let counter = Name::of(&area);
        assert_eq!(bytes(&case, "counter_name"), counter.as_bytes());
        let tx = recorded.tx.as_bytes();
        let digest = audit_digest(&counter, recorded.slot.value, tx).expect("not at its end");
        assert_eq!(bytes(&case, "audit_digest"), digest);
        let name = recorded_name(&case);
        assert_eq!(bytes(&case, "qualified_signer"), name.in_endorsement().as_bytes());
        let HardwareProof::TpmAudit(TpmAudit { clock, exclusive, .. }) =
            (&recorded.proof).try_into().expect("of a TPM");
        let signed = attest(&name, &clock, tpm.firmware, exclusive, &digest);
        assert_eq!(bytes(&case, "attest"), signed);
        assert_eq!(signed.len(), 117);
    }
}

/// The key's Name, made of its point as the verifier makes it.
fn recorded_name(case: &Json) -> Name {
    let key = Recorded::of(case).tpm().key;
    let point = p256::ecdsa::VerifyingKey::from_sec1_bytes(key.as_bytes()).expect("a point");
    let point = point.to_sec1_point(false);
    let x: [u8; 32] = point.x().expect("a point").as_slice().try_into().expect("32 bytes");
    let y: [u8; 32] = point.y().expect("a point").as_slice().try_into().expect("32 bytes");
    assert_eq!(AttestationKey::from_coordinates(&x, &y), key);
    let area = key_public_area(&x, &y);
    assert_eq!(area.len(), 88);
    let name = Name::of(&area);
    assert_eq!(bytes(case, "key_name"), name.as_bytes());
    name
}

#[test]
fn a_counter_at_its_end_has_no_slot_to_leave() {
    let name = Name::of(&counter_public_area(0x0180_0000));
    assert!(audit_digest(&name, u64::MAX, &[0; 32]).is_none());
    assert!(audit_digest(&name, u64::MAX - 1, &[0; 32]).is_some());
    let slot = Recorded::first().slot;
    assert_eq!(Slot { value: u64::MAX, ..slot }.next(), None);
    assert_eq!(slot.next().map(|s| s.value), Some(slot.value + 1));
}

#[test]
fn the_low_form_of_a_signature_is_its_own_low_form() {
    let HardwareProof::TpmAudit(audit) = (&Recorded::first().proof).try_into().expect("of a TPM");
    assert_eq!(low_s(&audit.signature), Some(audit.signature));
    assert_eq!(low_s(&[0; 64]), None);
    assert_eq!(low_s(&[0xff; 64]), None);
}

#[test]
fn the_longest_proof_of_a_tpm_is_within_its_limit() {
    let clock = ClockInfo { clock: u64::MAX, resets: u32::MAX, restarts: u32::MAX, safe: true };
    let audit = TpmAudit { signature: [0xff; 64], clock, exclusive: true };
    let proof = HardwareProof::TpmAudit(audit);
    let wire = to_bytes(&SlotProof::from(proof));
    assert_eq!(wire.len(), MAX_TPM_PROOF);
    let again: SlotProof = from_bytes(&wire).expect("it decodes");
    assert_eq!(HardwareProof::try_from(&again), Ok(proof));
}

#[test]
fn each_flag_of_a_proof_stands_for_itself() {
    for (safe, exclusive, flags) in
        [(false, false, 0), (true, false, 1), (false, true, 2), (true, true, 3)]
    {
        let clock = ClockInfo { clock: 1, resets: 2, restarts: 3, safe };
        let proof = HardwareProof::TpmAudit(TpmAudit { signature: [7; 64], clock, exclusive });
        let mut bytes = to_bytes(&proof);
        assert_eq!(bytes.last(), Some(&flags));
        assert_eq!(from_bytes(&bytes), Ok(proof));
        *bytes.last_mut().expect("not empty") = 4 + flags;
        assert_eq!(from_bytes::<HardwareProof>(&bytes), Err(DecodeError::OutOfRange));
    }
}
