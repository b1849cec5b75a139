//! What samples come to by hour and day: made anew for each hour that got samples.
//!
//! Marks are rows without a key. One statement takes marks and reads samples, so it sees the
//! samples of exactly the transactions whose marks it takes; a transaction that is still open
//! leaves its marks to the next pass. So a pass can be repeated, and none is lost with a crash.

use sqlx::{Connection, PgConnection};

/// The most marks of one transaction.
const BATCH: u32 = 10_000;

const ROLL_HOURS: &str = "WITH taken AS (DELETE FROM metrics.dirty_hour WHERE ctid = ANY \
     (ARRAY(SELECT ctid FROM metrics.dirty_hour LIMIT $1)) RETURNING series, at), \
     hours AS (SELECT DISTINCT series, at FROM taken), \
     marked AS (INSERT INTO metrics.dirty_day (series, at) \
     SELECT DISTINCT series, date_trunc('day', at, 'UTC') FROM hours), \
     rolled AS (INSERT INTO metrics.rollup_hour AS r (series, at, count, sum, min, max, last) \
     SELECT h.series, h.at, s.* FROM hours AS h CROSS JOIN LATERAL \
     (SELECT count(*) AS count, sum(value), min(value), max(value), \
     (array_agg(value ORDER BY at DESC))[1] FROM metrics.sample \
     WHERE series = h.series AND at >= h.at AND at < h.at + interval '1 hour') AS s \
     WHERE s.count > 0 ON CONFLICT (series, at) DO UPDATE SET count = excluded.count, \
     sum = excluded.sum, min = excluded.min, max = excluded.max, last = excluded.last \
     WHERE (r.count, r.sum, r.min, r.max, r.last) IS DISTINCT FROM \
     (excluded.count, excluded.sum, excluded.min, excluded.max, excluded.last)) \
     SELECT count(*) FROM taken";

const ROLL_DAYS: &str = "WITH taken AS (DELETE FROM metrics.dirty_day RETURNING series, at), \
     days AS (SELECT DISTINCT series, at FROM taken) \
     INSERT INTO metrics.rollup_day AS r (series, at, count, sum, min, max, last) \
     SELECT d.series, d.at, h.* FROM days AS d CROSS JOIN LATERAL \
     (SELECT sum(count)::bigint AS count, sum(sum), min(min), max(max), \
     (array_agg(last ORDER BY at DESC))[1] FROM metrics.rollup_hour \
     WHERE series = d.series AND at >= d.at AND at < d.at + interval '1 day') AS h \
     WHERE h.count > 0 ON CONFLICT (series, at) DO UPDATE SET count = excluded.count, \
     sum = excluded.sum, min = excluded.min, max = excluded.max, last = excluded.last \
     WHERE (r.count, r.sum, r.min, r.max, r.last) IS DISTINCT FROM \
     (excluded.count, excluded.sum, excluded.min, excluded.max, excluded.last)";

/// Rolls up the hours that are marked, and their days. The caller is the only one that does it.
pub(crate) async fn roll_up(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let mut taken = i64::from(BATCH);
    while taken >= i64::from(BATCH) {
        let mut transaction = connection.begin().await?;
        taken = sqlx::query_scalar(ROLL_HOURS)
            .bind(i64::from(BATCH))
            .fetch_one(&mut *transaction)
            .await?;
        if taken > 0 {
            sqlx::query(ROLL_DAYS).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
    }
    Ok(())
}
