//! Hold a device with its sessions and connections, and take one input.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use tally_core::card::Signed;
use tally_core::device::{
    self, Change, Device, DeviceError, Event, Forgotten, Learnt, Mode, Output, Sign, World,
};
use tally_core::id::{AssetId, DeviceId, Head, Nonce, TxId};
use tally_core::keys::SecretKey;
use tally_core::message::Message;
use tally_core::notary::TrustBase;
use tally_core::seal::TpmProofs;
use tally_core::time::Time;

use crate::answers::Answers;
use crate::hello::Unsaid;
use crate::noise::Noise;
use crate::order::Spend;
use crate::outbox::{Item, Outbox};
use crate::packet::{Packets, Via};
use crate::parked::{Parked, Parking};
use crate::peer::Peers;
use crate::talk::Talk;
use crate::{AgentError, Batch, Conn, Cx, Effect, Guard, Input, Issued, Keys, Loaded, Way};

/// A device, and all that belongs to it in memory.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) card: Signed,
    pub(crate) device: Arc<Device>,
    pub(crate) keys: Keys,
    /// The owner's key, if it is in memory.
    pub(crate) key: Option<SecretKey>,
    /// The last signed step of which it is stored that the journal knows it.
    pub(crate) observed: Option<Head>,
    /// The payment that is signed, and of whose step the journal may not know.
    pub(crate) unobserved: Option<TxId>,
    /// What waits for the journal.
    pub(crate) held: Vec<Effect>,
    /// Whether the step that the journal may not know was signed since the start.
    pub(crate) signed_here: bool,
    /// Keeps all others away while this lives.
    _guard: Box<dyn Guard>,
    pub(crate) trust: Option<TrustBase>,
    pub(crate) issued: BTreeMap<AssetId, Issued>,
    pub(crate) peers: Peers,
    pub(crate) packets: Packets,
    pub(crate) outbox: Outbox,
    pub(crate) conns: BTreeMap<Conn, Talk>,
    pub(crate) unsaid: BTreeMap<DeviceId, Unsaid>,
    pub(crate) spends: BTreeMap<TxId, Spend>,
    pub(crate) answers: Answers,
    pub(crate) invoices: BTreeMap<Nonce, Vec<u8>>,
    pub(crate) parking: Parking,
    /// Contacts whose sessions are ahead of what is stored: stored with the next batch.
    touched: BTreeSet<DeviceId>,
}

/// One turn while it is made.
pub(crate) struct Step<'a> {
    pub(crate) cx: &'a Cx,
    pub(crate) noise: Noise,
    pub(crate) batch: Batch,
    pub(crate) effects: Vec<Effect>,
    /// What the device told its owner, and by which way it came to that: for the connections that wait.
    pub(crate) events: Vec<(Option<Way>, Event)>,
    /// Which way what is said goes, if nothing else says so.
    pub(crate) way: Option<Way>,
    pub(crate) touched: BTreeSet<DeviceId>,
    /// Whether the device was told anything, so that something has changed.
    pub(crate) told: bool,
    /// Contacts whom the owner wishes to remove.
    removed: BTreeSet<DeviceId>,
    consents: bool,
}

impl Engine {
    pub(crate) fn load(loaded: Loaded, keys: Keys, guard: Box<dyn Guard>) -> Self {
        let mut engine = Self {
            card: loaded.card,
            device: Arc::new(Device::new(loaded.me)),
            keys,
            key: None,
            observed: loaded.observed,
            unobserved: None,
            held: Vec::new(),
            signed_here: false,
            _guard: guard,
            trust: loaded.trust,
            issued: loaded.issued.into_iter().collect(),
            peers: Peers::default(),
            packets: Packets::default(),
            outbox: Outbox::default(),
            conns: BTreeMap::new(),
            unsaid: BTreeMap::new(),
            spends: BTreeMap::new(),
            answers: Answers::default(),
            invoices: BTreeMap::new(),
            parking: Parking::default(),
            touched: BTreeSet::new(),
        };
        let device = Arc::make_mut(&mut engine.device);
        loaded.changes.into_iter().for_each(|change| device.apply(change));
        for (hash, tx) in loaded.packets {
            engine.packets.put(hash, tx);
        }
        for (contact, bytes) in loaded.sessions {
            // A session that cannot be read is left out: the next packet says hello again.
            let peer = crate::peer::Peer::from_sealed(&bytes, &engine.keys.database, &contact);
            match peer {
                // Nobody is a contact of their own: under that id is what was heard of who is gone.
                Some(gone) if contact == engine.device.id() => engine.peers.set_gone(gone),
                Some(peer) => engine.peers.put(contact, peer),
                None => {}
            }
        }
        engine.last_step_is_unobserved();
        engine
    }

    /// Takes an input. On an error nothing has changed.
    pub(crate) fn handle(
        &mut self,
        cx: &Cx,
        input: Input,
    ) -> Result<(Batch, Vec<Effect>), AgentError> {
        self.may_hear(&input)?;
        let waits =
            self.unobserved.is_some() && !matches!(input, Input::Observed { .. } | Input::Remind);
        let mut step = Step {
            cx,
            noise: Noise::new(&cx.entropy),
            batch: Batch::default(),
            effects: Vec::new(),
            events: Vec::new(),
            way: None,
            touched: BTreeSet::new(),
            told: false,
            removed: BTreeSet::new(),
            consents: false,
        };
        if let Err(error) = self.take(&mut step, input) {
            if !step.told {
                return Err(error);
            }
            // What the device was told stays, in memory as on the disk; only what failed is said.
            let way = step.way.unwrap_or(Way::File);
            step.effects.push(Effect::Over { way, end: Err(error) });
        }
        self.flush(&mut step);
        // Going on may bring more to be said, and having said it may let a connection go on.
        while self.advance_talks(&mut step) {
            self.flush(&mut step);
        }
        if waits {
            self.observe_again(&mut step);
        }
        self.hold_back(&mut step);
        Ok(self.close(step))
    }

    fn take(&mut self, step: &mut Step<'_>, input: Input) -> Result<(), AgentError> {
        match input {
            Input::Wish(inputs) => self.wish(step, inputs),
            Input::Invoice { asset, amount, valid_for } => {
                if self.device.enrollment().is_some() {
                    return self.park(step, Parked::Invoice(asset, amount, valid_for));
                }
                self.invoice(step, asset, amount, valid_for)
            }
            Input::PayInvoice(invoice) => self.pay_invoice(step, &invoice),
            Input::Release { payee, asset } => {
                step.way = Some(Way::File);
                if self.device.enrollment().is_some() {
                    return self.park(step, Parked::Release(payee, asset));
                }
                self.release(step, payee, asset)
            }
            Input::Resend { payee } => self.resend(step, payee),
            Input::File { bytes, agree } => self.take_file(step, &bytes, agree),
            Input::Opened { conn, goal } => self.connected(step, conn, goal),
            Input::Packet { conn, bytes } => self.packet_came(step, conn, &bytes),
            Input::Closed { conn, why } => self.closed(step, conn, why),
            Input::Signed { order, signatures } => self.signed(step, order, signatures),
            Input::Observed { tx, fits } => self.observed(step, tx, fits),
            Input::Proved { tx, slot, proved } => self.proved(step, tx, slot, proved),
            Input::Counter(lock) => self.counter(step, lock),
            Input::Remind => self.remind(step),
            Input::SetBack => self.set_back(step),
            Input::Renew { card } => {
                self.card = *card;
                self.drop_sessions(step);
                Ok(())
            }
            Input::Keep { issued, meta, trust } => {
                self.issued.extend(issued.iter().copied());
                (step.batch.issued, step.batch.meta) = (issued, meta);
                self.trust = trust.map(|trust| *trust).or(self.trust.take());
                Ok(())
            }
        }
    }

    /// Meets the owner's wishes, all or none.
    fn wish(&mut self, step: &mut Step<'_>, inputs: Vec<device::Input>) -> Result<(), AgentError> {
        let binds_a_coin = |input: &device::Input| {
            matches!(input, device::Input::Refresh { .. } | device::Input::Reserve { .. })
        };
        step.removed.extend(inputs.iter().filter_map(|input| match input {
            device::Input::RemoveContact(contact) if !self.is_stranger(contact) => Some(*contact),
            _ => None,
        }));
        let needs_counter = inputs.iter().any(binds_a_coin);
        if needs_counter && self.device.enrollment().is_some() {
            return self.park(step, Parked::Wished(inputs));
        }
        self.tell_all(step, inputs)
    }

    /// What the device decides by.
    pub(crate) fn world(&self, now: Time) -> World<'_> {
        World { now, seals: &TpmProofs, notary: self.trust.as_ref() }
    }

    /// Whether this device has neither paid nor been paid, and was not added by the owner.
    pub(crate) fn is_stranger(&self, device: &DeviceId) -> bool {
        self.device.contacts().get(device).is_none_or(|contact| contact.stranger.is_some())
    }

    pub(crate) fn is_normal(&self) -> bool {
        *self.device.mode() == Mode::Normal
    }

    /// Tells the device one thing, and does what follows. On an error nothing has changed.
    pub(crate) fn tell(
        &mut self,
        step: &mut Step<'_>,
        input: device::Input,
        via: Option<&Via>,
    ) -> Result<(), AgentError> {
        let world = World { now: step.cx.now, seals: &TpmProofs, notary: self.trust.as_ref() };
        let was_normal = self.is_normal();
        let output = Arc::make_mut(&mut self.device).handle(&world, input)?;
        // What changed comes before what follows from it.
        step.batch.changes.extend(output.changes.iter().cloned());
        self.end_if_set_back(step, was_normal);
        self.follow(step, output, via);
        Ok(())
    }

    /// Tells the device several things, all of which it takes, or none.
    pub(crate) fn tell_all(
        &mut self,
        step: &mut Step<'_>,
        mut inputs: Vec<device::Input>,
    ) -> Result<(), AgentError> {
        if inputs.len() == 1
            && let Some(input) = inputs.pop()
        {
            return self.tell(step, input, None);
        }
        let mut copy = Device::clone(&self.device);
        let outputs = inputs.into_iter().map(|input| copy.handle(&self.world(step.cx.now), input));
        let outputs = outputs.collect::<Result<Vec<Output>, DeviceError>>()?;
        let was_normal = self.is_normal();
        self.device = Arc::new(copy);
        let changes = outputs.iter().flat_map(|output| output.changes.iter().cloned());
        step.batch.changes.extend(changes);
        self.end_if_set_back(step, was_normal);
        outputs.into_iter().for_each(|output| self.follow(step, output, None));
        Ok(())
    }

    /// Does what follows from what the device said. Its changes are in the batch.
    fn follow(&mut self, step: &mut Step<'_>, output: Output, via: Option<&Via>) {
        let Output { changes, sign, send, events, learnt } = output;
        step.told = true;
        self.move_sessions(step, &learnt, via);
        for change in &changes {
            if let Change::Forgotten(Forgotten::Contact(contact)) = change {
                let was_contact = step.removed.contains(contact);
                self.peers.remove(contact, step.cx.micros, was_contact);
                step.touched.insert(self.device.id());
                self.outbox.drop_contact(contact);
                self.unsaid.remove(contact);
                step.touched.remove(contact);
            }
        }
        for (to, message) in send {
            let Some(way) = self.way_to(step, &to) else { continue };
            let pays = self.made_by(&to, &message, &learnt);
            if self.feeds(way, pays, &message) {
                continue;
            }
            let line = via.filter(|via| via.contact == to).map(|via| via.line);
            let asks = matches!((&message, way), (Message::Release(_), Way::File));
            let fresh = asks.then_some(0);
            self.put_out(step, Item { pays, line, fresh, ..Item::new(to, message, way) });
        }
        step.consents |= sign.iter().any(|sign| matches!(sign, Sign::Consent { .. }));
        sign.into_iter().for_each(|sign| self.order(step, sign, via));
        for event in events {
            step.events.push((step.way, event.clone()));
            if matches!(event, Event::GivenUp { .. }) && step.way == Some(Way::File) {
                step.effects
                    .push(Effect::Over { way: Way::File, end: Err(AgentError::given_up()) });
            }
            if self.is_shown(step, &event) {
                step.effects.push(Effect::Show(Box::new(event)));
            }
        }
    }

    /// Whether a whole payment goes over a connection, which then sends it when there is room.
    fn feeds(&mut self, way: Way, pays: Option<TxId>, message: &Message) -> bool {
        let (Way::Conn(conn), Some(tx), Message::Payment(_)) = (way, pays, message) else {
            return false;
        };
        self.conns.get_mut(&conn).is_some_and(|talk| {
            talk.send_once(tx);
            true
        })
    }

    /// The payment that a message makes, if it makes one.
    fn made_by(&self, to: &DeviceId, message: &Message, learnt: &[Learnt]) -> Option<TxId> {
        match message {
            Message::Commit(_) => learnt.iter().find_map(|learnt| match learnt {
                Learnt::Signed { tx, payee } if payee == to => Some(*tx),
                _ => None,
            }),
            Message::Payment(payment) => {
                self.device.payment_made_by(to, payment).map(|outgoing| outgoing.tx)
            }
            _ => None,
        }
    }

    /// The device was set back: it receives only.
    pub(crate) fn set_back(&mut self, step: &mut Step<'_>) -> Result<(), AgentError> {
        self.tell(step, device::Input::Restored, None)?;
        self.end_what_was_begun(step);
        Ok(())
    }

    /// Whatever showed a device that it was set back, a proof, a meeting or a payment, ends the same.
    fn end_if_set_back(&mut self, step: &mut Step<'_>, was_normal: bool) {
        if was_normal && !self.is_normal() {
            self.end_what_was_begun(step);
        }
    }

    /// Gives up the sessions, whose counters may have been used, and what was about to be signed.
    fn end_what_was_begun(&mut self, step: &mut Step<'_>) {
        self.drop_sessions(step);
        self.answers.forget_consents();
        self.spends.clear();
        if let Some(tx) = self.unobserved.filter(|tx| self.has_not_left(tx)) {
            // One that is not signed does not leave either.
            let _ = self.tell(step, device::Input::Unsigned { tx }, None);
        }
        self.drop_held(step);
    }

    /// What waits for a session has a hello made anew.
    fn drop_sessions(&mut self, step: &mut Step<'_>) {
        self.unsaid.clear();
        for contact in self.peers.contacts() {
            if let Some(peer) = self.peers.get_mut(&contact) {
                peer.lines.clear();
            }
            self.peers.index(&contact);
            step.touched.insert(contact);
        }
    }

    /// The batch of a turn, with every session that it touched.
    ///
    /// A consent leaves with what it is for. Until it is signed there is nothing to keep: the sessions
    /// are stored with the next batch, and a crash leaves the packet to be opened again.
    fn close(&mut self, mut step: Step<'_>) -> (Batch, Vec<Effect>) {
        self.touched.append(&mut step.touched);
        let is_sent = |effect: &Effect| matches!(effect, Effect::Send { .. });
        let sends = step.effects.iter().chain(&self.held).any(is_sent);
        if step.consents && step.batch.changes.is_empty() && !sends {
            return (step.batch, step.effects);
        }
        for contact in core::mem::take(&mut self.touched) {
            if contact == self.device.id() {
                let gone = self.peers.gone();
                let sealed = gone.to_sealed(&self.keys.database, &contact, step.noise.draw());
                step.batch.sessions.push((contact, sealed));
                continue;
            }
            let Some(peer) = self.peers.get_mut(&contact) else { continue };
            let sealed = peer.to_sealed(&self.keys.database, &contact, step.noise.draw());
            step.batch.sessions.push((contact, sealed));
            peer.lines.iter_mut().for_each(|line| line.session.stored());
        }
        self.note_observed(&mut step.batch);
        (step.batch, step.effects)
    }
}
