//! Seal a device with a key in an encrypted file, on any machine.
//!
//! The key lies in the wallet's folder, see [`keystore`](crate::keystore); the journal that
//! notices a wallet set back lies outside of it, see [`journal`](crate::journal).

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tally_core::cbor::to_bytes;
use tally_core::device::{Entry, Position};
use tally_core::hash::sha256;
use tally_core::id::{Digest, Head, TxId};
use tally_core::keys::{PublicKey, SecretKey, Signature};
use tally_core::seal::{SealIdentity, Slot, SlotProof};
use zeroize::Zeroizing;

use crate::files::{self, Lock};
use crate::journal::{Journal, Rollback};
use crate::keystore::{Keystore, MAX_KEYSTORE};
use crate::machine::{Fingerprint, Machine};
use crate::secret::{Key, Label};
use crate::unlock::{KdfParams, Unlock};
use crate::{Entropy, Purpose, Seal, SealError, SealState};

/// Where a software seal keeps its files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    dir: PathBuf,
    state: PathBuf,
}

impl Place {
    /// `dir` is the wallet's folder; `state` is a folder outside of it that backups of the wallet
    /// leave out (on Linux `$XDG_STATE_HOME/tally`). Both are made when missing, for their owner
    /// only.
    pub fn new(dir: impl Into<PathBuf>, state: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), state: state.into() }
    }

    /// The keystore, in the wallet's folder.
    pub fn keystore(&self) -> PathBuf {
        self.dir.join("keystore")
    }

    /// Where a key file goes when the owner names no other place: beside the keystore.
    pub fn key_file(&self) -> PathBuf {
        self.dir.join("keystore.key")
    }

    /// The journal of the device with this owner key.
    pub fn journal(&self, owner: &PublicKey) -> PathBuf {
        self.in_state(owner, "journal")
    }

    /// Where the wallet of this owner key counts the changes that it has written.
    pub fn count(&self, owner: &PublicKey) -> PathBuf {
        self.in_state(owner, "count")
    }

    pub(crate) fn in_state(&self, owner: &PublicKey, extension: &str) -> PathBuf {
        let name = Digest::new(sha256(&to_bytes(owner))).to_string();
        self.state.join(format!("{}.{extension}", &name[..16]))
    }
}

/// A seal in software: the owner key, opened, and its journal.
///
/// While one exists, no other process can open the same folder, nor a copy of it that uses the
/// same state folder.
///
/// ```
/// use tally_core::device::{Entry, Position};
/// use tally_core::id::{Digest, Head};
/// use tally_seal::machine::HostMachine;
/// use tally_seal::software::{Place, SoftwareSeal};
/// use tally_seal::unlock::{KdfParams, Unlock};
/// use tally_seal::{Entropy, Seal};
///
/// # fn main() -> Result<(), tally_seal::SealError> {
/// # let folder = tempfile::tempdir().expect("a folder");
/// let place = Place::new(folder.path().join("wallet"), folder.path().join("state"));
/// let unlock = Unlock::KeyFile(place.key_file());
/// // From the system's random generator.
/// let entropy = Entropy::new([0x42; 32]);
/// let params = KdfParams::default();
/// let mut seal = SoftwareSeal::create(&place, &HostMachine::new(), &unlock, params, entropy)?;
///
/// let at = |seq| Position { seq, head: Head::new([1; 32]) };
/// seal.observe(&Entry { to: at(1), from: vec![at(0)] })?;
/// let digest = Digest::new([7; 32]);
/// let signature = seal.sign(&digest)?;
/// assert!(seal.owner_key().verify(&digest, &signature));
/// # Ok(())
/// # }
/// ```
pub struct SoftwareSeal {
    master: Key,
    owner: SecretKey,
    keystore: Keystore,
    fingerprint: Fingerprint,
    journal: Journal,
    path: PathBuf,
    locks: Held,
}

impl SoftwareSeal {
    /// Makes a new owner key from `entropy`, and its keystore in a folder that has none.
    ///
    /// # Errors
    /// [`SealError::Exists`] when there is a keystore, [`SealError::InUse`], [`SealError::KeyFile`],
    /// [`SealError::Io`].
    pub fn create(
        place: &Place,
        machine: &dyn Machine,
        unlock: &Unlock,
        params: KdfParams,
        entropy: Entropy,
    ) -> Result<Self, SealError> {
        let opening = Opening::anew(place, machine)?;
        opening.write(entropy.key(Label::NewMaster), unlock, params, false, &entropy)
    }

    /// Opens the keystore, on the machine that it is bound to.
    ///
    /// # Errors
    /// [`SealError::OtherMachine`], [`SealError::WrongPassphrase`], [`SealError::Unlock`],
    /// [`SealError::KeyFile`], [`SealError::Damaged`], [`SealError::Missing`],
    /// [`SealError::InUse`], [`SealError::Io`].
    pub fn open(place: &Place, machine: &dyn Machine, unlock: &Unlock) -> Result<Self, SealError> {
        let (opening, keystore) = Opening::begin(place, machine)?;
        let master = keystore.open(unlock, &opening.fingerprint)?;
        opening.finish(master, keystore)
    }

    /// Opens the keystore on any machine, and binds it to this one.
    ///
    /// The journal does not move along, so [`Seal::check`] says [`Rollback::Missing`] if the wallet
    /// ever took a step: it may be an old copy, and must not sign before it knows its latest step.
    ///
    /// # Errors
    /// As for [`SoftwareSeal::open`], but for [`SealError::OtherMachine`].
    pub fn rebind(
        place: &Place,
        machine: &dyn Machine,
        unlock: &Unlock,
        entropy: Entropy,
    ) -> Result<Self, SealError> {
        let (opening, keystore) = Opening::begin(place, machine)?;
        let master = keystore.open_anywhere(unlock)?;
        let expected = keystore.journal_expected();
        opening.write(master, unlock, keystore.params(), expected, &entropy)
    }

    /// Opens the keystore with `old`, and writes it anew for `new`: another passphrase, another
    /// cost, a key file instead of a passphrase or the reverse.
    ///
    /// Copies of the old file still open with `old`. A key file that is no longer needed is left
    /// for the caller to delete.
    ///
    /// # Errors
    /// As for [`SoftwareSeal::open`].
    pub fn change_passphrase(
        place: &Place,
        machine: &dyn Machine,
        old: &Unlock,
        new: &Unlock,
        params: KdfParams,
        entropy: Entropy,
    ) -> Result<Self, SealError> {
        let (opening, keystore) = Opening::begin(place, machine)?;
        let master = keystore.open(old, &opening.fingerprint)?;
        opening.write(master, new, params, keystore.journal_expected(), &entropy)
    }

    /// The owner's key, for an agent that signs inside its turns.
    pub const fn owner(&self) -> &SecretKey {
        &self.owner
    }

    /// What keeps every other process out: the seal's locks, which last until this is dropped too.
    pub fn held(&self) -> Held {
        self.locks.clone()
    }

    /// The master secret, of which every key is made: only for a backup, which encrypts it.
    pub fn export(&self) -> Zeroizing<[u8; 32]> {
        self.master.clone().into_bytes()
    }

    /// Makes a keystore for a master secret that came out of a backup, in a folder that has none.
    ///
    /// It expects a journal: unless this machine still has the one that fits, [`Seal::check`] says
    /// [`Rollback::Missing`], and the wallet must not sign before it knows its latest step.
    ///
    /// # Errors
    /// As for [`SoftwareSeal::create`]; [`SealError::Damaged`] when `secret` can be no owner's.
    pub fn import(
        place: &Place,
        machine: &dyn Machine,
        unlock: &Unlock,
        params: KdfParams,
        entropy: Entropy,
        secret: &Zeroizing<[u8; 32]>,
    ) -> Result<Self, SealError> {
        let opening = Opening::anew(place, machine)?;
        opening.write(Key::new(**secret), unlock, params, true, &entropy)
    }

    /// Lets the keystore expect the journal, once there is one.
    fn expect_journal(&mut self) -> Result<(), SealError> {
        if self.keystore.journal_expected() {
            return Ok(());
        }
        let flagged = self.keystore.clone().with_journal(&self.master);
        files::replace(&self.path, &flagged.to_bytes())?;
        self.keystore = flagged;
        Ok(())
    }
}

impl Seal for SoftwareSeal {
    fn owner_key(&self) -> PublicKey {
        self.keystore.owner_key().clone()
    }

    fn identity(&self) -> SealIdentity {
        self.keystore.identity()
    }

    fn sign(&mut self, digest: &Digest) -> Result<Signature, SealError> {
        Ok(self.owner.sign(digest))
    }

    fn prove(&mut self, _: &Slot, _: &TxId) -> Result<SlotProof, SealError> {
        Err(SealError::NoCounters)
    }

    fn state(&self) -> SealState {
        SealState::software(self.keystore.opens_with_key_file(), &self.fingerprint)
    }

    fn derive(&self, purpose: Purpose) -> Zeroizing<[u8; 32]> {
        self.master.expand(Label::For(purpose)).into_bytes()
    }

    fn check(&self, seq: u64, head: &Head) -> Rollback {
        self.journal.check(self.keystore.journal_expected(), seq, head)
    }

    fn journal(&self) -> Option<Position> {
        self.journal.end()
    }

    fn observe(&mut self, entry: &Entry) -> Result<(), SealError> {
        self.journal.observe(self.keystore.journal_expected(), entry)?;
        self.expect_journal()
    }

    fn adopt(&mut self, seq: u64, head: &Head) -> Result<(), SealError> {
        self.journal.adopt(seq, head)?;
        self.expect_journal()
    }
}

impl fmt::Debug for SoftwareSeal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SoftwareSeal")
            .field("owner", self.keystore.owner_key())
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// The locks of an open seal: of its folder and of its device.
#[derive(Clone, Debug)]
pub struct Held(#[expect(dead_code, reason = "it is held, and never looked at")] Arc<[Lock; 2]>);

/// A seal that is about to be opened: its folder is locked.
struct Opening<'a> {
    place: &'a Place,
    folder: Lock,
    fingerprint: Fingerprint,
}

impl<'a> Opening<'a> {
    /// A folder that is to get its first keystore.
    fn anew(place: &'a Place, machine: &dyn Machine) -> Result<Self, SealError> {
        files::make_dir(&place.dir)?;
        let folder = Lock::folder(&place.dir)?;
        let path = place.keystore();
        if files::read(&path, 0)?.is_some() {
            return Err(SealError::Exists { path });
        }
        Ok(Self { place, folder, fingerprint: machine.fingerprint() })
    }

    fn begin(place: &'a Place, machine: &dyn Machine) -> Result<(Self, Keystore), SealError> {
        let path = place.keystore();
        if !path.exists() {
            return Err(SealError::Missing { path });
        }
        let folder = Lock::folder(&place.dir)?;
        let keystore = read_keystore(&path)?;
        Ok((Self { place, folder, fingerprint: machine.fingerprint() }, keystore))
    }

    /// Writes a new keystore for `master`, and opens it.
    fn write(
        self,
        master: Key,
        unlock: &Unlock,
        params: KdfParams,
        journal: bool,
        entropy: &Entropy,
    ) -> Result<SoftwareSeal, SealError> {
        let keystore =
            Keystore::seal(&master, unlock, params, &self.fingerprint, journal, entropy)?;
        let bytes = keystore.to_bytes();
        let path = self.place.keystore();
        let seal = self.finish(master, keystore)?;
        files::replace(&path, &bytes)?;
        Ok(seal)
    }

    fn finish(self, master: Key, keystore: Keystore) -> Result<SoftwareSeal, SealError> {
        let owner = master.signing_key().map_err(SealError::damaged)?;
        files::make_dir(&self.place.state)?;
        let device = Lock::file(&self.place.in_state(keystore.owner_key(), "lock"))?;
        let path = self.place.journal(keystore.owner_key());
        let journal = Journal::open(&path, master.expand(Label::Journal))?;
        Ok(SoftwareSeal {
            master,
            owner,
            keystore,
            fingerprint: self.fingerprint,
            journal,
            path: self.place.keystore(),
            locks: Held(Arc::new([self.folder, device])),
        })
    }
}

fn read_keystore(path: &Path) -> Result<Keystore, SealError> {
    let bytes = files::read(path, MAX_KEYSTORE)?
        .ok_or_else(|| SealError::Missing { path: path.to_owned() })?;
    Keystore::from_bytes(&bytes)
}

#[cfg(test)]
mod tests;
