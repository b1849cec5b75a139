//! Samples become rows: by COPY and, if some are there already, one statement that leaves those.
//!
//! COPY takes half the time of that statement, and repeats come only after a rewind or from a
//! producer that sends again.

use crate::batch::{Numbered, Poll};
use crate::copy::{HEADER, Sample, TRAILER, rows};
use sqlx::{Connection, PgConnection};
use std::collections::BTreeSet;

const COPY: &str = "COPY metrics.sample (series, at, value) FROM STDIN (FORMAT binary)";

const MARK: &str = "INSERT INTO metrics.dirty_hour (series, at) \
     SELECT series, timestamptz 'epoch' + at * interval '1 microsecond' \
     FROM unnest($1::bigint[], $2::bigint[]) AS i(series, at)";

const INSERT: &str = "WITH new AS (INSERT INTO metrics.sample (series, at, value) \
     SELECT series, timestamptz 'epoch' + at * interval '1 microsecond', value \
     FROM unnest($1::bigint[], $2::bigint[], $3::double precision[]) AS i(series, at, value) \
     ON CONFLICT DO NOTHING RETURNING series, at), \
     marked AS (INSERT INTO metrics.dirty_hour (series, at) \
     SELECT DISTINCT series, date_trunc('hour', at, 'UTC') FROM new) SELECT count(*) FROM new";

/// How many samples are made ready to be sent at once: their rows take more memory than they do.
const PART: usize = 16_384;

const HOUR_MICROS: i64 = 3_600_000_000;

/// Adds the samples that are not there yet, and marks their hours; gives their number.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    polls: &[Numbered<Poll>],
) -> Result<u64, sqlx::Error> {
    let samples = samples(polls);
    if samples.is_empty() {
        return Ok(0);
    }
    match copy(connection, &samples).await {
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
            leave_repeats(connection, &samples).await
        }
        copied => copied,
    }
}

/// In the order of the table's key, so that two members add the same samples in one order.
fn samples(polls: &[Numbered<Poll>]) -> Vec<Sample> {
    let mut all = Vec::new();
    for Numbered { record: Poll { samples, ids }, .. } in polls {
        for (series, id) in samples.series.iter().zip(ids) {
            let values = samples.values(series);
            all.extend(values.map(|(moment, value)| (*id, moment.micros(), value)));
        }
    }
    all.sort_by_key(|(series, at, _)| (*series, *at));
    all
}

async fn copy(connection: &mut PgConnection, samples: &[Sample]) -> Result<u64, sqlx::Error> {
    let mut savepoint = connection.begin().await?;
    let mut copy = savepoint.copy_in_raw(COPY).await?;
    copy.send(HEADER).await?;
    for part in samples.chunks(PART) {
        copy.send(rows(part)).await?;
    }
    copy.send(TRAILER.as_slice()).await?;
    let copied = copy.finish().await?;
    let (series, hours): (Vec<i64>, Vec<i64>) = hours(samples).into_iter().unzip();
    sqlx::query(MARK).bind(series).bind(hours).execute(&mut *savepoint).await?;
    savepoint.commit().await?;
    Ok(copied)
}

fn hours(samples: &[Sample]) -> BTreeSet<(i64, i64)> {
    samples.iter().map(|(series, at, _)| (*series, at - at.rem_euclid(HOUR_MICROS))).collect()
}

async fn leave_repeats(
    connection: &mut PgConnection,
    samples: &[Sample],
) -> Result<u64, sqlx::Error> {
    let new: i64 = sqlx::query_scalar(INSERT)
        .bind(samples.iter().map(|sample| sample.0).collect::<Vec<_>>())
        .bind(samples.iter().map(|sample| sample.1).collect::<Vec<_>>())
        .bind(samples.iter().map(|sample| sample.2).collect::<Vec<_>>())
        .fetch_one(connection)
        .await?;
    Ok(new.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_marked_once_for_each_series() {
        let samples = [(1, 0, 0.5), (1, HOUR_MICROS - 1, 0.5), (1, HOUR_MICROS, 0.5), (2, 5, 0.5)];
        assert_eq!(
            hours(&samples).into_iter().collect::<Vec<_>>(),
            [(1, 0), (1, HOUR_MICROS), (2, 0)]
        );
    }
}
