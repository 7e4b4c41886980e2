//! A patched program that pays without a proof: what a cheat would write, and the story plays out.

use tally_core::card::Signed;
use tally_core::cbor::{Blob, to_bytes};
use tally_core::device::{Device, Input, Sign, World};
use tally_core::fields::Fields;
use tally_core::id::DeviceId;
use tally_core::invoice::Invoice;
use tally_core::message::Message;
use tally_core::packet::{HELLO_VERSION, Hello, Packet};
use tally_core::predicate::Unlock;
use tally_core::seal::{SlotProof, TpmProofs};
use tally_seal::Seal;
use tally_seal::software::SoftwareSeal;
use tally_transport::session::{KemPublic, Role, Session, SessionError, greet};

use super::broken;
use crate::context::now;
use crate::error::{CliError, Exit};

/// A stolen or copied wallet in the hands of a program that asks neither journal nor hardware.
pub struct Patched {
    pub device: Device,
    pub keystore: SoftwareSeal,
    pub card: Signed,
}

impl Patched {
    /// Signs the payment of an invoice with the owner's key, and shows `proof` in the place of one for
    /// this payment. Gives the packet for the payee.
    pub fn pay(
        &mut self,
        payee: DeviceId,
        invoice: Invoice,
        proof: &SlotProof,
    ) -> Result<Vec<u8>, CliError> {
        let world = World { now: now(), seals: &TpmProofs, notary: None };
        let their_card = invoice.card.open_card()?;
        let input = Input::PayInvoice { payee, invoice: Box::new(invoice) };
        let output = self.device.handle(&world, input).map_err(failed)?;
        let Some(Sign::Prove { tx, .. }) = output.sign.first().cloned() else {
            return Err(broken("there is something to prove"));
        };
        let output = self.device.handle(&world, Input::Proved { tx }).map_err(failed)?;
        let Some(Sign::Spend { inputs, .. }) = output.sign.first().cloned() else {
            return Err(broken("there is something to sign"));
        };
        let mut unlocks = Vec::new();
        for input in inputs {
            let signature = self.keystore.sign(&input.digest)?;
            unlocks.push(Unlock::Sealed(signature, proof.clone()));
        }
        let signed = self.device.handle(&world, Input::Signed { tx, unlocks }).map_err(failed)?;
        let message = signed.send.into_iter().next().map(|(_, message)| message);
        let message = message.ok_or_else(|| broken("there is something to send"))?;
        let link = self.device.outgoing().get(&tx).map(|o| o.transaction.link);
        let link = link.ok_or_else(|| broken("the payment is known"))?;
        let theirs = KemPublic::from_bytes(their_card.session_key.as_slice());
        let theirs = theirs.map_err(|_| broken("the payee has a session key"))?;
        self.wrap(payee, &theirs, &message, link.as_bytes())
    }

    /// Opens a session with the payee, and encrypts the payment in it.
    fn wrap(
        &mut self,
        to: DeviceId,
        theirs: &KemPublic,
        message: &Message,
        link: &[u8; 32],
    ) -> Result<Vec<u8>, CliError> {
        // Later than any session of the wallet that it was copied from: wallets count in microseconds.
        let generation = now().plus(60).unix().saturating_mul(1_000_000);
        let mut randomness = [0; 64];
        getrandom::fill(&mut randomness).map_err(|_| broken("there are random bytes"))?;
        let failed = |_: SessionError| broken("a session encrypts");
        let greeting = greet(theirs, &randomness).map_err(failed)?;
        let (card, fields) = (self.card.clone(), Fields::at(now()));
        let ciphertext = greeting.ciphertext().as_bytes();
        let digest = Hello::digest(&card, &to, generation, &fields, ciphertext);
        let signature = self.keystore.sign(&digest)?;
        let hello = Hello { version: HELLO_VERSION, card, generation, fields, signature };
        let sealed = greeting.seal(digest.as_bytes(), &to_bytes(&hello));
        let (hello, root) = sealed.map_err(failed)?;
        let hello = Blob::new(hello)?;
        let mut session = Session::new(&root, Role::Initiator, generation);
        let sealed = session.expect(link).and_then(|()| session.seal(&to_bytes(message)));
        let envelope = Blob::new(sealed.map_err(failed)?)?;
        Ok(Packet { hello: Some(hello), envelope }.to_wire())
    }
}

fn failed(error: tally_core::device::DeviceError) -> CliError {
    CliError::from_text(Exit::Failure, error.code(), &error.to_string())
}
