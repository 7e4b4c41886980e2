//! Check what an attestation key says of its seal's counters.

use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::ecdsa::{Signature, VerifyingKey};
use tally_core::hash::sha256;
use tally_core::seal::tpm::{Name, counter_public_area, key_public_area};
use tally_core::seal::{AttestationKey, TpmSeal};

use super::EnrollError;
use super::message::Attested;

/// A counter above this has not been counted up to: at one count a millisecond that is 35 years.
const MAX_START: u64 = 1 << 40;

/// The attestation key in the form that verifies, and the Name that a TPM gives it if its public
/// area is that of an attestation key, with every attribute.
pub(crate) struct Attestor {
    key: VerifyingKey,
    name: Name,
}

impl Attestor {
    pub(crate) fn new(key: &AttestationKey) -> Option<Self> {
        let key = VerifyingKey::from_sec1_bytes(key.as_bytes()).ok()?;
        let point = key.to_sec1_point(false);
        let (x, y) = point.x().zip(point.y())?;
        let area = key_public_area(x.as_slice().try_into().ok()?, y.as_slice().try_into().ok()?);
        Some(Self { key, name: Name::of(&area) })
    }

    /// The Name that the credential is made for.
    pub(crate) fn name(&self) -> &Name {
        &self.name
    }

    /// Whether the key attests every counter of the seal, for `nonce`: that it is at its handle
    /// with the attributes of SEAL-8, was written, and has a value that it can have come to.
    pub(crate) fn check(
        &self,
        seal: &TpmSeal,
        nonce: &[u8; 32],
        counters: &[Attested],
    ) -> Result<(), EnrollError> {
        if counters.len() != usize::from(seal.counters) {
            let counter = u32::try_from(counters.len()).unwrap_or(u32::MAX);
            return Err(EnrollError::Counter { counter });
        }
        for (counter, attested) in (0..).zip(counters) {
            let sound = (1..=MAX_START).contains(&attested.value)
                && seal.handle(counter).is_some_and(|handle| {
                    let signed = self.attest(handle, seal.firmware, nonce, attested);
                    Signature::from_slice(&attested.signature)
                        .is_ok_and(|s| self.key.verify_prehash(&sha256(&signed), &s).is_ok())
                });
            if !sound {
                return Err(EnrollError::Counter { counter });
            }
        }
        Ok(())
    }

    /// What the TPM signs of the counter at `handle` (TPMS_ATTEST with TPMS_NV_CERTIFY_INFO).
    fn attest(&self, handle: u32, firmware: u64, nonce: &[u8; 32], said: &Attested) -> Vec<u8> {
        const GENERATED: [u8; 4] = [0xff, b'T', b'C', b'G'];
        const NV: [u8; 2] = [0x80, 0x14];
        let counter = Name::of(&counter_public_area(handle));
        [
            &GENERATED[..],
            &NV,
            &[0, 34],
            self.name.in_endorsement().as_bytes(),
            &[0, 32],
            nonce,
            &said.clock.clock.to_be_bytes(),
            &said.clock.resets.to_be_bytes(),
            &said.clock.restarts.to_be_bytes(),
            &[u8::from(said.clock.safe)],
            &firmware.to_be_bytes(),
            &[0, 34],
            counter.as_bytes(),
            &[0, 0],
            &[0, 8],
            &said.value.to_be_bytes(),
        ]
        .concat()
    }
}
