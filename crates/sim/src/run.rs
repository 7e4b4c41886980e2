//! Live one random life of a few people, from one seed.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use tally_agent::Input;
use tally_core::device::{Device, Event};
use tally_core::id::{DeviceId, TxId};
use tally_testkit::{Backup, Copied, Ended, Given, Scene};

use crate::account::Book;
use crate::check::{self, Violation};
use crate::random::Random;

/// Most things that happen in one life.
pub const MAX_STEPS: usize = 160;
/// Most codes that are carried while everybody meets: more would be a loop.
const MAX_CARRIED: usize = 5_000;
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
    /// Codes that were lost, and connections that broke.
    pub lost: u64,
    /// Codes that came twice or more.
    pub repeated: u64,
    /// Crashes.
    pub crashes: u64,
    /// Backups that were restored.
    pub restored: u64,
    /// Units of payments that their payer's backup did not have and their payee never got.
    pub forgotten: u64,
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

/// A code on its way.
struct Envelope {
    from: usize,
    to: usize,
    bytes: Vec<u8>,
}

struct Life<'a> {
    random: Random,
    scene: Scene,
    /// What was minted and signed.
    book: Book,
    /// The place of the cheat, if there is one: the last.
    cheat: Option<usize>,
    copy: Option<Copied>,
    backup: Option<Backup>,
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
        let mut book = Book::default();
        book.mints(&scene.people);
        // What comes of the mints is nothing that anybody paid.
        scene.people.iter_mut().for_each(|person| person.shown.clear());
        let careless = random.below(people);
        let outcome = Outcome { seed, ..Outcome::default() };
        Self {
            random,
            scene,
            book,
            cheat,
            copy: None,
            backup: None,
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
            self.something();
            self.note();
            self.always_true()?;
        }
        self.everybody_meets()?;
        self.true_in_the_end()
    }

    /// One thing that happens.
    fn something(&mut self) {
        let person = self.random.below(self.scene.people.len());
        match self.random.below(100) {
            0..20 => self.pay(person),
            20..38 => self.pay_by_code(person),
            38..66 => self.carry(),
            66..74 => self.meet(person),
            74..80 => self.resend(person),
            80..90 => self.crash(person),
            90..93 => self.back_up(self.careless),
            93..95 => self.restore(self.careless),
            95..97 => self.confirm(person),
            _ => self.cheat(),
        }
    }

    fn other_than(&mut self, person: usize) -> usize {
        let other = self.random.below(self.scene.people.len() - 1);
        if other < person { other } else { other + 1 }
    }

    fn units_of(&mut self, payer: usize) -> u64 {
        let balance = self.scene.people[payer].balance(&self.scene.asset);
        1 + self.random.next() % (balance / 2).max(1)
    }

    /// A connection breaks now and then, after any message.
    fn may_break(&mut self) {
        if self.random.happens(30) {
            self.scene.cut_after = Some(self.random.below(9));
            self.outcome.lost += 1;
        }
    }

    fn pay(&mut self, payer: usize) {
        let (payee, units) = (self.other_than(payer), self.units_of(payer));
        self.may_break();
        let paid = self.scene.pay(payer, payee, units);
        self.say(format_args!("{payer} pays {payee} {units} units: {}", code_of(&paid)));
    }

    fn pay_by_code(&mut self, payer: usize) {
        let (payee, units) = (self.other_than(payer), self.units_of(payer));
        let Ok(invoice) = self.scene.invoice(payee, units) else { return };
        let paid = self.scene.give(payer, Input::PayInvoice(Box::new(invoice)));
        self.say(format_args!("{payer} pays {payee} {units} units by code: {}", code_of(&paid)));
        self.send(payer, payee, paid);
    }

    fn send(&mut self, from: usize, to: usize, given: Result<Given, Ended>) {
        let files = given.map(|given| given.files()).unwrap_or_default();
        self.network.extend(files.into_iter().map(|bytes| Envelope { from, to, bytes }));
    }

    /// A code arrives, is lost, or arrives and is still on its way.
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
            self.say(format_args!("a code from {from} to {to} is lost"));
            return;
        }
        if fate < 20 {
            self.outcome.repeated += 1;
            self.network.push(Envelope { from, to, bytes: bytes.clone() });
        }
        self.arrive(from, to, bytes);
    }

    fn arrive(&mut self, from: usize, to: usize, bytes: Vec<u8>) {
        let heard = self.scene.give(to, Input::File { bytes, agree: false });
        self.say(format_args!("a code from {from} comes to {to}: {}", code_of(&heard)));
        self.send(to, from, heard);
    }

    fn meet(&mut self, person: usize) {
        let other = self.other_than(person);
        self.may_break();
        let met = self.scene.meet(person, other);
        self.say(format_args!("{person} meets {other}: {}", code_of(&met)));
    }

    fn resend(&mut self, person: usize) {
        let other = self.other_than(person);
        let payee = self.scene.id(other);
        let sent = self.scene.give(person, Input::Resend { payee });
        self.send(person, other, sent);
    }

    /// The process dies: between two inputs, or while it writes what somebody is to be paid.
    fn crash(&mut self, person: usize) {
        self.outcome.crashes += 1;
        if self.random.happens(60) {
            let (after, writes) = (self.random.happens(50), self.random.below(4));
            let (other, units) = (self.other_than(person), self.units_of(person));
            let writes = u32::try_from(writes).unwrap_or(0);
            self.scene.people[person].disk.fuse = Some((writes, after));
            let one = if self.random.happens(50) { (person, other) } else { (other, person) };
            let paid = self.scene.pay(one.0, one.1, units);
            self.say(format_args!("{person} dies while {one:?} pay: {}", code_of(&paid)));
            self.scene.people[person].disk.fuse = None;
        } else {
            self.say(format_args!("{person} crashes"));
        }
        if Some(person) == self.cheat {
            self.scene.people[person].start();
        } else {
            self.scene.restart(person);
        }
    }

    fn back_up(&mut self, person: usize) {
        if Some(person) != self.cheat {
            self.say(format_args!("{person} makes a backup"));
            self.backup = Some(self.scene.people[person].back_up());
        }
    }

    /// An honest owner restores the last backup on another machine. What the old device had sent and nobody
    /// received is gone with it: recovery assumes so.
    fn restore(&mut self, person: usize) {
        let Some(backup) = &self.backup else { return };
        self.outcome.restored += 1;
        let now = self.scene.now;
        self.scene.people[person].restore(now, backup, false);
        self.book.restores(self.scene.people[person].device());
        self.say(format_args!("{person} restores its backup"));
        self.network.retain(|envelope| envelope.from != person);
        let people = &self.scene.people;
        let known = |tx: &TxId| people.iter().any(|p| p.device().incoming().contains_key(tx));
        self.steps.retain(|(who, _), tx| *who != person || known(tx));
    }

    fn confirm(&mut self, person: usize) {
        if Some(person) != self.cheat && !self.scene.people[person].is_normal() {
            let done = self.scene.recover(person, false);
            self.say(format_args!("{person} confirms its recovery: {}", code_of(&done)));
        }
    }

    /// The cheat keeps a copy of its device, or goes on with the copy that it kept.
    fn cheat(&mut self) {
        let Some(cheat) = self.cheat else { return };
        let person = &mut self.scene.people[cheat];
        match self.copy.take() {
            None => {
                self.copy = Some(person.copy());
                self.say(format_args!("{cheat} copies its device"));
            }
            Some(copy) => {
                let now = person.copy();
                person.go_on_with(copy);
                self.copy = Some(now);
                self.outcome.cheated = true;
                self.say(format_args!("{cheat} goes on with the copy"));
            }
        }
    }

    /// Takes notice of what is signed, as the records have it whatever was shown, and of what was shown.
    fn note(&mut self) {
        for person in 0..self.scene.people.len() {
            self.book.signs(self.scene.people[person].device());
            self.note_steps(person);
            for event in std::mem::take(&mut self.scene.people[person].shown) {
                self.note_event(person, &event);
            }
        }
        self.outcome.paid = u64::try_from(self.book.payments()).unwrap_or(u64::MAX);
    }

    fn note_steps(&mut self, person: usize) {
        if Some(person) == self.cheat {
            return;
        }
        let device = self.scene.people[person].device();
        for signed in device.outgoing().values().filter(|outgoing| outgoing.is_signed()) {
            let (tx, seq) = (signed.tx, signed.transaction.step.seq);
            if *self.steps.entry((person, seq)).or_insert(tx) != tx {
                self.outcome.violation = Some(Violation::TwoSuccessors(seq));
            }
        }
    }

    fn note_event(&mut self, person: usize, event: &Event) {
        let text = match event {
            Event::Paid { amount, .. } => {
                format!("{person} has signed a payment of {}", amount.units())
            }
            Event::Received { amount, .. } => {
                self.outcome.received += 1;
                format!("{person} has received {}", amount.units())
            }
            Event::Forked { contact, .. } => {
                self.outcome.convictions += 1;
                let whose = |id: &DeviceId| self.scene.people.iter().position(|p| p.id() == *id);
                let convict = contact.as_ref().and_then(whose);
                format!("{person} convicts {convict:?}")
            }
            Event::Refused { reason, .. } => format!("{person} refuses: {}", reason.code),
            Event::Recovered { seq } => format!("{person} is at step {seq} again"),
            Event::Receipted { .. } => format!("{person} has a receipt"),
            _ => return,
        };
        self.say(format_args!("  {text}"));
    }

    fn honest(&self) -> Vec<&Device> {
        let honest = self.scene.people.iter().enumerate().filter(|(i, _)| Some(*i) != self.cheat);
        honest.map(|(_, person)| person.device()).collect()
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
            check::nothing_is_lost(&honest, &asset, self.book.minted())?;
        }
        Ok(())
    }

    /// Every code arrives; every honest person meets every other, some times over.
    fn everybody_meets(&mut self) -> Result<(), Violation> {
        self.say(format_args!("everybody meets"));
        let people = self.scene.people.len();
        self.carry_all()?;
        for _ in 0..ROUNDS {
            for (one, other) in (0..people).flat_map(|i| (0..i).map(move |j| (i, j))) {
                if Some(one) != self.cheat && Some(other) != self.cheat {
                    let met = self.scene.meet(one, other);
                    self.say(format_args!("{one} meets {other}: {}", code_of(&met)));
                    met.map_err(|_| Violation::Device("ENDLESS_TALK"))?;
                }
            }
            self.note();
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
            self.arrive(from, to, bytes);
            self.note();
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

    /// Who restored a backup may pay again, and every coin is where it belongs, but for those of payments that
    /// nobody has any more.
    fn recovered_in_the_end(&mut self) -> Result<(), Violation> {
        for person in 0..self.scene.people.len() {
            self.scene.recover(person, false).map_err(|_| Violation::NotRecovered)?;
        }
        let forgotten = self.book.account(&self.scene.people, &self.scene.asset)?;
        self.say(format_args!("forgotten: {forgotten:?}"));
        self.outcome.forgotten = forgotten.units();
        Ok(())
    }

    fn say(&mut self, what: fmt::Arguments<'_>) {
        // A log that cannot be written changes nothing.
        let _ = writeln!(self.log, "{what}");
    }
}

/// What came of something, in one word.
fn code_of<T>(came: &Result<T, Ended>) -> String {
    match came {
        Ok(_) => "done".into(),
        Err(Ended::Refused(why)) => why.code().into(),
        Err(Ended::Disk(why)) => why.to_string(),
    }
}
