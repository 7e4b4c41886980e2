//! What goes into a device, and what comes out of it.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::{Basis, Change, Concern, DeviceError, Terms};
use crate::amount::Amount;
use crate::card::Signed;
use crate::evidence::{Minted, Settlement};
use crate::fork::{ForkKind, ForkProof};
use crate::id::{AssetId, CoinId, DeviceId, Digest, Head, Nonce, TxId};
use crate::invoice::Invoice;
use crate::keys::{PublicKey, Signature};
use crate::message::Message;
use crate::mint::MintStanding;
use crate::notary::{InclusionProof, TrustBase};
use crate::policy::Policy;
use crate::predicate::{Predicate, Sealed, Unlock};
use crate::seal::{Revocation, SealCertificate, SealTerms, Slot, SlotVerifier};
use crate::tier::Tier;
use crate::time::Time;

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
    /// Somebody brought their own card, with a hello or an invoice: a stranger, or a contact whose card may
    /// be newer than the one that is known.
    Stranger(Signed),
    /// The owner removes a contact.
    RemoveContact(DeviceId),
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
    /// The owner makes one new coin of several of an asset, all of which are certified: for itself,
    /// under the free slot of its seal if there is one.
    Refresh {
        /// Which asset.
        asset: AssetId,
    },
    /// The owner sets value aside for a contact, from coins that are certified.
    Reserve {
        /// For whom.
        payee: DeviceId,
        /// Which asset.
        asset: AssetId,
        /// How much.
        amount: Amount,
        /// When the lock ends.
        until: Time,
    },
    /// The owner takes back, before its lock has ended, what is set aside for a contact, who is asked
    /// to consent. Said again, the contact is asked again.
    Release {
        /// For whom it is set aside.
        payee: DeviceId,
        /// Which asset.
        asset: AssetId,
    },
    /// The owner consents to the release of something that is reserved for it.
    Agree {
        /// The release.
        tx: TxId,
    },
    /// The seal has signed consents.
    Consented {
        /// To which transaction.
        tx: TxId,
        /// On each digest of [`Sign::Consent`], in order.
        signatures: Vec<Signature>,
    },
    /// The notary's proof of a payment of this device's shows its payee's consents.
    Consents {
        /// The payment.
        tx: TxId,
        /// One for each input that is reserved for the payee, in order.
        consents: Vec<Signature>,
    },
    /// Look at the clock: locks may have ended for whose payees' consent this device waits, or not have
    /// ended after all.
    Locks,
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
    /// The journal does not know this step, and the device was set back: it was signed, and has not left.
    Unsigned {
        /// The payment.
        tx: TxId,
    },
    /// The owner gives up on meeting a contact before recovery is confirmed: whatever that contact
    /// was paid since the backup, and keeps to itself, may convict this device later.
    GiveUp {
        /// Whom.
        contact: DeviceId,
    },
    /// The owner says that every contact who was paid since the backup has been met.
    ConfirmRecovery(Basis),
    /// The owner's word frees coins of an asset that are set apart, through one payment to oneself: if a
    /// lost payee comes back with a payment of one of them, this device is convicted.
    Free {
        /// Which asset.
        asset: AssetId,
        /// The coins that the network shows to be unspent now.
        unspent: Vec<CoinId>,
    },
    /// The notary shows that a coin that is here was spent.
    Spent {
        /// The coin.
        coin: CoinId,
        /// What the notary shows.
        proof: Box<InclusionProof>,
    },
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
    /// The seal's counters cannot be asked now, or can be again: said when it is noticed. It is
    /// forgotten at a restart.
    Away(bool),
    /// Every slot of [`Sign::Prove`] was left for the payment, and the seal has the proofs.
    Proved {
        /// Which.
        tx: TxId,
    },
    /// The seal gives no proof from these slots: they were left, are gone, or their owner gives up on
    /// hardware that is away. What was to leave one of them and was not signed is given up.
    SlotsLost {
        /// The payment for which they were to be left, if there was one: it is given up too.
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
    /// What the sessions with others move on by.
    pub learnt: Vec<Learnt>,
}

/// What became of a payment, for whoever keeps the sessions with others: each payment moves the keys
/// of the session on that it travels in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Learnt {
    /// A payment of this device's is signed. The message that makes it is in the same output.
    Signed {
        /// Which.
        tx: TxId,
        /// To whom.
        payee: DeviceId,
    },
    /// A payment of this device's is receipted, or a release was consented to.
    Receipted {
        /// Which.
        tx: TxId,
        /// By whom.
        by: DeviceId,
    },
    /// A payment to this device was taken.
    Received {
        /// Which.
        tx: TxId,
        /// From whom.
        payer: DeviceId,
    },
    /// A payment that was taken before came again.
    Again {
        /// Which.
        tx: TxId,
    },
}

/// What a seal is asked to sign.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Sign {
    /// Proofs first: the seal leaves each slot for a payment, and signs nothing of it yet. The answer
    /// is [`Input::Proved`] once it has them all, or [`Input::SlotsLost`].
    Prove {
        /// The payment.
        tx: TxId,
        /// The slots.
        slots: Vec<Slot>,
    },
    /// A step. The seal's journal is told before the seal signs.
    Spend {
        /// The payment.
        tx: TxId,
        /// The number of the step.
        seq: u64,
        /// What the journal is told.
        entry: Entry,
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
    /// Consents, to a payment that its payer has signed or to a release. They bind nobody before they
    /// leave this device, and leave only once what they are for is durable.
    Consent {
        /// The transaction.
        tx: TxId,
        /// What is signed, each by itself.
        digests: Vec<Digest>,
    },
}

/// A point of a device's history.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Position {
    /// The number of the step.
    pub seq: u64,
    /// The head after it.
    pub head: Head,
}

/// What a seal's journal is to hold before the seal signs.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Entry {
    /// The last step that is handed to the seal. Steps that wait for a proof are not counted.
    pub to: Position,
    /// Where else the journal may be, if a crash came between: at any other place, or further on, the
    /// device was set back.
    pub from: Vec<Position>,
}

/// What one input needs to be unlocked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SpendToSign {
    /// The coin.
    pub coin: CoinId,
    /// What the owner signs.
    pub digest: Digest,
    /// The slot whose proof goes with the signature, if the key alone does not do.
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
        /// What enrollers say of the seals that proved something behind it: show it with the tier.
        seals: Vec<SealTerms>,
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
        /// What enrollers say of the seals that proved something behind it: show it with the tier.
        seals: Vec<SealTerms>,
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
    /// A payment to oneself is signed: coins were made into one, set aside, or taken back. It counts
    /// once it is certified.
    Moved {
        /// Which.
        tx: TxId,
        /// Which asset.
        asset: AssetId,
        /// How much.
        amount: Amount,
        /// Who may move it from now on.
        owner: Predicate,
        /// Whether all of it was set aside for a contact before.
        released: bool,
        /// Who has still to consent, if somebody has.
        awaits: Option<DeviceId>,
    },
    /// A contact asks to take back what is reserved for this device.
    ReleaseAsked {
        /// The release.
        tx: TxId,
        /// Who asks.
        from: DeviceId,
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
        /// What of this device's it touches.
        concern: Concern,
    },
    /// Somebody proved that this device's own key signed two steps that contradict each other: its
    /// wallet was copied, its key stolen, or it went on from a backup. Others refuse the key.
    Accused {
        /// What it did.
        kind: ForkKind,
    },
    /// A meeting is over.
    Met {
        /// With whom.
        contact: DeviceId,
    },
    /// A contact says that it has seen a later step of this device's own, and cannot show one that this
    /// device signed: it may lie, or have forgotten.
    Claimed {
        /// Who says so.
        contact: DeviceId,
        /// The number of the step.
        seq: u64,
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
