//! A failure that goes on is told once, and again after a while: not at each of its tries.

use crate::exit::chain;
use std::error::Error;
use std::time::{Duration, Instant};

/// How often the same failure is told.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// What was told last of somebody's failures.
#[derive(Debug)]
pub struct Trouble {
    whose: String,
    told: Option<Told>,
}

#[derive(Debug)]
struct Told {
    text: String,
    at: Instant,
    since: Instant,
}

impl Trouble {
    /// Nothing yet.
    #[must_use]
    pub const fn of(whose: String) -> Self {
        Self { whose, told: None }
    }

    /// Tells a failure, unless it was told just before.
    pub fn tell(&mut self, error: &dyn Error) {
        let (text, at) = (chain(error), Instant::now());
        if self.is_known(&text) {
            tracing::debug!(whose = self.whose, "{text}");
            return;
        }
        tracing::warn!(whose = self.whose, "{text}");
        let since = self.told.as_ref().map_or(at, |told| told.since);
        self.told = Some(Told { text, at, since });
    }

    fn is_known(&self, text: &str) -> bool {
        self.told.as_ref().is_some_and(|told| told.text == text && told.at.elapsed() < TELL_EVERY)
    }

    /// Tells that it is over, if there was any.
    pub fn end(&mut self) {
        if let Some(told) = self.told.take() {
            let seconds = told.since.elapsed().as_secs();
            tracing::info!(whose = self.whose, seconds, "works again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_failure_is_told_once_and_another_one_at_once() {
        let mut trouble = Trouble::of("lane".to_owned());
        trouble.tell(&std::fmt::Error);
        let text = std::fmt::Error.to_string();
        assert!(trouble.is_known(&text));
        assert!(!trouble.is_known("another"));
        trouble.end();
        assert!(!trouble.is_known(&text));
    }
}
