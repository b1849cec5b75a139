//! Applies an extent to the tables that it is about, and keeps its range.

use crate::error::InventoryError;
use crate::sweep::sweep;
use crate::transaction::{Lock, covers, lock, tables};
use crate::upserts::Counts;
use records::Version;
use records::contract::Extent;
use sqlx::PgConnection;
use std::collections::BTreeSet;

/// Applies an extent to its type, or to all types, inside of the caller's transaction; which tables
/// there are is asked under the lock.
///
/// # Errors
/// [`InventoryError`]; the transaction must then be rolled back.
pub async fn apply_extent(
    connection: &mut PgConnection,
    extent: &Extent,
) -> Result<Counts, InventoryError> {
    let own = extent.entity_type.as_deref().unwrap_or_default();
    lock(connection, Lock::Exclusive, &BTreeSet::from([(extent.source.as_str(), own)])).await?;
    let tables = tables(connection, extent.entity_type.as_deref()).await?;
    let version = Version::from_micros(extent.version);
    let source = BTreeSet::from([extent.source.as_str()]);
    let mut changed = 0;
    for table in &tables {
        let known = covers(connection, &[table, ""], &source).await?.remove(&extent.source);
        let parts =
            known.unwrap_or_default().newer_parts(&extent.from, extent.to.as_deref(), version);
        for part in &parts {
            changed += sweep(connection, table, extent, part).await?;
        }
    }
    keep(connection, (extent, own)).await?;
    Ok(Counts { applied: 1, unchanged: u64::from(changed == 0), rows_changed: changed })
}

/// Adds the extent to the ranges that are kept of its own type.
async fn keep(
    connection: &mut PgConnection,
    (extent, own): (&Extent, &str),
) -> Result<(), InventoryError> {
    let source = BTreeSet::from([extent.source.as_str()]);
    let mut ranges =
        covers(connection, &[own], &source).await?.remove(&extent.source).unwrap_or_default();
    ranges.insert(&extent.from, extent.to.as_deref(), Version::from_micros(extent.version));
    let ranges: Vec<_> = ranges
        .ranges()
        .map(|(from, to, version)| (from.to_owned(), to.map(str::to_owned), version.micros()))
        .collect();
    remember(connection, (&extent.source, own), &ranges).await
}

/// Replaces the ranges that are kept for a source's type (`''`: for all its types).
async fn remember(
    connection: &mut PgConnection,
    (source, kind): (&str, &str),
    ranges: &[(String, Option<String>, i64)],
) -> Result<(), InventoryError> {
    let starts: Vec<String> = ranges.iter().map(|range| range.0.clone()).collect();
    let ends: Vec<Option<String>> = ranges.iter().map(|range| range.1.clone()).collect();
    let versions: Vec<i64> = ranges.iter().map(|range| range.2).collect();
    sqlx::query("DELETE FROM tributary.extent WHERE source = $1 AND type = $2")
        .bind(source)
        .bind(kind)
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "INSERT INTO tributary.extent (source, type, from_id, to_id, version) \
         SELECT $1, $2, * FROM unnest($3::text[], $4::text[], $5::bigint[])",
    )
    .bind(source)
    .bind(kind)
    .bind(starts)
    .bind(ends)
    .bind(versions)
    .execute(&mut *connection)
    .await?;
    Ok(())
}
