//! Keep what is to be said to each contact until it can be said, and say it.
//!
//! What is durable of it lies in the device (payments that are signed and not receipted). The rest is
//! in memory: an answer that is lost with the process is given again when it is asked for again.
//! Nothing that is to be said holds up what is to be kept.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use tally_core::cbor::{Blob, to_bytes};
use tally_core::id::{DeviceId, Link, TxId};
use tally_core::message::Message;
use tally_core::packet::{MAX_ENVELOPE, Packet};
use tally_transport::session::{MAX_PENDING, SessionError};

use crate::engine::{Engine, Step};
use crate::peer::{Line, LineId};
use crate::{AgentError, Conn, Done, Effect, PeerError, Way};

/// Most messages that wait for one contact. Nothing that waits is pushed out: what comes when there is no
/// room is given up, and said so.
const MAX_ITEMS: usize = 256;
/// How many of those may be payments. The others are durable, and follow when there is room.
const MAX_PAYMENTS: usize = 64;

/// Something to be said.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// To whom, whoever is at the other end.
    pub(crate) to: DeviceId,
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
    pub(crate) fn new(to: DeviceId, message: Message, way: Way) -> Self {
        Self { to, message: Box::new(message), pays: None, way, line: None, fresh: None }
    }

    pub(crate) fn paying(to: DeviceId, message: Message, way: Way, tx: TxId) -> Self {
        Self { pays: Some(tx), ..Self::new(to, message, way) }
    }
}

/// What is to be said, by contact.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outbox {
    items: BTreeMap<DeviceId, VecDeque<Item>>,
}

impl Outbox {
    /// Adds what is to be said, or gives it back if there is no room. A payment that waits to go one way
    /// already waits once.
    #[must_use]
    fn push(&mut self, item: Item) -> Option<Item> {
        let items = self.items.entry(item.to).or_default();
        let waits =
            |known: &Item| item.pays.is_some() && known.pays == item.pays && known.way == item.way;
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

    /// Puts what was said before in front again; a connection keeps little of it. It goes to whom it
    /// was for.
    pub(crate) fn push_again(&mut self, items: Vec<Item>) {
        for item in items.into_iter().rev() {
            self.items.entry(item.to).or_default().push_front(item);
        }
    }

    /// How many payments wait to go this way.
    fn payments(&self, way: Way) -> usize {
        let going = self.items.values().flatten().filter(|item| item.way == way);
        going.filter(|item| item.pays.is_some()).count()
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

    fn at(&self, contact: &DeviceId, at: usize) -> Option<&Item> {
        self.items.get(contact).and_then(|items| items.get(at))
    }

    fn take(&mut self, contact: &DeviceId, at: usize) -> Option<Item> {
        let items = self.items.get_mut(contact)?;
        let item = items.remove(at);
        if items.is_empty() {
            self.items.remove(contact);
        }
        item
    }
}

/// What became of something that was to be said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Said {
    /// It was said.
    Now,
    /// It waits for a new session, and all that goes its way waits behind it.
    Later,
    /// A hello was signed for it, so that it can be said.
    Again,
    /// It is given up.
    Never,
}

impl Engine {
    /// Has something said as soon as it can be. Without room for it, a payment on a connection follows
    /// later; anything else is given up, which ends its connection.
    pub(crate) fn put_out(&mut self, step: &mut Step<'_>, mut item: Item) {
        let peer = self.peers.get(&item.to);
        if item.way == Way::File && peer.is_some_and(|peer| peer.begins_ahead(step.cx.micros)) {
            item.fresh = item.fresh.or(Some(0));
        }
        let Some(item) = self.outbox.push(item) else { return };
        let talk = match item.way {
            Way::Conn(conn) => self.conns.get_mut(&conn),
            Way::File => None,
        };
        match item.pays.zip(talk) {
            Some((tx, talk)) => {
                talk.fresh = talk.fresh.or(item.fresh);
                talk.to_send.push_front(tx);
            }
            None => self.note_unsendable(step, &item, AgentError::Full),
        }
    }

    /// Puts out the next payments of those that are to go over a connection, as many as a session reads
    /// ahead; gives whether there were any. What they say is durable: until there is room for them nothing
    /// is kept of them but which they are.
    pub(crate) fn feed(&mut self, step: &mut Step<'_>, conn: Conn) -> bool {
        let (way, mut fed) = (Way::Conn(conn), false);
        while let Some(talk) = self.conns.get_mut(&conn) {
            if talk.in_flight.len() + self.outbox.payments(way) >= MAX_PENDING {
                break;
            }
            let Some(tx) = talk.to_send.pop_front() else { break };
            let Some(outgoing) = self.device.outgoing().get(&tx) else { continue };
            let message = Message::Payment(outgoing.payment.clone());
            let (to_send, fresh) = (talk.to_send.len(), talk.fresh.take());
            let item = Item { fresh, ..Item::paying(outgoing.payee, message, way, tx) };
            self.put_out(step, item);
            if self.conns.get(&conn).is_none_or(|talk| talk.to_send.len() > to_send) {
                break;
            }
            fed = true;
        }
        fed
    }

    /// Says all that can be said now. What lacks a session has its hello signed first.
    pub(crate) fn flush(&mut self, step: &mut Step<'_>) {
        for contact in self.outbox.contacts() {
            self.flush_to(step, contact);
        }
    }

    /// Says what can be said to a contact. What waits for a session holds up its own way and no other.
    fn flush_to(&mut self, step: &mut Step<'_>, to: DeviceId) {
        let (mut at, mut held, mut greeted) = (0_usize, BTreeSet::new(), false);
        while let Some(item) = self.outbox.at(&to, at) {
            let way = item.way;
            if held.contains(&way) {
                at = at.saturating_add(1);
                continue;
            }
            let item = item.clone();
            match self.say(step, at, &item) {
                Said::Now => greeted = false,
                Said::Again if !greeted => (at, greeted) = (0, true),
                Said::Later | Said::Again => {
                    held.insert(way);
                    at = at.saturating_add(1);
                }
                // With its connection more may be gone.
                Said::Never => at = 0,
            }
        }
    }

    /// Says one thing, which has this place among what is to be said to its contact.
    fn say(&mut self, step: &mut Step<'_>, at: usize, item: &Item) -> Said {
        let (to, way) = (item.to, item.way);
        let said = match (item.fresh, self.line_for(&to, item.line)) {
            (None, Some(line)) => self.encrypt(step, line, item),
            _ => Err(SessionError::Unknown),
        };
        let why = match said {
            Ok(packet) => {
                self.outbox.take(&to, at);
                self.note_said(item);
                step.effects.push(Effect::Send { way, packet });
                if let (Way::File, Some(tx)) = (way, item.pays) {
                    step.effects.push(Effect::Over { way, end: Ok(Done::Paid(tx)) });
                }
                return Said::Now;
            }
            Err(
                SessionError::Unknown
                | SessionError::Pending
                | SessionError::Exhausted
                | SessionError::State(_),
            ) => {
                let floor = item.fresh.unwrap_or(0);
                if self.unsaid.get(&to).is_some_and(|unsaid| unsaid.is_above(floor)) {
                    return Said::Later;
                }
                match self.say_hello(step, to, floor) {
                    // Signed at once, it lets the same message be said.
                    Ok(()) if !self.unsaid.contains_key(&to) => return Said::Again,
                    Ok(()) => return Said::Later,
                    Err(why) => why,
                }
            }
            Err(other) => AgentError::Peer(PeerError::Session(other)),
        };
        self.outbox.take(&to, at);
        self.note_unsendable(step, item, why);
        Said::Never
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
        while let Some(item) = self.outbox.take(&contact, 0) {
            self.note_unsendable(step, &item, why.clone());
        }
    }

    fn note_unsendable(&mut self, step: &mut Step<'_>, item: &Item, why: AgentError) {
        let Item { to: contact, pays: tx, way, .. } = *item;
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
        id: LineId,
        item: &Item,
    ) -> Result<Vec<u8>, SessionError> {
        let to = item.to;
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

    fn item(to: u8, pays: Option<u8>) -> Item {
        let (code, link) = (alloc::string::String::new(), Link::new([0; 32]));
        let refuse = Refuse { code, link };
        let message = Message::Refuse(refuse);
        let pays = pays.map(|number| TxId::new([number; 32]));
        Item { pays, ..Item::new(id(to), message, Way::File) }
    }

    #[test]
    fn a_contact_for_whom_much_waits_takes_no_room_of_others_and_nothing_is_pushed_out() {
        let mut outbox = Outbox::default();
        for number in 0..=u8::MAX {
            assert!(outbox.push(item(1, None)).is_none(), "{number}");
        }
        assert!(outbox.push(item(1, None)).is_some(), "it is given back");
        assert!(outbox.push(item(2, None)).is_none(), "another has room");
        assert_eq!(outbox.items[&id(1)].len(), MAX_ITEMS);
    }

    #[test]
    fn payments_leave_room_for_what_is_said_beside_them() {
        let mut outbox = Outbox::default();
        let kept = (0..=u8::MAX).filter(|tx| outbox.push(item(1, Some(*tx))).is_none());
        assert_eq!(kept.count(), MAX_PAYMENTS);
        assert!(outbox.push(item(1, None)).is_none());
        assert!(outbox.push(item(1, Some(0))).is_none(), "it waits already");
        assert_eq!(outbox.items[&id(1)].len(), MAX_PAYMENTS + 1);
    }
}
