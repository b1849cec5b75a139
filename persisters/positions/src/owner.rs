//! Who moves positions, and what they remember of the last record.

use crate::PositionError;
use records::Partition;
use sqlx::PgConnection;
use wire::Incoming;

/// Who moves positions, and of what.
#[derive(Debug, Clone)]
pub struct Owner {
    /// The topic.
    pub topic: String,
    /// This process, unique per start.
    pub member: String,
}

/// What tells a record from others that might have its offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Its time, in milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// A hash of its key.
    pub key_hash: i64,
}

impl Stamp {
    /// Of a fetched record.
    #[must_use]
    pub fn of(record: &Incoming) -> Self {
        let key = record.key.as_deref().unwrap_or_default();
        Self {
            timestamp_ms: record.timestamp_ms.unwrap_or_default(),
            key_hash: hash(key.iter().copied()).cast_signed(),
        }
    }
}

/// FNV-1a, 64 bits.
pub fn hash(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Makes this member the owner of partitions; those that nothing is known of begin at zero.
///
/// # Errors
/// [`PositionError::Database`].
pub async fn take_over(
    connection: &mut PgConnection,
    owner: &Owner,
    partitions: &[Partition],
) -> Result<(), PositionError> {
    sqlx::query(
        "INSERT INTO tributary.position AS p (topic, partition, next_offset, owner) \
         SELECT $1, i, 0, $2 FROM unnest($3::int[]) AS i \
         ON CONFLICT (topic, partition) DO UPDATE SET owner = excluded.owner, updated_at = now()",
    )
    .bind(&owner.topic)
    .bind(&owner.member)
    .bind(partitions.iter().map(|p| p.0).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}
