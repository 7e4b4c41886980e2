//! Convict a device that took two steps where one was possible.
//!
//! A [`ForkProof`] is two signed steps of one key that contradict each other. The device's own
//! signatures are on both, so anyone can check it with nothing else (spec `FORK-1` to `FORK-6`). An
//! honest wallet never makes one: it signs each step once, from its latest head.

use crate::cbor::record;
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

/// Two signed steps of one key that contradict each other: about half a kilobyte.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ForkProof {
    /// The key that signed both.
    pub key: PublicKey,
    /// One step.
    pub a: Branch,
    /// The other.
    pub b: Branch,
}

record!(ForkProof { key, a, b });

/// Why a fork proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForkError {
    /// Both branches are the same transaction.
    #[error("both branches are the same payment: this is no fork")]
    Same,
    /// The branches do not contradict each other.
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
            return None;
        }
        let follows = |earlier: &Self, later: &Self| {
            earlier.step.seq.checked_add(1) == Some(later.step.seq)
                && earlier.head_after() != later.step.head
        };
        if self.coin == other.coin {
            Some(ForkKind::Coin)
        } else if self.step.seq == other.step.seq {
            Some(ForkKind::Seq)
        } else if self.step.head == other.step.head {
            Some(ForkKind::Head)
        } else if follows(self, other) || follows(other, self) {
            Some(ForkKind::Chain)
        } else {
            None
        }
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
