//! Counting what a provider asks its API.

use std::fmt;
use std::sync::Arc;

/// How a request to the provider's API ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered.
    Answered,
    /// It was refused, or there was no answer.
    Failed,
}

/// Counts requests; clones count together. The default one forgets them.
#[derive(Clone, Default)]
pub struct Requests(Option<Arc<dyn Fn(Outcome) + Send + Sync>>);

impl Requests {
    /// Tells each request to `count`.
    #[must_use]
    pub fn counted_by(count: impl Fn(Outcome) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(count)))
    }

    /// A request has ended.
    pub fn ended(&self, outcome: Outcome) {
        if let Some(count) = &self.0 {
            count(outcome);
        }
    }
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Requests")
    }
}
