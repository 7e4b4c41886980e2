//! What a hardware seal costs: its proof on a TPM in software, the check, and its bytes.

use std::hint::black_box;

use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::ecdsa::{Signature, VerifyingKey};
use tally_core::cbor::to_bytes;
use tally_core::hash::sha256;
use tally_core::id::{NetworkId, TxId};
use tally_core::keys::SecretKey;
use tally_core::seal::tpm::{
    Name, SLOT_TAG, attest, audit_digest, counter_public_area, key_public_area,
};
use tally_core::seal::{
    CERTIFICATE_VERSION, Hardware, HardwareProof, SealCertificate, SealLabel, SealTerms, Slot,
    SlotProof, TpmAudit, TpmSeal, verify_slot,
};
use tally_core::time::Time;
use tally_seal::machine::HostMachine;
use tally_seal::software::{Place, SoftwareSeal};
use tally_seal::tpm2::swtpm::SoftwareTpm;
use tally_seal::tpm2::{AuditSession, Chip, DEFAULT_COUNTERS, Tpm2Seal, TpmError};
use tally_seal::unlock::{KdfParams, Unlock};
use tally_seal::{Entropy, Seal};
use tempfile::TempDir;

use crate::hardware;
use crate::scene::Scene;
use crate::timing::{Samples, per_one};

/// How often a proof is made.
const PROOFS: usize = 200;

/// Usual costs in microseconds, and sizes in bytes.
#[derive(Clone, Copy, Debug)]
pub struct SealCosts {
    /// The commands of one proof.
    pub commands: f64,
    /// A proof by the seal: with intent and proof durable.
    pub prove: f64,
    /// A payee's check of one proof, from the certificate on.
    pub verify: f64,
    /// One check of a P-256 signature.
    pub primitive: f64,
    /// A whole sealed payment in memory: both sides, encryption, receipt, and the hardware's proof.
    pub payment: f64,
    /// The same between people without hardware.
    pub plain: f64,
    /// The longest proof, as it is in a payment.
    pub proof: usize,
    /// The certificate.
    pub certificate: usize,
}

/// Measures them on a TPM in software of its own.
///
/// # Errors
/// [`TpmError::Absent`] with the script that installs it, when it is not installed.
pub fn measure() -> Result<SealCosts, TpmError> {
    let rig = Rig::new()?;
    let commands = rig.commands();
    let (slot, proofs, prove) = rig.proofs();
    let (tx, proof) = proofs.first().expect("some were made");
    let certificate = certificate(rig.counters);
    let verify = per_one(40, 10, || {
        black_box(verify_slot(black_box(&certificate), &slot, tx, proof)).expect("a good proof");
    });
    let (key, digest, signature) = primitive(&certificate, &slot, tx, proof);
    let primitive = per_one(40, 10, || {
        black_box(key.verify_prehash(black_box(&digest), &signature)).expect("a good signature");
    });
    let proof = proofs.iter().map(|(_, proof)| to_bytes(proof).len()).max().unwrap_or_default();
    let certificate = to_bytes(&certificate).len();
    let payment = payments(Scene::sealed(&hardware::Hardware::live()?, 256));
    let plain = payments(Scene::new(256));
    Ok(SealCosts { commands, prove, verify, primitive, payment, plain, proof, certificate })
}

/// The usual time of a payment. Its coin is minted before the clock runs.
fn payments(mut scene: Scene) -> f64 {
    Samples::of(PROOFS, || {
        black_box(scene.pay());
    })
    .median()
}

/// A TPM in software with a pool of counters.
struct Rig {
    folder: TempDir,
    swtpm: SoftwareTpm,
    counters: TpmSeal,
}

impl Rig {
    fn new() -> Result<Self, TpmError> {
        let folder = tempfile::tempdir().expect("a folder for temporary files");
        let swtpm = SoftwareTpm::start(&folder.path().join("tpm"))?;
        let mut chip = Chip::open(&swtpm.address())?;
        let base = chip.free_base()?;
        let counters = chip.make_counters(base, DEFAULT_COUNTERS)?;
        Ok(Self { folder, swtpm, counters })
    }

    /// The bare commands of a proof.
    fn commands(&self) -> f64 {
        let mut chip = Chip::open(&self.swtpm.address()).expect("it runs");
        let (key, handle) = (chip.key_handle(), self.counters.base);
        let tpm = chip.tpm();
        let mut one = || {
            let mut session = AuditSession::start(tpm)?;
            session.read_counter(tpm, handle)?;
            session.hash_message(tpm, &[7; 32])?;
            session.increment_counter(tpm, handle)?;
            session.read_counter(tpm, handle)?;
            session.attest(tpm, key, SLOT_TAG)?;
            session.end(tpm)
        };
        Samples::of(PROOFS, || one().expect("a TPM that answers")).median()
    }

    /// Proofs of slots of counter 0, the first one's slot, and what one costs.
    fn proofs(&self) -> (Slot, Vec<(TxId, SlotProof)>, f64) {
        let place = Place::new(self.folder.path().join("wallet"), self.folder.path().join("state"));
        let (machine, unlock) = (HostMachine::new(), Unlock::KeyFile(place.key_file()));
        let (params, entropy) = (KdfParams::WEAK_FOR_TESTS, Entropy::new([1; 32]));
        let software = SoftwareSeal::create(&place, &machine, &unlock, params, entropy);
        let software = software.expect("a folder of our own");
        let address = self.swtpm.address();
        let mut seal = Tpm2Seal::open(&place, software, &address, certificate(self.counters))
            .expect("its own TPM");
        let lock = seal.lock(Time::from_unix(1), &[]).expect("all counters are free");
        let (mut slot, mut proofs) = (lock.slot, Vec::new());
        let samples = Samples::of(PROOFS, || {
            let tx = TxId::new(sha256(&slot.value.to_be_bytes()));
            proofs.push((tx, seal.prove(&slot, &tx).expect("a proof")));
            slot = slot.next().expect("far from its end");
        });
        (lock.slot, proofs, samples.median())
    }
}

/// The signature alone, without what a payee rebuilds: no check can be cheaper.
fn primitive(
    certificate: &SealCertificate,
    slot: &Slot,
    tx: &TxId,
    proof: &SlotProof,
) -> (VerifyingKey, [u8; 32], Signature) {
    let Hardware::Tpm(tpm) = certificate.terms().hardware else { unreachable!("a TPM") };
    let key = VerifyingKey::from_sec1_bytes(tpm.key.as_bytes()).expect("a TPM's key");
    let point = key.to_sec1_point(false);
    let coordinate = |bytes: &[u8]| <[u8; 32]>::try_from(bytes).expect("of P-256");
    let (x, y) = (point.x().expect("affine"), point.y().expect("affine"));
    let name = Name::of(&key_public_area(&coordinate(x), &coordinate(y)));
    let counter = Name::of(&counter_public_area(tpm.base + slot.counter));
    let digest = audit_digest(&counter, slot.value, tx.as_bytes()).expect("far from its end");
    let HardwareProof::TpmAudit(TpmAudit { signature, clock, exclusive }) =
        proof.try_into().expect("a TPM's proof")
    else {
        unreachable!("a TPM's proof")
    };
    let signed = attest(&name, &clock, tpm.firmware, exclusive, &digest);
    (key, sha256(&signed), Signature::from_slice(&signature).expect("a signature"))
}

/// A certificate as an enroller issues it, with the label of a usual chip.
pub fn certificate(seal: TpmSeal) -> SealCertificate {
    let enroller = SecretKey::new([9; 32]).expect("a small scalar is one");
    let terms = SealTerms {
        version: CERTIFICATE_VERSION,
        network: NetworkId::LOCAL,
        hardware: Hardware::Tpm(seal),
        label: SealLabel::new("TPM 2.0 IFX SLB9672").expect("19 printable characters"),
        development: true,
        expires: Time::from_unix(2_000_000_000),
        enroller: enroller.public(),
    };
    SealCertificate::issue(terms, &enroller)
}
