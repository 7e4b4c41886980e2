//! Pay, be paid and meet over a connection.
//!
//! A side that cannot open a packet, because it lost its sessions, answers with a plea: the byte 3
//! and the greatest generation that it has heard of the sender, 8 bytes. The sender then says hello
//! anew and sends its last messages again, once a connection. A side that is told something for
//! somebody else answers with the byte 4, and hangs up. Neither byte is authenticated: all that a
//! forged one costs is a new session, or the connection.

use tally_core::amount::Amount;
use tally_core::device::{Event, Input, Mode, OutgoingState};
use tally_core::id::{AssetId, DeviceId, TxId};
use tally_core::message::Message;
use tally_core::packet::Packet;
use tally_transport::{Channel, TransportError};

use crate::driver::Sent;
use crate::wallet::tick;
use crate::{PeerError, Wallet, WalletError};

/// First byte of a plea for a new hello.
const PLEA: u8 = 3;
/// What is said to whoever wants somebody else.
const NOT_ME: u8 = 4;
/// Furthest that a plea moves the generation ahead of the clock, in microseconds: a hundred years.
const MAX_AHEAD: u64 = 100 * 365 * 86_400 * 1_000_000;
/// Most messages that are taken on one connection.
const MAX_MESSAGES: usize = 10_000;
/// Most packets that may be on their way when a plea is sent.
const MAX_UNREAD: u32 = 64;
/// Most rounds of one meeting.
const MAX_ROUNDS: usize = 80;

/// One connection that is served, message by message: see [`Wallet::answer`].
#[derive(Debug, Default)]
pub struct Visit(Talk);

/// One connection.
#[derive(Debug, Default)]
struct Talk {
    contact: Option<DeviceId>,
    /// What was sent last, to be sent again if the other side cannot read it.
    last: Vec<Message>,
    pleaded: bool,
    /// Packets that could not be read since the plea: they were on their way before it was heard.
    unread: u32,
    gave_in: bool,
}

/// What the events of a payment have told so far.
#[derive(Debug, Default)]
struct Course {
    paid: Option<TxId>,
    refused: Option<(String, String)>,
    met: bool,
}

impl Course {
    fn note(&mut self, event: &Event, with: &DeviceId) {
        match event {
            Event::Paid { tx, payee, .. } if payee == with => self.paid = Some(*tx),
            Event::RefusedBy { payee, code } if payee == with => {
                self.refused = Some((code.clone(), String::new()));
            }
            // Nothing was signed, so nothing is to be waited for.
            Event::GivenUp { payee, .. } if payee == with => {
                let text = ": the seal gave no proof, so nothing was paid".to_owned();
                self.refused = Some(("UNLOCK_SLOT_PROOF".to_owned(), text));
            }
            Event::Refused { from, reason } if from == with => {
                self.refused = Some((reason.code.clone(), format!(": {}", reason.text)));
            }
            Event::Met { contact } if contact == with => self.met = true,
            _ => {}
        }
    }
}

impl Wallet {
    /// Pays a contact who is at the other end of `channel`: sends what waits for them first, then
    /// offers, pays, and waits for the receipt. Events are shown as soon as they are durable.
    ///
    /// # Errors
    /// Before the payment is signed nothing has happened: [`WalletError::Device`],
    /// [`WalletError::Refused`], [`WalletError::Transport`]. After it: [`WalletError::Waiting`].
    pub fn pay_over(
        &mut self,
        channel: &mut dyn Channel,
        payee: DeviceId,
        asset: AssetId,
        amount: Amount,
        show: &mut dyn FnMut(&Event),
    ) -> Result<TxId, WalletError> {
        self.ready()?;
        self.finish_intents(show)?;
        let mut talk = Talk { contact: Some(payee), ..Talk::default() };
        for (tx, message) in self.waiting_for(&payee) {
            self.deliver(channel, &mut talk, tx, message, show)?;
        }
        let mut course = Course::default();
        let mut noting = |course: &mut Course, event: &Event| {
            course.note(event, &payee);
            show(event);
        };
        let sent =
            self.act(Input::Pay { payee, asset, amount }, &mut |e| noting(&mut course, e))?;
        let mut result = talk.send(channel, sent).map_err(WalletError::from);
        while result.is_ok() && !course.paid.is_some_and(|tx| self.is_receipted(&tx)) {
            if let Some((code, text)) = course.refused.take() {
                result = Err(WalletError::Refused { code, text });
                break;
            }
            result = self.next(channel, &mut talk, &mut |e| noting(&mut course, e)).map(|_| ());
        }
        match (course.paid, result) {
            (Some(tx), Ok(())) => Ok(tx),
            (None, Ok(())) => Err(TransportError::Closed.into()),
            (None, Err(error)) => Err(error),
            // The payee lost the offer that it answered: all in one does not need it.
            (Some(tx), Err(WalletError::Refused { code, .. })) if code == "TRADE_TURN" => {
                let again =
                    self.waiting_for(&payee).into_iter().find(|(waiting, _)| *waiting == tx);
                if let Some((tx, message)) = again {
                    self.deliver(channel, &mut talk, tx, message, show)?;
                }
                Ok(tx)
            }
            (Some(tx), Err(error)) => Err(WalletError::Waiting { tx, why: error.to_string() }),
        }
    }

    /// Sends again what waits for a contact who is at the other end of `channel`, each payment until
    /// it is receipted. Nothing is paid anew. Gives how many payments waited.
    ///
    /// # Errors
    /// [`WalletError::Waiting`] for the first payment that is not receipted, with the reason;
    /// [`WalletError::Store`].
    pub fn resend_over(
        &mut self,
        channel: &mut dyn Channel,
        payee: DeviceId,
        show: &mut dyn FnMut(&Event),
    ) -> Result<usize, WalletError> {
        self.ready()?;
        self.finish_intents(show)?;
        let mut talk = Talk { contact: Some(payee), ..Talk::default() };
        let waiting = self.waiting_for(&payee);
        let count = waiting.len();
        for (tx, message) in waiting {
            self.deliver(channel, &mut talk, tx, message, show)?;
        }
        Ok(count)
    }

    /// Sends a signed payment and waits for its receipt.
    fn deliver(
        &mut self,
        channel: &mut dyn Channel,
        talk: &mut Talk,
        tx: TxId,
        message: Message,
        show: &mut dyn FnMut(&Event),
    ) -> Result<(), WalletError> {
        let Some(payee) = talk.contact else { return Ok(()) };
        let sent = self.release(payee, &[message], None)?;
        let mut result = talk.send(channel, sent).map_err(WalletError::from);
        let mut course = Course::default();
        while result.is_ok() && !self.is_receipted(&tx) {
            if let Some((code, text)) = course.refused.take() {
                result = Err(WalletError::Refused { code, text });
                break;
            }
            let mut noting = |event: &Event| {
                course.note(event, &payee);
                show(event);
            };
            result = self.next(channel, talk, &mut noting).map(|_| ());
        }
        result.map_err(|error| WalletError::Waiting { tx, why: error.to_string() })
    }

    /// Serves one connection, as the payee of a payment or the other side of a meeting, until the
    /// peer closes it.
    ///
    /// # Errors
    /// [`WalletError::Transport`] when the connection fails otherwise, [`WalletError::Peer`] when
    /// what comes cannot be read, [`WalletError::Store`]. None of them loses a payment.
    pub fn serve_one(
        &mut self,
        channel: &mut dyn Channel,
        show: &mut dyn FnMut(&Event),
    ) -> Result<(), WalletError> {
        let mut talk = Talk::default();
        for _ in 0..MAX_MESSAGES {
            match self.next(channel, &mut talk, show) {
                Ok(()) => {}
                Err(WalletError::Transport(TransportError::Closed)) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes one message of a connection that is served, and gives the answers, to be sent in order.
    ///
    /// Between two messages of one connection others may be served, so that nobody who is slow or
    /// silent keeps the wallet busy.
    ///
    /// # Errors
    /// As for [`Wallet::serve_one`]; the connection is then to be closed, after [`farewell`].
    pub fn answer(
        &mut self,
        visit: &mut Visit,
        message: &[u8],
        show: &mut dyn FnMut(&Event),
    ) -> Result<Vec<Vec<u8>>, WalletError> {
        self.reply(&mut visit.0, message, show)
    }

    /// Meets a contact: sends what waits, compares what both have seen, takes back what was lost.
    ///
    /// # Errors
    /// [`WalletError::Device`] when there is no such contact; [`WalletError::Transport`],
    /// [`WalletError::Peer`], [`WalletError::Store`].
    pub fn sync_over(
        &mut self,
        channel: &mut dyn Channel,
        contact: DeviceId,
        show: &mut dyn FnMut(&Event),
    ) -> Result<(), WalletError> {
        let mut talk = Talk { contact: Some(contact), ..Talk::default() };
        let mut before = None;
        for _ in 0..MAX_ROUNDS {
            let mut course = Course::default();
            let mut noting = |course: &mut Course, event: &Event| {
                course.note(event, &contact);
                if !matches!(event, Event::Met { .. }) {
                    show(event);
                }
            };
            let sent = self.act(Input::Meet { contact }, &mut |e| noting(&mut course, e))?;
            talk.send(channel, sent)?;
            while !course.met {
                self.next(channel, &mut talk, &mut |e| noting(&mut course, e))?;
            }
            // The answer to a second round comes after all answers to the first.
            let after = Some(self.standing(&contact));
            if before == after {
                show(&Event::Met { contact });
                return Ok(());
            }
            before = after;
        }
        Ok(())
    }

    /// What a round of a meeting can change.
    fn standing(&self, contact: &DeviceId) -> (u64, usize, usize, usize, usize) {
        let device = &self.device;
        let unmet = match device.mode() {
            Mode::Normal => 0,
            Mode::ReceiveOnly(waiting) => waiting.len(),
        };
        let waiting = self.waiting_for(contact).len();
        (device.seq(), device.incoming().len(), device.forks().len(), unmet, waiting)
    }

    fn is_receipted(&self, tx: &TxId) -> bool {
        self.device.outgoing().get(tx).is_some_and(|o| o.state == OutgoingState::Receipted)
    }

    /// Takes one message from the channel and answers it.
    fn next(
        &mut self,
        channel: &mut dyn Channel,
        talk: &mut Talk,
        show: &mut dyn FnMut(&Event),
    ) -> Result<(), WalletError> {
        let bytes = channel.recv()?;
        let packets = self.reply(talk, &bytes, show).inspect_err(|error| {
            // The connection is over whether or not this arrives.
            let _ = farewell(error).map(|last| channel.send(&last));
        })?;
        Ok(packets.iter().try_for_each(|packet| channel.send(packet))?)
    }

    /// What is answered to a message.
    fn reply(
        &mut self,
        talk: &mut Talk,
        bytes: &[u8],
        show: &mut dyn FnMut(&Event),
    ) -> Result<Vec<Vec<u8>>, WalletError> {
        match bytes {
            [PLEA, heard @ ..] => return self.give_in(talk, heard),
            [NOT_ME] => return Err(PeerError::WrongDevice.into()),
            _ => {}
        }
        match self.hear(bytes, false, show) {
            Ok(heard) => {
                talk.contact = Some(heard.from);
                Ok(talk.note(heard.sent))
            }
            Err(WalletError::Peer(error)) if error.wants_hello() && !talk.pleaded => {
                talk.pleaded = true;
                let mut plea = vec![PLEA];
                plea.extend(self.heard_of(bytes).to_be_bytes());
                Ok(vec![plea])
            }
            Err(WalletError::Peer(error)) if error.wants_hello() && talk.unread < MAX_UNREAD => {
                talk.unread += 1;
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    }

    /// The greatest generation that was heard of whoever says hello in this packet.
    fn heard_of(&self, bytes: &[u8]) -> u64 {
        let hello = Packet::from_wire(bytes).ok().and_then(|packet| packet.hello);
        let card = hello.and_then(|hello| hello.open().ok());
        card.and_then(|card| self.peers.get(&card.device())).map_or(0, |peer| peer.heard)
    }

    /// Says hello anew and sends the last messages again.
    fn give_in(&mut self, talk: &mut Talk, heard: &[u8]) -> Result<Vec<Vec<u8>>, WalletError> {
        let (Some(contact), false) = (talk.contact, talk.gave_in) else {
            return Err(PeerError::Stale.into());
        };
        talk.gave_in = true;
        let heard = heard.try_into().map_or(0, u64::from_be_bytes);
        let floor = heard.min(tick().saturating_add(MAX_AHEAD));
        let sent = self.release(contact, &talk.last.clone(), Some(floor))?;
        Ok(talk.note(sent))
    }
}

impl Talk {
    fn send(&mut self, channel: &mut dyn Channel, sent: Vec<Sent>) -> Result<(), TransportError> {
        self.note(sent).iter().try_for_each(|packet| channel.send(packet))
    }

    /// Keeps what is sent, in case the other side cannot read it.
    fn note(&mut self, sent: Vec<Sent>) -> Vec<Vec<u8>> {
        if !sent.is_empty() {
            self.last = sent.iter().map(|sent| sent.message.clone()).collect();
        }
        sent.into_iter().map(|sent| sent.packet).collect()
    }
}

/// What to send before a connection is closed because of this error, if anything: whoever wanted
/// somebody else is told so.
pub fn farewell(error: &WalletError) -> Option<Vec<u8>> {
    matches!(error, WalletError::Peer(PeerError::NotForMe)).then(|| vec![NOT_ME])
}
