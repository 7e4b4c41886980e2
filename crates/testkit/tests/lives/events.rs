//! What may happen in a life.

use std::io::{self, Write};

use tally_agent::{Goal, Input};
use tally_core::accept::{AcceptPolicy, TierLimits};
use tally_core::amount::Amount;
use tally_core::card::Signed;
use tally_core::device;
use tally_core::id::Head;
use tally_testkit::{Backup, Disk, Manner, Person, Scene, VALIDATORS};

use crate::end::Made;

pub(crate) const PEOPLE: usize = 3;
pub(crate) const UNITS: u64 = 1000;
/// How many kinds of things may happen.
const KINDS: usize = 36;

/// How much happens in a life.
const EVENTS: usize = 36;

/// Lives a life from its beginning to its end.
pub(crate) fn live(seed: u64, loud: bool) -> Made {
    let mut life = Life::new(seed, loud);
    for _ in 0..EVENTS {
        life.something();
    }
    life.ends()
}

/// A policy that takes payments of any size on a signature alone.
pub(crate) fn anything() -> AcceptPolicy {
    let open = TierLimits { accept: true, ..TierLimits::default() };
    AcceptPolicy { signed: open, ..AcceptPolicy::default() }
}

/// Numbers that follow from a seed (SplitMix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % most as u64).expect("less than a usize")
    }

    fn two(&mut self) -> (usize, usize) {
        let one = self.below(PEOPLE);
        (one, (one + 1 + self.below(PEOPLE - 1)) % PEOPLE)
    }
}

/// One life, as far as it has come.
pub(crate) struct Life {
    pub(crate) seed: u64,
    pub(crate) random: Random,
    pub(crate) scene: Scene,
    /// Who comes back from backups: of two who lose what they knew, neither may know what they did.
    pub(crate) careless: usize,
    backup: Option<Backup>,
    disk: Option<Disk>,
    journal: Option<(u64, Head)>,
    /// Which invoice lies about, and whose it is.
    invoice: Option<(usize, Signed)>,
    /// What happens in this life: a half to a quarter of all that may. What is rare together is common in some.
    kinds: Vec<usize>,
    pub(crate) made: Made,
    pub(crate) loud: bool,
}

impl Life {
    pub(crate) fn new(seed: u64, loud: bool) -> Self {
        let mut random = Random::new(seed);
        let mut person = |n| match random.below(2) {
            0 => Person::sealed(n),
            _ => Person::new(n),
        };
        let mut people: Vec<Person> = (1..=3).map(&mut person).collect();
        // Some keys are in the agent's memory, some elsewhere.
        people.iter_mut().for_each(|person| person.signs_inside = random.below(2) == 0);
        let mut scene = Scene::with(people, UNITS);
        for other in 1..PEOPLE {
            scene.mint_to(other, UNITS);
        }
        let careless = random.below(PEOPLE);
        let rare = 2 + random.below(3);
        let kinds = (0..KINDS).filter(|kind| *kind < 2 || random.below(rare) == 0).collect();
        let life = Self {
            seed,
            random,
            scene,
            careless,
            backup: None,
            disk: None,
            journal: None,
            invoice: None,
            kinds,
            made: Made::default(),
            loud,
        };
        life.say(|| {
            let sealed = life.scene.people.iter().map(|person| person.chip.is_some());
            format!("{careless} comes back from backups; sealed: {:?}", sealed.collect::<Vec<_>>())
        });
        life
    }

    pub(crate) fn say(&self, what: impl FnOnce() -> String) {
        if self.loud {
            let _ = writeln!(io::stdout(), "{}", what());
        }
    }

    /// One thing happens. What fails is refused or cut off; the end shows what became of it.
    pub(crate) fn something(&mut self) {
        let (one, other) = self.random.two();
        let units = 1 + self.random.next() % 60;
        let kind = self.kinds[self.random.below(self.kinds.len())];
        self.say(|| format!("event {kind}: {one}, {other}, {units} units"));
        match kind {
            0..=3 => self.pay(one, other, units),
            4 => {
                self.scene.cut_after = Some(self.random.below(9));
                self.pay(one, other, units);
            }
            5 => {
                self.scene.cut_after = Some(self.random.below(9));
                let _ = self.scene.meet(one, other);
            }
            6 => {
                let payee = self.scene.id(other);
                let _ = self.scene.connect(one, other, Goal::Resend { payee });
            }
            7 | 8 => self.pay_by_code(one, other, units),
            9 => self.lose_power(one, other, units),
            10 => {
                self.scene.people[one].disk.lose_sessions();
                self.scene.restart(one);
            }
            11 => {
                let person = &mut self.scene.people[one];
                match self.random.below(2) {
                    0 => person.key_is_here = !person.key_is_here,
                    _ => person.journal_is_here = !person.journal_is_here,
                }
                self.scene.restart(one);
            }
            12 => self.scene.restart(one),
            13..=15 => self.settle(one),
            16 => self.wish(one, device::Input::Refresh { asset: self.scene.asset }),
            17 => self.reserve(one, other, units),
            18 => self.release(one, other),
            19 | 20 => self.move_chip(one),
            21 => self.give_up_chip(one),
            22 => self.back_up(),
            23 => self.restore(),
            24 => {
                let careless = &self.scene.people[self.careless];
                (self.disk, self.journal) = (Some(careless.disk.clone()), careless.journal);
            }
            25 => self.set_back(),
            26 => self.recover(),
            27 => self.scene.now = self.scene.now.plus(self.random.next() % 90_000),
            28 => {
                let payee = self.scene.id(other);
                let Ok(given) = self.scene.give(one, Input::Resend { payee }) else { return };
                self.carry_files(one, other, given.files());
            }
            29 => self.change_manners(),
            30 => self.has_a_wrong_clock(one, other, units),
            31 => {
                let person = &mut self.scene.people[one];
                person.counter_is_here = !person.counter_is_here;
            }
            32 => self.pay_when_it_suits(one, other, units),
            33 => self.renew_card(one),
            34 => self.change_policy(one),
            35 => self.set_journal_back(),
            _ => unreachable!("a kind that does not happen"),
        }
    }

    /// A clock is far ahead for a moment.
    fn has_a_wrong_clock(&mut self, one: usize, other: usize, units: u64) {
        self.scene.people[one].clock_ahead = self.random.next() % 3_000_000;
        match self.random.below(4) {
            0 => drop(self.scene.meet(one, other)),
            1 => drop(self.scene.settle(one)),
            2 => self.pay(one, other, units),
            _ => self.scene.restart(one),
        }
        self.scene.people[one].clock_ahead = 0;
    }

    fn pay(&mut self, one: usize, other: usize, units: u64) {
        let paid = self.scene.pay(one, other, units);
        self.say(|| format!("  {paid:?}"));
        if let Ok(done) = &paid {
            self.is_paid(one, other, done);
        }
        self.made.paid += u64::from(paid.is_ok());
    }

    fn wish(&mut self, one: usize, wish: device::Input) {
        let moved = self.scene.give(one, Input::Wish(vec![wish]));
        self.say(|| format!("  {:?}", moved.as_ref().map(|given| &given.shown)));
        self.made.moved += u64::from(moved.is_ok());
    }

    /// An invoice, a payment and a receipt, any of which may get lost or come twice.
    fn pay_by_code(&mut self, payer: usize, payee: usize, units: u64) {
        let Ok(invoice) = self.scene.invoice(payee, units) else { return };
        self.pay_invoice(payer, payee, invoice);
    }

    /// An invoice lies about, and is paid late, twice or by two people.
    fn pay_when_it_suits(&mut self, one: usize, other: usize, units: u64) {
        if self.invoice.is_none() {
            self.invoice = self.scene.invoice(other, units).ok().map(|invoice| (other, invoice));
        }
        let Some((payee, invoice)) = self.invoice.clone() else { return };
        if self.random.below(4) == 0 {
            self.invoice = None;
        }
        let payer = if one == payee { other } else { one };
        self.pay_invoice(payer, payee, invoice);
    }

    fn pay_invoice(&mut self, payer: usize, payee: usize, invoice: Signed) {
        let paid = self.scene.give(payer, Input::PayInvoice(Box::new(invoice)));
        self.say(|| format!("  {:?}", paid.as_ref().map(|given| &given.over)));
        if let Ok(paid) = paid {
            self.is_said(payer, &paid);
            self.carry_files(payer, payee, paid.files());
        }
    }

    pub(crate) fn renew_card(&mut self, one: usize) {
        // Of two cards of one second neither is newer.
        self.scene.now = self.scene.now.plus(1);
        let now = self.scene.now;
        let _ = self.scene.people[one].renew_card(now);
    }

    /// Somebody takes little on a signature alone, or again everything.
    fn change_policy(&mut self, one: usize) {
        let policy = match self.random.below(3) {
            0 => AcceptPolicy::default(),
            _ => anything(),
        };
        self.wish(one, device::Input::AcceptPolicy(policy));
    }

    /// The journal alone is as it was when the disk was copied.
    fn set_journal_back(&mut self) {
        let Some(journal) = self.journal.take() else { return };
        self.scene.people[self.careless].journal = Some(journal);
        self.scene.restart(self.careless);
        self.made.restored += 1;
    }

    fn carry_files(&mut self, from: usize, to: usize, files: Vec<Vec<u8>>) {
        for bytes in files {
            for _ in 0..self.random.below(3) {
                let agree = self.random.below(4) == 0;
                let file = Input::File { bytes: bytes.clone(), agree };
                let Ok(heard) = self.scene.give(to, file) else { continue };
                for bytes in heard.files().into_iter().take(self.random.below(2)) {
                    let _ = self.scene.give(from, Input::File { bytes, agree: false });
                }
            }
        }
    }

    /// Power fails at one of the next writes, while somebody pays or settles.
    fn lose_power(&mut self, one: usize, other: usize, units: u64) {
        let after = self.random.below(2) == 0;
        let writes = u32::try_from(self.random.below(4)).unwrap_or(0);
        self.scene.people[one].disk.fuse = Some((writes, after));
        match self.random.below(3) {
            0 => drop(self.scene.settle(one)),
            _ => drop(self.scene.pay(one, other, units)),
        }
        self.scene.people[one].disk.fuse = None;
        self.scene.restart(one);
    }

    fn settle(&mut self, one: usize) {
        if let Ok(settled) = self.scene.settle(one) {
            self.say(|| format!("  {:?}", settled.decisions));
            self.made.certified += settled.certified().len() as u64;
        }
    }

    fn reserve(&mut self, one: usize, other: usize, units: u64) {
        let until = self.scene.now.plus(1 + self.random.next() % 200_000);
        let (payee, asset) = (self.scene.id(other), self.scene.asset);
        let amount = Amount::new(units);
        self.wish(one, device::Input::Reserve { payee, asset, amount, until });
    }

    fn release(&mut self, one: usize, other: usize) {
        let (payee, asset) = (self.scene.id(other), self.scene.asset);
        let Ok(asked) = self.scene.give(one, Input::Release { payee, asset }) else { return };
        for bytes in asked.files() {
            let agree = self.random.below(3) > 0;
            let Ok(heard) = self.scene.give(other, Input::File { bytes, agree }) else { continue };
            for bytes in heard.files().into_iter().take(self.random.below(3)) {
                let _ = self.scene.give(one, Input::File { bytes, agree: false });
            }
        }
    }

    fn move_chip(&mut self, one: usize) {
        let now = self.scene.now;
        let Some(chip) = &self.scene.people[one].chip else { return };
        let is_here = !chip.is_here;
        let is_noticed = is_here || self.random.below(2) == 0;
        let person = &mut self.scene.people[one];
        if let Some(chip) = &mut person.chip {
            chip.is_here = is_here;
        }
        if is_noticed {
            person.look_for_chip(now).expect("it is only noted");
        }
        self.made.chips += 1;
    }

    fn give_up_chip(&mut self, one: usize) {
        let (now, person) = (self.scene.now, &mut self.scene.people[one]);
        if person.chip.as_ref().is_some_and(|chip| !chip.is_here) {
            let given_up = person.look_at_counters(now, true);
            assert!(given_up.is_ok(), "life {}: {given_up:?}", self.seed);
            self.made.given_up += 1;
        }
    }

    fn back_up(&mut self) {
        self.backup = Some(self.scene.people[self.careless].back_up());
    }

    fn restore(&mut self) {
        let Some(backup) = &self.backup else { return };
        let journal_is_here = self.random.below(2) == 0;
        let now = self.scene.now;
        self.scene.people[self.careless].restore(now, backup, journal_is_here);
        self.disk = None;
        self.made.restored += 1;
    }

    fn set_back(&mut self) {
        let Some(disk) = self.disk.take() else { return };
        let now = self.scene.now;
        self.scene.people[self.careless].set_back(now, disk);
        self.made.restored += 1;
    }

    /// Whoever came back meets everybody, and goes on as soon as that may be.
    fn recover(&mut self) {
        let careless = self.careless;
        for other in (0..PEOPLE).filter(|other| *other != careless) {
            let _ = self.scene.meet(careless, other);
        }
        let recovered = self.scene.recover(careless, false);
        self.say(|| format!("  {recovered:?}"));
    }

    /// Of four validators one lies or is stale, and any may be cut off.
    pub(crate) fn change_manners(&mut self) {
        for at in 0..VALIDATORS {
            let cut_off = self.random.below(4) == 0;
            self.scene.network.manners[at] = if cut_off { Manner::CutOff } else { Manner::Honest };
        }
        let at = self.random.below(VALIDATORS);
        self.scene.network.manners[at] = self.bad_manner();
        self.say(|| format!("  {:?}", self.scene.network.manners));
    }

    pub(crate) fn bad_manner(&mut self) -> Manner {
        match self.random.below(7) {
            0 => Manner::Lying,
            1 => Manner::Stale(1 + self.random.next() % self.scene.network.latest()),
            2 => Manner::Queues,
            3 => Manner::Boasts,
            4 => Manner::Garbage,
            5 => Manner::Silent,
            _ => Manner::CutOff,
        }
    }
}
