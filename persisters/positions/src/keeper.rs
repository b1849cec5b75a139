//! Compares positions with the logs that are there, and starts anew where they are of others.

use crate::gap::{self, Gap};
use crate::judge::{Found, Kept, judge};
use crate::owner::{Owner, Stamp};
use crate::{PositionError, Refresh};
use records::{Offset, Partition, Topic};
use sqlx::{Connection, PgConnection};
use std::collections::HashMap;
use wire::{Admin, LogRange, peek};

/// Knows positions and logs.
#[derive(Clone)]
pub struct Keeper {
    /// Asks Kafka.
    pub admin: Admin,
    /// Asks the sources.
    pub refresh: Refresh,
}

/// A partition of which records are lost, and where its log begins.
type Lost = (Gap, Offset);

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
            for (gap, _) in &lost {
                tracing::warn!(
                    topic = owner.topic,
                    partition = gap.partition.0,
                    position = gap.from.0,
                    "{}; reading from the beginning",
                    gap.reason
                );
            }
            if self.is_made_good_by_a_listing(&owner.topic) {
                self.refresh.ask(&sources(connection).await?).await?;
            }
        }
        let mut transaction = connection.begin().await?;
        let gaps: Vec<Gap> = lost.iter().map(|(gap, _)| gap.clone()).collect();
        gap::record(&mut transaction, &owner.topic, &gaps).await?;
        start_anew(&mut transaction, owner, (&cluster_id, &lost)).await?;
        transaction.commit().await?;
        let begins: HashMap<Partition, Offset> =
            lost.iter().map(|(gap, first)| (gap.partition, *first)).collect();
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
            let reason = judge(kept, found)?;
            let to = (kept.next < range.first).then_some(range.first);
            Some((Gap { partition: *partition, from: kept.next, to, reason }, range.first))
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
    .bind(lost.iter().map(|(gap, _)| gap.partition.0).collect::<Vec<_>>())
    .bind(lost.iter().map(|(_, first)| first.0).collect::<Vec<_>>())
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
