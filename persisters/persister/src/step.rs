//! What one transaction does after its positions: locks, extents read, rows and ranges written.

use crate::error::PersistError;
use crate::licence::Licence;
use crate::sweep::{remember, sweep};
use crate::transaction::{Lock, covers, lock, slot};
use crate::types::Table;
use crate::upserts::{Apply, Counts};
use plan::Batch;
use records::contract::Extent;
use records::{TypeName, Version};
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Applies upserts and deletes, type by type.
///
/// # Errors
/// [`PersistError`]; the transaction must then be rolled back.
pub async fn changes(
    connection: &mut PgConnection,
    batches: &BTreeMap<TypeName, Batch>,
    tables: &HashMap<TypeName, Table>,
    licence: &Licence,
) -> Result<Counts, PersistError> {
    let mut total = Counts::default();
    lock(connection, Lock::Shared, slots_of(batches)).await?;
    for (entity_type, batch) in batches {
        let table = tables.get(entity_type).expect("decode has asked for it");
        let sources = batch.records().iter().map(|r| r.source.as_str()).collect();
        let covers = covers(connection, &[entity_type.as_str(), ""], &sources).await?;
        let (statements, licensed) = (&table.statements, licence.holds_for(entity_type));
        let apply = Apply { batch, statements, covers: &covers, licensed };
        let counts = apply.run(connection, &table.sets).await?;
        total += counts;
    }
    Ok(total)
}

/// The locks of the types that upserts and deletes touch.
#[must_use]
pub fn slots_of(batches: &BTreeMap<TypeName, Batch>) -> BTreeSet<i32> {
    let of_batch = |(entity_type, batch): (&TypeName, &Batch)| -> BTreeSet<i32> {
        let records = batch.records().iter();
        records.map(|r| slot(r.source.as_str(), entity_type.as_str())).collect()
    };
    batches.iter().flat_map(of_batch).collect()
}

/// Applies an extent to its type, or to all types.
///
/// # Errors
/// [`PersistError`]; the transaction must then be rolled back.
pub async fn extent(
    connection: &mut PgConnection,
    extent: &Extent,
) -> Result<Counts, PersistError> {
    let tables = tables(connection, extent.entity_type.as_deref()).await?;
    let own = extent.entity_type.as_deref().unwrap_or_default();
    let of_tables = tables.iter().map(|table| slot(&extent.source, table));
    let slots = of_tables.chain([slot(&extent.source, own)]).collect();
    lock(connection, Lock::Exclusive, slots).await?;
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
    keep(connection, extent, own).await?;
    Ok(Counts { applied: 1, unchanged: u64::from(changed == 0), rows_changed: changed })
}

/// Adds the extent to the ranges that are kept of its own type.
async fn keep(
    connection: &mut PgConnection,
    extent: &Extent,
    own: &str,
) -> Result<(), PersistError> {
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

/// The tables that an extent is about: its type's, if there is one already, or all.
async fn tables(
    connection: &mut PgConnection,
    entity_type: Option<&str>,
) -> Result<Vec<String>, PersistError> {
    Ok(sqlx::query_scalar(
        "SELECT tablename::text FROM pg_catalog.pg_tables \
         WHERE schemaname = 'inventory_all' AND ($1::text IS NULL OR tablename = $1) ORDER BY 1",
    )
    .bind(entity_type)
    .fetch_all(connection)
    .await?)
}
