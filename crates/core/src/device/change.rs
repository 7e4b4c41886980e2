//! What a device keeps: each change is one record, whole, to be stored under its own key.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Apart, Burned, Contact, Forgotten, Lost, OwnStep, Recovered};
use crate::accept::AcceptPolicy;
use crate::amount::Amount;
use crate::cbor::{Decode, DecodeError, Encode, List, Reader, Writer, record, to_bytes};
use crate::coin::Coin;
use crate::evidence::{Evidence, Hop, Sighting};
use crate::fork::ForkProof;
use crate::id::{AssetId, CoinId, DeviceId, Head, Link, Nonce, SerialId, TxId};
use crate::keys::Signature;
use crate::message::Payment;
use crate::mint::MintStanding;
use crate::policy::Policy;
use crate::predicate::Predicate;
use crate::seal::{Revocation, SealCertificate};
use crate::tier::Tier;
use crate::time::Time;
use crate::trade::Source;
use crate::transaction::{MAX_INPUTS, Transaction};

/// A place where value came in; what is left of it, and how it came to be there.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Pocket {
    /// The coin under which the value first came in: the pocket's key in the device's tree.
    pub id: CoinId,
    /// The link that last moved it.
    pub link: Link,
    /// The coin that is in it now, unless it is spent out.
    pub coin: Option<(CoinId, Coin)>,
    /// What lies behind that coin; empty while its payment waits for the seal.
    pub evidence: Evidence,
}

/// How far an outgoing payment has come.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum OutgoingState {
    /// The step is taken, and slots have to be left for it that are not all proved: nothing of it can
    /// have been signed.
    Proving,
    /// Every proof that it needs is there: it was handed to whoever signs, or will be.
    Intent,
    /// Signed: the payee can be given it any number of times.
    Signed,
    /// The payee said that it has it.
    Receipted,
    /// There was no proof for it, so nothing of it was signed: its coins are back.
    GivenUp,
}

/// A payment to somebody.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Outgoing {
    /// The payment's transaction.
    pub tx: TxId,
    /// To whom.
    pub payee: DeviceId,
    /// How far it has come.
    pub state: OutgoingState,
    /// When the step was taken.
    pub at: Time,
    /// What is sent; without unlocks until it is signed.
    pub payment: Payment,
    /// The coins that it is paid with, as they were before.
    pub sources: List<Source, MAX_INPUTS>,
    /// The transaction.
    pub transaction: Transaction,
    /// The payee's signature, once it is there.
    pub receipt: Option<Signature>,
    /// The device's head when it was given up, if it was.
    pub given_up: Option<Head>,
}

/// A payment from somebody, or a mint.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Incoming {
    /// The payment's transaction, or the mint.
    pub tx: TxId,
    /// From whom; nobody for a mint.
    pub payer: Option<DeviceId>,
    /// When it was accepted.
    pub at: Time,
    /// Which asset.
    pub asset: AssetId,
    /// How much.
    pub amount: Amount,
    /// What it was worth when it was accepted: what stops a second spend of it.
    pub tier: Tier,
    /// What the mints behind it rested on then.
    pub minted: MintStanding,
    /// Whether the notary has certified it since.
    pub settled: bool,
    /// Whether it was on agreed terms and within what the owner accepts. If not, the value is held
    /// all the same, for the payer has signed it away, but nothing is owed for it.
    pub accepted: bool,
    /// The transaction with its witnesses, to give back to a payer who lost it.
    pub hop: Option<Hop>,
    /// The number of this device's own last step when it came: later steps commit to its pocket.
    pub after: u64,
}

impl Incoming {
    /// The coin that a payment or mint made for this device: also its pocket.
    pub(super) fn coin(tx: &TxId) -> CoinId {
        CoinId::of(tx, 0)
    }
}

/// On which terms this device is ready to be paid.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Terms {
    /// By whom; anybody if absent.
    pub payer: Option<DeviceId>,
    /// Which asset.
    pub asset: AssetId,
    /// At least how much.
    pub amount: Amount,
    /// Under which predicate.
    pub owner: Predicate,
    /// Until when.
    pub expires_at: Time,
}

record!(Terms { payer, asset, amount, owner, expires_at });

/// Whether the device may sign.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Mode {
    /// It may.
    #[default]
    Normal,
    /// It was restored from a backup, or found behind: it receives only, until it knows its latest
    /// step.
    ReceiveOnly,
}

/// One durable change. [`Change::key`] says under which key the whole record is stored.
///
/// What is large is shared with the device that holds it, not copied.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Change {
    /// The device took a step.
    Step {
        /// The number of its last step.
        seq: u64,
        /// Its head.
        head: Head,
    },
    /// A contact.
    Contact(Box<Contact>),
    /// The policy of an asset.
    Policy(Policy),
    /// What the owner accepts.
    Accept(AcceptPolicy),
    /// A pocket.
    Pocket(Arc<Pocket>),
    /// An outgoing payment.
    Outgoing(Arc<Outgoing>),
    /// An incoming payment.
    Incoming(Arc<Incoming>),
    /// Terms that were given, or that are over.
    Terms(Nonce, Option<Terms>),
    /// A step of a device that was seen.
    Sighting(Sighting),
    /// A device that was convicted.
    Fork(Box<ForkProof>),
    /// Whether the device may sign.
    Mode(Mode),
    /// The device receives only, and was told of these steps of its own: how that was stored before
    /// each step had a record. It is read, and not written any more.
    Waiting(List<Hop, MAX_WAITING>),
    /// A step of the device's own that it learnt from others.
    OwnStep(Arc<OwnStep>),
    /// What a restore leaves open.
    Recovered(Box<Recovered>),
    /// A pocket's coin is set apart, or is so no more.
    Apart(CoinId, Option<Apart>),
    /// A pocket's coin came under a lock of this device's hardware that it did not give: its slot is never
    /// left, and its key moves it once the lock has ended.
    Foreign(CoinId),
    /// A mint that was seen, or that is forgotten.
    Minted {
        /// The asset.
        asset: AssetId,
        /// The serial that it used.
        serial: u64,
        /// The mint.
        mint: Option<TxId>,
    },
    /// A payment of this device's is certified, with everything behind it.
    Settled {
        /// The payment.
        tx: TxId,
        /// Reference time of the round.
        at: Time,
    },
    /// A race that was lost.
    Lost(Box<Lost>),
    /// This device's enrollment.
    Enrollment(Box<SealCertificate>),
    /// An enroller's list of what it has taken back.
    Revocation(Box<Revocation>),
    /// A slot from which this device's seal gives no proof any more.
    Burned(Burned),
    /// A record that is no longer kept.
    Forgotten(Forgotten),
}

impl Change {
    /// The kind of the record and its key: a later record with the same key replaces it.
    pub fn key(&self) -> Vec<u8> {
        let of = |kind: u8, key: &[u8]| {
            let mut bytes = alloc::vec![kind];
            bytes.extend_from_slice(key);
            bytes
        };
        match self {
            Self::Step { .. } => of(1, &[]),
            Self::Contact(contact) => of(2, contact.device.as_bytes()),
            Self::Policy(policy) => of(3, policy.id().as_bytes()),
            Self::Accept(_) => of(4, &[]),
            Self::Pocket(pocket) => of(5, pocket.id.as_bytes()),
            Self::Outgoing(outgoing) => of(6, outgoing.tx.as_bytes()),
            Self::Incoming(incoming) => of(7, incoming.tx.as_bytes()),
            Self::Terms(nonce, _) => of(8, nonce.as_bytes()),
            Self::Sighting(sighting) => {
                let tx = sighting.branch.tx_id();
                of(9, &[tx.as_bytes(), sighting.branch.coin.as_bytes().as_slice()].concat())
            }
            Self::Fork(proof) => of(10, proof.key.as_bytes()),
            Self::Forgotten(Forgotten::Contact(device)) => of(2, device.as_bytes()),
            Self::Forgotten(Forgotten::Sighting { coin, tx, .. }) => {
                of(9, &[tx.as_bytes(), coin.as_bytes().as_slice()].concat())
            }
            Self::Forgotten(Forgotten::Fork(key)) => of(10, key.as_bytes()),
            Self::Mode(_) | Self::Waiting(_) => of(11, &[]),
            Self::OwnStep(step) => of(33, &step.step.seq.to_be_bytes()),
            Self::Recovered(_) => of(34, &[]),
            Self::Apart(pocket, _) => of(35, pocket.as_bytes()),
            Self::Foreign(pocket) => of(36, pocket.as_bytes()),
            Self::Minted { asset, serial, .. } => of(12, SerialId::of(asset, *serial).as_bytes()),
            Self::Settled { tx, .. } => of(20, tx.as_bytes()),
            Self::Lost(lost) => of(21, lost.source.as_bytes()),
            Self::Enrollment(certificate) => {
                of(30, SealCertificate::digest(certificate.terms()).as_bytes())
            }
            Self::Revocation(list) => of(31, list.terms().enroller().as_bytes()),
            Self::Burned(burned) => of(32, &to_bytes(&burned.slot)),
        }
    }

    /// The record's bytes; nothing if the record is over and its key is to be removed.
    pub fn value(&self) -> Option<Vec<u8>> {
        match self {
            Self::Terms(_, None)
            | Self::Minted { mint: None, .. }
            | Self::Apart(_, None)
            | Self::Forgotten(_) => None,
            other => Some(to_bytes(other)),
        }
    }
}

impl Encode for Change {
    fn encode(&self, w: &mut Writer) {
        let mut pair = |kind: u64, body: &dyn Encode| {
            w.array(2);
            w.uint(kind);
            body.encode(w);
        };
        match self {
            Self::Step { seq, head } => pair(1, &Pair(*seq, *head)),
            Self::Contact(x) => pair(2, x),
            Self::Policy(x) => pair(3, x),
            Self::Accept(x) => pair(4, x),
            Self::Pocket(x) => pair(5, x),
            Self::Outgoing(x) => pair(6, x),
            Self::Incoming(x) => pair(7, x),
            Self::Terms(nonce, terms) => pair(8, &Pair(*nonce, terms.clone())),
            Self::Sighting(x) => pair(9, x),
            Self::Fork(x) => pair(10, x),
            Self::Mode(x) => pair(11, x),
            Self::Waiting(x) => pair(11, x),
            Self::OwnStep(x) => pair(33, x),
            Self::Recovered(x) => pair(34, x),
            Self::Apart(pocket, apart) => pair(35, &Pair(*pocket, *apart)),
            Self::Foreign(pocket) => pair(36, pocket),
            Self::Minted { asset, serial, mint } => pair(12, &Pair(*asset, Pair(*serial, *mint))),
            Self::Forgotten(x) => pair(13, x),
            Self::Settled { tx, at } => pair(20, &Pair(*tx, *at)),
            Self::Lost(x) => pair(21, x),
            Self::Enrollment(x) => pair(30, x),
            Self::Revocation(x) => pair(31, x),
            Self::Burned(x) => pair(32, x),
        }
    }
}

impl Decode for Change {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.variant(|r, kind, rest| {
            if rest != 1 {
                return Err(DecodeError::WrongLength);
            }
            match kind {
                1 => Pair::decode(r).map(|Pair(seq, head)| Self::Step { seq, head }),
                2 => Decode::decode(r).map(Self::Contact),
                3 => Decode::decode(r).map(Self::Policy),
                4 => Decode::decode(r).map(Self::Accept),
                5 => Decode::decode(r).map(Self::Pocket),
                6 => Decode::decode(r).map(Self::Outgoing),
                7 => Decode::decode(r).map(Self::Incoming),
                8 => Pair::decode(r).map(|Pair(nonce, terms)| Self::Terms(nonce, terms)),
                9 => Decode::decode(r).map(Self::Sighting),
                10 => Decode::decode(r).map(Self::Fork),
                11 => mode(r),
                12 => Pair::decode(r).map(|Pair(asset, Pair(serial, mint))| Self::Minted {
                    asset,
                    serial,
                    mint,
                }),
                13 => Decode::decode(r).map(Self::Forgotten),
                20 => Pair::decode(r).map(|Pair(tx, at)| Self::Settled { tx, at }),
                21 => Decode::decode(r).map(Self::Lost),
                30 => Decode::decode(r).map(Self::Enrollment),
                31 => Decode::decode(r).map(Self::Revocation),
                32 => Decode::decode(r).map(Self::Burned),
                33 => Decode::decode(r).map(Self::OwnStep),
                34 => Decode::decode(r).map(Self::Recovered),
                36 => Decode::decode(r).map(Self::Foreign),
                35 => Pair::decode(r).map(|Pair(pocket, apart)| Self::Apart(pocket, apart)),
                _ => Err(DecodeError::Unknown),
            }
        })
    }
}

/// Two things, one after the other.
struct Pair<A, B>(A, B);

impl<A: Encode, B: Encode> Encode for Pair<A, B> {
    fn encode(&self, w: &mut Writer) {
        w.array(2);
        self.0.encode(w);
        self.1.encode(w);
    }
}

impl<A: Decode, B: Decode> Decode for Pair<A, B> {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.record(2, |r| Ok(Self(A::decode(r)?, B::decode(r)?)))
    }
}

/// The fields of a payment's record, without the head that only what was given up has.
const OUTGOING_FIELDS: u64 = 8;

impl Encode for Outgoing {
    fn encode(&self, w: &mut Writer) {
        w.array(OUTGOING_FIELDS + u64::from(self.given_up.is_some()));
        self.tx.encode(w);
        self.payee.encode(w);
        self.state.encode(w);
        self.at.encode(w);
        self.payment.encode(w);
        self.sources.encode(w);
        self.transaction.encode(w);
        self.receipt.encode(w);
        if let Some(head) = &self.given_up {
            head.encode(w);
        }
    }
}

impl Decode for Outgoing {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.optional_tail(OUTGOING_FIELDS, OUTGOING_FIELDS + 1, |r, given_up| {
            Ok(Self {
                tx: Decode::decode(r)?,
                payee: Decode::decode(r)?,
                state: Decode::decode(r)?,
                at: Decode::decode(r)?,
                payment: Decode::decode(r)?,
                sources: Decode::decode(r)?,
                transaction: Decode::decode(r)?,
                receipt: Decode::decode(r)?,
                given_up: given_up.then(|| Decode::decode(r)).transpose()?,
            })
        })
    }
}

/// The fields of a payment's record; at first there was no number of the device's own last step.
const INCOMING_FIELDS: u64 = 11;

impl Encode for Incoming {
    fn encode(&self, w: &mut Writer) {
        w.array(INCOMING_FIELDS);
        self.tx.encode(w);
        self.payer.encode(w);
        self.at.encode(w);
        self.asset.encode(w);
        self.amount.encode(w);
        self.tier.encode(w);
        self.minted.encode(w);
        self.settled.encode(w);
        self.accepted.encode(w);
        self.hop.encode(w);
        self.after.encode(w);
    }
}

impl Decode for Incoming {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.optional_tail(INCOMING_FIELDS - 1, INCOMING_FIELDS, |r, numbered| {
            Ok(Self {
                tx: Decode::decode(r)?,
                payer: Decode::decode(r)?,
                at: Decode::decode(r)?,
                asset: Decode::decode(r)?,
                amount: Decode::decode(r)?,
                tier: Decode::decode(r)?,
                minted: Decode::decode(r)?,
                settled: Decode::decode(r)?,
                accepted: Decode::decode(r)?,
                hop: Decode::decode(r)?,
                after: if numbered { Decode::decode(r)? } else { 0 },
            })
        })
    }
}

impl Encode for Pocket {
    fn encode(&self, w: &mut Writer) {
        w.array(4);
        self.id.encode(w);
        self.link.encode(w);
        self.coin.as_ref().map(|(id, coin)| Pair(*id, coin.clone())).encode(w);
        self.evidence.encode(w);
    }
}

impl Decode for Pocket {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.record(4, |r| {
            let (id, link) = (Decode::decode(r)?, Decode::decode(r)?);
            let coin = Option::<Pair<CoinId, Coin>>::decode(r)?.map(|Pair(id, coin)| (id, coin));
            Ok(Self { id, link, coin, evidence: Decode::decode(r)? })
        })
    }
}

impl Encode for OutgoingState {
    fn encode(&self, w: &mut Writer) {
        w.uint(match self {
            Self::Intent => 0,
            Self::Signed => 1,
            Self::Receipted => 2,
            Self::GivenUp => 3,
            Self::Proving => 4,
        });
    }
}

impl Decode for OutgoingState {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match r.uint()? {
            0 => Ok(Self::Intent),
            1 => Ok(Self::Signed),
            2 => Ok(Self::Receipted),
            3 => Ok(Self::GivenUp),
            4 => Ok(Self::Proving),
            _ => Err(DecodeError::Unknown),
        }
    }
}

/// Most steps that one record of an earlier form holds.
pub const MAX_WAITING: usize = 256;

impl Encode for Mode {
    fn encode(&self, w: &mut Writer) {
        match self {
            Self::Normal => w.null(),
            Self::ReceiveOnly => w.array(0),
        }
    }
}

/// Reads whether the device may sign; in an earlier form, the steps that it was told of came along.
fn mode(r: &mut Reader<'_>) -> Result<Change, DecodeError> {
    if r.null()? {
        return Ok(Change::Mode(Mode::Normal));
    }
    let waiting = List::decode(r)?;
    let none = waiting.is_empty();
    Ok(if none { Change::Mode(Mode::ReceiveOnly) } else { Change::Waiting(waiting) })
}
