//! Give a device a key, a disk, and somebody who does as it says.

use std::collections::VecDeque;

use tally_core::card::{CARD_VERSION, Card, Name, SESSION_KEY_BYTES, Signed};
use tally_core::cbor::{Blob, from_bytes, to_bytes};
use tally_core::device::{Device, DeviceError, Event, Input, Me, Output, Sign, SpendToSign};
use tally_core::fields::Fields;
use tally_core::id::{AssetId, DeviceId, NetworkId, Nonce};
use tally_core::keys::SecretKey;
use tally_core::message::Message;
use tally_core::predicate::Unlock;
use tally_core::seal::SealIdentity;

use crate::disk::Disk;
use crate::scene::world;

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

/// Somebody's key, device, disk, and messages that are about to be sent.
#[derive(Clone, Debug)]
pub struct Person {
    /// The key; the same as the device's owner.
    pub key: SecretKey,
    /// The device.
    pub device: Device,
    /// What the device made durable.
    pub disk: Disk,
    /// What it sent, until somebody carries it.
    pub out: VecDeque<(DeviceId, Message)>,
    /// What it showed.
    pub events: Vec<Event>,
    /// What it signed.
    pub signed: Vec<Sign>,
    nonces: u64,
}

impl Person {
    /// Somebody whose key is made of one byte, from 1 to 255, on the local network.
    pub fn new(seed: u8) -> Self {
        let key = SecretKey::new([seed.max(1); 32]).expect("a small scalar");
        let me =
            Me { owner: key.public(), seal: SealIdentity::Software, network: NetworkId::LOCAL };
        Self {
            key,
            device: Device::new(me),
            disk: Disk::default(),
            out: VecDeque::new(),
            events: Vec::new(),
            signed: Vec::new(),
            nonces: 0,
        }
    }

    /// The device's identity.
    pub fn id(&self) -> DeviceId {
        self.device.id()
    }

    /// The card that others keep.
    pub fn card(&self) -> Signed {
        let card = Card {
            version: CARD_VERSION,
            network: NetworkId::LOCAL,
            name: Name::new("somebody").expect("a name"),
            owner: self.key.public(),
            seal: SealIdentity::Software,
            session_key: Blob::new(vec![0; SESSION_KEY_BYTES]).expect("its length"),
            fields: Fields::default(),
            enrollment: None,
        };
        Signed::card(&card, &self.key).expect("a short card")
    }

    /// Bytes that this person never used before.
    pub fn nonce(&mut self) -> Nonce {
        self.nonces += 1;
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.nonces.to_be_bytes());
        Nonce::new(bytes)
    }

    /// One input of the device, whose changes are then durable; nothing is done with the rest.
    ///
    /// # Errors
    /// What the device says.
    pub fn step(&mut self, input: Input) -> Result<Output, DeviceError> {
        let output = self.device.handle(&world(), input)?;
        self.disk.store(&output.changes);
        Ok(output)
    }

    /// Gives the device an input, signs what it asks for, and gives what followed.
    ///
    /// # Errors
    /// What the device says.
    pub fn act(&mut self, input: Input) -> Result<Effects, DeviceError> {
        drive(&mut self.device, &mut self.disk, &self.key, input)
    }

    /// Gives the device an input, signs what it asks for, and keeps what it sends and shows.
    ///
    /// # Errors
    /// What the device says.
    pub fn tell(&mut self, input: Input) -> Result<(), DeviceError> {
        let effects = self.act(input)?;
        self.out.extend(effects.send);
        self.events.extend(effects.events);
        self.signed.extend(effects.signed);
        Ok(())
    }

    /// Hears one message, which travelled as bytes.
    ///
    /// # Errors
    /// What the device says.
    pub fn hear(&mut self, from: DeviceId, message: &Message) -> Result<(), DeviceError> {
        let message = from_bytes(&to_bytes(message)).expect("what was encoded decodes");
        let nonce = self.nonce();
        self.tell(Input::Message { from, message: Box::new(message), nonce })
    }

    /// Loses everything that is not on the disk.
    pub fn crash(&mut self) {
        self.device = self.disk.device(self.device.me());
        self.out.clear();
    }

    /// What the person has of an asset, in units.
    pub fn balance(&self, asset: &AssetId) -> u64 {
        self.device.ledger().balances().get(asset).copied().unwrap_or_default().units()
    }
}

/// Gives a device an input, makes its changes durable, signs what it asks for with `key`, and gives
/// what followed.
///
/// # Errors
/// What the device says.
pub fn drive(
    device: &mut Device,
    disk: &mut Disk,
    key: &SecretKey,
    input: Input,
) -> Result<Effects, DeviceError> {
    let mut effects = Effects::default();
    let mut waiting = VecDeque::from([input]);
    while let Some(input) = waiting.pop_front() {
        let output = device.handle(&world(), input)?;
        disk.store(&output.changes);
        effects.send.extend(output.send);
        effects.events.extend(output.events);
        waiting.extend(output.sign.iter().map(|sign| signed_by(key, sign)));
        effects.signed.extend(output.sign);
    }
    Ok(effects)
}

/// What a seal with `key` answers.
pub fn signed_by(key: &SecretKey, sign: &Sign) -> Input {
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
