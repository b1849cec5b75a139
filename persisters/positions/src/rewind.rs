//! `persister positions rewind`: moves positions; who runs notices, and reads from there.

use crate::gap::{self, Gap};
use crate::{Access, PositionError, TOPICS};
use records::{Offset, Partition};
use schemas::database::connect_one;
use sqlx::{Connection, PgConnection};
use std::collections::HashMap;
use std::fmt;
use wire::{Admin, LogRange};

/// Where to.
#[derive(Debug, Clone)]
pub enum Target {
    /// The oldest records that Kafka keeps.
    Beginning,
    /// This offset.
    Offset(i64),
    /// The first record at or after a time, as PostgreSQL reads it (RFC 3339).
    Time(String),
}

/// What to move.
#[derive(Debug, Clone)]
pub struct Rewind {
    /// The topic, with or without its prefix.
    pub topic: String,
    /// One partition; `None`: all.
    pub partition: Option<i32>,
    /// Where to.
    pub target: Target,
}

/// A position that was moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    topic: String,
    partition: Partition,
    from: Option<Offset>,
    to: Offset,
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = self.from.map_or_else(|| "-".to_owned(), |from| from.to_string());
        let beginning = if self.to.0 == 0 { " (the beginning)" } else { "" };
        write!(f, "{} {}: {from} -> {}{beginning}", self.topic, self.partition, self.to)
    }
}

/// Moves positions in one transaction. Records that are skipped by it are written down as a gap.
///
/// # Errors
/// [`PositionError::Request`], or Kafka's or PostgreSQL's.
pub async fn rewind(access: &Access, wanted: &Rewind) -> Result<Vec<Moved>, PositionError> {
    let topic = topic(access, &wanted.topic)?;
    let mut connection = connect_one(&access.database).await?;
    let admin = Admin::new(&access.kafka, &access.group)?;
    let mut ranges = admin.ranges(&topic).await?;
    ranges.retain(|(partition, _)| wanted.partition.is_none_or(|only| only == partition.0));
    if ranges.is_empty() {
        let message = format!("topic {topic} has no such partition; `persister positions show`");
        return Err(PositionError::Request(message));
    }
    let targets = match &wanted.target {
        Target::Beginning => {
            ranges.iter().map(|(partition, range)| (*partition, range.first)).collect()
        }
        Target::Offset(offset) => at_offset(&ranges, Offset(*offset))?,
        Target::Time(time) => {
            let time_ms = parse_time(&mut connection, time).await?;
            let found = admin.offsets_at(&topic, time_ms).await?.into_iter().collect();
            at_time(&ranges, &found)
        }
    };
    apply(&mut connection, &topic, &targets).await
}

fn topic(access: &Access, wanted: &str) -> Result<String, PositionError> {
    let names = TOPICS.map(|topic| (topic.suffix(), access.kafka.topic(topic)));
    let found = names.iter().find(|(suffix, name)| wanted == *suffix || wanted == name);
    found.map(|(_, name)| name.clone()).ok_or_else(|| {
        let names = names.map(|(_, name)| name).join(" and ");
        PositionError::Request(format!("{wanted:?} has no positions; {names} have"))
    })
}

fn at_offset(
    ranges: &[(Partition, LogRange)],
    offset: Offset,
) -> Result<Vec<(Partition, Offset)>, PositionError> {
    let outside = ranges.iter().find(|(_, range)| offset < range.first || offset > range.end);
    if let Some((partition, range)) = outside {
        return Err(PositionError::Request(format!(
            "partition {partition} has offsets from {} to {}, so {offset} is no place in it",
            range.first, range.end
        )));
    }
    Ok(ranges.iter().map(|(partition, _)| (*partition, offset)).collect())
}

/// Partitions without so late a record go to their end.
fn at_time(
    ranges: &[(Partition, LogRange)],
    found: &HashMap<Partition, Offset>,
) -> Vec<(Partition, Offset)> {
    let target = |(partition, range): &(Partition, LogRange)| {
        (*partition, found.get(partition).copied().unwrap_or(range.end))
    };
    ranges.iter().map(target).collect()
}

/// A time, as PostgreSQL reads it (RFC 3339), in milliseconds since the epoch.
///
/// # Errors
/// [`PositionError::Request`] if it is none.
pub async fn parse_time(connection: &mut PgConnection, time: &str) -> Result<i64, PositionError> {
    let parsed = sqlx::query_scalar("SELECT (extract(epoch FROM $1::timestamptz) * 1000)::bigint");
    parsed.bind(time).fetch_one(connection).await.map_err(|error| match error {
        sqlx::Error::Database(reason) => PositionError::Request(format!(
            "{time:?} is no time such as 2026-01-31T12:00:00Z: {}",
            reason.message()
        )),
        error => error.into(),
    })
}

async fn apply(
    connection: &mut PgConnection,
    topic: &str,
    targets: &[(Partition, Offset)],
) -> Result<Vec<Moved>, PositionError> {
    let mut transaction = connection.begin().await?;
    let rows: Vec<(i32, i64)> = sqlx::query_as(
        "SELECT partition, next_offset FROM tributary.position WHERE topic = $1 FOR UPDATE",
    )
    .bind(topic)
    .fetch_all(&mut *transaction)
    .await?;
    let before: HashMap<i32, i64> = rows.into_iter().collect();
    sqlx::query(
        "INSERT INTO tributary.position (topic, partition, next_offset, owner) \
         SELECT $1, i.partition, i.next, '' FROM unnest($2::int[], $3::bigint[]) \
         AS i(partition, next) ON CONFLICT (topic, partition) DO UPDATE \
         SET next_offset = excluded.next_offset, updated_at = now(), \
         last_timestamp_ms = NULL, last_key_hash = NULL",
    )
    .bind(topic)
    .bind(targets.iter().map(|(partition, _)| partition.0).collect::<Vec<_>>())
    .bind(targets.iter().map(|(_, to)| to.0).collect::<Vec<_>>())
    .execute(&mut *transaction)
    .await?;
    let moved = |(partition, to): &(Partition, Offset)| Moved {
        topic: topic.to_owned(),
        partition: *partition,
        from: before.get(&partition.0).copied().map(Offset),
        to: *to,
    };
    let moved: Vec<Moved> = targets.iter().map(moved).collect();
    gap::record(&mut transaction, topic, &skipped(&moved)).await?;
    transaction.commit().await?;
    Ok(moved)
}

fn skipped(moved: &[Moved]) -> Vec<Gap> {
    let gap = |moved: &Moved| {
        let from = moved.from.filter(|from| *from < moved.to)?;
        let reason = "a person moved the position forward";
        Some(Gap { partition: moved.partition, from, to: Some(moved.to), reason })
    };
    moved.iter().filter_map(gap).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_places_in_the_log_are_targets() {
        let range = |first, end| LogRange { first: Offset(first), end: Offset(end) };
        let ranges = [(Partition(0), range(5, 9)), (Partition(1), range(0, 7))];
        assert!(at_offset(&ranges, Offset(7)).is_ok());
        let refused = at_offset(&ranges, Offset(8)).unwrap_err().to_string();
        assert!(refused.contains("partition 1 has offsets from 0 to 7"), "{refused}");
        let found = HashMap::from([(Partition(0), Offset(6))]);
        let targets = at_time(&ranges, &found);
        assert_eq!(targets, [(Partition(0), Offset(6)), (Partition(1), Offset(7))]);
    }
}
