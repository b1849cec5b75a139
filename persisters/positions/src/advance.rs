//! How a transaction moves the positions of what it applies.

use crate::{Owner, PositionError, Stamp};
use records::{Offset, Partition};
use sqlx::PgConnection;

/// From where to where a transaction moves a partition's position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advance {
    /// The partition.
    pub partition: Partition,
    /// Where the table must say that it is.
    pub expected: Offset,
    /// Where it is after this transaction.
    pub next: Offset,
    /// The record before that, if it is one.
    pub last: Option<Stamp>,
    /// The first record that is skipped because its type waits.
    pub skipped: Option<Offset>,
}

/// Moves the positions; gives whether all were still ours and where we think they are. If not, the
/// transaction must be rolled back.
///
/// # Errors
/// [`PositionError::Database`].
pub async fn advance(
    connection: &mut PgConnection,
    owner: &Owner,
    advances: &[Advance],
) -> Result<bool, PositionError> {
    let partitions: Vec<i32> = advances.iter().map(|a| a.partition.0).collect();
    let done = sqlx::query(
        "UPDATE tributary.position AS p SET next_offset = i.next, updated_at = now(), \
         last_timestamp_ms = i.timestamp_ms, last_key_hash = i.key_hash, \
         skipped_from = least(p.skipped_from, i.skipped) \
         FROM unnest($3::int[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], \
         $8::bigint[]) AS i(partition, expected, next, timestamp_ms, key_hash, skipped) \
         WHERE p.topic = $1 AND p.owner = $2 AND p.partition = i.partition \
         AND p.next_offset = i.expected",
    )
    .bind(&owner.topic)
    .bind(&owner.member)
    .bind(partitions)
    .bind(advances.iter().map(|a| a.expected.0).collect::<Vec<_>>())
    .bind(advances.iter().map(|a| a.next.0).collect::<Vec<_>>())
    .bind(advances.iter().map(|a| a.last.map(|last| last.timestamp_ms)).collect::<Vec<_>>())
    .bind(advances.iter().map(|a| a.last.map(|last| last.key_hash)).collect::<Vec<_>>())
    .bind(advances.iter().map(|a| a.skipped.map(|offset| offset.0)).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == advances.len() as u64)
}
