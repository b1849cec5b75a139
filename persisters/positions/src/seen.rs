//! When each source was last heard of: `tributary.source`. Each of them is asked for a refresh.

use crate::PositionError;
use sqlx::PgConnection;
use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

/// How often a source is written down at most, by each lane of each member.
const WRITE_EVERY: Duration = Duration::from_secs(5);

/// When sources were last written down.
#[derive(Debug, Default)]
pub struct Seen(HashMap<String, Instant>);

impl Seen {
    /// Those of these sources that are to be written down now.
    #[must_use]
    pub fn due(&mut self, sources: BTreeSet<&str>) -> Vec<String> {
        let now = Instant::now();
        let is_due = |source: &&str| {
            self.0.get(*source).is_none_or(|at| now.duration_since(*at) >= WRITE_EVERY)
        };
        let due: Vec<String> = sources.into_iter().filter(is_due).map(str::to_owned).collect();
        self.0.extend(due.iter().map(|source| (source.clone(), now)));
        due
    }
}

/// Writes sources down, in a transaction of its own: no lane waits for another's rows.
///
/// # Errors
/// What PostgreSQL said.
pub async fn remember(
    connection: &mut PgConnection,
    sources: &[String],
) -> Result<(), PositionError> {
    if sources.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO tributary.source (source, seen_at) SELECT i, now() FROM unnest($1::text[]) \
         AS i ON CONFLICT (source) DO UPDATE SET seen_at = now()",
    )
    .bind(sources)
    .execute(connection)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_not_due_again_at_once() {
        let mut seen = Seen::default();
        assert_eq!(seen.due(["a", "b"].into()), ["a", "b"]);
        assert_eq!(seen.due(["a", "c"].into()), ["c"]);
    }
}
