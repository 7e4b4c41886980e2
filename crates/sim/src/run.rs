//! Live one random life of a few devices, from one seed.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use tally_core::fields::Fields;

use tally_core::amount::Amount;
use tally_core::cbor::{from_bytes, to_bytes};
use tally_core::device::{Basis, Device, DeviceError, Event, Input, Mode, Sign, Terms};
use tally_core::id::TxId;
use tally_core::invoice::{INVOICE_VERSION, Invoice};
use tally_core::message::{Accept, Message};
use tally_core::predicate::Predicate;
use tally_core::tier::Tier;

use crate::check::{self, Violation};
use crate::disk::Disk;
use crate::person::{Effects, Person};
use crate::random::Random;
use crate::scene::{NOW, Scene};

/// Most things that happen in one life.
pub const MAX_STEPS: usize = 160;
/// Most messages that are carried while everybody meets: more would be a loop.
const MAX_CARRIED: usize = 20_000;
/// How often everybody meets everybody at the end.
const ROUNDS: usize = 4;

/// What happened in one life.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// What broke, if anything did.
    pub violation: Option<Violation>,
    /// Payments that were signed.
    pub paid: u64,
    /// Payments that were accepted.
    pub received: u64,
    /// Messages that were lost.
    pub lost: u64,
    /// Messages that came twice or more.
    pub repeated: u64,
    /// Crashes.
    pub crashes: u64,
    /// Backups that were restored.
    pub restored: u64,
    /// Devices of which nobody knows one of their steps any more in the end: they pay with the rest.
    pub unrecovered: u64,
    /// Whether a cheat continued from a copy of its device.
    pub cheated: bool,
    /// Devices that were convicted, counted once for each who did.
    pub convictions: u64,
}

/// Lives the life of `seed`, and writes what happens to `log`.
///
/// ```
/// let mut log = String::new();
/// let outcome = tally_sim::run(1, &mut log);
/// assert_eq!(outcome.violation, None);
/// assert_eq!(outcome, tally_sim::run(1, &mut String::new()));
/// ```
pub fn run(seed: u64, log: &mut dyn Write) -> Outcome {
    let mut life = Life::new(seed, log);
    let lived = life.live();
    let violation = lived.err();
    if let Some(violation) = &violation {
        life.say(format_args!("BROKEN: {violation}"));
    }
    Outcome { violation, ..life.outcome }
}

/// A message on its way.
struct Envelope {
    from: usize,
    to: usize,
    bytes: Vec<u8>,
}

struct Life<'a> {
    random: Random,
    scene: Scene,
    /// The place of the cheat, if there is one: the last.
    cheat: Option<usize>,
    copy: Option<Person>,
    backups: BTreeMap<usize, Disk>,
    /// Who loses its device in this life; if several did, nobody might know what they signed.
    careless: usize,
    network: Vec<Envelope>,
    /// What each honest device signed, by step.
    steps: BTreeMap<(usize, u64), TxId>,
    outcome: Outcome,
    log: &'a mut dyn Write,
}

impl<'a> Life<'a> {
    fn new(seed: u64, log: &'a mut dyn Write) -> Self {
        let mut random = Random::new(seed);
        let people = 2 + random.below(3);
        let cheat = (people > 2 && random.happens(50)).then_some(people - 1);
        let mut scene = Scene::new(u8::try_from(people).unwrap_or(4), 0);
        for person in 0..people {
            for _ in 0..=random.below(3) {
                scene.mint_to(person, 100 + random.next() % 900);
            }
        }
        let careless = random.below(people);
        let outcome = Outcome { seed, ..Outcome::default() };
        Self {
            random,
            scene,
            cheat,
            copy: None,
            backups: BTreeMap::new(),
            careless,
            network: Vec::new(),
            steps: BTreeMap::new(),
            outcome,
            log,
        }
    }

    fn live(&mut self) -> Result<(), Violation> {
        let (people, cheat) = (self.scene.people.len(), self.cheat);
        self.say(format_args!("{people} people, the cheat is {cheat:?}"));
        for _ in 0..40 + self.random.below(MAX_STEPS - 40) {
            self.something()?;
            self.always_true()?;
        }
        self.everybody_meets()?;
        self.true_in_the_end()
    }

    /// One thing that happens.
    fn something(&mut self) -> Result<(), Violation> {
        let person = self.random.below(self.scene.people.len());
        match self.random.below(100) {
            0..15 => self.pay(person, false),
            15..25 => self.pay(person, true),
            25..70 => self.carry(),
            70..76 => self.meet(person),
            76..82 => self.retry(person),
            82..90 => self.crash(person),
            90..93 => self.back_up(self.careless),
            93..95 => self.restore(self.careless)?,
            95..97 => self.confirm(person),
            _ => self.cheat(),
        }
        Ok(())
    }

    fn other_than(&mut self, person: usize) -> usize {
        let other = self.random.below(self.scene.people.len() - 1);
        if other < person { other } else { other + 1 }
    }

    fn pay(&mut self, payer: usize, by_invoice: bool) {
        let payee = self.other_than(payer);
        let balance = self.scene.people[payer].balance(&self.scene.asset);
        let units = 1 + self.random.next() % (balance / 2).max(1);
        let (to, asset, amount) = (self.scene.id(payee), self.scene.asset, Amount::new(units));
        let input = if by_invoice {
            let Some(invoice) = self.ask(payer, payee, units) else { return };
            Input::PayInvoice { payee: to, invoice: Box::new(invoice) }
        } else {
            Input::Pay { payee: to, asset, amount }
        };
        let form = if by_invoice { "an invoice" } else { "an offer" };
        self.say(format_args!("{payer} pays {payee} {units} units by {form}"));
        self.tell(payer, input);
    }

    fn ask(&mut self, payer: usize, payee: usize, units: u64) -> Option<Invoice> {
        let (payer, asset) = (self.scene.id(payer), self.scene.asset);
        let person = &mut self.scene.people[payee];
        let (nonce, owner) = (person.nonce(), Predicate::Signature(person.key.public()));
        let (amount, expires_at) = (Amount::new(units), NOW.plus(3600));
        let terms = Terms { payer: Some(payer), asset, amount, owner: owner.clone(), expires_at };
        person.tell(Input::Ask { nonce, terms }).ok()?;
        let (card, accept) = (person.card(), Accept { nonce, owner });
        let least = Tier::Signed;
        let (version, fields) = (INVOICE_VERSION, Fields::default());
        Some(Invoice { version, card, asset, amount, accept, expires_at, least, fields })
    }

    /// A message arrives, is lost, or arrives and is still on its way.
    fn carry(&mut self) {
        if self.network.is_empty() {
            return;
        }
        // Mostly in order.
        let place = if self.random.happens(70) { 0 } else { self.random.below(self.network.len()) };
        let fate = self.random.below(100);
        let Envelope { from, to, bytes } = self.network.remove(place);
        if fate < 10 {
            self.outcome.lost += 1;
            self.say(format_args!("lost, from {from} to {to}: {}", name(&bytes)));
            return;
        }
        if fate < 20 {
            self.outcome.repeated += 1;
            self.network.push(Envelope { from, to, bytes: bytes.clone() });
        }
        self.arrive(from, to, &bytes);
    }

    fn arrive(&mut self, from: usize, to: usize, bytes: &[u8]) {
        self.say(format_args!("from {from} to {to}: {}", name(bytes)));
        let Ok(message) = from_bytes::<Message>(bytes) else { return };
        let (from, nonce) = (self.scene.id(from), self.scene.people[to].nonce());
        self.tell(to, Input::Message { from, message: Box::new(message), nonce });
    }

    fn meet(&mut self, person: usize) {
        let other = self.other_than(person);
        self.say(format_args!("{person} meets {other}"));
        self.tell(person, Input::Meet { contact: self.scene.id(other) });
    }

    fn retry(&mut self, person: usize) {
        let other = self.other_than(person);
        self.tell(person, Input::Retry { payee: self.scene.id(other) });
    }

    /// The process dies: between two inputs, or after one has become durable and before its output
    /// is used.
    fn crash(&mut self, person: usize) {
        self.outcome.crashes += 1;
        let here = self.network.iter().position(|envelope| envelope.to == person);
        if let Some(place) = here.filter(|_| self.random.happens(60)) {
            let Envelope { from, to, bytes } = self.network.remove(place);
            self.say(format_args!("from {from} to {to}, who dies over it: {}", name(&bytes)));
            let (from, nonce) = (self.scene.id(from), self.scene.people[to].nonce());
            if let Ok(message) = from_bytes::<Message>(&bytes) {
                let input = Input::Message { from, message: Box::new(message), nonce };
                // What it would have done is gone with it.
                let _ = self.scene.people[person].step(input);
            }
        } else {
            self.say(format_args!("{person} crashes"));
        }
        self.scene.people[person].crash();
    }

    fn back_up(&mut self, person: usize) {
        if Some(person) != self.cheat {
            self.say(format_args!("{person} makes a backup"));
            self.backups.insert(person, self.scene.people[person].disk.clone());
        }
    }

    /// An honest owner restores the last backup. What the old device had sent and nobody received is
    /// gone with it: recovery assumes so.
    fn restore(&mut self, person: usize) -> Result<(), Violation> {
        let Some(backup) = self.backups.get(&person).cloned() else { return Ok(()) };
        self.outcome.restored += 1;
        self.say(format_args!("{person} restores its backup"));
        self.network.retain(|envelope| envelope.from != person);
        let people = &mut self.scene.people;
        people[person].disk = backup;
        people[person].crash();
        people[person].tell(Input::Restored).map_err(|e| Violation::Device(e.code()))?;
        let known = |tx: &TxId| people.iter().any(|p| p.device.incoming().contains_key(tx));
        self.steps.retain(|(who, _), tx| *who != person || known(tx));
        Ok(())
    }

    fn confirm(&mut self, person: usize) {
        if self.scene.people[person].device.mode() != &Mode::Normal {
            let done = self.scene.people[person].act(Input::ConfirmRecovery(Basis::Contacts));
            self.say(format_args!("{person} confirms its recovery: {:?}", done.map(|_| ())));
        }
    }

    /// The cheat keeps a copy of its device, or goes on with the copy that it kept.
    fn cheat(&mut self) {
        let Some(cheat) = self.cheat else { return };
        let person = &mut self.scene.people[cheat];
        match self.copy.take() {
            None => {
                self.copy = Some(person.clone());
                self.say(format_args!("{cheat} copies its device"));
            }
            Some(copy) => {
                let now = std::mem::replace(person, copy);
                self.copy = Some(now);
                self.outcome.cheated = true;
                self.say(format_args!("{cheat} goes on with the copy"));
            }
        }
    }

    fn tell(&mut self, person: usize, input: Input) {
        match self.scene.people[person].act(input) {
            Ok(effects) => self.follow(person, effects),
            Err(error) => self.refused(person, &error),
        }
    }

    fn refused(&mut self, person: usize, error: &DeviceError) {
        self.say(format_args!("  {person} may not: {}", error.code()));
    }

    fn follow(&mut self, from: usize, effects: Effects) {
        for (to, message) in effects.send {
            if let Some(to) = self.scene.who(&to) {
                self.network.push(Envelope { from, to, bytes: to_bytes(&message) });
            }
        }
        for sign in effects.signed {
            if let Sign::Spend { tx, seq, .. } = sign {
                self.note_step(from, seq, tx);
            }
        }
        for event in effects.events {
            self.note_event(from, &event);
        }
    }

    fn note_step(&mut self, person: usize, seq: u64, tx: TxId) {
        if Some(person) != self.cheat && *self.steps.entry((person, seq)).or_insert(tx) != tx {
            self.outcome.violation = Some(Violation::TwoSuccessors(seq));
        }
    }

    fn note_event(&mut self, person: usize, event: &Event) {
        match event {
            Event::Paid { .. } => self.outcome.paid += 1,
            Event::Received { .. } => self.outcome.received += 1,
            Event::Forked { .. } => self.outcome.convictions += 1,
            _ => {}
        }
        let text = match event {
            Event::Received { amount, .. } => format!("{person} has received {}", amount.units()),
            Event::Refused { reason, .. } => format!("{person} refuses: {}", reason.code),
            Event::Forked { contact, .. } => {
                let convict = contact.and_then(|id| self.scene.who(&id));
                format!("{person} convicts {convict:?}")
            }
            Event::Recovered { seq } => format!("{person} is at step {seq} again"),
            Event::Receipted { .. } => format!("{person} has a receipt"),
            _ => return,
        };
        self.say(format_args!("  {text}"));
    }

    fn honest(&self) -> Vec<&Device> {
        let honest = self.scene.people.iter().enumerate().filter(|(i, _)| Some(*i) != self.cheat);
        honest.map(|(_, person)| &person.device).collect()
    }

    fn always_true(&mut self) -> Result<(), Violation> {
        if let Some(violation) = self.outcome.violation.take() {
            return Err(violation);
        }
        let (honest, asset) = (self.honest(), self.scene.asset);
        check::convicts_nobody_honest(&honest)?;
        // A restored wallet does not list the payments that it was told of.
        if self.outcome.restored > 0 {
            return Ok(());
        }
        check::conserves(&honest, &asset)?;
        if self.cheat.is_none() {
            check::nothing_is_lost(&honest, &asset, self.scene.minted)?;
        }
        Ok(())
    }

    /// Every message arrives; every honest person meets every other, some times over.
    fn everybody_meets(&mut self) -> Result<(), Violation> {
        self.say(format_args!("everybody meets"));
        let people = self.scene.people.len();
        self.carry_all()?;
        for _ in 0..ROUNDS {
            for (one, other) in (0..people).flat_map(|i| (0..i).map(move |j| (i, j))) {
                if Some(one) != self.cheat && Some(other) != self.cheat {
                    self.tell(one, Input::Meet { contact: self.scene.id(other) });
                    self.tell(other, Input::Retry { payee: self.scene.id(one) });
                    self.carry_all()?;
                }
            }
            self.always_true()?;
        }
        Ok(())
    }

    fn carry_all(&mut self) -> Result<(), Violation> {
        for _ in 0..MAX_CARRIED {
            if self.network.is_empty() {
                return Ok(());
            }
            let Envelope { from, to, bytes } = self.network.remove(0);
            self.arrive(from, to, &bytes);
        }
        Err(Violation::Device("ENDLESS_TALK"))
    }

    fn true_in_the_end(&mut self) -> Result<(), Violation> {
        let (honest, asset) = (self.honest(), self.scene.asset);
        check::proves_contradictions(&honest)?;
        if self.cheat.is_some() {
            return Ok(());
        }
        if self.outcome.restored == 0 {
            let on_its_way = check::on_its_way(&honest, &asset);
            return if on_its_way == 0 { Ok(()) } else { Err(Violation::Stuck(on_its_way)) };
        }
        self.recovered_in_the_end()
    }

    /// Who restored a backup may pay again. Nothing was made, and nothing lost unless a step of
    /// somebody's own, or a payment, is known to nobody any more.
    fn recovered_in_the_end(&mut self) -> Result<(), Violation> {
        for person in &mut self.scene.people {
            let confirmed = person.act(Input::ConfirmRecovery(Basis::Contacts));
            confirmed.map_err(|_| Violation::NotRecovered)?;
            self.outcome.unrecovered += u64::from(!person.device.missing().is_empty());
        }
        let minted = self.scene.minted;
        // Of two who restored a backup, both may have lost the same payment.
        let may_lack = self.outcome.unrecovered > 0 || self.outcome.restored > 1;
        match check::nothing_is_lost(&self.honest(), &self.scene.asset, minted) {
            Err(Violation::Total { there, .. }) if there < minted && may_lack => Ok(()),
            checked => checked,
        }
    }

    fn say(&mut self, what: fmt::Arguments<'_>) {
        // A log that cannot be written changes nothing.
        let _ = writeln!(self.log, "{what}");
    }
}

fn name(bytes: &[u8]) -> &'static str {
    from_bytes::<Message>(bytes).map_or("no message", |message| message.name())
}
