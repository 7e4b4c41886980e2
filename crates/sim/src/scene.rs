//! Set a scene: an issuer, an asset, and people who know each other.

use tally_core::accept::{AcceptPolicy, TierLimits};
use tally_core::amount::Amount;
use tally_core::card::Signed;
use tally_core::cbor::List;
use tally_core::device::{DeviceError, Input, World};
use tally_core::evidence::Minted;
use tally_core::id::{AssetId, DeviceId, NetworkId};
use tally_core::keys::SecretKey;
use tally_core::message::Message;
use tally_core::mint::{IssuerSignature, MINT_VERSION, Mint, MintBody};
use tally_core::policy::{AssetKind, OfflineRules, POLICY_VERSION, Policy, Ticker};
use tally_core::predicate::Predicate;
use tally_core::seal::NoSeals;
use tally_core::time::Time;

use crate::person::Person;

/// The time at which every scene plays.
pub const NOW: Time = Time::from_unix(1_800_000_000);

/// A world without hardware seals and without a notary: everything rests on signatures.
pub const fn world() -> World<'static> {
    World { now: NOW, seals: &NoSeals, notary: None }
}

/// An asset with two decimals, of one issuer.
pub fn policy(issuer: &SecretKey) -> Policy {
    Policy {
        version: POLICY_VERSION,
        network: NetworkId::LOCAL,
        kind: AssetKind::Fungible,
        ticker: Ticker::new("EUR").expect("a ticker"),
        decimals: 2,
        issuers: List::new(vec![issuer.public()]).expect("one issuer"),
        threshold: 1,
        max_supply: None,
        offline: OfflineRules::default(),
        metadata: None,
    }
}

/// New units of an asset, under a serial number of their own.
pub fn mint(issuer: &SecretKey, asset: AssetId, serial: u64, units: u64, to: Predicate) -> Minted {
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
    let signatures = vec![IssuerSignature { issuer: 0, signature }];
    let mint = Mint { body, signatures: List::new(signatures).expect("one signature") };
    Minted { mint, certified: None }
}

/// People who know each other and an asset.
#[derive(Clone, Debug)]
pub struct Scene {
    /// The people; their place is their name.
    pub people: Vec<Person>,
    /// Who mints the asset.
    pub issuer: SecretKey,
    /// The asset.
    pub asset: AssetId,
    /// Units that were minted.
    pub minted: u64,
    serial: u64,
}

impl Scene {
    /// `people` of them, the first of whom has `units` in one pocket. All accept payments of any
    /// size, so that a test says what it does not want.
    pub fn new(people: u8, units: u64) -> Self {
        let issuer = SecretKey::new([0xee; 32]).expect("a scalar");
        let policy = policy(&issuer);
        let asset = policy.id();
        let mut people: Vec<Person> = (1..=people).map(Person::new).collect();
        let cards: Vec<Signed> = people.iter().map(Person::card).collect();
        for (i, person) in people.iter_mut().enumerate() {
            person.tell(Input::Policy(policy.clone())).expect("a good policy");
            person.tell(Input::AcceptPolicy(anything())).expect("any policy will do");
            for (_, card) in cards.iter().enumerate().filter(|(j, _)| *j != i) {
                person.tell(Input::Contact(card.clone())).expect("a good card");
            }
        }
        let mut scene = Self { people, issuer, asset, minted: 0, serial: 0 };
        if units > 0 {
            scene.mint_to(0, units);
        }
        scene
    }

    /// The same, with `pockets` of `units` each.
    pub fn with_pockets(people: u8, pockets: usize, units: u64) -> Self {
        let mut scene = Self::new(people, 0);
        for _ in 0..pockets {
            scene.mint_to(0, units);
        }
        scene
    }

    /// Gives somebody new units, in a pocket of their own.
    pub fn mint_to(&mut self, person: usize, units: u64) {
        self.serial += 1;
        let owner = Predicate::Signature(self.people[person].key.public());
        let minted = mint(&self.issuer, self.asset, self.serial, units, owner);
        self.people[person].tell(Input::Mint(minted.into())).expect("a good mint");
        self.minted += units;
    }

    /// Somebody's identity.
    pub fn id(&self, person: usize) -> DeviceId {
        self.people[person].id()
    }

    /// Whose identity this is.
    pub fn who(&self, id: &DeviceId) -> Option<usize> {
        self.people.iter().position(|person| person.id() == *id)
    }

    /// One person starts to pay another: the offer is out.
    ///
    /// # Errors
    /// What the payer's device says.
    pub fn start(&mut self, payer: usize, payee: usize, units: u64) -> Result<(), DeviceError> {
        let (payee, amount) = (self.id(payee), Amount::new(units));
        self.people[payer].tell(Input::Pay { payee, asset: self.asset, amount })
    }

    /// One person pays another, and every message arrives.
    ///
    /// # Errors
    /// What a device says.
    pub fn pay(&mut self, payer: usize, payee: usize, units: u64) -> Result<(), DeviceError> {
        self.start(payer, payee, units)?;
        self.deliver()
    }

    /// Two people meet, and every message arrives.
    ///
    /// # Errors
    /// What a device says.
    pub fn meet(&mut self, one: usize, other: usize) -> Result<(), DeviceError> {
        let contact = self.id(other);
        self.people[one].tell(Input::Meet { contact })?;
        self.deliver()
    }

    /// Carries messages until nobody has anything to say.
    ///
    /// # Errors
    /// What a device says.
    pub fn deliver(&mut self) -> Result<(), DeviceError> {
        while let Some((from, to, message)) = self.next_message() {
            self.people[to].hear(from, &message)?;
        }
        Ok(())
    }

    /// The next message, from whom, and the place of who is to hear it.
    pub fn next_message(&mut self) -> Option<(DeviceId, usize, Message)> {
        let from = self.people.iter().position(|p| !p.out.is_empty())?;
        let (to, message) = self.people[from].out.pop_front()?;
        Some((self.id(from), self.who(&to)?, message))
    }
}

fn anything() -> AcceptPolicy {
    let open = TierLimits { accept: true, ..TierLimits::default() };
    AcceptPolicy { signed: open, ..AcceptPolicy::default() }
}
