//! Drive one bare device, message by message: for models, whose states must be compared and copied, and
//! for whoever needs what devices say before it is encrypted. Whole people are in the testkit.

use std::collections::VecDeque;

use tally_core::device::{Device, DeviceError, Event, Input, Output, Sign, SpendToSign, World};
use tally_core::id::{DeviceId, Nonce};
use tally_core::keys::SecretKey;
use tally_core::message::Message;
use tally_core::predicate::Unlock;
use tally_core::seal::NoSeals;
use tally_testkit::{NOW, Person};

use crate::disk::Disk;

/// What one input led to, signatures included.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Effects {
    /// What was sent.
    pub send: Vec<(DeviceId, Message)>,
    /// What was shown.
    pub events: Vec<Event>,
    /// What was signed.
    pub signed: Vec<Sign>,
}

/// A world without hardware seals and without a notary: everything rests on signatures.
pub const fn world() -> World<'static> {
    World { now: NOW, seals: &NoSeals, notary: None }
}

/// A person's device, and what it made durable, without the agent around it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Bare {
    /// The device.
    pub device: Device,
    /// What it made durable.
    pub disk: Disk,
    /// Nonces that were given to it.
    nonces: u8,
}

impl Bare {
    /// The device of a person of the testkit, as it is.
    pub fn of(person: &Person) -> Self {
        let mut disk = Disk::default();
        disk.store(&person.disk.changes());
        Self { device: person.device().clone(), disk, nonces: 0 }
    }

    /// What comes with a message: only what answers an offer needs sixteen bytes of its own.
    pub fn nonce_for(&mut self, message: &Message) -> Nonce {
        self.nonces += u8::from(matches!(message, Message::Offer(_)));
        Nonce::new([self.nonces; 16])
    }

    /// One input of the device, whose changes are then durable; nothing is done with the rest.
    ///
    /// # Errors
    /// What the device says.
    pub fn step(&mut self, world: &World<'_>, input: Input) -> Result<Output, DeviceError> {
        let output = self.device.handle(world, input)?;
        self.disk.store(&output.changes);
        Ok(output)
    }

    /// Gives the device an input, signs what it asks for with `key`, and gives what followed.
    ///
    /// # Errors
    /// What the device says.
    pub fn act(&mut self, key: &SecretKey, input: Input) -> Result<Effects, DeviceError> {
        let mut effects = Effects::default();
        let mut waiting = VecDeque::from([input]);
        while let Some(input) = waiting.pop_front() {
            let Output { sign, send, events, .. } = self.step(&world(), input)?;
            effects.send.extend(send);
            effects.events.extend(events);
            waiting.extend(sign.iter().map(|sign| signed_by(key, sign)));
            effects.signed.extend(sign);
        }
        Ok(effects)
    }

    /// Loses everything that is not durable.
    pub fn crash(&mut self) {
        self.device = self.disk.device(self.device.me());
    }
}

/// What a seal with `key` answers.
fn signed_by(key: &SecretKey, sign: &Sign) -> Input {
    match sign {
        // Nobody here has hardware, so no slot is ever to be left.
        Sign::Prove { tx, .. } => Input::Proved { tx: *tx },
        Sign::Spend { tx, inputs, .. } => {
            let unlock = |input: &SpendToSign| Unlock::Signature(key.sign(&input.digest));
            Input::Signed { tx: *tx, unlocks: inputs.iter().map(unlock).collect() }
        }
        Sign::Receipt { tx, digest } => {
            Input::ReceiptSigned { tx: *tx, signature: key.sign(digest) }
        }
        Sign::Consent { tx, digests } => {
            let signatures = digests.iter().map(|digest| key.sign(digest)).collect();
            Input::Consented { tx: *tx, signatures }
        }
    }
}
