//! A few people with devices, and somebody who carries messages between them.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::amount::Amount;
use crate::card::{CARD_VERSION, Card, Name, Signed};
use crate::cbor::{Blob, List, from_bytes, to_bytes};
use crate::device::{Device, DeviceError, Event, Input, Me, Output, Sign, World};
use crate::evidence::Minted;
use crate::id::{AssetId, DeviceId, NetworkId, Nonce};
use crate::keys::SecretKey;
use crate::message::Message;
use crate::mint::{IssuerSignature, MINT_VERSION, Mint, MintBody};
use crate::policy::{AssetKind, OfflineRules, POLICY_VERSION, Policy, Ticker};
use crate::predicate::{Predicate, Unlock};
use crate::seal::{NoSeals, SealIdentity};
use crate::time::Time;

pub(crate) const NOW: Time = Time::from_unix(1_800_000_000);

pub(crate) fn world() -> World<'static> {
    World { now: NOW, seals: &NoSeals, notary: None }
}

/// Somebody's key, device, and what is about to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) key: SecretKey,
    pub(crate) device: Device,
    pub(crate) out: VecDeque<(DeviceId, Message)>,
    pub(crate) events: Vec<Event>,
    nonces: u8,
}

impl Person {
    pub(crate) fn new(byte: u8) -> Self {
        let key = SecretKey::new([byte; 32]).expect("a small scalar");
        let me =
            Me { owner: key.public(), seal: SealIdentity::Software, network: NetworkId::LOCAL };
        let device = Device::new(me);
        Self { key, device, out: VecDeque::new(), events: Vec::new(), nonces: 0 }
    }

    pub(crate) fn id(&self) -> DeviceId {
        self.device.id()
    }

    pub(crate) fn card(&self) -> Signed {
        let card = Card {
            version: CARD_VERSION,
            network: NetworkId::LOCAL,
            name: Name::new("somebody").expect("a name"),
            owner: self.key.public(),
            seal: SealIdentity::Software,
            session_key: Blob::default(),
        };
        Signed::card(&card, &self.key).expect("a short card")
    }

    pub(crate) fn nonce(&mut self) -> Nonce {
        self.nonces += 1;
        Nonce::new([self.nonces; 16])
    }

    /// Gives the device an input, signs what it asks for, and keeps what it sends.
    pub(crate) fn tell(&mut self, input: Input) -> Result<(), DeviceError> {
        let output = self.device.handle(&world(), input)?;
        self.follow(output);
        Ok(())
    }

    pub(crate) fn follow(&mut self, output: Output) {
        self.out.extend(output.send);
        self.events.extend(output.events);
        for sign in output.sign {
            let input = self.sign(sign);
            self.tell(input).expect("what the device asked to be signed is waiting");
        }
    }

    pub(crate) fn sign(&self, sign: Sign) -> Input {
        match sign {
            Sign::Spend { tx, inputs, .. } => {
                let unlock = |input: &crate::device::SpendToSign| {
                    Unlock::Signature(self.key.sign(&input.digest))
                };
                Input::Signed { tx, unlocks: inputs.iter().map(unlock).collect() }
            }
            Sign::Receipt { tx, digest } => {
                Input::ReceiptSigned { tx, signature: self.key.sign(&digest) }
            }
        }
    }

    /// Hears one message, which travelled as bytes.
    pub(crate) fn hear(&mut self, from: DeviceId, message: &Message) -> Result<(), DeviceError> {
        let message = from_bytes(&to_bytes(message)).expect("what was encoded decodes");
        let nonce = self.nonce();
        self.tell(Input::Message { from, message, nonce })
    }

    pub(crate) fn balance(&self, asset: &AssetId) -> u64 {
        self.device.ledger().balances().get(asset).copied().unwrap_or_default().units()
    }
}

pub(crate) fn policy(issuer: &SecretKey) -> Policy {
    Policy {
        version: POLICY_VERSION,
        network: NetworkId::LOCAL,
        kind: AssetKind::Fungible,
        ticker: Ticker::new("EUR").expect("a ticker"),
        decimals: 2,
        issuers: List::new(alloc::vec![issuer.public()]).expect("one issuer"),
        threshold: 1,
        max_supply: None,
        offline: OfflineRules::default(),
        metadata: None,
    }
}

pub(crate) fn mint(
    issuer: &SecretKey,
    asset: AssetId,
    serial: u64,
    units: u64,
    to: Predicate,
) -> Minted {
    let body = MintBody {
        version: MINT_VERSION,
        network: NetworkId::LOCAL,
        asset,
        amount: Amount::new(units),
        owner: to,
        serial,
        issued_before: Amount::ZERO,
    };
    let signature = issuer.sign(&body.digest());
    let signatures = alloc::vec![IssuerSignature { issuer: 0, signature }];
    let mint = Mint { body, signatures: List::new(signatures).expect("one signature") };
    Minted { mint, certified: None }
}

/// People who know each other and an asset, the first of whom has `units` of it.
pub(crate) struct Scene {
    pub(crate) people: Vec<Person>,
    pub(crate) issuer: SecretKey,
    pub(crate) asset: AssetId,
}

impl Scene {
    pub(crate) fn new(people: u8, units: u64) -> Self {
        let issuer = SecretKey::new([0xee; 32]).expect("a scalar");
        let policy = policy(&issuer);
        let asset = policy.id();
        let mut people: Vec<Person> = (1..=people).map(Person::new).collect();
        let cards: Vec<Signed> = people.iter().map(Person::card).collect();
        for (i, person) in people.iter_mut().enumerate() {
            person.tell(Input::Policy(policy.clone())).expect("a good policy");
            for (_, card) in cards.iter().enumerate().filter(|(j, _)| *j != i) {
                person.tell(Input::Contact(card.clone())).expect("a good card");
            }
        }
        let mut scene = Self { people, issuer, asset };
        if units > 0 {
            scene.mint_to(0, 1, units);
        }
        scene
    }

    pub(crate) fn mint_to(&mut self, person: usize, serial: u64, units: u64) {
        let owner = Predicate::Signature(self.people[person].key.public());
        let minted = mint(&self.issuer, self.asset, serial, units, owner);
        self.people[person].tell(Input::Mint(minted.into())).expect("a good mint");
    }

    pub(crate) fn id(&self, person: usize) -> DeviceId {
        self.people[person].id()
    }

    /// One person starts to pay another: the offer is out.
    pub(crate) fn start(
        &mut self,
        payer: usize,
        payee: usize,
        units: u64,
    ) -> Result<(), DeviceError> {
        let input =
            Input::Pay { payee: self.id(payee), asset: self.asset, amount: Amount::new(units) };
        self.people[payer].tell(input)
    }

    /// Carries messages until nobody has anything to say.
    pub(crate) fn deliver(&mut self) {
        while let Some((from, to, message)) = self.next() {
            self.people[to].hear(from, &message).expect("a message from a contact is heard");
        }
    }

    pub(crate) fn next(&mut self) -> Option<(DeviceId, usize, Message)> {
        let from = self.people.iter().position(|p| !p.out.is_empty())?;
        let (to, message) = self.people[from].out.pop_front()?;
        let to = self.people.iter().position(|p| p.id() == to).expect("somebody in the scene");
        Some((self.id(from), to, message))
    }

    pub(crate) fn pay(&mut self, payer: usize, payee: usize, units: u64) {
        self.start(payer, payee, units).expect("an offer");
        self.deliver();
    }
}
