//! Applies an extent: what it does not list is gone, what it lists lives.

use crate::error::PersistError;
use records::contract::Extent;
use sqlx::{AssertSqlSafe, PgConnection};

/// A range in which the extent is the newest.
pub type Part = (String, Option<String>);

/// Ends the living rows of a part that the extent does not list and revives the dead ones that it
/// lists; gives the number of rows changed. On equal versions alive wins.
///
/// # Errors
/// [`PersistError::Database`].
pub async fn sweep(
    connection: &mut PgConnection,
    table: &str,
    extent: &Extent,
    part: &Part,
) -> Result<u64, PersistError> {
    let range = "t.source = $1 AND t.native_id >= $2 AND ($3::text IS NULL OR t.native_id < $3)";
    let listed = "EXISTS (SELECT FROM unnest($5::text[]) AS key WHERE key = t.native_id)";
    let end = format!(
        "UPDATE inventory_all.\"{table}\" AS t SET alive = false, existence_version = $4, \
         floor_version = greatest(floor_version, $4), version = greatest(version, $4), \
         changed_at = now(), gone_at = now() \
         WHERE {range} AND (existence_version IS NULL OR alive AND existence_version < $4) \
         AND NOT {listed}"
    );
    let revive = format!(
        "UPDATE inventory_all.\"{table}\" AS t SET alive = true, existence_version = $4, \
         floor_version = CASE WHEN existence_version IS NULL THEN floor_version ELSE 0 END, \
         version = greatest(version, $4), changed_at = now(), gone_at = NULL \
         WHERE {range} AND (existence_version IS NULL OR NOT alive AND existence_version <= $4) \
         AND {listed}"
    );
    let mut changed = 0;
    for statement in [end, revive] {
        let done = sqlx::query(AssertSqlSafe(statement))
            .bind(&extent.source)
            .bind(&part.0)
            .bind(&part.1)
            .bind(extent.version)
            .bind(&extent.keys)
            .execute(&mut *connection)
            .await?;
        changed += done.rows_affected();
    }
    Ok(changed)
}

/// Replaces the ranges that are kept for a source's type (`''`: for all its types).
///
/// # Errors
/// [`PersistError::Database`].
pub async fn remember(
    connection: &mut PgConnection,
    (source, kind): (&str, &str),
    ranges: &[(String, Option<String>, i64)],
) -> Result<(), PersistError> {
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
