//! What a wallet keeps of its notaries: whom to believe, whom to ask, and what was seen.

use tally_core::cbor::{
    Blob, Decode, DecodeError, Encode, List, Reader, Writer, from_bytes, to_bytes,
};
use tally_core::device::MAX_STRANGE_FORKS;
use tally_core::keys::PublicKey;
use tally_core::notary::{TrustBase, UnicityCertificate};
use tally_transport::http::{MAX_URL, Url};

use super::{MAX_TRUST_FILE, NotaryError, SplitView, read_trust_base};

/// Most validators that a wallet asks.
pub const MAX_NOTARIES: usize = 16;
/// Most contradictions that are kept: one is enough to distrust a network.
const MAX_SPLITS: usize = 4;
/// Most convicted keys of which it is remembered that a validator was told: more than a wallet keeps
/// proofs about strangers, or the same ones would be told again at every settlement.
const MAX_TOLD: usize = 2 * MAX_STRANGE_FORKS;

/// A validator that is asked.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Endpoint {
    /// Where it is.
    pub url: Url,
    /// Number of the first of its fork proofs that was not taken over yet.
    pub(crate) forks: u64,
    /// The convicted keys of which it has been told.
    pub(crate) told: List<PublicKey, MAX_TOLD>,
}

/// The notary that a wallet uses.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Notaries {
    trust: TrustBase,
    file: Blob<MAX_TRUST_FILE>,
    pub(crate) endpoints: Vec<Endpoint>,
    /// The latest certificate that was seen: every later tree must have grown from it.
    pub(crate) kept: Option<UnicityCertificate>,
    pub(crate) splits: Vec<SplitView>,
}

impl Notaries {
    /// Reads a trust base file; there is nobody to ask yet.
    ///
    /// # Errors
    /// [`NotaryError::TrustFile`], [`NotaryError::Trust`].
    pub(crate) fn new(file: &[u8]) -> Result<Self, NotaryError> {
        let trust = read_trust_base(file)?;
        let file =
            Blob::new(file.to_vec()).map_err(|_| NotaryError::TrustFile("it is too long"))?;
        Ok(Self { trust, file, endpoints: Vec::new(), kept: None, splits: Vec::new() })
    }

    /// Whose certificates count.
    pub fn trust(&self) -> &TrustBase {
        &self.trust
    }

    /// Whom to ask.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// The latest certificate that was seen.
    pub fn kept(&self) -> Option<&UnicityCertificate> {
        self.kept.as_ref()
    }

    /// Contradictions that were seen, each with two signed certificates.
    pub fn splits(&self) -> &[SplitView] {
        &self.splits
    }

    /// Adds an address.
    pub(crate) fn add(&mut self, url: Url) -> Result<(), NotaryError> {
        if self.endpoints.iter().any(|known| known.url == url) {
            return Ok(());
        }
        if self.endpoints.len() >= MAX_NOTARIES {
            return Err(NotaryError::Add("the wallet has 16 addresses already: that is enough"));
        }
        self.endpoints.push(Endpoint { url, forks: 0, told: List::default() });
        Ok(())
    }

    /// Keeps contradictions that are new; says whether any is.
    pub(crate) fn keep(&mut self, splits: Vec<SplitView>) -> bool {
        let before = self.splits.len();
        for split in splits {
            let known = self.splits.iter().any(|known| known.round() == split.round());
            if !known && self.splits.len() < MAX_SPLITS {
                self.splits.push(split);
            }
        }
        self.splits.len() > before
    }

    pub(crate) fn to_record(&self) -> Vec<u8> {
        to_bytes(self)
    }

    pub(crate) fn from_record(bytes: &[u8]) -> Result<Self, DecodeError> {
        from_bytes(bytes)
    }
}

impl Endpoint {
    /// Notes that the validator was told of a conviction. The oldest are forgotten: telling twice
    /// does no harm.
    pub(crate) fn note_told(&mut self, key: PublicKey) {
        let mut told = std::mem::take(&mut self.told).into_vec();
        if !told.contains(&key) {
            told.push(key);
        }
        let over = told.len().saturating_sub(MAX_TOLD);
        self.told = List::truncated(told.split_off(over));
    }

    /// Forgets that it was told of what is not known here any more.
    pub(crate) fn keep_told(&mut self, is_known: impl Fn(&PublicKey) -> bool) {
        let mut told = std::mem::take(&mut self.told).into_vec();
        told.retain(is_known);
        self.told = List::truncated(told);
    }
}

impl Encode for Endpoint {
    fn encode(&self, w: &mut Writer) {
        w.array(3);
        w.text(self.url.as_str());
        w.uint(self.forks);
        self.told.encode(w);
    }
}

impl Decode for Endpoint {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.record(3, |r| {
            let url = Url::new(r.text(MAX_URL)?).map_err(|_| DecodeError::OutOfRange)?;
            Ok(Self { url, forks: r.uint()?, told: Decode::decode(r)? })
        })
    }
}

impl Encode for Notaries {
    fn encode(&self, w: &mut Writer) {
        w.array(4);
        self.file.encode(w);
        self.endpoints.as_slice().encode(w);
        self.kept.encode(w);
        self.splits.as_slice().encode(w);
    }
}

impl Decode for Notaries {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.record(4, |r| {
            let file = Blob::<MAX_TRUST_FILE>::decode(r)?;
            let mut notaries = Self::new(file.as_slice()).map_err(|_| DecodeError::OutOfRange)?;
            notaries.endpoints = r.list(MAX_NOTARIES, Decode::decode)?;
            notaries.kept = Decode::decode(r)?;
            notaries.splits = r.list(MAX_SPLITS, Decode::decode)?;
            Ok(notaries)
        })
    }
}
