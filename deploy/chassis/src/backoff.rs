//! How long to wait before the next attempt.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// Exponential back-off with full jitter: a random time between zero and
/// `min(max, initial * 2^attempt)`, so that many programs that lost the same server do not return
/// together. The formula is "Full Jitter" of Marc Brooker, *Exponential Backoff And Jitter*,
/// AWS Architecture Blog, 2015.
#[derive(Debug, Clone)]
pub struct Backoff {
    initial: Duration,
    max: Duration,
    ceiling: Duration,
}

impl Backoff {
    /// The first wait is at most `initial`, and none is longer than `max`.
    #[must_use]
    pub fn new(initial: Duration, max: Duration) -> Self {
        Self { initial, max, ceiling: initial.min(max) }
    }

    /// How long to wait now; the limit doubles for the next time.
    pub fn next_delay(&mut self) -> Duration {
        let delay = self.ceiling.mul_f64(random_fraction());
        self.ceiling = self.ceiling.saturating_mul(2).min(self.max);
        delay
    }

    /// After a success: the next failure waits a short time again.
    pub fn reset(&mut self) {
        self.ceiling = self.initial.min(self.max);
    }
}

/// Between 0 and 1. The standard library seeds each of its hashers at random, which is all the
/// randomness that jitter needs.
fn random_fraction() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 32;
    f64::from(u32::try_from(bits).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_random_below_a_limit_that_doubles_up_to_the_maximum() {
        let seconds = Duration::from_secs;
        let mut backoff = Backoff::new(seconds(1), seconds(5));
        for limit in [1, 2, 4, 5, 5].map(seconds) {
            assert!(backoff.next_delay() <= limit);
        }
        backoff.reset();
        assert!(backoff.next_delay() <= seconds(1));
    }

    #[test]
    fn delays_use_the_whole_range() {
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(second, second);
        let delays: Vec<_> = (0..1000).map(|_| backoff.next_delay()).collect();
        assert!(delays.iter().any(|delay| *delay < second / 10));
        assert!(delays.iter().any(|delay| *delay > second * 9 / 10));
    }

    #[test]
    fn the_limit_never_overflows() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::MAX);
        assert!((0..200).map(|_| backoff.next_delay()).max() > Some(Duration::from_hours(1)));
    }
}
