//! Versions: moments at which a source was seen, in microseconds since the epoch.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment at which a source was seen to have a state: microseconds since 1970-01-01 UTC.
/// The higher version wins. Zero is "never".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Version(i64);

impl Version {
    /// Before everything.
    pub const NEVER: Self = Self(0);
    /// 2000-01-01: an older version is a mistake of a clock or of a unit.
    pub const OLDEST_VALID: Self = Self(946_684_800_000_000);
    /// How far ahead of the reader's clock a version may be.
    pub const AHEAD_MAX: Duration = Duration::from_mins(10);

    /// From microseconds since the epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// The machine's clock.
    #[must_use]
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    /// This version, later by `duration`.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// This version, earlier by `duration`.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// The next version: the smallest that is higher.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The age at `now` in seconds; negative for a version from the future.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "an age in seconds needs no 64 bits")]
    pub fn age_seconds(self, now: Self) -> f64 {
        (now.0 - self.0) as f64 / 1e6
    }

    /// Whether a record with this version may be applied at `now`: not before 2000, and not more
    /// than ten minutes ahead (one bad clock would otherwise freeze a source silently).
    #[must_use]
    pub fn is_plausible(self, now: Self) -> bool {
        self >= Self::OLDEST_VALID && self <= now.plus(Self::AHEAD_MAX)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_lie_are_implausible() {
        let now = Version::now();
        assert!(now.is_plausible(now));
        assert!(!now.plus(Duration::from_secs(601)).is_plausible(now));
        assert!(!Version::from_micros(1_700_000_000).is_plausible(now), "seconds, not micros");
    }
}
