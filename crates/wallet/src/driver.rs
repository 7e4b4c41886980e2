//! Drive the device: make its changes durable, then sign, encrypt and show.
//!
//! One turn of [`Wallet::run`] is: the device handles the inputs; what it sends is encrypted in
//! memory; records and sessions become durable in one transaction; only then is anything shown,
//! released or given to the seal. What the seal signed is the input of the next turn. If a turn
//! fails between the device and the disk, memory is thrown away and read anew before the next use.

use std::sync::Arc;

use tally_core::cbor::{Blob, to_bytes};
use tally_core::device::{
    Change, ContactError, DeviceError, Event, Input, Mode, Outgoing, OutgoingState, Output, Sign,
    World,
};
use tally_core::id::{DeviceId, TxId};
use tally_core::message::{Message, Payment};
use tally_core::packet::{Hello, Packet};
use tally_core::seal::TpmProofs;
use tally_seal::SealError;
use tally_transport::session::{KemPublic, Role, Session, SessionError, initiate};

use crate::notary::Notaries;
use crate::peer::{Line, LineId, Peer};
use crate::store::Batch;
use crate::wallet::{now, random, tick};
use crate::{PeerError, Wallet, WalletError};

/// Where a message came from, so that the answer goes the same way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Via {
    pub(crate) contact: DeviceId,
    pub(crate) line: LineId,
    /// The hash of the packet that the message came in.
    pub(crate) packet: [u8; 32],
}

/// A message on its way out.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) message: Message,
    pub(crate) packet: Vec<u8>,
}

impl Wallet {
    /// Does what the owner wishes, once all that was begun before is finished.
    pub(crate) fn act(
        &mut self,
        input: Input,
        show: &mut dyn FnMut(&Event),
    ) -> Result<Vec<Sent>, WalletError> {
        self.ready()?;
        self.finish_intents(&mut |_| {})?;
        self.run(vec![input], None, show)
    }

    /// Gives the device the inputs, as one change, and does all that follows from it.
    pub(crate) fn run(
        &mut self,
        inputs: Vec<Input>,
        via: Option<Via>,
        show: &mut dyn FnMut(&Event),
    ) -> Result<Vec<Sent>, WalletError> {
        let mut sent = Vec::new();
        let mut turns = vec![inputs];
        while let Some(inputs) = turns.pop() {
            let (output, packets) = self.turn(inputs, via)?;
            output.events.iter().for_each(&mut *show);
            sent.extend(packets);
            for sign in output.sign {
                turns.push(self.sign(sign)?);
            }
        }
        Ok(sent)
    }

    fn turn(
        &mut self,
        inputs: Vec<Input>,
        via: Option<Via>,
    ) -> Result<(Output, Vec<Sent>), WalletError> {
        let notary = self.notaries.as_ref().map(Notaries::trust);
        let world = World { now: now(), seals: &TpmProofs, notary };
        let mut output = Output::default();
        for input in inputs {
            match self.device.handle(&world, input) {
                Ok(more) => {
                    self.stale = true;
                    output.changes.extend(more.changes);
                    output.sign.extend(more.sign);
                    output.send.extend(more.send);
                    output.events.extend(more.events);
                }
                Err(e) => return Err(e.into()),
            }
        }
        self.stale = true;
        let packet = self.heard(&output, via.as_ref());
        let mut packets = Vec::new();
        for (to, message) in std::mem::take(&mut output.send) {
            let packet = self.encrypt(to, &message, via.as_ref())?;
            packets.push(Sent { message, packet });
        }
        // A consent leaves with what it is for: until then there is nothing to keep, and a crash leaves
        // the packet to be opened again.
        let consents = output.sign.iter().any(|sign| matches!(sign, Sign::Consent { .. }));
        if !consents || !output.changes.is_empty() || !packets.is_empty() {
            self.persist(Batch { changes: output.changes.clone(), packet, ..Batch::default() })?;
        }
        Ok((output, packets))
    }

    /// Moves the session on with what was learnt, and says which packet to remember.
    fn heard(&mut self, output: &Output, via: Option<&Via>) -> Option<([u8; 32], TxId)> {
        let via = via?;
        let answered = output.changes.iter().find_map(|change| match change {
            Change::Outgoing(o) if o.state == OutgoingState::Receipted => Some(o),
            _ => None,
        });
        // The answer to a release is about no payment between the two.
        let receipted = answered.filter(|outgoing| outgoing.payee == via.contact);
        if let Some(outgoing) = receipted
            && let Some(line) = self.peers.get_mut(&via.contact).and_then(|p| p.line(via.line))
        {
            // Without room for the link the session stays where it is; a new hello comes next.
            let _ = line.session.advance_as_payer(outgoing.transaction.link.as_bytes());
            self.touched.insert(via.contact);
        }
        let received = output.changes.iter().find_map(|change| match change {
            Change::Incoming(i) if i.payer == Some(via.contact) => Some(i),
            _ => None,
        });
        if let Some(hop) = received.and_then(|incoming| incoming.hop.as_ref())
            && let Some(line) = self.peers.get_mut(&via.contact).and_then(|p| p.line(via.line))
        {
            // Stored with the payment, the receipt needs no store of its own.
            let _ = line.session.advance_as_payee(hop.tx.link.as_bytes());
            self.touched.insert(via.contact);
        }
        let received = received.map(|incoming| incoming.tx);
        let again = output.events.iter().find_map(|event| match event {
            Event::Again { tx } => Some(*tx),
            _ => None,
        });
        let brought = answered.map(|o| o.tx).or(received).or(again)?;
        Some((via.packet, brought))
    }

    /// Makes a change durable, with every session that it touched.
    pub(crate) fn persist(&mut self, mut batch: Batch) -> Result<(), WalletError> {
        self.stale = true;
        let touched: Vec<DeviceId> = self.touched.iter().copied().collect();
        for contact in &touched {
            if let Some(peer) = self.peers.get(contact) {
                batch.sessions.push((*contact, peer.to_sealed(&self.key, contact)?));
            }
        }
        self.store.write(&batch)?;
        for contact in &touched {
            let lines = self.peers.get_mut(contact).into_iter().flat_map(|peer| &mut peer.lines);
            lines.for_each(|line| line.session.stored());
            self.index(contact);
        }
        for contact in batch.gone() {
            let hints = self.peers.remove(&contact).map(|peer| peer.hints);
            hints.into_iter().flatten().for_each(|hint| {
                self.hints.remove(&hint);
            });
        }
        self.touched.clear();
        self.stale = false;
        Ok(())
    }

    /// Notes which hints belong to a contact.
    pub(crate) fn index(&mut self, contact: &DeviceId) {
        let Some(peer) = self.peers.get_mut(contact) else { return };
        let hints: Vec<_> = peer.lines.iter().flat_map(|line| line.session.hints()).collect();
        for hint in std::mem::replace(&mut peer.hints, hints) {
            self.hints.remove(&hint);
        }
        self.hints.extend(peer.hints.iter().map(|hint| (*hint, *contact)));
    }

    fn sign(&mut self, sign: Sign) -> Result<Vec<Input>, WalletError> {
        match sign {
            Sign::Receipt { tx, digest } => {
                Ok(vec![Input::ReceiptSigned { tx, signature: self.seal.sign(&digest)? }])
            }
            Sign::Consent { tx, digests } => {
                let signatures = digests.iter().map(|digest| self.seal.sign(digest));
                let signatures = signatures.collect::<Result<Vec<_>, _>>()?;
                Ok(vec![Input::Consented { tx, signatures }])
            }
            Sign::Spend { tx, seq, head, inputs } => {
                // An older intent, of a restored wallet, is behind steps that the journal holds:
                // its signature is the one that was made, or would have been, before them.
                if seq == self.device.seq() && *self.device.mode() == Mode::Normal {
                    self.observe(seq, &head)?;
                }
                self.prove_and_sign(tx, &inputs)
            }
        }
    }

    /// Tells the journal of a step. If it knows better, the wallet only receives from now on.
    fn observe(&mut self, seq: u64, head: &tally_core::id::Head) -> Result<(), WalletError> {
        let observed = self.seal.observe(seq, head);
        if let Err(SealError::RolledBack(_)) = &observed {
            self.set_back()?;
        }
        Ok(observed?)
    }

    /// The wallet was set back: it receives only, and gives up its sessions, whose counters may have
    /// been used.
    pub(crate) fn set_back(&mut self) -> Result<(), WalletError> {
        for (contact, peer) in &mut self.peers {
            peer.lines.clear();
            self.touched.insert(*contact);
        }
        self.turn(vec![Input::Restored], None).map(|_| ())
    }

    /// Signs what waits for the seal, so that nothing new is begun before.
    pub(crate) fn finish_intents(
        &mut self,
        show: &mut dyn FnMut(&Event),
    ) -> Result<(), WalletError> {
        if *self.device.mode() != Mode::Normal {
            return Ok(());
        }
        if self.device.has_ended_locks(now()) {
            self.run(vec![Input::LocksEnded], None, show)?;
        }
        let intents = self.device.outgoing().values();
        // One that a backup brought back may have to wait for the end of its coins' locks.
        let ready =
            |o: &&Arc<Outgoing>| o.state == OutgoingState::Intent && self.device.can_sign(o, now());
        let intents = intents.filter(ready);
        let mut signs: Vec<(u64, Sign)> =
            intents.map(|o| (o.transaction.step.seq, self.device.to_sign(o))).collect();
        signs.sort_by_key(|(seq, _)| *seq);
        for (_, sign) in signs {
            let inputs = self.sign(sign)?;
            self.run(inputs, None, show)?;
        }
        Ok(())
    }

    /// The same, but what waits for hardware that is not there goes on waiting.
    pub(crate) fn try_intents(&mut self, show: &mut dyn FnMut(&Event)) -> Result<(), WalletError> {
        match self.finish_intents(show) {
            Err(WalletError::Seal(SealError::Tpm(_))) => Ok(()),
            done => done,
        }
    }

    /// Encrypts a message; durable is the caller's affair.
    pub(crate) fn encrypt(
        &mut self,
        to: DeviceId,
        message: &Message,
        via: Option<&Via>,
    ) -> Result<Vec<u8>, WalletError> {
        let answers = via.filter(|via| via.contact == to).map(|via| via.line);
        let known = |peer: &mut Peer| {
            let line = answers.and_then(|id| peer.line(id).map(|line| line.id()));
            line.or_else(|| peer.lines.last().map(Line::id))
        };
        let line = match self.peers.get_mut(&to).and_then(known) {
            Some(line) => line,
            None => self.say_hello(to, 0)?,
        };
        match self.encrypt_on(to, line, message) {
            Err(SessionError::Pending | SessionError::Exhausted | SessionError::State(_)) => {
                let line = self.say_hello(to, 0)?;
                self.encrypt_on(to, line, message).map_err(|e| PeerError::Session(e).into())
            }
            other => other.map_err(|e| PeerError::Session(e).into()),
        }
    }

    fn encrypt_on(
        &mut self,
        to: DeviceId,
        id: LineId,
        message: &Message,
    ) -> Result<Vec<u8>, SessionError> {
        let pays = self.link_paid_by(&to, message);
        let receipts = match message {
            Message::Receipt(receipt) => self.device.incoming().get(&receipt.tx),
            _ => None,
        };
        let receipts = receipts.and_then(|i| i.hop.as_ref()).map(|hop| hop.tx.link);
        let line = self.peers.get_mut(&to).and_then(|peer| peer.line(id));
        let line = line.ok_or(SessionError::State("it is gone"))?;
        if let Some(link) = pays {
            line.session.expect(link.as_bytes())?;
        }
        if let Some(link) = receipts {
            line.session.advance_as_payee(link.as_bytes())?;
        }
        let envelope = line.session.seal(&to_bytes(message))?;
        let size = envelope.len();
        let envelope = Blob::new(envelope).map_err(|_| SessionError::TooLarge { size })?;
        let packet = Packet { hello: line.hello.clone(), envelope };
        if !line.session.is_covered() {
            self.touched.insert(to);
        }
        Ok(packet.to_wire())
    }

    /// The link after the payment that a message makes, if it makes one.
    fn link_paid_by(&self, payee: &DeviceId, message: &Message) -> Option<tally_core::id::Link> {
        let commit = match message {
            Message::Commit(commit) => commit,
            Message::Payment(Payment { commit, .. }) => commit,
            _ => return None,
        };
        let same = |o: &&Arc<Outgoing>| o.payee == *payee && o.payment.commit == *commit;
        self.device.outgoing().values().find(same).map(|o| o.transaction.link)
    }

    /// Opens a new session, with a generation above `floor` and all that were used before.
    pub(crate) fn say_hello(&mut self, to: DeviceId, floor: u64) -> Result<LineId, WalletError> {
        let contact = self.device.contacts().get(&to);
        let contact = contact.ok_or(DeviceError::from(ContactError::Unknown))?;
        let card = contact.card.open_card().map_err(PeerError::Signed)?;
        let theirs =
            KemPublic::from_bytes(card.session_key.as_slice()).map_err(PeerError::Session)?;
        let me = self.device.id();
        let peer = self.peers.entry(to).or_default();
        let last = peer.heard.max(peer.said).max(floor);
        let generation = last.saturating_add(1).max(tick());
        let context = Hello::context(&me, &to, generation);
        let (ciphertext, root) = initiate(&theirs, &context, &random()?);
        let ciphertext = Blob::new(ciphertext.as_bytes().to_vec()).map_err(PeerError::Decode)?;
        let digest = Hello::digest(&me, &to, generation, &ciphertext);
        let signature = self.seal.sign(&digest)?;
        let hello = Hello { card: self.card.clone(), to, generation, ciphertext, signature };
        let session = Session::new(&root, Role::Initiator, generation);
        let line = Line { session, hello: Some(hello) };
        let id = line.id();
        peer.said = generation;
        peer.insert(line, &me, &to);
        self.touched.insert(to);
        Ok(id)
    }

    /// Encrypts messages anew and releases them, in a fresh session if `floor` is given.
    pub(crate) fn release(
        &mut self,
        to: DeviceId,
        messages: &[Message],
        floor: Option<u64>,
    ) -> Result<Vec<Sent>, WalletError> {
        self.stale = true;
        if let Some(floor) = floor {
            self.say_hello(to, floor)?;
        }
        let mut sent = Vec::new();
        for message in messages {
            let packet = self.encrypt(to, message, None)?;
            sent.push(Sent { message: message.clone(), packet });
        }
        self.persist(Batch::default())?;
        Ok(sent)
    }

    /// How many payments to this payee are signed and not receipted.
    pub fn waiting(&self, payee: &DeviceId) -> usize {
        self.waiting_for(payee).len()
    }

    /// Payments that wait for this payee, in the order in which they were made.
    pub(crate) fn waiting_for(&self, payee: &DeviceId) -> Vec<(TxId, Message)> {
        let outgoing = self.device.outgoing().values();
        let signed = |o: &&Arc<Outgoing>| o.payee == *payee && o.state == OutgoingState::Signed;
        let mut waiting: Vec<_> = outgoing.filter(signed).collect();
        waiting.sort_by_key(|o| o.transaction.step.seq);
        waiting.iter().map(|o| (o.tx, Message::Payment(o.payment.clone()))).collect()
    }
}
