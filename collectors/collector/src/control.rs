//! What the orchestrator wants: the newest directive of the source, until it expires.

use crate::CollectError;
use crate::context::Context;
use records::contract::Directive;
use records::{Topic, Version};
use std::time::Duration;
use tokio::sync::watch;

/// What is wanted now. The default is what holds without a directive.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Wishes {
    /// Collect nothing.
    pub is_paused: bool,
    /// A listing at least as new as this is wanted.
    pub listing_since: Option<Version>,
    /// The most records per second for full refreshes.
    pub bulk_records_per_second: Option<f64>,
}

impl Wishes {
    /// What a directive wants at `now`. Nothing can be newer than now.
    fn of(directive: &Directive, now: Version) -> Self {
        if directive.expires_at <= now.micros() {
            return Self::default();
        }
        let since = directive.listing_wanted_since.map(Version::from_micros);
        Self {
            is_paused: directive.paused,
            listing_since: since.map(|since| since.min(now)),
            bulk_records_per_second: directive.bulk_records_per_second.filter(|r| r.is_finite()),
        }
    }
}

/// Tells `wishes` whenever they change, for ever.
///
/// # Errors
/// Kafka's.
pub async fn follow(context: Context, wishes: watch::Sender<Wishes>) -> Result<(), CollectError> {
    let mut table = context.table(Topic::Control, context.source.as_str()).await?;
    let mut payload = table.history().await?.and_then(|newest| newest.payload);
    loop {
        let directive = read(&context, payload.as_deref()).await;
        let now = Version::now();
        let wanted = directive.as_ref().map(|d| Wishes::of(d, now)).unwrap_or_default();
        wishes.send_if_modified(|current| std::mem::replace(current, wanted) != wanted);
        tokio::select! {
            value = table.values.recv() => {
                payload = value.ok_or(wire::KafkaProblem::Stopped)?.payload;
            }
            () = expiry(directive.as_ref(), now) => {}
        }
    }
}

/// A directive that can't be read is as good as none: the safe defaults hold.
async fn read(context: &Context, payload: Option<&[u8]>) -> Option<Directive> {
    match context.decode(Topic::Control, payload?).await {
        Ok(directive) => Some(directive),
        Err(error) => {
            context.metrics.failed("control");
            tracing::warn!("{error}; going on without it");
            None
        }
    }
}

/// Returns when the directive expires.
async fn expiry(directive: Option<&Directive>, now: Version) {
    let left = directive.map_or(0, |directive| directive.expires_at - now.micros());
    match u64::try_from(left) {
        Ok(left @ 1..) => tokio::time::sleep(Duration::from_micros(left)).await,
        _ => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directive_holds_until_it_expires() {
        let now = Version::from_micros(1_000);
        let mut directive = Directive {
            source: "vc1".to_owned(),
            paused: true,
            bulk_records_per_second: Some(5.0),
            listing_wanted_since: Some(2_000),
            scope: None,
            expires_at: 1_001,
        };
        let wishes = Wishes::of(&directive, now);
        assert!(wishes.is_paused);
        assert_eq!(wishes.listing_since, Some(now), "nothing is newer than now");
        assert_eq!(wishes, Wishes::of(&directive, now), "a state, not a command");
        directive.expires_at = 1_000;
        assert_eq!(Wishes::of(&directive, now), Wishes::default());
    }
}
