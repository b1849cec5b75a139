//! Events become rows.

use crate::batch::Numbered;
use records::history::{CheckedEvent, Event, Object};
use serde_json::{Value, json};
use sqlx::PgConnection;

const INSERT: &str = "INSERT INTO events.event_all (source, event_id, occurred_at, type, \
     severity, subject_type, subject_id, message, details, related) \
     SELECT source, event_id, timestamptz 'epoch' + occurred_at * interval '1 microsecond', type, \
     severity, subject_type, subject_id, message, details::jsonb, related::jsonb \
     FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], \
     $7::text[], $8::text[], $9::text[], $10::text[]) \
     AS i(source, event_id, occurred_at, type, severity, subject_type, subject_id, message, \
     details, related) ON CONFLICT DO NOTHING";

/// Adds the events that are not there yet; gives their number.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    events: &[Numbered<CheckedEvent>],
) -> Result<u64, sqlx::Error> {
    let mut events: Vec<&Event> = events.iter().map(|event| event.record.get()).collect();
    if events.is_empty() {
        return Ok(0);
    }
    // Two members that have the same events, by a mistake of a producer, add them in one order.
    events.sort_by(|a, b| (&a.source, &a.event_id).cmp(&(&b.source, &b.event_id)));
    let texts = |text: fn(&Event) -> &str| events.iter().map(|e| text(e)).collect::<Vec<_>>();
    let subjects = |text: fn(&Object) -> &str| -> Vec<Option<&str>> {
        events.iter().map(|event| event.subject.as_ref().map(text)).collect()
    };
    let related = |event: &&Event| event.related.iter().map(object).collect::<Value>().to_string();
    let done = sqlx::query(INSERT)
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
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}

fn object(object: &Object) -> Value {
    json!({"type": object.entity_type, "native_id": object.native_id})
}
