//! When each source was last heard of: `tributary.source`.

use crate::decode::{Step, Work};
use crate::error::PersistError;
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

/// The sources of what was applied.
#[must_use]
pub fn sources(steps: &[Step]) -> BTreeSet<&str> {
    let mut sources = BTreeSet::new();
    for step in steps {
        match &step.work {
            Work::Extent(extent) => drop(sources.insert(extent.source.as_str())),
            Work::History(batch) => sources.extend(batch.sources()),
            Work::Changes(batches) => {
                sources.extend(batches.values().flat_map(plan::Batch::sources));
            }
        }
    }
    sources
}

/// Writes sources down, in a transaction of its own: no lane waits for another's rows.
///
/// # Errors
/// [`PersistError::Database`].
pub async fn remember(
    connection: &mut PgConnection,
    sources: &[String],
) -> Result<(), PersistError> {
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
