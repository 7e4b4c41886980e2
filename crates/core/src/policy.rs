//! Describe an asset by the document that *is* the asset: `AssetId = H("asset", policy)`.
//!
//! Everyone who holds a coin holds its policy, and checks the coin against it (spec `POLICY-1` to
//! `POLICY-6`).

use alloc::collections::BTreeSet;
use alloc::string::String;
use core::fmt;

use crate::amount::{Amount, MAX_DECIMALS};
use crate::cbor::{Decode, DecodeError, Encode, List, Reader, Writer, record};
use crate::hash::{Tag, hash};
use crate::id::{AssetId, Digest, NetworkId};
use crate::keys::PublicKey;
use crate::tier::Tier;

/// The policy version that this program reads and writes.
pub const POLICY_VERSION: u8 = 1;
/// Most issuers of one asset.
pub const MAX_ISSUERS: usize = 16;
/// Most enrollers that one policy names.
pub const MAX_ENROLLERS: usize = 16;
/// Longest ticker, in characters.
pub const MAX_TICKER: usize = 12;

/// What may be said of an asset: amounts, or single things.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum AssetKind {
    /// Any amount, and every unit is as good as another.
    Fungible,
    /// One thing a mint: its amount is always 1 and it has no decimals.
    Unique,
}

/// An asset's short name: 1 to 12 characters, `A-Z` and `0-9`, a letter first.
///
/// Tickers are for people and not unique: two assets may share one, and only the [`AssetId`] tells
/// them apart.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Ticker(String);

impl Ticker {
    /// Takes `text` if it is a ticker.
    pub fn new(text: &str) -> Option<Self> {
        let fits = (1..=MAX_TICKER).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_uppercase())
            && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        fits.then(|| Self(text.into()))
    }

    /// The characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Ticker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the issuer allows while no network is there.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct OfflineRules {
    /// Most that one offline payment may move, if the issuer sets a cap.
    pub cap: Option<Amount>,
    /// Whether offline payments may rest on a signature alone (tier `Signed`).
    pub sealed_only: bool,
    /// Whether a mint must be certified before its coin may move offline.
    pub certified_mint: bool,
    /// Whose enrollment of hardware seals counts for this asset.
    pub enrollers: List<PublicKey, MAX_ENROLLERS>,
}

record!(OfflineRules { cap, sealed_only, certified_mint, enrollers });

impl OfflineRules {
    /// Whether so much may be paid offline at this tier.
    pub fn allows(&self, paid: Amount, tier: Tier) -> bool {
        self.cap.is_none_or(|cap| paid <= cap) && (!self.sealed_only || tier > Tier::Signed)
    }
}

/// The document that defines an asset.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Policy {
    /// Version of this document's form.
    pub version: u8,
    /// The network on which the asset exists.
    pub network: NetworkId,
    /// Amounts or single things.
    pub kind: AssetKind,
    /// Short name for people.
    pub ticker: Ticker,
    /// Digits behind the decimal point.
    pub decimals: u8,
    /// Who may mint.
    pub issuers: List<PublicKey, MAX_ISSUERS>,
    /// How many of the issuers must sign a mint.
    pub threshold: u8,
    /// Most that may ever be minted, if there is a limit.
    pub max_supply: Option<Amount>,
    /// What is allowed while no network is there.
    pub offline: OfflineRules,
    /// Hash of a document for people, if there is one.
    pub metadata: Option<Digest>,
}

record!(Policy {
    version,
    network,
    kind,
    ticker,
    decimals,
    issuers,
    threshold,
    max_supply,
    offline,
    metadata,
});

/// Why a policy makes no sense (semantic).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// A version that this program does not know.
    #[error("the asset is of an unknown version: update this program")]
    Version,
    /// More than 18 decimals, or decimals on a unique asset.
    #[error("the asset has too many decimals: use 0 to 18, and 0 for a unique asset")]
    Decimals,
    /// No issuer, an issuer named twice, or a threshold that cannot be met.
    #[error(
        "the asset's issuers and threshold do not fit: name 1 to 16 distinct issuers, and a threshold up to their number"
    )]
    Issuers,
    /// A maximum supply or a cap of zero.
    #[error("the asset has a limit of zero: leave the limit out, or set one above zero")]
    Limit,
}

impl PolicyError {
    /// Stable code of this error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Version => "POLICY_VERSION",
            Self::Decimals => "POLICY_DECIMALS",
            Self::Issuers => "POLICY_ISSUERS",
            Self::Limit => "POLICY_LIMIT",
        }
    }
}

impl Policy {
    /// The asset that this document defines.
    pub fn id(&self) -> AssetId {
        AssetId::new(hash(Tag::Asset, &[self]))
    }

    /// Checks the document on its own.
    ///
    /// # Errors
    /// [`PolicyError`] for the first rule that it breaks.
    pub fn check(&self) -> Result<(), PolicyError> {
        let unique = self.kind == AssetKind::Unique;
        let distinct = self.issuers.iter().collect::<BTreeSet<_>>().len();
        if self.version != POLICY_VERSION {
            Err(PolicyError::Version)
        } else if self.decimals > MAX_DECIMALS || (unique && self.decimals != 0) {
            Err(PolicyError::Decimals)
        } else if distinct != self.issuers.len()
            || self.threshold == 0
            || usize::from(self.threshold) > distinct
        {
            Err(PolicyError::Issuers)
        } else if self.max_supply.is_some_and(Amount::is_zero)
            || self.offline.cap.is_some_and(Amount::is_zero)
        {
            Err(PolicyError::Limit)
        } else {
            Ok(())
        }
    }
}

impl Encode for AssetKind {
    fn encode(&self, w: &mut Writer) {
        w.uint(match self {
            Self::Fungible => 0,
            Self::Unique => 1,
        });
    }
}

impl Decode for AssetKind {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match r.uint()? {
            0 => Ok(Self::Fungible),
            1 => Ok(Self::Unique),
            _ => Err(DecodeError::Unknown),
        }
    }
}

impl Encode for Ticker {
    fn encode(&self, w: &mut Writer) {
        w.text(&self.0);
    }
}

impl Decode for Ticker {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::new(r.text(MAX_TICKER)?).ok_or(DecodeError::OutOfRange)
    }
}

#[cfg(test)]
mod tests;
