//! Go through one connection, message by message, towards what it is for.
//!
//! A side that cannot open a packet, because it lost its sessions, answers with a plea: the byte 3
//! and the greatest generation that it has heard of the sender, 8 bytes. The sender then says hello
//! anew and sends its last messages again, once a connection (spec `HELLO-8`). A side that is told something for
//! somebody else answers with the byte 4, and hangs up. Neither byte is authenticated: all that a
//! forged one costs is a new session, or the connection.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use tally_core::device::{self, Event, Outgoing, OutgoingState};
use tally_core::hash::sha256;
use tally_core::id::{DeviceId, TxId};
use tally_core::message::Message;
use tally_transport::session::Budget;

use crate::conn::{MAX_CONNECTIONS, MAX_SERVED, NOT_ME, PLEA};
use crate::engine::{Engine, Step};
use crate::outbox::Item;
use crate::packet::Via;
use crate::{AgentError, Conn, Done, Effect, Goal, PeerError, Way};

/// Furthest that a plea moves the generation ahead of the clock, in microseconds: a hundred years.
const MAX_AHEAD: u64 = 100 * 365 * 86_400 * 1_000_000;
/// Most messages that are taken on one connection.
const MAX_MESSAGES: u32 = 10_000;
/// Most packets that may be on their way when a plea is sent.
const MAX_UNREAD: u32 = 64;
/// Most rounds of one meeting.
const MAX_ROUNDS: u32 = 80;
/// Most messages that are said again after a plea.
const MAX_LAST: usize = 64;

/// One connection.
#[derive(Debug)]
pub(crate) struct Talk {
    goal: Goal,
    pub(crate) contact: Option<DeviceId>,
    stage: Stage,
    /// What was said last, to be said again if the other side cannot read it.
    last: Vec<Item>,
    /// Whether the other side has answered since, so that what is said next begins `last` anew. What
    /// it says by itself may have been on its way before it could read anything.
    heard: bool,
    /// What hellos on this connection may still cost.
    budget: Budget,
    /// The payments that were sent and neither receipted nor refused.
    pub(crate) in_flight: Vec<TxId>,
    /// The payments that were sent at all: a meeting sends each once.
    pub(crate) sent: BTreeSet<TxId>,
    /// Those that were receipted.
    delivered: BTreeSet<TxId>,
    /// The payments that are to be sent, once there is room for them.
    pub(crate) to_send: VecDeque<TxId>,
    /// The next of them begins a new session, with a generation above this.
    pub(crate) fresh: Option<u64>,
    /// Whether more was said since the other side was heard than is kept to be said again.
    forgotten: bool,
    refused: Option<AgentError>,
    messages: u32,
    pleaded: bool,
    /// Packets that could not be read since the plea: they were on their way before it was heard.
    unread: u32,
    gave_in: bool,
}

/// How far a connection has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// The other side is answered.
    Serving,
    /// What waits is sent; then the goal comes.
    Delivering,
    /// An offer is out.
    Offering,
    /// The payment is signed, and waits for its receipt.
    Paying(TxId),
    /// The payee lost the offer, and has been sent all in one.
    Finishing(TxId),
    /// Rounds of a meeting, until one changes nothing.
    Meeting { round: Round, met: bool },
}

/// A round of a meeting, and how things stood when the last one, and this one, was answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Round {
    number: u32,
    before: Option<Standing>,
    met: Option<Standing>,
}

/// What a round of a meeting can change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Standing {
    seq: u64,
    received: usize,
    forks: usize,
    missing: u64,
    waiting: usize,
}

impl Talk {
    fn new(goal: Goal, stage: Stage) -> Self {
        Self {
            goal,
            contact: goal.contact(),
            stage,
            last: Vec::new(),
            heard: true,
            budget: Budget::default(),
            in_flight: Vec::new(),
            sent: BTreeSet::new(),
            delivered: BTreeSet::new(),
            to_send: VecDeque::new(),
            fresh: None,
            forgotten: false,
            refused: None,
            messages: 0,
            pleaded: false,
            unread: 0,
            gave_in: false,
        }
    }

    /// Has a payment sent when there is room: once, unless a plea brings it again.
    pub(crate) fn send_once(&mut self, tx: TxId) {
        if !self.sent.contains(&tx) && !self.to_send.contains(&tx) {
            self.to_send.push_back(tx);
        }
    }

    /// Keeps what was said, in case the other side cannot read it.
    pub(crate) fn note_said(&mut self, item: Item) {
        if core::mem::take(&mut self.heard) {
            self.last.clear();
            self.forgotten = false;
        }
        if let Some(tx) = item.pays {
            self.sent.insert(tx);
            if !self.in_flight.contains(&tx) {
                self.in_flight.push(tx);
            }
        }
        if self.last.len() < MAX_LAST {
            self.last.push(item);
        } else {
            self.forgotten = true;
        }
    }

    /// Has whole payments sent again, in this order, before all others.
    fn send_again(&mut self, payments: Vec<TxId>, floor: u64) {
        self.in_flight.retain(|tx| !payments.contains(tx));
        self.to_send.retain(|tx| !payments.contains(tx));
        self.fresh = Some(floor).filter(|_| !payments.is_empty());
        payments.into_iter().rev().for_each(|tx| self.to_send.push_front(tx));
    }

    /// Takes notice of what the device told its owner. A receipt counts whichever way it came; all else
    /// only if it came of this connection.
    fn note(&mut self, event: &Event, is_here: bool) {
        let with = |device: &DeviceId| is_here && self.contact == Some(*device);
        match event {
            Event::Receipted { tx } => {
                self.in_flight.retain(|known| known != tx);
                self.to_send.retain(|known| known != tx);
                if self.sent.contains(tx) {
                    self.delivered.insert(*tx);
                }
            }
            Event::Paid { tx, payee, .. } if with(payee) && self.stage == Stage::Offering => {
                self.stage = Stage::Paying(*tx);
            }
            Event::RefusedBy { payee, code } if with(payee) => {
                if !self.in_flight.is_empty() {
                    self.in_flight.remove(0);
                }
                let (code, text) = (code.clone(), String::new());
                self.refused = Some(AgentError::Refused { code, text });
            }
            Event::GivenUp { payee, .. } if with(payee) => {
                self.refused = Some(AgentError::given_up());
            }
            Event::Refused { from, reason } if with(from) => {
                let (code, text) = (reason.code.clone(), format!(": {}", reason.text));
                self.refused = Some(AgentError::Refused { code, text });
            }
            Event::Met { contact } if with(contact) => {
                if let Stage::Meeting { met, .. } = &mut self.stage {
                    *met = true;
                }
            }
            _ => {}
        }
    }
}

/// Whether a message shows that its sender has read what was said to it.
const fn is_answer(message: &Message) -> bool {
    match message {
        Message::Accept(_)
        | Message::Commit(_)
        | Message::Receipt(_)
        | Message::Refuse(_)
        | Message::SyncReply(_)
        | Message::SyncEnd(_)
        | Message::Findings(_) => true,
        Message::Offer(_) | Message::Payment(_) | Message::Sync(_) | Message::Release(_) => false,
    }
}

fn waiting(tx: TxId, why: &AgentError) -> AgentError {
    AgentError::Waiting { tx, why: why.to_string() }
}

impl Engine {
    /// A connection is there.
    pub(crate) fn connected(
        &mut self,
        step: &mut Step<'_>,
        conn: Conn,
        goal: Goal,
    ) -> Result<(), AgentError> {
        let served = |talk: &&Talk| talk.goal == Goal::Serve;
        let is_full = self.conns.len() >= MAX_CONNECTIONS
            || (goal == Goal::Serve && self.conns.values().filter(served).count() >= MAX_SERVED);
        if is_full || self.conns.contains_key(&conn) {
            return Err(AgentError::Busy);
        }
        step.way = Some(Way::Conn(conn));
        let stage = match goal {
            Goal::Serve => Stage::Serving,
            Goal::Pay { .. } | Goal::Resend { .. } => Stage::Delivering,
            Goal::Meet { .. } => Stage::Meeting { round: Round::default(), met: false },
        };
        self.conns.insert(conn, Talk::new(goal, stage));
        let begun = self.begin(step, conn, goal);
        if begun.is_err() {
            self.conns.remove(&conn);
            self.outbox.drop_way(Way::Conn(conn));
        }
        begun
    }

    fn begin(&mut self, step: &mut Step<'_>, conn: Conn, goal: Goal) -> Result<(), AgentError> {
        match goal {
            Goal::Serve => Ok(()),
            Goal::Meet { contact } => self.tell(step, device::Input::Meet { contact }, None),
            Goal::Pay { payee, .. } | Goal::Resend { payee } => {
                if let Some(talk) = self.conns.get_mut(&conn) {
                    let waiting = self.device.unreceipted(payee);
                    talk.to_send.extend(waiting.map(|outgoing| outgoing.tx));
                }
                // An offer that cannot be made is refused before anything is said.
                match goal {
                    Goal::Pay { .. } if !self.carries(conn) => self.offer(step, conn, goal),
                    _ => Ok(()),
                }
            }
        }
    }

    /// Whether a connection has anything left to send, or sent what is not receipted.
    fn carries(&self, conn: Conn) -> bool {
        let busy = |talk: &Talk| !talk.in_flight.is_empty() || !talk.to_send.is_empty();
        self.outbox.has(Way::Conn(conn)) || self.conns.get(&conn).is_some_and(busy)
    }

    fn offer(&mut self, step: &mut Step<'_>, conn: Conn, goal: Goal) -> Result<(), AgentError> {
        let Goal::Pay { payee, asset, amount } = goal else { return Ok(()) };
        step.way = Some(Way::Conn(conn));
        if let Some(talk) = self.conns.get_mut(&conn) {
            talk.stage = Stage::Offering;
        }
        self.tell(step, device::Input::Pay { payee, asset, amount }, None)
    }

    /// A message came over a connection.
    pub(crate) fn packet_came(
        &mut self,
        step: &mut Step<'_>,
        conn: Conn,
        bytes: &[u8],
    ) -> Result<(), AgentError> {
        step.way = Some(Way::Conn(conn));
        let Some(talk) = self.conns.get_mut(&conn) else { return Ok(()) };
        talk.messages = talk.messages.saturating_add(1);
        let read = match bytes {
            _ if talk.messages > MAX_MESSAGES => Err(AgentError::Closed),
            [PLEA, heard @ ..] => self.give_in(step, conn, heard),
            [NOT_ME] => Err(PeerError::WrongDevice.into()),
            _ => self.read(step, conn, bytes),
        };
        if let Err(error) = read {
            self.fail(step, conn, error);
        }
        Ok(())
    }

    fn read(&mut self, step: &mut Step<'_>, conn: Conn, bytes: &[u8]) -> Result<(), AgentError> {
        let packet = sha256(bytes);
        let opened =
            self.with_budget(conn, |engine, budget| engine.open(bytes, step.cx.micros, budget));
        let opened = match opened {
            Ok(opened) => opened,
            Err(error) => return self.unreadable(step, conn, bytes, &packet, error),
        };
        let via = Via { contact: opened.from, line: opened.line, packet };
        if let Some(talk) = self.conns.get_mut(&conn) {
            // Whoever a connection is with, it is with nobody else: nothing is kept of what they say.
            if *talk.contact.get_or_insert(opened.from) != opened.from {
                return Err(PeerError::WrongDevice.into());
            }
            talk.heard |= is_answer(&opened.message);
            talk.budget.vouch();
        }
        self.hear(step, opened, via)
    }

    /// Opens something at the cost of what came by this connection.
    fn with_budget<T>(&mut self, conn: Conn, open: impl FnOnce(&Self, &mut Budget) -> T) -> T {
        let mut budget = self.conns.get(&conn).map_or_else(|| Budget::new(0), |t| t.budget.clone());
        let opened = open(self, &mut budget);
        if let Some(talk) = self.conns.get_mut(&conn) {
            talk.budget = budget;
        }
        opened
    }

    /// A packet that cannot be read may have come before; else its sender is asked for a new hello.
    fn unreadable(
        &mut self,
        step: &mut Step<'_>,
        conn: Conn,
        bytes: &[u8],
        hash: &[u8; 32],
        error: PeerError,
    ) -> Result<(), AgentError> {
        if self.packets.get(hash).is_some() {
            return self.heard_before(step, hash, error);
        }
        if !error.wants_hello() {
            return Err(error.into());
        }
        let pleaded = self.conns.get(&conn).is_none_or(|talk| talk.pleaded);
        let heard = if pleaded {
            0
        } else {
            self.with_budget(conn, |engine, budget| engine.heard_of(bytes, budget))
        };
        let Some(talk) = self.conns.get_mut(&conn) else { return Ok(()) };
        if !talk.pleaded {
            talk.pleaded = true;
            let mut packet = alloc::vec![PLEA];
            packet.extend(heard.to_be_bytes());
            step.effects.push(Effect::Send { way: Way::Conn(conn), packet });
            return Ok(());
        }
        talk.unread = talk.unread.saturating_add(1);
        if talk.unread > MAX_UNREAD { Err(error.into()) } else { Ok(()) }
    }

    /// Says hello anew, and sends the last messages again and each payment of this connection that has no
    /// receipt: what was answered since may have been said before what could not be read.
    fn give_in(&mut self, step: &mut Step<'_>, conn: Conn, heard: &[u8]) -> Result<(), AgentError> {
        let Some(talk) = self.conns.get_mut(&conn) else { return Ok(()) };
        // What is not kept cannot be said again: the next connection says it.
        if talk.gave_in || talk.forgotten {
            return Err(PeerError::Stale.into());
        }
        talk.gave_in = true;
        talk.heard = true;
        let heard = heard.try_into().map_or(0, u64::from_be_bytes);
        let floor = heard.min(step.cx.micros.saturating_add(MAX_AHEAD)).max(1);
        let last = core::mem::take(&mut talk.last);
        let (whole, mut again): (Vec<_>, Vec<_>) =
            last.into_iter().partition(|item| matches!(*item.message, Message::Payment(_)));
        again.iter_mut().for_each(|item| item.fresh = Some(floor));
        let is_said = |tx: &TxId| again.iter().any(|item| item.pays == Some(*tx));
        let is_open = |outgoing: &Outgoing| {
            outgoing.state == OutgoingState::Signed
                || talk.in_flight.contains(&outgoing.tx)
                || whole.iter().any(|item| item.pays == Some(outgoing.tx))
        };
        let sent = talk.sent.iter().filter(|tx| !is_said(tx));
        let sent = sent.filter_map(|tx| self.device.outgoing().get(tx));
        let open: BTreeMap<u64, TxId> = sent
            .filter(|outgoing| is_open(outgoing))
            .map(|outgoing| (outgoing.transaction.step.seq, outgoing.tx))
            .collect();
        talk.send_again(open.into_values().collect(), floor);
        self.outbox.push_again(again);
        Ok(())
    }

    /// A connection has ended, and with it what it was for.
    pub(crate) fn closed(
        &mut self,
        step: &mut Step<'_>,
        conn: Conn,
        why: Option<String>,
    ) -> Result<(), AgentError> {
        self.drop_held_of(conn);
        let Some(talk) = self.conns.get(&conn) else { return Ok(()) };
        if talk.goal == Goal::Serve && why.is_none() {
            self.end(step, conn, Ok(Done::Served));
            return Ok(());
        }
        let error = why.map_or(AgentError::Closed, AgentError::Carrier);
        self.fail(step, conn, error);
        Ok(())
    }

    /// What a connection was for has failed. A payment that is signed is made all the same.
    pub(crate) fn fail(&mut self, step: &mut Step<'_>, conn: Conn, error: AgentError) {
        let Some(talk) = self.conns.get(&conn) else { return };
        let undelivered = || talk.contact.and_then(|c| self.device.unreceipted(c).next());
        let made = match talk.stage {
            Stage::Paying(tx) | Stage::Finishing(tx) => {
                Some(tx).filter(|tx| self.device.outgoing().get(tx).is_some_and(|o| o.is_signed()))
            }
            // Of a payment that was to follow nothing is signed: it is not what waits.
            Stage::Delivering if talk.goal.pays_anew() => None,
            Stage::Delivering => undelivered().map(|outgoing| outgoing.tx),
            Stage::Serving | Stage::Offering | Stage::Meeting { .. } => None,
        };
        let error = match made {
            Some(tx) => waiting(tx, &error),
            None => error,
        };
        self.end(step, conn, Err(error));
    }

    /// Something could not be said over a connection.
    pub(crate) fn give_up(&mut self, step: &mut Step<'_>, conn: Conn, error: AgentError) {
        self.fail(step, conn, error);
    }

    fn end(&mut self, step: &mut Step<'_>, conn: Conn, end: Result<Done, AgentError>) {
        if self.conns.remove(&conn).is_none() {
            return;
        }
        self.outbox.drop_way(Way::Conn(conn));
        self.unsaid.retain(|contact, _| self.outbox.waits_for(contact));
        step.effects.push(Effect::Over { way: Way::Conn(conn), end });
    }

    /// Whether an event is shown as it comes: of a meeting only the end is.
    pub(crate) fn is_shown(&self, step: &Step<'_>, event: &Event) -> bool {
        let Some(Way::Conn(conn)) = step.way else { return true };
        let meets =
            self.conns.get(&conn).is_some_and(|talk| matches!(talk.stage, Stage::Meeting { .. }));
        !(meets && matches!(event, Event::Met { .. }))
    }

    /// Goes on with every connection, after something has happened; gives whether one went on.
    pub(crate) fn advance_talks(&mut self, step: &mut Step<'_>) -> bool {
        let events = core::mem::take(&mut step.events);
        for (conn, talk) in &mut self.conns {
            let here = Some(Way::Conn(*conn));
            events.iter().for_each(|(way, event)| talk.note(event, *way == here));
        }
        let conns: Vec<Conn> = self.conns.keys().copied().collect();
        conns.into_iter().filter(|conn| self.advance(step, *conn)).count() > 0
    }

    /// Goes on with one connection; gives whether it did.
    fn advance(&mut self, step: &mut Step<'_>, conn: Conn) -> bool {
        if self.feed(step, conn) {
            return true;
        }
        let Some(talk) = self.conns.get(&conn) else { return false };
        match talk.stage {
            Stage::Serving => false,
            Stage::Delivering => self.advance_delivering(step, conn, talk.goal),
            Stage::Offering => match self.refusal(conn) {
                Some(why) => self.end_true(step, conn, Err(why)),
                None => false,
            },
            Stage::Paying(tx) | Stage::Finishing(tx) if self.is_receipted(&tx) => {
                self.end_true(step, conn, Ok(Done::Paid(tx)))
            }
            Stage::Paying(tx) => match self.refusal(conn) {
                // The payee lost the offer that it answered: all in one does not need it.
                Some(why) if why.code() == "TRADE_TURN" => {
                    self.send_whole(step, conn, tx);
                    true
                }
                Some(why) => self.end_true(step, conn, Err(waiting(tx, &why))),
                None => false,
            },
            Stage::Finishing(tx) => match self.refusal(conn) {
                Some(why) => self.end_true(step, conn, Err(waiting(tx, &why))),
                None => false,
            },
            Stage::Meeting { round, met } => {
                let contact = talk.contact;
                met && self.advance_meeting(step, conn, contact, round)
            }
        }
    }

    fn refusal(&mut self, conn: Conn) -> Option<AgentError> {
        self.conns.get_mut(&conn)?.refused.take()
    }

    fn end_true(&mut self, step: &mut Step<'_>, conn: Conn, end: Result<Done, AgentError>) -> bool {
        self.end(step, conn, end);
        true
    }

    fn send_whole(&mut self, step: &mut Step<'_>, conn: Conn, tx: TxId) {
        if let Some(talk) = self.conns.get_mut(&conn) {
            talk.stage = Stage::Finishing(tx);
        }
        if let Some(outgoing) = self.device.outgoing().get(&tx) {
            let payee = outgoing.payee;
            let message = Message::Payment(outgoing.payment.clone());
            self.put_out(step, Item::paying(payee, message, Way::Conn(conn), tx));
        }
    }

    fn advance_delivering(&mut self, step: &mut Step<'_>, conn: Conn, goal: Goal) -> bool {
        if let Some(why) = self.refusal(conn) {
            self.fail(step, conn, why);
            return true;
        }
        let Some(talk) = self.conns.get(&conn) else { return false };
        let delivered = talk.delivered.len();
        if self.carries(conn) {
            return false;
        }
        match goal {
            Goal::Pay { .. } => {
                if let Err(error) = self.offer(step, conn, goal) {
                    self.end(step, conn, Err(error));
                }
            }
            Goal::Serve | Goal::Resend { .. } | Goal::Meet { .. } => {
                self.end(step, conn, Ok(Done::Resent(delivered)));
            }
        }
        true
    }

    /// What the other side sends after its answer to a round comes before its answer to the next: so a
    /// meeting is over when nothing has changed since the round before was answered.
    fn advance_meeting(
        &mut self,
        step: &mut Step<'_>,
        conn: Conn,
        contact: Option<DeviceId>,
        round: Round,
    ) -> bool {
        let Some(contact) = contact else { return false };
        let now = self.standing(contact);
        let met = Some(round.met.unwrap_or(now));
        let last = round.number >= MAX_ROUNDS;
        if self.carries(conn) && !last {
            if let Some(talk) = self.conns.get_mut(&conn) {
                talk.stage = Stage::Meeting { round: Round { met, ..round }, met: true };
            }
            return false;
        }
        if round.before == Some(now) || last {
            step.effects.push(Effect::Show(Box::new(Event::Met { contact })));
            return self.end_true(step, conn, Ok(Done::Met));
        }
        if let Some(talk) = self.conns.get_mut(&conn) {
            let round = Round { number: round.number.saturating_add(1), before: met, met: None };
            talk.stage = Stage::Meeting { round, met: false };
        }
        step.way = Some(Way::Conn(conn));
        if let Err(error) = self.tell(step, device::Input::Meet { contact }, None) {
            self.fail(step, conn, error);
        }
        true
    }

    fn standing(&self, contact: DeviceId) -> Standing {
        Standing {
            seq: self.device.latest().0,
            received: self.device.incoming().len(),
            forks: self.device.forks().len(),
            missing: self.device.missing().count(),
            waiting: self.device.unreceipted(contact).count(),
        }
    }

    /// A receipt came. One that was known before, of a payment that its payee had lost, tells the
    /// owner nothing, and a connection all the same that it need not be waited for.
    pub(crate) fn receipt_came(&mut self, from: &DeviceId, tx: &TxId) {
        if self.is_receipted(tx) {
            let with = self.conns.values_mut().filter(|talk| talk.contact == Some(*from));
            with.for_each(|talk| talk.in_flight.retain(|known| known != tx));
        }
    }

    fn is_receipted(&self, tx: &TxId) -> bool {
        let outgoing = self.device.outgoing().get(tx);
        outgoing.is_some_and(|outgoing| outgoing.state == OutgoingState::Receipted)
    }
}
