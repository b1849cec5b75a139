//! The series: an id for each counter of each object.

use records::Version;
use sqlx::{Connection, PgConnection};
use std::time::Duration;

/// A series: object, name and unit, in the order of the table's key.
pub(crate) type Key<'a> = (&'a str, &'a str, &'a str, &'a str, &'a str);

/// How long a series must not have been seen, beyond the time for which anything is kept: that it
/// was seen is written once in seven days and known for one, samples may be a day ahead, and what
/// they came to stays until a month is over, and a day.
const UNSEEN_MIN: Duration = Duration::from_hours(24 * 45);

/// The most series that go at once.
const BATCH: i64 = 10_000;

/// The ids of series, in their order; those that are new are made, and will outlive a crash: the
/// samples that a later transaction adds must not be another counter's. Those that are there are
/// seen first, by a statement of its own: one that goes at the same moment is made anew then.
pub(crate) async fn ids(
    connection: &mut PgConnection,
    keys: &[Key<'_>],
) -> Result<Vec<i64>, sqlx::Error> {
    let column = |of: fn(&Key<'_>) -> String| keys.iter().map(of).collect::<Vec<_>>();
    let columns = [
        column(|key| key.0.to_owned()),
        column(|key| key.1.to_owned()),
        column(|key| key.2.to_owned()),
        column(|key| key.3.to_owned()),
        column(|key| key.4.to_owned()),
    ];
    let mut transaction = connection.begin().await?;
    sqlx::query("SET LOCAL synchronous_commit = on").execute(&mut *transaction).await?;
    let seen = sqlx::query(
        "UPDATE metrics.series AS s SET seen_at = now() \
         FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) \
         AS i(source, type, native_id, name, unit) \
         WHERE (s.source, s.type, s.native_id, s.name, s.unit) \
         = (i.source, i.type, i.native_id, i.name, i.unit) \
         AND s.seen_at < now() - interval '7 days'",
    );
    let bound = columns.iter().fold(seen, |query, column| query.bind(column));
    bound.execute(&mut *transaction).await?;
    let insert = sqlx::query(
        "INSERT INTO metrics.series (source, type, native_id, name, unit) \
         SELECT i.* FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) \
         AS i(source, type, native_id, name, unit) WHERE NOT EXISTS (SELECT FROM metrics.series \
         AS s WHERE (s.source, s.type, s.native_id, s.name, s.unit) \
         = (i.source, i.type, i.native_id, i.name, i.unit)) ON CONFLICT DO NOTHING",
    );
    let bound = columns.iter().fold(insert, |query, column| query.bind(column));
    bound.execute(&mut *transaction).await?;
    let select = sqlx::query_scalar(
        "SELECT s.id FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) \
         WITH ORDINALITY AS i(source, type, native_id, name, unit, ord) \
         JOIN metrics.series AS s USING (source, type, native_id, name, unit) ORDER BY i.ord",
    );
    let bound = columns.iter().fold(select, |query, column| query.bind(column));
    let ids = bound.fetch_all(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(ids)
}

/// Deletes series of which nothing is left, if all that is older than `retention` was dropped. Who
/// still knows the id of a series has seen it not long ago.
pub(crate) async fn purge(
    connection: &mut PgConnection,
    retention: Duration,
) -> Result<(), sqlx::Error> {
    let before = Version::now().minus(retention + UNSEEN_MIN).micros();
    // The outer condition is looked at again once a row is locked: who has seen it since keeps it.
    let purged = sqlx::query(
        "DELETE FROM metrics.series \
         WHERE seen_at < timestamptz 'epoch' + $1 * interval '1 microsecond' AND id = ANY \
         (ARRAY(SELECT id FROM metrics.series AS s \
         WHERE seen_at < timestamptz 'epoch' + $1 * interval '1 microsecond' \
         AND NOT EXISTS (SELECT FROM metrics.sample WHERE series = s.id) \
         AND NOT EXISTS (SELECT FROM metrics.rollup_hour WHERE series = s.id) \
         AND NOT EXISTS (SELECT FROM metrics.rollup_day WHERE series = s.id) LIMIT $2))",
    )
    .bind(before)
    .bind(BATCH)
    .execute(connection)
    .await?
    .rows_affected();
    if purged > 0 {
        tracing::info!(purged, "series of which nothing is left were deleted");
    }
    Ok(())
}
