//! Partitions by time: made before rows need them, dropped when all of theirs are too old.

use crate::batch::Kind;
use records::Version;
use sqlx::PgConnection;

/// The tables of a kind's rows and of what follows from them.
pub(crate) const fn tables(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Events => &["events.event_all", "events.storm", "events.storm_member"],
        Kind::Samples => &["metrics.sample", "metrics.rollup_hour", "metrics.rollup_day"],
    }
}

/// Makes the partitions of these moments that are missing.
pub(crate) async fn make(
    connection: &mut PgConnection,
    table: &str,
    moments: &[Version],
) -> Result<(), sqlx::Error> {
    let made: i32 = sqlx::query_scalar(
        "SELECT tributary.make_partitions($1, ARRAY(SELECT timestamptz 'epoch' \
         + i * interval '1 microsecond' FROM unnest($2::bigint[]) AS i))",
    )
    .bind(table)
    .bind(moments.iter().map(|moment| moment.micros()).collect::<Vec<_>>())
    .fetch_one(connection)
    .await?;
    if made > 0 {
        tracing::info!(table, made, "partitions were made");
    }
    Ok(())
}

/// Drops the partitions of which all rows are older.
pub(crate) async fn drop(
    connection: &mut PgConnection,
    table: &str,
    before: Version,
) -> Result<(), sqlx::Error> {
    let dropped: i32 = sqlx::query_scalar(
        "SELECT tributary.drop_partitions($1, timestamptz 'epoch' + $2 * interval '1 microsecond')",
    )
    .bind(table)
    .bind(before.micros())
    .fetch_one(connection)
    .await?;
    if dropped > 0 {
        tracing::info!(table, dropped, "partitions older than the retention were dropped");
    }
    Ok(())
}
