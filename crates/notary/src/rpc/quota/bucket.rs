//! Hold a caller to a rate, in two words of memory.

use std::time::Duration;

/// The smallest burst that is let through at once: one array of calls.
const MIN_BURST: u32 = crate::call::MAX_CALLS as u32;

/// When a caller who always asked at its rate would be due again. Up to a second's worth may come at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bucket {
    due: Duration,
}

impl Bucket {
    /// Takes `calls` calls at time `now`, or says how long to wait until they would be taken.
    pub(super) fn take(&mut self, rate: u32, calls: u32, now: Duration) -> Result<(), Duration> {
        let spacing = Duration::from_secs(1) / rate.max(1);
        let burst = spacing * rate.max(MIN_BURST);
        let due = self.due.max(now) + spacing * calls;
        match due.checked_sub(now + burst) {
            Some(early) if !early.is_zero() => Err(early),
            _ => {
                self.due = due;
                Ok(())
            }
        }
    }

    /// Whether forgetting it changes nothing.
    pub(super) fn is_idle(&self, now: Duration) -> bool {
        self.due <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Over any time, no more passes than the burst and the rate give.
        #[test]
        fn the_rate_holds_over_any_time(
            rate in 1u32..500,
            asked in prop::collection::vec((0u64..2_000, 1u32..16), 1..200),
        ) {
            let (mut bucket, mut now, mut passed) = (Bucket::default(), Duration::ZERO, 0u64);
            for (wait, calls) in asked {
                now += Duration::from_millis(wait);
                if bucket.take(rate, calls, now).is_ok() {
                    passed += u64::from(calls);
                }
            }
            let most = f64::from(rate) * now.as_secs_f64() + f64::from(rate.max(MIN_BURST));
            prop_assert!(passed as f64 <= most * 1.001 + 1.0, "{passed} of {most}");
        }

        #[test]
        fn who_waits_as_told_is_let_through(rate in 1u32..500, calls in 1u32..16) {
            let (mut bucket, mut now) = (Bucket::default(), Duration::ZERO);
            for _ in 0..100 {
                if let Err(wait) = bucket.take(rate, calls, now) {
                    now += wait;
                    prop_assert_eq!(bucket.take(rate, calls, now), Ok(()));
                }
            }
        }
    }
}
