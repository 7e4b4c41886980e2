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

    /// Counts all that `other` has heard as heard.
    pub fn absorb(&mut self, other: &Self) {
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

/// The generation of the next hello to a contact: above all that were `said` to it and above what it was
/// `told` to be above, and no less than `now`, in microseconds by the sender's clock.
pub fn next_generation(said: u64, told: u64, now: u64) -> u64 {
    said.max(told).saturating_add(1).max(now)
}

#[cfg(test)]
mod tests;
