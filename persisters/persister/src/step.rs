//! What one transaction does after its positions: locks, extents read, rows and ranges written.

use crate::decode::{Step, Work};
use crate::error::PersistError;
use crate::licence::Licence;
use catalog::Table;
use inventory::{Apply, Counts, Lock, apply_extent, covers, lock};
use plan::Batch;
use records::TypeName;
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Applies a step's work inside of the caller's transaction; `tables` are those of its types.
///
/// # Errors
/// [`PersistError`]; the transaction must then be rolled back.
pub async fn apply(
    connection: &mut PgConnection,
    work: &Work,
    tables: &HashMap<TypeName, Table>,
    licence: &Licence,
) -> Result<Counts, PersistError> {
    match work {
        Work::Changes(batches) => changes(connection, batches, tables, licence).await,
        Work::Extent(extent) => Ok(apply_extent(connection, extent).await?),
        Work::History(batch) => history(connection, batch).await,
    }
}

/// A batch without a new row has only repeats; otherwise it is not known which records they are.
async fn history(
    connection: &mut PgConnection,
    batch: &history::Batch,
) -> Result<Counts, PersistError> {
    let rows_changed = batch.apply(connection).await?;
    let applied = batch.len() as u64;
    let unchanged = if rows_changed == 0 { applied } else { 0 };
    Ok(Counts { applied, unchanged, rows_changed })
}

/// Applies upserts and deletes, type by type.
async fn changes(
    connection: &mut PgConnection,
    batches: &BTreeMap<TypeName, Batch>,
    tables: &HashMap<TypeName, Table>,
    licence: &Licence,
) -> Result<Counts, PersistError> {
    let mut total = Counts::default();
    lock(connection, Lock::Shared, &types_of(batches)).await?;
    for (entity_type, batch) in batches {
        let table = tables.get(entity_type).expect("decode has asked for it");
        let sources = batch.sources().collect();
        let covers = covers(connection, &[entity_type.as_str(), ""], &sources).await?;
        let (statements, licensed) = (&table.statements, licence.holds_for(entity_type));
        let new_keys = &table.new_keys;
        let apply = Apply { batch, statements, covers: &covers, licensed, new_keys };
        let counts = apply.run(connection, &table.sets).await?;
        total += counts;
    }
    Ok(total)
}

/// What upserts and deletes lock: sources and types.
#[must_use]
pub(crate) fn types_of<'a>(batches: &'a BTreeMap<TypeName, Batch>) -> BTreeSet<(&'a str, &'a str)> {
    let of_batch = |(name, batch): (&'a TypeName, &'a Batch)| {
        batch.sources().map(move |source| (source, name.as_str()))
    };
    batches.iter().flat_map(of_batch).collect()
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
