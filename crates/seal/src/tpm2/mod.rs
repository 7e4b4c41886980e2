//! Prove with a TPM 2.0 that one value of a counter was left for one transaction.
//!
//! In one audit session the TPM reads a counter, hashes the transaction's number, increments the
//! counter and reads it again; then it signs the digest of exactly these four commands. A command
//! belongs to one audit session, and a counter never shows a value twice, so there is one
//! transaction for each value: `spec/seal.md` has the rules, `docs/seals.md` the assumptions, and
//! `verify_slot` of `tally-core` is how anyone checks it.
//!
//! [`Chip`] is a TPM with its attestation key and counters, [`Tpm2Seal`] a device's seal made of
//! it, [`Tpm`] the bare TPM.
//!
//! ```no_run
//! use tally_seal::tpm2::{Address, Chip, DEFAULT_COUNTERS};
//!
//! # fn main() -> Result<(), tally_seal::tpm2::TpmError> {
//! let mut chip = Chip::open(&Address::default())?;
//! let base = chip.free_base()?;
//! let seal = chip.make_counters(base, DEFAULT_COUNTERS)?;
//! assert!(chip.value(&seal, 0)? > 0);
//! # Ok(())
//! # }
//! ```

pub mod audit;
mod away;
mod chip;
pub(crate) mod endorsement;
mod error;
mod seal;
mod session;
mod slots;
pub mod swtpm;
mod tpm;
mod transport;
mod wire;

pub(crate) use endorsement::Endorsement;

pub use away::AwayTpm;
pub use chip::{Chip, DEFAULT_COUNTERS};
pub use error::{SlotFault, TpmError};
pub use seal::Tpm2Seal;
pub use session::{Attested, AuditSession};
pub use tpm::Tpm;
pub use transport::{Address, MAX_MESSAGE};
