//! Removes tombstones that nothing needs any more.

use crate::error::PersistError;
use crate::metrics::Metrics;
use inventory::{PURGE_MAX, purge, tables, try_lock_purge};
use records::Version;
use schemas::database::{DatabaseSettings, connect_one};
use sqlx::Connection;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

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
        for table in tables(&mut connection, None).await? {
            let mut full = true;
            while full {
                let mut transaction = connection.begin().await?;
                if !try_lock_purge(&mut transaction).await? {
                    return Ok(());
                }
                let purged = purge(&mut transaction, &table, oldest).await?.len();
                transaction.commit().await?;
                self.metrics.tombstones_purged.inc_by(purged as u64);
                full = purged == PURGE_MAX;
            }
        }
        Ok(())
    }
}
