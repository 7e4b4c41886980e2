//! Open sessions: say hello, and hear it.
//!
//! A hello is signed, so it is an order like any other: until the signature is there, what is to be
//! said waits in the outbox, and nothing else waits with it.

use tally_core::card::Signed;
use tally_core::cbor::Blob;
use tally_core::id::{DeviceId, Digest};
use tally_core::keys::Signature;
use tally_core::packet::{Hello, MAX_CIPHERTEXT};
use tally_transport::session::{
    KemCiphertext, KemPublic, Role, Session, SessionError, accept, initiate,
};

use crate::engine::{Engine, Step};
use crate::peer::{Line, LineId};
use crate::{AgentError, Effect, OrderId, PeerError, SignOrder};
use tally_core::device::{ContactError, DeviceError};

/// A hello that waits for its signature.
#[derive(Clone, Debug)]
pub(crate) struct Unsaid {
    session: Session,
    generation: u64,
    ciphertext: Blob<MAX_CIPHERTEXT>,
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
        let me = self.device.id();
        let peer = self.peers.get(&to);
        let last = peer.map_or(0, |peer| peer.heard.max(peer.said)).max(floor);
        let generation = last.saturating_add(1).max(step.cx.micros);
        let context = Hello::context(&me, &to, generation);
        let (ciphertext, root) = initiate(&theirs, &context, &step.noise.draw());
        let ciphertext = Blob::new(ciphertext.as_bytes().to_vec()).map_err(PeerError::Decode)?;
        let digest: Digest = Hello::digest(&me, &to, generation, &ciphertext);
        let session = Session::new(&root, Role::Initiator, generation);
        self.unsaid.insert(to, Unsaid { session, generation, ciphertext });
        let digests = alloc::vec![digest];
        step.effects.push(Effect::Sign(SignOrder { order: OrderId::Hello(to), digests }));
        Ok(())
    }

    /// The hello is signed: its session is there, and goes with what is said until it is answered.
    pub(crate) fn hello_signed(&mut self, step: &mut Step<'_>, to: DeviceId, signature: Signature) {
        let Some(Unsaid { session, generation, ciphertext }) = self.unsaid.remove(&to) else {
            return;
        };
        let hello = Hello { card: self.card.clone(), to, generation, ciphertext, signature };
        let me = self.device.id();
        let peer = self.peers.entry(to);
        peer.said = generation;
        peer.insert(Line { session, hello: Some(hello) }, &me, &to);
        self.peers.index(&to);
        self.outbox.greeted(&to);
        step.touched.insert(to);
    }

    /// Hears a hello, and opens what came with it. Nothing is kept yet.
    pub(crate) fn hear_hello(&self, hello: &Hello, envelope: &[u8]) -> Result<Greeting, PeerError> {
        let card = hello.open()?;
        let (me, from) = (self.device.id(), card.device());
        if hello.to != me || card.network != self.device.me().network || from == me {
            return Err(PeerError::NotForMe);
        }
        let known = self.device.contacts().contains_key(&from);
        if !known && self.device.is_full() {
            return Err(PeerError::TooMany);
        }
        let stranger = (!known).then(|| hello.card.clone());
        let mut peer = self.peers.get(&from).cloned().unwrap_or_default();
        if hello.generation <= peer.heard {
            // The hello of a session that is known, or that is over.
            let stale = |e: SessionError| match e {
                SessionError::Unknown => PeerError::Stale,
                other => other.into(),
            };
            if self.peers.get(&from).is_none() {
                return Err(PeerError::Stale);
            }
            let (line, plain) = peer.open(envelope).map_err(stale)?;
            return Ok(Greeting { from, line, plain, stranger, peer });
        }
        let ciphertext = KemCiphertext::from_bytes(hello.ciphertext.as_slice())?;
        let context = Hello::context(&from, &me, hello.generation);
        let root = accept(&self.keys.kem, &ciphertext, &context)?;
        let mut session = Session::new(&root, Role::Responder, hello.generation);
        let plain = session.open(envelope)?;
        let line = Line { session, hello: None };
        let id = line.id();
        peer.heard = hello.generation;
        peer.insert(line, &me, &from);
        Ok(Greeting { from, line: id, plain, stranger, peer })
    }
}
