//! Which tombstones nothing needs any more, and their end.

use crate::error::InventoryError;
use crate::transaction::{Lock, lock};
use records::Version;
use sqlx::{AssertSqlSafe, PgConnection};

/// The most tombstones of one transaction: it keeps the records of their types waiting.
pub const PURGE_MAX: usize = 1000;

/// Which rows `t` may go: dead ones whose newest register is older than an extent over their key,
/// because then the extent says of every older record what the tombstone would; or dead ones of
/// which no topic has a record any more ($1: what is older has left the topics).
/// An older existence alone is not enough: a tombstone may hold a value of the next life.
const PURGEABLE: &str = "NOT t.alive AND (EXISTS (SELECT FROM tributary.extent AS e \
     WHERE e.source = t.source AND e.type IN ($2, '') AND e.from_id <= t.native_id \
     AND (e.to_id IS NULL OR t.native_id < e.to_id) AND e.version > t.version) \
     OR t.gone_at < to_timestamp($1 / 1e6) AND t.version < $1)";

/// Removes some tombstones of a table inside of the caller's transaction: those under a newer
/// extent, and those that are older than `oldest`. Gives their sources and ids.
///
/// # Errors
/// [`InventoryError`]; the transaction must then be rolled back.
pub async fn purge(
    connection: &mut PgConnection,
    table: &str,
    oldest: Version,
) -> Result<Vec<(String, String)>, InventoryError> {
    let find = format!(
        "SELECT source, native_id FROM inventory_all.\"{table}\" AS t WHERE {PURGEABLE} \
         ORDER BY source, native_id LIMIT {PURGE_MAX}"
    );
    let found: Vec<(String, String)> = sqlx::query_as(AssertSqlSafe(find))
        .bind(oldest.micros())
        .bind(table)
        .fetch_all(&mut *connection)
        .await?;
    if found.is_empty() {
        return Ok(found);
    }
    let types = found.iter().map(|(source, _)| (source.as_str(), table)).collect();
    lock(connection, Lock::Exclusive, &types).await?;
    let (sources, ids): (Vec<String>, Vec<String>) = found.into_iter().unzip();
    let remove = format!(
        "DELETE FROM inventory_all.\"{table}\" AS t USING unnest($3::text[], $4::text[]) \
         AS i(source, native_id) WHERE t.source = i.source AND t.native_id = i.native_id \
         AND {PURGEABLE} RETURNING t.source, t.native_id"
    );
    Ok(sqlx::query_as(AssertSqlSafe(remove))
        .bind(oldest.micros())
        .bind(table)
        .bind(sources)
        .bind(ids)
        .fetch_all(connection)
        .await?)
}
