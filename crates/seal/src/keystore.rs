//! Keep the master secret in one small file, encrypted, and openable in two ways.
//!
//! A random data key encrypts the master secret, and is itself wrapped twice: the *bound* slot
//! opens with the unlock key and both factors of the machine, for daily use; the *rebind* slot
//! opens with the unlock key alone, and only [`rebind`](crate::software::SoftwareSeal::rebind)
//! uses it. `docs/seal-software.md` has the table of the format.
//!
//! [`Keystore::from_bytes`] is pure and takes any bytes.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tally_core::cbor::{Decode, DecodeError, Encode, Reader, Writer};
use tally_core::hash::sha256;
use tally_core::keys::PublicKey;

use crate::machine::{Differs, Fingerprint};
use crate::secret::{Entropy, Key, Label, Wrapped};
use crate::unlock::{KdfParams, Method, Unlock};
use crate::{SealError, SealIdentity};

/// Largest keystore, in bytes.
pub const MAX_KEYSTORE: usize = 1024;

/// First item of every keystore.
const NAME: &str = "tally/v1/keystore";

/// A keystore as it is on disk: nothing in it is secret without passphrase or key file.
#[derive(Clone, PartialEq, Eq)]
pub struct Keystore {
    header: Header,
    bound: Wrapped,
    rebind: Wrapped,
    secret: Wrapped,
    /// Whether a journal was ever written for this keystore, so that its absence means a loss.
    journal: bool,
    mac: [u8; 32],
}

/// What every wrapped key of a keystore is bound to.
#[derive(Clone, PartialEq, Eq)]
struct Header {
    method: Method,
    salt: [u8; 16],
    owner: PublicKey,
    hardware: [u8; 8],
    environment: [u8; 8],
}

impl Keystore {
    /// Reads a keystore of at most [`MAX_KEYSTORE`] bytes. No secret is needed.
    ///
    /// # Errors
    /// [`SealError::Damaged`] when the bytes are not exactly what [`Keystore::to_bytes`] gave.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SealError> {
        if bytes.len() > MAX_KEYSTORE {
            return Err(SealError::damaged(DecodeError::TooLarge));
        }
        let mut r = Reader::new(bytes);
        let (keystore, checked, checksum) =
            r.record(11, |r| decode(r)).map_err(SealError::damaged)?;
        r.finish().map_err(SealError::damaged)?;
        let checked = bytes.get(..checked).unwrap_or_default();
        if sha256(checked) != checksum {
            return Err(SealError::damaged("its checksum does not fit its contents"));
        }
        Ok(keystore)
    }

    /// The keystore's one encoding, about 400 bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.array(11);
        self.encode_content(&mut w);
        self.mac.encode(&mut w);
        let mut bytes = w.into_bytes();
        let mut checksum = Writer::new();
        sha256(&bytes).encode(&mut checksum);
        bytes.extend_from_slice(&checksum.into_bytes());
        bytes
    }

    /// The public key of the owner key inside.
    pub fn owner_key(&self) -> &PublicKey {
        &self.header.owner
    }

    /// The seal identity of every keystore.
    pub const fn identity(&self) -> SealIdentity {
        SealIdentity::Software
    }

    /// Which factors of `fingerprint` are not those the keystore is bound to; none on its machine.
    pub fn differs(&self, fingerprint: &Fingerprint) -> Option<Differs> {
        let Header { salt, hardware, environment, .. } = &self.header;
        match (
            fingerprint.hardware.tag(salt) == *hardware,
            fingerprint.environment.tag(salt) == *environment,
        ) {
            (true, true) => None,
            (false, true) => Some(Differs::Hardware),
            (true, false) => Some(Differs::Environment),
            (false, false) => Some(Differs::Both),
        }
    }

    /// Whether it opens with a key file rather than a passphrase.
    pub fn opens_with_key_file(&self) -> bool {
        self.header.method == Method::KeyFile
    }

    pub(crate) fn journal_expected(&self) -> bool {
        self.journal
    }

    /// A keystore for `master`, bound to the machine with this fingerprint. Takes the time that
    /// `params` says, and makes the key file that `unlock` names when it does not exist.
    pub(crate) fn seal(
        master: &Key,
        unlock: &Unlock,
        params: KdfParams,
        fingerprint: &Fingerprint,
        journal: bool,
        entropy: &Entropy,
    ) -> Result<Self, SealError> {
        let salt = entropy.public(Label::NewSalt);
        let owner = master.signing_key().map_err(SealError::damaged)?.public();
        let header = Header {
            method: unlock.prepare(params, entropy)?,
            salt,
            owner,
            hardware: fingerprint.hardware.tag(&salt),
            environment: fingerprint.environment.tag(&salt),
        };
        let unlocked = unlock.key(header.method, &salt)?;
        let data = entropy.key(Label::NewDataKey);
        let context = header.context();
        let wrap =
            |inner: &Key, outer: &Key, nonce| inner.wrap(outer, entropy.public(nonce), &context);
        let bound_key = bound_key(&unlocked, fingerprint);
        let mut keystore = Self {
            bound: wrap(&data, &bound_key, Label::NewBoundNonce),
            rebind: wrap(&data, &unlocked.expand(Label::Rebind), Label::NewRebindNonce),
            secret: wrap(master, &data, Label::NewSecretNonce),
            header,
            journal,
            mac: [0; 32],
        };
        keystore.mac = keystore.authenticator(master).finalize().into_bytes().into();
        Ok(keystore)
    }

    /// The master secret, on the machine that the keystore is bound to.
    pub(crate) fn open(
        &self,
        unlock: &Unlock,
        fingerprint: &Fingerprint,
    ) -> Result<Key, SealError> {
        if let Some(differs) = self.differs(fingerprint) {
            return Err(SealError::OtherMachine { differs });
        }
        let unlocked = unlock.key(self.header.method, &self.header.salt)?;
        self.open_slot(&self.bound, &bound_key(&unlocked, fingerprint))
    }

    /// The master secret, on any machine.
    pub(crate) fn open_anywhere(&self, unlock: &Unlock) -> Result<Key, SealError> {
        let unlocked = unlock.key(self.header.method, &self.header.salt)?;
        self.open_slot(&self.rebind, &unlocked.expand(Label::Rebind))
    }

    /// The same keystore, which from now on expects a journal.
    pub(crate) fn with_journal(mut self, master: &Key) -> Self {
        self.journal = true;
        self.mac = self.authenticator(master).finalize().into_bytes().into();
        self
    }

    /// The cost of a passphrase guess; the default for a key file, which has none.
    pub(crate) fn params(&self) -> KdfParams {
        match self.header.method {
            Method::Passphrase(params) => params,
            Method::KeyFile => KdfParams::default(),
        }
    }

    fn open_slot(&self, slot: &Wrapped, key: &Key) -> Result<Key, SealError> {
        let context = self.header.context();
        let data = slot.unwrap(key, &context).ok_or(SealError::WrongPassphrase)?;
        let altered = || SealError::damaged("it was altered after it was written");
        let master = self.secret.unwrap(&data, &context).ok_or_else(altered)?;
        self.authenticator(&master).verify_slice(&self.mac).map_err(|_| altered())?;
        Ok(master)
    }

    fn authenticator(&self, master: &Key) -> Hmac<Sha256> {
        let mut w = Writer::new();
        w.array(9);
        self.encode_content(&mut w);
        let mut mac = Hmac::<Sha256>::new_from_slice(master.expand(Label::Keystore).expose())
            .expect("HMAC takes keys of any length");
        mac.update(&w.into_bytes());
        mac
    }

    /// The nine items before authenticator and checksum.
    fn encode_content(&self, w: &mut Writer) {
        self.header.encode_items(w);
        self.bound.encode(w);
        self.rebind.encode(w);
        self.secret.encode(w);
        self.journal.encode(w);
    }
}

impl fmt::Debug for Keystore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keystore")
            .field("owner", &self.header.owner)
            .field("method", &self.header.method)
            .field("journal", &self.journal)
            .finish_non_exhaustive()
    }
}

impl Header {
    /// What the wrapped keys authenticate besides themselves.
    fn context(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.array(5);
        self.encode_items(&mut w);
        w.into_bytes()
    }

    fn encode_items(&self, w: &mut Writer) {
        w.text(NAME);
        self.method.encode(w);
        self.salt.encode(w);
        self.owner.encode(w);
        w.array(2);
        self.hardware.encode(w);
        self.environment.encode(w);
    }
}

fn bound_key(unlocked: &Key, fingerprint: &Fingerprint) -> Key {
    let factors = [unlocked, fingerprint.hardware.key(), fingerprint.environment.key()];
    Key::combine(&factors, Label::Bound)
}

/// The eleven items, with where the checksum's own item starts.
fn decode(r: &mut Reader<'_>) -> Result<(Keystore, usize, [u8; 32]), DecodeError> {
    if r.text(NAME.len())? != NAME {
        return Err(DecodeError::Unknown);
    }
    let (method, salt, owner) = (Decode::decode(r)?, Decode::decode(r)?, Decode::decode(r)?);
    let (hardware, environment) = r.record(2, |r| Ok((Decode::decode(r)?, Decode::decode(r)?)))?;
    let keystore = Keystore {
        header: Header { method, salt, owner, hardware, environment },
        bound: Decode::decode(r)?,
        rebind: Decode::decode(r)?,
        secret: Decode::decode(r)?,
        journal: Decode::decode(r)?,
        mac: Decode::decode(r)?,
    };
    let checked = r.position();
    Ok((keystore, checked, Decode::decode(r)?))
}

#[cfg(test)]
mod tests;
