//! What proves slots for a payer in a measurement: a TPM in software, or what one proved before.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;

use serde_json::{Value as Json, json};
use tally_core::cbor::{from_bytes, to_bytes};
use tally_core::id::TxId;
use tally_core::seal::{AttestationKey, SealCertificate, Slot, SlotProof, TpmSeal};
use tally_core::time::Time;
use tally_seal::machine::HostMachine;
use tally_seal::software::{Place, SoftwareSeal};
use tally_seal::tpm2::swtpm::SoftwareTpm;
use tally_seal::tpm2::{Chip as Tpm, Tpm2Seal, TpmError};
use tally_seal::unlock::{KdfParams, Unlock};
use tally_seal::{Entropy, Seal};
use tally_testkit::Chip;
use tempfile::TempDir;

use crate::seals::certificate;

/// Written by the test `the_recorded_proofs_are_of_todays_payments`.
const RECORDED: &str = include_str!("../recorded/sealed-payments.json");

/// A payer's hardware. Whoever clones it has the same, not another.
#[derive(Clone)]
pub struct Hardware {
    certificate: SealCertificate,
    first: Slot,
    prover: Rc<RefCell<Prover>>,
}

struct Prover {
    source: Source,
    proved: Vec<SlotProof>,
}

/// A seal, and what has to stay there with it.
struct Live {
    seal: Tpm2Seal,
    _swtpm: SoftwareTpm,
    _folder: TempDir,
}

/// Where proofs come from.
enum Source {
    /// A TPM in software that runs; intent and proof are durable.
    Live(Box<Live>),
    /// Proofs of payments that are the same each time.
    Recorded(VecDeque<SlotProof>),
}

impl Hardware {
    /// A TPM in software of its own.
    ///
    /// # Errors
    /// [`TpmError::Absent`] with the script that installs it, when it is not installed.
    pub fn live() -> Result<Self, TpmError> {
        let folder = tempfile::tempdir().expect("a folder for temporary files");
        let swtpm = SoftwareTpm::start(&folder.path().join("tpm"))?;
        let mut chip = Tpm::open(&swtpm.address())?;
        let base = chip.free_base()?;
        let certificate = certificate(chip.make_counters(base, 1)?);
        drop(chip);
        let place = Place::new(folder.path().join("wallet"), folder.path().join("state"));
        let (machine, unlock) = (HostMachine::new(), Unlock::KeyFile(place.key_file()));
        let (params, entropy) = (KdfParams::WEAK_FOR_TESTS, Entropy::new([1; 32]));
        let software = SoftwareSeal::create(&place, &machine, &unlock, params, entropy)
            .expect("a folder of our own");
        let mut seal = Tpm2Seal::open(&place, software, &swtpm.address(), certificate.clone())
            .expect("its own TPM");
        let first = seal.lock(Time::from_unix(1), &[]).expect("a free counter").slot;
        let live = Live { seal, _swtpm: swtpm, _folder: folder };
        Ok(Self::of(certificate, first, Source::Live(Box::new(live))))
    }

    /// The proofs that a TPM in software made of the payments in [`crate::sizes`].
    pub fn recorded() -> Self {
        let all: Json = serde_json::from_str(RECORDED).expect("JSON");
        let bytes = |json: &Json| unhex(json.as_str().expect("text"));
        let certificate: SealCertificate =
            from_bytes(&bytes(&all["certificate"])).expect("a certificate");
        let proofs = all["proofs"].as_array().expect("a list").iter();
        let proofs = proofs.map(|p| SlotProof::new(bytes(p)).expect("short")).collect();
        let first = certificate.slot(0, all["first"].as_u64().expect("a number"));
        Self::of(certificate, first, Source::Recorded(proofs))
    }

    /// A chip of a payee, with as many counters as there may be; nobody ever asks it for a proof.
    pub fn receiving() -> Chip {
        let key = AttestationKey::from_coordinates(&[5; 32], &[5; 32]);
        let seal = TpmSeal { key, base: 0x0180_7a00, counters: 256, firmware: 0x000f_0016 };
        Chip::proved_by(certificate(seal), 1000, |_, _| unreachable!("its owner is paid only"))
    }

    fn of(certificate: SealCertificate, first: Slot, source: Source) -> Self {
        let prover = Rc::new(RefCell::new(Prover { source, proved: Vec::new() }));
        Self { certificate, first, prover }
    }

    /// Its enrollment.
    pub const fn certificate(&self) -> &SealCertificate {
        &self.certificate
    }

    /// The slot that its first counter was at in the beginning.
    pub const fn slot(&self) -> Slot {
        self.first
    }

    /// A chip in whose place it proves.
    pub fn chip(&self) -> Chip {
        let hardware = self.clone();
        Chip::proved_by(self.certificate.clone(), self.first.value, move |slot, tx| {
            hardware.prove(slot, tx)
        })
    }

    /// Leaves the slot that the counter is at for a transaction.
    pub fn prove(&self, slot: &Slot, tx: &TxId) -> SlotProof {
        let mut prover = self.prover.borrow_mut();
        let Prover { source, proved } = &mut *prover;
        let proof = match source {
            Source::Live(live) => live.seal.prove(slot, tx).expect("the counter is there"),
            Source::Recorded(proofs) => proofs.pop_front().expect("as many as are asked for"),
        };
        proved.push(proof.clone());
        proof
    }

    /// All that was proved, to be recorded.
    pub fn to_record(&self) -> String {
        let prover = self.prover.borrow();
        let proofs: Vec<String> = prover.proved.iter().map(|p| hex(p.as_bytes())).collect();
        let all = json!({
            "about": "Proofs of the sealed payments of tests/sealed.rs, in order, by a TPM in software.",
            "certificate": hex(&to_bytes(&self.certificate)), "first": self.first.value, "proofs": proofs,
        });
        serde_json::to_string_pretty(&all).expect("JSON") + "\n"
    }
}

impl fmt::Debug for Hardware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hardware").field("first", &self.first).finish_non_exhaustive()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
    (0..text.len()).step_by(2).map(byte).collect()
}
