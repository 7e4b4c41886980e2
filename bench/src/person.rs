//! A person who pays or is paid: key, device and encrypted session, with nothing left to chance.

use tally_core::accept::AcceptPolicy;
use tally_core::card::{CARD_VERSION, Card, Name, Signed};
use tally_core::cbor::{Blob, from_bytes, to_bytes};
use tally_core::device::{Device, Event, Input, Me, Output, Sign, SpendToSign, World};
use tally_core::fields::Fields;
use tally_core::id::{DeviceId, NetworkId, Nonce, TxId};
use tally_core::keys::SecretKey;
use tally_core::message::Message;
use tally_core::packet::{HELLO_VERSION, Hello, MAX_HELLO, Packet};
use tally_core::predicate::{Predicate, Sealed, Unlock};
use tally_core::seal::{SealIdentity, Slot, TpmProofs};
use tally_core::tier::Tier;
use tally_core::time::Time;
use tally_transport::session::{Budget, KemPublic, KemSecret, Role, Session, greet, open};

use crate::hardware::Hardware;

/// The time at which everything happens.
pub const NOW: Time = Time::from_unix(1_800_000_000);
/// When locks end that begin now.
pub const UNTIL: Time = Time::from_unix(NOW.unix() + 90 * 24 * 3600);

/// What everybody believes of the world.
pub fn world() -> World<'static> {
    World { now: NOW, seals: &TpmProofs, notary: None }
}

/// Somebody with a device.
#[derive(Clone, Debug)]
pub struct Person {
    /// The device's key.
    pub key: SecretKey,
    /// The device.
    pub device: Device,
    /// The hardware, if there is any.
    pub hardware: Option<Hardware>,
    kem: KemSecret,
    session: Option<Session>,
    nonces: u64,
}

impl Person {
    /// The person number `byte`, who accepts everything.
    pub fn new(byte: u8) -> Self {
        Self::with(byte, None)
    }

    /// The same with hardware, enrolled.
    pub fn sealed(byte: u8, hardware: Hardware) -> Self {
        let certificate = hardware.certificate();
        let mut person = Self::with(byte, Some(hardware));
        person.tell(Input::Enrolled(Box::new(certificate)));
        person
    }

    fn with(byte: u8, hardware: Option<Hardware>) -> Self {
        let key = SecretKey::new([byte; 32]).expect("a small scalar is one");
        let seal = hardware.as_ref().map(|h| SealIdentity::Hardware(h.certificate().seal()));
        let seal = seal.unwrap_or(SealIdentity::Software);
        let device = Device::new(Me { owner: key.public(), seal, network: NetworkId::LOCAL });
        let kem = KemSecret::from_seed([byte; 32]);
        let mut person = Self { key, device, hardware, kem, session: None, nonces: 0 };
        let mut accept = AcceptPolicy { max_unsettled: None, ..AcceptPolicy::default() };
        for tier in Tier::ALL {
            let limits = accept.limits_mut(tier);
            (limits.per_payment, limits.per_payer, limits.total) = (None, None, None);
        }
        person.tell(Input::AcceptPolicy(accept));
        person
    }

    /// The device's identity.
    pub fn id(&self) -> DeviceId {
        self.device.id()
    }

    /// The card that the person hands out, with a session key as a real one has.
    pub fn card(&self) -> Signed {
        let card = Card {
            version: CARD_VERSION,
            network: NetworkId::LOCAL,
            name: Name::new("somebody").expect("a plain word is a name"),
            owner: self.key.public(),
            seal: self.device.me().seal,
            session_key: Blob::new(self.kem.public().to_bytes().to_vec()).expect("1,216 bytes fit"),
            fields: Fields::at(NOW),
            enrollment: self.hardware.as_ref().map(Hardware::certificate),
        };
        Signed::card(&card, &self.key).expect("a card with a short name fits")
    }

    /// Opens an encrypted session with `other`, who takes it; gives the hello that was said.
    pub fn greet(&mut self, other: &mut Self) -> Blob<MAX_HELLO> {
        // As large as a clock's: microseconds.
        let (generation, fields) = (NOW.unix() * 1_000_000, Fields::at(NOW));
        let their = other.card().open_card().expect("a card that was just signed opens");
        let their =
            KemPublic::from_bytes(their.session_key.as_slice()).expect("a key that was made");
        let (to, card) = (other.id(), self.card());
        let greeting = greet(&their, &[7; 64]).expect("a good key");
        let ciphertext = greeting.ciphertext().as_bytes();
        let digest = Hello::digest(&card, &to, generation, &fields, ciphertext);
        let signature = self.key.sign(&digest);
        let hello = Hello { version: HELLO_VERSION, card, generation, fields, signature };
        let sealed = greeting.seal(digest.as_bytes(), &to_bytes(&hello));
        let (hello, root) = sealed.expect("a short text");
        self.session = Some(Session::new(&root, Role::Initiator, generation));
        let opened = open(&[&other.kem], &hello, &mut Budget::default()).expect("to this key");
        let greeted = Hello::open(&opened.text, &to, opened.ciphertext.as_bytes());
        let digest = greeted.expect("what was just signed opens").digest;
        let root = opened.root(digest.as_bytes());
        other.session = Some(Session::new(&root, Role::Responder, generation));
        Blob::new(hello).expect("a hello fits")
    }

    /// The session with the other person.
    pub fn session(&mut self) -> &mut Session {
        self.session.as_mut().expect("the two have greeted each other")
    }

    /// Gives the device an input that it takes.
    pub fn tell(&mut self, input: Input) -> Output {
        self.device.handle(&world(), input).expect("the input makes sense")
    }

    /// Fresh bytes, different each time.
    pub fn nonce(&mut self) -> Nonce {
        self.nonces += 1;
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.nonces.to_be_bytes());
        Nonce::new(bytes)
    }

    /// A message as it travels: encoded, encrypted, in a packet.
    pub fn seal(&mut self, message: &Message) -> Vec<u8> {
        let envelope = self.session().seal(&to_bytes(message)).expect("the message fits");
        let envelope = Blob::new(envelope).expect("the envelope fits");
        Packet { hello: None, envelope }.to_wire()
    }

    /// Hears a message as it travelled.
    pub fn hear(&mut self, from: DeviceId, wire: &[u8]) -> Output {
        let packet = Packet::from_wire(wire).expect("a packet that was just made");
        let message = self.session().open(packet.envelope.as_slice()).expect("meant for this one");
        let message = Box::new(from_bytes::<Message>(&message).expect("what was encoded decodes"));
        let nonce = self.nonce();
        let output = self.tell(Input::Message { from, message, nonce });
        if let Some(Event::Refused { reason, .. }) = output.events.first() {
            assert!(reason.code.is_empty(), "refused: {reason:?}");
        }
        output
    }

    /// Does what the seal does with the one thing that is to be signed.
    pub fn sign(&mut self, output: Output) -> Input {
        match output.sign.into_iter().next().expect("there is something to sign") {
            // The proof is made when it is put beside the signature.
            Sign::Prove { tx, .. } => {
                let output = self.tell(Input::Proved { tx });
                self.sign(output)
            }
            Sign::Spend { tx, inputs, .. } => {
                let unlocks = inputs.iter().map(|input| self.unlock(&tx, input)).collect();
                Input::Signed { tx, unlocks }
            }
            Sign::Receipt { tx, digest } => {
                Input::ReceiptSigned { tx, signature: self.key.sign(&digest) }
            }
            Sign::Consent { tx, digests } => {
                let signatures = digests.iter().map(|digest| self.key.sign(digest)).collect();
                Input::Consented { tx, signatures }
            }
        }
    }

    fn unlock(&self, tx: &TxId, input: &SpendToSign) -> Unlock {
        let signature = self.key.sign(&input.digest);
        let proof = input.slot.zip(self.hardware.as_ref()).map(|(slot, h)| h.prove(&slot, tx));
        match proof {
            None => Unlock::Signature(signature),
            Some(proof) => Unlock::Sealed(signature, proof),
        }
    }

    /// A coin of this person's own under this slot of the hardware, or under the key alone.
    pub fn owner(&self, slot: Option<Slot>) -> Predicate {
        let key = self.key.public();
        match slot {
            None => Predicate::Signature(key),
            Some(slot) => Predicate::Sealed(Sealed { key, slot, until: UNTIL }),
        }
    }

    /// Has the next coin that comes in put under a counter of the hardware, if there is any.
    pub fn lock_next(&mut self) {
        let slot = self.hardware.as_ref().map(Hardware::free);
        let lock = match self.owner(slot) {
            Predicate::Sealed(sealed) => Some(sealed),
            _ => None,
        };
        self.tell(Input::Lock(lock));
    }
}

/// The one message that an output sends.
pub fn sent(output: Output) -> Message {
    output.send.into_iter().next().expect("there is something to send").1
}
