use std::sync::{LazyLock, Mutex};

use tally_core::cbor::from_bytes;
use tally_core::id::{NetworkId, TxId};
use tally_core::seal::{
    HardwareProof, MAX_CERTIFICATE, MAX_TPM_PROOF, Revocation, SealCertificate, Slot, SlotProof,
    verify_slot,
};
use tally_core::time::Time;
use tally_seal::Entropy;
use tally_seal::enroll::{
    Authority, Enroller, MAX_MESSAGE, Settings, Trust, rewritten_answer, rewritten_message,
};
use tally_seal::journal::{RECORD, Record};
use tally_seal::keystore::{Keystore, MAX_KEYSTORE};
use tally_seal::machine::HostMachine;
use tally_seal::unlock::{KdfParams, Unlock};

use super::core::canonical;

const SLOTS: &str = include_str!("../../../spec/vectors/seal-slots.json");
const NOW: Time = Time::from_unix(1_800_000_000);

/// A keystore has one encoding, within its limit.
pub fn keystore(bytes: &[u8]) {
    let Ok(keystore) = Keystore::from_bytes(bytes) else { return };
    assert!(bytes.len() <= MAX_KEYSTORE);
    assert_eq!(keystore.to_bytes(), bytes);
}

/// A record of the journal has one block.
pub fn journal(bytes: &[u8]) {
    let Ok(record) = Record::from_bytes(bytes) else { return };
    assert_eq!(bytes.len(), RECORD);
    assert_eq!(record.to_bytes().as_slice(), bytes);
}

/// A proof that was recorded of a TPM, with what it is checked against.
struct Recorded {
    certificate: SealCertificate,
    slot: Slot,
    tx: TxId,
    proof: Vec<u8>,
}

static RECORDED: LazyLock<Recorded> = LazyLock::new(|| {
    let all: serde_json::Value = serde_json::from_str(SLOTS).expect("vectors are JSON");
    let bytes = |field: &str| -> Vec<u8> {
        let text = all["valid"][0][field].as_str().expect("hexadecimal");
        let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
        (0..text.len()).step_by(2).map(byte).collect()
    };
    Recorded {
        certificate: from_bytes(&bytes("certificate")).expect("a certificate"),
        slot: from_bytes(&bytes("slot")).expect("a slot"),
        tx: TxId::new(bytes("tx_id").try_into().expect("32 bytes")),
        proof: bytes("proof"),
    }
});

/// A proof has one encoding within its limit, and no bytes but those that a TPM signed prove its slot.
pub fn proof(bytes: &[u8]) {
    if canonical::<HardwareProof>(bytes).is_some() {
        // In a payment it has a head of two bytes.
        assert!(bytes.len() + 2 <= MAX_TPM_PROOF);
    }
    let Ok(proof) = SlotProof::new(bytes.to_vec()) else { return };
    let Recorded { certificate, slot, tx, proof: recorded } = &*RECORDED;
    let verified = verify_slot(certificate, slot, tx, &proof);
    assert_eq!(verified.is_ok(), bytes == recorded);
}

/// A certificate has one encoding within its limit, says what it is, and can be checked.
pub fn certificate(bytes: &[u8]) {
    let Some(certificate) = canonical::<SealCertificate>(bytes) else { return };
    assert!(bytes.len() <= MAX_CERTIFICATE);
    let (terms, slot) = (certificate.terms(), certificate.slot(0, 1));
    assert_eq!(slot.seal, certificate.seal());
    assert_eq!(terms.to_string().starts_with("DEVELOPMENT"), terms.development);
    let _ = certificate.check(NetworkId::LOCAL);
    let Recorded { tx, proof, .. } = &*RECORDED;
    let proof = SlotProof::new(proof.clone()).expect("short");
    if verify_slot(&certificate, &RECORDED.slot, tx, &proof).is_ok() {
        assert_eq!(certificate.seal(), RECORDED.slot.seal);
    }
}

/// A list of revoked seals has one encoding, ascends, and can be checked.
pub fn revocation(bytes: &[u8]) {
    let Some(list) = canonical::<Revocation>(bytes) else { return };
    assert!(list.terms().seals().is_sorted_by(|a, b| a < b));
    let _ = list.check(NetworkId::LOCAL);
}

/// A device's message has one encoding, and an enroller has an answer to whatever comes, twice the same.
pub fn request(bytes: &[u8]) {
    if let Ok(again) = rewritten_message(bytes) {
        assert_eq!(again, bytes);
    }
    let mut enroller = ENROLLER.lock().expect("nobody failed with it in hand");
    let mut answer = |with: u8| enroller.answer(bytes, NOW, Entropy::new([with; 32]));
    let first = answer(1).expect("its memory can be written");
    let second = answer(2).expect("its memory can be written");
    assert!(first.bytes().len() <= MAX_MESSAGE);
    assert_eq!(first.bytes(), second.bytes());
    rewritten_answer(first.bytes()).expect("an answer");
}

/// An enroller's answer has one encoding.
pub fn answer(bytes: &[u8]) {
    if let Ok(again) = rewritten_answer(bytes) {
        assert_eq!(again, bytes);
    }
}

/// A file of authorities is read, or refused.
pub fn authority(bytes: &[u8]) {
    let Ok(authorities) = Authority::read(bytes, Trust::Hardware) else { return };
    assert!(!authorities.is_empty());
    authorities.iter().for_each(|authority| drop(authority.subject()));
}

/// An enroller that believes nobody, in a folder of this process.
static ENROLLER: LazyLock<Mutex<Enroller>> = LazyLock::new(|| {
    let dir = std::env::temp_dir().join(format!("tally-fuzz-{}", std::process::id()));
    let unlock = Unlock::KeyFile(dir.join("key"));
    let (machine, settings) = (HostMachine::new(), Settings::new(NetworkId::LOCAL));
    let (weak, entropy) = (KdfParams::WEAK_FOR_TESTS, Entropy::new([1; 32]));
    let enroller = Enroller::init(&dir, &machine, &unlock, weak, settings, entropy);
    Mutex::new(enroller.expect("a folder for temporary files"))
});
