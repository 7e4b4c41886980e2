//! Keep contacts: people whom the owner knows, and strangers who came by themselves.
//!
//! A stranger is whoever said hello and has neither paid nor been paid. Of them the latest
//! [`MAX_STRANGERS`] are kept, so that nobody can fill a wallet with names (spec `CARD-5`). What was
//! paid between two devices is kept without their contact records too, and so is where the chains
//! of their payments stand: whoever comes back goes on from there.

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::{Change, Device, DeviceError, Mode, Output, World};
use crate::card::{Card, Name, Signed, SignedError};
use crate::cbor::{Decode, DecodeError, Encode, Reader, Writer, from_bytes};
use crate::id::{DeviceId, Link};
use crate::keys::PublicKey;
use crate::time::Time;

/// Most contacts.
pub const MAX_CONTACTS: usize = 65_536;
/// Most strangers among them; whoever came first goes first.
pub const MAX_STRANGERS: usize = 4096;

/// Another person's device. Its size does not depend on how much was paid.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Contact {
    /// The device.
    pub device: DeviceId,
    /// Its key.
    pub owner: PublicKey,
    /// Its name, as it gave it.
    pub name: Name,
    /// Its card, as it signed it.
    pub card: Arc<Signed>,
    /// The head of the chain of this device's payments to it.
    pub link: Link,
    /// The head of the chain of its payments to this device.
    pub received: Link,
    /// Whether it was met since this device was restored from a backup.
    pub met: Meeting,
    /// When it came by itself, if it is a stranger still.
    pub stranger: Option<Time>,
}

/// What has become of a contact since this device was restored.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Meeting {
    /// It is to be met: it may hold later steps of this device.
    Due,
    /// It was met, and has given back all that it holds.
    Met,
    /// The owner has given up on meeting it.
    GivenUp,
    /// It is a stranger, or became a contact since. It is not waited for, and vouches for nothing
    /// unless it gives back a step.
    New,
}

/// Why a contact cannot be dealt with, or not be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContactError {
    /// The device is nobody whom this wallet knows.
    #[error("this device is not among your contacts: exchange contact cards first")]
    Unknown,
    /// The payee is convicted of a fork.
    #[error(
        "this device was proved to have paid twice with the same money: it is refused for good"
    )]
    Bricked,
    /// There are too many contacts, none of whom is a stranger.
    #[error("this wallet has too many contacts to add another: remove one (tally contact remove)")]
    TooMany,
    /// Something rests on the contact, so that it cannot be removed.
    #[error("this contact cannot be removed: {}", .0.reason())]
    InUse(Rests),
}

impl ContactError {
    /// Stable code of this error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unknown => "UNKNOWN_CONTACT",
            Self::Bricked => "BRICKED",
            Self::TooMany => "CONTACT_TOO_MANY",
            Self::InUse(_) => "CONTACT_IN_USE",
        }
    }
}

/// What rests on a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rests {
    /// Money that it paid here is held and not settled.
    Value,
    /// A payment to it has no receipt.
    Payment,
    /// Value is set aside for it.
    Reserved,
    /// The proof that it forked.
    Fork,
    /// This device was restored, and the record is all that is left of payments between the two.
    Links,
}

impl Rests {
    const fn reason(self) -> &'static str {
        match self {
            Self::Value => {
                "you hold money of theirs that is not settled; settle it or pay it on first"
            }
            Self::Payment => "a payment to them has no receipt yet; send it again first",
            Self::Reserved => "value is reserved for them; release it, or refresh it after its end",
            Self::Fork => "they were proved to have paid twice; the record keeps them refused",
            Self::Links => {
                "since the wallet was restored, only this record says where your payments to each other stand; keep it"
            }
        }
    }
}

impl Contact {
    /// A contact from its card, with whom nothing was paid yet.
    pub fn new(card: &Card, signed: Signed, me: &DeviceId) -> Self {
        let device = card.device();
        Self {
            device,
            owner: card.owner.clone(),
            name: card.name.clone(),
            card: Arc::new(signed),
            link: Link::first(me, &device),
            received: Link::first(me, &device),
            met: Meeting::Due,
            stranger: None,
        }
    }

    /// Whether something can be encrypted to the contact (spec `CARD-7`). A record from before this was
    /// checked where cards come in may say no: it loads, and nothing is begun with it.
    ///
    /// # Errors
    /// [`SignedError::SessionKey`] if not: a newer card of the contact mends it.
    pub fn check_session_key(&self) -> Result<(), SignedError> {
        from_bytes::<Card>(self.card.payload())?.check_session_key()
    }
}

impl Device {
    /// The owner adds a contact.
    pub(super) fn add_contact(&mut self, signed: Signed) -> Result<Output, DeviceError> {
        let contact = self.contact_of(signed)?;
        let mut output = self.make_room(MAX_CONTACTS, &contact.device)?;
        let contact = Contact { stranger: None, ..contact };
        self.add(&mut output, [Change::Contact(Box::new(contact))]);
        Ok(output)
    }

    /// Somebody came with a card of their own: a contact on first use, or a contact's newer card.
    pub(super) fn add_stranger(
        &mut self,
        world: &World<'_>,
        signed: Signed,
    ) -> Result<Output, DeviceError> {
        let contact = self.contact_of(signed)?;
        if let Some(known) = self.contacts.get(&contact.device) {
            return Ok(self.renew_card(known.clone(), contact.card));
        }
        let mut output = self.make_room(MAX_CONTACTS, &contact.device)?;
        while self.strangers.len() >= self.limits.strangers {
            let Some((_, first)) = self.strangers.first().copied() else { break };
            self.add(&mut output, [Change::Forgotten(Forgotten::Contact(first))]);
        }
        let paid = self.steps.last_to(&contact.owner).is_some();
        let known = paid || self.has_dealt_with(&contact.device);
        let contact = Contact { stranger: Some(world.now).filter(|_| !known), ..contact };
        self.add(&mut output, [Change::Contact(Box::new(contact))]);
        Ok(output)
    }

    /// Takes a contact's card if it is newer than the one that is known: a renewed enrollment, say. The
    /// name stays that by which the owner knows the contact.
    fn renew_card(&mut self, known: Contact, card: Arc<Signed>) -> Output {
        if age(&card) <= age(&known.card) {
            return Output::default();
        }
        self.record([Change::Contact(Box::new(Contact { card, ..known }))])
    }

    /// Whether this device paid a device, or took a payment of its own will. What is only held came
    /// unasked.
    fn has_dealt_with(&self, device: &DeviceId) -> bool {
        let mut taken = self.incoming.steps(*device, 0, u64::MAX);
        self.outgoing.last(*device).is_some() || taken.any(|incoming| incoming.accepted)
    }

    /// Whether a device is known by its hello alone.
    pub(super) fn is_stranger(&self, device: &DeviceId) -> bool {
        self.contacts.get(device).is_none_or(|contact| contact.stranger.is_some())
    }

    /// Whether nobody can be added any more.
    pub fn is_full(&self) -> bool {
        self.contacts.len() >= MAX_CONTACTS && self.strangers.is_empty()
    }

    /// The owner removes a contact on whom nothing rests. A device that comes back from a backup
    /// removes nobody: whoever it paid may be among them.
    pub(super) fn remove_contact(&mut self, device: DeviceId) -> Result<Output, DeviceError> {
        let contact = self.contact(&device)?;
        if self.mode != Mode::Normal {
            return Err(super::RecoveryError::ReceiveOnly.into());
        }
        if let Some(rests) = self.rests_on(contact) {
            return Err(ContactError::InUse(rests).into());
        }
        Ok(self.record([Change::Forgotten(Forgotten::Contact(device))]))
    }

    fn rests_on(&self, contact: &Contact) -> Option<Rests> {
        let device = contact.device;
        if self.is_bricked(&contact.owner) {
            return Some(Rests::Fork);
        }
        if self.outgoing.waiting(device).next().is_some() {
            return Some(Rests::Payment);
        }
        let asked = |outgoing: &super::Outgoing| self.asks(outgoing) == Some(device);
        if self.ledger.reserves_for(&contact.owner) || self.outgoing.waiting(self.id).any(asked) {
            return Some(Rests::Reserved);
        }
        let held = |incoming: &super::Incoming| {
            let pocket = self.ledger.pocket(&super::payments::Received::pocket(incoming));
            !incoming.settled && pocket.is_some_and(|pocket| !self.at_stake(pocket).is_zero())
        };
        if self.incoming.steps(device, 0, u64::MAX).any(held) {
            return Some(Rests::Value);
        }
        let kept = self.relation(&device, &contact.owner) == (contact.link, contact.received);
        (!kept).then_some(Rests::Links)
    }

    /// The contact of a card: as it is known, or where the payments that are kept have led to.
    fn contact_of(&self, signed: Signed) -> Result<Contact, DeviceError> {
        let card = signed.open_card()?;
        let device = card.device();
        // One key is one device: another seal under this device's key would step beside it.
        if card.network != self.me.network || card.owner == self.me.owner {
            return Err(DeviceError::NotForMe);
        }
        Ok(match self.contacts.get(&device) {
            // A newer card of a known contact changes what it says of itself, not where we stand.
            Some(known) => Contact { name: card.name, card: Arc::new(signed), ..known.clone() },
            None => {
                let (link, received) = self.relation(&device, &card.owner);
                // Whom the backup does not know is not waited for.
                let restored = self.mode == Mode::ReceiveOnly;
                let met = if restored { Meeting::New } else { Meeting::Due };
                Contact { link, received, met, ..Contact::new(&card, signed, &self.id) }
            }
        })
    }

    /// The heads of the two chains of payments with a device, as far as its payments are kept.
    pub(super) fn relation(&self, device: &DeviceId, key: &PublicKey) -> (Link, Link) {
        let (first, _) = self.first_links(device);
        let paid = self.outgoing.last(*device).map(|outgoing| &outgoing.transaction);
        let paid = paid.map(|transaction| (transaction.step.seq, transaction.link));
        let paid = paid.into_iter().chain(self.steps.last_to(key)).max_by_key(|(seq, _)| *seq);
        let paid = paid.map(|(_, link)| link);
        let last = self.incoming.steps(*device, 0, u64::MAX).next_back();
        let received = last.and_then(|incoming| incoming.hop.as_ref()).map(|hop| hop.tx.link);
        (paid.unwrap_or(first), received.unwrap_or(first))
    }

    fn first_links(&self, device: &DeviceId) -> (Link, Link) {
        let first = Link::first(&self.id, device);
        (first, first)
    }

    /// Lets a stranger go if there are `most` contacts and the device is not one of them.
    fn make_room(&mut self, most: usize, device: &DeviceId) -> Result<Output, DeviceError> {
        if self.contacts.len() < most || self.contacts.contains_key(device) {
            return Ok(Output::default());
        }
        let (_, first) = self.strangers.first().copied().ok_or(ContactError::TooMany)?;
        Ok(self.record([Change::Forgotten(Forgotten::Contact(first))]))
    }

    /// Takes over a contact's record.
    pub(super) fn put_contact(&mut self, contact: Contact) {
        let known = self.contacts.get(&contact.device);
        if known.is_none_or(|known| known.card != contact.card) {
            self.enrolled.add_contact(&contact);
        }
        let came = known.and_then(|known| known.stranger).map(|at| (at, contact.device));
        came.map(|place| self.strangers.remove(&place));
        self.strangers.extend(contact.stranger.map(|at| (at, contact.device)));
        self.contacts.insert(contact.device, contact);
    }

    /// Takes over that something is forgotten.
    pub(super) fn forget(&mut self, forgotten: Forgotten) {
        match forgotten {
            Forgotten::Contact(device) => {
                let Some(contact) = self.contacts.remove(&device) else { return };
                self.enrolled.remove_contact(&contact, &self.me.seal, self.contacts.values());
                contact.stranger.map(|at| self.strangers.remove(&(at, device)));
                self.drafts.remove(&device);
                self.offers.remove(&device);
                self.asked.remove(&device);
                self.meetings.remove(&device);
                self.talks.remove(&device);
            }
            Forgotten::Fork(key) => {
                self.forks.remove(&key);
            }
            Forgotten::Sighting { key, coin, .. } => self.sightings.remove(&key, &coin),
        }
    }
}

/// By what the newer of two cards of one device is told: when it was made, and when its enrollment ends.
fn age(card: &Signed) -> Option<(Option<Time>, Option<Time>)> {
    let card = from_bytes::<Card>(card.payload()).ok()?;
    Some((card.fields.time(), card.enrollment.map(|of| of.terms().expires)))
}

/// A record that is no longer kept.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Forgotten {
    /// A contact.
    Contact(DeviceId),
    /// The proof that the device with this key forked.
    Fork(PublicKey),
    /// A step that was seen.
    Sighting {
        /// Who signed it.
        key: PublicKey,
        /// The coin that it spends.
        coin: crate::id::CoinId,
        /// Its transaction.
        tx: crate::id::TxId,
    },
}

impl Encode for Meeting {
    fn encode(&self, w: &mut Writer) {
        w.uint(match self {
            Self::Due => 0,
            Self::Met => 1,
            Self::GivenUp => 2,
            Self::New => 3,
        });
    }
}

impl Decode for Meeting {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match r.uint()? {
            0 => Ok(Self::Due),
            1 => Ok(Self::Met),
            2 => Ok(Self::GivenUp),
            3 => Ok(Self::New),
            _ => Err(DecodeError::Unknown),
        }
    }
}

/// The fields of a contact's record; a stranger's has one more.
const FIELDS: u64 = 7;

impl Encode for Contact {
    fn encode(&self, w: &mut Writer) {
        w.array(FIELDS + u64::from(self.stranger.is_some()));
        self.device.encode(w);
        self.owner.encode(w);
        self.name.encode(w);
        self.card.encode(w);
        self.link.encode(w);
        self.received.encode(w);
        self.met.encode(w);
        if let Some(at) = &self.stranger {
            at.encode(w);
        }
    }
}

impl Decode for Contact {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.optional_tail(FIELDS, FIELDS + 1, |r, stranger| {
            Ok(Self {
                device: Decode::decode(r)?,
                owner: Decode::decode(r)?,
                name: Decode::decode(r)?,
                card: Decode::decode(r)?,
                link: Decode::decode(r)?,
                received: Decode::decode(r)?,
                met: Decode::decode(r)?,
                stranger: if stranger { Some(Decode::decode(r)?) } else { None },
            })
        })
    }
}

impl Encode for Forgotten {
    fn encode(&self, w: &mut Writer) {
        match self {
            Self::Contact(device) => {
                w.array(2);
                w.uint(0);
                device.encode(w);
            }
            Self::Fork(key) => {
                w.array(2);
                w.uint(1);
                key.encode(w);
            }
            Self::Sighting { key, coin, tx } => {
                w.array(4);
                w.uint(2);
                key.encode(w);
                coin.encode(w);
                tx.encode(w);
            }
        }
    }
}

impl Decode for Forgotten {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.variant(|r, kind, rest| match (kind, rest) {
            (0, 1) => Decode::decode(r).map(Self::Contact),
            (1, 1) => Decode::decode(r).map(Self::Fork),
            (2, 3) => Ok(Self::Sighting {
                key: Decode::decode(r)?,
                coin: Decode::decode(r)?,
                tx: Decode::decode(r)?,
            }),
            (0..=2, _) => Err(DecodeError::WrongLength),
            _ => Err(DecodeError::Unknown),
        })
    }
}
