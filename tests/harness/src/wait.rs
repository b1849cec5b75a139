//! Waiting for a condition, with an end and an explanation.

use std::fmt::Display;
use std::time::{Duration, Instant};

use crate::Error;

/// How often a condition is looked at.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Looks at `condition` until it is `Ok`; `Err` carries what was seen instead.
///
/// ```ignore
/// wait_until("three rows", Duration::from_secs(10), async || match rows().await {
///     3 => Ok(()),
///     other => Err(format!("{other} rows")),
/// }).await?;
/// ```
///
/// # Errors
/// [`Error::Timeout`] with `what` and what was last seen.
pub async fn wait_until<T, Seen: Display>(
    what: &str,
    timeout: Duration,
    mut condition: impl AsyncFnMut() -> Result<T, Seen>,
) -> Result<T, Error> {
    let started = Instant::now();
    loop {
        let seen = match condition().await {
            Ok(value) => return Ok(value),
            Err(seen) => seen,
        };
        if started.elapsed() >= timeout {
            return Err(Error::Timeout {
                what: what.to_owned(),
                seconds: timeout.as_secs(),
                seen: seen.to_string(),
            });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
