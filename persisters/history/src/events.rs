//! Events become rows, or those of a storm a count.

use crate::batch::{Happened, Numbered};
use records::history::{Event, Object};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection};

/// The events of a statement, as rows `i`.
const ROWS: &str = "SELECT source, event_id, \
     timestamptz 'epoch' + occurred_at * interval '1 microsecond' AS occurred_at, type, severity, \
     subject_type, subject_id, message, details::jsonb AS details, related::jsonb AS related \
     FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], \
     $7::text[], $8::text[], $9::text[], $10::text[]) \
     AS u(source, event_id, occurred_at, type, severity, subject_type, subject_id, message, \
     details, related)";

/// Keeps them one by one.
const KEEP: &str = "new AS (INSERT INTO events.event_all (source, event_id, occurred_at, type, \
     severity, subject_type, subject_id, message, details, related) \
     SELECT i.* FROM i WHERE NOT EXISTS (SELECT FROM events.storm_member AS m \
     WHERE (m.source, m.event_id, m.occurred_at) = (i.source, i.event_id, i.occurred_at)) \
     ON CONFLICT DO NOTHING RETURNING 1)";

/// Only counts them. A condition that is no join is looked up in a hash: in this session a join
/// compares each with each.
const COUNT: &str = "one AS (SELECT DISTINCT ON (source, event_id, occurred_at) * FROM i), \
     new AS (INSERT INTO events.storm_member (source, event_id, occurred_at) \
     SELECT source, event_id, occurred_at FROM one WHERE NOT EXISTS (SELECT \
     FROM events.event_all AS e WHERE (e.source, e.event_id, e.occurred_at) \
     = (one.source, one.event_id, one.occurred_at)) \
     ON CONFLICT DO NOTHING RETURNING source, event_id, occurred_at), \
     counted AS (INSERT INTO events.storm AS s (source, type, subject_type, subject_id, minute, \
     severity, message, count, first_at, last_at) \
     SELECT source, type, coalesce(subject_type, ''), coalesce(subject_id, ''), \
     date_trunc('minute', occurred_at, 'UTC'), (array_agg(severity ORDER BY occurred_at DESC))[1], \
     (array_agg(message ORDER BY occurred_at DESC))[1], count(*), min(occurred_at), \
     max(occurred_at) FROM one \
     WHERE ((source, event_id, occurred_at) IN (SELECT * FROM new)) IS TRUE \
     GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5 \
     ON CONFLICT (source, type, subject_type, subject_id, minute) DO UPDATE \
     SET count = s.count + excluded.count, \
     severity = CASE WHEN excluded.last_at < s.last_at THEN s.severity ELSE excluded.severity END, \
     message = CASE WHEN excluded.last_at < s.last_at THEN s.message ELSE excluded.message END, \
     first_at = least(s.first_at, excluded.first_at), \
     last_at = greatest(s.last_at, excluded.last_at))";

/// Adds or counts the events that are not there yet; gives their number. What is kept comes first,
/// so that a repeat within the batch is not counted.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    events: &[Numbered<Happened>],
) -> Result<u64, sqlx::Error> {
    let (counted, kept): (Vec<_>, Vec<_>) = events.iter().partition(|one| one.record.is_counted);
    let new = run(connection, KEEP, &kept).await?;
    Ok(new + run(connection, COUNT, &counted).await?)
}

async fn run(
    connection: &mut PgConnection,
    statement: &str,
    events: &[&Numbered<Happened>],
) -> Result<u64, sqlx::Error> {
    if events.is_empty() {
        return Ok(0);
    }
    let mut events: Vec<&Event> = events.iter().map(|one| one.record.event.get()).collect();
    // Two members that have the same events, by a mistake of a producer, add them in one order.
    events.sort_by(|a, b| (&a.source, &a.event_id).cmp(&(&b.source, &b.event_id)));
    let texts = |text: fn(&Event) -> &str| events.iter().map(|e| text(e)).collect::<Vec<_>>();
    let subjects = |text: fn(&Object) -> &str| -> Vec<Option<&str>> {
        events.iter().map(|event| event.subject.as_ref().map(text)).collect()
    };
    let related = |event: &&Event| event.related.iter().map(object).collect::<Value>().to_string();
    let statement = format!("WITH i AS ({ROWS}), {statement} SELECT count(*) FROM new");
    let new: i64 = sqlx::query_scalar(AssertSqlSafe(statement))
        .bind(texts(|event| &event.source))
        .bind(texts(|event| &event.event_id))
        .bind(events.iter().map(|event| event.occurred_at).collect::<Vec<_>>())
        .bind(texts(|event| &event.event_type))
        .bind(texts(|event| event.severity.as_str()))
        .bind(subjects(|object| &object.entity_type))
        .bind(subjects(|object| &object.native_id))
        .bind(texts(|event| &event.message))
        .bind(events.iter().map(|event| json!(event.details).to_string()).collect::<Vec<_>>())
        .bind(events.iter().map(related).collect::<Vec<_>>())
        .fetch_one(connection)
        .await?;
    Ok(new.unsigned_abs())
}

fn object(object: &Object) -> Value {
    json!({"type": object.entity_type, "native_id": object.native_id})
}
