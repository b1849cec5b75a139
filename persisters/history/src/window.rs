//! Which moments are kept.

use records::Version;
use std::ops::RangeInclusive;
use std::time::Duration;

/// How far ahead of the clock a moment may be.
const AHEAD_MAX: Duration = Duration::from_hours(24);

/// A day, in microseconds.
pub(crate) const DAY_MICROS: i64 = 86_400_000_000;

/// The moments that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    from: Version,
    to: Version,
}

impl Window {
    /// The moments that are kept at `now`: not older than the retention, not more than a day ahead.
    #[must_use]
    pub fn at(now: Version, retention: Duration) -> Self {
        Self { from: now.minus(retention), to: now.plus(AHEAD_MAX) }
    }

    /// Checks a moment.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn check(&self, moment: Version) -> Result<(), String> {
        if moment < self.from {
            return Err(format!(
                "moment {moment} is older than what is kept, which begins at {}: raise the \
                 retention in the persister's settings if it is wanted",
                self.from
            ));
        }
        if moment > self.to {
            return Err(format!(
                "moment {moment} is more than a day ahead of the clock: is it in microseconds?"
            ));
        }
        Ok(())
    }
}

/// The days (UTC, counted since the epoch) from one moment to another.
pub(crate) const fn days(first: Version, last: Version) -> RangeInclusive<i64> {
    first.micros().div_euclid(DAY_MICROS)..=last.micros().div_euclid(DAY_MICROS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_old_and_too_far_ahead_are_told_apart() {
        let now = Version::from_micros(100 * DAY_MICROS);
        let window = Window::at(now, Duration::from_hours(48));
        let check =
            |day: i64, micros| window.check(Version::from_micros(day * DAY_MICROS + micros));
        assert_eq!(check(98, 0), Ok(()));
        assert_eq!(check(101, 0), Ok(()));
        assert!(check(98, -1).unwrap_err().contains("older"));
        assert!(check(101, 1).unwrap_err().contains("ahead"));
    }

    #[test]
    fn days_begin_at_midnight() {
        let moment = |micros| Version::from_micros(micros);
        assert_eq!(days(moment(DAY_MICROS - 1), moment(DAY_MICROS)), 0..=1);
        assert_eq!(days(moment(-1), moment(-1)), -1..=-1);
    }
}
