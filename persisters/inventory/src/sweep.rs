//! What an extent does to a table's rows: what it does not list is gone, what it lists lives.

use crate::error::InventoryError;
use records::AttributeName;
use records::contract::Extent;
use records::table::{COLUMNS, OWN_COLUMNS};
use sqlx::{AssertSqlSafe, PgConnection};

/// A range in which the extent is the newest.
pub(crate) type Part = (String, Option<String>);

/// What the statements are about: the part's keys, and those among them that the extent lists.
const IN_PART: &str = "source = $1 AND native_id >= $2 AND ($3::text IS NULL OR native_id < $3)";
const LISTED: &str = "EXISTS (SELECT FROM unnest($5::text[]) AS key WHERE key = native_id)";

/// A plan for any range would not know that this one is short, or that it has an end. The keys that
/// are listed are not looked up one by one.
const PLAN: &str = "SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL enable_seqscan = on; \
     SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on";

/// Ends the living rows of a part that the extent does not list and revives the dead ones that it
/// lists; gives the number of rows changed. On equal versions alive wins.
///
/// # Errors
/// [`InventoryError::Database`].
pub(crate) async fn sweep(
    connection: &mut PgConnection,
    table: &str,
    extent: &Extent,
    part: &Part,
) -> Result<u64, InventoryError> {
    let end = format!(
        "UPDATE inventory_all.\"{table}\" SET alive = false, existence_version = $4, \
         floor_version = greatest(floor_version, $4), version = greatest(version, $4), \
         changed_at = now(), gone_at = now() \
         WHERE {IN_PART} AND (existence_version IS NULL OR alive AND existence_version < $4) \
         AND NOT {LISTED}"
    );
    let revive = format!(
        "UPDATE inventory_all.\"{table}\" SET alive = true, existence_version = $4, \
         floor_version = CASE WHEN existence_version IS NULL THEN floor_version ELSE 0 END, \
         version = greatest(version, $4), changed_at = now(), gone_at = NULL \
         WHERE {IN_PART} AND (existence_version IS NULL OR NOT alive AND existence_version <= $4) \
         AND {LISTED}"
    );
    sqlx::raw_sql(PLAN).execute(&mut *connection).await?;
    let bound = |statement| bind(statement, extent, part);
    let ended = bound(end).execute(&mut *connection).await?.rows_affected();
    let revived = bound(revive).execute(&mut *connection).await?.rows_affected();
    let remade = format!(
        "{IN_PART} AND alive AND existence_version > $4 AND floor_version < $4 AND NOT {LISTED}"
    );
    let any = format!("SELECT 1 FROM inventory_all.\"{table}\" WHERE {remade} LIMIT 1");
    let mut voided = 0;
    if bound(any).fetch_optional(&mut *connection).await?.is_some() {
        let names = attributes(connection, table).await?;
        voided = bound(void(table, &names, &remade)).execute(connection).await?.rows_affected();
    }
    Ok(ended + revived + voided)
}

/// The statement for rows that the extent does not list because they were made again since: what
/// the writer of their new life does not know must not stay from the one before.
fn void(table: &str, names: &[AttributeName], rows: &str) -> String {
    // An attribute that the base's schema lacks has an exception, or no value at all.
    let is_void = |name| format!("coalesce((exceptions ->> '{name}')::bigint, base_version) < $4");
    let set =
        |name| format!(", \"{name}\" = CASE WHEN {} THEN NULL ELSE \"{name}\" END", is_void(name));
    let changes = |name| format!(" OR \"{name}\" IS NOT NULL AND {}", is_void(name));
    format!(
        "UPDATE inventory_all.\"{table}\" SET floor_version = $4, \
         changed_at = CASE WHEN false{} THEN now() ELSE changed_at END{} WHERE {rows}",
        names.iter().map(changes).collect::<String>(),
        names.iter().map(set).collect::<String>(),
    )
}

async fn attributes(
    connection: &mut PgConnection,
    table: &str,
) -> Result<Vec<AttributeName>, InventoryError> {
    let columns: Vec<(String, String)> = sqlx::query_as(COLUMNS)
        .bind(table)
        .bind(OWN_COLUMNS.as_slice())
        .fetch_all(connection)
        .await?;
    Ok(columns.into_iter().filter_map(|(name, _)| AttributeName::new(name).ok()).collect())
}

fn bind<'a>(
    statement: String,
    extent: &'a Extent,
    part: &'a Part,
) -> sqlx::query::Query<'a, sqlx::Postgres, sqlx::postgres::PgArguments> {
    sqlx::query(AssertSqlSafe(statement))
        .bind(&extent.source)
        .bind(&part.0)
        .bind(&part.1)
        .bind(extent.version)
        .bind(&extent.keys)
}
