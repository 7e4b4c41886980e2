//! What proves slots for a person in a measurement: a TPM in software, or what one proved before.

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
use tally_seal::tpm2::{Chip, Tpm2Seal, TpmError};
use tally_seal::unlock::{KdfParams, Unlock};
use tally_seal::{Entropy, Seal};
use tempfile::TempDir;

use crate::seals::certificate;

/// Written by the test `the_recorded_proofs_are_of_todays_payments`.
const RECORDED: &str = include_str!("../recorded/sealed-payments.json");

/// A person's hardware. Whoever clones it has the same, not another.
#[derive(Clone)]
pub struct Hardware(Rc<RefCell<Inner>>);

struct Inner {
    certificate: SealCertificate,
    next: Slot,
    proved: Vec<SlotProof>,
    source: Source,
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
    /// Nowhere: its owner is paid only.
    Nowhere,
}

impl Hardware {
    /// A TPM in software of its own.
    ///
    /// # Errors
    /// [`TpmError::Absent`] with the script that installs it, when it is not installed.
    pub fn live() -> Result<Self, TpmError> {
        let folder = tempfile::tempdir().expect("a folder for temporary files");
        let swtpm = SoftwareTpm::start(&folder.path().join("tpm"))?;
        let mut chip = Chip::open(&swtpm.address())?;
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
        let next = seal.lock(Time::from_unix(1), &[]).expect("a free counter").slot;
        let live = Live { seal, _swtpm: swtpm, _folder: folder };
        Ok(Self::of(certificate, next, Source::Live(Box::new(live))))
    }

    /// The proofs that a TPM in software made of the payments in [`crate::sizes`].
    pub fn recorded() -> Self {
        let all: Json = serde_json::from_str(RECORDED).expect("JSON");
        let bytes = |json: &Json| unhex(json.as_str().expect("text"));
        let certificate: SealCertificate =
            from_bytes(&bytes(&all["certificate"])).expect("a certificate");
        let proofs = all["proofs"].as_array().expect("a list").iter();
        let proofs = proofs.map(|p| SlotProof::new(bytes(p)).expect("short")).collect();
        let next = certificate.slot(0, all["first"].as_u64().expect("a number"));
        Self::of(certificate, next, Source::Recorded(proofs))
    }

    /// Hardware of a payee, with as many counters as there may be; nobody ever asks it for a proof.
    pub fn receiving() -> Self {
        let key = AttestationKey::from_coordinates(&[5; 32], &[5; 32]);
        let seal = TpmSeal { key, base: 0x0180_7a00, counters: 256, firmware: 0x000f_0016 };
        let certificate = certificate(seal);
        let next = certificate.slot(0, 1000);
        Self::of(certificate, next, Source::Nowhere)
    }

    fn of(certificate: SealCertificate, next: Slot, source: Source) -> Self {
        Self(Rc::new(RefCell::new(Inner { certificate, next, proved: Vec::new(), source })))
    }

    /// Its enrollment.
    pub fn certificate(&self) -> SealCertificate {
        self.0.borrow().certificate.clone()
    }

    /// The slot that its first counter is at.
    pub fn slot(&self) -> Slot {
        self.0.borrow().next
    }

    /// A slot of a counter that no coin is under yet.
    pub fn free(&self) -> Slot {
        let mut inner = self.0.borrow_mut();
        let slot = inner.next;
        inner.next.counter += 1;
        slot
    }

    /// Leaves the slot that the counter is at for a transaction.
    pub fn prove(&self, slot: &Slot, tx: &TxId) -> SlotProof {
        let mut inner = self.0.borrow_mut();
        let proof = match &mut inner.source {
            Source::Live(live) => live.seal.prove(slot, tx).expect("the counter is there"),
            Source::Recorded(proofs) => proofs.pop_front().expect("as many as are asked for"),
            Source::Nowhere => unreachable!("its owner is paid only"),
        };
        inner.proved.push(proof.clone());
        inner.next = slot.next().expect("far from its end");
        proof
    }

    /// All that was proved, to be recorded.
    pub fn to_record(&self, first: Slot) -> String {
        let inner = self.0.borrow();
        let proofs: Vec<String> = inner.proved.iter().map(|p| hex(p.as_bytes())).collect();
        let all = json!({
            "about": "Proofs of the sealed payments of tests/sealed.rs, in order, by a TPM in software.",
            "certificate": hex(&to_bytes(&inner.certificate)), "first": first.value, "proofs": proofs,
        });
        serde_json::to_string_pretty(&all).expect("JSON") + "\n"
    }
}

impl fmt::Debug for Hardware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hardware").field("next", &self.slot()).finish_non_exhaustive()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
    (0..text.len()).step_by(2).map(byte).collect()
}
