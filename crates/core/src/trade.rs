//! Work out what a payment is from its offer and its terms: one function, run by both sides.
//!
//! The payee recomputes body, link, root and step, and so the very bytes that were signed; nothing
//! that is acted upon comes from outside the signature (spec `TRADE-3`, `TRADE-4`).

use alloc::vec::Vec;

use tally_tree::{Replacement, Value, replaced_root};

use crate::amount::Amount;
use crate::cbor::{List, record};
use crate::coin::Coin;
use crate::hash::{Tag, hash};
use crate::id::{Challenge, CoinId, DeviceId, Link, NetworkId, Root};
use crate::keys::PublicKey;
use crate::message::{Accept, Offer};
use crate::time::Time;
use crate::transaction::{BODY_VERSION, Body, Step, Transaction};

/// Why a trade is refused. Evidence, policy and unlocking have errors of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TradeError {
    /// The payer stands at another link than this device: one of the two missed a payment.
    #[error(
        "the two wallets disagree on their last payment: sync with each other, or have what was paid before sent again (tally resend) and take that first, and do not pay anew what is signed"
    )]
    Link,
    /// The payer spends nothing, too much at once, or a coin that is not its own.
    #[error("the payment does not come from the payer's own coins: refuse it")]
    Coins,
    /// The amount is zero, less than asked, or more than the coins hold.
    #[error(
        "the amount is zero, less than was asked for, or more than the payer has: agree on the amount again"
    )]
    Amount,
    /// A pocket is not under the payer's root as stated.
    #[error("the payer's pockets do not fit its root: refuse the payment")]
    Pocket,
    /// A coin is set aside for the payee, and what the payment leaves of it would not be.
    #[error(
        "the payment would free what is set aside for its payee: ask the payer to pay all of it, or to release it"
    )]
    Change,
    /// The root after the payment is not what the replacements give.
    #[error("the payer's next root does not follow from the payment: refuse it")]
    Root,
    /// The step's number or head contradicts what this device has seen of the payer.
    #[error("the payer's history contradicts what is known of it: refuse the payment")]
    Step,
    /// The payment is not on terms that this device gave, or not to this device.
    #[error("the payment is not on the terms that were agreed: make a new invoice")]
    Terms,
    /// The terms are over.
    #[error("the invoice has expired: ask for a new one")]
    TermsExpired,
    /// A message came out of turn, or the offer that it answers is no longer true.
    #[error("the message does not fit the state of the payment: start it again")]
    Turn,
    /// The evidence exceeds a size limit.
    #[error("the coins have too long a history for one payment: pay less at once, or settle first")]
    Size,
    /// A receipt is not the payee's.
    #[error("the receipt's signature is not the payee's: keep the payment and send it again")]
    Receipt,
    /// The payer, or a device in the coin's unsettled history, is convicted of a fork.
    #[error("the payer was proved to have paid twice with the same money: it is refused for good")]
    Fork,
    /// A payment to this payee, or the very one, has slots to leave and is not signed: what comes after it
    /// could not be taken by a payee who never gets it.
    #[error(
        "a payment to this payee waits for the seal or the key and is not signed yet: bring them back, or give up on the TPM (tally recover --without-tpm); your money is still here"
    )]
    Waiting,
}

impl TradeError {
    /// Stable code of this error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Link => "TRADE_LINK",
            Self::Coins => "TRADE_COINS",
            Self::Amount => "TRADE_AMOUNT",
            Self::Pocket => "TRADE_POCKET",
            Self::Change => "TRADE_CHANGE",
            Self::Root => "TRADE_ROOT",
            Self::Step => "TRADE_STEP",
            Self::Terms => "TRADE_TERMS",
            Self::TermsExpired => "TRADE_TERMS_EXPIRED",
            Self::Turn => "TRADE_TURN",
            Self::Size => "TRADE_SIZE",
            Self::Receipt => "TRADE_RECEIPT",
            Self::Fork => "TRADE_FORK",
            Self::Waiting => "TRADE_WAITING",
        }
    }
}

/// A coin that is paid with, and the pocket that it is in.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Source {
    /// The pocket.
    pub pocket: CoinId,
    /// The link that last moved it.
    pub link: Link,
    /// The coin's identity.
    pub id: CoinId,
    /// The coin.
    pub coin: Coin,
}

record!(Source { pocket, link, id, coin });

/// The leaf of a pocket in its device's tree: `H("held", link, amount)` (spec `POCKET-1`).
pub fn held(link: &Link, amount: Amount) -> Value {
    Value::from(hash(Tag::Held, &[link, &amount]))
}

/// The transaction that `offer` becomes on the terms of `accept`, paid from `sources` to `payee`.
///
/// The payee gets the first output; the second, if any, is the change, which stays in the last
/// source's pocket. The other pockets are spent out: they stay in the tree with nothing in them, so
/// that their value cannot come back.
///
/// # Errors
/// [`TradeError`] when the offer cannot be kept.
pub fn transaction(
    offer: &Offer,
    accept: &Accept,
    sources: &[Source],
    payee: &DeviceId,
    network: NetworkId,
) -> Result<Transaction, TradeError> {
    let body = body(offer, accept, sources, network)?;
    let link = offer.link.next(&body.hash(), &Challenge::of(payee, &accept.nonce));
    let left = body.outputs.get(1).map_or(Amount::ZERO, |change| change.amount);
    let root = root_after(offer, sources, &link, left)?;
    let seq = offer.seq.checked_add(1).ok_or(TradeError::Step)?;
    let step = Step { seq, head: offer.head, root };
    Ok(Transaction { body, link, step })
}

/// Whether what is left of coins that are set aside for `payee` at `now` stays so, until the last of their
/// locks ends. The change is under the last source's predicate, and it is the payer who orders them.
pub fn keeps_aside(sources: &[Source], amount: Amount, payee: &PublicKey, now: Time) -> bool {
    let until = |source: &Source| {
        let aside = source.coin.owner.reserved_for(now) == Some(payee);
        source.coin.owner.until().filter(|_| aside)
    };
    let total = Amount::checked_sum(sources.iter().map(|source| source.coin.amount));
    match sources.iter().filter_map(until).max() {
        Some(ends) if total != Some(amount) => sources.last().and_then(until) == Some(ends),
        _ => true,
    }
}

fn body(
    offer: &Offer,
    accept: &Accept,
    sources: &[Source],
    network: NetworkId,
) -> Result<Body, TradeError> {
    let last = sources.last().ok_or(TradeError::Coins)?;
    let total = Amount::checked_sum(sources.iter().map(|s| s.coin.amount));
    let change = total.and_then(|total| total.checked_sub(offer.amount));
    let change = change.filter(|_| !offer.amount.is_zero()).ok_or(TradeError::Amount)?;
    let coin = |amount, owner| Coin { asset: offer.asset, amount, owner };
    let mut outputs = alloc::vec![coin(offer.amount, accept.owner.clone())];
    if !change.is_zero() {
        let owner = last.coin.owner.of_change().ok_or(TradeError::Coins)?;
        outputs.push(coin(change, owner));
    }
    let inputs: Vec<CoinId> = sources.iter().map(|s| s.id).collect();
    Ok(Body {
        version: BODY_VERSION,
        network,
        inputs: List::new(inputs).map_err(|_| TradeError::Coins)?,
        outputs: List::truncated(outputs),
        memo: None,
        expires_at: None,
    })
}

/// The root of the payer's tree once every source's pocket is replaced.
fn root_after(
    offer: &Offer,
    sources: &[Source],
    link: &Link,
    left: Amount,
) -> Result<Root, TradeError> {
    if sources.len() != offer.spends.len() {
        return Err(TradeError::Coins);
    }
    let last = sources.len().saturating_sub(1);
    let replacement = |(i, source): (usize, &Source)| Replacement {
        key: source.pocket.into(),
        old: held(&source.link, source.coin.amount),
        new: held(link, if i == last { left } else { Amount::ZERO }),
        path: &offer.spends[i].path,
    };
    let replacements: Vec<_> = sources.iter().enumerate().map(replacement).collect();
    replaced_root(&offer.root.into(), &replacements).map(Root::from).map_err(|_| TradeError::Pocket)
}
