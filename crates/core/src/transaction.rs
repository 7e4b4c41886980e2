//! Move coins: a transaction is a body, the link it makes between two devices, and the step it
//! makes in the payer's history. Its identity covers all three (spec `TX-1` to `TX-9`).

use alloc::collections::{BTreeMap, BTreeSet};

use crate::amount::Amount;
use crate::cbor::{List, record};
use crate::coin::Coin;
use crate::hash::{Tag, hash};
use crate::id::{AssetId, BodyHash, CoinId, DeviceId, Digest, Head, Link, NetworkId, Root, TxId};
use crate::keys::PublicKey;
use crate::seal::SealIdentity;
use crate::time::Time;

/// The transaction version that this program reads and writes.
pub const BODY_VERSION: u8 = 1;
/// Most inputs of one transaction.
pub const MAX_INPUTS: usize = 8;
/// Most outputs of one transaction.
pub const MAX_OUTPUTS: usize = 8;

/// What a transaction does with coins.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Body {
    /// Version of this form.
    pub version: u8,
    /// The network on which the coins exist.
    pub network: NetworkId,
    /// The coins that are spent: 1 to 8, all different.
    pub inputs: List<CoinId, MAX_INPUTS>,
    /// The coins that are made: 1 to 8.
    pub outputs: List<Coin, MAX_OUTPUTS>,
    /// Hash of a note for people, if there is one.
    pub memo: Option<Digest>,
    /// When the transaction stops being valid; an offline payment has none.
    pub expires_at: Option<Time>,
}

record!(Body { version, network, inputs, outputs, memo, expires_at });

/// One step in a device's history.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Step {
    /// Number of this step, from 1.
    pub seq: u64,
    /// The device's head before the step.
    pub head: Head,
    /// The root of the device's tree after the step.
    pub root: Root,
}

record!(Step { seq, head, root });

/// A transaction.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Transaction {
    /// What it does with coins.
    pub body: Body,
    /// The head of the chain of payments from payer to payee after it.
    pub link: Link,
    /// The payer's step that it is.
    pub step: Step,
}

record!(Transaction { body, link, step });

/// Why a transaction is not valid (semantic).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransactionError {
    /// A version that this program does not know.
    #[error("the payment is of an unknown version: update this program")]
    Version,
    /// The transaction is of another network.
    #[error("the payment belongs to another network: use a wallet of that network")]
    Network,
    /// No inputs, or one twice.
    #[error("the payment spends no coin, or one coin twice: refuse it")]
    Inputs,
    /// No outputs, or an output of zero.
    #[error("the payment makes no coin, or one of zero: refuse it")]
    Outputs,
    /// More than one output goes back to the payer.
    #[error("the payment has more than one change output: refuse it")]
    Change,
    /// For some asset, what comes in is not what goes out.
    #[error("the payment makes or loses value: refuse it")]
    Conservation,
    /// The inputs belong to different owners, so no single device takes the step.
    #[error("the payment spends coins of different owners: refuse it")]
    Owners,
    /// A step with number 0.
    #[error("the payment's step number is zero: refuse it")]
    Seq,
}

impl TransactionError {
    /// Stable code of this error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Version => "TX_VERSION",
            Self::Network => "TX_NETWORK",
            Self::Inputs => "TX_INPUTS",
            Self::Outputs => "TX_OUTPUTS",
            Self::Change => "TX_CHANGE",
            Self::Conservation => "TX_CONSERVATION",
            Self::Owners => "TX_OWNERS",
            Self::Seq => "TX_SEQ",
        }
    }
}

impl DeviceId {
    /// A device: `H("device", owner key, seal identity)` (spec `DEV-1`).
    pub fn of(owner: &PublicKey, seal: &SealIdentity) -> Self {
        Self::new(hash(Tag::Device, &[owner, seal]))
    }
}

impl Head {
    /// The head of a device that has signed nothing: `H("genesis", device)` (spec `STEP-1`).
    pub fn genesis(device: &DeviceId) -> Self {
        Self::new(hash(Tag::Genesis, &[device]))
    }
}

impl Step {
    /// The device's head after the step: `H("head", seq, head, root, link)` (spec `STEP-2`).
    pub fn head_after(&self, link: &Link) -> Head {
        Head::new(hash(Tag::Head, &[&self.seq, &self.head, &self.root, link]))
    }
}

impl TxId {
    /// A transaction's identity from its parts: `H("tx", body hash, link, step)` (spec `TX-2`).
    pub fn of(body: &BodyHash, link: &Link, step: &Step) -> Self {
        Self::new(hash(Tag::Tx, &[body, link, step]))
    }
}

impl Body {
    /// The body's hash: `H("body", body)`.
    pub fn hash(&self) -> BodyHash {
        BodyHash::new(hash(Tag::Body, &[self]))
    }

    /// Checks the body on its own, on `network`.
    fn check(&self, network: NetworkId) -> Result<(), TransactionError> {
        let distinct = self.inputs.iter().collect::<BTreeSet<_>>().len();
        if self.version != BODY_VERSION {
            Err(TransactionError::Version)
        } else if self.network != network {
            Err(TransactionError::Network)
        } else if self.inputs.is_empty() || distinct != self.inputs.len() {
            Err(TransactionError::Inputs)
        } else if self.outputs.is_empty() || self.outputs.iter().any(|o| o.amount.is_zero()) {
            Err(TransactionError::Outputs)
        } else {
            Ok(())
        }
    }
}

impl Transaction {
    /// The transaction's identity.
    pub fn id(&self) -> TxId {
        TxId::of(&self.body.hash(), &self.link, &self.step)
    }

    /// The coins that it makes, with their identities.
    pub fn made(&self) -> impl Iterator<Item = (CoinId, &Coin)> {
        self.made_as(self.id())
    }

    /// As [`Transaction::made`], for who has worked out the transaction's identity already.
    pub(crate) fn made_as(&self, id: TxId) -> impl Iterator<Item = (CoinId, &Coin)> {
        (0u8..).zip(self.body.outputs.iter()).map(move |(i, coin)| (CoinId::of(&id, i), coin))
    }

    /// Checks the transaction on its own: `spent` are the coins that its inputs name, in order.
    ///
    /// # Errors
    /// [`TransactionError`] for the first rule that it breaks.
    pub fn check(&self, spent: &[&Coin], network: NetworkId) -> Result<(), TransactionError> {
        self.body.check(network)?;
        if self.step.seq == 0 {
            return Err(TransactionError::Seq);
        }
        let Some((first, rest)) = spent.split_first() else {
            return Err(TransactionError::Inputs);
        };
        let payer = first.owner.key();
        if rest.iter().any(|coin| coin.owner.key() != payer) {
            return Err(TransactionError::Owners);
        }
        // The first output is what is paid, if only to oneself; of the others one is the change.
        if self.body.outputs.iter().skip(1).filter(|o| o.owner.key() == payer).count() > 1 {
            return Err(TransactionError::Change);
        }
        let into = totals(spent.iter().copied());
        let out = totals(self.body.outputs.iter());
        if into.is_none() || into != out {
            return Err(TransactionError::Conservation);
        }
        Ok(())
    }
}

/// The sum of each asset, if all of them can be counted.
fn totals<'a>(coins: impl Iterator<Item = &'a Coin>) -> Option<BTreeMap<AssetId, Amount>> {
    let mut sums = BTreeMap::<AssetId, Amount>::new();
    for coin in coins {
        let sum = sums.entry(coin.asset).or_default();
        *sum = sum.checked_add(coin.amount)?;
    }
    Some(sums)
}

#[cfg(test)]
mod tests;
