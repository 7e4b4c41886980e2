//! The device's side: make counters, ask, prove, and receive the certificate.

use std::fs;
use std::path::{Path, PathBuf};

use tally_core::cbor::{DecodeError, from_bytes, to_bytes};
use tally_core::id::NetworkId;
use tally_core::seal::{EnrollmentError, Hardware, SealCertificate, SealId, TpmSeal};
use zeroize::Zeroizing;

use super::message::{Attested, Request, ToDevice, ToEnroller};
use super::{EnrollError, EnrollmentId, MAX_CERTIFICATE_DER, MAX_CHAIN, MAX_MESSAGE};
use crate::secret::Label;
use crate::tpm2::endorsement::certify_counter;
use crate::tpm2::{Chip, Endorsement};
use crate::{Entropy, SealError, files};

/// What is to be enrolled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Want {
    /// A new seal, with as many counters as there is room for up to this.
    New {
        /// Most counters: `DEFAULT_COUNTERS` unless the owner wants otherwise.
        counters: u16,
    },
    /// A seal that was enrolled before: its certificate ends, or the firmware is a newer one.
    Renew(TpmSeal),
}

/// What a device does after a message of the enroller's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Progress {
    /// Send this.
    Send(Vec<u8>),
    /// All is proved; the enroller's owner has to approve it. Send [`Enrollment::message`] again
    /// later.
    Waiting(EnrollmentId),
    /// Enrolled. Store the certificate, then [`Enrollment::finish`].
    Enrolled(SealCertificate),
}

/// An enrollment that this device has begun. It is on disk, so that it goes on after a crash.
#[derive(Debug)]
pub struct Enrollment {
    path: PathBuf,
    request: Request,
}

impl Enrollment {
    /// Makes counters if a new seal is wanted, and a request for it, which goes into a new file at
    /// `path`. `chain` is certificates in DER between the TPM's own and its maker's root, for
    /// enrollers that do not have them. `entropy` is used up.
    ///
    /// # Errors
    /// [`EnrollError::NoCertificate`] when the TPM shows none by its maker;
    /// [`EnrollError::Message`] when `chain` is longer than [`MAX_CHAIN`] or one of it than
    /// [`MAX_CERTIFICATE_DER`]; [`EnrollError::Seal`].
    pub fn begin(
        path: &Path,
        chip: &mut Chip,
        network: NetworkId,
        want: Want,
        chain: Vec<Vec<u8>>,
        entropy: &Entropy,
    ) -> Result<Self, EnrollError> {
        let (_, certificate) = Endorsement::find(chip.tpm())?.ok_or(EnrollError::NoCertificate)?;
        let fits = |der: &Vec<u8>| der.len() <= MAX_CERTIFICATE_DER;
        if chain.len() > MAX_CHAIN || !chain.iter().chain([&certificate]).all(fits) {
            return Err(DecodeError::TooLarge.into());
        }
        let seal = match want {
            Want::New { counters } => {
                let base = chip.free_base()?;
                chip.make_counters(base, counters)?
            }
            Want::Renew(seal) => TpmSeal { firmware: chip.firmware(), ..seal },
        };
        chip.check(&seal)?;
        let nonce = entropy.public(Label::NewRequest);
        let request = Request { network, seal, certificate, chain, nonce };
        files::replace(path, &to_bytes(&request))?;
        Ok(Self { path: path.to_owned(), request })
    }

    /// Goes on with the enrollment at `path`, if one was begun.
    ///
    /// # Errors
    /// [`EnrollError::Seal`] when the file cannot be read or is damaged.
    pub fn resume(path: &Path) -> Result<Option<Self>, EnrollError> {
        let Some(bytes) = files::read(path, MAX_MESSAGE)? else { return Ok(None) };
        let request: Request = from_bytes(&bytes).map_err(SealError::damaged)?;
        Ok(Some(Self { path: path.to_owned(), request }))
    }

    /// Its number, which the enroller's owner approves it by.
    pub fn id(&self) -> EnrollmentId {
        self.request.id()
    }

    /// The seal that it is for: known before it is enrolled.
    pub fn seal(&self) -> SealId {
        Hardware::Tpm(self.request.seal).seal()
    }

    /// The message to begin with, and to ask again with after a break of any kind.
    pub fn message(&self) -> Vec<u8> {
        ToEnroller::Request(self.request.clone()).to_bytes()
    }

    /// Takes the enroller's answer. A certificate that it gives is for this seal and signed by the
    /// enroller that it names; whether that is the one that was asked is for the caller to see.
    ///
    /// # Errors
    /// [`EnrollError::Refused`] with the enroller's words; [`EnrollError::Message`],
    /// [`EnrollError::Enrollment`] or [`EnrollError::Unknown`] when the answer is none to this;
    /// [`EnrollError::Credential`] when the credential is not for this TPM; [`EnrollError::Seal`].
    pub fn answer(&self, chip: &mut Chip, answer: &[u8]) -> Result<Progress, EnrollError> {
        match ToDevice::read(answer)? {
            ToDevice::Challenge { id, nonce, blob, seed } if id == self.id() => {
                self.prove(chip, &nonce, &blob, &seed).map(Progress::Send)
            }
            ToDevice::Waiting { id } if id == self.id() => Ok(Progress::Waiting(id)),
            ToDevice::Challenge { .. } | ToDevice::Waiting { .. } => Err(EnrollError::Unknown),
            ToDevice::Refused { code, why } => Err(EnrollError::Refused { code, why }),
            ToDevice::Certificate(certificate) => {
                certificate.check(self.request.network)?;
                if certificate.terms().hardware != Hardware::Tpm(self.request.seal) {
                    return Err(EnrollmentError::Signature.into());
                }
                Ok(Progress::Enrolled(certificate))
            }
        }
    }

    /// Runs the whole enrollment over `ask`, which sends a message and gives its answer. Ends with
    /// a certificate, or when the enroller's owner has to approve it.
    ///
    /// # Errors
    /// As [`Enrollment::answer`], and those of `ask`.
    pub fn run<E: From<EnrollError>>(
        &self,
        chip: &mut Chip,
        mut ask: impl FnMut(&[u8]) -> Result<Vec<u8>, E>,
    ) -> Result<Progress, E> {
        /// Request and proof, and both again if the challenge was over.
        const ROUNDS: usize = 4;
        let mut message = self.message();
        for _ in 0..ROUNDS {
            match self.answer(chip, &ask(&message)?)? {
                Progress::Send(next) => message = next,
                end => return Ok(end),
            }
        }
        Err(EnrollError::Unknown.into())
    }

    /// Removes the enrollment's file, once its certificate is stored elsewhere.
    ///
    /// # Errors
    /// [`EnrollError::Seal`] when it cannot be removed.
    pub fn finish(self) -> Result<(), EnrollError> {
        let removed = fs::remove_file(&self.path);
        Ok(removed.map_err(SealError::io("remove", &self.path))?)
    }

    /// Gives up: deletes the counters that were made for it, and its file.
    ///
    /// # Errors
    /// [`EnrollError::Seal`].
    pub fn abandon(self, chip: &mut Chip) -> Result<(), EnrollError> {
        chip.delete_counters(&self.request.seal)?;
        self.finish()
    }

    fn prove(
        &self,
        chip: &mut Chip,
        nonce: &[u8; 32],
        blob: &[u8],
        seed: &[u8],
    ) -> Result<Vec<u8>, EnrollError> {
        let (kind, _) = Endorsement::find(chip.tpm())?.ok_or(EnrollError::NoCertificate)?;
        let opened = kind.activate(chip, blob, seed)?.map(Zeroizing::new);
        let secret = opened.and_then(|s| <[u8; 32]>::try_from(s.as_slice()).ok());
        let secret = Zeroizing::new(secret.ok_or(EnrollError::Credential)?);
        let seal = &self.request.seal;
        let counters = (0..u32::from(seal.counters)).map(|counter| {
            let said = certify_counter(chip, seal, counter, nonce)?;
            let (value, clock, signature) = (said.value, said.clock, said.signature);
            Ok(Attested { value, clock, signature })
        });
        let counters: Result<Vec<Attested>, EnrollError> = counters.collect();
        Ok(ToEnroller::Proof { id: self.id(), secret, counters: counters? }.to_bytes())
    }
}
