//! Take packets apart, and pay and be paid by files and codes.

use tally_core::amount::Amount;
use tally_core::card::Signed;
use tally_core::cbor::{from_bytes, to_bytes};
use tally_core::device::{Change, DeviceError, Event, Forgotten, Input, Output, Terms, World};
use tally_core::hash::{Tag, sha256};
use tally_core::id::{AssetId, DeviceId, Nonce, TxId};
use tally_core::invoice::{INVOICE_VERSION, Invoice};
use tally_core::message::{Accept, Message, Receipt};
use tally_core::packet::{Hello, Packet};
use tally_transport::session::{
    Hint, KemCiphertext, MAX_PENDING, Role, Session, SessionError, accept,
};

use crate::driver::{Sent, Via};
use crate::peer::{Line, LineId, Peer};
use crate::sealed::world;
use crate::store::Batch;
use crate::wallet::{now, random};
use crate::{PeerError, Wallet, WalletError};

/// What was in a packet.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) from: DeviceId,
    pub(crate) sent: Vec<Sent>,
}

/// A packet that was opened: nothing of it is durable yet.
struct Opened {
    from: DeviceId,
    line: LineId,
    stranger: Option<Signed>,
    message: Message,
}

impl Wallet {
    /// A signed request to be paid, to be shown as a code or handed over as a file.
    ///
    /// # Errors
    /// [`WalletError::Device`] when the asset is unknown or the amount is zero; [`WalletError::Store`].
    pub fn invoice(
        &mut self,
        asset: AssetId,
        amount: Amount,
        valid_for_secs: u64,
    ) -> Result<Signed, WalletError> {
        let nonce = Nonce::new(random()?);
        self.find_counter()?;
        let owner = self.device.predicate_for(&world(), &asset);
        let expires_at = now().plus(valid_for_secs);
        let terms = Terms { payer: None, asset, amount, owner: owner.clone(), expires_at };
        self.act(Input::Ask { nonce, terms }, &mut |_| {})?;
        let least = self.device.least_tier(&world(), asset, amount)?;
        let invoice = Invoice {
            version: INVOICE_VERSION,
            card: self.card.clone(),
            asset,
            amount,
            accept: Accept { nonce, owner },
            expires_at,
            least,
        };
        let payload = to_bytes(&invoice);
        let signature = self.seal.sign(&Signed::digest(Tag::Invoice, &payload))?;
        Ok(Signed::new(payload, signature).map_err(PeerError::Decode)?)
    }

    /// Pays an invoice: the packet is for the payee, by file or code. The payment is made when this
    /// returns; if the packet is lost, [`Wallet::resend`] makes another of the same payment.
    ///
    /// Paying one invoice twice gives the same payment again.
    ///
    /// # Errors
    /// [`WalletError::Device`] when it cannot be paid.
    pub fn pay_invoice(&mut self, invoice: &Signed) -> Result<(Vec<u8>, Vec<Event>), WalletError> {
        let (invoice, card) = Invoice::open(invoice).map_err(PeerError::Signed)?;
        let payee = card.device();
        if !self.device.contacts().contains_key(&payee) {
            self.act(Input::Contact(invoice.card.clone()), &mut |_| {})?;
        }
        let mut events = Vec::new();
        let mut show = |event: &Event| events.push(event.clone());
        self.ready()?;
        self.finish_intents(&mut show)?;
        let paid = self
            .device
            .outgoing()
            .values()
            .find(|o| o.payee == payee && o.payment.accept.nonce == invoice.accept.nonce);
        let sent = match paid {
            Some(paid) => {
                let message = Message::Payment(paid.payment.clone());
                let (tx, offer) = (paid.tx, &paid.payment.offer);
                show(&Event::Paid { tx, payee, asset: offer.asset, amount: offer.amount });
                self.release(payee, &[message], Some(0))?
            }
            None => {
                let input = Input::PayInvoice { payee, invoice: Box::new(invoice) };
                self.run(vec![input], None, &mut show)?
            }
        };
        let packet = sent.into_iter().next().map(|sent| sent.packet);
        Ok((packet.unwrap_or_default(), events))
    }

    /// Takes in a packet that came by file or code: a payment, or a receipt. The answers are packets
    /// for whoever sent it.
    ///
    /// The same packet again gives the same answer again. A packet that is refused leaves no trace,
    /// so that packets may come in any order and be tried again.
    ///
    /// # Errors
    /// [`WalletError::Refused`] with the reason; [`WalletError::Peer`] when the packet cannot be read.
    pub fn receive_packet(
        &mut self,
        bytes: &[u8],
    ) -> Result<(Vec<Event>, Vec<Vec<u8>>), WalletError> {
        let mut events = Vec::new();
        let heard = self.hear(bytes, true, &mut |event| events.push(event.clone()))?;
        Ok((events, heard.sent.into_iter().map(|sent| sent.packet).collect()))
    }

    /// Packets of the oldest payments that wait for this payee, at most 4: send the others once
    /// these are receipted. Each call opens a fresh session, which the payee can read whatever it
    /// has lost.
    ///
    /// # Errors
    /// [`WalletError::Device`] when the payee is no contact; [`WalletError::Store`].
    pub fn resend(&mut self, payee: DeviceId) -> Result<Vec<Vec<u8>>, WalletError> {
        self.ready()?;
        self.finish_intents(&mut |_| {})?;
        let waiting = self.waiting_for(&payee).into_iter().take(MAX_PENDING);
        let messages: Vec<Message> = waiting.map(|(_, message)| message).collect();
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let sent = self.release(payee, &messages, Some(0))?;
        Ok(sent.into_iter().map(|sent| sent.packet).collect())
    }

    /// Opens a packet and gives its message to the device. One from a file that is refused leaves
    /// the session as it was, since files may come in any order.
    pub(crate) fn hear(
        &mut self,
        bytes: &[u8],
        file: bool,
        show: &mut dyn FnMut(&Event),
    ) -> Result<Heard, WalletError> {
        self.ready()?;
        self.try_intents(&mut |_| {})?;
        let packet_hash = sha256(bytes);
        let packet = Packet::from_wire(bytes).map_err(PeerError::Decode)?;
        let opened = match self.open_packet(&packet) {
            Ok(opened) => opened,
            Err(error) => return self.heard_before(&packet_hash, error, show),
        };
        let Opened { from, line, stranger, message } = opened;
        if file && matches!(message, Message::Release(_)) {
            return self.look_at_release(from, message, show);
        }
        if matches!(message, Message::Offer(_)) {
            self.find_counter()?;
        }
        let nonce = Nonce::new(random()?);
        let message = Input::Message { from, message: Box::new(message), nonce };
        let inputs: Vec<Input> =
            stranger.map(Input::Stranger).into_iter().chain([message]).collect();
        if file {
            self.try_out(&inputs)?;
        }
        let via = Via { contact: from, line, packet: packet_hash };
        let sent = self.run(inputs, Some(via), show)?;
        Ok(Heard { from, sent })
    }

    /// Consents to the release that a packet asks for: what the sender had set aside for this wallet is
    /// its own again. The answer is a packet for it.
    ///
    /// # Errors
    /// [`WalletError::Refused`] when there is nothing to consent to; [`WalletError::Peer`] when the packet
    /// cannot be read, as when it was consented to before: the sender asks again then.
    pub fn agree_to_release(&mut self, bytes: &[u8]) -> Result<(Vec<Event>, Vec<u8>), WalletError> {
        self.ready()?;
        self.finish_intents(&mut |_| {})?;
        let packet = Packet::from_wire(bytes).map_err(PeerError::Decode)?;
        let Opened { from, line, message, .. } = self.open_packet(&packet)?;
        self.stale = true;
        let nonce = Nonce::new(random()?);
        let asked = Input::Message { from, message: Box::new(message), nonce };
        let events = self.try_out(std::slice::from_ref(&asked))?;
        let release = events.iter().find_map(|event| match event {
            Event::ReleaseAsked { tx, .. } => Some(*tx),
            _ => None,
        });
        let tx = release.ok_or(DeviceError::NotWaiting)?;
        let via = Via { contact: from, line, packet: sha256(bytes) };
        let mut shown = Vec::new();
        let mut show = |event: &Event| shown.push(event.clone());
        let sent = self.run(vec![asked, Input::Agree { tx }], Some(via), &mut show)?;
        let packet = sent.into_iter().next().map(|sent| sent.packet);
        Ok((shown, packet.unwrap_or_default()))
    }

    /// Shows what a packet asks for, and leaves it to be opened again by whoever consents.
    fn look_at_release(
        &mut self,
        from: DeviceId,
        message: Message,
        show: &mut dyn FnMut(&Event),
    ) -> Result<Heard, WalletError> {
        let nonce = Nonce::new(random()?);
        let asked = Input::Message { from, message: Box::new(message), nonce };
        let events = self.try_out(&[asked])?;
        self.stale = true;
        events.iter().for_each(show);
        Ok(Heard { from, sent: Vec::new() })
    }

    /// Tries the inputs on a copy, so that a refused packet can be tried again later.
    fn try_out(&mut self, inputs: &[Input]) -> Result<Vec<Event>, WalletError> {
        let notary = self.notaries.as_ref().map(crate::notary::Notaries::trust);
        let world = World { notary, ..world() };
        let mut copy = self.device.clone();
        let mut output = Output::default();
        for input in inputs {
            // What was opened is in memory only: it is read anew if the packet is refused.
            self.stale = true;
            let more = copy.handle(&world, input.clone())?;
            output.changes.extend(more.changes);
            output.events.extend(more.events);
        }
        let convicted = output.changes.iter().any(|c| matches!(c, Change::Fork(_)));
        let refused = output.events.iter().find_map(|event| match event {
            Event::Refused { reason, .. } => Some(reason.clone()),
            _ => None,
        });
        match refused {
            Some(reason) if !convicted => {
                // What its sender signed may be half of a fork. Nothing else of it stays.
                output.changes.retain(|change| match change {
                    Change::Sighting(_) => true,
                    Change::Forgotten(forgotten) => matches!(forgotten, Forgotten::Sighting { .. }),
                    _ => false,
                });
                self.store.write(&Batch { changes: output.changes, ..Batch::default() })?;
                Err(WalletError::Refused { code: reason.code, text: format!(": {}", reason.text) })
            }
            _ => Ok(output.events),
        }
    }

    /// A packet that does not open may be one that did before: then its payment is receipted again.
    fn heard_before(
        &mut self,
        hash: &[u8; 32],
        error: PeerError,
        show: &mut dyn FnMut(&Event),
    ) -> Result<Heard, WalletError> {
        let Some(tx) = self.store.packet(hash)? else { return Err(error.into()) };
        if let Some(outgoing) = self.device.outgoing().get(&tx) {
            let from = outgoing.payee;
            show(&Event::Receipted { tx });
            return Ok(Heard { from, sent: Vec::new() });
        }
        let payer = self.device.incoming().get(&tx).and_then(|i| i.payer);
        let Some(from) = payer else { return Err(error.into()) };
        show(&Event::Again { tx });
        Ok(Heard { from, sent: self.receipt_again(tx)? })
    }

    fn receipt_again(&mut self, tx: TxId) -> Result<Vec<Sent>, WalletError> {
        let digest = Receipt::digest(&tx, &self.device.id());
        let signature = self.seal.sign(&digest)?;
        self.run(vec![Input::ReceiptSigned { tx, signature }], None, &mut |_| {})
    }

    fn open_packet(&mut self, packet: &Packet) -> Result<Opened, PeerError> {
        let envelope = packet.envelope.as_slice();
        let (from, line, plain, stranger) = match &packet.hello {
            Some(hello) => self.open_hello(hello, envelope)?,
            None => {
                let hint = Hint::of(envelope)?;
                let from = *self.hints.get(&hint).ok_or(SessionError::Unknown)?;
                let peer = self.peers.get_mut(&from).ok_or(SessionError::Unknown)?;
                let (line, plain) = open_on(peer, envelope)?;
                (from, line, plain, None)
            }
        };
        self.touched.insert(from);
        Ok(Opened { from, line, stranger, message: from_bytes(&plain)? })
    }

    #[allow(clippy::type_complexity)]
    fn open_hello(
        &mut self,
        hello: &Hello,
        envelope: &[u8],
    ) -> Result<(DeviceId, LineId, Vec<u8>, Option<Signed>), PeerError> {
        let card = hello.open()?;
        let (me, from) = (self.device.id(), card.device());
        if hello.to != me || card.network != self.network || from == me {
            return Err(PeerError::NotForMe);
        }
        let known = self.device.contacts().contains_key(&from);
        if !known && self.device.is_full() {
            return Err(PeerError::TooMany);
        }
        let stranger = (!known).then(|| hello.card.clone());
        let heard = self.peers.get(&from).map_or(0, |peer| peer.heard);
        if hello.generation <= heard {
            // The hello of a session that is known, or that is over.
            let peer = self.peers.get_mut(&from).ok_or(PeerError::Stale)?;
            let opened = open_on(peer, envelope);
            let stale = |e: SessionError| match e {
                SessionError::Unknown => PeerError::Stale,
                other => other.into(),
            };
            let (line, plain) = opened.map_err(stale)?;
            return Ok((from, line, plain, stranger));
        }
        let ciphertext = KemCiphertext::from_bytes(hello.ciphertext.as_slice())?;
        let context = Hello::context(&from, &me, hello.generation);
        let root = accept(&self.kem, &ciphertext, &context)?;
        let mut session = Session::new(&root, Role::Responder, hello.generation);
        let plain = session.open(envelope)?;
        let line = Line { session, hello: None };
        let id = line.id();
        let peer = self.peers.entry(from).or_default();
        peer.heard = hello.generation;
        peer.insert(line, &me, &from);
        Ok((from, id, plain, stranger))
    }
}

/// Opens an envelope with the session that it belongs to.
fn open_on(peer: &mut Peer, envelope: &[u8]) -> Result<(LineId, Vec<u8>), SessionError> {
    let hint = Hint::of(envelope)?;
    let line = peer.lines.iter_mut().find(|line| line.session.hints().contains(&hint));
    let line = line.ok_or(SessionError::Unknown)?;
    let plain = line.session.open(envelope)?;
    // Whoever answers in a session has heard its hello.
    line.hello = None;
    Ok((line.id(), plain))
}
