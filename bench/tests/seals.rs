//! Sizes of a seal's objects to the byte, and the proofs of a real TPM implementation.

use tally_bench::seals;
use tally_core::cbor::to_bytes;
use tally_core::seal::{
    AttestationKey, ClockInfo, HardwareProof, MAX_CERTIFICATE, MAX_TPM_PROOF, SlotProof, TpmAudit,
    TpmSeal,
};

fn proof(clock: u64, resets: u32, restarts: u32) -> usize {
    let clock = ClockInfo { clock, resets, restarts, safe: true };
    let audit = TpmAudit { signature: [7; 64], clock, exclusive: true };
    to_bytes(&SlotProof::from(HardwareProof::TpmAudit(audit))).len()
}

#[test]
fn a_slot_proof_is_at_most_90_bytes() {
    // New, three years on with a start a day, and the largest numbers.
    let sizes =
        [proof(0, 0, 0), proof(94_608_000_000, 1_095, 0), proof(u64::MAX, u32::MAX, u32::MAX)];
    assert_eq!(sizes, SLOT_PROOF);
    assert!(sizes[2] <= MAX_TPM_PROOF && MAX_TPM_PROOF == 90);
}

#[test]
fn a_certificate_is_at_most_220_bytes() {
    let key = AttestationKey::from_coordinates(&[2; 32], &[3; 32]);
    let seal = TpmSeal { key, base: 0x0180_7a00, counters: 16, firmware: 0x000f_0016_0000_4a1c };
    let size = to_bytes(&seals::certificate(seal)).len();
    assert_eq!(size, CERTIFICATE);
    assert!(size <= MAX_CERTIFICATE && MAX_CERTIFICATE == 220);
}

#[test]
fn what_a_tpm_in_software_proves_is_within_the_limits() {
    let costs = seals::measure().expect("a TPM in software");
    assert!(costs.proof <= 90 && costs.certificate <= 220, "{costs:?}");
}

const SLOT_PROOF: [usize; 3] = [74, 84, 90];
const CERTIFICATE: usize = 185;
