//! `persister positions show`: how far PostgreSQL is, beside what Kafka says.

use crate::{Access, PositionError, TOPICS};
use records::{Offset, Partition};
use schemas::database::connect_one;
use serde_json::{Value, json};
use sqlx::PgConnection;
use std::collections::HashMap;
use std::fmt::Write as _;
use wire::Admin;

/// One partition. What is not known is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    end_offset: i64,
    committed_offset: Option<i64>,
    /// How many records are not applied yet.
    pub lag: Option<i64>,
    /// What PostgreSQL knows.
    pub stored: Option<Stored>,
}

/// A row of `tributary.position`.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Stored {
    partition: i32,
    /// The next offset to apply.
    pub next_offset: i64,
    /// Who owns the partition.
    pub owner: String,
    updated_at: String,
}

/// Every partition of the topics that have positions.
///
/// # Errors
/// Kafka or PostgreSQL can't be asked.
pub async fn show(access: &Access) -> Result<Vec<Line>, PositionError> {
    let mut connection = connect_one(&access.database).await?;
    let admin = Admin::new(&access.kafka, &access.group)?;
    let mut lines = Vec::new();
    for topic in TOPICS.map(|topic| access.kafka.topic(topic)) {
        let mut stored = stored(&mut connection, &topic).await?;
        let committed: HashMap<Partition, Offset> =
            admin.committed(&topic).await?.into_iter().collect();
        for (partition, range) in admin.ranges(&topic).await? {
            let stored = stored.remove(&partition.0);
            lines.push(Line {
                topic: topic.clone(),
                partition: partition.0,
                end_offset: range.end.0,
                committed_offset: committed.get(&partition).map(|offset| offset.0),
                lag: stored.as_ref().map(|stored| range.lag(Offset(stored.next_offset))),
                stored,
            });
        }
    }
    Ok(lines)
}

async fn stored(
    connection: &mut PgConnection,
    topic: &str,
) -> Result<HashMap<i32, Stored>, PositionError> {
    let rows: Vec<Stored> = sqlx::query_as(
        "SELECT partition, next_offset, owner, \
         to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS updated_at \
         FROM tributary.position WHERE topic = $1",
    )
    .bind(topic)
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.partition, row)).collect())
}

/// For programs.
#[must_use]
pub fn json(lines: &[Line]) -> Value {
    let line = |line: &Line| {
        let stored = line.stored.as_ref();
        json!({
            "topic": line.topic,
            "partition": line.partition,
            "next_offset": stored.map(|stored| stored.next_offset),
            "end_offset": line.end_offset,
            "lag": line.lag,
            "committed_offset": line.committed_offset,
            "owner": stored.map(|stored| &stored.owner),
            "updated_at": stored.map(|stored| &stored.updated_at),
        })
    };
    lines.iter().map(line).collect()
}

/// For people.
#[must_use]
pub fn table(lines: &[Line]) -> String {
    let width = lines.iter().map(|line| line.topic.len()).max().unwrap_or(0).max("TOPIC".len());
    let mut text = format!(
        "{:width$}  {:>9}  {:>12}  {:>12}  {:>9}  {:>12}  {:20}  OWNER\n",
        "TOPIC", "PARTITION", "NEXT", "END", "LAG", "COMMITTED", "UPDATED"
    );
    let number = |number: Option<i64>| number.map_or_else(|| "-".to_owned(), |n| n.to_string());
    for line in lines {
        let stored = line.stored.as_ref();
        writeln!(
            text,
            "{:width$}  {:>9}  {:>12}  {:>12}  {:>9}  {:>12}  {:20}  {}",
            line.topic,
            line.partition,
            number(stored.map(|stored| stored.next_offset)),
            line.end_offset,
            number(line.lag),
            number(line.committed_offset),
            stored.map_or("-", |stored| &stored.updated_at),
            stored.map_or("-", |stored| &stored.owner),
        )
        .expect("a String takes all");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn people_and_programs_see_what_is_known() {
        let stored = Stored {
            partition: 0,
            next_offset: 120,
            owner: "tributary-persister/slot-0@7".to_owned(),
            updated_at: "2026-01-31T12:00:00Z".to_owned(),
        };
        let line = |partition, stored: Option<Stored>| Line {
            topic: "t.inventory.live".to_owned(),
            partition,
            end_offset: 125,
            committed_offset: stored.as_ref().map(|_| 118),
            lag: stored.as_ref().map(|_| 5),
            stored,
        };
        let lines = [line(0, Some(stored)), line(1, None)];
        expect![[r#"
            TOPIC             PARTITION          NEXT           END        LAG     COMMITTED  UPDATED               OWNER
            t.inventory.live          0           120           125          5           118  2026-01-31T12:00:00Z  tributary-persister/slot-0@7
            t.inventory.live          1             -           125          -             -  -                     -
        "#]]
        .assert_eq(&table(&lines));
        assert_eq!(json(&lines)[1]["lag"], Value::Null);
        assert_eq!(json(&lines)[0]["next_offset"], 120);
    }
}
