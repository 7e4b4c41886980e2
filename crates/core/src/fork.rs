//! Convict a device that took two steps where one was possible.
//!
//! A [`ForkProof`] is two signed steps of one key that contradict each other, or two signatures that
//! give one coin away twice. The device's own signatures are on both, so anyone can check it with
//! nothing else (spec `FORK-1` to `FORK-7`). An honest wallet never makes one: it signs each step
//! once, from its latest head.

use crate::cbor::{Decode, DecodeError, Encode, Reader, Writer, record};
use crate::id::{BodyHash, CoinId, Head, Link, TxId};
use crate::keys::{PublicKey, Signature};
use crate::predicate::spend_digest;
use crate::transaction::{Step, Transaction};

/// One signed step, without the transaction's body: enough to hold a device to it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Branch {
    /// Hash of the transaction's body.
    pub body: BodyHash,
    /// The link after the transaction.
    pub link: Link,
    /// The step.
    pub step: Step,
    /// A coin that the transaction spends.
    pub coin: CoinId,
    /// The owner's signature on the spend of that coin.
    pub signature: Signature,
}

record!(Branch { body, link, step, coin, signature });

/// One coin given away, and nothing of the step: all that a notary knows of a transaction.
///
/// The state may also be a serial number, which an issuer spends to mint.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Spending {
    /// The coin.
    pub coin: CoinId,
    /// The transaction.
    pub tx: TxId,
    /// The owner's signature on the spend of that coin.
    pub signature: Signature,
}

record!(Spending { coin, tx, signature });

/// One of the two things that contradict each other.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Side {
    /// A step.
    Step(Branch),
    /// A spend whose step is not known.
    Spending(Spending),
}

/// How two steps contradict each other.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum ForkKind {
    /// Both spend the same coin.
    Coin,
    /// Both have the same number.
    Seq,
    /// Both leave the same head.
    Head,
    /// One follows the other by number, but not by head.
    Chain,
}

impl ForkKind {
    /// What the device did, in words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Coin => "spent one coin in two payments",
            Self::Seq => "took two steps with one number",
            Self::Head => "took two steps from one state",
            Self::Chain => "took a step that does not follow from the one before",
        }
    }
}

/// Two things that one key signed and that contradict each other: about half a kilobyte.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ForkProof {
    /// The key that signed both.
    pub key: PublicKey,
    /// One.
    pub a: Side,
    /// The other.
    pub b: Side,
}

record!(ForkProof { key, a, b });

/// Why a fork proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForkError {
    /// Both sides are the same transaction.
    #[error("both sides are the same payment: this is no fork")]
    Same,
    /// The sides do not contradict each other.
    #[error("the two payments do not contradict each other: this is no fork")]
    NoConflict,
    /// A signature is not the key's.
    #[error("a signature in the fork proof is not the accused device's: discard the proof")]
    Signature,
}

impl ForkError {
    /// Stable code of this error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Same => "FORK_SAME",
            Self::NoConflict => "FORK_NO_CONFLICT",
            Self::Signature => "FORK_SIGNATURE",
        }
    }
}

impl Branch {
    /// The branch of `tx` that spends its input `coin`.
    pub fn of(tx: &Transaction, coin: CoinId, signature: Signature) -> Self {
        Self { body: tx.body.hash(), link: tx.link, step: tx.step, coin, signature }
    }

    /// The transaction that the branch is.
    pub fn tx_id(&self) -> TxId {
        TxId::of(&self.body, &self.link, &self.step)
    }

    /// The device's head after the branch.
    pub fn head_after(&self) -> Head {
        self.step.head_after(&self.link)
    }

    /// Whether `key` signed the branch.
    pub fn signed_by(&self, key: &PublicKey) -> bool {
        key.verify(&spend_digest(&self.coin, &self.tx_id()), &self.signature)
    }

    /// How this branch and `other` contradict each other, if they do. Signatures are not checked.
    pub fn conflict(&self, other: &Self) -> Option<ForkKind> {
        if self.tx_id() == other.tx_id() {
            None
        } else if self.coin == other.coin {
            Some(ForkKind::Coin)
        } else {
            steps_conflict((&self.step, &self.link), (&other.step, &other.link))
        }
    }
}

/// How two steps, each with the link that it makes, contradict each other.
pub(crate) fn steps_conflict(a: (&Step, &Link), b: (&Step, &Link)) -> Option<ForkKind> {
    let follows = |(earlier, link): (&Step, &Link), later: &Step| {
        earlier.seq.checked_add(1) == Some(later.seq) && earlier.head_after(link) != later.head
    };
    if a.0.seq == b.0.seq {
        Some(ForkKind::Seq)
    } else if a.0.head == b.0.head {
        Some(ForkKind::Head)
    } else if follows(a, b.0) || follows(b, a.0) {
        Some(ForkKind::Chain)
    } else {
        None
    }
}

impl Spending {
    /// Whether `key` signed the spend.
    pub fn signed_by(&self, key: &PublicKey) -> bool {
        key.verify(&spend_digest(&self.coin, &self.tx), &self.signature)
    }
}

impl Side {
    /// The transaction.
    pub fn tx_id(&self) -> TxId {
        match self {
            Self::Step(branch) => branch.tx_id(),
            Self::Spending(spending) => spending.tx,
        }
    }

    /// The coin that it spends.
    pub fn coin(&self) -> CoinId {
        match self {
            Self::Step(branch) => branch.coin,
            Self::Spending(spending) => spending.coin,
        }
    }

    /// The step, if it is known.
    pub fn step(&self) -> Option<&Branch> {
        match self {
            Self::Step(branch) => Some(branch),
            Self::Spending(_) => None,
        }
    }

    /// Whether `key` signed it.
    pub fn signed_by(&self, key: &PublicKey) -> bool {
        match self {
            Self::Step(branch) => branch.signed_by(key),
            Self::Spending(spending) => spending.signed_by(key),
        }
    }

    /// How this and `other` contradict each other, if they do. Signatures are not checked.
    pub fn conflict(&self, other: &Self) -> Option<ForkKind> {
        match (self, other) {
            (Self::Step(a), Self::Step(b)) => a.conflict(b),
            (a, b) => (a.coin() == b.coin() && a.tx_id() != b.tx_id()).then_some(ForkKind::Coin),
        }
    }
}

impl From<Branch> for Side {
    fn from(branch: Branch) -> Self {
        Self::Step(branch)
    }
}

impl From<Spending> for Side {
    fn from(spending: Spending) -> Self {
        Self::Spending(spending)
    }
}

impl Encode for Side {
    /// As what it is: five items for a step, three for a spend.
    fn encode(&self, w: &mut Writer) {
        match self {
            Self::Step(branch) => branch.encode(w),
            Self::Spending(spending) => spending.encode(w),
        }
    }
}

impl Decode for Side {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.optional_tail(3, 5, |r, step| {
            if !step {
                let (coin, tx) = (Decode::decode(r)?, Decode::decode(r)?);
                let signature = Decode::decode(r)?;
                return Ok(Self::Spending(Spending { coin, tx, signature }));
            }
            let (body, link) = (Decode::decode(r)?, Decode::decode(r)?);
            let (step, coin) = (Decode::decode(r)?, Decode::decode(r)?);
            let signature = Decode::decode(r)?;
            Ok(Self::Step(Branch { body, link, step, coin, signature }))
        })
    }
}

impl ForkProof {
    /// Checks the proof with nothing but itself.
    ///
    /// # Errors
    /// [`ForkError`] for the first reason why it convicts nobody.
    pub fn check(&self) -> Result<ForkKind, ForkError> {
        if self.a.tx_id() == self.b.tx_id() {
            return Err(ForkError::Same);
        }
        let kind = self.a.conflict(&self.b).ok_or(ForkError::NoConflict)?;
        if self.a.signed_by(&self.key) && self.b.signed_by(&self.key) {
            Ok(kind)
        } else {
            Err(ForkError::Signature)
        }
    }
}

#[cfg(test)]
mod tests;
