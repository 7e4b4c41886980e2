//! Keep what is to be said to each contact until it can be said, and say it.
//!
//! What is durable of it lies in the device (payments that are signed and not receipted). The rest is
//! in memory: an answer that is lost with the process is given again when it is asked for again.
//! Nothing that is to be said holds up what is to be kept.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use tally_core::cbor::{Blob, to_bytes};
use tally_core::id::{DeviceId, Link, TxId};
use tally_core::message::Message;
use tally_core::packet::{MAX_ENVELOPE, Packet};
use tally_transport::session::{MAX_PENDING, SessionError};

use crate::engine::{Engine, Step};
use crate::peer::{Line, LineId};
use crate::{AgentError, Conn, Effect, PeerError, Way};

/// Most messages that wait for one contact. Nothing that waits is pushed out: what comes when there is no
/// room is given up, and said so.
const MAX_ITEMS: usize = 256;
/// How many of those may be payments. The others are durable, and follow when there is room.
const MAX_PAYMENTS: usize = 64;

/// Something to be said.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) message: Box<Message>,
    /// The payment that it makes, if it makes one.
    pub(crate) pays: Option<TxId>,
    pub(crate) way: Way,
    /// The session of what it answers.
    pub(crate) line: Option<LineId>,
    /// Says it in a new session, with a generation above this.
    pub(crate) fresh: Option<u64>,
}

impl Item {
    pub(crate) fn new(message: Message, way: Way) -> Self {
        Self { message: Box::new(message), pays: None, way, line: None, fresh: None }
    }
}

/// What is to be said, by contact.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outbox {
    items: BTreeMap<DeviceId, VecDeque<Item>>,
}

impl Outbox {
    /// Adds what is to be said, or gives it back if there is no room. A payment that waits already
    /// waits once.
    #[must_use]
    fn push(&mut self, to: DeviceId, item: Item) -> Option<Item> {
        let items = self.items.entry(to).or_default();
        let waits = |known: &Item| item.pays.is_some() && known.pays == item.pays;
        if items.iter().any(waits) {
            return None;
        }
        let payments = items.iter().filter(|known| known.pays.is_some()).count();
        if items.len() >= MAX_ITEMS || (item.pays.is_some() && payments >= MAX_PAYMENTS) {
            return Some(item);
        }
        items.push_back(item);
        None
    }

    /// Puts what was said before in front again; a connection keeps little of it.
    pub(crate) fn push_again(&mut self, to: DeviceId, items: Vec<Item>) {
        let waiting = self.items.entry(to).or_default();
        for item in items.into_iter().rev() {
            waiting.push_front(item);
        }
    }

    /// Whether a payment waits to go this way.
    fn has_payment(&self, way: Way) -> bool {
        self.items.values().flatten().any(|item| item.way == way && item.pays.is_some())
    }

    /// Whether anything waits for a contact.
    pub(crate) fn waits_for(&self, contact: &DeviceId) -> bool {
        self.items.contains_key(contact)
    }

    /// Whether something waits to go this way.
    pub(crate) fn has(&self, way: Way) -> bool {
        self.items.values().flatten().any(|item| item.way == way)
    }

    /// Forgets what was to go this way.
    pub(crate) fn drop_way(&mut self, way: Way) {
        self.items.values_mut().for_each(|items| items.retain(|item| item.way != way));
        self.items.retain(|_, items| !items.is_empty());
    }

    /// Forgets what was to be said to a contact.
    pub(crate) fn drop_contact(&mut self, contact: &DeviceId) {
        self.items.remove(contact);
    }

    /// The new session is there that something waited for.
    pub(crate) fn greeted(&mut self, contact: &DeviceId) {
        for item in self.items.get_mut(contact).into_iter().flatten() {
            (item.fresh, item.line) = (None, None);
        }
    }

    fn contacts(&self) -> Vec<DeviceId> {
        self.items.keys().copied().collect()
    }

    fn front(&self, contact: &DeviceId) -> Option<&Item> {
        self.items.get(contact).and_then(VecDeque::front)
    }

    fn pop(&mut self, contact: &DeviceId) -> Option<Item> {
        let items = self.items.get_mut(contact)?;
        let item = items.pop_front();
        if items.is_empty() {
            self.items.remove(contact);
        }
        item
    }
}

impl Engine {
    /// Has something said as soon as it can be. Without room for it, a payment on a connection follows
    /// later; anything else is given up, which ends its connection.
    pub(crate) fn put_out(&mut self, step: &mut Step<'_>, to: DeviceId, item: Item) {
        let Some(item) = self.outbox.push(to, item) else { return };
        match item.way {
            Way::Conn(conn) if item.pays.is_some() => {
                if let Some(talk) = self.conns.get_mut(&conn) {
                    talk.more = true;
                }
            }
            Way::Conn(_) | Way::File => self.note_unsendable(step, to, &item, AgentError::Full),
        }
    }

    /// Puts out the payments for which there was no room, once those before them are said; gives
    /// whether there were any.
    pub(crate) fn put_out_more(&mut self, step: &mut Step<'_>, conn: Conn) -> bool {
        let way = Way::Conn(conn);
        let Some(talk) = self.conns.get_mut(&conn).filter(|talk| talk.more) else { return false };
        if self.outbox.has_payment(way) {
            return false;
        }
        talk.more = false;
        let Some(contact) = talk.contact else { return false };
        let sent = talk.sent.clone();
        let waiting = self.waiting_for(contact).into_iter();
        for (tx, message) in waiting.filter(|(tx, _)| !sent.contains(tx)) {
            self.put_out(step, contact, Item { pays: Some(tx), ..Item::new(message, way) });
        }
        self.outbox.has_payment(way)
    }

    /// Says all that can be said now. What lacks a session has its hello signed first.
    pub(crate) fn flush(&mut self, step: &mut Step<'_>) {
        for contact in self.outbox.contacts() {
            while let Some(item) = self.outbox.front(&contact).cloned() {
                if !self.say(step, contact, item) {
                    break;
                }
            }
        }
    }

    /// Says one thing, or gives it up; or leaves it waiting, and gives false.
    fn say(&mut self, step: &mut Step<'_>, to: DeviceId, item: Item) -> bool {
        if self.has_to_wait(&item) {
            return false;
        }
        let said = match (item.fresh, self.line_for(&to, item.line)) {
            (None, Some(line)) => self.encrypt(step, to, line, &item),
            _ => Err(SessionError::Unknown),
        };
        let why = match said {
            Ok(packet) => {
                self.outbox.pop(&to);
                self.note_said(&item);
                step.effects.push(Effect::Send { way: item.way, packet });
                return true;
            }
            Err(
                SessionError::Unknown
                | SessionError::Pending
                | SessionError::Exhausted
                | SessionError::State(_),
            ) => {
                if self.unsaid.contains_key(&to) {
                    return false;
                }
                match self.say_hello(step, to, item.fresh.unwrap_or(0)) {
                    Ok(()) => return false,
                    Err(why) => why,
                }
            }
            Err(other) => AgentError::Peer(PeerError::Session(other)),
        };
        self.outbox.pop(&to);
        self.note_unsendable(step, to, &item, why);
        true
    }

    /// A session reads so many payments ahead and no more: the others follow as these are receipted.
    fn has_to_wait(&self, item: &Item) -> bool {
        let Way::Conn(conn) = item.way else { return false };
        let Some((tx, talk)) = item.pays.zip(self.conns.get(&conn)) else { return false };
        !talk.in_flight.contains(&tx) && talk.in_flight.len() >= MAX_PENDING
    }

    fn note_said(&mut self, item: &Item) {
        let Way::Conn(conn) = item.way else { return };
        if let Some(talk) = self.conns.get_mut(&conn) {
            talk.note_said(item.clone());
        }
    }

    /// Gives up all that is to be said to a contact.
    pub(crate) fn give_up_saying(
        &mut self,
        step: &mut Step<'_>,
        contact: DeviceId,
        why: AgentError,
    ) {
        while let Some(item) = self.outbox.pop(&contact) {
            self.note_unsendable(step, contact, &item, why.clone());
        }
    }

    fn note_unsendable(
        &mut self,
        step: &mut Step<'_>,
        contact: DeviceId,
        item: &Item,
        why: AgentError,
    ) {
        let Item { pays: tx, way, .. } = *item;
        if let Way::Conn(conn) = way {
            self.give_up(step, conn, why.clone());
        }
        step.effects.push(Effect::Unsendable { contact, tx, why });
    }

    /// The session for an answer, or else the newest.
    fn line_for(&self, to: &DeviceId, answers: Option<LineId>) -> Option<LineId> {
        let lines = &self.peers.get(to)?.lines;
        let answered = lines.iter().map(Line::id).find(|id| Some(*id) == answers);
        answered.or_else(|| lines.last().map(Line::id))
    }

    fn encrypt(
        &mut self,
        step: &mut Step<'_>,
        to: DeviceId,
        id: LineId,
        item: &Item,
    ) -> Result<Vec<u8>, SessionError> {
        let pays = item.pays.and_then(|tx| self.link_of_payment(&tx));
        let receipts = match &*item.message {
            Message::Receipt(receipt) => self.link_of_receipt(&receipt.tx),
            _ => None,
        };
        let line = self.peers.get_mut(&to).and_then(|peer| peer.line(id));
        let line = line.ok_or(SessionError::State("it is gone"))?;
        if let Some(link) = pays {
            line.session.expect(link.as_bytes())?;
        }
        if let Some(link) = receipts {
            line.session.advance_as_payee(link.as_bytes())?;
        }
        let envelope = line.session.seal(&to_bytes(&*item.message))?;
        let size = envelope.len();
        let envelope =
            Blob::new(envelope).map_err(|_| SessionError::TooLarge { size, most: MAX_ENVELOPE })?;
        let packet = Packet { hello: line.hello.clone(), envelope };
        if !line.session.is_covered() {
            step.touched.insert(to);
        }
        self.peers.index(&to);
        Ok(packet.to_wire())
    }

    /// The link after a payment of this device's.
    pub(crate) fn link_of_payment(&self, tx: &TxId) -> Option<Link> {
        self.device.outgoing().get(tx).map(|outgoing| outgoing.transaction.link)
    }

    /// The link after a payment to this device.
    pub(crate) fn link_of_receipt(&self, tx: &TxId) -> Option<Link> {
        let incoming = self.device.incoming().get(tx)?;
        incoming.hop.as_ref().map(|hop| hop.tx.link)
    }

    /// Which way something for this contact goes, if one is open.
    pub(crate) fn way_to(&self, step: &Step<'_>, to: &DeviceId) -> Option<Way> {
        let leads = |conn: &Conn| {
            let talk = self.conns.get(conn);
            talk.is_some_and(|talk| talk.contact.is_none_or(|contact| contact == *to))
        };
        match step.way {
            Some(Way::File) => Some(Way::File),
            Some(Way::Conn(conn)) if leads(&conn) => Some(Way::Conn(conn)),
            Some(Way::Conn(_)) | None => {
                let open = self.conns.iter().find(|(_, talk)| talk.contact == Some(*to));
                open.map(|(conn, _)| Way::Conn(*conn))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tally_core::message::Refuse;

    fn id(who: u8) -> DeviceId {
        DeviceId::new([who; 32])
    }

    fn item(pays: Option<u8>) -> Item {
        let (code, link) = (alloc::string::String::new(), Link::new([0; 32]));
        let refuse = Refuse { code, link };
        let message = Message::Refuse(refuse);
        let pays = pays.map(|number| TxId::new([number; 32]));
        Item { pays, ..Item::new(message, Way::File) }
    }

    #[test]
    fn a_contact_for_whom_much_waits_takes_no_room_of_others_and_nothing_is_pushed_out() {
        let mut outbox = Outbox::default();
        for number in 0..=u8::MAX {
            assert!(outbox.push(id(1), item(None)).is_none(), "{number}");
        }
        assert!(outbox.push(id(1), item(None)).is_some(), "it is given back");
        assert!(outbox.push(id(2), item(None)).is_none(), "another has room");
        assert_eq!(outbox.items[&id(1)].len(), MAX_ITEMS);
    }

    #[test]
    fn payments_leave_room_for_what_is_said_beside_them() {
        let mut outbox = Outbox::default();
        let kept = (0..=u8::MAX).filter(|tx| outbox.push(id(1), item(Some(*tx))).is_none());
        assert_eq!(kept.count(), MAX_PAYMENTS);
        assert!(outbox.push(id(1), item(None)).is_none());
        assert!(outbox.push(id(1), item(Some(0))).is_none(), "it waits already");
        assert_eq!(outbox.items[&id(1)].len(), MAX_PAYMENTS + 1);
    }
}
