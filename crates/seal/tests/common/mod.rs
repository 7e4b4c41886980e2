//! A device with a TPM in software, for tests.
#![allow(dead_code)]

pub mod proxy;

use std::time::Duration;

use tally_core::id::{NetworkId, TxId};
use tally_core::keys::SecretKey;
use tally_core::seal::{
    CERTIFICATE_VERSION, Hardware, SealCertificate, SealLabel, SealTerms, TpmSeal,
};
use tally_core::time::Time;
use tally_seal::machine::HostMachine;
use tally_seal::software::{Place, SoftwareSeal};
use tally_seal::tpm2::swtpm::SoftwareTpm;
use tally_seal::tpm2::{Address, Chip, Tpm2Seal};
use tally_seal::unlock::{KdfParams, Unlock};
use tally_seal::{Entropy, SealError};
use tempfile::TempDir;

/// When the tests' locks end.
pub const UNTIL: Time = Time::from_unix(1_900_000_000);

/// A transaction.
pub const fn tx(byte: u8) -> TxId {
    TxId::new([byte; 32])
}

/// Opens what was just let go of: a TPM that another test starts holds every open lock until it is
/// a program of its own.
fn patiently(open: impl Fn() -> Result<SoftwareSeal, SealError>) -> SoftwareSeal {
    for _ in 0..100 {
        match open() {
            Err(SealError::InUse) => std::thread::sleep(Duration::from_millis(10)),
            done => return done.expect("a keystore"),
        }
    }
    open().expect("a keystore")
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
        let swtpm = SoftwareTpm::start(&dir.path().join("tpm")).expect("a TPM in software");
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
            return patiently(|| SoftwareSeal::open(&place, &machine, &unlock));
        }
        let entropy = Entropy::new([0x42; 32]);
        SoftwareSeal::create(&place, &machine, &unlock, KdfParams::WEAK_FOR_TESTS, entropy)
            .expect("a keystore")
    }

    pub fn seal(&self) -> Tpm2Seal {
        self.try_seal().expect("a seal")
    }

    pub fn try_seal(&self) -> Result<Tpm2Seal, SealError> {
        self.seal_at(&self.swtpm.address())
    }

    /// The seal, by another way to its TPM.
    pub fn seal_at(&self, address: &Address) -> Result<Tpm2Seal, SealError> {
        let certificate = certificate(self.counters);
        Tpm2Seal::open(&self.place(), self.software(), address, certificate)
    }
}

/// What an owner can do with a TPM besides proving slots.
pub mod owner {
    use p256::ecdsa::signature::hazmat::PrehashVerifier;
    use p256::ecdsa::{Signature, VerifyingKey};
    use tally_core::hash::sha256;
    use tally_seal::tpm2::{Attested, Chip, TpmError};

    pub const RH_OWNER: u32 = 0x4000_0001;
    pub const RH_LOCKOUT: u32 = 0x4000_000a;
    pub const RH_ENDORSEMENT: u32 = 0x4000_000b;
    pub const AUTHWRITE: u32 = 0x0000_0004;
    pub const COUNTER: u32 = 0x0000_0010;
    pub const EXTEND: u32 = 0x0000_0040;
    pub const AUTHREAD: u32 = 0x0004_0000;
    pub const NO_DA: u32 = 0x0200_0000;
    pub const ORDERLY: u32 = 0x0400_0000;
    pub const COMMON: u32 = AUTHWRITE | AUTHREAD | NO_DA;

    pub fn sized(bytes: &[u8]) -> Vec<u8> {
        let length = u16::try_from(bytes.len()).expect("short").to_be_bytes();
        [&length[..], bytes].concat()
    }

    pub fn define(
        chip: &mut Chip,
        handle: u32,
        attributes: u32,
        size: u16,
    ) -> Result<(), TpmError> {
        let mut public = handle.to_be_bytes().to_vec();
        public.extend([0x00, 0x0b]);
        public.extend(attributes.to_be_bytes());
        public.extend([0, 0]);
        public.extend(size.to_be_bytes());
        let parameters = [sized(&[]), sized(&public)].concat();
        chip.tpm().execute(0x12a, &[RH_OWNER], 1, &parameters).map(|_| ())
    }

    pub fn undefine(chip: &mut Chip, handle: u32) -> Result<(), TpmError> {
        chip.tpm().execute(0x122, &[RH_OWNER, handle], 1, &[]).map(|_| ())
    }

    pub fn clear(chip: &mut Chip) -> Result<(), TpmError> {
        chip.tpm().execute(0x126, &[RH_LOCKOUT], 1, &[]).map(|_| ())
    }

    pub fn increment(chip: &mut Chip, handle: u32) -> Result<(), TpmError> {
        chip.tpm().execute(0x134, &[handle, handle], 1, &[]).map(|_| ())
    }

    pub fn read(chip: &mut Chip, handle: u32) -> Result<u64, TpmError> {
        let value = chip.tpm().execute(0x14e, &[handle, handle], 1, &[0, 8, 0, 0])?;
        Ok(u64::from_be_bytes(value[2..10].try_into().expect("a counter")))
    }

    pub fn extend(chip: &mut Chip, handle: u32, data: &[u8]) -> Result<(), TpmError> {
        chip.tpm().execute(0x136, &[handle, handle], 1, &sized(data)).map(|_| ())
    }

    pub fn write(chip: &mut Chip, handle: u32, data: &[u8]) -> Result<(), TpmError> {
        let parameters = [sized(data), vec![0, 0]].concat();
        chip.tpm().execute(0x137, &[handle, handle], 1, &parameters).map(|_| ())
    }

    /// Sets a hierarchy's password.
    pub fn set_password(chip: &mut Chip, hierarchy: u32, new: &[u8]) {
        chip.tpm().execute(0x129, &[hierarchy], 1, &sized(new)).expect("it had no password");
    }

    /// What NV_Certify says of an index: the Name and the content, for `nonce`.
    #[derive(Debug, PartialEq, Eq, Clone)]
    pub struct Certified {
        pub nonce: Vec<u8>,
        pub name: Vec<u8>,
        pub content: Vec<u8>,
    }

    /// Certifies an index with the attestation key, and checks the signature as a payee would.
    pub fn certify(chip: &mut Chip, handle: u32, size: u16, nonce: &[u8]) -> Certified {
        let mut parameters = sized(nonce);
        parameters.extend([0x00, 0x10]);
        parameters.extend(size.to_be_bytes());
        parameters.extend([0, 0]);
        let handles = [chip.key_handle(), handle, handle];
        let response = chip.tpm().execute(0x184, &handles, 2, &parameters).expect("certified");
        let attested = Attested::read(&response).expect("an attestation");
        let key = VerifyingKey::from_sec1_bytes(chip.key().as_bytes()).expect("a key");
        let signature = Signature::from_slice(&attested.signature).expect("a signature");
        key.verify_prehash(&sha256(&attested.bytes), &signature).expect("the TPM's signature");
        // magic, type, signer, nonce, clock 17, firmware 8, Name, offset 2, content.
        let mut rest = &attested.bytes[6..];
        let mut field = || {
            let length = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
            let (field, behind) = rest[2..].split_at(length);
            rest = behind;
            field.to_vec()
        };
        let (_signer, nonce) = (field(), field());
        rest = &rest[25..];
        let mut field = |skip: usize| {
            let at = &rest[skip..];
            let length = usize::from(u16::from_be_bytes([at[0], at[1]]));
            let (field, behind) = at[2..].split_at(length);
            rest = behind;
            field.to_vec()
        };
        Certified { nonce, name: field(0), content: field(2) }
    }
}
