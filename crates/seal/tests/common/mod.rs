//! A device with a TPM in software, for tests.
#![allow(dead_code)]

use tally_core::id::{NetworkId, TxId};
use tally_core::keys::SecretKey;
use tally_core::seal::{
    CERTIFICATE_VERSION, Hardware, SealCertificate, SealLabel, SealTerms, TpmSeal,
};
use tally_core::time::Time;
use tally_seal::Entropy;
use tally_seal::machine::HostMachine;
use tally_seal::software::{Place, SoftwareSeal};
use tally_seal::tpm2::swtpm::SoftwareTpm;
use tally_seal::tpm2::{Chip, Tpm2Seal};
use tally_seal::unlock::{KdfParams, Unlock};
use tempfile::TempDir;

/// When the tests' locks end.
pub const UNTIL: Time = Time::from_unix(1_900_000_000);

/// A transaction.
pub const fn tx(byte: u8) -> TxId {
    TxId::new([byte; 32])
}

/// The enroller whose word counts in tests.
pub fn enroller() -> SecretKey {
    SecretKey::new([9; 32]).expect("a small scalar is one")
}

/// A certificate by the tests' enroller, without asking the hardware anything.
pub fn certificate(seal: TpmSeal) -> SealCertificate {
    let terms = SealTerms {
        version: CERTIFICATE_VERSION,
        network: NetworkId::LOCAL,
        hardware: Hardware::Tpm(seal),
        label: SealLabel::new("swtpm").expect("short"),
        development: true,
        expires: Time::from_unix(2_000_000_000),
        enroller: enroller().public(),
    };
    SealCertificate::issue(terms, &enroller())
}

/// A TPM in software with counters, and folders for a wallet.
pub struct Scene {
    pub dir: TempDir,
    pub swtpm: SoftwareTpm,
    pub counters: TpmSeal,
}

impl Scene {
    /// One with four counters.
    pub fn new() -> Self {
        Self::with(4)
    }

    /// One with so many counters.
    pub fn with(counters: u16) -> Self {
        let dir = tempfile::tempdir().expect("a folder for temporary files");
        let swtpm = match SoftwareTpm::start(&dir.path().join("tpm")) {
            Ok(swtpm) => swtpm,
            Err(e) => panic!("{e}"),
        };
        let mut chip = Chip::open(&swtpm.address()).expect("a TPM");
        let base = chip.free_base().expect("room");
        let counters = chip.make_counters(base, counters).expect("counters");
        drop(chip);
        Self { dir, swtpm, counters }
    }

    pub fn chip(&self) -> Chip {
        Chip::open(&self.swtpm.address()).expect("a TPM")
    }

    pub fn place(&self) -> Place {
        Place::new(self.dir.path().join("wallet"), self.dir.path().join("state"))
    }

    /// The device's keystore, made when there is none.
    pub fn software(&self) -> SoftwareSeal {
        let (place, machine) = (self.place(), HostMachine::new());
        let unlock = Unlock::KeyFile(place.key_file());
        if place.keystore().exists() {
            return SoftwareSeal::open(&place, &machine, &unlock).expect("a keystore");
        }
        let entropy = Entropy::new([0x42; 32]);
        SoftwareSeal::create(&place, &machine, &unlock, KdfParams::WEAK_FOR_TESTS, entropy)
            .expect("a keystore")
    }

    pub fn seal(&self) -> Tpm2Seal {
        self.try_seal().expect("a seal")
    }

    pub fn try_seal(&self) -> Result<Tpm2Seal, tally_seal::SealError> {
        let certificate = certificate(self.counters);
        Tpm2Seal::open(&self.place(), self.software(), &self.swtpm.address(), certificate)
    }
}
