//! Keep a device's key, and keep the device from forking as far as its hardware can.
//!
//! A [`Seal`] signs for a device. This crate holds the trait and the seal that every machine can
//! have, [`software::SoftwareSeal`]: a key encrypted on disk, locked to the machine it was made on,
//! beside a journal that notices when the wallet was set back. It is a lock against theft of the
//! folder and against accidents. Whoever holds the passphrase and patches the program can copy
//! the key and fork; such a fork is detected and proved afterwards, not prevented.
//! [`tpm2::Tpm2Seal`] adds the counters of a TPM 2.0, which prevent it as far as the hardware holds.
//!
//! Nothing here reads a clock or draws randomness: random bytes are passed in as [`Entropy`].

pub mod enroll;
pub mod journal;
pub mod keystore;
pub mod machine;
pub mod software;
pub mod tpm2;
pub mod unlock;

mod error;
mod files;
mod secret;
mod state;

pub use error::{KeyFileFault, SealError};
pub use secret::Entropy;
pub use state::{Counters, SealKind, SealState};

use journal::Rollback;
use tally_core::device::{Entry, Position};
use tally_core::id::{Digest, Head, TxId};
use tally_core::keys::{PublicKey, Signature};
use tally_core::predicate::Sealed;
use tally_core::seal::{SealCertificate, SealIdentity, Slot, SlotProof};
use tally_core::time::Time;
use tpm2::SlotFault;
use zeroize::Zeroizing;

/// What signs for a device, and says how far it keeps the device from forking.
///
/// The order of one payment: the wallet makes its step durable, calls [`Seal::prove`] for each sealed
/// coin, makes durable that all are proved, calls [`Seal::observe`] with the step that it is about to
/// sign, then [`Seal::sign`].
pub trait Seal: Send {
    /// The key that owns the device's coins.
    fn owner_key(&self) -> PublicKey;

    /// Which seal this is, as the device's identity holds it.
    fn identity(&self) -> SealIdentity;

    /// The enrollment of this seal's hardware, which goes into the device's contact card.
    fn certificate(&self) -> Option<&SealCertificate> {
        None
    }

    /// Signs 32 bytes with the owner key. Deterministic (RFC 6979): a retry is the same bytes.
    ///
    /// # Errors
    /// [`SealError`] when the seal's hardware does not answer; a software seal always signs.
    fn sign(&mut self, digest: &Digest) -> Result<Signature, SealError>;

    /// The predicate for a coin that arrives: under a free counter, at the value where it is now,
    /// until `until` or the end of the enrollment. `taken` are the slots of the coins that the
    /// wallet holds and of the payments that it has accepted; one coin a counter.
    ///
    /// # Errors
    /// [`SealError::NoCounters`] when this seal has none; [`SealError::Tpm`] when none is free.
    fn lock(&mut self, until: Time, taken: &[Slot]) -> Result<Sealed, SealError> {
        let _ = (until, taken);
        Err(SealError::NoCounters)
    }

    /// Moves a hardware counter out of `slot`, and proves that it did so for `tx_id`.
    ///
    /// The wallet's own intent is durable before it asks. Asking again for the same transaction
    /// gives the same proof, also after a crash, unless the crash burned the slot.
    ///
    /// # Errors
    /// [`SealError::NoCounters`] when this seal has none; [`SealError::Tpm`] when the slot gives no
    /// proof for this transaction.
    fn prove(&mut self, slot: &Slot, tx_id: &TxId) -> Result<SlotProof, SealError>;

    /// What has become of a slot that is to be left for `tx_id`, without leaving it.
    ///
    /// # Errors
    /// [`SealError::NoCounters`] when this seal has none, or what its hardware answers.
    fn fate(&mut self, slot: &Slot, tx_id: &TxId) -> Result<SlotFate, SealError> {
        let _ = (slot, tx_id);
        Err(SealError::NoCounters)
    }

    /// What this seal is and what it can and cannot stop, in words for its owner.
    fn state(&self) -> SealState;

    /// A 32-byte key for one purpose, the same for the life of the owner key.
    fn derive(&self, purpose: Purpose) -> Zeroizing<[u8; 32]>;

    /// Compares the wallet's latest step with the journal, which lies outside the wallet's folder.
    ///
    /// Anything but [`Rollback::None`] and [`Rollback::FirstUse`] means: do not sign, receive only,
    /// until the wallet knows its latest step from elsewhere and has told it to [`Seal::adopt`].
    fn check(&self, seq: u64, head: &Head) -> Rollback;

    /// Where the journal ends, if there is one that can be read.
    fn journal(&self) -> Option<Position>;

    /// Writes the step that is about to be signed into the journal; durable when this returns. Steps
    /// that wait for a proof are not written: what never gets one was never taken.
    ///
    /// Observing the journal's latest step again changes nothing, so a retry after a crash is safe;
    /// otherwise the journal must be at one of the places before it that the entry names. Entries are
    /// written in the order in which a device makes them.
    ///
    /// # Errors
    /// [`SealError::RolledBack`] when the step is neither of these, or the journal was lost;
    /// [`SealError::Io`] when it cannot be written. Do not sign then.
    fn observe(&mut self, entry: &Entry) -> Result<(), SealError>;

    /// Makes `(seq, head)` the journal's latest step, whatever it held before.
    ///
    /// Only for a wallet that has learned from the notary, its hardware counters or its
    /// counterparties that this *is* its latest step: signing again from an older one is a fork.
    ///
    /// # Errors
    /// [`SealError::Io`] when the journal cannot be written.
    fn adopt(&mut self, seq: u64, head: &Head) -> Result<(), SealError>;
}

/// What has become of a slot, for one transaction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SlotFate {
    /// The counter is at the slot: it can be left.
    Open,
    /// It was left for the transaction, and the proof is at hand.
    Proved,
    /// It gives no proof for it; the coin moves with a signature once its lock ends.
    Lost(SlotFault),
}

/// What a derived key is for. Keys for different purposes are independent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Purpose {
    /// Seed of the key pair with which contacts agree on session keys.
    Kem,
    /// Encrypts the wallet's database.
    Database,
    /// Encrypts the wallet's backups.
    Backup,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 3] = [Self::Kem, Self::Database, Self::Backup];
}
