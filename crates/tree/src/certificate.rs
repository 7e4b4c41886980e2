//! Proofs that a tree holds a leaf, or that it holds none under a key.

use crate::hash::leaf_hash;
use crate::path::{MAX_PATH_BYTES, Path};
use crate::types::{Digest, Key, Value};
use alloc::vec::Vec;

/// The most bytes an encoded certificate of either kind takes.
pub const MAX_CERTIFICATE_BYTES: usize = MAX_PATH_BYTES + 64;

/// Why a certificate was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Structural: the bytes are not a bitmap with one sibling for each bit set.
    #[error("these {0} bytes are not a certificate; ask for it again")]
    Length(usize),
    /// The certificate leads to another root.
    #[error(
        "the certificate belongs to another root, key or value; ask for one under the root you have"
    )]
    RootMismatch,
    /// An exclusion certificate shows the very key that it should exclude.
    #[error("the certificate shows that the key is present")]
    KeyPresent,
    /// An exclusion certificate shows a leaf to which the bits of the key do not lead.
    #[error("the certificate is for another key; ask for one for this key")]
    WrongPath,
}

impl CertificateError {
    /// A stable name for programs and logs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Length(_) => "CERTIFICATE_LENGTH",
            Self::RootMismatch => "CERTIFICATE_ROOT_MISMATCH",
            Self::KeyPresent => "CERTIFICATE_KEY_PRESENT",
            Self::WrongPath => "CERTIFICATE_WRONG_PATH",
        }
    }
}

/// Shows that a tree with a given root holds a leaf: `bitmap[32] ‖ sibling[32] * n`, 32 + 32 n
/// bytes (TREE-6).
///
/// In a tree of N random keys n is about log2 N + 0.33 on average: 427 bytes for 4,096 leaves, 682
/// for a million.
///
/// It names neither the leaf nor the root. Under one root a key leads to one leaf only, even if
/// whoever made the root was dishonest, as long as SHA-256 has no collisions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InclusionCertificate(Path);

impl InclusionCertificate {
    pub(crate) fn new(path: Path) -> Self {
        Self(path)
    }

    /// The root of the tree that holds this leaf at the end of this path.
    ///
    /// Since no sibling on the path depends on the leaf's value, the same certificate gives the
    /// root *after* the leaf's value is replaced: once `verify(root, key, old)` has passed,
    /// `root(key, new)` is the successor's root (TREE-7).
    pub fn root(&self, key: &Key, value: &Value) -> Digest {
        self.0.root(key, leaf_hash(key, value))
    }

    /// The root after the leaf of `key` is given `new_value` and nothing else changes:
    /// [`root`](Self::root), by another name.
    pub fn replace_root(&self, key: &Key, new_value: &Value) -> Digest {
        self.root(key, new_value)
    }

    /// Checks that the tree with this root holds this leaf.
    ///
    /// # Errors
    /// [`CertificateError::RootMismatch`] if the certificate does not show that.
    pub fn verify(&self, root: &Digest, key: &Key, value: &Value) -> Result<(), CertificateError> {
        match self.root(key, value) == *root {
            true => Ok(()),
            false => Err(CertificateError::RootMismatch),
        }
    }

    /// The hashes beside the path, from the root down: between 0, in a tree of one leaf, and 256.
    pub fn siblings(&self) -> &[Digest] {
        self.0.siblings()
    }

    /// The depths of the nodes on the path, from the root down.
    pub(crate) fn depths(&self) -> Vec<u8> {
        self.0.depths()
    }

    /// The length of [`encode`](Self::encode).
    pub fn encoded_len(&self) -> usize {
        self.0.encoded_len()
    }

    /// The certificate as it is sent.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_len());
        self.0.encode_to(&mut out);
        out
    }

    /// Reads what [`encode`](Self::encode) wrote, and nothing else.
    ///
    /// # Errors
    /// [`CertificateError::Length`] unless there is exactly one sibling for each bit set.
    pub fn decode(bytes: &[u8]) -> Result<Self, CertificateError> {
        Path::decode(bytes).map(Self).ok_or(CertificateError::Length(bytes.len()))
    }
}

/// Shows that a tree with a given root holds no leaf under a key (TREE-8).
///
/// Either the tree is empty, and so is the certificate; or it is `bitmap[32] ‖ sibling[32] * n ‖
/// key[32] ‖ value[32]`: the one leaf to which the bits of the excluded key lead, which is another
/// key's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExclusionCertificate(Option<(Path, Key, Value)>);

impl ExclusionCertificate {
    pub(crate) fn of_empty_tree() -> Self {
        Self(None)
    }

    pub(crate) fn new(path: Path, found: (Key, Value)) -> Self {
        Self(Some((path, found.0, found.1)))
    }

    /// The leaf that is where the excluded key would be; nothing if the tree is empty.
    pub fn found(&self) -> Option<(Key, Value)> {
        self.0.as_ref().map(|(_, key, value)| (*key, *value))
    }

    /// Checks that the tree with this root holds no leaf under `key`.
    ///
    /// # Errors
    /// Any [`CertificateError`] but `Length`, if the certificate does not show that.
    pub fn verify(&self, root: &Digest, key: &Key) -> Result<(), CertificateError> {
        let implied = match &self.0 {
            None => Digest::EMPTY,
            Some((_, found, _)) if found == key => return Err(CertificateError::KeyPresent),
            Some((path, found, _)) if !path.is_common_to(key, found) => {
                return Err(CertificateError::WrongPath);
            }
            Some((path, found, value)) => path.root(found, leaf_hash(found, value)),
        };
        match implied == *root {
            true => Ok(()),
            false => Err(CertificateError::RootMismatch),
        }
    }

    /// The length of [`encode`](Self::encode).
    pub fn encoded_len(&self) -> usize {
        self.0.as_ref().map_or(0, |(path, ..)| path.encoded_len() + 64)
    }

    /// The certificate as it is sent.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_len());
        if let Some((path, key, value)) = &self.0 {
            path.encode_to(&mut out);
            out.extend_from_slice(key.as_bytes());
            out.extend_from_slice(value.as_bytes());
        }
        out
    }

    /// Reads what [`encode`](Self::encode) wrote, and nothing else.
    ///
    /// # Errors
    /// [`CertificateError::Length`] unless there is nothing, or exactly one sibling for each bit
    /// set, and a leaf.
    pub fn decode(bytes: &[u8]) -> Result<Self, CertificateError> {
        if bytes.is_empty() {
            return Ok(Self(None));
        }
        let parts = || {
            let (rest, value) = bytes.split_last_chunk::<32>()?;
            let (path, key) = rest.split_last_chunk::<32>()?;
            Some((Path::decode(path)?, Key::from(*key), Value::from(*value)))
        };
        parts().map(|parts| Self(Some(parts))).ok_or(CertificateError::Length(bytes.len()))
    }
}
