//! Open sessions: say hello, and hear it.
//!
//! A hello is signed, so it is an order like any other: until the signature is there, what is to be
//! said waits in the outbox, and nothing else waits with it.

use tally_core::card::Signed;
use tally_core::cbor::{Blob, to_bytes};
use tally_core::device::{ContactError, DeviceError};
use tally_core::fields::Fields;
use tally_core::id::{DeviceId, Digest};
use tally_core::keys::Signature;
use tally_core::packet::{Greeted, HELLO_VERSION, Hello, MAX_HELLO};
use tally_transport::session::{
    self, Budget, KemPublic, Role, RootKey, Session, SessionError, greet,
};

use crate::engine::{Engine, Step};
use crate::peer::{Line, LineId};
use crate::{AgentError, Effect, OrderId, PeerError, SignOrder};

/// A hello that waits for its signature.
#[derive(Clone, Debug)]
pub(crate) struct Unsaid {
    greeting: session::Greeting,
    card: Signed,
    generation: u64,
    fields: Fields,
}

impl Unsaid {
    /// Whether its generation is above `floor`.
    pub(crate) const fn is_above(&self, floor: u64) -> bool {
        self.generation > floor
    }

    /// What is signed.
    pub(crate) fn digest(&self, to: &DeviceId) -> Digest {
        let ciphertext = self.greeting.ciphertext().as_bytes();
        Hello::digest(&self.card, to, self.generation, &self.fields, ciphertext)
    }
}

/// What a hello opened.
pub(crate) struct Greeting {
    pub(crate) from: DeviceId,
    pub(crate) line: LineId,
    pub(crate) plain: alloc::vec::Vec<u8>,
    pub(crate) stranger: Option<Signed>,
    pub(crate) peer: crate::peer::Peer,
}

impl Engine {
    /// Asks for the signature on a new hello, with a generation above `floor` and all that were used
    /// before.
    pub(crate) fn say_hello(
        &mut self,
        step: &mut Step<'_>,
        to: DeviceId,
        floor: u64,
    ) -> Result<(), AgentError> {
        let contact = self.device.contacts().get(&to);
        let contact = contact.ok_or(DeviceError::from(ContactError::Unknown))?;
        let card = contact.card.open_card().map_err(PeerError::Signed)?;
        let theirs =
            KemPublic::from_bytes(card.session_key.as_slice()).map_err(PeerError::Session)?;
        let peer = self.peers.copy_of(&to, !self.is_stranger(&to));
        let generation = peer.next_generation(floor, step.cx.micros);
        let greeting = greet(&theirs, &step.noise.draw()).map_err(PeerError::Session)?;
        let (card, fields) = (self.card.clone(), Fields::at(step.cx.now));
        let unsaid = Unsaid { greeting, card, generation, fields };
        let digest = unsaid.digest(&to);
        self.unsaid.insert(to, unsaid);
        if let Some(key) = self.key.clone() {
            self.hello_signed(step, to, key.sign(&digest));
            return Ok(());
        }
        let (order, digests) = (OrderId::Hello(to, digest), alloc::vec![digest]);
        step.effects.push(Effect::Sign(SignOrder { order, digests }));
        Ok(())
    }

    /// The hello is signed: its session is there, and goes with what is said until it is answered.
    pub(crate) fn hello_signed(&mut self, step: &mut Step<'_>, to: DeviceId, signature: Signature) {
        let Some(unsaid) = self.unsaid.get(&to) else { return };
        let digest = unsaid.digest(&to);
        // A signature may come late, on a hello that was given up for this one.
        if !self.device.me().owner.verify(&digest, &signature) {
            return;
        }
        let Some(unsaid) = self.unsaid.remove(&to) else { return };
        let Unsaid { greeting, card, generation, fields } = unsaid;
        let hello = Hello { version: HELLO_VERSION, card, generation, fields, signature };
        let sealed = greeting.seal(digest.as_bytes(), &to_bytes(&hello));
        let sealed = sealed.and_then(|(hello, root)| {
            let size = hello.len();
            Ok((
                Blob::new(hello).map_err(|_| SessionError::TooLarge { size, most: MAX_HELLO })?,
                root,
            ))
        });
        let (hello, root) = match sealed {
            Ok(sealed) => sealed,
            // No hello has room for a card so long: nothing waits for one that never comes.
            Err(why) => return self.give_up_saying(step, to, PeerError::Session(why).into()),
        };
        let session = Session::new(&root, Role::Initiator, generation);
        let mut peer = self.peers.copy_of(&to, !self.is_stranger(&to));
        peer.said = generation;
        peer.insert(Line { session, hello: Some(hello) });
        self.peers.put(to, peer);
        self.outbox.greeted(&to);
        step.touched.insert(to);
    }

    /// Decrypts a hello, and checks all that it says: who said it, and the secret of its session.
    pub(crate) fn open_hello(
        &self,
        hello: &Blob<MAX_HELLO>,
        budget: &mut Budget,
    ) -> Result<(Greeted, RootKey), PeerError> {
        let opened = session::open(&[&self.keys.kem], hello.as_slice(), budget);
        let opened = opened.map_err(|error| match error {
            SessionError::Elsewhere => PeerError::NotForMe,
            other => other.into(),
        })?;
        let me = self.device.id();
        let greeted = Hello::open(&opened.text, &me, opened.ciphertext.as_bytes())?;
        if greeted.card.network != self.device.me().network || greeted.card.device() == me {
            return Err(PeerError::NotForMe);
        }
        let root = opened.root(greeted.digest.as_bytes());
        Ok((greeted, root))
    }

    /// Hears a hello at `micros`, and opens what came with it. Nothing is kept yet.
    pub(crate) fn hear_hello(
        &self,
        (greeted, root): (Greeted, RootKey),
        envelope: &[u8],
        micros: u64,
    ) -> Result<Greeting, PeerError> {
        let (from, generation) = (greeted.card.device(), greeted.hello.generation);
        let known = self.device.contacts().contains_key(&from);
        if !known && self.device.is_full() {
            return Err(PeerError::TooMany);
        }
        let is_contact = !self.is_stranger(&from);
        if !is_contact && !self.peers.admits(generation, micros) {
            return Err(PeerError::Clock);
        }
        let mut peer = self.peers.copy_of(&from, is_contact);
        if !peer.heard.note(generation, micros) {
            return Err(PeerError::Stale);
        }
        let mut session = Session::new(&root, Role::Responder, generation);
        let plain = session.open(envelope)?;
        let line = Line { session, hello: None };
        let id = line.id();
        peer.insert(line);
        // Whoever is known may have a newer card: the device decides which of the two it keeps.
        let contact = self.device.contacts().get(&from);
        let new = contact.is_none_or(|contact| *contact.card != greeted.hello.card);
        let stranger = new.then_some(greeted.hello.card);
        Ok(Greeting { from, line: id, plain, stranger, peer })
    }
}
