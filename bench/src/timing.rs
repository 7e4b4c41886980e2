//! Time things, and say what is usual and what is not.

use std::time::{Duration, Instant};

/// Durations of one thing that was done often, shortest first.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<Duration>);

impl Samples {
    /// Takes durations in any order.
    pub fn new(mut durations: Vec<Duration>) -> Self {
        durations.sort_unstable();
        Self(durations)
    }

    /// Does something so often, and times each time.
    pub fn of(times: usize, mut work: impl FnMut()) -> Self {
        Self::new((0..times).map(|_| time(&mut work)).collect())
    }

    /// The duration below which this part of all durations is, in microseconds; 0 without samples.
    pub fn at(&self, part: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        let index = (part * self.0.len() as f64) as usize;
        self.0.get(index.min(last)).map_or(0.0, |d| d.as_secs_f64() * 1e6)
    }

    /// The usual duration, in microseconds.
    pub fn median(&self) -> f64 {
        self.at(0.5)
    }
}

/// How long `work` takes once.
pub fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// The usual time of one of `each` in microseconds, for what is too short to time alone.
pub fn per_one(rounds: usize, each: usize, mut work: impl FnMut()) -> f64 {
    Samples::of(rounds, || (0..each).for_each(|_| work())).median() / each as f64
}
