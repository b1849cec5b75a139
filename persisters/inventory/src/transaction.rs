//! What every transaction of the inventory begins with after its positions: the locks, then the
//! extents.

use crate::error::InventoryError;
use crate::upserts::Covers;
use positions::hash;
use records::Version;
use records::extents::Extents;
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet};

/// The class of our advisory locks, so that they do not meet another program's.
const LOCK_CLASS: i32 = 0x7472_6962;

/// The lock of who purges: the first after those of [`slot`].
const PURGE_SLOT: i32 = 256;

/// How a transaction locks the types that it touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lock {
    /// For upserts and deletes: any number at a time.
    Shared,
    /// For an extent: alone.
    Exclusive,
}

/// Locks types of sources until the end of the transaction, always in the same order. The empty
/// type stands for all types: whoever locks one of them also shares that lock, so that an extent
/// over all types needs no other and reaches types that are just being met.
///
/// # Errors
/// [`InventoryError::Database`].
pub async fn lock(
    connection: &mut PgConnection,
    lock: Lock,
    types: &BTreeSet<(&str, &str)>,
) -> Result<(), InventoryError> {
    let mut slots = BTreeMap::new();
    for (source, kind) in types {
        for (slot, lock) in [(slot(source, ""), Lock::Shared), (slot(source, kind), lock)] {
            let known = slots.entry(slot).or_insert(lock);
            *known = lock.max(*known);
        }
    }
    let (slots, locks): (Vec<i32>, Vec<Lock>) = slots.into_iter().unzip();
    sqlx::query(
        "SELECT CASE WHEN exclusive THEN pg_advisory_xact_lock($1, slot) \
         ELSE pg_advisory_xact_lock_shared($1, slot) END \
         FROM unnest($2::int[], $3::boolean[]) WITH ORDINALITY AS i(slot, exclusive, ord) \
         ORDER BY ord",
    )
    .bind(LOCK_CLASS)
    .bind(slots)
    .bind(locks.into_iter().map(|lock| lock == Lock::Exclusive).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether this transaction is the only one that purges; never waits.
///
/// # Errors
/// [`InventoryError::Database`].
pub async fn try_lock_purge(connection: &mut PgConnection) -> Result<bool, InventoryError> {
    Ok(sqlx::query_scalar("SELECT pg_try_advisory_xact_lock($1, $2)")
        .bind(LOCK_CLASS)
        .bind(PURGE_SLOT)
        .fetch_one(connection)
        .await?)
}

/// The newest extents by source, of these types taken together (`''` stands for extents over all
/// types). To be read only in a statement after [`lock`].
///
/// # Errors
/// [`InventoryError::Database`].
pub async fn covers(
    connection: &mut PgConnection,
    types: &[&str],
    sources: &BTreeSet<&str>,
) -> Result<Covers, InventoryError> {
    let sources: Vec<&str> = sources.iter().copied().collect();
    let rows: Vec<(String, String, Option<String>, i64)> = sqlx::query_as(
        "SELECT source, from_id, to_id, version FROM tributary.extent \
         WHERE source = ANY($1) AND type = ANY($2) ORDER BY version",
    )
    .bind(sources)
    .bind(types)
    .fetch_all(connection)
    .await?;
    let mut covers = BTreeMap::<String, Extents>::new();
    for (source, from, to, version) in rows {
        let extents = covers.entry(source).or_default();
        extents.insert(&from, to.as_deref(), Version::from_micros(version));
    }
    Ok(covers.into_iter().collect())
}

/// The lock of a source's type: one of 256 slots, by FNV-1a over source, a separator and type.
#[must_use]
pub fn slot(source: &str, kind: &str) -> i32 {
    let bytes = source.bytes().chain([0]).chain(kind.bytes());
    let hash = hash(bytes);
    i32::from((hash ^ (hash >> 32)).to_le_bytes()[0])
}

/// The tables of entity types: that of one, if there is one already, or all.
///
/// # Errors
/// [`InventoryError::Database`].
pub async fn tables(
    connection: &mut PgConnection,
    entity_type: Option<&str>,
) -> Result<Vec<String>, InventoryError> {
    Ok(sqlx::query_scalar(
        "SELECT tablename::text FROM pg_catalog.pg_tables \
         WHERE schemaname = 'inventory_all' AND ($1::text IS NULL OR tablename = $1) ORDER BY 1",
    )
    .bind(entity_type)
    .fetch_all(connection)
    .await?)
}
