//! A payer and a payee who know each other, and payments between them with everything on.
//!
//! Both are agents that `tally-testkit` plays: what is measured are all turns of both, from the payer's
//! wish to its receipt, with signatures, encryption, and the records that each turn makes durable. The disk
//! is a map in memory, which is neither copied nor read while a payment goes on.

use tally_agent::Input;
use tally_core::accept::{AcceptPolicy, TierLimits};
use tally_core::cbor::to_bytes;
use tally_core::device;
use tally_core::keys::PublicKey;
use tally_core::policy::{OfflineRules, Policy};
use tally_core::predicate::{Predicate, Sealed};
use tally_core::seal::Slot;
use tally_core::time::Time;
use tally_testkit::{NOW, Person, issuer};

use crate::hardware::Hardware;

/// What each coin is minted with, in hundredths.
pub const MINTED: u64 = 5000;
/// What each payment pays: more than half of a coin, so that the next one takes a coin as minted.
pub const PAID: u64 = 3750;

/// When locks end that begin now.
const UNTIL: Time = Time::from_unix(NOW.unix() + 90 * 24 * 3600);
const PAYER: usize = 0;
const PAYEE: usize = 1;

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
#[derive(Debug)]
pub struct Scene(tally_testkit::Scene);

impl Scene {
    /// Two people who know each other, one of whom has so many coins as they were minted.
    pub fn new(coins: u64) -> Self {
        let people = [1, 2].map(|byte| Person::made_at(byte, NOW, None));
        let mut scene = Self::of(people, Vec::new());
        for _ in 0..coins {
            scene.0.mint_to(PAYER, MINTED);
        }
        scene
    }

    /// Two people with hardware, of whom the payer has so many coins, each under the next value of
    /// its counter.
    ///
    /// Each coin has one unit more than the one before, so that they are paid with in the order in
    /// which the counter reaches them.
    pub fn sealed(hardware: &Hardware, coins: u64) -> Self {
        let first = hardware.slot();
        let payer = Person::made_at(1, NOW, Some(hardware.chip()));
        let payee = Person::made_at(2, NOW, Some(Hardware::receiving()));
        let key = payer.key().public();
        let enroller = hardware.certificate().terms().enroller.clone();
        let mut scene = Self::of([payer, payee], vec![enroller]);
        for n in 0..coins {
            let slot = Slot { value: first.value + n, ..first };
            let owner = Predicate::Sealed(Sealed { key: key.clone(), slot, until: UNTIL });
            scene.0.mint_under(PAYER, MINTED + n, owner);
        }
        scene
    }

    fn of(people: [Person; 2], enrollers: Vec<PublicKey>) -> Self {
        let enrollers = tally_core::cbor::List::truncated(enrollers);
        let offline = OfflineRules { enrollers, ..OfflineRules::default() };
        let policy = Policy { offline, ..tally_testkit::policy(&issuer()) };
        let mut scene = tally_testkit::Scene::of(people.into(), policy);
        let signed = TierLimits { accept: true, ..TierLimits::default() };
        let anything = AcceptPolicy { signed, max_unsettled: None, ..AcceptPolicy::default() };
        let anything = Input::Wish(vec![device::Input::AcceptPolicy(anything)]);
        scene.give(PAYEE, anything).expect("any limits");
        Self(scene)
    }

    /// Who pays.
    pub fn payer(&self) -> &Person {
        &self.0.people[PAYER]
    }

    /// Who is paid.
    pub fn payee(&self) -> &Person {
        &self.0.people[PAYEE]
    }

    /// One whole payment over a connection, receipt included.
    pub fn pay(&mut self) -> Traffic {
        self.0.pay(PAYER, PAYEE, PAID).expect("a payment with everything in place");
        let [offer, accept, commit, receipt] = self.0.carried[..] else {
            unreachable!("a payment is four messages")
        };
        Traffic { offer, accept, commit, receipt }
    }

    /// The payer has no session any more, and says hello with the next payment.
    pub fn forget_session(&mut self) {
        let card = Box::new(self.payer().card());
        self.0.give(PAYER, Input::Renew { card }).expect("its own card");
    }

    /// The payee asks, the payer answers with the whole payment, both as codes: the invoice as a signed
    /// object, and the payment's packet. A payer who has no session yet says hello with it.
    pub fn pay_invoice(&mut self) -> (Vec<u8>, Vec<u8>) {
        let invoice = self.0.invoice(PAYEE, PAID).expect("an asset that is known");
        let object = to_bytes(&invoice);
        let payment = self.give(PAYER, Input::PayInvoice(Box::new(invoice)));
        let receipt = self.give(PAYEE, Input::File { bytes: payment.clone(), agree: false });
        let receipted = Input::File { bytes: receipt, agree: false };
        self.0.give(PAYER, receipted).expect("a receipt that was waited for");
        (object, payment)
    }

    /// The one code that follows.
    fn give(&mut self, person: usize, input: Input) -> Vec<u8> {
        let given = self.0.give(person, input).expect("an input that makes sense");
        given.files().pop().expect("there is something to say")
    }
}
