//! Say what two devices send each other. All of it travels encrypted (see the transport).

mod history;
mod meeting;
mod room;

use alloc::string::String;

pub use history::{History, MAX_HISTORY, Told};
pub use meeting::{
    Answer, Findings, KeyHash, MAX_BRANCHES, MAX_FORKS, MAX_SEEN, MAX_TOLD_FORKS, MAX_TOLD_LISTS,
    Seen, Sync, SyncEnd, SyncReply, ToldList, Wants,
};
pub use room::{MAX_MESSAGE, Room};

use crate::amount::Amount;
use crate::cbor::{Decode, DecodeError, Encode, List, Reader, Writer, record};
use crate::evidence::{Evidence, decode_path};
use crate::hash::{Tag, hash};
use crate::id::{AssetId, DeviceId, Digest, Head, Link, Nonce, Root, TxId};
use crate::keys::Signature;
use crate::predicate::{Predicate, Unlock};
use crate::transaction::MAX_INPUTS;

/// Longest code of a refusal.
pub const MAX_CODE: usize = 40;

/// A pocket from which the payer pays.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Spend {
    /// The pocket's coin, by its place among all that the evidence made.
    pub coin: u16,
    /// The pocket's place in the payer's tree, under the offer's root.
    pub path: tally_tree::InclusionCertificate,
}

/// Message 1: what the payer would pay with.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Offer {
    /// The number of the payer's last step.
    pub seq: u64,
    /// The payer's head.
    pub head: Head,
    /// The root of the payer's tree.
    pub root: Root,
    /// The head of the chain of the payer's payments to the payee.
    pub link: Link,
    /// Which asset.
    pub asset: AssetId,
    /// How much the payee is to get.
    pub amount: Amount,
    /// The pockets that it comes from; change goes back to the last.
    pub spends: List<Spend, MAX_INPUTS>,
    /// Where their coins come from.
    pub evidence: Evidence,
}

record!(Offer { seq, head, root, link, asset, amount, spends, evidence });

/// Message 2: the payee's terms.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Accept {
    /// Fresh bytes, which make the payment unique.
    pub nonce: Nonce,
    /// The predicate under which the payee wants its coin.
    pub owner: Predicate,
}

record!(Accept { nonce, owner });

/// Message 3: the payment. Body, link and transaction follow from messages 1 and 2.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Commit {
    /// The root of the payer's tree after the payment.
    pub root: Root,
    /// What unlocks each input.
    pub unlocks: List<Unlock, MAX_INPUTS>,
}

record!(Commit { root, unlocks });

/// Messages 1 to 3 in one: a payment of an invoice, or one that is sent again.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Payment {
    /// What it is made of.
    pub offer: Offer,
    /// On which terms.
    pub accept: Accept,
    /// The payment itself.
    pub commit: Commit,
}

record!(Payment { offer, accept, commit });

/// Message 4: the payee has the payment.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Receipt {
    /// Which payment.
    pub tx: TxId,
    /// The payee's signature on [`Receipt::digest`].
    pub signature: Signature,
    /// The payee's consent to each input that is reserved for it, in order, if the payer asked for
    /// it: what it signed is [`crate::predicate::consent_digest`].
    pub consents: List<Signature, MAX_INPUTS>,
}

impl Receipt {
    /// What a payee signs: `H("receipt", tx, payee)`.
    pub fn digest(tx: &TxId, payee: &DeviceId) -> Digest {
        Digest::new(hash(Tag::Receipt, &[tx, payee]))
    }
}

/// The payee's no, with the stable code of its reason.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Refuse {
    /// The code.
    pub code: String,
    /// Where the payer's payments to the payee stand, so that a payer who is behind notices.
    pub link: Link,
}

/// Everything that one device says to another.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[allow(clippy::large_enum_variant)]
pub enum Message {
    /// Message 1.
    Offer(Offer),
    /// Message 2.
    Accept(Accept),
    /// Message 3.
    Commit(Commit),
    /// Messages 1 to 3 in one.
    Payment(Payment),
    /// Message 4.
    Receipt(Receipt),
    /// The payee's no.
    Refuse(Refuse),
    /// A page of a meeting, by the side that began it.
    Sync(Sync),
    /// Its answer.
    SyncReply(SyncReply),
    /// The end of a page of it.
    SyncEnd(SyncEnd),
    /// A payment to oneself of what is reserved for the receiver, who is asked to consent.
    Release(Payment),
    /// What of an answer at a meeting does not fit the message that ends the answer.
    Findings(Findings),
}

impl Message {
    /// The message's name, for people and logs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Offer(_) => "offer",
            Self::Accept(_) => "accept",
            Self::Commit(_) => "commit",
            Self::Payment(_) => "payment",
            Self::Receipt(_) => "receipt",
            Self::Refuse(_) => "refuse",
            Self::Sync(_) => "sync",
            Self::SyncReply(_) => "sync reply",
            Self::SyncEnd(_) => "sync end",
            Self::Release(_) => "release",
            Self::Findings(_) => "findings",
        }
    }
}

impl Encode for Message {
    fn encode(&self, w: &mut Writer) {
        let mut pair = |kind: u64, body: &dyn Encode| {
            w.array(2);
            w.uint(kind);
            body.encode(w);
        };
        match self {
            Self::Offer(m) => pair(1, m),
            Self::Accept(m) => pair(2, m),
            Self::Commit(m) => pair(3, m),
            Self::Receipt(m) => pair(4, m),
            Self::Payment(m) => pair(5, m),
            Self::Refuse(m) => pair(6, m),
            Self::Sync(m) => pair(7, m),
            Self::SyncReply(m) => pair(8, m),
            Self::SyncEnd(m) => pair(9, m),
            Self::Release(m) => pair(10, m),
            Self::Findings(m) => pair(11, m),
        }
    }
}

impl Decode for Message {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.variant(|r, kind, rest| {
            if rest != 1 {
                return Err(DecodeError::WrongLength);
            }
            match kind {
                1 => Decode::decode(r).map(Self::Offer),
                2 => Decode::decode(r).map(Self::Accept),
                3 => Decode::decode(r).map(Self::Commit),
                4 => Decode::decode(r).map(Self::Receipt),
                5 => Decode::decode(r).map(Self::Payment),
                6 => Decode::decode(r).map(Self::Refuse),
                7 => Decode::decode(r).map(Self::Sync),
                8 => Decode::decode(r).map(Self::SyncReply),
                9 => Decode::decode(r).map(Self::SyncEnd),
                10 => Decode::decode(r).map(Self::Release),
                11 => Decode::decode(r).map(Self::Findings),
                _ => Err(DecodeError::Unknown),
            }
        })
    }
}

impl Encode for Spend {
    fn encode(&self, w: &mut Writer) {
        w.array(2);
        self.coin.encode(w);
        w.bytes(&self.path.encode());
    }
}

impl Decode for Spend {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.record(2, |r| Ok(Self { coin: Decode::decode(r)?, path: decode_path(r)? }))
    }
}

/// Consents come last, and are left out when there are none.
impl Encode for Receipt {
    fn encode(&self, w: &mut Writer) {
        w.array(if self.consents.is_empty() { 2 } else { 3 });
        self.tx.encode(w);
        self.signature.encode(w);
        if !self.consents.is_empty() {
            self.consents.encode(w);
        }
    }
}

impl Decode for Receipt {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.optional_tail(2, 3, |r, consented| {
            let (tx, signature) = (Decode::decode(r)?, Decode::decode(r)?);
            let consents = if consented { Decode::decode(r)? } else { List::default() };
            if consented && consents.is_empty() {
                return Err(DecodeError::WrongLength);
            }
            Ok(Self { tx, signature, consents })
        })
    }
}

impl Encode for Refuse {
    fn encode(&self, w: &mut Writer) {
        w.array(2);
        w.text(&self.code);
        self.link.encode(w);
    }
}

impl Decode for Refuse {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.record(2, |r| {
            let code = r.text(MAX_CODE)?;
            let plain = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
            if code.is_empty() || !code.bytes().all(plain) {
                return Err(DecodeError::OutOfRange);
            }
            Ok(Self { code: code.into(), link: Decode::decode(r)? })
        })
    }
}
