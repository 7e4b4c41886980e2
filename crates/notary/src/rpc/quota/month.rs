//! Months of the calendar, in UTC, from Unix time.

use serde::{Deserialize, Serialize};
use tally_core::time::Time;

const DAY: u64 = 86_400;

/// A month: 12 times the year, and the month from 0 on.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub(super) struct Month(u64);

impl Month {
    /// The month of a time.
    pub(super) fn of(time: Time) -> Self {
        // Days are counted from 1 March of year 0, so that a leap day ends its year; years of that
        // calendar repeat each 400 (Howard Hinnant, "chrono-compatible low-level date algorithms").
        let days = time.unix() / DAY + 719_468;
        let (era, day) = (days / 146_097, days % 146_097);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let of_year = day - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        Self(12 * (400 * era + year) + month + 2)
    }

    /// The month after.
    pub(super) fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// When it begins.
    pub(super) fn starts(self) -> Time {
        let shifted = self.0.saturating_sub(2);
        let (year, month) = (shifted / 12, shifted % 12);
        let (era, of_era) = (year / 400, year % 400);
        let days = 146_097 * era + 365 * of_era + of_era / 4 - of_era / 100 + (153 * month + 2) / 5;
        Time::from_unix(days.saturating_sub(719_468) * DAY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_begin_where_the_calendar_says() {
        for (seconds, year, month) in [
            (0, 1970, 1),
            (951_782_400, 2000, 2),   // 29 February 2000
            (1_709_251_199, 2024, 2), // the last second of 29 February 2024
            (1_709_251_200, 2024, 3),
            (1_798_761_599, 2026, 12),
            (1_798_761_600, 2027, 1),
            (4_107_542_400, 2100, 3), // 2100 has no 29 February
        ] {
            let found = Month::of(Time::from_unix(seconds));
            assert_eq!(found, Month(12 * year + month - 1), "{seconds}");
            assert!(found.starts() <= Time::from_unix(seconds));
            assert!(found.next().starts() > Time::from_unix(seconds));
        }
    }

    #[test]
    fn every_month_begins_in_itself_and_just_after_the_one_before() {
        let mut month = Month::of(Time::from_unix(0));
        for _ in 0..12 * 500 {
            let next = month.next();
            assert_eq!(Month::of(next.starts()), next);
            assert_eq!(Month::of(Time::from_unix(next.starts().unix() - 1)), month);
            month = next;
        }
    }
}
