//! A wallet whose owner has changed the program: it keeps the records, the keys and the TPM, and
//! proposes, proves and signs what it likes.

use tally_core::amount::Amount;
use tally_core::card::Signed;
use tally_core::cbor::{Blob, to_bytes};
use tally_core::device::{Device, Event, Input, Sign, SpendToSign};
use tally_core::fields::Fields;
use tally_core::id::{AssetId, TxId};
use tally_core::invoice::Invoice;
use tally_core::message::Message;
use tally_core::packet::{HELLO_VERSION, Hello, Packet};
use tally_core::predicate::Unlock;
use tally_core::seal::tpm::SLOT_TAG;
use tally_core::seal::{HardwareProof, Slot, SlotProof, TpmSeal};
use tally_core::tier::Tier;
use tally_seal::Entropy;
use tally_seal::software::{Place, SoftwareSeal};
use tally_seal::tpm2::swtpm::SoftwareTpm;
use tally_seal::tpm2::{Attested, AuditSession, Chip, TpmError};
use tally_seal::unlock::KdfParams;

use tally_transport::session::{KemPublic, Role, Session, greet};

use super::scene::{Town, patiently};
use crate::Wallet;
use crate::sealed::{DeviceSeal, world};
use crate::wallet::Agent;
use crate::wallet::{random, tick};

/// Alice's, with her own program in front of the TPM.
pub(super) struct Patched {
    wallet: Wallet,
    pub(super) chip: Option<Chip>,
    pub(super) counters: TpmSeal,
}

/// A payment that could be made of the state in which the wallet is: none of it is durable, so that
/// any number of them can be.
pub(super) struct Proposal {
    device: Device,
    pub(super) tx: TxId,
    input: SpendToSign,
}

impl Proposal {
    /// The slot under which the coin is.
    pub(super) fn slot(&self) -> Slot {
        self.input.slot.unwrap()
    }
}

impl Patched {
    /// Opens Alice's wallet, and takes the TPM out of its hands.
    pub(super) fn open(town: &Town, tpm: &SoftwareTpm, counters: TpmSeal) -> Self {
        let mut wallet = town.open("alice").unwrap();
        let setup = town.setup_on("here");
        let unused = Place::new(town.dir("unused"), town.dir("unused state"));
        std::fs::create_dir_all(town.dir("unused")).unwrap();
        let (machine, entropy) = (setup.machine.as_ref(), Entropy::new([3; 32]));
        let weak = KdfParams::WEAK_FOR_TESTS;
        let unused = SoftwareSeal::create(&unused, machine, &setup.unlock, weak, entropy).unwrap();
        drop(std::mem::replace(&mut wallet.seal, DeviceSeal::Software(Box::new(unused))));
        // The agent has the locks as well: what is done with the wallet next reads it anew.
        wallet.agent = Agent::Away(Box::new(wallet.device().clone()));
        let place = Place::new(town.dir("alice"), &setup.state_dir);
        let open = || Ok(SoftwareSeal::open(&place, machine, &setup.unlock)?);
        let software = patiently(open).unwrap();
        wallet.seal = DeviceSeal::Software(Box::new(software));
        let chip = Some(Chip::open(&tpm.address()).unwrap());
        Self { wallet, chip, counters }
    }

    /// What the wallet as it was written would sign to pay this invoice.
    pub(super) fn propose(&self, invoice: &Signed) -> Proposal {
        let (invoice, card) = Invoice::open(invoice).unwrap();
        let mut device = self.wallet.device().clone();
        let input = Input::PayInvoice { payee: card.device(), invoice: Box::new(invoice) };
        let output = device.handle(&world(), input).unwrap();
        let [Sign::Prove { tx, .. }] = output.sign[..] else { unreachable!("one proof") };
        let output = device.handle(&world(), Input::Proved { tx }).unwrap();
        let [Sign::Spend { inputs, .. }] = &output.sign[..] else { unreachable!("one spend") };
        let input = inputs[0];
        Proposal { device, tx, input }
    }

    /// Signs a payment, unlocks it with this proof or without one, and gives it to the payee by
    /// packet. Says what the payee makes of it: its tier if it is taken, else the refusal's code.
    pub(super) fn show(
        &mut self,
        proposal: &Proposal,
        proof: Option<SlotProof>,
        payee: &mut Wallet,
    ) -> Result<Tier, String> {
        let signature = self.wallet.seal.sign(&proposal.input.digest).unwrap();
        let unlock = match proof {
            Some(proof) => Unlock::Sealed(signature, proof),
            None => Unlock::Signature(signature),
        };
        let signed = Input::Signed { tx: proposal.tx, unlocks: vec![unlock] };
        let mut device = proposal.device.clone();
        let message = device.handle(&world(), signed).unwrap().send.pop().unwrap().1;
        let link = device.outgoing()[&proposal.tx].transaction.link;
        let packet = self.wrap(payee.card(), &message, link.as_bytes());
        let (events, _) = payee.receive_packet(&packet).map_err(|e| e.code().to_owned())?;
        let received = events.iter().find_map(|event| match event {
            Event::Received { tier, .. } => Some(*tier),
            _ => None,
        });
        received.ok_or_else(|| format!("{events:?}"))
    }

    /// Encrypts a message in a session of its own.
    fn wrap(&mut self, theirs: &Signed, message: &Message, link: &[u8; 32]) -> Vec<u8> {
        let card = theirs.open_card().unwrap();
        let theirs = KemPublic::from_bytes(card.session_key.as_slice()).unwrap();
        let (to, generation, fields) = (card.device(), tick(), Fields::default());
        let greeting = greet(&theirs, &random().unwrap()).unwrap();
        let card = self.wallet.card().clone();
        let ciphertext = greeting.ciphertext().as_bytes();
        let digest = Hello::digest(&card, &to, generation, &fields, ciphertext);
        let signature = self.wallet.seal.sign(&digest).unwrap();
        let hello = Hello { version: HELLO_VERSION, card, generation, fields, signature };
        let (hello, root) = greeting.seal(digest.as_bytes(), &to_bytes(&hello)).unwrap();
        let hello = Blob::new(hello).unwrap();
        let mut session = Session::new(&root, Role::Initiator, generation);
        session.expect(link).unwrap();
        let envelope = Blob::new(session.seal(&to_bytes(message)).unwrap()).unwrap();
        Packet { hello: Some(hello), envelope }.to_wire()
    }

    pub(super) fn chip(&mut self) -> &mut Chip {
        self.chip.as_mut().unwrap()
    }

    /// What a counter shows.
    pub(super) fn value(&mut self, counter: u32) -> u64 {
        let counters = self.counters;
        self.chip().value(&counters, counter).unwrap()
    }

    /// The four commands on the counter at `handle`, attested.
    pub(super) fn prove(&mut self, handle: u32, tx: &TxId) -> SlotProof {
        self.attest(&[Step::Read(handle), Step::Hash(*tx), Step::Count(handle), Step::Read(handle)])
    }

    /// Whatever these commands in one session are, attested and put in the form of a proof.
    pub(super) fn attest(&mut self, steps: &[Step]) -> SlotProof {
        let chip = self.chip();
        let key = chip.key_handle();
        let mut session = AuditSession::start(chip.tpm()).unwrap();
        steps.iter().for_each(|step| step.run(chip, &mut session).unwrap());
        let attested = session.attest(chip.tpm(), key, SLOT_TAG).unwrap();
        session.end(chip.tpm()).unwrap();
        as_proof(&attested)
    }
}

/// One command of a session.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Read(u32),
    Hash(TxId),
    Count(u32),
}

impl Step {
    pub(super) fn run(self, chip: &mut Chip, session: &mut AuditSession) -> Result<(), TpmError> {
        let tpm = chip.tpm();
        match self {
            Self::Read(handle) => session.read_counter(tpm, handle).map(|_| ()),
            Self::Hash(tx) => session.hash_message(tpm, tx.as_bytes()),
            Self::Count(handle) => session.increment_counter(tpm, handle),
        }
    }
}

pub(super) fn as_proof(attested: &Attested) -> SlotProof {
    HardwareProof::TpmAudit(attested.audit().unwrap()).into()
}

/// How many payments of this asset a payee holds FINAL at a tier that stops a second spend.
pub(super) fn finals(payee: &Wallet, asset: &AssetId) -> usize {
    let incoming = payee.device().incoming().values();
    incoming.filter(|i| i.asset == *asset && i.accepted && i.tier >= Tier::Sealed).count()
}

/// An invoice over so much.
pub(super) fn invoice(payee: &mut Wallet, asset: AssetId, units: u64) -> Signed {
    payee.invoice(asset, Amount::new(units), 600).unwrap()
}
