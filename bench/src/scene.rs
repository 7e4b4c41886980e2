//! A payer and a payee who know each other, and payments between them with everything on.

use tally_core::amount::Amount;
use tally_core::cbor::{Blob, List};
use tally_core::device::{Event, Input, Output, Terms};
use tally_core::evidence::Minted;
use tally_core::fields::Fields;
use tally_core::id::{AssetId, NetworkId, TxId};
use tally_core::invoice::{INVOICE_VERSION, Invoice};
use tally_core::keys::SecretKey;
use tally_core::message::Accept;
use tally_core::mint::{IssuerSignature, MINT_VERSION, Mint, MintBody};
use tally_core::packet::MAX_HELLO;
use tally_core::policy::{AssetKind, OfflineRules, POLICY_VERSION, Policy, Ticker};
use tally_core::predicate::Predicate;
use tally_core::seal::Slot;

use crate::hardware::Hardware;
use crate::person::{NOW, Person, sent};

/// What each coin is minted with, in hundredths.
pub const MINTED: u64 = 5000;
/// What each payment pays: more than half of a coin, so that the next one takes a coin as minted.
pub const PAID: u64 = 3750;

/// The bytes of each message of one payment, without the carrier's framing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Message 1.
    pub offer: usize,
    /// Message 2.
    pub accept: usize,
    /// Message 3.
    pub commit: usize,
    /// Message 4.
    pub receipt: usize,
}

impl Traffic {
    /// Messages 1 to 3 on a TCP connection, their length prefixes included.
    pub fn to_final(&self) -> usize {
        framed(self.offer) + framed(self.accept) + framed(self.commit)
    }
}

/// A packet's bytes on a TCP connection: its length as LEB128, then itself.
pub fn framed(packet: usize) -> usize {
    let bits = (usize::BITS - packet.leading_zeros()).max(1) as usize;
    packet + bits.div_ceil(7)
}

/// Two people and an asset.
#[derive(Clone, Debug)]
pub struct Scene {
    /// Who pays.
    pub payer: Person,
    /// Who is paid.
    pub payee: Person,
    /// With what.
    pub asset: AssetId,
    /// What the payer said to open the session.
    pub hello: Blob<MAX_HELLO>,
    issuer: SecretKey,
    serial: u64,
    minted: u64,
}

impl Scene {
    /// Two people who know each other, one of whom has so many coins as they were minted.
    pub fn new(coins: u64) -> Self {
        let mut scene = Self::of(Person::new(1), Person::new(2));
        scene.mint(coins);
        scene
    }

    /// Two people with hardware, of whom the payer has so many coins, each under the next value of
    /// its counter: each payment wants [`Scene::prepare`] before it.
    ///
    /// Each coin has one unit more than the one before, so that they are paid with in the order in
    /// which the counter reaches them.
    pub fn sealed(hardware: Hardware, coins: u64) -> Self {
        let first = hardware.slot();
        let (payer, payee) =
            (Person::sealed(1, hardware), Person::sealed(2, Hardware::receiving()));
        let mut scene = Self::of(payer, payee);
        for n in 0..coins {
            let slot = Slot { value: first.value + n, ..first };
            let owner = scene.payer.owner(Some(slot));
            scene.mint_one(MINTED + n, owner);
        }
        scene
    }

    fn of(mut payer: Person, mut payee: Person) -> Self {
        let issuer = SecretKey::new([0xee; 32]).expect("a scalar below the group's order");
        let policy = policy(&issuer, &payer);
        let asset = policy.id();
        for person in [&mut payer, &mut payee] {
            person.tell(Input::Policy(policy.clone()));
        }
        payer.tell(Input::Contact(payee.card()));
        payee.tell(Input::Contact(payer.card()));
        let hello = payer.greet(&mut payee);
        Self { payer, payee, asset, hello, issuer, serial: 0, minted: 0 }
    }

    /// Mints so many more coins to the payer.
    pub fn mint(&mut self, coins: u64) {
        for _ in 0..coins {
            let owner = self.payer.owner(None);
            self.mint_one(MINTED, owner);
        }
    }

    /// Gives the payee a free counter for the next coin, if it has hardware.
    pub fn prepare(&mut self) {
        self.payee.lock_next();
    }

    fn mint_one(&mut self, units: u64, owner: Predicate) {
        self.serial += 1;
        let body = MintBody {
            version: MINT_VERSION,
            network: NetworkId::LOCAL,
            asset: self.asset,
            amount: Amount::new(units),
            owner,
            serial: self.serial,
            issued_before: Amount::new(self.minted),
        };
        self.minted += units;
        let signature = self.issuer.sign(&body.digest());
        let signatures = List::truncated(vec![IssuerSignature { issuer: 0, signature }]);
        let minted = Minted { mint: Mint { body, signatures }, certified: None };
        self.payer.tell(Input::Mint(Box::new(minted)));
    }

    /// One whole payment, receipt included.
    pub fn pay(&mut self) -> Traffic {
        let (from, to) = (self.payer.id(), self.payee.id());
        let (asset, amount) = (self.asset, Amount::new(PAID));
        let out = self.payer.tell(Input::Pay { payee: to, asset, amount });
        let offer = self.payer.seal(&sent(out));
        let out = self.payee.hear(from, &offer);
        let accept = self.payee.seal(&sent(out));
        let out = self.payer.hear(to, &accept);
        let (out, link) = self.sign_payment(out);
        let commit = self.payer.seal(&sent(out));
        let receipt = self.take(&commit);
        self.payer.hear(to, &receipt);
        self.close(&link);
        Traffic {
            offer: offer.len(),
            accept: accept.len(),
            commit: commit.len(),
            receipt: receipt.len(),
        }
    }

    /// The payee asks, the payer answers with the whole payment: the invoice as a signed object,
    /// and the payment's packet.
    pub fn pay_invoice(&mut self) -> (Vec<u8>, Vec<u8>) {
        let nonce = self.payee.nonce();
        let terms = Terms {
            payer: None,
            asset: self.asset,
            amount: Amount::new(PAID),
            owner: self.payee.owner(None),
            expires_at: NOW.plus(3600),
        };
        self.payee.tell(Input::Ask { nonce, terms: terms.clone() });
        let invoice = Invoice {
            version: INVOICE_VERSION,
            card: self.payee.card(),
            asset: terms.asset,
            amount: terms.amount,
            accept: Accept { nonce, owner: terms.owner },
            expires_at: terms.expires_at,
            least: tally_core::tier::Tier::Signed,
            fields: Fields::at(NOW),
        };
        let object = self.signed(&invoice);
        let payee = self.payee.id();
        let out = self.payer.tell(Input::PayInvoice { payee, invoice: Box::new(invoice) });
        let (out, link) = self.sign_payment(out);
        let payment = self.payer.seal(&sent(out));
        let receipt = self.take(&payment);
        self.payer.hear(payee, &receipt);
        self.close(&link);
        (object, payment)
    }

    fn signed(&self, invoice: &Invoice) -> Vec<u8> {
        use tally_core::card::Signed;
        use tally_core::hash::Tag;
        let payload = tally_core::cbor::to_bytes(invoice);
        let signature = self.payee.key.sign(&Signed::digest(Tag::Invoice, &payload));
        let signed = Signed::new(payload, signature).expect("an invoice fits");
        tally_core::cbor::to_bytes(&signed)
    }

    /// The payer's seal signs, and its session gets ready for the epoch after the payment; gives
    /// the link that leads there.
    fn sign_payment(&mut self, out: Output) -> (Output, [u8; 32]) {
        let input = self.payer.sign(out);
        let out = self.payer.tell(input);
        let link = *self.payer.device.outgoing()[&paid(&out)].transaction.link.as_bytes();
        self.payer.session().expect(&link).expect("few payments wait");
        (out, link)
    }

    /// The payee takes the payment and answers with its receipt.
    fn take(&mut self, payment: &[u8]) -> Vec<u8> {
        let from = self.payer.id();
        let out = self.payee.hear(from, payment);
        let tx = received(&out);
        let hop = self.payee.device.incoming()[&tx].hop.as_ref();
        let link = *hop.expect("a payment has a hop").tx.link.as_bytes();
        self.payee.session().advance_as_payee(&link).expect("few payments wait");
        let input = self.payee.sign(out);
        let out = self.payee.tell(input);
        self.payee.seal(&sent(out))
    }

    /// The payer has its receipt: its session moves on.
    fn close(&mut self, link: &[u8; 32]) {
        self.payer.session().advance_as_payer(link).expect("few payments wait");
    }
}

/// The payment that was signed.
fn paid(out: &Output) -> TxId {
    let paid = |event: &Event| match event {
        Event::Paid { tx, .. } => Some(*tx),
        _ => None,
    };
    out.events.iter().find_map(paid).expect("the payment was signed")
}

/// The payment that was taken.
fn received(out: &Output) -> TxId {
    let received = |event: &Event| match event {
        Event::Received { tx, .. } => Some(*tx),
        _ => None,
    };
    out.events.iter().find_map(received).expect("the payment was taken")
}

fn policy(issuer: &SecretKey, payer: &Person) -> Policy {
    let enrollers = payer.hardware.iter().map(|h| h.certificate().terms().enroller.clone());
    let enrollers = List::truncated(enrollers.collect());
    Policy {
        version: POLICY_VERSION,
        network: NetworkId::LOCAL,
        kind: AssetKind::Fungible,
        ticker: Ticker::new("EUR").expect("a ticker"),
        decimals: 2,
        issuers: List::truncated(vec![issuer.public()]),
        threshold: 1,
        max_supply: None,
        offline: OfflineRules { enrollers, ..OfflineRules::default() },
        metadata: None,
    }
}
