//! A failure that goes on is told once, and again after a while: not at each of its tries.

use crate::error::PersistError;
use crate::metrics::Lane;
use std::time::{Duration, Instant};

/// How often the same failure is told.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// What was told last.
#[derive(Debug, Default)]
pub struct Trouble(Option<Told>);

#[derive(Debug)]
struct Told {
    text: String,
    at: Instant,
    since: Instant,
}

impl Trouble {
    /// Tells a failure of a lane, unless it was told just before.
    pub fn tell(&mut self, lane: Lane, error: &PersistError) {
        let (text, at) = (chassis::exit::chain(error), Instant::now());
        if self.is_known(&text) {
            tracing::debug!(?lane, "{text}");
            return;
        }
        tracing::warn!(?lane, "{text}");
        let since = self.0.as_ref().map_or(at, |told| told.since);
        self.0 = Some(Told { text, at, since });
    }

    fn is_known(&self, text: &str) -> bool {
        self.0.as_ref().is_some_and(|told| told.text == text && told.at.elapsed() < TELL_EVERY)
    }

    /// Tells that it is over, if there was any.
    pub fn end(&mut self, lane: Lane) {
        if let Some(told) = self.0.take() {
            let seconds = told.since.elapsed().as_secs();
            tracing::info!(?lane, seconds, "records are applied again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_failure_is_told_once_and_another_one_at_once() {
        let mut trouble = Trouble::default();
        trouble.tell(Lane::Live, &PersistError::Fenced);
        assert!(trouble.is_known(&PersistError::Fenced.to_string()));
        assert!(!trouble.is_known(&PersistError::OtherRegistry(1).to_string()));
        trouble.end(Lane::Live);
        assert!(!trouble.is_known(&PersistError::Fenced.to_string()));
    }
}
