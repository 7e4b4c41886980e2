//! A few people with devices, and somebody who carries messages between them. They are not those of the
//! testkit, which have agents: this crate is below the agent, and here each message is seen as it is.

use crate::fields::Fields;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use super::tpm::FakeTpm;
use crate::accept::{AcceptPolicy, TierLimits};
use crate::amount::Amount;
use crate::card::{CARD_VERSION, Card, Name, SESSION_KEY_BYTES, Signed};
use crate::cbor::{Blob, List, from_bytes, to_bytes};
use crate::device::{
    Basis, Change, Device, DeviceError, Entry, Event, Input, Me, Output, Position, Sign,
    SpendToSign, Terms, World,
};
use crate::evidence::Minted;
use crate::id::{AssetId, DeviceId, Head, NetworkId, Nonce, TxId};
use crate::invoice::{INVOICE_VERSION, Invoice};
use crate::keys::SecretKey;
use crate::message::{Accept, MAX_MESSAGE, Message};
use crate::mint::{IssuerSignature, MINT_VERSION, Mint, MintBody};
use crate::notary::TrustBase;
use crate::policy::{AssetKind, OfflineRules, POLICY_VERSION, Policy, Ticker};
use crate::predicate::tests::{FakeSeals, fake_proof};
use crate::predicate::{Predicate, Unlock};
use crate::seal::{SealCertificate, SealIdentity, Slot};
use crate::time::Time;

pub(crate) const NOW: Time = Time::from_unix(1_800_000_000);
/// How long a coin that arrives is locked to its payee's hardware, in seconds.
pub(crate) const LOCK: u64 = 30 * 24 * 60 * 60;

/// Somebody's key, device, disk, and what is about to be sent. The seals are fake.
///
/// Whoever signs two transactions with one step number fails the test, whatever it is about.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) key: SecretKey,
    pub(crate) device: Device,
    pub(crate) out: VecDeque<(DeviceId, Message)>,
    pub(crate) events: Vec<Event>,
    pub(crate) disk: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) now: Time,
    /// After so many more points the device dies and starts anew from its disk.
    pub(crate) dies_in: Option<u32>,
    pub(crate) restarts: u32,
    pub(crate) notary: Option<TrustBase>,
    /// The hardware, which every copy of the wallet shares.
    pub(crate) tpm: Option<FakeTpm>,
    pub(crate) enrollment: Option<SealCertificate>,
    /// What a seal's journal would hold.
    pub(crate) journal: Option<Position>,
    /// How often the seal was asked for consents.
    pub(crate) consents: u32,
    signed: BTreeMap<u64, TxId>,
    nonces: u64,
}

impl Person {
    pub(crate) fn new(byte: u8) -> Self {
        Self::with(byte, None)
    }

    /// Somebody whose device has hardware, enrolled until `until`.
    pub(crate) fn sealed(byte: u8, until: Time) -> Self {
        let tpm = FakeTpm::new(byte);
        let enrollment = tpm.enrolled(until);
        let mut person = Self::with(byte, Some(tpm));
        person.tell(Input::Enrolled(enrollment.clone().into())).expect("its own seal");
        Self { enrollment: Some(enrollment), ..person }
    }

    /// The same, which is not enrolled yet.
    pub(crate) fn hardware(byte: u8) -> Self {
        Self::with(byte, Some(FakeTpm::new(byte)))
    }

    fn with(byte: u8, tpm: Option<FakeTpm>) -> Self {
        let key = SecretKey::new([byte; 32]).expect("a small scalar");
        let seal = tpm.as_ref().map_or(SealIdentity::Software, FakeTpm::identity);
        let me = Me { owner: key.public(), seal, network: NetworkId::LOCAL };
        let device = Device::new(me);
        Self {
            tpm,
            enrollment: None,
            key,
            device,
            out: VecDeque::new(),
            events: Vec::new(),
            disk: BTreeMap::new(),
            now: NOW,
            dies_in: None,
            restarts: 0,
            notary: None,
            journal: None,
            consents: 0,
            signed: BTreeMap::new(),
            nonces: 0,
        }
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
            seal: self.device.me().seal,
            session_key: Blob::new(alloc::vec![0; SESSION_KEY_BYTES]).expect("short"),
            fields: Fields::default(),
            enrollment: self.enrollment.clone(),
        };
        Signed::card(&card, &self.key).expect("a short card")
    }

    pub(crate) fn nonce(&mut self) -> Nonce {
        self.nonces += 1;
        let mut bytes = [self.key.expose()[0]; 16];
        bytes[..8].copy_from_slice(&self.nonces.to_be_bytes());
        Nonce::new(bytes)
    }

    /// Gives the device an input, signs what it asks for, and keeps what it sends.
    pub(crate) fn tell(&mut self, input: Input) -> Result<(), DeviceError> {
        let notary = self.notary.clone();
        let world = World { now: self.now, seals: &FakeSeals, notary: notary.as_ref() };
        // A wallet has its journal adopt this before it confirms, unless the journal is further on.
        let confirmed = match &input {
            Input::ConfirmRecovery(basis) => Some((self.device.goes_on_from(), *basis)),
            _ => None,
        };
        let output = self.device.handle(&world, input)?;
        if let Some((adopted, basis)) = confirmed {
            let to = self.device.entry().to;
            assert!(to == adopted || basis == Basis::JournalBeyond(to), "{adopted:?}, {to:?}");
            self.journal = Some(to);
        }
        self.follow(output);
        Ok(())
    }

    pub(crate) fn follow(&mut self, output: Output) {
        if self.dies() {
            return;
        }
        self.store(&output.changes);
        if self.dies() {
            return;
        }
        self.events.extend(output.events);
        for message in output.send {
            let length = to_bytes(&message.1).len();
            assert!(length <= MAX_MESSAGE, "{}: {length} bytes", message.1.name());
            self.out.push_back(message);
            if self.dies() {
                return;
            }
        }
        for sign in output.sign {
            let Some(input) = self.sign(sign) else { continue };
            if self.dies() {
                return;
            }
            let restarts = self.restarts;
            self.tell(input).expect("what the device asked to be signed is waiting");
            if self.restarts != restarts {
                return;
            }
        }
    }

    pub(crate) fn store(&mut self, changes: &[Change]) {
        for change in changes {
            match change.value() {
                Some(value) => self.disk.insert(change.key(), value),
                None => self.disk.remove(&change.key()),
            };
        }
    }

    fn dies(&mut self) -> bool {
        let dies = self.dies_in == Some(0);
        self.dies_in = self.dies_in.and_then(|n| n.checked_sub(1));
        if dies {
            self.restart();
        }
        dies
    }

    /// Makes the device anew from its disk, as after a crash.
    pub(crate) fn restart(&mut self) {
        self.restarts += 1;
        self.device = rebuild(self.device.me().clone(), &self.disk);
    }

    /// Puts another disk in, as whoever restores a backup does. The device is told of it.
    pub(crate) fn restore(&mut self, backup: BTreeMap<Vec<u8>, Vec<u8>>) {
        self.disk = backup;
        self.restart();
        self.tell(Input::Restored).expect("always possible");
    }

    /// From here on this person may sign a step again if it is not `held` by anybody: that is what
    /// recovery assumes of a payment that never arrived, and what whoever gives a false word does.
    pub(crate) fn forget_signed(&mut self, held: impl Fn(&TxId) -> bool) {
        self.signed.retain(|_, tx| held(tx));
    }

    /// The same for every step after this one.
    pub(crate) fn forget_signed_after(&mut self, seq: u64) {
        self.signed.retain(|signed, _| *signed <= seq);
    }

    /// What this person signed.
    pub(crate) fn signed(&self) -> impl Iterator<Item = &TxId> {
        self.signed.values()
    }

    /// What this person ever signed after this step.
    pub(crate) fn signed_after(&self, seq: u64) -> impl Iterator<Item = &TxId> {
        self.signed.iter().filter(move |(signed, _)| **signed > seq).map(|(_, tx)| tx)
    }

    /// What the seal answers, if it can be asked.
    pub(crate) fn sign(&mut self, sign: Sign) -> Option<Input> {
        match sign {
            Sign::Prove { tx, slots } => self.prove(tx, &slots),
            Sign::Spend { tx, seq, entry, inputs } => {
                self.write_down(&entry);
                let before = self.signed.insert(seq, tx);
                assert!(
                    before.is_none_or(|before| before == tx),
                    "two transactions for step {seq}"
                );
                let unlock = |input: &SpendToSign| {
                    let signature = self.key.sign(&input.digest);
                    match input.slot {
                        Some(slot) => Unlock::Sealed(signature, fake_proof(&slot, &tx)),
                        None => Unlock::Signature(signature),
                    }
                };
                Some(Input::Signed { tx, unlocks: inputs.iter().map(unlock).collect() })
            }
            Sign::Receipt { tx, digest } => {
                Some(Input::ReceiptSigned { tx, signature: self.key.sign(&digest) })
            }
            Sign::Consent { tx, digests } => {
                self.consents += 1;
                let signatures = digests.iter().map(|digest| self.key.sign(digest)).collect();
                Some(Input::Consented { tx, signatures })
            }
        }
    }

    fn prove(&mut self, tx: TxId, slots: &[Slot]) -> Option<Input> {
        let Some(tpm) = self.tpm.as_ref().filter(|tpm| !tpm.is_away()) else {
            return slots.is_empty().then_some(Input::Proved { tx });
        };
        let proofs: Vec<_> = slots.iter().map(|slot| tpm.prove(slot, &tx)).collect();
        if proofs.iter().all(Option::is_some) {
            return Some(Input::Proved { tx });
        }
        let moved = |slot: &&Slot| tpm.value(slot.counter) != slot.value;
        Some(Input::SlotsLost {
            tx: Some(tx),
            slots: slots.iter().filter(moved).copied().collect(),
        })
    }

    /// The journal is where the device says that it may be, and then at its last step.
    fn write_down(&mut self, entry: &Entry) {
        let at = self.journal.unwrap_or(Position { seq: 0, head: Head::genesis(&self.id()) });
        let known = at == entry.to || entry.from.contains(&at);
        assert!(known, "the journal is at {at:?}, and the device says {entry:?}");
        self.journal = Some(entry.to);
    }

    /// Hears one message, which travelled as bytes.
    pub(crate) fn hear(&mut self, from: DeviceId, message: &Message) -> Result<(), DeviceError> {
        let message = from_bytes(&to_bytes(message)).expect("what was encoded decodes");
        let nonce = self.nonce();
        self.look_for_a_counter();
        self.tell(Input::Message { from, message, nonce })
    }

    /// Tells the device of a free counter, if the hardware has one.
    pub(crate) fn look_for_a_counter(&mut self) {
        let Some(tpm) = &self.tpm else { return };
        let until = self.now.plus(LOCK);
        let lock = tpm.free(&self.key.public(), until, &self.device.taken(self.now));
        self.device.handle(&self.world(), Input::Lock(lock)).expect("always possible");
    }

    pub(crate) fn world(&self) -> World<'static> {
        World { now: self.now, seals: &FakeSeals, notary: None }
    }

    pub(crate) fn balance(&self, asset: &AssetId) -> u64 {
        self.device.ledger().balances().get(asset).copied().unwrap_or_default().units()
    }
}

pub(crate) fn rebuild(me: Me, disk: &BTreeMap<Vec<u8>, Vec<u8>>) -> Device {
    let mut device = Device::new(me);
    for bytes in disk.values() {
        device.apply(from_bytes(bytes).expect("what was stored decodes"));
    }
    device
}

/// Accepts everything.
pub(crate) fn open_policy() -> AcceptPolicy {
    let open = TierLimits { accept: true, ..TierLimits::default() };
    AcceptPolicy { signed: open, settle_margin: 0, ..AcceptPolicy::default() }
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
    /// Whose phones are gone: what is sent to them is lost.
    pub(crate) gone: Vec<DeviceId>,
}

impl Scene {
    pub(crate) fn new(people: u8, units: u64) -> Self {
        let mut scene = Self::with_policy(people, |_| ());
        if units > 0 {
            scene.mint_to(0, 1, units);
        }
        scene
    }

    /// People who have nothing, and know an asset after `edit`.
    pub(crate) fn with_policy(people: u8, edit: impl FnOnce(&mut Policy)) -> Self {
        Self::of((1..=people).map(Person::new).collect(), edit)
    }

    /// These people, who have nothing, and know an asset after `edit`.
    pub(crate) fn of(mut people: Vec<Person>, edit: impl FnOnce(&mut Policy)) -> Self {
        let issuer = SecretKey::new([0xee; 32]).expect("a scalar");
        let mut policy = policy(&issuer);
        edit(&mut policy);
        let asset = policy.id();
        let cards: Vec<Signed> = people.iter().map(Person::card).collect();
        for (i, person) in people.iter_mut().enumerate() {
            person.tell(Input::Policy(policy.clone())).expect("a good policy");
            person.tell(Input::AcceptPolicy(open_policy())).expect("always");
            for (_, card) in cards.iter().enumerate().filter(|(j, _)| *j != i) {
                person.tell(Input::Contact(card.clone())).expect("a good card");
            }
        }
        Self { people, issuer, asset, gone: Vec::new() }
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

    /// The invoice of one person for so much.
    pub(crate) fn invoice(&mut self, payee: usize, units: u64) -> Invoice {
        let asset = self.asset;
        let person = &mut self.people[payee];
        person.look_for_a_counter();
        let owner = person.device.predicate_for(&person.world(), &asset);
        let nonce = person.nonce();
        let (amount, expires_at) = (Amount::new(units), person.now.plus(600));
        // An invoice is shown once its terms are durable.
        let dies_in = person.dies_in.take();
        let terms = Terms { payer: None, asset, amount, owner: owner.clone(), expires_at };
        person.tell(Input::Ask { nonce, terms }).expect("good terms");
        person.dies_in = dies_in;
        let (card, accept) = (person.card(), Accept { nonce, owner });
        let world = World { now: person.now, seals: &FakeSeals, notary: None };
        let least = person.device.least_tier(&world, asset, amount).expect("accepted");
        let (version, fields) = (INVOICE_VERSION, Fields::default());
        Invoice { version, card, asset, amount, accept, expires_at, least, fields }
    }

    pub(crate) fn pay_invoice(&mut self, payer: usize, payee: usize, invoice: &Invoice) {
        let input = Input::PayInvoice { payee: self.id(payee), invoice: invoice.clone().into() };
        self.people[payer].tell(input).expect("an invoice that can be paid");
    }

    /// Two people meet, the first of whom begins.
    pub(crate) fn meet(&mut self, one: usize, other: usize) {
        let contact = self.id(other);
        self.people[one].tell(Input::Meet { contact }).expect("a contact");
        self.deliver();
    }

    pub(crate) fn balances(&self) -> Vec<u64> {
        self.people.iter().map(|p| p.balance(&self.asset)).collect()
    }

    pub(crate) fn bricks(&self, judge: usize, accused: usize) -> bool {
        self.people[judge].device.is_bricked(&self.people[accused].key.public())
    }

    /// Whether anybody holds anybody for convicted.
    pub(crate) fn anyone_convicted(&self) -> bool {
        self.people.iter().any(|p| !p.device.forks().is_empty())
    }

    /// The codes of what a person refused.
    pub(crate) fn refusals(&self, person: usize) -> Vec<&str> {
        let code = |e: &'_ Event| match e {
            Event::Refused { reason, .. } => Some(reason.code.clone()),
            _ => None,
        };
        let codes = self.people[person].events.iter().filter_map(code);
        codes.map(|code| &*alloc::boxed::Box::leak(code.into_boxed_str())).collect()
    }

    /// Carries messages until nobody has anything to say.
    pub(crate) fn deliver(&mut self) {
        while let Some((from, to, message)) = self.next() {
            self.people[to].hear(from, &message).expect("a message from a contact is heard");
        }
    }

    pub(crate) fn next(&mut self) -> Option<(DeviceId, usize, Message)> {
        for person in &mut self.people {
            person.out.retain(|(to, _)| !self.gone.contains(to));
        }
        let here = |p: &Person| !p.out.is_empty() && !self.gone.contains(&p.id());
        let from = self.people.iter().position(here)?;
        let (to, message) = self.people[from].out.pop_front()?;
        let to = self.people.iter().position(|p| p.id() == to).expect("somebody in the scene");
        Some((self.id(from), to, message))
    }

    pub(crate) fn pay(&mut self, payer: usize, payee: usize, units: u64) {
        self.start(payer, payee, units).expect("an offer");
        self.deliver();
    }
}
