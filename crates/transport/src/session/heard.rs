//! Remember which hellos of a contact were heard, so that none is heard twice.
//!
//! A hello that came again would open its session again, and an answer in it would be encrypted with
//! keys that were used. So what is kept must say *no* to every hello that was ever heard, in bounded
//! room. Generations grow with the sender's clock, and one number would do, the greatest heard, if no
//! clock were ever wrong: a hello from the year 2040 would then shut its sender out until 2040.
//!
//! Hence the greatest generation counts only up to the receiver's own clock. What is ahead of it is kept
//! as runs, and a sender whose clock came back is heard below them.

use alloc::vec::Vec;

/// Most runs of generations that were ahead of the receiver's clock. Beyond it the two closest become
/// one, which says no to what is between them.
pub const MAX_AHEAD: usize = 8;
/// Furthest that the clock of somebody who is no contact may be ahead, in microseconds: ten minutes.
pub const MARGIN: u64 = 10 * 60 * 1_000_000;

/// The generations that were heard of one contact, in microseconds since 1970 or above.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Heard {
    floor: u64,
    /// First and last of each run; ascending, apart, above the floor.
    ahead: Vec<(u64, u64)>,
}

impl Heard {
    /// What was stored: see [`Heard::floor`] and [`Heard::ahead`]. Nothing if no `Heard` is so.
    pub fn of(floor: u64, ahead: Vec<(u64, u64)>) -> Option<Self> {
        let mut last = floor;
        let ascends = |(first, end): &(u64, u64)| {
            let apart = *first > last && end >= first;
            last = *end;
            apart
        };
        (ahead.len() <= MAX_AHEAD && ahead.iter().all(ascends)).then_some(Self { floor, ahead })
    }

    /// Every generation up to this one counts as heard.
    pub fn floor(&self) -> u64 {
        self.floor
    }

    /// The runs above it, first and last of each.
    pub fn ahead(&self) -> &[(u64, u64)] {
        &self.ahead
    }

    /// The greatest that was heard: a sender that begins above it is heard, whatever its clock says.
    pub fn greatest(&self) -> u64 {
        self.ahead.last().map_or(self.floor, |(_, last)| *last)
    }

    /// Whether a hello of this generation may be heard.
    pub fn is_new(&self, generation: u64) -> bool {
        let within = |(first, last): &(u64, u64)| (*first..=*last).contains(&generation);
        generation > self.floor && !self.ahead.iter().any(within)
    }

    /// Notes a hello, at `now` in microseconds by the receiver's clock. Says whether it is new; one that
    /// is not changes nothing and is refused.
    pub fn note(&mut self, generation: u64, now: u64) -> bool {
        let new = self.is_new(generation);
        if new && generation <= now {
            self.raise(generation);
        } else if new {
            self.add((generation, generation));
        }
        new
    }

    /// One in which all counts as heard up to here.
    fn up_to(floor: u64) -> Self {
        Self { floor, ahead: Vec::new() }
    }

    /// Counts all that `other` has heard as heard.
    fn absorb(&mut self, other: &Self) {
        if other.floor > self.floor {
            self.raise(other.floor);
        }
        let floor = self.floor;
        other.ahead.iter().filter(|(_, last)| *last > floor).for_each(|run| self.add(*run));
    }

    fn raise(&mut self, floor: u64) {
        self.floor = floor;
        self.ahead.retain(|(_, last)| *last > floor);
        if let Some((first, _)) = self.ahead.first_mut() {
            *first = (*first).max(floor.saturating_add(1));
        }
    }

    fn add(&mut self, run: (u64, u64)) {
        let at = self.ahead.partition_point(|(first, _)| *first < run.0);
        self.ahead.insert(at, (run.0.max(self.floor.saturating_add(1)), run.1));
        while let Some(at) = self.closest() {
            if self.gap(at) > 1 && self.ahead.len() <= MAX_AHEAD {
                break;
            }
            let (_, last) = self.ahead.remove(at + 1);
            self.ahead[at].1 = self.ahead[at].1.max(last);
        }
    }

    /// The run that is followed most closely by the next.
    fn closest(&self) -> Option<usize> {
        (0..self.ahead.len().saturating_sub(1)).min_by_key(|at| self.gap(*at))
    }

    fn gap(&self, at: usize) -> u64 {
        self.ahead[at + 1].0.saturating_sub(self.ahead[at].1)
    }
}

/// What was heard of whoever is forgotten, of all of them together.
///
/// Strangers come and go as they like, and no clock of theirs counts for others: whoever is no contact is
/// heard only up to [`MARGIN`] ahead of the receiver's clock, and of who is forgotten a floor is left,
/// no further ahead. Contacts whom the owner removed are kept apart: they may be added again, and whom
/// the owner adds is not concerned by what strangers said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gone {
    /// Up to here all counts as heard of whoever is no contact.
    pub strangers: u64,
    /// What counts as heard of whom the owner adds.
    pub removed: Heard,
}

impl Gone {
    /// What counts as heard of somebody of whom nothing is kept.
    pub fn heard(&self, is_contact: bool) -> Heard {
        if is_contact { self.removed.clone() } else { Heard::up_to(self.strangers) }
    }

    /// Whether a hello of somebody who is no contact is not too far ahead of the receiver's clock: or of
    /// what a plea told them, as after that clock was ahead itself.
    pub fn admits(&self, generation: u64, now: u64) -> bool {
        generation <= self.most(now)
    }

    /// Forgets somebody at `now`, of whom so much was heard.
    pub fn forget(&mut self, heard: &Heard, now: u64, was_contact: bool) {
        let floor = heard.greatest().min(self.most(now));
        self.strangers = self.strangers.max(floor);
        if was_contact {
            self.removed.absorb(heard);
        }
    }

    fn most(&self, now: u64) -> u64 {
        now.saturating_add(MARGIN).max(self.strangers.saturating_add(1))
    }
}

/// The generation of the next hello to a contact: above all that were `said` to it and above what it was
/// `told` to be above, and no less than `now`, in microseconds by the sender's clock.
///
/// What was said by a clock that was far ahead counts only if it was `answered`: else it may have been
/// refused, as would be all that is above it. Whoever tells what they heard was not told more.
pub fn next_generation(said: u64, answered: bool, told: u64, now: u64) -> u64 {
    let counts = said <= now.saturating_add(MARGIN) || (answered && told == 0);
    let said = if counts { said } else { 0 };
    said.max(told).saturating_add(1).max(now)
}

#[cfg(test)]
mod tests;
