//! Rebuild, from public values alone, what a TPM 2.0 hashes and signs for a slot.
//!
//! Formats are those of the TPM 2.0 Library Specification, Parts 1 to 3: integers are big-endian,
//! and a sized buffer has its length before it in two bytes. Nothing here is a choice of the
//! prover's but the values that are passed in (spec `SEAL-7` to `SEAL-10`).

use alloc::vec::Vec;

use sha2::{Digest as _, Sha256};

use crate::seal::ClockInfo;

/// What a slot proof carries as qualifying data, so that it is never taken for anything else.
pub const SLOT_TAG: &[u8; 13] = b"tally/v1/slot";

/// Attributes of the attestation key: fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth,
/// noDA, restricted, sign. Restricted: it signs only what the TPM itself made.
pub const KEY_ATTRIBUTES: u32 = 0x0005_0472;
/// Attributes of a counter that was incremented at least once: COUNTER, AUTHWRITE, AUTHREAD, NO_DA
/// and WRITTEN; above all not ORDERLY, whose values a power cut loses.
pub const COUNTER_ATTRIBUTES: u32 = 0x2204_0014;

const ALG_SHA256: [u8; 2] = [0x00, 0x0b];
const RH_NULL: [u8; 4] = [0x40, 0x00, 0x00, 0x07];
const RH_ENDORSEMENT: [u8; 4] = [0x40, 0x00, 0x00, 0x0b];
const CC_NV_INCREMENT: [u8; 4] = [0, 0, 0x01, 0x34];
const CC_NV_READ: [u8; 4] = [0, 0, 0x01, 0x4e];
const CC_HASH: [u8; 4] = [0, 0, 0x01, 0x7d];
const RC_SUCCESS: [u8; 4] = [0; 4];

/// The Name of a key or counter: the algorithm's number and the SHA-256 of its public area.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Name([u8; 34]);

impl Name {
    /// The Name of what has this public area.
    pub fn of(public_area: &[u8]) -> Self {
        Self::from_digest(&sha256(&[public_area]))
    }

    /// The Name's bytes.
    pub const fn as_bytes(&self) -> &[u8; 34] {
        &self.0
    }

    /// The qualified Name of a primary key in the endorsement hierarchy that has this Name.
    pub fn in_endorsement(&self) -> Self {
        Self::from_digest(&sha256(&[&RH_ENDORSEMENT, &self.0]))
    }

    fn from_digest(digest: &[u8; 32]) -> Self {
        let mut name = [0; 34];
        name[..2].copy_from_slice(&ALG_SHA256);
        name[2..].copy_from_slice(digest);
        Self(name)
    }
}

/// The public area of the attestation key at a point: 88 bytes (TPMT_PUBLIC).
pub fn key_public_area(x: &[u8; 32], y: &[u8; 32]) -> Vec<u8> {
    const ECC: [u8; 2] = [0x00, 0x23];
    const NO_POLICY: [u8; 2] = [0, 0];
    const NULL: [u8; 2] = [0x00, 0x10];
    const ECDSA: [u8; 2] = [0x00, 0x18];
    const NIST_P256: [u8; 2] = [0x00, 0x03];
    const COORDINATE: [u8; 2] = [0, 32];
    let symmetric = NULL;
    let kdf = NULL;
    [
        &ECC[..],
        &ALG_SHA256,
        &KEY_ATTRIBUTES.to_be_bytes(),
        &NO_POLICY,
        &symmetric,
        &ECDSA,
        &ALG_SHA256,
        &NIST_P256,
        &kdf,
        &COORDINATE,
        x,
        &COORDINATE,
        y,
    ]
    .concat()
}

/// The public area of a counter that was incremented at least once: 14 bytes (TPMS_NV_PUBLIC).
pub fn counter_public_area(handle: u32) -> [u8; 14] {
    let mut area = [0; 14];
    area[..4].copy_from_slice(&handle.to_be_bytes());
    area[4..6].copy_from_slice(&ALG_SHA256);
    area[6..10].copy_from_slice(&COUNTER_ATTRIBUTES.to_be_bytes());
    // 10..12: no policy.
    area[12..].copy_from_slice(&8_u16.to_be_bytes());
    area
}

/// The digest of an audit session that held exactly: read the counter, which is at `before`; hash
/// `message`; increment the counter; read it, which is at `before + 1`. None at the counter's end.
pub fn audit_digest(counter: &Name, before: u64, message: &[u8; 32]) -> Option<[u8; 32]> {
    let after = before.checked_add(1)?;
    let name = counter.as_bytes();
    let size_and_offset = [0, 8, 0, 0];
    let read = sha256(&[&CC_NV_READ, name, name, &size_and_offset]);
    let shown = |value: u64| sha256(&[&RC_SUCCESS, &CC_NV_READ, &[0, 8], &value.to_be_bytes()]);
    let hash = sha256(&[&CC_HASH, &[0, 32], message, &ALG_SHA256, &RH_NULL]);
    let ticket = [&[0x80, 0x24][..], &RH_NULL, &[0, 0]].concat();
    let hashed = sha256(&[&RC_SUCCESS, &CC_HASH, &[0, 32], &sha256(&[message]), &ticket]);
    let increment = sha256(&[&CC_NV_INCREMENT, name, name]);
    let incremented = sha256(&[&RC_SUCCESS, &CC_NV_INCREMENT]);
    let commands =
        [(read, shown(before)), (hash, hashed), (increment, incremented), (read, shown(after))];
    Some(
        commands
            .iter()
            .fold([0; 32], |digest, (asked, answered)| sha256(&[&digest, asked, answered])),
    )
}

/// What the TPM signs: 117 bytes (TPMS_ATTEST) over the digest of an audit session.
pub fn attest(
    key: &Name,
    clock: &ClockInfo,
    firmware: u64,
    exclusive: bool,
    session_digest: &[u8; 32],
) -> Vec<u8> {
    const GENERATED: [u8; 4] = [0xff, b'T', b'C', b'G'];
    const SESSION_AUDIT: [u8; 2] = [0x80, 0x16];
    [
        &GENERATED[..],
        &SESSION_AUDIT,
        &[0, 34],
        key.in_endorsement().as_bytes(),
        &[0, 13],
        SLOT_TAG,
        &clock.clock.to_be_bytes(),
        &clock.resets.to_be_bytes(),
        &clock.restarts.to_be_bytes(),
        &[u8::from(clock.safe)],
        &firmware.to_be_bytes(),
        &[u8::from(exclusive)],
        &[0, 32],
        session_digest,
    ]
    .concat()
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}
