//! Take packets apart, and give what is in them to the device.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};

use tally_core::card::Signed;
use tally_core::cbor::from_bytes;
use tally_core::device::{self, Learnt};
use tally_core::id::{DeviceId, Nonce, TxId};
use tally_core::message::Message;
use tally_core::packet::Packet;
use tally_core::time::Time;
use tally_transport::session::{Budget, Hint, SessionError};

use crate::engine::{Engine, Step};
use crate::hello::Greeting;
use crate::parked::Parked;
use crate::peer::{LineId, Peer};
use crate::{AgentError, PeerError};

/// Most packets whose repetition is recognised; the oldest are forgotten.
pub(crate) const MAX_PACKETS: usize = 4096;

/// Where a message came from, so that the answer goes the same way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Via {
    pub(crate) contact: DeviceId,
    pub(crate) line: LineId,
    /// The hash of the packet that the message came in.
    pub(crate) packet: [u8; 32],
}

/// What was in a packet. Nothing of it is kept yet.
pub(crate) struct Opened {
    pub(crate) from: DeviceId,
    pub(crate) line: LineId,
    pub(crate) stranger: Option<Signed>,
    pub(crate) message: Message,
    pub(crate) peer: Peer,
}

/// The packets that are remembered, the oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packets {
    brought: BTreeMap<[u8; 32], TxId>,
    order: VecDeque<[u8; 32]>,
}

impl Packets {
    pub(crate) fn put(&mut self, hash: [u8; 32], tx: TxId) {
        if self.brought.insert(hash, tx).is_some() {
            return;
        }
        self.order.push_back(hash);
        if self.order.len() > MAX_PACKETS
            && let Some(old) = self.order.pop_front()
        {
            self.brought.remove(&old);
        }
    }

    pub(crate) fn get(&self, hash: &[u8; 32]) -> Option<TxId> {
        self.brought.get(hash).copied()
    }
}

impl Engine {
    /// Opens a packet on a copy of the session, so that what is refused leaves the session as it was.
    pub(crate) fn open(
        &self,
        bytes: &[u8],
        micros: u64,
        budget: &mut Budget,
    ) -> Result<Opened, PeerError> {
        let packet = Packet::from_wire(bytes)?;
        let envelope = packet.envelope.as_slice();
        // A hello is repeated until its session was answered in: whoever has the session needs it not.
        let known = self.peers.of(&Hint::of(envelope)?);
        let Greeting { from, line, plain, stranger, peer } = match (known, &packet.hello) {
            (None, None) => return Err(SessionError::Unknown.into()),
            (None, Some(hello)) => {
                self.hear_hello(self.open_hello(hello, budget)?, envelope, micros)?
            }
            (Some(from), _) => {
                let mut peer = self.peers.get(&from).cloned().ok_or(SessionError::Unknown)?;
                let (line, plain) = peer.open(envelope)?;
                Greeting { from, line, plain, stranger: None, peer }
            }
        };
        Ok(Opened { from, line, stranger, message: from_bytes(&plain)?, peer })
    }

    /// The greatest generation that was heard of whoever says hello in this packet.
    pub(crate) fn heard_of(&self, bytes: &[u8], budget: &mut Budget) -> u64 {
        let hello = Packet::from_wire(bytes).ok().and_then(|packet| packet.hello);
        let greeted = hello.and_then(|hello| self.open_hello(&hello, budget).ok());
        greeted.map_or(0, |(greeted, _)| {
            let from = greeted.card.device();
            self.peers.copy_of(&from, !self.is_stranger(&from)).heard.greatest()
        })
    }

    /// Gives a message to the device, with whoever says it for the first time.
    pub(crate) fn hear(
        &mut self,
        step: &mut Step<'_>,
        opened: Opened,
        via: Via,
    ) -> Result<(), AgentError> {
        let Opened { from, stranger, message, peer, .. } = opened;
        if let Some(card) = stranger {
            self.tell(step, device::Input::Stranger(card), Some(&via))?;
        }
        // There is a session for a contact, and for nobody else.
        self.peers.put(from, peer);
        step.touched.insert(from);
        let nonce = Nonce::new(step.noise.draw());
        let receipt = match &message {
            Message::Receipt(receipt) => Some(receipt.tx),
            _ => None,
        };
        let needs_counter = self.needs_counter(step.cx.now, &from, &message);
        let input = device::Input::Message { from, message: Box::new(message), nonce };
        if needs_counter {
            return self.park(step, Parked::Heard(Box::new(input), via));
        }
        self.tell(step, input, Some(&via))?;
        if let Some(tx) = receipt {
            self.receipt_came(&from, &tx);
        }
        Ok(())
    }

    /// Whether the hardware is asked for a counter before the device answers.
    fn needs_counter(&self, now: Time, from: &DeviceId, message: &Message) -> bool {
        let Message::Offer(offer) = message else { return false };
        self.device.gives_lock_for(&self.world(now), from, offer)
    }

    /// Moves the session on with what was learnt, and remembers the packet that brought it.
    pub(crate) fn move_sessions(
        &mut self,
        step: &mut Step<'_>,
        learnt: &[Learnt],
        via: Option<&Via>,
    ) {
        let Some(via) = via else { return };
        for learnt in learnt {
            let brought = match learnt {
                Learnt::Signed { .. } => continue,
                Learnt::Receipted { tx, by } => {
                    // The answer to a release is about no payment between the two.
                    let outgoing = self.device.outgoing().get(tx);
                    let paid = outgoing.filter(|o| o.payee == *by && *by == via.contact);
                    let link = paid.map(|o| o.transaction.link);
                    if let Some((link, line)) = link.zip(self.line_of(via)) {
                        // Without room for the link the session stays where it is; a new hello
                        // comes next.
                        let _ = line.session.advance_as_payer(link.as_bytes());
                    }
                    *tx
                }
                Learnt::Received { tx, payer } => {
                    let link = self.link_of_receipt(tx).filter(|_| *payer == via.contact);
                    if let Some((link, line)) = link.zip(self.line_of(via)) {
                        // Stored with the payment, the receipt needs no store of its own.
                        let _ = line.session.advance_as_payee(link.as_bytes());
                    }
                    *tx
                }
                Learnt::Again { tx } => *tx,
            };
            self.peers.index(&via.contact);
            step.touched.insert(via.contact);
            self.packets.put(via.packet, brought);
            step.batch.packet = Some((via.packet, brought));
        }
    }

    fn line_of(&mut self, via: &Via) -> Option<&mut crate::peer::Line> {
        self.peers.get_mut(&via.contact).and_then(|peer| peer.line(via.line))
    }
}
