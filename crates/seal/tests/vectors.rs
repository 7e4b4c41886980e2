//! `spec/vectors/seal-slots.json`: slot proofs as a TPM gives them, and what is none, recorded from
//! swtpm. Set `TALLY_WRITE_VECTORS` to record them anew; `tally-core` checks the file itself.

mod common;

use std::path::PathBuf;

use common::{Scene, certificate, tx};
use serde_json::{Value as Json, json};
use tally_core::cbor::{from_bytes, to_bytes};
use tally_core::id::TxId;
use tally_core::seal::tpm::{
    COUNTER_ATTRIBUTES, Name, SLOT_TAG, attest, audit_digest, counter_public_area,
};
use tally_core::seal::{
    AttestationKey, HardwareProof, SealCertificate, Slot, SlotProof, TpmAudit, TpmSeal, verify_slot,
};
use tally_seal::tpm2::{AuditSession, Chip};

const CC_NV_DEFINE_SPACE: u32 = 0x12a;
const CC_NV_UNDEFINE_SPACE: u32 = 0x122;
const RH_OWNER: u32 = 0x4000_0001;
const ORDERLY: u32 = 0x0400_0000;
const WRITTEN: u32 = 0x2000_0000;

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../spec/vectors/seal-slots.json")
}

/// What one vector is made of.
#[derive(Clone)]
struct Case {
    certificate: SealCertificate,
    slot: Slot,
    tx: TxId,
    proof: SlotProof,
}

impl Case {
    fn json(&self) -> Json {
        json!({
            "certificate": text(&to_bytes(&self.certificate)),
            "slot": text(&to_bytes(&self.slot)),
            "tx_id": text(self.tx.as_bytes()),
            "proof": text(self.proof.as_bytes()),
        })
    }

    fn audit(&self) -> TpmAudit {
        match HardwareProof::try_from(&self.proof).expect("a proof of a TPM") {
            HardwareProof::TpmAudit(audit) => audit,
            other => unreachable!("{other:?}"),
        }
    }

    fn with(&self, change: impl FnOnce(&mut TpmAudit)) -> Self {
        let mut audit = self.audit();
        change(&mut audit);
        Self { proof: HardwareProof::TpmAudit(audit).into(), ..self.clone() }
    }

    fn of(&self, change: impl FnOnce(&mut TpmSeal)) -> Self {
        let tally_core::seal::Hardware::Tpm(mut tpm) = self.certificate.terms().hardware else {
            unreachable!("a TPM");
        };
        change(&mut tpm);
        let certificate = certificate(tpm);
        Self { slot: Slot { seal: certificate.seal(), ..self.slot }, certificate, ..self.clone() }
    }

    fn bytes(&self, bytes: Vec<u8>) -> Self {
        Self { proof: SlotProof::new(bytes).expect("short"), ..self.clone() }
    }

    fn at(&self, change: impl FnOnce(&mut Slot)) -> Self {
        let mut slot = self.slot;
        change(&mut slot);
        Self { slot, ..self.clone() }
    }
}

/// P-256's group order, big-endian.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6,
    0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// The other signature that plain ECDSA would accept.
fn negated(signature: [u8; 64]) -> [u8; 64] {
    let mut out = signature;
    let mut borrow = 0;
    for i in (0..32).rev() {
        let d = i32::from(ORDER[i]) - i32::from(signature[32 + i]) - borrow;
        borrow = i32::from(d < 0);
        out[32 + i] = u8::try_from(d.rem_euclid(256)).expect("a byte");
    }
    out
}

/// One thing that can be done in a session.
#[derive(Clone, Copy)]
enum Do {
    Read(u32),
    Hash(u8),
    Increment(u32),
}

use Do::{Hash, Increment, Read};

/// Runs a session of any make, and takes what the TPM signs as proof that `counter` left the value
/// it was at.
fn session(chip: &mut Chip, seal: &TpmSeal, counter: u32, steps: &[Do], tag: &[u8]) -> Case {
    let value = chip.value(seal, counter).expect("a counter");
    let key = chip.key_handle();
    let tpm = chip.tpm();
    let mut session = AuditSession::start(tpm).expect("a session");
    let handle = |n: u32| seal.base + n;
    for step in steps {
        match *step {
            Read(n) => session.read_counter(tpm, handle(n)).map(|_| ()),
            Hash(byte) => session.hash_message(tpm, tx(byte).as_bytes()),
            Increment(n) => session.increment_counter(tpm, handle(n)),
        }
        .expect("the TPM does it");
    }
    let attested = session.attest(tpm, key, tag).expect("the TPM attests it");
    session.end(tpm).expect("the session ends");
    let certificate = certificate(*seal);
    let slot = certificate.slot(counter, value);
    let proof = HardwareProof::TpmAudit(attested.audit().expect("an attestation"));
    Case { certificate, slot, tx: tx(1), proof: proof.into() }
}

const RIGHT: [Do; 4] = [Read(0), Hash(1), Increment(0), Read(0)];

/// Sessions that a genuine TPM attests and that prove nothing.
fn other_sessions(chip: &mut Chip, seal: &TpmSeal) -> Vec<(&'static str, &'static str, Case)> {
    let wrong: [(&str, &[Do]); 12] = [
        ("no first read", &[Hash(1), Increment(0), Read(0)]),
        ("no last read", &[Read(0), Hash(1), Increment(0)]),
        ("no increment", &[Read(0), Hash(1), Read(0)]),
        ("no hash", &[Read(0), Increment(0), Read(0)]),
        ("another message", &[Read(0), Hash(2), Increment(0), Read(0)]),
        ("two messages", &[Read(0), Hash(1), Hash(2), Increment(0), Read(0)]),
        ("the message after the increment", &[Read(0), Increment(0), Hash(1), Read(0)]),
        ("the message before the first read", &[Hash(1), Read(0), Increment(0), Read(0)]),
        ("two increments", &[Read(0), Hash(1), Increment(0), Increment(0), Read(0)]),
        ("something before", &[Hash(1), Read(0), Hash(1), Increment(0), Read(0)]),
        ("something after", &[Read(0), Hash(1), Increment(0), Read(0), Read(0)]),
        ("another counter's increment", &[Read(0), Hash(1), Increment(1), Read(0)]),
    ];
    let mut cases = Vec::new();
    for (name, steps) in wrong {
        cases.push((name, "SEAL-9", session(chip, seal, 0, steps, SLOT_TAG)));
    }
    let tag = session(chip, seal, 0, &RIGHT, b"tally/v1/else");
    cases.push(("another tag", "SEAL-10", tag));
    cases.push(("no tag", "SEAL-10", session(chip, seal, 0, &RIGHT, b"")));
    cases
}

/// A counter made anew with ORDERLY: the right session, but not the right counter.
fn orderly(chip: &mut Chip, seal: &TpmSeal) -> Case {
    let handle = seal.base + 3;
    let (handles, tpm) = ([RH_OWNER, handle], chip.tpm());
    tpm.execute(CC_NV_UNDEFINE_SPACE, &handles, 1, &[]).expect("it is deleted");
    let mut area = counter_public_area(handle);
    let attributes = (COUNTER_ATTRIBUTES | ORDERLY) & !WRITTEN;
    area[6..10].copy_from_slice(&attributes.to_be_bytes());
    let parameters = [&[0, 0, 0, 14][..], &area].concat();
    tpm.execute(CC_NV_DEFINE_SPACE, &[RH_OWNER], 1, &parameters).expect("it is made");
    tpm.execute(0x134, &[handle, handle], 1, &[]).expect("it counts");
    let key = chip.key_handle();
    let tpm = chip.tpm();
    let mut session = AuditSession::start(tpm).expect("a session");
    let value = session.read_counter(tpm, handle).expect("a value");
    session.hash_message(tpm, tx(1).as_bytes()).expect("a hash");
    session.increment_counter(tpm, handle).expect("it counts");
    session.read_counter(tpm, handle).expect("a value");
    let attested = session.attest(tpm, key, SLOT_TAG).expect("an attestation");
    session.end(tpm).expect("the session ends");
    let certificate = certificate(*seal);
    let slot = certificate.slot(3, value);
    let proof = HardwareProof::TpmAudit(attested.audit().expect("an attestation"));
    Case { certificate, slot, tx: tx(1), proof: proof.into() }
}

/// Every field of a right proof, changed.
fn altered(right: &Case) -> Vec<(&'static str, &'static str, Case)> {
    let bytes = || right.proof.as_bytes().to_vec();
    let changed = |at: usize, byte: u8| {
        let mut bytes = bytes();
        bytes[at] = byte;
        right.bytes(bytes)
    };
    let last = bytes().len() - 1;
    let no_point = AttestationKey::from_coordinates(&[0xff; 32], &[0; 32]);
    let other_key = AttestationKey::from_coordinates(&GENERATOR_X, &[0; 32]);
    vec![
        ("another transaction", "SEAL-9", Case { tx: tx(2), ..right.clone() }),
        ("the value before", "SEAL-9", right.at(|s| s.value -= 1)),
        ("the value after", "SEAL-9", right.at(|s| s.value += 1)),
        ("the end of the counter", "SEAL-9", right.at(|s| s.value = u64::MAX)),
        ("another counter", "SEAL-8", right.at(|s| s.counter = 1)),
        ("a counter that the seal has not", "SEAL-6", right.at(|s| s.counter = 4)),
        ("fewer counters", "SEAL-6", right.at(|s| s.counter = 1).of(|t| t.counters = 1)),
        ("another seal", "SEAL-6", right.at(|s| s.seal = certificate_of_another().seal())),
        ("another base", "SEAL-8", right.of(|t| t.base += 1)),
        ("another key", "SEAL-7", right.of(|t| t.key = other_key)),
        ("a key that is no point", "SEAL-7", right.of(|t| t.key = no_point)),
        ("another firmware", "SEAL-10", right.of(|t| t.firmware += 1)),
        ("another R", "SEAL-11", right.with(|a| a.signature[31] ^= 1)),
        ("another S", "SEAL-11", right.with(|a| a.signature[63] ^= 1)),
        ("R zero", "SEAL-11", right.with(|a| a.signature[..32].fill(0))),
        ("S zero", "SEAL-11", right.with(|a| a.signature[32..].fill(0))),
        ("S negated", "SEAL-11", right.with(|a| a.signature = negated(a.signature))),
        ("another clock", "SEAL-10", right.with(|a| a.clock.clock += 1)),
        ("another number of resets", "SEAL-10", right.with(|a| a.clock.resets += 1)),
        ("another number of restarts", "SEAL-10", right.with(|a| a.clock.restarts += 1)),
        ("safe or not", "SEAL-10", right.with(|a| a.clock.safe ^= true)),
        ("exclusive or not", "SEAL-10", right.with(|a| a.exclusive ^= true)),
        ("an unknown kind", "SEAL-2", changed(1, 2)),
        ("kind zero", "SEAL-2", changed(1, 0)),
        ("an unknown flag", "SEAL-2", changed(last, 4)),
        ("one item more", "SEAL-2", {
            let mut longer = bytes();
            longer[0] += 1;
            longer.push(0);
            right.bytes(longer)
        }),
        ("one item less", "SEAL-2", {
            let mut shorter = bytes();
            shorter[0] -= 1;
            shorter.pop();
            right.bytes(shorter)
        }),
        ("something behind it", "SEAL-2", right.bytes([bytes(), vec![0]].concat())),
        ("cut short", "SEAL-2", right.bytes(bytes()[..last].to_vec())),
        ("nothing", "SEAL-2", right.bytes(Vec::new())),
    ]
}

/// A point of the curve that is not the TPM's: the generator.
const GENERATOR_X: [u8; 32] = [
    0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2,
    0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96,
];

fn certificate_of_another() -> SealCertificate {
    let key = AttestationKey::from_coordinates(&GENERATOR_X, &[0; 32]);
    certificate(TpmSeal { key, base: 0x0180_7a00, counters: 4, firmware: 0 })
}

fn valid(chip: &Chip, name: &str, case: &Case, handle: u32) -> Json {
    let audit = case.audit();
    let area = counter_public_area(handle);
    let counter = Name::of(&area);
    let digest = audit_digest(&counter, case.slot.value, case.tx.as_bytes()).expect("not the end");
    let key = chip.key_name();
    let signed = attest(&key, &audit.clock, chip.firmware(), audit.exclusive, &digest);
    let mut json = case.json();
    json["name"] = name.into();
    json["key_name"] = text(key.as_bytes()).into();
    json["qualified_signer"] = text(key.in_endorsement().as_bytes()).into();
    json["counter_public_area"] = text(&area).into();
    json["counter_name"] = text(counter.as_bytes()).into();
    json["audit_digest"] = text(&digest).into();
    json["attest"] = text(&signed).into();
    json
}

fn record() -> Json {
    let scene = Scene::new();
    let seal = scene.counters;
    let mut chip = scene.chip();
    let right = session(&mut chip, &seal, 0, &RIGHT, SLOT_TAG);
    let mut second =
        session(&mut chip, &seal, 2, &[Read(2), Hash(7), Increment(2), Read(2)], SLOT_TAG);
    second.tx = tx(7);
    let valids = [
        valid(&chip, "the first of counter 0", &right, seal.base),
        valid(&chip, "of counter 2", &second, seal.base + 2),
    ];
    let mut wrong = other_sessions(&mut chip, &seal);
    wrong.extend(altered(&right));
    wrong.push(("an ORDERLY counter", "SEAL-8", orderly(&mut chip, &seal)));
    let other = Scene::new();
    let mut foreign = session(&mut other.chip(), &other.counters, 0, &RIGHT, SLOT_TAG);
    foreign.certificate = right.certificate.clone();
    foreign.slot.seal = right.slot.seal;
    wrong.push(("another TPM", "SEAL-11", foreign));
    let invalid: Vec<Json> =
        wrong.iter().map(|(name, rule, case)| invalid(name, rule, case)).collect();
    json!({
        "about": "Slot proofs of a TPM 2.0 (SEAL-2 and SEAL-6 to SEAL-11), recorded from swtpm, and what is refused with which code.",
        "valid": valids, "invalid": invalid,
    })
}

fn invalid(name: &str, rule: &str, case: &Case) -> Json {
    let Case { certificate, slot, tx, proof } = case;
    let code = match verify_slot(certificate, slot, tx, proof) {
        Ok(()) => unreachable!("{name} passes"),
        Err(e) => e.code(),
    };
    let mut json = case.json();
    json["name"] = name.into();
    json["rule"] = rule.into();
    json["code"] = code.into();
    json
}

#[test]
fn a_tpm_makes_what_the_vectors_say_and_nothing_else_passes() {
    let recorded = record();
    if std::env::var_os("TALLY_WRITE_VECTORS").is_some() {
        let text = serde_json::to_string_pretty(&recorded).expect("JSON") + "\n";
        std::fs::write(path(), text).expect("the vectors' folder");
    }
    let published = std::fs::read_to_string(path()).expect("the vectors");
    let published: Json = serde_json::from_str(&published).expect("JSON");
    // Keys and signatures differ from one TPM to the next; names, rules and codes do not.
    let said = |all: &Json| -> Vec<(Json, Json, Json)> {
        let of = |case: &Json| (case["name"].clone(), case["rule"].clone(), case["code"].clone());
        all["invalid"].as_array().expect("a list").iter().map(of).collect()
    };
    assert_eq!(said(&recorded), said(&published));
    for case in recorded["valid"].as_array().expect("a list") {
        let bytes = |name: &str| -> Vec<u8> {
            let text = case[name].as_str().expect("text");
            let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex");
            (0..text.len()).step_by(2).map(byte).collect()
        };
        let certificate: SealCertificate = from_bytes(&bytes("certificate")).expect("it decodes");
        let slot: Slot = from_bytes(&bytes("slot")).expect("it decodes");
        let proof = SlotProof::new(bytes("proof")).expect("short");
        let tx = TxId::new(bytes("tx_id").try_into().expect("32 bytes"));
        assert_eq!(verify_slot(&certificate, &slot, &tx, &proof), Ok(()));
    }
}
