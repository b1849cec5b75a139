//! Removes tombstones that nothing needs any more.

use crate::error::PersistError;
use crate::metrics::Metrics;
use crate::step;
use inventory::{Lock, lock, try_lock_purge};
use records::Version;
use schemas::database::{DatabaseSettings, connect_one};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The most tombstones of one transaction: it keeps the records of their types waiting.
const BATCH: usize = 1000;

/// Which rows `t` may go: dead ones whose newest register is older than an extent over their key,
/// because then the extent says of every older record what the tombstone would; or dead ones of
/// which no topic has a record any more ($1: what is older has left the topics).
/// An older existence alone is not enough: a tombstone may hold a value of the next life.
const PURGEABLE: &str = "NOT t.alive AND (EXISTS (SELECT FROM tributary.extent AS e \
     WHERE e.source = t.source AND e.type IN ($2, '') AND e.from_id <= t.native_id \
     AND (e.to_id IS NULL OR t.native_id < e.to_id) AND e.version > t.version) \
     OR t.gone_at < to_timestamp($1 / 1e6) AND t.version < $1)";

/// The periodic job. Every persister has one; at any time only one of them works.
pub struct Purger {
    /// Where connections come from.
    pub database: DatabaseSettings,
    /// How often tables are looked at.
    pub every: Duration,
    /// How long a tombstone stays that no extent has made needless.
    pub retention: Duration,
    /// What is counted.
    pub metrics: Metrics,
}

impl Purger {
    /// Runs until `stop`. A pass that fails is told, and the next one does its work.
    ///
    /// # Errors
    /// None; the type is that of the lanes.
    pub async fn run(self, stop: CancellationToken) -> Result<(), PersistError> {
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(self.every) => {}
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                done = self.pass() => if let Err(error) = done {
                    tracing::warn!("purge of tombstones: {}", chassis::exit::chain(&error));
                },
            }
        }
    }

    async fn pass(&self) -> Result<(), PersistError> {
        let retention = i64::try_from(self.retention.as_micros()).unwrap_or(i64::MAX);
        let oldest = Version::from_micros(Version::now().micros().saturating_sub(retention));
        let mut connection = connect_one(&self.database).await?;
        for table in step::tables(&mut connection, None).await? {
            let mut full = true;
            while full {
                let mut transaction = connection.begin().await?;
                if !try_lock_purge(&mut transaction).await? {
                    return Ok(());
                }
                let purged = purge(&mut transaction, &table, oldest).await?.len();
                transaction.commit().await?;
                self.metrics.tombstones_purged.inc_by(purged as u64);
                full = purged == BATCH;
            }
        }
        Ok(())
    }
}

/// Removes some tombstones of a table inside of the caller's transaction: those under a newer
/// extent, and those that are older than `oldest`. Gives their sources and ids.
///
/// # Errors
/// [`PersistError`]; the transaction must then be rolled back.
pub async fn purge(
    connection: &mut PgConnection,
    table: &str,
    oldest: Version,
) -> Result<Vec<(String, String)>, PersistError> {
    let find = format!(
        "SELECT source, native_id FROM inventory_all.\"{table}\" AS t WHERE {PURGEABLE} \
         ORDER BY source, native_id LIMIT {BATCH}"
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
