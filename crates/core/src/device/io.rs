//! What goes into a device, and what comes out of it.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::{Change, Terms};
use crate::accept::Refusal;
use crate::amount::Amount;
use crate::card::{Signed, SignedError};
use crate::evidence::{EvidenceError, Minted, Settlement};
use crate::fork::{ForkError, ForkKind, ForkProof};
use crate::id::{AssetId, CoinId, DeviceId, Digest, Head, Nonce, TxId};
use crate::invoice::Invoice;
use crate::keys::{PublicKey, Signature};
use crate::message::Message;
use crate::mint::MintStanding;
use crate::notary::{InclusionProof, TrustBase};
use crate::policy::{Policy, PolicyError};
use crate::predicate::{Sealed, Unlock};
use crate::seal::{EnrollmentError, Revocation, SealCertificate, Slot, SlotVerifier};
use crate::tier::Tier;
use crate::time::Time;
use crate::trade::TradeError;

/// What is outside of a device when it decides: the time, and what it trusts.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// The time, as the driver's clock has it.
    pub now: Time,
    /// How slot proofs are checked.
    pub seals: &'a dyn SlotVerifier,
    /// The validators whose certificates count, if any.
    pub notary: Option<&'a TrustBase>,
}

impl fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("now", &self.now).finish_non_exhaustive()
    }
}

/// What a device is told, by its owner, its seal or another device.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Input {
    /// The owner adds somebody's card.
    Contact(Signed),
    /// The owner imports an asset.
    Policy(Policy),
    /// The owner sets what to accept.
    AcceptPolicy(crate::accept::AcceptPolicy),
    /// The owner receives a mint.
    Mint(Box<Minted>),
    /// The owner asks for a payment: the driver makes an invoice of the terms.
    Ask {
        /// Fresh random bytes.
        nonce: Nonce,
        /// What is asked for.
        terms: Terms,
    },
    /// The owner pays a contact who is there: an offer goes out.
    Pay {
        /// Whom.
        payee: DeviceId,
        /// With what.
        asset: AssetId,
        /// How much.
        amount: Amount,
    },
    /// The owner pays an invoice, which was opened: one message goes out.
    PayInvoice {
        /// Whom; a contact.
        payee: DeviceId,
        /// What was asked for.
        invoice: Box<Invoice>,
    },
    /// The seal has signed a payment.
    Signed {
        /// Which.
        tx: TxId,
        /// What unlocks each input, in order.
        unlocks: Vec<Unlock>,
    },
    /// Everything that waits for this payee is to be signed or sent again.
    Retry {
        /// Whom.
        payee: DeviceId,
    },
    /// The seal has signed a receipt.
    ReceiptSigned {
        /// For which payment.
        tx: TxId,
        /// On [`crate::message::Receipt::digest`].
        signature: Signature,
    },
    /// Another device says something; the driver has authenticated who it is.
    Message {
        /// Who.
        from: DeviceId,
        /// What.
        message: Box<Message>,
        /// Fresh random bytes, for an answer that needs some.
        nonce: Nonce,
    },
    /// Somebody shows a fork proof.
    Fork(Box<ForkProof>),
    /// The owner meets a contact who is there, to compare what both have seen.
    Meet {
        /// Whom.
        contact: DeviceId,
    },
    /// The device was restored from a backup, or its seal knows of later steps.
    Restored,
    /// The owner gives up on meeting a contact before recovery is confirmed: whatever that contact
    /// was paid since the backup, and keeps to itself, may convict this device later.
    GiveUp {
        /// Whom.
        contact: DeviceId,
    },
    /// The owner says that every contact who was paid since the backup has been met.
    ConfirmRecovery,
    /// The notary has certified spends.
    Certified(Box<Settlement>),
    /// The notary shows that a state was spent otherwise than this device knows.
    Lost {
        /// The state: a coin, or the serial of a mint.
        source: CoinId,
        /// What the notary shows.
        proof: Box<InclusionProof>,
    },
    /// An enroller vouches for this device's seal.
    Enrolled(Box<SealCertificate>),
    /// An enroller takes enrollments back.
    Revoked(Box<Revocation>),
    /// The seal's free slot for a coin that arrives, or that it has none: said before an offer or a
    /// wish that may bring a coin. It is forgotten at a restart.
    Lock(Option<Sealed>),
    /// The seal gives no proof from these slots: they were left, or are gone.
    SlotsLost {
        /// The payment for which they were to be left, if there was one.
        tx: Option<TxId>,
        /// The slots.
        slots: Vec<Slot>,
    },
}

/// What follows from an input. Changes come first; all else only once they are durable.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Output {
    /// To be made durable, all or none.
    pub changes: Vec<Change>,
    /// To be signed by the seal.
    pub sign: Vec<Sign>,
    /// To be sent.
    pub send: Vec<(DeviceId, Message)>,
    /// To be shown to the owner.
    pub events: Vec<Event>,
}

/// What a seal is asked to sign.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Sign {
    /// A step. The seal is told of the step before it signs.
    Spend {
        /// The payment.
        tx: TxId,
        /// The number of the step.
        seq: u64,
        /// The device's head after the step.
        head: Head,
        /// What each input needs, in order.
        inputs: Vec<SpendToSign>,
    },
    /// A receipt.
    Receipt {
        /// The payment.
        tx: TxId,
        /// What is signed.
        digest: Digest,
    },
}

/// What one input needs to be unlocked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SpendToSign {
    /// The coin.
    pub coin: CoinId,
    /// What the owner signs.
    pub digest: Digest,
    /// The slot that the seal has to leave, if the coin is sealed.
    pub slot: Option<Slot>,
}

/// Why something that another device sent was refused, with its stable code.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct RejectReason {
    /// Stable code.
    pub code: String,
    /// What it means and what to do.
    pub text: String,
}

impl From<&DeviceError> for RejectReason {
    fn from(error: &DeviceError) -> Self {
        Self { code: error.code().into(), text: alloc::string::ToString::to_string(error) }
    }
}

/// Which way value moved, as this device sees it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Direction {
    /// To this device.
    In,
    /// From this device.
    Out,
}

/// What the owner should know.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Event {
    /// A payment or a mint is in the wallet.
    Received {
        /// Which.
        tx: TxId,
        /// From whom; nobody for a mint.
        payer: Option<DeviceId>,
        /// Which asset.
        asset: AssetId,
        /// How much.
        amount: Amount,
        /// What it is worth: what stops a second spend of it.
        tier: Tier,
        /// What the mints behind it rest on.
        minted: MintStanding,
        /// When to settle it at the latest, if a lock ends.
        settle_by: Option<Time>,
    },
    /// A signed payment is in the wallet that the owner does not accept: not final, hand nothing
    /// over, and pay it back or settle it.
    Held {
        /// Which.
        tx: TxId,
        /// From whom.
        payer: Option<DeviceId>,
        /// Which asset.
        asset: AssetId,
        /// How much.
        amount: Amount,
        /// What it would be worth.
        tier: Tier,
        /// What the mints behind it rest on.
        minted: MintStanding,
        /// Why it is not accepted.
        reason: RejectReason,
    },
    /// A payment that was received before came again.
    Again {
        /// Which.
        tx: TxId,
    },
    /// A payment is signed: it is made, whether or not the payee has it yet.
    Paid {
        /// Which.
        tx: TxId,
        /// To whom.
        payee: DeviceId,
        /// Which asset.
        asset: AssetId,
        /// How much.
        amount: Amount,
    },
    /// The seal could not prove a payment, so nothing of it was signed: it is not made, and its coins
    /// are back. Those whose slots are spent wait for the end of their lock.
    GivenUp {
        /// Which.
        tx: TxId,
        /// To whom it was to go.
        payee: DeviceId,
        /// Which asset.
        asset: AssetId,
        /// How much.
        amount: Amount,
        /// When the last of its coins can move again.
        until: Option<Time>,
    },
    /// The payee has a payment.
    Receipted {
        /// Which.
        tx: TxId,
    },
    /// Something that a device sent was refused here.
    Refused {
        /// Who sent it.
        from: DeviceId,
        /// Why.
        reason: RejectReason,
    },
    /// A payee refused an offer or a payment of this device.
    RefusedBy {
        /// The payee.
        payee: DeviceId,
        /// The stable code that it gave.
        code: String,
    },
    /// A device was convicted of a fork.
    Forked {
        /// Its key.
        key: PublicKey,
        /// The contact that it is, if it is one.
        contact: Option<DeviceId>,
        /// What it did.
        kind: ForkKind,
    },
    /// A meeting is over.
    Met {
        /// With whom.
        contact: DeviceId,
    },
    /// A restored device has learnt of a step of its own.
    Recovered {
        /// The number of its last step now.
        seq: u64,
    },
    /// A payment or mint, and everything behind it, is certified: it cannot be taken back as long as
    /// fewer than a third of the validators are malicious.
    Settled {
        /// Which.
        tx: TxId,
        /// Which way it went.
        direction: Direction,
        /// From or to whom; nobody for a mint.
        with: Option<DeviceId>,
        /// Which asset.
        asset: AssetId,
        /// How much.
        amount: Amount,
        /// Whether it was on agreed terms and within what the owner accepts.
        accepted: bool,
    },
    /// A race was lost: whoever signed the coin away twice got another payment certified first. What
    /// is here of it is worth nothing.
    Lost {
        /// The payment or mint that is lost with it.
        tx: TxId,
        /// Which way it went.
        direction: Direction,
        /// From or to whom; nobody for a mint.
        with: Option<DeviceId>,
        /// Which asset.
        asset: AssetId,
        /// How much is lost of it here.
        amount: Amount,
        /// Whose key signed both.
        key: PublicKey,
        /// The transaction that won.
        winner: TxId,
    },
}

/// Why the owner's wish cannot be met.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// A card or an invoice is not valid.
    #[error(transparent)]
    Signed(#[from] SignedError),
    /// A policy is not valid.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A mint is not valid, or is not for this device.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// A fork proof proves nothing.
    #[error(transparent)]
    Fork(#[from] ForkError),
    /// The owner's policy does not take the payment.
    #[error(transparent)]
    Refusal(Refusal),
    /// A rule of the trade is broken.
    #[error(transparent)]
    Trade(#[from] TradeError),
    /// A seal's enrollment does not count.
    #[error(transparent)]
    Enrollment(#[from] EnrollmentError),
    /// The device is nobody whom this wallet knows.
    #[error("this device is not among your contacts: exchange contact cards first")]
    UnknownContact,
    /// The object is for somebody else, or for another network.
    #[error("this is not for this wallet: check whom it was made for, and on which network")]
    NotForMe,
    /// There is not enough of the asset, at most 8 coins of which can pay at once.
    #[error("there is not enough to pay this: check your balance")]
    InsufficientFunds,
    /// The device was restored and does not know its latest step yet.
    #[error(
        "this wallet was restored and receives only until it knows its latest step: meet everyone whom you paid since the backup (tally sync), then confirm (tally recover)"
    )]
    ReceiveOnly,
    /// The payee, or this very device, is convicted of a fork.
    #[error(
        "this device was proved to have paid twice with the same money: it is refused for good"
    )]
    Bricked,
    /// Contacts are still to be met, or steps are missing, before recovery can be confirmed.
    #[error(
        "recovery is not complete: {0} contacts are still to be met and {1} steps do not fit yet"
    )]
    NotRecovered(u32, u32),
    /// The payment that the seal signed, or the receipt, is not waiting.
    #[error("no such payment is waiting: list your payments")]
    NotWaiting,
}

impl DeviceError {
    /// Stable code of this error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Signed(e) => e.code(),
            Self::Policy(e) => e.code(),
            Self::Evidence(e) => e.code(),
            Self::Fork(e) => e.code(),
            Self::Refusal(e) => e.code(),
            Self::Trade(e) => e.code(),
            Self::Enrollment(e) => e.code(),
            Self::UnknownContact => "UNKNOWN_CONTACT",
            Self::NotForMe => "NOT_FOR_ME",
            Self::InsufficientFunds => "INSUFFICIENT_FUNDS",
            Self::ReceiveOnly => "RECEIVE_ONLY",
            Self::Bricked => "BRICKED",
            Self::NotRecovered(..) => "NOT_RECOVERED",
            Self::NotWaiting => "NOT_WAITING",
        }
    }
}
