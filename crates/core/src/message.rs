//! Say what two devices send each other. All of it travels encrypted (see the transport).

use alloc::string::String;

use crate::amount::Amount;
use crate::cbor::{Decode, DecodeError, Encode, List, Reader, Writer, record};
use crate::evidence::{Evidence, Hop, Sighting, decode_path};
use crate::fork::{Branch, ForkProof};
use crate::hash::{Tag, hash};
use crate::id::{AssetId, DeviceId, Digest, Head, Link, Nonce, Root, TxId};
use crate::keys::{PublicKey, Signature};
use crate::predicate::{Predicate, Unlock};
use crate::seal::Revocation;
use crate::transaction::MAX_INPUTS;

/// Most steps of which one message tells that they were seen.
pub const MAX_SEEN: usize = 1024;
/// Most fork proofs in one message.
pub const MAX_FORKS: usize = 64;
/// Most branches in one message.
pub const MAX_BRANCHES: usize = 256;
/// Most transactions that one message gives back to a restored device.
pub const MAX_HISTORY: usize = 64;
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

/// A step that was seen, in few bytes: enough to notice that two of them cannot both be honest.
///
/// Heads are 16 bytes, so that nobody finds two steps whose heads look the same here; of key and
/// coin less is needed, as nothing is gained by making others look the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Seen {
    /// The start of the hash of the device's key.
    pub key: [u8; 8],
    /// The number of the step.
    pub seq: u64,
    /// The start of the head before it.
    pub before: [u8; 16],
    /// The start of the head after it.
    pub after: [u8; 16],
    /// The start of the coin that it spends.
    pub coin: [u8; 8],
}

record!(Seen { key, seq, before, after, coin });

impl Seen {
    /// The short form of a step of `key`.
    pub fn of(key: &PublicKey, branch: &Branch) -> Self {
        Self {
            key: start(&hash(Tag::Device, &[key])),
            seq: branch.step.seq,
            before: start(branch.step.head.as_bytes()),
            after: start(branch.head_after().as_bytes()),
            coin: start(branch.coin.as_bytes()),
        }
    }

    /// Whether both may be true of one honest device. Two inputs of one transaction may.
    pub fn fits(&self, other: &Self) -> bool {
        if self.key != other.key || (self.seq, self.after) == (other.seq, other.after) {
            return true;
        }
        let follows =
            |a: &Self, b: &Self| a.seq.checked_add(1) == Some(b.seq) && a.after != b.before;
        self.seq != other.seq
            && self.before != other.before
            && self.coin != other.coin
            && !follows(self, other)
            && !follows(other, self)
    }
}

fn start<const N: usize>(bytes: &[u8; 32]) -> [u8; N] {
    let mut short = [0; N];
    short.copy_from_slice(&bytes[..N]);
    short
}

/// The start of a meeting: what I have seen, and where we stand.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Sync {
    /// Which page of the steps that I have seen this is, from 0.
    pub page: u32,
    /// Where your payments to me stand.
    pub link: Link,
    /// The number of my last step, so that you can tell me of later ones if I was restored.
    pub seq: u64,
    /// Whether I was restored from a backup and need my history.
    pub restored: bool,
    /// Steps that I have seen of others.
    pub seen: List<Seen, MAX_SEEN>,
    /// Forks that I can prove.
    pub forks: List<ForkProof, MAX_FORKS>,
    /// An enroller's list of seals that it no longer vouches for: on each page the next that I know.
    pub revocation: Option<Revocation>,
}

/// What one side of a meeting knows that the other needs.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Findings {
    /// My side of steps of which the other said something that does not fit.
    pub branches: List<Sighting, MAX_BRANCHES>,
    /// Forks that I can prove.
    pub forks: List<ForkProof, MAX_FORKS>,
}

record!(Findings { branches, forks });

/// The answer to [`Sync`].
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SyncReply {
    /// My own [`Sync`].
    pub sync: Sync,
    /// What I found in yours.
    pub findings: Findings,
    /// Your payments to me that you may have lost, in order; absent unless you said that you were
    /// restored, so that an answer from before does not pass for one.
    pub history: Option<List<Hop, MAX_HISTORY>>,
}

record!(SyncReply { sync, findings, history });

/// The end of a meeting, by the side that began it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SyncEnd {
    /// What I found in your answer.
    pub findings: Findings,
    /// Your payments to me that you may have lost, in order; absent unless you said that you were
    /// restored, so that an answer from before does not pass for one.
    pub history: Option<List<Hop, MAX_HISTORY>>,
}

record!(SyncEnd { findings, history });

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
    /// The start of a meeting.
    Sync(Sync),
    /// Its answer.
    SyncReply(SyncReply),
    /// Its end.
    SyncEnd(SyncEnd),
    /// A payment to oneself of what is reserved for the receiver, who is asked to consent.
    Release(Payment),
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

/// A revocation comes last, and is left out when there is none.
impl Encode for Sync {
    fn encode(&self, w: &mut Writer) {
        w.array(if self.revocation.is_some() { 7 } else { 6 });
        self.page.encode(w);
        self.link.encode(w);
        self.seq.encode(w);
        self.restored.encode(w);
        self.seen.encode(w);
        self.forks.encode(w);
        if let Some(revocation) = &self.revocation {
            revocation.encode(w);
        }
    }
}

impl Decode for Sync {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.optional_tail(6, 7, |r, revokes| {
            Ok(Self {
                page: Decode::decode(r)?,
                link: Decode::decode(r)?,
                seq: Decode::decode(r)?,
                restored: Decode::decode(r)?,
                seen: Decode::decode(r)?,
                forks: Decode::decode(r)?,
                revocation: if revokes { Some(Decode::decode(r)?) } else { None },
            })
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
