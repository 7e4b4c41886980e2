//! Give an agent a key, a seal, a disk and a journal, and do what it wants done.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use tally_agent::settle::Told;
use tally_agent::{
    AgentError, Conn, Cx, Done, Driven, Guard, Idle, Input, Keys, Loaded, Ports, ProveOrder,
    SignOrder, StepOrder, View, Way, drive,
};
use tally_core::card::{CARD_VERSION, Card, Name, Signed};
use tally_core::cbor::Blob;
use tally_core::device::{self, Device, Entry, Event, Me, Mode, Position};
use tally_core::fields::{Fields, MAX_FIELD};
use tally_core::hash::sha256;
use tally_core::id::{AssetId, DeviceId, Head, NetworkId, TxId};
use tally_core::keys::{SecretKey, Signature};
use tally_core::notary::{TrustBase, UnicityCertificate};
use tally_core::predicate::Sealed;
use tally_core::seal::{SealCertificate, SealIdentity, Slot};
use tally_core::time::Time;
use tally_transport::session::KemSecret;
use zeroize::Zeroizing;

use crate::chip::Chip;
use crate::disk::{Disk, DiskError};
use crate::power::{Power, Powered};

/// Why an input led nowhere.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Ended {
    /// The agent refused it, and is as it was.
    #[error(transparent)]
    Refused(#[from] AgentError),
    /// Power failed, or another program has written to the disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// What followed from an input.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// What was sent, in order.
    pub packets: Vec<(Way, Vec<u8>)>,
    /// What came to its end.
    pub over: Vec<(Way, Result<Done, AgentError>)>,
    /// What was shown.
    pub shown: Vec<Event>,
    /// The invoice, if one was asked for.
    pub invoice: Option<Signed>,
    /// What could not be said, and why.
    pub unsendable: Vec<AgentError>,
    /// Why an answer was not taken.
    pub not_taken: Vec<AgentError>,
    /// How often the seal was asked which counter is free.
    pub counters_asked: usize,
}

impl Given {
    /// The packets that are to be handed over as files.
    pub fn files(&self) -> Vec<Vec<u8>> {
        let files = self.packets.iter().filter(|(way, _)| *way == Way::File);
        files.map(|(_, packet)| packet.clone()).collect()
    }
}

/// A process that has a disk to itself.
#[derive(Debug)]
struct Alone;

impl Guard for Alone {}

/// Somebody's key, seal, agent, disk and journal.
#[derive(Debug)]
pub struct Person {
    key: SecretKey,
    me: Me,
    name: Name,
    card: Signed,
    agent: Option<Idle>,
    /// What is durable.
    pub disk: Disk,
    /// The journal outside of the disk: the latest step that was to be signed.
    pub journal: Option<(u64, Head)>,
    /// Whether the agent has the key itself, and signs inside its turns.
    pub signs_inside: bool,
    /// Whether the journal is at hand. A step that it is to be told meanwhile is not answered for.
    pub journal_is_here: bool,
    /// What is handed in instead of the seal's next answer, as a shell with a mistake would.
    pub instead_of_a_proof: Option<Input>,
    /// Whether the seal says at once which counter is free. What is asked meanwhile is not answered.
    pub counter_is_here: bool,
    /// Whether the key is at hand. What is ordered meanwhile is not answered.
    pub key_is_here: bool,
    /// Where power fails among the orders, if it does.
    pub power: Power,
    /// The hardware seal, if there is one.
    pub chip: Option<Chip>,
    /// What vouches for it.
    enrollment: Option<SealCertificate>,
    /// How many batches are known, outside of the disk, to be on it.
    pub(crate) mark: usize,
    /// The validators whose certificates count, if any.
    pub(crate) trust: Option<TrustBase>,
    /// The newest certificate that was verified.
    pub(crate) kept: Option<UnicityCertificate>,
    /// What is known of each validator's fork proofs.
    pub(crate) told: Vec<Told>,
    /// Seconds by which this person's clock is ahead.
    pub clock_ahead: u64,
    /// What was shown so far.
    pub shown: Vec<Event>,
    inputs: u64,
    conns: u64,
}

impl Person {
    /// Somebody whose key is made of one byte, from 1 to 255, on the local network.
    pub fn new(seed: u8) -> Self {
        Self::with([seed.max(1); 32], None, None, Fields::default())
    }

    /// One of many whom nobody knows.
    pub fn stranger(number: u32) -> Self {
        Self::with(sha256(&number.to_be_bytes()), None, None, Fields::default())
    }

    /// The same with a hardware seal, which is enrolled.
    pub fn sealed(seed: u8) -> Self {
        Self::with_chip(seed, Some(Chip::new(seed)), Fields::default())
    }

    /// The same whose card says when it was made, as a wallet's does, with this hardware seal if any.
    pub fn made_at(seed: u8, time: Time, chip: Option<Chip>) -> Self {
        Self::with_chip(seed, chip, Fields::at(time))
    }

    /// The same with hardware that somebody else plays.
    pub fn enrolled(seed: u8, certificate: &SealCertificate) -> Self {
        Self::with([seed.max(1); 32], Some(certificate.clone()), None, Fields::default())
    }

    fn with_chip(seed: u8, chip: Option<Chip>, fields: Fields) -> Self {
        let enrollment = chip.as_ref().map(|chip| chip.certificate().clone());
        Self::with([seed.max(1); 32], enrollment, chip, fields)
    }

    fn with(
        secret: [u8; 32],
        enrollment: Option<SealCertificate>,
        chip: Option<Chip>,
        fields: Fields,
    ) -> Self {
        let key = SecretKey::new(secret).expect("a scalar");
        let certificate = enrollment.as_ref();
        let seal = certificate.map(|certificate| SealIdentity::Hardware(certificate.seal()));
        let seal = seal.unwrap_or(SealIdentity::Software);
        let me = Me { owner: key.public(), seal, network: NetworkId::LOCAL };
        let name = Name::new(&format!("person {}", secret[0])).expect("a name");
        let session_key = kem_of(&key).public().to_bytes().to_vec();
        let card = card_with(&key, &name, certificate, session_key, fields);
        let enrolled = certificate.cloned().map(|it| device::Input::Enrolled(Box::new(it)));
        let mut person = Self {
            key,
            me,
            name,
            card,
            agent: None,
            disk: Disk::default(),
            journal: None,
            signs_inside: true,
            journal_is_here: true,
            instead_of_a_proof: None,
            counter_is_here: true,
            key_is_here: true,
            power: Power::default(),
            chip,
            enrollment,
            mark: 0,
            trust: None,
            kept: None,
            told: Vec::new(),
            clock_ahead: 0,
            shown: Vec::new(),
            inputs: 0,
            conns: 0,
        };
        person.load();
        if let Some(enrolled) = enrolled {
            person.wish(Time::from_unix(1), enrolled).expect("a good enrollment");
        }
        person
    }

    /// Trusts these validators from now on.
    pub fn trusts(&mut self, now: Time, trust: &TrustBase) {
        self.trust = Some(trust.clone());
        let trust = Some(Box::new(trust.clone()));
        let keep = Input::Keep { issued: Vec::new(), meta: Vec::new(), trust };
        self.give(now, keep).expect("nothing is refused");
    }

    const fn certificate(&self) -> Option<&SealCertificate> {
        self.enrollment.as_ref()
    }

    /// Another card of the same person, under a session key that may be none.
    pub fn card_with(&self, session_key: Vec<u8>) -> Signed {
        card_with(&self.key, &self.name, self.certificate(), session_key, Fields::default())
    }

    /// Another card of the same person, with so many bytes in fields that nobody has to know.
    pub fn card_with_fields(&self, bytes: usize) -> Signed {
        let mut fields = Fields::default();
        for (key, part) in (101..).step_by(2).zip(vec![0; bytes].chunks(MAX_FIELD)) {
            fields = fields.with(key, part.to_vec()).expect("few and short");
        }
        let session_key = kem_of(&self.key).public().to_bytes().to_vec();
        card_with(&self.key, &self.name, self.certificate(), session_key, fields)
    }

    /// Another card of the same person, made at some time.
    pub fn card_made_at(&self, time: Time) -> Signed {
        let session_key = kem_of(&self.key).public().to_bytes().to_vec();
        card_with(&self.key, &self.name, self.certificate(), session_key, Fields::at(time))
    }

    /// Takes another card, made now, as a wallet does whose session key is new.
    ///
    /// # Errors
    /// [`Ended`].
    pub fn renew_card(&mut self, now: Time) -> Result<Given, Ended> {
        let card = self.card_made_at(now);
        let given = self.give(now, Input::Renew { card: Box::new(card.clone()) })?;
        self.card = card;
        Ok(given)
    }

    /// The card that others keep.
    pub fn card(&self) -> Signed {
        self.card.clone()
    }

    /// The person's key.
    pub const fn key(&self) -> &SecretKey {
        &self.key
    }

    /// The device, as it is known while power is there.
    pub fn device(&self) -> &Device {
        self.agent.as_ref().map(Idle::device).expect("power is there")
    }

    /// With how many contacts there are open sessions.
    pub fn sessions(&self) -> usize {
        self.agent.as_ref().map(Idle::sessions).expect("power is there")
    }

    /// The device's identity.
    pub fn id(&self) -> DeviceId {
        self.me.device()
    }

    /// What the person has of an asset, in units.
    pub fn balance(&self, asset: &AssetId) -> u64 {
        self.device().ledger().balances().get(asset).copied().unwrap_or_default().units()
    }

    /// Whether the person may pay.
    pub fn is_normal(&self) -> bool {
        *self.device().mode() == Mode::Normal
    }

    /// Starts again from what is durable, and goes on as a wallet does: what is behind what is known
    /// outside of the disk receives only.
    pub fn restart(&mut self, now: Time) {
        self.load();
        self.look_for_chip(now).expect("it is only noted");
        let differs = self.agent.as_ref().is_some_and(|agent| self.journal_differs(agent));
        let behind = differs || self.disk.writes < self.mark;
        let input = match (self.is_normal(), behind) {
            (true, false) => Input::Remind,
            (true, true) => Input::SetBack,
            (false, true) if self.disk.writes < self.mark => Input::SetBack,
            (false, _) => return,
        };
        self.mark = self.disk.writes;
        self.give(now, input).expect("a wallet opens whatever waits in it");
    }

    /// Whether the journal is at none of the places where it may be.
    pub(crate) fn journal_differs(&self, agent: &Idle) -> bool {
        let Entry { to, from } = agent.entry();
        !core::iter::once(to).chain(from).any(|at| self.journal_is_at(&at))
    }

    fn journal_is_at(&self, place: &Position) -> bool {
        let at = self.journal.unwrap_or_else(|| (0, Head::genesis(&self.id())));
        at == (place.seq, place.head)
    }

    /// The same person's agent in another process, with the same disk and no lock between the two.
    #[must_use]
    pub fn beside(&self) -> Self {
        let mut beside = Self {
            key: self.key.clone(),
            me: self.me.clone(),
            name: self.name.clone(),
            card: self.card.clone(),
            agent: None,
            disk: self.disk.beside(),
            enrollment: self.enrollment.clone(),
            chip: self.chip.clone(),
            trust: self.trust.clone(),
            kept: self.kept.clone(),
            told: self.told.clone(),
            instead_of_a_proof: None,
            shown: Vec::new(),
            ..*self
        };
        beside.load();
        beside
    }

    /// All that the agent has in memory, as text.
    pub fn memory(&self) -> String {
        format!("{:?}", self.agent)
    }

    pub(crate) fn agent(&self) -> &Idle {
        self.agent.as_ref().expect("power is there")
    }

    /// What is durable now, which a later turn does not change.
    pub fn view(&self) -> View {
        self.agent.as_ref().map(Idle::view).expect("power is there")
    }

    pub(crate) fn load(&mut self) {
        self.disk.read();
        let loaded = Loaded {
            me: self.me.clone(),
            name: self.name.clone(),
            card: self.card.clone(),
            trust: self.trust.clone(),
            changes: self.disk.changes(),
            sessions: self.disk.sessions(),
            issued: self.disk.issued(),
            packets: self.disk.packets(),
            observed: self.disk.observed(),
        };
        let keys = Keys { kem: kem_of(&self.key), database: Zeroizing::new([7; 32]) };
        self.agent = Some(Idle::load(loaded, keys, Box::new(Alone)));
    }

    /// Tells the device something.
    ///
    /// # Errors
    /// [`Ended`].
    pub fn wish(&mut self, now: Time, wish: device::Input) -> Result<Given, Ended> {
        self.give(now, Input::Wish(vec![wish]))
    }

    /// A connection that was never used before.
    pub fn next_conn(&mut self) -> Conn {
        self.conns += 1;
        Conn(self.conns)
    }

    /// Gives the agent an input, and does all that follows.
    ///
    /// # Errors
    /// [`Ended`]; after a loss of power the person has to [`Person::restart`].
    pub fn give(&mut self, now: Time, input: Input) -> Result<Given, Ended> {
        let mut idle = self.agent.take().ok_or(DiskError::PowerCut)?;
        idle.hold(Some(self.key.clone()).filter(|_| self.signs_inside && self.key_is_here));
        let mut given = Given::default();
        let mut power = self.power;
        let ports = Outside { person: self, now, given: &mut given };
        let mut ports = Powered { ports, power: &mut power };
        let Driven { agent, end } = at_once(drive(idle, &mut ports, input));
        let failed = power.is_back();
        self.power = power;
        // A disk that took nothing has the agent read anew.
        self.agent = agent.ok().filter(|_| !failed);
        self.mark = self.disk.writes;
        end?;
        if failed {
            return Err(DiskError::PowerCut.into());
        }
        match given.not_taken.pop() {
            Some(why) => Err(why.into()),
            None => Ok(given),
        }
    }
}

/// What is around an agent while it is driven: the person, but for the agent.
struct Outside<'a> {
    person: &'a mut Person,
    now: Time,
    given: &'a mut Given,
}

impl Ports for Outside<'_> {
    type Store = Disk;
    type Error = Ended;

    fn store(&mut self) -> &mut Disk {
        &mut self.person.disk
    }

    fn cx(&mut self) -> Result<Cx, Ended> {
        let person = &mut *self.person;
        person.inputs += 1;
        let now = self.now.plus(person.clock_ahead);
        let inputs = person.inputs;
        let seed = [person.me.owner.as_bytes(), inputs.to_be_bytes().as_slice()].concat();
        let micros = now.unix().saturating_mul(1_000_000).saturating_add(inputs);
        Ok(Cx { now, micros, entropy: sha256(&seed) })
    }

    fn sign(&mut self, order: &SignOrder) -> Option<Vec<Signature>> {
        let person = &*self.person;
        let signatures = || order.digests.iter().map(|digest| person.key.sign(digest)).collect();
        person.key_is_here.then(signatures)
    }

    /// Writes a step into the journal, which does not go back.
    fn observe(&mut self, step: &StepOrder) -> Option<bool> {
        let (person, Entry { to, from }) = (&mut *self.person, &step.entry);
        let fits = person.journal_is_at(to) || from.iter().any(|at| person.journal_is_at(at));
        if !person.journal_is_here {
            return None;
        }
        if fits {
            person.journal = Some((to.seq, to.head));
        }
        Some(fits)
    }

    fn prove(&mut self, agent: &Idle, order: ProveOrder) -> Option<Input> {
        match self.person.instead_of_a_proof.take() {
            Some(answer) => Some(answer),
            None => self.person.prove(agent, order),
        }
    }

    fn free_counter(&mut self, taken: &[Slot]) -> Option<Option<Sealed>> {
        self.given.counters_asked += 1;
        let owner = self.person.key.public();
        let now = self.now.plus(self.person.clock_ahead);
        let lock = || self.person.chip.as_ref().and_then(|chip| chip.lock(&owner, now, taken));
        self.person.counter_is_here.then(lock)
    }

    fn show(&mut self, event: Box<Event>) {
        self.given.shown.push((*event).clone());
        self.person.shown.push(*event);
    }

    fn send(&mut self, way: Way, packet: Vec<u8>) {
        self.given.packets.push((way, packet));
    }

    fn over(&mut self, way: Way, end: Result<Done, AgentError>) {
        self.given.over.push((way, end));
    }

    fn invoice(&mut self, invoice: Box<Signed>) {
        self.given.invoice = Some(*invoice);
    }

    fn unsendable(&mut self, _: DeviceId, _: Option<TxId>, why: AgentError) {
        self.given.unsendable.push(why);
    }

    fn not_taken(&mut self, why: AgentError) {
        self.given.not_taken.push(why);
    }
}

/// What comes of something that waits for nothing.
pub(crate) fn at_once<T>(something: impl Future<Output = T>) -> T {
    match pin!(something).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => unreachable!("a disk in memory has nothing to wait for"),
    }
}

fn kem_of(key: &SecretKey) -> KemSecret {
    KemSecret::from_seed(sha256(key.public().as_bytes()))
}

fn card_with(
    key: &SecretKey,
    name: &Name,
    enrollment: Option<&SealCertificate>,
    session_key: Vec<u8>,
    fields: Fields,
) -> Signed {
    let seal = enrollment.map(|enrollment| SealIdentity::Hardware(enrollment.seal()));
    let card = Card {
        version: CARD_VERSION,
        network: NetworkId::LOCAL,
        name: name.clone(),
        owner: key.public(),
        seal: seal.unwrap_or(SealIdentity::Software),
        session_key: Blob::new(session_key).expect("a short key"),
        fields,
        enrollment: enrollment.cloned(),
    };
    Signed::card(&card, key).expect("a short card")
}
