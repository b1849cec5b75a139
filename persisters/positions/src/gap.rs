//! What was never applied, for people: `tributary.gap`.

use crate::PositionError;
use records::{Offset, Partition};
use sqlx::PgConnection;

/// Offsets that were never applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The partition.
    pub partition: Partition,
    /// The first offset.
    pub from: Offset,
    /// The offset after them; `None`: unknown.
    pub to: Option<Offset>,
    /// How it came.
    pub reason: &'static str,
}

/// Writes down gaps of a topic.
///
/// # Errors
/// [`PositionError::Database`].
pub async fn record(
    connection: &mut PgConnection,
    topic: &str,
    gaps: &[Gap],
) -> Result<(), PositionError> {
    sqlx::query(
        "INSERT INTO tributary.gap (topic, partition, from_offset, to_offset, reason) \
         SELECT $1, * FROM unnest($2::int[], $3::bigint[], $4::bigint[], $5::text[])",
    )
    .bind(topic)
    .bind(gaps.iter().map(|gap| gap.partition.0).collect::<Vec<_>>())
    .bind(gaps.iter().map(|gap| gap.from.0).collect::<Vec<_>>())
    .bind(gaps.iter().map(|gap| gap.to.map(|to| to.0)).collect::<Vec<_>>())
    .bind(gaps.iter().map(|gap| gap.reason).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}
