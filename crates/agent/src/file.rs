//! Take packets that come as files and codes, in any order and any number of times.

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use tally_core::device::{self, Change, Device, DeviceError, Event, Forgotten, Sign};
use tally_core::hash::sha256;
use tally_core::id::{AssetId, DeviceId, Nonce, TxId};
use tally_core::message::{Message, Receipt};
use tally_transport::session::{Budget, MAX_PENDING};

use crate::engine::{Engine, Step};
use crate::outbox::Item;
use crate::packet::{Opened, Via};
use crate::{AgentError, Effect, PeerError, Way};

impl Engine {
    /// Takes in a packet that was handed over. One that is refused leaves no trace but what its sender
    /// signed, so that packets may come in any order and be tried again.
    pub(crate) fn take_file(
        &mut self,
        step: &mut Step<'_>,
        bytes: &[u8],
        agree: bool,
    ) -> Result<(), AgentError> {
        step.way = Some(Way::File);
        let packet = sha256(bytes);
        let opened = match self.open(bytes, step.cx.micros, &mut Budget::default()) {
            Ok(opened) => opened,
            Err(error) if agree => return Err(error.into()),
            Err(error) => return self.heard_before(step, &packet, error),
        };
        let via = Via { contact: opened.from, line: opened.line, packet };
        let release = matches!(opened.message, Message::Release(_));
        if agree {
            return self.agree(step, opened, via);
        }
        let events = match self.try_out(step, &opened)? {
            Tried::Taken(events, _) => events,
            Tried::Proves => return self.hear(step, opened, via),
            Tried::Refused(refused) => {
                step.effects.push(Effect::Over { way: Way::File, end: Err(refused) });
                return Ok(());
            }
        };
        if release {
            // It is shown, and left to be opened again by whoever consents.
            step.effects.extend(events.into_iter().map(|e| Effect::Show(Box::new(e))));
            return Ok(());
        }
        self.hear(step, opened, via)
    }

    /// The owner consents to the release that a packet asks for.
    fn agree(&mut self, step: &mut Step<'_>, opened: Opened, via: Via) -> Result<(), AgentError> {
        let (events, mut copy) = match self.try_out(step, &opened)? {
            Tried::Taken(events, copy) => (events, copy),
            Tried::Proves => {
                // That is heard, and the owner is asked anew: it may be another thing to consent to now.
                self.hear(step, opened, via)?;
                let end = Err(DeviceError::NotWaiting.into());
                step.effects.push(Effect::Over { way: Way::File, end });
                return Ok(());
            }
            Tried::Refused(_) => return Err(DeviceError::NotWaiting.into()),
        };
        let release = events.iter().find_map(|event| match event {
            Event::ReleaseAsked { tx, .. } => Some(*tx),
            _ => None,
        });
        let tx = release.ok_or(DeviceError::NotWaiting)?;
        // What would be refused changes nothing.
        copy.handle(&self.world(step.cx.now), device::Input::Agree { tx })?;
        self.hear(step, opened, via)?;
        self.tell(step, device::Input::Agree { tx }, Some(&via))
    }

    /// Tries a packet on a copy of the device.
    fn try_out(&mut self, step: &mut Step<'_>, opened: &Opened) -> Result<Tried, AgentError> {
        let mut copy = Device::clone(&self.device);
        let (mut changes, mut events) = (Vec::new(), Vec::new());
        let nonce = Nonce::new(step.noise.draw());
        let message = Box::new(opened.message.clone());
        let message = device::Input::Message { from: opened.from, message, nonce };
        let stranger = opened.stranger.clone().map(device::Input::Stranger);
        for input in stranger.into_iter().chain([message]) {
            let output = copy.handle(&self.world(step.cx.now), input)?;
            changes.extend(output.changes);
            events.extend(output.events);
        }
        // What it proves stays, whatever becomes of the packet: that its sender forked, or that this device
        // was set back.
        let proves = |change: &Change| matches!(change, Change::Fork(_) | Change::Mode(_));
        let proves = changes.iter().any(proves);
        let refused = events.iter().find_map(|event| match event {
            Event::Refused { reason, .. } => Some(reason.clone()),
            _ => None,
        });
        if proves {
            return Ok(Tried::Proves);
        }
        let Some(reason) = refused else {
            return Ok(Tried::Taken(events, Box::new(copy)));
        };
        // What its sender signed may be half of a fork. Nothing else of it stays.
        changes.retain(|change| match change {
            Change::Sighting(_) => true,
            Change::Forgotten(forgotten) => matches!(forgotten, Forgotten::Sighting { .. }),
            _ => false,
        });
        let device = Arc::make_mut(&mut self.device);
        changes.iter().for_each(|change| device.apply(change.clone()));
        step.told |= !changes.is_empty();
        step.batch.changes.extend(changes);
        let text = format!(": {}", reason.text);
        Ok(Tried::Refused(AgentError::Refused { code: reason.code, text }))
    }

    /// A packet that does not open may be one that did before: then its payment is receipted again.
    pub(crate) fn heard_before(
        &mut self,
        step: &mut Step<'_>,
        hash: &[u8; 32],
        error: PeerError,
    ) -> Result<(), AgentError> {
        let Some(tx) = self.packets.get(hash) else { return Err(error.into()) };
        if self.device.outgoing().contains_key(&tx) {
            step.effects.push(Effect::Show(Box::new(Event::Receipted { tx })));
            return Ok(());
        }
        let payer = self.device.incoming().get(&tx).and_then(|incoming| incoming.payer);
        if payer.is_none() {
            return Err(error.into());
        }
        step.effects.push(Effect::Show(Box::new(Event::Again { tx })));
        let digest = Receipt::digest(&tx, &self.device.id());
        self.order(step, Sign::Receipt { tx, digest }, None);
        Ok(())
    }

    /// Packets of the oldest payments that wait for a payee, in a session that it can read whatever it
    /// has lost.
    pub(crate) fn resend(
        &mut self,
        step: &mut Step<'_>,
        payee: DeviceId,
    ) -> Result<(), AgentError> {
        step.way = Some(Way::File);
        let waiting = self.waiting_for(payee);
        for (tx, message) in waiting.into_iter().take(MAX_PENDING) {
            let item = Item::paying(payee, message, Way::File, tx);
            self.put_out(step, Item { fresh: Some(0), ..item });
        }
        Ok(())
    }

    /// The owner takes back what is set aside for a contact, who is asked by file or code.
    pub(crate) fn release(
        &mut self,
        step: &mut Step<'_>,
        payee: DeviceId,
        asset: AssetId,
    ) -> Result<(), AgentError> {
        self.tell(step, device::Input::Release { payee, asset }, None)
    }

    /// Payments that wait for this payee, in the order in which they were made.
    pub(crate) fn waiting_for(&self, payee: DeviceId) -> Vec<(TxId, Message)> {
        let waiting = self.device.unreceipted(payee);
        waiting.map(|o| (o.tx, Message::Payment(o.payment.clone()))).collect()
    }
}

/// What came of trying a packet.
enum Tried {
    /// It is taken: what is shown, and the device after it.
    Taken(Vec<Event>, Box<Device>),
    /// It proves something, whatever becomes of it.
    Proves,
    Refused(AgentError),
}
