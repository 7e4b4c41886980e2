//! Enroll a TPM as a seal: an enroller looks at it once, with a connection, and signs a certificate.
//!
//! What the enroller makes sure of, in this order: a chain of X.509 certificates from the TPM's
//! endorsement key to a hardware maker's root that its owner put there ([`Enroller::trust`]); that
//! the attestation key is in that very TPM, restricted and fixed to it (it makes a credential for
//! the two keys, which the TPM activates); and that this key attests every counter, at its handle,
//! with the attributes of a seal's counter. Then it issues a `SealCertificate`.
//!
//! | device | enroller |
//! |---|---|
//! | [`Enrollment::begin`] makes the counters, and remembers its request | |
//! | request → | checks the chain, remembers and sends a challenge |
//! | ← challenge; [`Enrollment::answer`] activates the credential and attests the counters | |
//! | proof → | checks it; issues, or waits for [`Enroller::approve`] |
//! | ← certificate, or *waiting*: [`Enrollment::message`] asks again later | |
//!
//! Every message is a byte string of at most [`MAX_MESSAGE`] bytes and goes over any channel, or as
//! files; each can be sent again, and gets the same answer. Each side's state is on disk before its
//! message is out, so that a crash on either side loses nothing but time.
//!
//! A TPM in software can be copied, so it is no seal. [`Settings::allow_software_tpm`] lets one be
//! enrolled on a development network (`NetworkId::is_development`), for tests: its certificate
//! says `development` ever after, its tier's text says that it can be copied, and no other network
//! accepts it.
//!
//! ```
//! use tally_core::id::NetworkId;
//! use tally_core::time::Time;
//! use tally_seal::enroll::{Enroller, Settings};
//! use tally_seal::machine::HostMachine;
//! use tally_seal::unlock::{KdfParams, Unlock};
//! use tally_seal::Entropy;
//!
//! # fn main() -> Result<(), tally_seal::enroll::EnrollError> {
//! # let folder = tempfile::tempdir().expect("a folder");
//! # let dir = folder.path().join("enroller");
//! let unlock = Unlock::KeyFile(dir.join("keystore.key"));
//! let settings = Settings::new(NetworkId::LOCAL);
//! // Both from the system's random generator.
//! let (entropy, fresh) = (Entropy::new([0x42; 32]), Entropy::new([0x43; 32]));
//! let (machine, params) = (HostMachine::new(), KdfParams::default());
//! let mut enroller = Enroller::init(&dir, &machine, &unlock, params, settings, entropy)?;
//! // enroller.trust(&std::fs::read("maker-root.pem")?, Trust::Hardware)?;
//! let answer = enroller.answer(b"what a device sent", Time::from_unix(1_800_000_000), fresh)?;
//! assert_eq!(answer.refused(), Some("ENROLL_MESSAGE"));
//! # Ok(())
//! # }
//! ```

mod authority;
mod counters;
mod credential;
mod device;
mod enroller;
mod error;
mod ledger;
mod message;

#[cfg(test)]
mod tests;

pub use authority::{Authority, Trust};
pub use device::{Enrollment, Progress, Want};
pub use enroller::{
    Answer, Approval, Candidate, DEFAULT_LIFETIME, Enroller, MAX_OPEN_FOR, Settings,
};
pub use error::EnrollError;
pub use ledger::{Issued, MAX_AUTHORITIES, MAX_ISSUED, MAX_OPEN};
pub use message::{
    EnrollmentId, MAX_CERTIFICATE_DER, MAX_CHAIN, MAX_MESSAGE, rewritten_answer, rewritten_message,
};
