//! Who moves positions, and what they remember of the last record.

use crate::PositionError;
use records::{Partition, Version};
use sqlx::PgConnection;
use std::fmt::{self, Display, Formatter};
use wire::Incoming;

/// A process in a consumer group.
#[derive(Debug, Clone)]
pub struct Member {
    /// The group.
    pub group: String,
    /// Its lasting name in the group.
    pub instance: Option<String>,
    /// When it was started.
    pub started: Version,
}

impl Member {
    /// Whether a process that was started later under the same lasting name has taken partitions
    /// over.
    ///
    /// # Errors
    /// [`PositionError::Database`].
    pub async fn is_replaced(&self, connection: &mut PgConnection) -> Result<bool, PositionError> {
        let owners: Vec<String> =
            sqlx::query_scalar("SELECT DISTINCT owner FROM tributary.position")
                .fetch_all(connection)
                .await?;
        Ok(owners.iter().any(|owner| self.is_older_than(owner)))
    }

    fn is_older_than(&self, owner: &str) -> bool {
        self.started_as(owner).is_some_and(|started| started > self.started.micros())
    }

    /// Whether this is a later start of a position's owner.
    pub(crate) fn is_newer_than(&self, owner: &str) -> bool {
        self.started_as(owner).is_some_and(|started| started < self.started.micros())
    }

    /// When an owner of the same lasting name was started.
    fn started_as(&self, owner: &str) -> Option<i64> {
        self.instance.as_ref()?;
        owner.strip_prefix(&self.prefix())?.parse().ok()
    }

    fn prefix(&self) -> String {
        let instance = self.instance.as_deref().unwrap_or_default();
        format!("{}/{instance}@", self.group)
    }
}

/// As positions name their owner, such as `tributary-persister/slot-0@1795579295608177`.
impl Display for Member {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.prefix(), self.started.micros())
    }
}

/// Who moves positions, and of what.
#[derive(Debug, Clone)]
pub struct Owner {
    /// The topic.
    pub topic: String,
    /// The [`Member`], unique per start.
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
