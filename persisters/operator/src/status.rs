//! `persister status`: how the group is doing, on one page.

mod shown;

use crate::dead_letters::{counts_since, day_ago};
use crate::{OperatorError, Servers};
use positions::show::{Line, show};
use schemas::database::connect_one;
use sqlx::PgConnection;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Between the two looks by which the speed is measured.
const LOOKS_APART: Duration = Duration::from_secs(1);

/// Everything that is known of the group.
#[derive(Debug, Default)]
pub(crate) struct Status {
    topics: BTreeMap<String, TopicStatus>,
    waiting: Vec<Waiting>,
    dead_letters: BTreeMap<String, u64>,
    sources: Vec<Source>,
    gaps: Vec<Gap>,
}

/// How far PostgreSQL is in a topic.
#[derive(Debug, Default)]
struct TopicStatus {
    lag: i64,
    /// Partition and lag.
    worst: Option<(i32, i64)>,
    /// Partitions that nobody has ever read.
    unread_partitions: u32,
    /// How many partitions each member owns.
    owners: BTreeMap<String, u32>,
    records_per_second: f64,
}

#[derive(Debug, sqlx::FromRow)]
struct Waiting {
    entity_type: String,
    reason: String,
    hint: String,
    since: String,
}

#[derive(Debug, sqlx::FromRow)]
struct Source {
    source: String,
    seen_at: String,
    age_seconds: i64,
}

#[derive(Debug, sqlx::FromRow)]
struct Gap {
    topic: String,
    partition: i32,
    from_offset: i64,
    to_offset: Option<i64>,
    reason: String,
    at: String,
}

/// Looks twice at the positions, and once at everything else.
pub(crate) async fn status(servers: &Servers) -> Result<Status, OperatorError> {
    let before = (Instant::now(), show(&servers.access).await?);
    let mut connection = connect_one(&servers.access.database).await?;
    let mut status = Status {
        topics: BTreeMap::new(),
        waiting: waiting(&mut connection).await?,
        dead_letters: counts_since(servers, &day_ago()).await?,
        sources: sources(&mut connection).await?,
        gaps: gaps(&mut connection).await?,
    };
    tokio::time::sleep(LOOKS_APART.saturating_sub(before.0.elapsed())).await;
    let (seconds, after) = (before.0.elapsed(), show(&servers.access).await?);
    status.topics = topics(&before.1, &after, seconds);
    Ok(status)
}

fn topics(before: &[Line], after: &[Line], between: Duration) -> BTreeMap<String, TopicStatus> {
    let next = |line: &Line| line.stored.as_ref().map(|stored| stored.next_offset);
    let mut topics = BTreeMap::<String, TopicStatus>::new();
    for line in after {
        let topic = topics.entry(line.topic.clone()).or_default();
        let (Some(stored), Some(lag)) = (&line.stored, line.lag) else {
            topic.unread_partitions += 1;
            continue;
        };
        topic.lag += lag;
        if lag > topic.worst.map_or(0, |(_, worst)| worst) {
            topic.worst = Some((line.partition, lag));
        }
        *topic.owners.entry(stored.owner.clone()).or_default() += 1;
        let is_same = |old: &&Line| old.topic == line.topic && old.partition == line.partition;
        let old = before.iter().find(is_same).and_then(next).unwrap_or_default();
        // A position that was moved back is no speed.
        let records = u32::try_from((stored.next_offset - old).max(0)).unwrap_or(u32::MAX);
        topic.records_per_second += f64::from(records) / between.as_secs_f64();
    }
    topics
}

async fn waiting(connection: &mut PgConnection) -> Result<Vec<Waiting>, OperatorError> {
    Ok(sqlx::query_as(
        "SELECT type AS entity_type, reason, hint, \
         to_char(since AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS since \
         FROM tributary.waiting ORDER BY 1",
    )
    .fetch_all(connection)
    .await?)
}

async fn sources(connection: &mut PgConnection) -> Result<Vec<Source>, OperatorError> {
    Ok(sqlx::query_as(
        "SELECT source::text, extract(epoch FROM now() - seen_at)::bigint AS age_seconds, \
         to_char(seen_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS seen_at \
         FROM tributary.source ORDER BY 1",
    )
    .fetch_all(connection)
    .await?)
}

async fn gaps(connection: &mut PgConnection) -> Result<Vec<Gap>, OperatorError> {
    Ok(sqlx::query_as(
        "SELECT topic, partition, from_offset, to_offset, reason, \
         to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS at \
         FROM tributary.gap WHERE at > now() - interval '7 days' ORDER BY gap.id",
    )
    .fetch_all(connection)
    .await?)
}
