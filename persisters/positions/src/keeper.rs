//! Compares positions with the logs that are there, and starts anew where they are of others.

use crate::gap::{self, Gap};
use crate::judge::{Found, Kept, Loss, judge};
use crate::owner::{Owner, Stamp};
use crate::{PositionError, Refresh};
use records::{Offset, Partition, Topic};
use sqlx::{Connection, PgConnection};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;
use wire::{Admin, LogRange, peek};

/// Knows positions and logs.
#[derive(Clone)]
pub struct Keeper {
    /// Asks Kafka.
    pub admin: Admin,
    /// Asks the sources.
    pub refresh: Refresh,
    /// Those that read.
    pub readers: Readers,
}

/// Kafka's clients that read. One that knows a log does not take up another one of the same name
/// whose leader has been elected less often: it takes what it hears of it for old.
#[derive(Debug, Clone)]
pub struct Readers {
    /// Ends them, for others to begin anew.
    pub stop: CancellationToken,
    topics: Arc<Mutex<HashSet<String>>>,
}

impl Readers {
    /// They know nothing yet.
    #[must_use]
    pub fn new(stop: CancellationToken) -> Self {
        Self { stop, topics: Arc::default() }
    }

    /// Whether they may have read the topic before.
    fn know(&self, topic: &str) -> bool {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        !topics.insert(topic.to_owned())
    }
}

/// A partition of which records are lost, how, and where its log begins.
struct Lost {
    partition: Partition,
    loss: Loss,
    next: Offset,
    first: Offset,
}

impl Lost {
    fn gap(&self) -> Gap {
        let Self { partition, loss, next, first } = *self;
        let to = (next < first).then_some(first);
        Gap { partition, from: next, to, reason: loss.reason() }
    }
}

type Row = (i32, i64, Option<String>, Option<i64>, Option<i64>);

impl Keeper {
    /// The positions of an owner's partitions, after those that are of another log, or of a part
    /// that was deleted, have been set to the log's first record, with a gap in `tributary.gap`
    /// and, if it is in the inventory, all sources asked for a refresh.
    ///
    /// # Errors
    /// Kafka's, PostgreSQL's or the registry's; nothing has been changed then.
    pub async fn settle(
        &self,
        connection: &mut PgConnection,
        owner: &Owner,
        partitions: &[Partition],
    ) -> Result<Vec<(Partition, Offset)>, PositionError> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let kept = kept(connection, owner, partitions).await?;
        let cluster_id = self.admin.cluster_id().await?;
        let lost = self.lost(&owner.topic, &kept, &cluster_id).await?;
        if !lost.is_empty() {
            for Lost { partition, loss, next, .. } in &lost {
                tracing::warn!(
                    topic = owner.topic,
                    partition = partition.0,
                    position = next.0,
                    "{}; reading from the beginning",
                    loss.reason()
                );
            }
            if self.is_made_good_by_a_listing(&owner.topic) {
                self.refresh.ask(&sources(connection).await?).await?;
            }
        }
        let mut transaction = connection.begin().await?;
        let gaps: Vec<Gap> = lost.iter().map(Lost::gap).collect();
        gap::record(&mut transaction, &owner.topic, &gaps).await?;
        start_anew(&mut transaction, owner, (&cluster_id, &lost)).await?;
        transaction.commit().await?;
        if self.readers.know(&owner.topic) && lost.iter().any(|lost| lost.loss.is_of_another_log())
        {
            tracing::warn!(topic = owner.topic, "the topic has another log than before");
            self.readers.stop.cancel();
        }
        let begins: HashMap<Partition, Offset> =
            lost.iter().map(|lost| (lost.partition, lost.first)).collect();
        let position = |(partition, kept): (Partition, Kept)| {
            (partition, begins.get(&partition).copied().unwrap_or(kept.next))
        };
        Ok(kept.into_iter().map(position).collect())
    }

    /// A listing brings no event and no sample back.
    fn is_made_good_by_a_listing(&self, topic: &str) -> bool {
        let inventory = [Topic::InventoryLive, Topic::InventorySnapshot];
        inventory.iter().any(|of| self.refresh.kafka.topic(*of) == topic)
    }

    async fn lost(
        &self,
        topic: &str,
        kept: &HashMap<Partition, Kept>,
        cluster_id: &str,
    ) -> Result<Vec<Lost>, PositionError> {
        let ranges: HashMap<Partition, LogRange> =
            self.admin.ranges(topic).await?.into_iter().collect();
        let before = |(partition, kept): (&Partition, &Kept)| {
            let (range, before) = (ranges.get(partition)?, Offset(kept.next.0 - 1));
            let is_there = before >= range.first && before < range.end && kept.last.is_some();
            is_there.then_some((*partition, before))
        };
        let wanted = kept.iter().filter_map(before).collect();
        let peeked = peek(&self.refresh.kafka, topic, wanted).await?;
        let last: HashMap<Partition, Stamp> =
            peeked.iter().map(|record| (record.partition, Stamp::of(record))).collect();
        let lost = |(partition, kept): (&Partition, &Kept)| {
            let range = *ranges.get(partition)?;
            let found = Found { cluster_id, range, last: last.get(partition).copied() };
            let (partition, next, first) = (*partition, kept.next, range.first);
            judge(kept, found).map(|loss| Lost { partition, loss, next, first })
        };
        Ok(kept.iter().filter_map(lost).collect())
    }
}

async fn kept(
    connection: &mut PgConnection,
    owner: &Owner,
    partitions: &[Partition],
) -> Result<HashMap<Partition, Kept>, PositionError> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT partition, next_offset, cluster_id, last_timestamp_ms, last_key_hash \
         FROM tributary.position WHERE topic = $1 AND owner = $2 AND partition = ANY ($3)",
    )
    .bind(&owner.topic)
    .bind(&owner.member)
    .bind(partitions.iter().map(|partition| partition.0).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    let kept = |(partition, next, cluster_id, timestamp, hash): Row| {
        let last = timestamp.zip(hash);
        let last = last.map(|(timestamp_ms, key_hash)| Stamp { timestamp_ms, key_hash });
        (Partition(partition), Kept { next: Offset(next), cluster_id, last })
    };
    Ok(rows.into_iter().map(kept).collect())
}

async fn sources(connection: &mut PgConnection) -> Result<Vec<String>, PositionError> {
    let sources = sqlx::query_scalar("SELECT source::text FROM tributary.source ORDER BY 1");
    Ok(sources.fetch_all(connection).await?)
}

/// Also says of all positions of the owner to which cluster they belong.
async fn start_anew(
    connection: &mut PgConnection,
    owner: &Owner,
    (cluster_id, lost): (&str, &[Lost]),
) -> Result<(), PositionError> {
    sqlx::query(
        "UPDATE tributary.position AS p SET next_offset = i.first, last_timestamp_ms = NULL, \
         last_key_hash = NULL, skipped_from = NULL, updated_at = now() \
         FROM unnest($3::int[], $4::bigint[]) AS i(partition, first) \
         WHERE p.topic = $1 AND p.owner = $2 AND p.partition = i.partition",
    )
    .bind(&owner.topic)
    .bind(&owner.member)
    .bind(lost.iter().map(|lost| lost.partition.0).collect::<Vec<_>>())
    .bind(lost.iter().map(|lost| lost.first.0).collect::<Vec<_>>())
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "UPDATE tributary.position SET cluster_id = $3 \
         WHERE topic = $1 AND owner = $2 AND cluster_id IS DISTINCT FROM $3",
    )
    .bind(&owner.topic)
    .bind(&owner.member)
    .bind(cluster_id)
    .execute(connection)
    .await?;
    Ok(())
}
