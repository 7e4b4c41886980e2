//! What every model here is made of: production devices, their disks, and what is on its way.

use std::collections::BTreeSet;

use tally_core::cbor::{from_bytes, to_bytes};
use tally_core::device::{Device, Event, Input, Sign};
use tally_core::id::{AssetId, TxId};
use tally_core::keys::SecretKey;
use tally_core::message::Message;
use tally_sim::{Bare, Effects, world};
use tally_testkit::Scene;

/// A message on its way. One that never arrives is a message that was lost.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(super) struct Envelope {
    pub(super) from: usize,
    pub(super) to: usize,
    /// Which meeting it belongs to, if any.
    pub(super) meeting: Option<u8>,
    bytes: Vec<u8>,
}

impl Envelope {
    pub(super) fn message(&self) -> Message {
        from_bytes(&self.bytes).expect("what was encoded decodes")
    }

    /// For people.
    pub(super) fn label(&self) -> String {
        format!("{} from {} to {}", self.message().name(), self.from, self.to)
    }
}

/// Devices and messages.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Group {
    pub(super) nodes: Vec<Bare>,
    pub(super) network: BTreeSet<Envelope>,
}

/// What does not change while a model is explored.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) keys: Vec<SecretKey>,
    pub(super) asset: AssetId,
    pub(super) start: Group,
}

impl Setting {
    /// A payer with `units` in one pocket, and two payees.
    pub(super) fn new(units: u64) -> Self {
        let scene = Scene::new(3, units);
        let nodes = scene.people.iter().map(Bare::of);
        Self {
            keys: scene.people.iter().map(|person| person.key().clone()).collect(),
            asset: scene.asset,
            start: Group { nodes: nodes.collect(), network: BTreeSet::new() },
        }
    }
}

/// What a node did that the properties speak of.
#[derive(Debug, Default)]
pub(super) struct Did {
    pub(super) signed: Vec<(u64, TxId)>,
    pub(super) met: Option<u8>,
}

impl Group {
    /// Gives a node an input; `None` if the device says no.
    pub(super) fn tell(&mut self, setting: &Setting, node: usize, input: Input) -> Option<Did> {
        self.tell_in(setting, node, input, None)
    }

    /// A message arrives. One that is repeated stays on its way.
    pub(super) fn hear(
        &mut self,
        setting: &Setting,
        envelope: &Envelope,
        repeated: bool,
    ) -> Option<Did> {
        if !repeated {
            self.network.remove(envelope);
        }
        let input = self.input(envelope);
        self.tell_in(setting, envelope.to, input, envelope.meeting)
    }

    /// A message arrives and what it changes becomes durable; then the process dies.
    pub(super) fn die_over(&mut self, envelope: &Envelope) {
        self.network.remove(envelope);
        let input = self.input(envelope);
        // What it would have done is gone with it.
        let _ = self.nodes[envelope.to].step(&world(), input);
        self.crash(envelope.to);
    }

    /// Everything that is not durable is gone.
    pub(super) fn crash(&mut self, node: usize) {
        self.nodes[node].crash();
    }

    fn input(&mut self, envelope: &Envelope) -> Input {
        let message = envelope.message();
        let from = self.nodes[envelope.from].device.id();
        let nonce = self.nodes[envelope.to].nonce_for(&message);
        Input::Message { from, message: Box::new(message), nonce }
    }

    pub(super) fn tell_in(
        &mut self,
        setting: &Setting,
        node: usize,
        input: Input,
        meeting: Option<u8>,
    ) -> Option<Did> {
        let effects = self.nodes[node].act(&setting.keys[node], input).ok()?;
        Some(self.follow(node, effects, meeting))
    }

    fn follow(&mut self, from: usize, effects: Effects, meeting: Option<u8>) -> Did {
        for (to, message) in effects.send {
            let is_meeting = matches!(
                message,
                Message::Sync(_)
                    | Message::SyncReply(_)
                    | Message::SyncEnd(_)
                    | Message::Findings(_)
            );
            let to = self.nodes.iter().position(|node| node.device.id() == to);
            self.network.insert(Envelope {
                from,
                to: to.expect("contacts are in the group"),
                meeting: meeting.filter(|_| is_meeting),
                bytes: to_bytes(&message),
            });
        }
        let signed = effects.signed.iter().filter_map(|sign| match sign {
            Sign::Spend { tx, seq, .. } => Some((*seq, *tx)),
            Sign::Prove { .. } | Sign::Receipt { .. } | Sign::Consent { .. } => None,
        });
        let met = effects.events.iter().any(|event| matches!(event, Event::Met { .. }));
        Did { signed: signed.collect(), met: meeting.filter(|_| met) }
    }

    pub(super) fn device(&self, node: usize) -> &Device {
        &self.nodes[node].device
    }
}
