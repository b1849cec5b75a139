//! Versions under a lease: strictly growing, and never above the ceiling that is acknowledged.

use crate::Closed;
use records::Version;
use std::sync::Arc;
use tokio::sync::{Mutex, watch};

/// Issues a source's versions. Clones share the last one issued.
#[derive(Debug, Clone)]
pub struct Clock {
    last: Arc<Mutex<Version>>,
    ceiling: watch::Receiver<Version>,
}

/// The engine's end of a clock: what may be issued.
#[derive(Debug)]
pub struct Issuer(watch::Sender<Version>);

impl Issuer {
    /// Lets versions up to `ceiling` be issued.
    pub fn raise(&self, ceiling: Version) {
        self.0.send_if_modified(|current| {
            let higher = ceiling > *current;
            *current = (*current).max(ceiling);
            higher
        });
    }
}

impl Clock {
    /// A clock whose versions are all above `floor`; none is issued before the first
    /// [`Issuer::raise`] above it.
    #[must_use]
    pub fn above(floor: Version) -> (Self, Issuer) {
        let (raise, ceiling) = watch::channel(floor);
        (Self { last: Arc::new(Mutex::new(floor)), ceiling }, Issuer(raise))
    }

    /// The machine's time, or the version after the last one if that is later; waits until the
    /// lease covers it.
    ///
    /// # Errors
    /// [`Closed`] when the issuer is gone.
    pub async fn issue(&self) -> Result<Version, Closed> {
        let mut last = self.last.lock().await;
        let mut ceiling = self.ceiling.clone();
        let version = Version::now().max(last.next());
        ceiling.wait_for(|ceiling| *ceiling >= version).await.map_err(|_| Closed)?;
        *last = version;
        Ok(version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn versions_grow_and_stay_under_the_lease() {
        let floor = Version::now().plus(Duration::from_secs(60));
        let (clock, issuer) = Clock::above(floor);
        issuer.raise(floor.next().next());
        assert_eq!(clock.issue().await.unwrap(), floor.next());
        assert_eq!(clock.issue().await.unwrap(), floor.next().next());
        let waiting = tokio::spawn({
            let clock = clock.clone();
            async move { clock.issue().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(issuer);
        assert_eq!(waiting.await.unwrap(), Err(Closed));
    }
}
