//! Every rule of `spec/seal.md`, by real proofs recorded in `spec/vectors/seal-slots.json`.

mod certificates;
mod identity;
mod slots;
mod vectors;

use alloc::vec::Vec;
use serde_json::Value as Json;

use crate::cbor::from_bytes;
use crate::id::{NetworkId, TxId};
use crate::keys::{PublicKey, SecretKey};
use crate::seal::{
    AttestationKey, CERTIFICATE_VERSION, Hardware, SealCertificate, SealLabel, SealTerms, Slot,
    SlotProof, TpmSeal,
};
use crate::time::Time;

pub(super) const SLOTS: &str = include_str!("../../../../../spec/vectors/seal-slots.json");

/// Not the network that the tests are on.
pub(super) const OTHER_NETWORK: NetworkId = NetworkId::new(9).expect("a network");

/// When the tests' certificates end.
pub(super) const EXPIRES: Time = Time::from_unix(2_000_000_000);

fn bytes(case: &Json, field: &str) -> Vec<u8> {
    let text = case[field].as_str().expect("text");
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
    (0..text.len()).step_by(2).map(byte).collect()
}

/// A recorded slot proof, with all that it is checked against.
pub(super) struct Recorded {
    pub(super) certificate: SealCertificate,
    pub(super) slot: Slot,
    pub(super) tx: TxId,
    pub(super) proof: SlotProof,
}

impl Recorded {
    pub(super) fn of(case: &Json) -> Self {
        Self {
            certificate: from_bytes(&bytes(case, "certificate")).expect("it decodes"),
            slot: from_bytes(&bytes(case, "slot")).expect("it decodes"),
            tx: TxId::new(bytes(case, "tx_id").try_into().expect("32 bytes")),
            proof: SlotProof::new(bytes(case, "proof")).expect("short"),
        }
    }

    /// The first valid proof of the vectors.
    pub(super) fn first() -> Self {
        let all: Json = serde_json::from_str(SLOTS).expect("JSON");
        Self::of(&all["valid"][0])
    }

    pub(super) fn tpm(&self) -> TpmSeal {
        let Hardware::Tpm(tpm) = self.certificate.terms().hardware;
        tpm
    }
}

pub(super) fn enroller(byte: u8) -> SecretKey {
    SecretKey::new([byte; 32]).expect("a small scalar is one")
}

pub(super) fn public(byte: u8) -> PublicKey {
    enroller(byte).public()
}

fn tpm() -> TpmSeal {
    let key = AttestationKey::new([2; 33]).expect("it starts like a point");
    TpmSeal { key, base: 0x0180_7a00, counters: 16, firmware: 7 }
}

pub(super) fn terms(tpm: TpmSeal, by: u8) -> SealTerms {
    SealTerms {
        version: CERTIFICATE_VERSION,
        network: NetworkId::LOCAL,
        hardware: Hardware::Tpm(tpm),
        label: SealLabel::new("TPM 2.0, IFX").expect("short"),
        development: false,
        expires: EXPIRES,
        enroller: public(by),
    }
}
