//! Bring value into being: the policy's issuers sign what they make, and for whom.
//!
//! Each mint spends a serial number of its asset, exactly as a transaction spends a coin, so that a
//! notary can certify that one serial mints once (spec `MINT-1` to `MINT-7`). Until then one serial
//! mints once if the issuers are honest.

use alloc::collections::BTreeSet;

use crate::amount::Amount;
use crate::cbor::{Decode, DecodeError, Encode, List, Reader, Writer, record};
use crate::coin::Coin;
use crate::hash::{Tag, hash};
use crate::id::{AssetId, CoinId, Digest, Link, NetworkId, SerialId, TxId};
use crate::keys::Signature;
use crate::policy::{AssetKind, MAX_ISSUERS, Policy};
use crate::predicate::{Predicate, spend_digest};
use crate::time::Time;

/// The mint version that this program reads and writes.
pub const MINT_VERSION: u8 = 1;

/// What issuers sign.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct MintBody {
    /// Version of this form.
    pub version: u8,
    /// The network on which the coin exists.
    pub network: NetworkId,
    /// Which asset.
    pub asset: AssetId,
    /// How much; never zero, and 1 for a unique asset.
    pub amount: Amount,
    /// Who gets it.
    pub owner: Predicate,
    /// The asset's serial number that this mint uses up.
    pub serial: u64,
    /// The sum of all mints before this one, so that the maximum supply is checked offline.
    pub issued_before: Amount,
}

record!(MintBody { version, network, asset, amount, owner, serial, issued_before });

/// One issuer's signature, with the issuer's place in the policy.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct IssuerSignature {
    /// Index into the policy's issuers.
    pub issuer: u8,
    /// On [`MintBody::digest`].
    pub signature: Signature,
}

record!(IssuerSignature { issuer, signature });

/// A mint: its body, and the signatures of at least the policy's threshold of issuers.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Mint {
    /// What was signed.
    pub body: MintBody,
    /// By whom, in ascending order of issuer.
    pub signatures: List<IssuerSignature, MAX_ISSUERS>,
}

record!(Mint { body, signatures });

/// What it rests on that value was minted once, weakest first.
///
/// It stands beside the [`Tier`](crate::tier::Tier), which speaks of the payers: a payment may be
/// sealed by hardware, and of a coin that nobody but its issuer vouches for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum MintStanding {
    /// The issuers' word: nothing but their honesty stops a second mint of the serial.
    IssuersWord,
    /// The notary holds the serial's first mint in a certified tree.
    Certified,
}

impl MintStanding {
    /// Both, weakest first.
    pub const ALL: [Self; 2] = [Self::IssuersWord, Self::Certified];

    /// The standing's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::IssuersWord => "IssuersWord",
            Self::Certified => "Certified",
        }
    }

    /// The assumption that it rests on: never show the standing without it.
    pub const fn assumption(self) -> &'static str {
        match self {
            Self::IssuersWord => {
                "holds if the issuers are honest and mint each serial once; no network has certified it"
            }
            Self::Certified => "holds if fewer than 1/3 of the validators are malicious",
        }
    }

    /// Of a mint that was certified at this time, or never.
    pub(crate) const fn of(certified_at: Option<Time>) -> Self {
        match certified_at {
            Some(_) => Self::Certified,
            None => Self::IssuersWord,
        }
    }
}

impl Encode for MintStanding {
    fn encode(&self, w: &mut Writer) {
        w.uint(*self as u64);
    }
}

impl Decode for MintStanding {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let n = r.uint()?;
        Self::ALL.into_iter().find(|s| *s as u64 == n).ok_or(DecodeError::Unknown)
    }
}

/// Why a mint is not valid (semantic).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MintError {
    /// A version that this program does not know.
    #[error("the mint is of an unknown version: update this program")]
    Version,
    /// The mint is of another network.
    #[error("the mint belongs to another network: use a wallet of that network")]
    Network,
    /// The mint is of another asset than the policy.
    #[error("the mint is of another asset: import that asset first")]
    Asset,
    /// An amount of zero, or not 1 for a unique asset.
    #[error("the mint's amount is zero, or not 1 for a unique asset: ask the issuer for another")]
    Amount,
    /// The mint would exceed the asset's maximum supply.
    #[error("the mint exceeds the asset's maximum supply: refuse it")]
    Supply,
    /// Fewer valid signatures of distinct issuers than the threshold, or one that is not valid.
    #[error("the mint is not signed by enough of the asset's issuers: refuse it")]
    Signatures,
}

impl MintError {
    /// Stable code of this error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Version => "MINT_VERSION",
            Self::Network => "MINT_NETWORK",
            Self::Asset => "MINT_ASSET",
            Self::Amount => "MINT_AMOUNT",
            Self::Supply => "MINT_SUPPLY",
            Self::Signatures => "MINT_SIGNATURES",
        }
    }
}

impl SerialId {
    /// The state that a serial number of an asset is: `H("serial", asset, serial)`.
    pub fn of(asset: &AssetId, serial: u64) -> Self {
        Self::new(hash(Tag::Serial, &[asset, &serial]))
    }
}

impl MintBody {
    /// The mint's identity: `H("mint", body)`.
    pub fn id(&self) -> TxId {
        TxId::new(hash(Tag::Mint, &[self]))
    }

    /// What each issuer signs: the spend of the serial by this mint.
    pub fn digest(&self) -> Digest {
        let serial = SerialId::of(&self.asset, self.serial);
        spend_digest(&CoinId::new(*serial.as_bytes()), &self.id())
    }
}

impl Mint {
    /// The coin that the mint makes.
    pub fn coin(&self) -> (CoinId, Coin) {
        let body = &self.body;
        let coin = Coin { asset: body.asset, amount: body.amount, owner: body.owner.clone() };
        (CoinId::of(&body.id(), 0), coin)
    }

    /// The link that a minted coin's pocket starts with: the mint itself.
    pub fn link(&self) -> Link {
        Link::new(*self.body.id().as_bytes())
    }

    /// Checks the mint under its policy, on `network`.
    ///
    /// # Errors
    /// [`MintError`] for the first rule that it breaks.
    pub fn check(&self, policy: &Policy, network: NetworkId) -> Result<(), MintError> {
        let body = &self.body;
        let unique = policy.kind == AssetKind::Unique;
        if body.version != MINT_VERSION {
            Err(MintError::Version)
        } else if body.network != network || policy.network != network {
            Err(MintError::Network)
        } else if body.asset != policy.id() {
            Err(MintError::Asset)
        } else if body.amount.is_zero() || (unique && body.amount != Amount::new(1)) {
            Err(MintError::Amount)
        } else if !self.within_supply(policy) {
            Err(MintError::Supply)
        } else if !self.signed_by_threshold(policy) {
            Err(MintError::Signatures)
        } else {
            Ok(())
        }
    }

    fn within_supply(&self, policy: &Policy) -> bool {
        let total = self.body.issued_before.checked_add(self.body.amount);
        total.is_some_and(|total| policy.max_supply.is_none_or(|max| total <= max))
    }

    fn signed_by_threshold(&self, policy: &Policy) -> bool {
        let distinct: BTreeSet<u8> = self.signatures.iter().map(|s| s.issuer).collect();
        if distinct.len() != self.signatures.len() || distinct.len() < policy.threshold.into() {
            return false;
        }
        let digest = self.body.digest();
        self.signatures.iter().all(|s| {
            let issuer = policy.issuers.get(usize::from(s.issuer));
            issuer.is_some_and(|issuer| issuer.verify(&digest, &s.signature))
        })
    }
}

#[cfg(test)]
mod tests;
