//! How a life ends, and what must be true of it then.

use std::collections::BTreeSet;
use std::sync::Arc;

use tally_agent::{Done, Goal, Input, Way};
use tally_core::amount::Amount;
use tally_core::device::{self, Device, Outgoing, OutgoingState, Pocket};
use tally_core::evidence::Evidence;
use tally_core::id::TxId;
use tally_core::predicate::{Predicate, Unlock};
use tally_testkit::{Given, Manner, Person, Scene, VALIDATORS};

use crate::events::{Life, PEOPLE, UNITS, anything};

/// How often each kind of thing came about.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Made {
    pub(crate) paid: u64,
    pub(crate) moved: u64,
    pub(crate) certified: u64,
    pub(crate) chips: u64,
    pub(crate) given_up: u64,
    pub(crate) restored: u64,
    /// Whoever came back of whom the owner had to give its word.
    pub(crate) words: u64,
    /// Payments of all that is free that somebody took and moved on.
    pub(crate) moved_on: u64,
}

impl Made {
    pub(crate) fn add(&mut self, other: &Self) {
        self.paid += other.paid;
        self.moved += other.moved;
        self.certified += other.certified;
        self.chips += other.chips;
        self.given_up += other.given_up;
        self.restored += other.restored;
        self.words += other.words;
        self.moved_on += other.moved_on;
    }

    /// Whether everything that may happen did.
    pub(crate) fn is_rich(&self) -> bool {
        let all = [self.paid, self.moved, self.certified, self.chips, self.restored, self.moved_on];
        all.iter().all(|times| *times > 20) && self.given_up > 0
    }
}

impl Life {
    /// Everybody finds the key again, and most their chip, meets everybody and settles, with one validator of
    /// four that may do what it likes. Then whoever came back goes on, and all pay once more.
    pub(crate) fn ends(&mut self) -> Made {
        self.say(|| "the end".into());
        self.scene.network.manners = [Manner::Honest; VALIDATORS];
        let at = self.random.below(VALIDATORS);
        self.scene.network.manners[at] = self.bad_manner();
        for person in 0..PEOPLE {
            self.scene.people[person].key_is_here = true;
            self.scene.people[person].journal_is_here = true;
            self.scene.people[person].counter_is_here = true;
            let now = self.scene.now;
            // Some never find it again, and give it up.
            let is_here = self.random.below(4) > 0;
            self.scene.people[person].put_chip(now, is_here).expect("it is only noted");
            let looked = self.scene.people[person].look_at_counters(now, true);
            assert!(looked.is_ok(), "life {}: {person}: {looked:?}", self.seed);
            self.scene.restart(person);
            let open = device::Input::AcceptPolicy(anything());
            let opened = self.scene.give(person, Input::Wish(vec![open]));
            assert!(opened.is_ok(), "life {}: {person}: {opened:?}", self.seed);
        }
        self.all_meet();
        self.all_meet();
        self.goes_on();
        self.all_meet();
        self.all_settle();
        self.is_good();
        self.all_pay();
        self.all_settle();
        self.is_certified();
        self.is_durable();
        self.cards_come();
        self.locks_end();
        self.made
    }

    /// When the last lock has ended, what waited for it is signed, and nothing waits any more.
    fn locks_end(&mut self) {
        // A lock lasts 30 days, and a clock that was wrong is at most 35 ahead.
        self.scene.now = self.scene.now.plus(66 * 24 * 60 * 60);
        assert!(early(&self.scene).is_empty(), "life {}: a lock without an end", self.seed);
        for person in 0..PEOPLE {
            self.scene.restart(person);
        }
        self.all_meet();
        self.all_settle();
        self.is_good();
        for (one, person) in self.scene.people.iter().enumerate() {
            let waits = person.device().pending().count();
            assert_eq!(waits, 0, "life {}: {one} has payments without an end", self.seed);
        }
        self.all_pay();
        self.all_settle();
        self.is_certified();
    }

    fn all_meet(&mut self) {
        for one in 0..PEOPLE {
            for other in (0..PEOPLE).filter(|other| *other != one) {
                let met = self.scene.meet(one, other);
                assert!(met.is_ok(), "life {}: {one} meets {other}: {met:?}", self.seed);
            }
        }
    }

    /// Whoever came back goes on: by its journal, by what contacts gave back, or by its owner's word where
    /// the network or the journal shows a step that nobody knows.
    fn goes_on(&mut self) {
        for one in 0..PEOPLE {
            let looked = self.scene.look_up(one);
            assert!(looked.is_ok(), "life {}: {looked:?}", self.seed);
            if self.scene.people[one].is_normal() {
                continue;
            }
            if self.scene.recover(one, false).is_err() {
                let recovered = self.scene.recover(one, true);
                assert!(recovered.is_ok(), "life {}: {one}: {recovered:?}", self.seed);
                self.made.words += 1;
            }
        }
    }

    /// Everybody settles all: nothing is refused, lost or left, but what only its payee can settle.
    fn all_settle(&mut self) {
        for one in 0..PEOPLE {
            let settled = self.scene.settle(one);
            assert!(settled.is_ok(), "life {}: {one}: {settled:?}", self.seed);
            let Ok(settled) = settled else { continue };
            self.made.certified += settled.certified().len() as u64;
            let (seed, failed) = (self.seed, settled.failed());
            assert!(failed.is_empty(), "life {seed}: {one} cannot settle: {failed:?}");
            assert!(settled.lost.is_empty(), "life {seed}: {one} lost {:?}", settled.lost);
            assert!(settled.refused.is_empty(), "life {seed}: {one}: {:?}", settled.refused);
            assert!(settled.splits.is_empty(), "life {seed}: {one} saw a split");
        }
    }

    fn is_good(&self) {
        let seed = self.seed;
        // What waits for a chip that is gone is with nobody until the lock ends, and so is what a wrong clock
        // had signed without its proof.
        let early = early(&self.scene);
        let is_early =
            |o: &Outgoing| early.contains(&o.tx) || rests_on(&o.payment.offer.evidence, &early);
        let waits = |person: &Person| -> u64 {
            let all = person.device().outgoing().values().filter(|o| o.payee != person.id());
            let waits = all.filter(|o| match o.state {
                OutgoingState::Proving | OutgoingState::Intent => true,
                OutgoingState::Signed => is_early(o),
                OutgoingState::Receipted | OutgoingState::GivenUp => false,
            });
            waits.map(|o| o.payment.offer.amount.units()).sum()
        };
        let here = self.scene.balances().iter().sum::<u64>();
        let total = here + self.scene.people.iter().map(waits).sum::<u64>();
        let minted = PEOPLE as u64 * UNITS;
        if self.made.restored == 0 {
            assert_eq!(total, minted, "life {seed}: money came or went");
        }
        assert!(total <= minted, "life {seed}: {total} units of {minted}");
        for (one, person) in self.scene.people.iter().enumerate() {
            let device = person.device();
            assert!(device.forks().is_empty(), "life {seed}: somebody was convicted");
            assert!(person.is_normal(), "life {seed}: {one} may not pay");
            let waits = device
                .outgoing()
                .values()
                .filter(|o| o.state == OutgoingState::Signed && o.payee != person.id())
                .filter(|o| !is_early(o));
            assert_eq!(waits.count(), 0, "life {seed}: payments of {one} wait");
            // What the chip has proved it says again when it is back, or the key alone signs in the end.
            let asks = |o: &&Outgoing| {
                let mut owners = o.sources.iter().map(|source| &source.coin.owner);
                let asks = |owner: &Predicate| {
                    owner.slot().is_some() && owner.until() > Some(self.scene.now)
                };
                device.is_away() && owners.any(asks)
            };
            let can = device.pending().filter(|o| device.can_sign(o, self.scene.now));
            let waits = can.filter(|o| !asks(o)).count();
            assert_eq!(waits, 0, "life {seed}: signatures of {one} wait");
        }
    }

    /// Everybody pays all of a coin that is free, whoever gets it moves it on, and the third as well.
    fn all_pay(&mut self) {
        for one in 0..PEOPLE {
            let Some(units) = self.largest_free(&self.scene.people[one]) else { continue };
            for hop in 0..PEOPLE {
                let (from, to) = ((one + hop) % PEOPLE, (one + hop + 1) % PEOPLE);
                let (payee, asset) = (self.scene.id(to), self.scene.asset);
                // What waits for the end of a lock is signed first, or taken.
                let device = self.scene.people[from].device();
                let early = early(&self.scene);
                let is_early = device.outgoing().keys().any(|tx| early.contains(tx));
                if is_early || device.pending().any(|o| o.payee == payee) {
                    break;
                }
                let goal = Goal::Pay { payee, asset, amount: Amount::new(units) };
                let paid = self.scene.connect(from, to, goal);
                self.say(|| format!("{from} pays {to} {units} units: {paid:?}"));
                assert!(paid.is_ok(), "life {}: {from} cannot pay {units}: {paid:?}", self.seed);
                self.made.moved_on += u64::from(hop > 0);
            }
        }
    }

    /// What somebody has in one coin that nothing is to be said against.
    fn largest_free(&self, person: &Person) -> Option<u64> {
        let (device, now) = (person.device(), self.scene.now);
        let is_apart = |pocket: &Pocket| device.set_apart().any(|(apart, _)| apart.id == pocket.id);
        let is_locked = |pocket: &Pocket, owner: &Predicate| {
            let asks = device.is_away() && owner.slot().is_some();
            device.locked_until(&pocket.id, owner, now).is_some()
                || asks && owner.until().is_some_and(|until| now < until)
        };
        let early = early(&self.scene);
        let free = device.ledger().pockets().filter(|pocket| {
            let owner = pocket.coin.as_ref().map(|(_, coin)| &coin.owner);
            pocket.is_ready()
                && !is_apart(pocket)
                && !device.is_lost(pocket)
                && !rests_on(&pocket.evidence, &early)
                && pocket.reserved_for(now).is_none()
                && owner.is_some_and(|owner| !is_locked(pocket, owner))
        });
        free.map(|pocket| pocket.amount().units()).filter(|units| *units > 0).max()
    }

    /// What is said to be paid is signed and receipted, and with its payee.
    pub(crate) fn is_paid(&self, payer: usize, payee: usize, done: &Done) {
        let Done::Paid(tx) = done else { return };
        let people = &self.scene.people;
        let state = people[payer].device().outgoing().get(tx).map(|outgoing| outgoing.state);
        let came = people[payee].device().incoming().contains_key(tx);
        let is_paid = state == Some(OutgoingState::Receipted) && came;
        assert!(is_paid, "life {}: {tx} is said to be paid: {state:?}, {came}", self.seed);
    }

    /// A code that is said to be made is of a payment that is signed.
    pub(crate) fn is_said(&self, payer: usize, given: &Given) {
        let device = self.scene.people[payer].device();
        let is_signed = |tx: &TxId| device.outgoing().get(tx).is_some_and(|o| o.is_signed());
        for (way, end) in &given.over {
            let Ok(done) = end else { continue };
            let is_made = matches!(done, Done::Paid(tx) if is_signed(tx));
            assert!(*way != Way::File || is_made, "life {}: {done:?}", self.seed);
        }
    }

    /// A newer card reaches everybody with its owner's next hello.
    fn cards_come(&mut self) {
        for one in 0..PEOPLE {
            self.renew_card(one);
            for other in (0..PEOPLE).filter(|other| *other != one) {
                let met = self.scene.meet(one, other);
                assert!(met.is_ok(), "life {}: {one} meets {other}: {met:?}", self.seed);
                let (card, id) = (self.scene.people[one].card(), self.scene.id(one));
                let known = &self.scene.people[other].device().contacts()[&id].card;
                assert!(**known == card, "life {}: {other} knows an old card", self.seed);
            }
        }
    }

    /// What is in memory is on the disk.
    fn is_durable(&mut self) {
        for one in 0..PEOPLE {
            let known = |device: &Device| {
                let payments = (device.outgoing().clone(), device.incoming().clone());
                format!("{:?}", (device.mode(), device.ledger(), device.contacts(), payments))
            };
            let before = known(self.scene.people[one].device());
            self.scene.people[one].start();
            let after = known(self.scene.people[one].device());
            assert!(before == after, "life {}: {one} is another after a restart", self.seed);
        }
    }

    /// All that anybody accepted is certified. Whoever came back may have paid on what came in by a step
    /// of which others told, whose history they settle.
    fn is_certified(&self) {
        let seed = self.seed;
        for (one, person) in self.scene.people.iter().enumerate() {
            let came_back = self.made.restored > 0 && one == self.careless;
            for incoming in person.device().incoming().values().filter(|i| i.accepted) {
                let tx = incoming.tx;
                assert!(
                    self.scene.network.certifies(&tx) && (incoming.settled || came_back),
                    "life {seed}: payment {tx} to {one} is not certified"
                );
            }
            assert!(person.device().forks().is_empty(), "life {seed}: a conviction");
        }
    }
}

/// What the key alone has signed under a lock that has not ended, which its payee takes then.
fn early(scene: &Scene) -> BTreeSet<TxId> {
    let is_early = |outgoing: &&Arc<Outgoing>| {
        let unlocks = outgoing.payment.commit.unlocks.iter();
        let mut pairs = unlocks.zip(outgoing.sources.iter());
        pairs.any(|(unlock, source)| {
            matches!(unlock, Unlock::Signature(_))
                && source.coin.owner.slot().is_some()
                && source.coin.owner.until() > Some(scene.now)
        })
    };
    let all = scene.people.iter().flat_map(|person| person.device().outgoing().values());
    all.filter(is_early).map(|outgoing| outgoing.tx).collect()
}

/// Whether something of it is in a history.
fn rests_on(evidence: &Evidence, early: &BTreeSet<TxId>) -> bool {
    !early.is_empty() && evidence.hops.iter().any(|hop| early.contains(&hop.tx.id()))
}
