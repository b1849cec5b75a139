//! The periodic job: partitions ahead of time, rollups, the end of what is too old, and the names
//! beside the rollups.

use crate::batch::Kind;
use crate::partitions::{drop, make, tables};
use crate::rollups::roll_up;
use crate::series::purge;
use crate::settings::Settings;
use records::Version;
use schemas::database::{DatabaseSettings, connect_one, explain};
use schemas::tables::name_objects;
use sqlx::PgConnection;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The advisory lock of who does it: two at a time would roll up the same hours.
const LOCK: i64 = 0x7472_6962_6869_7374;

const DAY: Duration = Duration::from_hours(24);

/// Between the end of what is accepted and what is dropped: a batch may be on its way.
const SLACK: Duration = DAY;

/// Every persister has one; at any time only one of them works.
pub struct Upkeep {
    /// Where connections come from.
    pub database: DatabaseSettings,
    /// How long what is kept.
    pub settings: Settings,
}

impl Upkeep {
    /// Runs until `stop`. A pass that fails is told, and the next one does its work.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                done = self.pass() => if let Err(error) = done {
                    let error = explain(&error);
                    tracing::warn!("upkeep of events and metrics: PostgreSQL: {error}; run \
                        `schemas apply` if something is missing or denied");
                },
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.settings.upkeep_every) => {}
            }
        }
    }

    async fn pass(&self) -> Result<(), sqlx::Error> {
        let mut connection = connect_one(&self.database).await?;
        // The connection's end leaves it.
        let is_alone: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
            .bind(LOCK)
            .fetch_one(&mut connection)
            .await?;
        if !is_alone {
            return Ok(());
        }
        let now = Version::now();
        self.make_ahead(&mut connection, now).await?;
        roll_up(&mut connection).await?;
        self.drop_old(&mut connection, now).await?;
        purge(&mut connection, self.settings.series_retention()).await?;
        if name_objects(&mut connection).await? {
            tracing::info!("metrics.object_name was made anew: there are other types with a name");
        }
        Ok(())
    }

    async fn make_ahead(
        &self,
        connection: &mut PgConnection,
        now: Version,
    ) -> Result<(), sqlx::Error> {
        let ahead = [now, now.plus(DAY), now.plus(2 * DAY)];
        for table in [Kind::Events, Kind::Samples].into_iter().flat_map(tables) {
            make(connection, table, &ahead).await?;
        }
        Ok(())
    }

    async fn drop_old(
        &self,
        connection: &mut PgConnection,
        now: Version,
    ) -> Result<(), sqlx::Error> {
        for table in [Kind::Events, Kind::Samples].into_iter().flat_map(tables) {
            let before = now.minus(self.settings.retention_of(table) + SLACK);
            drop(connection, table, before).await?;
        }
        Ok(())
    }
}
